"""DEP-5 short names as SPDX ids."""

import pytest

from demo.licences import spdx


@pytest.mark.parametrize(
    ("short_name", "spdx_id"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3.0-or-later", "AGPL-3.0-or-later"),
        ("CC-BY-3.0", "CC-BY-3.0"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("CC0", "CC0-1.0"),
        ("Free-Art-License-1.2", "LAL-1.2"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
    ],
)
def test_a_known_free_licence_has_its_spdx_id(short_name: str, spdx_id: str) -> None:
    assert spdx(short_name) == (spdx_id, True)


@pytest.mark.parametrize(
    ("short_name", "reference"),
    [
        ("ETHYMONICS-FREE-MUSIC-LICENSE", "LicenseRef-ETHYMONICS-FREE-MUSIC-LICENSE"),
        ("CC-BY-NC-3.0", "LicenseRef-CC-BY-NC-3.0"),
        ("CC-BY-NC-SA-4.0", "LicenseRef-CC-BY-NC-SA-4.0"),
        ("CC-BY-ND-4.0", "LicenseRef-CC-BY-ND-4.0"),
        ("GPL-2+ with font exception", "LicenseRef-GPL-2-with-font-exception"),
        ("GPL-2+ and CC-BY-NC-3.0", "LicenseRef-GPL-2-and-CC-BY-NC-3.0"),
        ("non-free", "LicenseRef-non-free"),
    ],
)
def test_any_other_licence_is_a_reference_and_not_known_to_be_free(short_name: str, reference: str) -> None:
    assert spdx(short_name) == (reference, False)
