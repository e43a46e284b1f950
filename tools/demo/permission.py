"""The operator's permission, written from what the packages' own copyright files say."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tenuto.rights import read_licence
from tenuto.rights.dep5 import Stanza, parse_copyright

from .debian_music import Package
from .music_folder import CHORALES, service_path

STATEMENT = """\
I run this music service for the demo on my own computer. The music in it comes from packages of the Debian
distribution, whose copyright files name the licence and the holder of each file, and from a small set that its makers
gave to the public domain. What these licences allow, an archive may do with what it finds here; it may harvest all
metadata. Where a licence is not known to allow giving out, I say nothing about giving out. What lies in the folder
"own" is my own collection: an archive may keep and examine it, no more."""

EMAIL = re.compile(r"\s*<[^<>\s]+@[^<>\s]+>")
YEARS = re.compile(r"^(©|\(c\)|[0-9x]{4}|present|[\s,\u2013-])+(?=\s|$)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one licence allows for some files; `paths` are relative to the service's music folder, not yet escaped."""

    paths: tuple[str, ...]
    licence: str | None
    attribution: str
    may_give_out: bool


def permission(
    packages: Sequence[Package],
    music_root: Path,
    *,
    source: str = "demo",
    grantor: str = "The operator of the demo's music service",
    contact: str = "operator@service.invalid",
) -> str:
    """Write the permission as TOML, a pure function of the packages' copyright files and of what lies in `music_root`.

    A file for which no stanza speaks gets no grant at all.
    """
    head = {"source": source, "grantor": grantor, "contact": contact}
    lines = ['format = "tenuto-permission-1"', *(f"{key} = {_text(value)}" for key, value in head.items())]
    lines += ['ground = "licence"', "granted_on = 2026-01-01", f'statement = """\n{STATEMENT}"""']
    lines += ["", "[harvest]", "metadata = true"]
    grants = [grant for package in packages for grant in _grants(package)] + _chorales(music_root)
    return "\n".join([*lines, *(line for grant in grants for line in _table(grant)), ""])


def _grants(package: Package) -> list[Grant]:
    """Make one grant for each distinct licence and holder of a package, in the order of its files."""
    if package.copyright is None:
        return [Grant(_paths(package, package.music), None, "The reader's own folder", may_give_out=False)]
    place = package.copyright.relative_to(package.root).as_posix()
    read = parse_copyright(place, package.copyright.read_text(encoding="utf-8", errors="replace"))
    files: dict[Stanza, list[Path]] = {}
    for file in package.music:
        stanza = read.match(file.relative_to(package.root).as_posix()) if read else None
        if stanza is not None and stanza.licence:
            files.setdefault(replace(stanza, patterns=()), []).append(file)
    return [_grant(package, stanza, group) for stanza, group in files.items()]


def _grant(package: Package, stanza: Stanza, files: Iterable[Path]) -> Grant:
    """Give out where the licence is known to allow it; else the licence is named and nothing is said."""
    licence = read_licence(stanza.licence)
    name = licence.spdx if licence else "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", stanza.licence).strip("-")
    attribution = f"{_holder(stanza.holders)} (Debian package {package.name})"
    return Grant(_paths(package, files), name, attribution, may_give_out=bool(licence and licence.may_give_out))


def _holder(text: str) -> str:
    """Leave out the years, which are no name, and e-mail addresses, which nobody needs to be named."""
    return " ".join(YEARS.sub("", EMAIL.sub("", text)).split()) or "unnamed"


def _chorales(music_root: Path) -> list[Grant]:
    files = sorted((music_root / CHORALES).glob("*.flac"))
    if not files:
        return []
    paths = tuple(file.relative_to(music_root).as_posix() for file in files)
    return [Grant(paths, "CC0-1.0", "Johann Sebastian Bach; rendered by the Tenuto project", may_give_out=True)]


def _paths(package: Package, files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(service_path(package, file)) for file in files)


def _table(grant: Grant) -> list[str]:
    lines = ["", "[[grant]]", "path = ["]
    lines += [f"  {_text(_literally(path))}," for path in grant.paths]
    lines += ["]", "may_keep = true"]
    lines += ["may_give_out = true"] if grant.may_give_out else []
    lines += ["may_mine = true", 'territories = ["worldwide"]']
    lines += [f"licence = {_text(grant.licence)}"] if grant.licence else []
    return [*lines, f"attribution = {_text(grant.attribution)}"]


def _literally(path: str) -> str:
    r"""Write a path as a pattern that means it alone: in a permission `\` makes `*` and `?` stand for themselves."""
    return re.sub(r"([*?\\])", r"\\\1", path)


def _text(value: str) -> str:
    """Quote for TOML: a JSON string is a TOML basic string, but for DEL, which only JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
