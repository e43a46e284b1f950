"""DEP-5 short names of licences as SPDX ids, and which of them are known to let anyone give copies out."""

import re

NAMED = {
    "apache-2.0": "Apache-2.0",
    "artistic-2.0": "Artistic-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "expat": "MIT",
    "free-art-license-1.2": "LAL-1.2",
    "free-art-license-1.3": "LAL-1.3",
    "isc": "ISC",
    "lal-1.2": "LAL-1.2",
    "lal-1.3": "LAL-1.3",
    "mit": "MIT",
    "zlib": "Zlib",
}
GNU = re.compile(r"(A?GPL|LGPL)-([123](?:\.[01])?)(\+|-only|-or-later)?")
CREATIVE_COMMONS = re.compile(r"CC-BY(?:-SA)?-(?:1\.0|2\.0|2\.5|3\.0|4\.0)")


def spdx(short_name: str) -> tuple[str, bool]:
    """Give the SPDX id of a DEP-5 short name, and whether it is known to be free.

    What is not known for certain, an expression of several licences included, is a LicenseRef and not known to be free.
    """
    if known := NAMED.get(short_name.lower()):
        return known, True
    if CREATIVE_COMMONS.fullmatch(short_name):
        return short_name, True
    if gnu := GNU.fullmatch(short_name):
        family, version, later = gnu.groups()
        version = version if "." in version else f"{version}.0"
        return f"{family}-{version}-{'or-later' if later in {'+', '-or-later'} else 'only'}", True
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", short_name).strip("-"), False
