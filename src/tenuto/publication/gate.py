"""The third gate: what of an open crate may be given out today (design, law 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from tenuto.catalogue import Edition, load_statements, statement_from
from tenuto.model.ids import track_key
from tenuto.rights import Action, Statement, may
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

    def refused(self, crate: str, table: pa.Table) -> list[Refused]:
        """The tracks of a crate that may not be given out."""
        current = self._current(table)
        found = []
        for row in table.select(["source", "track_id", "statements"]).to_pylist():
            key = track_key(row["source"], row["track_id"])
            said = current.get((row["source"], row["track_id"])) or [
                statement_from(one) for one in row["statements"] or ()
            ]
            if key in self._withdrawn:
                said = [*said, statement_of(self._withdrawn[key])]
            decision = may(said, Action.GIVE_OUT, self._territory, self._when)
            if not decision.is_allowed:
                found.append(Refused(crate, row["source"], row["track_id"], decision.reason, key in self._withdrawn))
        return found

    def _current(self, table: pa.Table) -> Mapping[tuple[str, str], list[Statement]]:
        """What the edition states of the tracks of a crate that it still has."""
        import duckdb  # noqa: PLC0415

        with duckdb.connect() as con:
            con.register("asked", table.select(["source", "track_id"]))
            rows: list[Any] = con.sql(f"""
                SELECT source, track_id, statement_rows
                FROM '{self._edition.table("track")}' SEMI JOIN asked USING (source, track_id)""").fetchall()
        return {
            (source, track_id): [self._statements[row] for row in numbers or ()] for source, track_id, numbers in rows
        }
