"""The operator's permission, written from what the packages' own copyright files say."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import dep5
from .debian_music import Package
from .licences import spdx
from .music_folder import CHORALES, service_path

STATEMENT = """\
I run this music service for the demo on my own computer. The music in it comes from packages of the Debian
distribution, whose copyright files name the licence and the holder of each file, and from a small set that its makers
gave to the public domain. What these licences allow, an archive may do with what it finds here; it may harvest all
metadata. Where a licence is not known to allow giving out, I say nothing about giving out. What lies in the folder
"own" is my own collection: an archive may keep and examine it, no more."""


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
    stanzas = dep5.parse(package.copyright.read_text(encoding="utf-8"))
    files: dict[dep5.Terms, list[Path]] = {}
    for file in package.music:
        if terms := dep5.terms_of(file.relative_to(package.root).as_posix(), stanzas):
            files.setdefault(terms, []).append(file)
    return [_grant(package, terms, group) for terms, group in files.items()]


def _grant(package: Package, terms: dep5.Terms, files: Iterable[Path]) -> Grant:
    licence, is_free = spdx(terms.licence)
    attribution = f"{terms.holder} (Debian package {package.name})"
    return Grant(_paths(package, files), licence, attribution, may_give_out=is_free)


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
