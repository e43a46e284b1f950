"""Words of real tags, copyright files and addresses, and what may be concluded from them: when in doubt, nothing."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.rights import identify, read_licence
from tenuto.rights.licence_table import known

COMMON_LICENSES = Path("/usr/share/common-licenses")
RESERVED = "LicenseRef-all-rights-reserved"
PUBLIC_DOMAIN = "LicenseRef-public-domain"
CC = "http://creativecommons.org"

KNOWN = [
    # SPDX ids, in any case
    ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("CC0-1.0", "CC0-1.0"),
    ("GPL-2.0-or-later", "GPL-2.0-or-later"),
    ("GPL-3.0-only", "GPL-3.0-only"),
    ("OGL-UK-3.0", "OGL-UK-3.0"),
    ("LAL-1.3", "LAL-1.3"),
    ("0BSD", "0BSD"),
    # SPDX expressions
    ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
    ("(MIT AND CC-BY-4.0) OR CC0-1.0", "(MIT AND CC-BY-4.0) OR CC0-1.0"),
    ("GPL-2.0-or-later AND CC-BY-SA-3.0", "GPL-2.0-or-later AND CC-BY-SA-3.0"),
    # DEP-5 short names
    ("GPL-2+", "GPL-2.0-or-later"),
    ("GPL-2", "GPL-2.0-only"),
    ("GPL-2.0+", "GPL-2.0-or-later"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPL-2+", "LGPL-2.0-or-later"),
    ("AGPL-3+", "AGPL-3.0-or-later"),
    ("GFDL-1.3+", "GFDL-1.3-or-later"),
    ("Expat", "MIT"),
    ("public-domain", PUBLIC_DOMAIN),
    ("CC0", "CC0-1.0"),
    ("Artistic", "Artistic-1.0"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("zlib", "Zlib"),
    ("Free-Art-License-1.2", "LAL-1.2"),
    ("GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0"),
    ("GPL-2+ and CC-BY-SA-3.0", "GPL-2.0-or-later AND CC-BY-SA-3.0"),
    ("CC-BY-SA-3.0-US", "CC-BY-SA-3.0"),
    # as people write them
    ("CC BY 4.0", "CC-BY-4.0"),
    ("CC-BY 3", "CC-BY-3.0"),
    ("CC_BY_SA_4.0", "CC-BY-SA-4.0"),
    ("CC BY-NC-ND 3.0", "CC-BY-NC-ND-3.0"),
    ("CC BY-SA 4.0 International", "CC-BY-SA-4.0"),
    ("CC\u00a0BY\u2011SA\u00a04.0", "CC-BY-SA-4.0"),
    ("CC BY\u2011NC 4.0", "CC-BY-NC-4.0"),
    ("CC-BY-SA-NC-3.0", "CC-BY-NC-SA-3.0"),
    ("CC BY-ND-NC 2.5", "CC-BY-NC-ND-2.5"),
    ("cc by", "LicenseRef-CC-BY"),
    ("CC-BY", "LicenseRef-CC-BY"),
    ("CC BY licensed", "LicenseRef-CC-BY"),
    ("Creative Commons BY-NC-SA", "LicenseRef-CC-BY-NC-SA"),
    ("Creative Commons Attribution 3.0", "CC-BY-3.0"),
    ("Creative Commons: Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
    ("Creative Commons Attribution-Noncommercial-Share Alike 3.0 United States License", "CC-BY-NC-SA-3.0"),
    ("Creative Commons Attribution-Noncommercial-No Derivative Works 3.0", "CC-BY-NC-ND-3.0"),
    ("Creative Commons Attribution (CC BY 3.0)", "CC-BY-3.0"),
    ("Some rights reserved. CC BY 3.0", "CC-BY-3.0"),
    ("Not all rights reserved: CC BY 3.0", "CC-BY-3.0"),
    ("If not stated otherwise, CC BY 3.0", "CC-BY-3.0"),
    ("CC0 1.0 Universal", "CC0-1.0"),
    ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
    ("Public Domain", PUBLIC_DOMAIN),
    ("Public Domain Mark 1.0", "CC-PDM-1.0"),
    ("Copyleft: Free Art License 1.3", "LAL-1.3"),
    ("Licence Art Libre", "LAL-1.3"),
    ("FAL 1.3", "LAL-1.3"),
    # addresses: deeds, ports of a country, schemes, cases
    (f"{CC}/licenses/by/3.0/", "CC-BY-3.0"),
    ("https://creativecommons.org/licenses/by-sa/4.0/deed.en", "CC-BY-SA-4.0"),
    ("https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode", "CC-BY-NC-ND-4.0"),
    (f"{CC}/licenses/by-nc-sa/2.5/", "CC-BY-NC-SA-2.5"),
    ("https://creativecommons.org/licenses/by/3.0/de/", "CC-BY-3.0"),
    ("http://www.creativecommons.org/licenses/by/2.0/uk/", "CC-BY-2.0"),
    ("http://creativecommons.org:80/licenses/by/3.0", "CC-BY-3.0"),
    ("HTTP://CREATIVECOMMONS.ORG/LICENSES/BY-SA/3.0/", "CC-BY-SA-3.0"),
    ("creativecommons.org/licenses/by/1.0", "CC-BY-1.0"),
    (f"{CC}/publicdomain/zero/1.0/", "CC0-1.0"),
    ("https://creativecommons.org/publicdomain/mark/1.0/deed.de", "CC-PDM-1.0"),
    ("http://artlibre.org/licence/lal/en/", "LAL-1.3"),
    ("https://artlibre.org/licence/lal/licence-art-libre-12/", "LAL-1.2"),
    # whole sentences
    (f"2004 X. Licensed to the public under {CC}/licenses/by/3.0/ verify at http://x.example/", "CC-BY-3.0"),
    (f"\u00a9 2009 Y \u2014 {CC}/licenses/by-nc/3.0/", "CC-BY-NC-3.0"),
    ("Symphony no. 5, CC BY 3.0", "CC-BY-3.0"),
    ("This work is licensed under CC BY 4.0", "CC-BY-4.0"),
    ("\u00a9 2010 X. This work is licensed under a Creative Commons Attribution 3.0 Unported License", "CC-BY-3.0"),
    ("\u00a9 2010 X, released under CC BY-NC-SA 3.0", "CC-BY-NC-SA-3.0"),
    ("CC BY 3.0 2004 X", "CC-BY-3.0"),
    ("\u00a9 2010 CC BY 3.0", "CC-BY-3.0"),
    (f"CC BY-SA 4.0 {CC}/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
    # several: all hold
    (f"{CC}/licenses/by/4.0/ or, the cover, {CC}/licenses/by-nc/4.0/", "CC-BY-4.0 AND CC-BY-NC-4.0"),
    ("CC0 for the score; the recording: CC BY-NC 4.0", "CC-BY-NC-4.0 AND CC0-1.0"),
    # all rights reserved, whatever else it says
    ("All rights reserved", RESERVED),
    ("\u2117 & \u00a9 2004 X. ALL RIGHTS RESERVED.", RESERVED),
    ("Alle Rechte vorbehalten", RESERVED),
    ("Tous droits re\u0301serve\u0301s", RESERVED),
    ("Todos los derechos reservados", RESERVED),
    ("Unauthorised copying, hiring, lending and broadcasting prohibited", RESERVED),
    ("CC BY 4.0. All rights reserved", RESERVED),
    (f"All rights reserved. {CC}/licenses/by/3.0/", RESERVED),
]  # fmt: skip

UNKNOWN = [
    # nothing said
    "", " \n\t", "(C) 2004 X", "\u2117 2004 X", "unknown", "none", "other", "non-free", "Copyright Control", "2004",
    # half said: no version, no licence of that name, an unknown partner
    "GPL", "BSD", "Creative Commons", "CC", "CC BY 9.9", "CC BY-SA-NC-ND 4.0", "ETHYMONICS-FREE-MUSIC-LICENSE",
    "LicenseRef-mine", "GFDL-NIV-1.3+", "GPL-2+ with Font exception", "GPL-2+ and non-free", "CC-BY-SA-3.0 and non-free",
    "CC-BY-3.0 with exceptions", "CC-BY-3.0 and", "Some rights reserved", "non-commercial use only",
    f"{CC}/licenses/by/9.9/", f"{CC}/licenses/sampling+/1.0/", f"{CC}/licenses/", "http://notcreativecommons.org/licenses/by/3.0/",
    "http://creativecommons.org.example/licenses/by/3.0/", "http://startlibre.org/",
    # denied
    "not CC-BY", "not CC-BY-4.0", "not CC0", "no CC0", "except CC0", "CC0 does not apply", "NOT under CC0-1.0",
    "This is not licensed under CC BY 4.0", "It isn't CC BY 4.0", "CC BY 3.0 was revoked in 2012",
    "no longer under CC BY-SA 3.0", f"This is not under {CC}/licenses/by/3.0/", f"{CC}/publicdomain/zero/1.0/ does not apply",
    "nicht CC BY 4.0", "Not in the public domain", "all music except the CC BY 3.0 samples",
    # in passing, of a part, of the past
    "\u00a9 1997 One Little Indian. Cover photo CC BY 2.0 by Jane", "\u00a9 X. Drums: CC BY 3.0",
    "Contains samples of X under CC-BY 3.0",
    "Samples licensed under CC BY 3.0", "formerly CC BY 3.0", "was CC-BY 3.0 until 2015", "CC-BY 3.0 for lyrics. Music (C) Sony",
    "CC BY 3.0 (lyrics only)", "CC BY 3.0, cover CC BY 4.0, \u00a9 Sony", "Cover CC BY 3.0, samples CC0", "non-CC-BY",
    "Ask for CC-BY 4.0 terms", "\u00a9 1997 X CC BY 3.0", f"\u00a9 X, inspired by {CC}/licenses/by/3.0/",
    # names of people and bands
    "The CC Band", "CC Sabathia", "by attribution", "written for CC by Bob", "CC: by Bob", "WRITTEN FOR CC BY BOB", "CC BY & BY",
    "CC (2004) by the quartet", "CC BY 2004 The Quartet", "Falstaff Records", "The LAL Band", "Dalal", "FAL",
    "ACC BY-SA", "MITs", "CCBY", "cc0der",
    # broken
    "AND", "OR", "MIT OR", "(((", "MIT)", "\x00", "\udcff", "\ufffd\ufffd",
]  # fmt: skip


@pytest.mark.parametrize(("text", "spdx"), KNOWN)
def test_a_licence_is_read_from(text: str, spdx: str) -> None:
    found = read_licence(text)
    assert found is not None
    assert found.spdx == spdx


@pytest.mark.parametrize("text", UNKNOWN)
def test_no_licence_is_read_from(text: str) -> None:
    assert read_licence(text) is None


@pytest.mark.parametrize(
    ("text", "may_give_out", "may_mine"),
    [
        ("CC0-1.0", True, True),
        ("CC BY-SA 3.0", True, True),
        ("CC BY-NC 4.0", True, None),
        ("CC BY-ND 4.0", True, None),
        ("CC BY-NC-ND", True, None),
        ("GPL-2+", True, True),
        ("public-domain", True, True),
        ("All rights reserved", False, None),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", True, None),
        ("CC-BY-4.0 OR CC-BY-NC-4.0", True, True),
        (f"CC-BY-4.0 AND {RESERVED}", False, None),
        (f"CC-BY-4.0 OR {RESERVED}", True, True),
        (f"(CC-BY-4.0 OR {RESERVED}) AND {RESERVED}", False, None),
    ],
)
def test_a_licence_permits_what_its_deed_says(text: str, may_give_out: bool | None, may_mine: bool | None) -> None:
    found = read_licence(text)
    assert found is not None
    assert (found.may_give_out, found.may_mine) == (may_give_out, may_mine)


def test_only_reserved_rights_forbid() -> None:
    assert [spdx for spdx, said in known().items() if said.may_give_out is not True] == [RESERVED]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("CC-BY-SA-2.5", "https://creativecommons.org/licenses/by-sa/2.5/"),
        ("CC0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("GPL-2", "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html"),
        ("GPL-3+", "https://www.gnu.org/licenses/gpl-3.0.html"),
        ("LGPL-2.1+", "https://www.gnu.org/licenses/old-licenses/lgpl-2.1.html"),
        ("AGPL-3.0-only", "https://www.gnu.org/licenses/agpl-3.0.html"),
        ("GFDL-1.2", "https://www.gnu.org/licenses/old-licenses/fdl-1.2.html"),
        ("GFDL-1.3+", "https://www.gnu.org/licenses/fdl-1.3.html"),
        ("public-domain", None),
        ("MIT OR CC0-1.0", None),
    ],
)
def test_a_licence_has_the_address_of_its_text(text: str, url: str | None) -> None:
    found = read_licence(text)
    assert found is not None
    assert found.url == url


@pytest.mark.parametrize("spdx", sorted(known()))
def test_an_address_leads_back_to_its_licence(spdx: str) -> None:
    url = known()[spdx].url
    if url and ("creativecommons" in url or "artlibre" in url):
        found = read_licence(url)
        assert found is not None
        assert found.spdx == spdx
    own = read_licence(spdx)
    assert own is not None
    assert own.spdx == spdx


@given(st.text(max_size=80))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    read_licence(text)
    identify(text)


@given(st.sampled_from([text for text, spdx in KNOWN if spdx != RESERVED]))
def test_a_licence_with_all_rights_reserved_beside_it_is_reserved(text: str) -> None:
    found = read_licence(f"All rights reserved. {text}")
    assert found is not None
    assert found.spdx == RESERVED


@pytest.mark.parametrize(
    "text",
    ["(" * 900 + "MIT" + ")" * 900, "MIT AND " * 5000 + "MIT", "CC " * 100_000, "(" * 500_000, "CC BY-" * 50_000, " - " * 300_000,
     "not " * 100_000 + "CC BY 4.0",
     "CC BY 4.0" + " -" * 900 + "x", "(" * 1900 + "CC BY 4.0", "CC BY 4.0 " * 190 + "x", "a. " * 600 + "CC0.",
     "(c)" * 600 + "CC0", "http://creativecommons.org/" * 20_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_a_hostile_text_takes_no_long_time(text: str) -> None:
    began = time.monotonic()
    read_licence(text)
    identify(text)
    assert time.monotonic() - began < 2


def test_the_same_words_on_many_tracks_cost_nothing() -> None:
    read_licence("GPL-2+ or Artistic")
    began = time.monotonic()
    for _ in range(10_000):
        read_licence("GPL-2+ or Artistic")
    assert time.monotonic() - began < 1


# --- LICENSE files


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("CC0-1.0", "CC0-1.0"),
        ("GFDL-1.2", "GFDL-1.2-only"),
        ("GFDL-1.3", "GFDL-1.3-only"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2", "LGPL-2.0-only"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("LGPL-3", "LGPL-3.0-only"),
        ("MPL-2.0", "MPL-2.0"),
        ("Artistic", None),
        ("MPL-1.1", None),
    ],
)
def test_the_text_of_a_licence_is_known(name: str, spdx: str | None) -> None:
    if not (COMMON_LICENSES / name).is_file():
        pytest.skip(f"{COMMON_LICENSES / name} is not on this system")
    found = identify((COMMON_LICENSES / name).read_text(errors="replace"))
    assert (found.spdx if found else None) == spdx


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        ("SPDX-License-Identifier: CC-BY-SA-4.0\n", "CC-BY-SA-4.0"),
        ("/* SPDX-License-Identifier: MIT */\n", "MIT"),
        ("# SPDX-License-Identifier: MIT OR CC0-1.0\r\nmore", "MIT OR CC0-1.0"),
        ("SPDX-License-Identifier: CC0-1.0\nSPDX-License-Identifier: CC-BY-NC-4.0\n", "(CC-BY-NC-4.0) AND (CC0-1.0)"),
        ("SPDX-License-Identifier: LicenseRef-mine\nCC0-1.0", None),
        ("All music in this folder is CC BY 3.0.", "CC-BY-3.0"),
        ("Attribution-ShareAlike 4.0 International\n\n" + "=" * 500, "CC-BY-SA-4.0"),
        ("Creative Commons\n\nAttribution-NonCommercial-NoDerivs 3.0 Unported\n" + "=" * 500, "CC-BY-NC-ND-3.0"),
        ("Licence Art Libre 1.3\n[ Copyleft Attitude ]\n" + "=" * 500, "LAL-1.3"),
        ("Free Art License 1.2\n" + "=" * 500, "LAL-1.2"),
        ("Copyright X. All rights reserved.\n\nPermission is hereby granted, free of charge, to any person obtaining a "
         "copy of this software" + " and so on" * 60, "MIT"),
        ("words " * 100 + f"{CC}/licenses/by-sa/3.0/", None),
        ("The samples are CC0 1.0 Universal. The songs: all rights reserved.", RESERVED),
        ("The cover is Attribution 4.0, the songs are Attribution-NonCommercial 3.0" + " words" * 100, None),
        ("The code is under the\nGNU GENERAL PUBLIC LICENSE Version 2\n" + "words " * 100 + "The music: All rights reserved.",
         RESERVED),
        ("GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991\n" + "words " * 3000 + "The music: All rights reserved.", RESERVED),
        ("GNU GENERAL PUBLIC LICENSE Version 2 is for the code." + " words" * 100, None),
        ("The code:\nPermission is hereby granted, free of charge, to any person obtaining a copy" + " words" * 100, None),
        ("The sound effects: creativecommons.org/licenses/by/3.0\n" + "words " * 100 + "Music may only be used in the game.",
         RESERVED),
        ("Music may only be used in the game. Effects: CC BY 3.0", RESERVED),
        ("You may not share the music.\nSPDX-License-Identifier: MIT\n", RESERVED),
        ("Our label supports Attribution 4.0 in principle", None),
        ("Our label supports Attribution 4.0 in principle" + " words" * 100, None),
        ("This album is licensed under CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("\ufeffThe MIT License (MIT)\n\nCopyright (c) 2001 X\n\nPermission is hereby granted, free of charge, to any person "
         "obtaining a copy" + " words" * 100, "MIT"),
        ("words " * 100 + "This is not CC0 1.0 Universal", None),
        ("This is not CC0 1.0 Universal", None),
        ("You may listen to this on Sundays.", None),
        ("words " * 100 + "somebody said CC BY 3.0 once", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_licence_file_is_identified_by_what_it_says(text: str, spdx: str | None) -> None:
    found = identify(text)
    assert (found.spdx.replace("(", "").replace(")", "") if found else None) == (
        spdx.replace("(", "").replace(")", "") if spdx else None
    )
