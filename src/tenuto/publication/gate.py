"""The third gate: what of an open crate may be given out today (design, law 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from tenuto.catalogue import Edition, load_statements, statement_from
from tenuto.model.ids import track_key
from tenuto.rights import Action, Decision, Statement, may
from tenuto.rights.withdrawals import Log, statement_of


@dataclass(frozen=True, slots=True)
class Refused:
    """A track of an open crate that may not be given out, and why."""

    crate: str
    source: str
    track_id: str
    reason: str
    is_withdrawn: bool


class Gate:
    """Decides for the tracks of crates, by what the current edition states of them; by what the crate states where it is gone."""

    def __init__(self, edition: Edition, log: Log, territory: str, when: date) -> None:
        self._statements = load_statements(edition)
        self._edition = edition
        self._withdrawn = log.by_key()
        self._territory = territory
        self._when = when

    def refused(self, tables: Mapping[str, pa.Table]) -> dict[str, list[Refused]]:
        """Crate -> the tracks of it that may not be given out; crates without any are left out."""
        current = self._current(list(tables.values()))
        found = {crate: self._refused(crate, table, current) for crate, table in tables.items()}
        return {crate: refused for crate, refused in found.items() if refused}

    def open_sources(self) -> set[str]:
        """The sources of which every track may be given out, and of which none was withdrawn, those that are gone included."""
        import duckdb  # noqa: PLC0415

        track, tombstone = self._edition.table("track"), self._edition.table("tombstone")
        with duckdb.connect() as con:
            said = con.sql(f"SELECT source, statement_rows FROM '{track}' GROUP BY ALL").fetchall()
            con.register("log", pa.table({"key": pa.array(list(self._withdrawn), pa.string())}))
            known = con.sql(f"""
                WITH every AS (SELECT source, track_id FROM '{track}'
                               UNION ALL SELECT source, own_id FROM '{tombstone}' WHERE kind = 'track')
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
        self, crate: str, table: pa.Table, current: Mapping[tuple[str, str], Sequence[Statement]]
    ) -> list[Refused]:
        found = []
        for row in table.select(["source", "track_id", "statements"]).to_pylist():
            track = (row["source"], row["track_id"])
            said = current[track] if track in current else [statement_from(one) for one in row["statements"] or ()]
            withdrawn = self._withdrawn.get(track_key(*track))
            decision = self._may_give_out([*said, *([statement_of(withdrawn)] if withdrawn else [])])
            if not decision.is_allowed:
                found.append(Refused(crate, *track, decision.reason, withdrawn is not None))
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
                FROM '{self._edition.table("track")}' SEMI JOIN asked USING (source, track_id)""").fetchall()
        return {
            (source, track_id): [self._statements[row] for row in numbers or ()] for source, track_id, numbers in rows
        }
