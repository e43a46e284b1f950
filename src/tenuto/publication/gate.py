"""The third gate: what of an open crate may be given out today (design, law 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from tenuto.catalogue import Edition, load_statements, statement_from
from tenuto.crates.withdrawn import TakenBack
from tenuto.model.ids import track_key
from tenuto.rights import Action, Decision, Statement, may
from tenuto.rights.withdrawals import Log, statement_of

Track = tuple[str, str]
"""Source and id."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A track of an open crate that may not be given out, and why."""

    crate: str
    source: str
    track_id: str
    reason: str
    is_withdrawn: bool


class Gate:
    """Decides for the tracks of crates, by what the current edition states of them; by what the crate states where it is gone.

    Tracks whose recordings have the same bytes, or come from the same original, are one recording: what is stated of one holds
    for all. `taken` adds the digests of what was withdrawn: it stays so under another id.
    """

    def __init__(self, edition: Edition, log: Log, territory: str, when: date, taken: TakenBack | None = None) -> None:
        self._taken = taken or TakenBack(log, {})
        self._statements = load_statements(edition)
        self._edition = edition
        self._withdrawn = log.by_key()
        self._territory = territory
        self._when = when

    def refused(self, tables: Mapping[str, pa.Table], others: Iterable[pa.Table] = ()) -> dict[str, list[Refused]]:
        """Crate -> the tracks of it that may not be given out; crates without any are left out.

        `others` are the tables of crates that are not given out (dark ones): what is stated of their recordings holds for twins.
        """
        every = [*tables.values(), *others]
        twins = _twins(every)
        current = self._current([*tables.values(), _asked(twins)])
        stated = {
            **_stated(every, {track for tracks in twins.values() for track in tracks} - current.keys()),
            **current,
        }
        found = {crate: self._refused(crate, table, stated, twins) for crate, table in tables.items()}
        return {crate: refused for crate, refused in found.items() if refused}

    def open_sources(self) -> set[str]:
        """The sources of which every track may be given out, and of which none was withdrawn, those that are gone included."""
        import duckdb  # noqa: PLC0415

        track, tombstone = self._edition.rows("track"), self._edition.rows("tombstone")
        with duckdb.connect() as con:
            said = con.sql(f"SELECT source, statement_rows FROM {track} GROUP BY ALL").fetchall()
            con.register("log", pa.table({"key": pa.array(list(self._withdrawn), pa.string())}))
            known = con.sql(f"""
                WITH every AS (SELECT source, track_id FROM {track}
                               UNION ALL SELECT source, own_id FROM {tombstone} WHERE kind = 'track')
                SELECT key, source FROM every JOIN log ON key = sha256(source || chr(10) || track_id)""").fetchall()
        if len({key for key, _ in known}) < len(self._withdrawn):
            return set()  # whose track was withdrawn is not known any more: it may be any source's
        shut = {source for _, source in known}
        shut |= {
            source
            for source, rows in said
            if not self._may_give_out([self._statements[row] for row in rows or ()]).is_allowed
        }
        return {source for source, _ in said} - shut

    def _refused(
        self,
        crate: str,
        table: pa.Table,
        stated: Mapping[Track, Sequence[Statement]],
        twins: Mapping[str, Sequence[Track]],
    ) -> list[Refused]:
        found = []
        for row in table.select(["source", "track_id", "sha256", "derived_from", "statements"]).to_pylist():
            track, digests = (row["source"], row["track_id"]), (row["sha256"], row["derived_from"])
            said = stated[track] if track in stated else [statement_from(one) for one in row["statements"] or ()]
            withdrawn = self._withdrawn.get(track_key(*track)) or self._taken.of_recording(*digests)
            if withdrawn is None and any(digest in self._taken.digests for digest in digests):
                reason = "a withdrawal of it was begun and is not in the log"
                found.append(Refused(crate, *track, reason, is_withdrawn=False))
                continue
            others = [other for other in twins.get(row["derived_from"] or row["sha256"], ()) if other != track]
            shared = [statement for other in others for statement in stated.get(other, ())]
            decision = self._may_give_out([*said, *shared, *([statement_of(withdrawn)] if withdrawn else [])])
            if not decision.is_allowed:
                reason = decision.reason
                if decision.statement in shared and decision.statement not in said:
                    reason += f", of the same recording as {_first(others, stated, decision.statement)}"
                found.append(Refused(crate, *track, reason, withdrawn is not None))
        return found

    def _may_give_out(self, said: Sequence[Statement]) -> Decision:
        return may(said, Action.GIVE_OUT, self._territory, self._when)

    def _current(self, tables: Sequence[pa.Table]) -> Mapping[tuple[str, str], list[Statement]]:
        """What the edition states of the tracks of crates that it still has: one pass over it for all of them."""
        import duckdb  # noqa: PLC0415

        if not tables:
            return {}
        with duckdb.connect() as con:
            con.register("asked", pa.concat_tables([table.select(["source", "track_id"]) for table in tables]))
            rows: list[Any] = con.sql(f"""
                SELECT source, track_id, statement_rows
                FROM {self._edition.rows("track")} SEMI JOIN asked USING (source, track_id)""").fetchall()
        return {
            (source, track_id): [self._statements[row] for row in numbers or ()] for source, track_id, numbers in rows
        }


def _first(tracks: Sequence[Track], stated: Mapping[Track, Sequence[Statement]], statement: Statement | None) -> str:
    """The first of the tracks of which this is stated."""
    return next(
        f"{source}:{track_id}" for source, track_id in tracks if statement in stated.get((source, track_id), ())
    )


def _asked(twins: Mapping[str, Sequence[Track]]) -> pa.Table:
    tracks = sorted({track for found in twins.values() for track in found})
    columns = {"source": [source for source, _ in tracks], "track_id": [track_id for _, track_id in tracks]}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _twins(tables: Sequence[pa.Table]) -> dict[str, list[Track]]:
    """Original's SHA-256 -> the tracks that have it, where those are more than one."""
    import duckdb  # noqa: PLC0415

    if not tables:
        return {}
    names = ["source", "track_id", "sha256", "derived_from"]
    found: dict[str, list[Track]] = {}
    with duckdb.connect() as con:
        con.register("held", pa.concat_tables([table.select(names) for table in tables]))
        rows: list[Any] = con.sql("""
            WITH one AS (SELECT DISTINCT coalesce(derived_from, sha256) AS original, source, track_id FROM held)
            SELECT original, source, track_id FROM one SEMI JOIN
                (SELECT original FROM one GROUP BY original HAVING count(*) > 1) USING (original) ORDER BY ALL""").fetchall()
    for original, source, track_id in rows:
        found.setdefault(original, []).append((source, track_id))
    return found


def _stated(tables: Sequence[pa.Table], tracks: set[Track]) -> dict[Track, list[Statement]]:
    """What the crates themselves state of these tracks."""
    found: dict[Track, list[Statement]] = {}
    for table in tables if tracks else ():
        pairs = zip(table["source"].to_pylist(), table["track_id"].to_pylist(), strict=True)
        for row in [row for row, pair in enumerate(pairs) if pair in tracks]:
            values = {name: table[name][row].as_py() for name in ("source", "track_id", "statements")}
            said = found.setdefault((values["source"], values["track_id"]), [])
            said += [statement_from(one) for one in values["statements"] or ()]
    return found
