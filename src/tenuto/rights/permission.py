"""A permission: the file by which a source's operator says what may be done with what the source holds.

It is kept as evidence with every harvest. Format in docs/format.md, "Permission"; `TEMPLATE` is one to fill in.
"""

import re
from datetime import date
from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tenuto.model.documents import Document, load_toml, validate
from tenuto.model.text import fold
from tenuto.rights.licences import read_licence
from tenuto.rights.statements import Statement

FORMAT = "tenuto-permission-1"


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _territory(text: str) -> str:
    if text != "worldwide" and not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f"{text!r} is no territory; write worldwide or two capital letters (ISO 3166-1)")
    return text


Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_names), Field(min_length=1)]
"""A selector; an empty one is refused, since without any a grant is for all."""

Territory = Annotated[str, AfterValidator(_territory)]


class HarvestTerms(Document):
    """What the operator says about asking."""

    metadata: bool = True
    may_give_out_evidence: bool = False
    rate_per_s: Annotated[float, Field(gt=0)] | None = None


class Grant(Document):
    """What may be done with some recordings: all of them where no selector stands, else those that every selector names."""

    artist: Names = ()
    release: Names = ()
    track: Names = ()
    path: Names = ()
    may_keep: bool | None = None
    may_give_out: bool | None = None
    may_mine: bool | None = None
    territories: Annotated[tuple[Territory, ...], Field(min_length=1)] = ("worldwide",)
    until: date | None = None
    licence: str = ""
    attribution: str = ""

    def statement(self, evidence_id: int) -> Statement:
        """The grant as a statement; what it leaves open is taken from the licence it names, if that is known."""
        licence = read_licence(self.licence) if self.licence else None
        give = self.may_give_out if self.may_give_out is not None else (licence.may_give_out if licence else None)
        mine = self.may_mine if self.may_mine is not None else (licence.may_mine if licence else None)
        return Statement(
            basis="permission",
            licence=licence.spdx if licence else None,
            licence_text=self.licence,
            licence_url=licence.url if licence else None,
            may_keep=self.may_keep,
            may_give_out=give,
            may_mine=mine,
            territories=self.territories,
            valid_until=self.until,
            attribution=self.attribution,
            evidence_id=evidence_id,
        )


class Permission(Document):
    """Who grants, on what ground, and the grants; of those that fit a recording the last one holds."""

    format: Literal["tenuto-permission-1"]
    source: str = ""
    grantor: Annotated[str, Field(min_length=1)]
    contact: str = ""
    ground: Literal["owner", "licence", "contract", "law", "public-domain"]
    granted_on: date
    statement: str = ""
    harvest: HarvestTerms = HarvestTerms()
    grant: tuple[Grant, ...] = ()


def parse_permission(text: str, name: str) -> Permission:
    """The permission in a file; raises SettingsError with every mistake."""
    return validate(Permission, load_toml(text, name), name)


def grant_for(
    permission: Permission, *, track: str, path: str | None, release: tuple[str, ...], artists: tuple[str, ...]
) -> int | None:
    """The number of the grant that holds for a recording, or None.

    `release` and `artists` are ids and names; names meet case-folded, ids to the letter, paths by glob (`*` and `?`
    also match `/`, a backslash takes their meaning away, as in DEP-5).
    """
    folded = {fold(name) for name in (*artists,)}
    folded_release = {fold(name) for name in release}
    for number in range(len(permission.grant) - 1, -1, -1):
        grant = permission.grant[number]
        if (
            (not grant.track or track in grant.track)
            and (not grant.path or (path is not None and any(_glob(p).fullmatch(path) for p in grant.path)))
            and (not grant.release or any(n in release or fold(n) in folded_release for n in grant.release))
            and (not grant.artist or any(n in artists or fold(n) in folded for n in grant.artist))
        ):
            return number
    return None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """The pattern of a path: a star is any characters, a question mark one, a backslash takes the next literally."""
    parts = re.findall(r"\\[*?\\]|[*?]|[^*?\\]+|\\", pattern, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wild.get(p) or re.escape(p[1:] if len(p) > 1 and p[0] == "\\" else p) for p in parts), re.DOTALL
    )


TEMPLATE = '''\
# A permission for Tenuto: fill it in, sign it off with the operator of the source, and pass it with
#   tenuto source add KIND LOCATION --name NAME --permission THIS-FILE
# It is kept as evidence with every harvest. Lines that begin with # are optional.
format = "tenuto-permission-1"

source = ""                     # what it is about: the service, the shelf, the label
grantor = ""                    # WHO grants: a person or body, with role
contact = ""                    # how to reach them
ground = "owner"                # by what right: owner, licence, contract, law or public-domain
granted_on = 2026-01-31         # the day it was given
statement = """
In your own words, or theirs: what is permitted, and why.
"""

[harvest]
metadata = true                 # may the metadata be asked for; it then outranks robots.txt
# may_give_out_evidence = true  # may the answers be published word for word, and with them this permission, with the names in it
# rate_per_s = 5                # requests a second that the operator allows

# One [[grant]] for each group of recordings; of several that fit a recording the LAST one holds.
# Without a selector it is for all. Selectors: artist, release, track (ids or names), path (with * and ?).
[[grant]]
may_keep = true                 # may a copy be kept
# may_give_out = true           # may copies be given out; left out: as the licence below says, else no (dark)
# may_mine = true               # may the sound be examined by programs
territories = ["worldwide"]     # or countries, ["DE", "AT"]
# until = 2036-12-31            # the last day on which it holds
# licence = "CC-BY-SA-4.0"      # an SPDX id, or an address; what those who get a copy may rely on
# attribution = ""              # how to name the authors

# [[grant]]
# path = ["compilations/*"]
# may_keep = true
# may_give_out = false
'''
