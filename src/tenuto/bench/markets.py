"""Where made-up tracks are offered: sets of countries, each with its row, as an edition has them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tenuto.bench.catalogue import MARKET_SETS, Catalogue
from tenuto.bench.chance import I64
from tenuto.bench.columns import Order
from tenuto.bench.pages import market_codes
from tenuto.bench.tables import track_rows
from tenuto.model.tables import AVAILABILITY, MARKET_SET


@dataclass(frozen=True, slots=True)
class MarketSets:
    """The sets that tracks of a catalogue have, by row, and the row of each number in [0, MARKET_SETS) that is used."""

    markets: list[list[str]]
    rows: I64

    def batch(self) -> pa.RecordBatch:
        """The `market_set` table."""
        return pa.record_batch(
            [pa.array(np.arange(len(self.markets)), pa.uint32()), pa.array(self.markets)], schema=MARKET_SET
        )

    def availability_batch(self, catalogue: Catalogue, block: int, order: Order) -> pa.RecordBatch:
        """Which set each track of a block has."""
        rows = track_rows(catalogue, block, order).astype(np.uint32)
        sets = self.rows[catalogue.markets(block, order)].astype(np.uint32)
        return pa.record_batch([pa.array(rows), pa.array(sets)], schema=AVAILABILITY)


def market_sets(catalogue: Catalogue) -> MarketSets:
    """Look for the sets that are used, until all are; they are ordered by their countries."""
    used = np.zeros(MARKET_SETS, dtype=np.bool_)
    for block in range(catalogue.blocks):
        used[catalogue.markets(block, catalogue.order(block))] = True
        if used.all():
            break
    found = {int(number): " ".join(sorted(market_codes(int(number)))) for number in np.flatnonzero(used)}
    listed = sorted(set(found.values()))
    place = {text: row for row, text in enumerate(listed)}
    rows = np.zeros(MARKET_SETS, dtype=np.int64)
    for number, text in found.items():
        rows[number] = place[text]
    return MarketSets([text.split() for text in listed], rows)
