"""The tracks of an edition as columns for the planner: one array a column, in the order of track rows."""

from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenuto.catalogue import Edition, load_statements
from tenuto.rights import Action, Decision, may

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNKNOWN = -1
"""Stands for null in integer columns."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Columns of equal length; -1 (integers) is unknown, `lossless` is 1, 0 or -1, releases without one are -1.

    `source` numbers the sources. `assumed_listens` are `listens`, but 0 where the source counts other tracks: servers and
    exports leave out what was never heard. They decide bands and order, and are in no share of listens.
    """

    table: pa.Table
    source: Ints
    release_row: Ints
    bytes: Ints
    duration_ms: Ints
    bit_rate_bps: Ints
    lossless: Ints
    popularity: Ints
    listens: Ints
    assumed_listens: Ints
    rank: Ints
    is_offered: Bools
    may_keep: Bools
    may_give_out: Bools
    keep_reason: list[str]

    def __len__(self) -> int:
        return int(self.table.num_rows)


def load_candidates(edition: Edition, territory: str, when: date) -> Candidates:
    """All live tracks with what is offered of them and what may be done, decided for `territory` on the day `when`."""
    with duckdb.connect(config={"threads": 2}) as con:
        table = con.sql(f"""
            SELECT track_row, source, track_id, release_row, duration_ms, popularity, listens_count, listens_scope,
                   listens_rank, licence, statement_rows, offer.track_row IS NOT NULL AS is_offered, bytes,
                   bit_rate_bps, codec, is_lossless
            FROM {edition.rows("track")} track LEFT JOIN {edition.rows("offer")} offer USING (track_row)
            ORDER BY track_row""").to_arrow_table()
    decisions = _decisions(edition, table, territory, when)
    listens = _ints(table, "listens_count")
    source = np.unique(np.array(table.column("source").to_pylist(), dtype=str), return_inverse=True)[1].astype(np.int64)
    return Candidates(
        table=table,
        source=source,
        release_row=_ints(table, "release_row"),
        bytes=_ints(table, "bytes"),
        duration_ms=_ints(table, "duration_ms"),
        bit_rate_bps=_ints(table, "bit_rate_bps"),
        lossless=_ints(table, "is_lossless"),
        popularity=_ints(table, "popularity"),
        listens=listens,
        assumed_listens=_assumed(source, listens),
        rank=_ints(table, "listens_rank"),
        is_offered=np.array(table.column("is_offered").to_pylist(), dtype=np.bool_),
        may_keep=np.array([keep.is_allowed for keep, _ in decisions], dtype=np.bool_),
        may_give_out=np.array([give.is_allowed for _, give in decisions], dtype=np.bool_),
        keep_reason=[keep.reason for keep, _ in decisions],
    )


def _ints(table: pa.Table, name: str) -> Ints:
    column = table.column(name).combine_chunks().cast(pa.int64()).fill_null(UNKNOWN)
    array: Ints = column.to_numpy(zero_copy_only=False)
    return array


def _assumed(source: Ints, listens: Ints) -> Ints:
    is_counted = np.isin(source, np.unique(source[listens >= 0]))
    return np.where((listens < 0) & is_counted, 0, listens)


def _decisions(edition: Edition, table: pa.Table, territory: str, when: date) -> list[tuple[Decision, Decision]]:
    """Keep and give out, decided once for each distinct set of statements."""
    statements = load_statements(edition)
    decided: dict[tuple[int, ...], tuple[Decision, Decision]] = {}
    answers = []
    for rows in table.column("statement_rows").to_pylist():
        key = tuple(rows or ())
        if key not in decided:
            said = [statements[row] for row in key]
            decided[key] = (may(said, Action.KEEP, territory, when), may(said, Action.GIVE_OUT, territory, when))
        answers.append(decided[key])
    return answers
