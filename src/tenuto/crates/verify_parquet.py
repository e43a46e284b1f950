"""What a Parquet file unpacks to, added up from its footer and its pages' own headers before anything is unpacked.

It reads Thrift's compact protocol itself: pyarrow ends the whole process where the footer of a column is off.
"""

from typing import Any

ROWS_MAX = 1_000_000
UNPACKED_MAX_BYTES = 64 * 2**20
"""20,000 recordings unpack to some 20 MB."""

FOOTER_MAX_BYTES = 2**20

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_LONG = 15
"""Types of Thrift's compact protocol, and the size in a list's head that says that a longer one follows."""

_ROWS, _GROUPS, _COLUMNS, _GROUP_ROWS, _CHUNK = 3, 4, 1, 3, 3
_VALUES, _PACKED, _DATA_AT, _DICTIONARY_AT = 5, 7, 9, 11
_PAGE_UNPACKED, _PAGE_PACKED = 2, 3
"""Fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and PageHeader (parquet.thrift)."""

_PAGE_HEADER_MAX_BYTES = 2**16
_DEPTH_MAX = 12
_PAGES_MAX = 100_000
_END_BYTES = 8


def check_claims(content: bytes) -> None:
    """Raise ValueError or LookupError where it is no Parquet file, or has or unpacks to more than any crate's table."""
    size = int.from_bytes(content[-_END_BYTES:-4], "little")
    if not 0 < size <= min(FOOTER_MAX_BYTES, len(content) - _END_BYTES):
        raise ValueError(f"a footer of {size:,} bytes")
    footer = _Thrift(content[-_END_BYTES - size : -_END_BYTES]).struct()
    groups = footer[_GROUPS]
    rows = max(footer[_ROWS], sum(group[_GROUP_ROWS] for group in groups))
    if rows > ROWS_MAX or any(group[_GROUP_ROWS] < 0 for group in groups):
        raise ValueError(f"{rows:,} rows are more than any crate has")
    unpacked = pages = 0
    for group in groups:
        for column in group[_COLUMNS]:
            chunk = column[_CHUNK]
            if chunk[_VALUES] <= 0:  # then no page is read, and its places may be anything
                continue
            at = min(chunk[_DATA_AT], chunk.get(_DICTIONARY_AT, chunk[_DATA_AT]))
            end = at + chunk[_PACKED]
            if not 0 <= at <= end <= len(content):
                raise ValueError("a column does not lie within it")
            while at < end:
                more, at = _page(content, at, end)
                unpacked, pages = unpacked + more, pages + 1
                if unpacked > UNPACKED_MAX_BYTES or pages > _PAGES_MAX:
                    raise ValueError(f"its pages unpack to more than {UNPACKED_MAX_BYTES:,} bytes, as no crate's do")


def _page(content: bytes, at: int, end: int) -> tuple[int, int]:
    """What the page at a place unpacks to, and where the next begins."""
    header = _Thrift(content[at : min(end, at + _PAGE_HEADER_MAX_BYTES)])
    found = header.struct()
    unpacked, packed = found[_PAGE_UNPACKED], found[_PAGE_PACKED]
    if unpacked < 0 or packed < 0:
        raise ValueError("it has a page of no size")
    return unpacked, at + header.at + packed


class _Thrift:
    """Values in Thrift's compact protocol: integers, lists and structs by the ids of their fields; others are passed over."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """A struct; raises LookupError where it is cut."""
        if depth > _DEPTH_MAX:
            raise ValueError("it is nested too deep")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            if kind not in {_TRUE, _FALSE}:
                found[number] = self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in {_LIST, _SET}:
            return self._list(depth)
        if kind not in {_BINARY, _DOUBLE, _BYTE}:
            raise ValueError(f"it has a field of type {kind}")
        size = self._natural() if kind == _BINARY else _END_BYTES if kind == _DOUBLE else 1
        self.at += size
        return None

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        if count == _LONG:
            count = self._natural()
        if count > len(self._content) or depth > _DEPTH_MAX:
            raise ValueError("it has a list that does not lie within it")
        return [self._value(_BYTE if kind in {_TRUE, _FALSE} else kind, depth + 1) for _ in range(count)]

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _natural(self) -> int:
        value = shift = 0
        while (part := self._byte()) & 0x80:
            value |= (part & 0x7F) << shift
            shift += 7
        return value | part << shift

    def _integer(self) -> int:
        """Zigzag."""
        value = self._natural()
        return value >> 1 ^ -(value & 1)
