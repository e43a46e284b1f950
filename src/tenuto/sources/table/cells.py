"""Finding in a row what a mapping's cell speaks of."""

import hashlib
import json
import re
from typing import Any

from tenuto.sources.table.mapping import Cell, MappingFile

_JSON = json.JSONEncoder(default=str)
_HASH_DIGITS = 20
"""80 bits: two of 50 million rows meet by chance in one of a thousand million tables."""


class Cells:
    """The columns of a table as a mapping reads them; a row is a list in their order, or an object."""

    def __init__(self, columns: list[str], mapping: MappingFile) -> None:
        self.count = len(columns)
        self._places = {name: place for place, name in enumerate(columns)}
        self._empty = frozenset({"", *mapping.read.empty})
        self._splitters = {
            cell.separator: re.compile("|".join(map(re.escape, sorted(cell.separators(), key=len, reverse=True))))
            for cells in (mapping.track, mapping.release, *(people.cells for people in mapping.artist))
            for cell in cells.values()
            if cell.separator
        }

    def value(self, row: Any, cell: Cell) -> Any:
        """What a cell holds: None where it is empty, a list where it is several."""
        if cell.constant is not None:
            return cell.constant
        if cell.hash:
            parts = [self._raw(row, column) for column in cell.hash]
            if all(part is None for part in parts):
                return None
            return hashlib.sha256(_JSON.encode(parts).encode()).hexdigest()[:_HASH_DIGITS]
        value = self._raw(row, cell.column or "")
        if cell.separator and isinstance(value, str):
            return [part.strip() for part in self._splitters[cell.separator].split(value) if part.strip()]
        return value

    def _raw(self, row: Any, column: str) -> Any:
        if isinstance(row, dict):
            value = row.get(column)
        else:
            place = self._places.get(column, len(row))
            value = row[place] if place < len(row) else None
        if isinstance(value, str):
            value = value.strip()
            return None if value in self._empty else value
        return value
