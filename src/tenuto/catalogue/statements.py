"""Which statements speak for which track: the operator's grants, corrections, copyright files, LICENSE files, the tags."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import pyarrow as pa

from tenuto.model.findings import Finding
from tenuto.model.tables import STATEMENT
from tenuto.rights import Licence, Permission, Statement, identify, read_licence
from tenuto.rights.dep5 import CopyrightFile, is_meant_as_dep5, nearest, parse_copyright, speaks_for
from tenuto.rights.permission import grant_for

_BASIS_ORDER = ("permission", "correction", "dep5", "licence_file", "tag")
"""Whose licence is shown for a track, where several name one; what may be done is decided by all of them."""


_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What rights are decided by; `licence_correction` is "" where a correction takes the track's own licence away."""

    source: str
    track_id: str
    path: str | None
    release: tuple[str, ...]
    artists: tuple[str, ...]
    licence_text: str | None
    attribution: str | None
    evidence_id: int
    licence_correction: str | None = None
    correction_evidence_id: int | None = None


@dataclass(slots=True)
class SourceRights:
    """What a source's evidence says about rights: its permission, and the licence files found in it."""

    permission: Permission | None = None
    permission_evidence_id: int = 0
    copyright_files: list[tuple[CopyrightFile, int]] = field(default_factory=list)
    licence_files: dict[str, list[tuple[Licence | None, str, int]]] = field(default_factory=dict)

    @property
    def looks_at(self) -> set[str]:
        """By what of a track it is decided, beside what the track says itself: `artist`, `release`, `track`, `path`."""
        grants = self.permission.grant if self.permission else ()
        found = {name for name in ("artist", "release", "track", "path") for grant in grants if getattr(grant, name)}
        return found | ({"path"} if self.copyright_files or self.licence_files else set())

    def add_file(self, path: str, text: str, evidence_id: int) -> None:
        """A DEP-5 copyright file, or a LICENSE that speaks for its folder and what lies below; a broken DEP-5 file is a
        licence that nobody knows.
        """
        parsed = parse_copyright(path, text)
        if parsed is not None:
            self.copyright_files.append((parsed, evidence_id))
            return
        is_broken = is_meant_as_dep5(text)
        folder = speaks_for(path)[0] or "." if is_broken else str(PurePosixPath(path).parent)
        licence = None if is_broken else identify(text)
        self.licence_files.setdefault(folder, []).append((licence, path, evidence_id))


@dataclass(frozen=True, slots=True)
class Spoken:
    """What speaks for a track: rows of statements, the licence to show, and why they disagree, if they do."""

    rows: tuple[int, ...]
    licence: str | None
    licence_url: str | None
    conflict: str


class Statements:
    """Gathers the statements of tracks; equal ones are kept once."""

    def __init__(self, rights: dict[str, SourceRights]) -> None:
        self._rights = rights
        self._rows: dict[Statement, int] = {}
        self._unknown: dict[tuple[str, str, str], tuple[TrackFacts, int]] = {}
        self._grants: dict[tuple[str, int], Statement] = {}
        self._count = 1
        self._used: dict[str, set[int]] = defaultdict(set)

    def of(self, track: TrackFacts, count: int = 1) -> Spoken:
        """What speaks for a track, and for all `count` that are like it."""
        self._count = count
        said = list(self._all(track))
        give_out = {statement.may_give_out for statement in said} - {None}
        conflict = (
            f"{'; '.join(statement.name() for statement in said)}: the strictest holds" if len(give_out) > 1 else ""
        )
        named = min((s for s in said if s.licence), key=lambda s: _BASIS_ORDER.index(s.basis), default=None)
        rows = tuple(self._rows.setdefault(statement, len(self._rows)) for statement in said)
        return Spoken(rows, named.licence if named else None, named.licence_url if named else None, conflict)

    def table(self) -> pa.Table:
        """The `statement` table; row numbers are those that `of` gave."""
        rows = [
            {
                "statement_row": row,
                **{
                    name: getattr(statement, name)
                    for name in STATEMENT.names
                    if name not in {"statement_row", "territories"}
                },
                "territories": list(statement.territories),
            }
            for statement, row in self._rows.items()
        ]
        return pa.Table.from_pylist(rows, STATEMENT)

    def findings(self) -> list[Finding]:
        """Licences that nobody here knows, grants that fit nothing."""
        unknown = [
            Finding(code="licence-unknown", subject=text[:200], source=source,
                    message=f"{basis.replace('_', ' ')} of {count:,} tracks, the first {first.track_id}; "
                            "they stay dark unless a permission says otherwise",
                    evidence_id=first.evidence_id)
            for (source, basis, text), (first, count) in self._unknown.items()
        ]  # fmt: skip
        return [*unknown, *self._unmatched()]

    def _all(self, track: TrackFacts) -> Iterable[Statement]:
        rights = self._rights.get(track.source, SourceRights())
        granted = list(self._granted(track, rights))
        yield from granted
        if track.path is not None:
            yield from self._copyright(track, rights)
            yield from self._licence_file(track, rights, any(statement.may_give_out for statement in granted))
        yield from self._own_words(track)

    def _own_words(self, track: TrackFacts) -> Iterable[Statement]:
        """The tag, and the correction beside it; a correction to nothing, or to words nobody knows, ends what a tag grants."""
        attribution = track.attribution or ""
        by_hand = None
        if track.licence_correction:
            number = track.correction_evidence_id or 0
            by_hand = self._read("correction", track.licence_correction, track, attribution, number)
            yield by_hand
        if track.licence_text:
            tag = self._read("tag", track.licence_text, track, attribution, 0)
            is_ended = track.licence_correction is not None and (by_hand is None or by_hand.licence is None)
            if is_ended and tag.may_give_out is not False:
                tag = replace(tag, licence=None, licence_url=None, may_give_out=None, may_mine=None)
            yield tag

    def _granted(self, track: TrackFacts, rights: SourceRights) -> Iterable[Statement]:
        if rights.permission is None:
            return
        number = grant_for(
            rights.permission, track=track.track_id, path=track.path, release=track.release, artists=track.artists
        )
        if number is None:
            return
        self._used[track.source].add(number)
        if (track.source, number) not in self._grants:
            granted = rights.permission.grant[number].statement(rights.permission_evidence_id)
            self._grants[(track.source, number)] = granted
        statement = self._grants[(track.source, number)]
        if statement.licence_text and statement.licence is None:
            self._not_known(track, "permission", statement.licence_text)
        yield statement

    def _copyright(self, track: TrackFacts, rights: SourceRights) -> Iterable[Statement]:
        path = track.path or ""
        file = nearest([file for file, _ in rights.copyright_files], path)
        if file is None:
            return
        if not file.stanzas:
            self._not_known(track, "dep5", file.path)
        stanza = file.match(path.removeprefix(f"{file.root}/") if file.root else path)
        if stanza is not None and stanza.licence:
            evidence_id = next(number for known, number in rights.copyright_files if known is file)
            yield self._read("dep5", stanza.licence, track, stanza.holders, evidence_id)

    def _licence_file(self, track: TrackFacts, rights: SourceRights, is_granted: bool) -> Iterable[Statement]:
        """Every licence file of the nearest folder that has one. One that nobody knows, beside some that are known, forbids
        giving out, unless the operator grants it.
        """
        if not rights.licence_files:
            return
        for folder in (str(parent) for parent in PurePosixPath(track.path or "").parents):
            if folder in rights.licence_files:
                files = rights.licence_files[folder]
                is_any_known = any(licence for licence, _, _ in files)
                for licence, path, evidence_id in files:
                    statement = _statement("licence_file", licence, path, "", evidence_id)
                    if licence is not None:
                        yield statement
                        continue
                    self._not_known(track, "licence_file", path)
                    if is_any_known and not is_granted:
                        yield replace(statement, may_give_out=False)
                return

    def _read(self, basis: str, text: str, track: TrackFacts, attribution: str, evidence_id: int) -> Statement:
        licence = read_licence(text)
        if licence is None:
            self._not_known(track, basis, text)
        return _statement(basis, licence, text, attribution, evidence_id)

    def _not_known(self, track: TrackFacts, basis: str, text: str) -> None:
        first, count = self._unknown.get((track.source, basis, text), (track, 0))
        self._unknown[(track.source, basis, text)] = (first, count + self._count)

    def _unmatched(self) -> list[Finding]:
        findings = []
        for source, rights in self._rights.items():
            for number, grant in enumerate(rights.permission.grant if rights.permission else ()):
                selectors = {
                    name: getattr(grant, name)
                    for name in ("artist", "release", "track", "path")
                    if getattr(grant, name)
                }
                if number not in self._used[source] and selectors:
                    message = f"grant {number + 1} ({_shown(selectors)}) holds for no track of the source"
                    findings.append(Finding(code="permission-unmatched", subject=f"grant {number + 1}", message=message,
                                            source=source, evidence_id=rights.permission_evidence_id))  # fmt: skip
        return findings


def _statement(basis: str, licence: Licence | None, text: str, attribution: str, evidence_id: int) -> Statement:
    return Statement(
        basis=basis,
        licence=licence.spdx if licence else None,
        licence_text=text,
        licence_url=licence.url if licence else None,
        may_give_out=licence.may_give_out if licence else None,
        may_mine=licence.may_mine if licence else None,
        attribution=attribution,
        evidence_id=evidence_id,
    )


def _shown(selectors: dict[str, Sequence[str]]) -> str:
    return "; ".join(
        f"{name} {', '.join(values[:_EXAMPLES])}{' …' if len(values) > _EXAMPLES else ''}"
        for name, values in selectors.items()
    )
