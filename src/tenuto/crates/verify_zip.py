"""The ZIP structure of a crate, held against the one form that crates have: by its local headers, from the front, and by its
central directory. Whatever is off is a finding; a file that is cut is read as far as it goes.
"""

import os
import struct
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tenuto.crates import zipform
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.crates.zipform import LOCAL_BYTES, Entry

Report = Callable[[str, str, str], None]
"""Takes a code, a path in the crate (or nothing) and a sentence."""

ENTRIES_MAX = 200_000
"""Ten times the recordings that a crate may hold; more is an attack."""

_DIRECTORY_MAX_BYTES = 128 * 2**20
_LIMIT = 0xFFFFFFFF
_END_BYTES, _LOCATOR_BYTES, _END64_BYTES, _CENTRAL_BYTES = 22, 20, 56, 46
_COMMENT_MAX = 0xFFFF
_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE, _END_SIGNATURE = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_LOCATOR_SIGNATURE, _END64_SIGNATURE = b"PK\6\7", b"PK\6\6"
_FIELDS = ((4, 6, "version"), (6, 8, "flags"), (8, 10, "method"), (10, 14, "date and time"), (14, 18, "CRC-32"),
           (18, 22, "packed size"), (22, 26, "size"), (26, 28, "length of name"), (28, 30, "length of extra"))  # fmt: skip
_REACHES_OVER = "its header gives it bytes that reach over the next header or the end"


@dataclass(slots=True)
class Structure:
    """What lies where: entries by their full names, in the order of the file."""

    crate: str
    size: int
    """Where the file ends by its own end record, or as far as it is there."""
    live: list[Entry] = field(default_factory=list)
    neutral: list[Entry] = field(default_factory=list)
    directory: int | None = None

    def path_of(self, entry: Entry) -> str:
        """From the bag's folder on."""
        return entry.name.removeprefix(f"{self.crate}/")


def read_structure(descriptor: int, crate: str, size: int, report: Report) -> Structure:
    """The structure of a crate file's first `size` bytes, everything that is not canonical reported as `zip-structure`."""
    return _Walk(descriptor, crate, size, report).walk()


class _Walk:
    def __init__(self, descriptor: int, crate: str, size: int, report: Report) -> None:
        self._descriptor = descriptor
        self._found = Structure(crate, size)
        self._report = report
        self._named: dict[int, tuple[str, int, int]] = {}
        self._offsets: list[int] = []

    def walk(self) -> Structure:
        found = self._found
        self._read_directory()
        stop = found.size if found.directory is None else found.directory
        at = 0
        while at < stop and len(found.live) + len(found.neutral) < ENTRIES_MAX:
            entry = self._entry(at, stop)
            if entry is None:
                at = self._following(at, stop)
                continue
            is_neutral = at not in self._named and self._is_neutral(entry)
            (found.neutral if is_neutral else found.live).append(entry)
            at = entry.end
        if at < stop:
            self._zip("", f"it has more than {ENTRIES_MAX:,} entries")
        self._check_places()
        if found.directory is not None:
            self._check_directory(found.directory)
        return found

    def _zip(self, path: str, message: str) -> None:
        self._report("zip-structure", path, message)

    def _following(self, at: int, stop: int) -> int:
        place = bisect_right(self._offsets, at)
        return self._offsets[place] if place < len(self._offsets) else stop

    def _entry(self, at: int, stop: int) -> Entry | None:
        """The entry whose local header is at `at`: as the central directory says where that fits, else by the header itself."""
        until = self._following(at, stop)
        named = self._placed(at, until)
        raw = os.pread(self._descriptor, LOCAL_BYTES, at)
        if len(raw) == LOCAL_BYTES and raw[:4] == _LOCAL_SIGNATURE:
            raw += os.pread(self._descriptor, sum(struct.unpack_from("<HH", raw, 26)), at + LOCAL_BYTES)
        if named is not None and _same(raw, named):
            return named
        own = _parse_local(raw, at)
        some = named or own
        path = self._found.path_of(some) if some is not None else ""
        if own is None:
            if self._found.directory is not None:
                self._zip(
                    path, f"bytes {at:,} to {until:,} should begin with its local header, and hold none that is whole"
                )
            return named
        if at not in self._named and self._found.directory is not None and not self._is_neutral(own):
            self._zip(path, f"the entry at byte {at:,} is not in the central directory")
        self._check_local(path, raw, named or own)
        if named is None and own.end > until:
            self._zip(path, f"{_REACHES_OVER}: {own.bytes:,} bytes from byte {own.offset:,}")
            return None
        return named or own

    def _placed(self, at: int, until: int) -> Entry | None:
        """The entry that the directory names at `at`, where it ends as it must, where the next begins."""
        if at not in self._named:
            return None
        name, size, crc32 = self._named[at]
        made = [zipform.place(name, at, size, crc32, is_aligned=is_aligned) for is_aligned in (False, True)]
        fitting = [entry for entry in made if entry.end == until]
        # A withdrawn entry may follow that the directory does not name.
        before = [entry for entry in made if entry.end < until and self._begins_local(entry.end)]
        return next(iter(fitting + before), None)

    def _begins_local(self, at: int) -> bool:
        return os.pread(self._descriptor, 4, at) == _LOCAL_SIGNATURE

    def _check_local(self, path: str, raw: bytes, entry: Entry) -> None:
        if _same(raw, entry):
            return
        try:
            due = zipform.local_header(entry)
        except struct.error:
            self._zip(path, f"the local header at byte {entry.header_offset:,} has an extra field that no crate has")
            return
        said = [
            f"{what} {int.from_bytes(raw[a:b], 'little'):#x} where {int.from_bytes(due[a:b], 'little'):#x} is due"
            for a, b, what in _FIELDS
            if raw[a:b] != due[a:b]
        ]
        self._zip(
            path,
            f"the local header at byte {entry.header_offset:,} has {'; '.join(said) or 'another name or extra field'}",
        )

    def _is_neutral(self, entry: Entry) -> bool:
        prefix = f"{self._found.crate}/withdrawn/"
        return entry.name == prefix[: len(entry.name)].ljust(len(entry.name), "_")

    def _check_places(self) -> None:
        """Data lie where `place` puts them: aligned from behind `bagit.txt` up to `leaves.bin`; withdrawn ones are zeros by CRC."""
        found = self._found
        leaves = next((entry for entry in found.live if found.path_of(entry) == "leaves.bin"), None)
        last = leaves.header_offset if leaves else found.size
        for entry in sorted([*found.live, *found.neutral], key=lambda one: one.header_offset):
            is_aligned = 0 < entry.header_offset <= last
            due = zipform.place(entry.name, entry.header_offset, entry.bytes, entry.crc32, is_aligned=is_aligned)
            if due.offset != entry.offset:
                self._zip(found.path_of(entry), f"its data begin at byte {entry.offset:,}, not at {due.offset:,}")
        for entry in found.neutral:
            if entry.crc32 != _crc32_of_zeros(entry.bytes):
                self._zip(
                    found.path_of(entry), f"the withdrawn entry at byte {entry.header_offset:,} has no CRC-32 of zeros"
                )

    # --- the central directory

    def _read_directory(self) -> None:
        end = self._find_end()
        if end is None:
            self._report(
                "crate-cut", "", f"byte {self._found.size:,} is not the end of a ZIP archive: the end is missing"
            )
            return
        place = self._directory_place(end)
        if place is None:
            return
        offset, size = place
        if size > _DIRECTORY_MAX_BYTES:
            self._zip("", f"its central directory has {size:,} bytes, more than any crate's")
            return
        self._found.directory = offset
        self._parse_directory(os.pread(self._descriptor, size, offset))
        self._offsets = sorted(self._named)

    def _find_end(self) -> int | None:
        """Where the end record begins; bytes behind it are reported and left out."""
        begin = max(0, self._found.size - _END_BYTES - _COMMENT_MAX)
        last = os.pread(self._descriptor, self._found.size - begin, begin)
        place = last.rfind(_END_SIGNATURE)
        while place >= 0 and len(last) - place < _END_BYTES:
            place = last.rfind(_END_SIGNATURE, 0, place)
        if place < 0:
            return None
        behind = len(last) - place - _END_BYTES
        if behind:
            self._zip("", f"{behind:,} bytes follow the end of the archive at byte {self._found.size - behind:,}")
            self._found.size -= behind
        return begin + place

    def _directory_place(self, end: int) -> tuple[int, int] | None:
        _, _, _, count, size, offset, _ = struct.unpack("<HHHHIIH", os.pread(self._descriptor, _END_BYTES, end)[4:])
        upto = end
        locator = os.pread(self._descriptor, _LOCATOR_BYTES, max(0, end - _LOCATOR_BYTES))
        if (locator[:4] == _LOCATOR_SIGNATURE and _LIMIT in {size, offset}) or count == _COMMENT_MAX:
            upto = end - _LOCATOR_BYTES - _END64_BYTES
            record = os.pread(self._descriptor, _END64_BYTES, max(0, upto))
            if upto < 0 or record[:4] != _END64_SIGNATURE:
                self._zip("", "it says that it has ZIP64 end records, and has none where they belong")
                return None
            size, offset = struct.unpack_from("<QQ", record, 40)
        if offset + size != upto:
            self._zip("", f"its central directory should end at byte {upto:,} and is said to end at {offset + size:,}")
            offset = upto - size
        return (offset, size) if offset >= 0 else None

    def _parse_directory(self, content: bytes) -> None:
        at = 0
        names: Counter[str] = Counter()
        while at < len(content):
            head = content[at : at + _CENTRAL_BYTES]
            if len(head) < _CENTRAL_BYTES or head[:4] != _CENTRAL_SIGNATURE or len(names) > ENTRIES_MAX:
                self._zip("", f"its central directory is no directory from its byte {at:,} on")
                break
            crc32, packed, size, name_bytes, extra_bytes, comment_bytes = struct.unpack_from("<IIIHHH", head, 16)
            (offset,) = struct.unpack_from("<I", head, 42)
            at += _CENTRAL_BYTES
            name = content[at : at + name_bytes].decode("utf-8", "surrogateescape")
            extra = content[at + name_bytes : at + name_bytes + extra_bytes]
            at += name_bytes + extra_bytes + comment_bytes
            size, offset = _large(extra, size, packed, offset)
            names[name] += 1
            if offset in self._named:
                self._zip(_shown(name), f"its central directory names the byte {offset:,} twice")
            self._named[offset] = (_shown(name), size, crc32)
        for name, count in names.items():
            if count > 1:
                self._zip(_shown(name), f"its central directory names it {count} times")

    def _check_directory(self, offset: int) -> None:
        """The directory and the end are exactly what the entries give."""
        found = self._found
        for at in sorted(set(self._named) - {entry.header_offset for entry in found.live}):
            self._zip(self._named[at][0], f"its central directory names an entry at byte {at:,}, where there is none")
        there = os.pread(self._descriptor, found.size - offset, offset)
        due = zipform.directory(found.live, offset)
        if there != due:
            place = next(
                (n for n, (a, b) in enumerate(zip(there, due, strict=False)) if a != b), min(len(there), len(due))
            )
            self._zip("", f"its central directory or end is not what its entries give, from byte {offset + place:,} on")


def _same(raw: bytes, entry: Entry) -> bool:
    try:
        return raw == zipform.local_header(entry)
    except (struct.error, UnicodeError):
        return False


def _parse_local(raw: bytes, at: int) -> Entry | None:
    if len(raw) < LOCAL_BYTES or raw[:4] != _LOCAL_SIGNATURE:
        return None
    crc32, _, size, name_bytes, extra_bytes = struct.unpack_from("<IIIHH", raw, 14)
    if len(raw) != LOCAL_BYTES + name_bytes + extra_bytes:
        return None
    extra = raw[LOCAL_BYTES + name_bytes :]
    if size == _LIMIT and extra[:4] == struct.pack("<HH", 1, 16) and len(extra) >= 20:  # noqa: PLR2004 -- head and two sizes
        (size,) = struct.unpack_from("<Q", extra, 4)
    name = _shown(raw[LOCAL_BYTES : LOCAL_BYTES + name_bytes].decode("utf-8", "surrogateescape"))
    return Entry(name, at, at + len(raw), size, crc32)


def _shown(name: str) -> str:
    """A name that can be printed and encoded: what is no UTF-8 becomes U+FFFD, and is then not canonical."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _large(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int]:
    """Size and offset of a central entry, from its ZIP64 field where they stand there (APPNOTE 4.5.3)."""
    if len(extra) >= 4 and extra[:2] == b"\1\0":  # noqa: PLR2004 -- head of an extra field
        values = [value for (value,) in struct.iter_unpack("<Q", extra[4 : 4 + (len(extra) - 4) // 8 * 8])]
        large = iter(values)
        size = next(large, size) if size == _LIMIT else size
        packed = next(large, packed) if packed == _LIMIT else packed
        offset = next(large, offset) if offset == _LIMIT else offset
    return size, offset


def _crc32_of_zeros(count: int) -> int:
    zeros, found = bytes(min(count, 64 * BLOCK_BYTES)), 0
    while count:
        found = zlib.crc32(zeros[:count], found)
        count -= min(count, len(zeros))
    return found
