"""Rows of an edition as documents for tantivy: one line of JSON each, put together by Arrow, a batch at a time.

Most names are plain ASCII words; Arrow folds these. The others are folded in Python, as are queries (`pieces`).
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.catalogue.search.facts import ROW_MAX, licence_word
from tenuto.catalogue.search.pieces import escaped, pieced
from tenuto.catalogue.search.words import KNOWN_CHARACTERS, KNOWN_MAX, WORD_MAX, Names

WEIGHT_STEPS = 1024
"""Steps of a track's weight in each doubling of listens: 16 bits hold every count of listens there is."""

_WEIGHT_MAX = 2**16 - 1
_POPULAR_FROM_OCTAVES, _OCTAVES_A_POINT = 10.0, 0.22
"""Where there is only a popularity p, it weighs as 2^(10 + 0.22 p) listens: tracks of popularity 0 have under 1,000, and the most
popular one has 4 thousand millions (docs/decisions/0013-search.md)."""

_PLAIN = "^[A-Za-z0-9]+( [A-Za-z0-9]+)*$"
_GUESTS = (" feat", " ft")
_BATCH_ROWS = 32_768

COLUMNS = ("track_row", "title", "artists", "release", "listens", "popularity", "year", "licence")
"""What is read of the rows; others, such as isrc and source, are looked up elsewhere."""


class Documents:
    """Makes documents; remembers the names of artists, which come again."""

    def __init__(self) -> None:
        self._people: dict[str, str] = {}
        self._characters = 0
        self._names = Names()

    def of(
        self, title: pa.Array, artists: pa.ListArray, release: pa.Array, facts: pa.Array, order: pa.Array
    ) -> list[str]:
        """One JSON object a row, from columns of equal length without nulls."""
        words, counts = _words(title, self._names)
        names = artists.values.dictionary_encode()
        people = pa.array(self._artists(names.dictionary.to_pylist()), pa.string()).take(names.indices)
        albums = release.dictionary_encode()
        columns = (
            '{"title":"', words,
            '","artist":"', pc.binary_join(pa.ListArray.from_arrays(artists.offsets, people), " "),
            '","release":"', _words(albums.dictionary, self._names)[0].take(albums.indices),
            '","fact":"', counts, facts,
            '","order":', pc.cast(order, pa.string()), "}",
        )  # fmt: skip
        documents: list[str] = pc.binary_join_element_wise(*columns, "").to_pylist()
        return documents

    def _artists(self, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in self._people]
        if len(self._people) > KNOWN_MAX or self._characters > KNOWN_CHARACTERS:
            self._people.clear()
            self._characters = 0
            unknown = names
        if unknown:
            self._characters += sum(map(len, unknown))
            self._people.update(
                zip(unknown, _words(pa.array(unknown, pa.string()), self._names)[0].to_pylist(), strict=True)
            )
        return [self._people[name] for name in names]


def batches_of(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows in batches of a size that bounds memory, with the columns that are read."""
    for batch in rows:
        wanted = batch.select(list(COLUMNS))
        for begin in range(0, batch.num_rows, _BATCH_ROWS):
            yield wanted.slice(begin, _BATCH_ROWS)


def texts_of(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of texts, empty where there is none."""
    return pc.fill_null(pc.cast(batch.column(name), pa.string()), "")


def artists_of(batch: pa.RecordBatch) -> pa.ListArray:
    """The artists of each row, lists that begin at 0, without nulls."""
    lists = pc.cast(batch.column("artists"), pa.list_(pa.string()))
    if lists.null_count:
        lists = pa.array([names or [] for names in lists.to_pylist()], pa.list_(pa.string()))
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return pa.ListArray.from_arrays(offsets, pc.fill_null(lists.flatten(), ""))


def weights(listens: pa.Array, popularity: pa.Array) -> npt.NDArray[np.uint64]:
    """0 to 65535 a row: a count of listens on a scale of doublings, else the popularity on the same; 0 where there is neither."""
    heard = pc.fill_null(listens, 0).to_numpy(zero_copy_only=False).astype(np.float64)
    liked = pc.fill_null(popularity, 0).to_numpy(zero_copy_only=False).astype(np.float64)
    by_popularity = np.where(liked > 0, _POPULAR_FROM_OCTAVES + _OCTAVES_A_POINT * liked, 0)
    octaves = np.where(pc.is_valid(listens).to_numpy(zero_copy_only=False), np.log2(1 + heard), by_popularity)
    found: npt.NDArray[np.uint64] = np.minimum(_WEIGHT_MAX, np.floor(WEIGHT_STEPS * octaves)).astype(np.uint64)
    return found


def order_of(row: pa.Array, listens: pa.Array, popularity: pa.Array) -> pa.Array:
    """One number a row, all different, by which results are sorted downwards: weight above, row below."""
    rows = row.to_numpy(zero_copy_only=False).astype(np.uint64)
    return pa.array((weights(listens, popularity) << np.uint64(32)) | (np.uint64(ROW_MAX) - rows))


def facts_of(year: pa.Array, licence: pa.Array) -> pa.Array:
    """What tracks are filtered by, as words of a field of its own."""
    years = pc.binary_join_element_wise(" y", pc.cast(year, pa.string()), "")
    kinds = licence.dictionary_encode()
    words = pa.array([f" {escaped(licence_word(text))}" for text in kinds.dictionary.to_pylist()], pa.string())
    return pc.binary_join_element_wise(pc.fill_null(years, ""), pc.fill_null(words.take(kinds.indices), ""), "")


def _words(texts: pa.Array, names: Names) -> tuple[pa.Array, pa.Array]:
    """The words of each name, spaced, and the word of their count, or of both counts."""
    if not len(texts):
        return pa.array([], pa.string()), pa.array([], pa.string())
    is_short = pc.less_equal(pc.binary_length(texts), WORD_MAX)
    is_plain = pc.and_(is_short, pc.match_substring_regex(texts, _PLAIN))
    lower = pc.ascii_lower(texts)
    for guests in _GUESTS:
        is_plain = pc.and_not(is_plain, pc.match_substring(lower, guests))
    counts = pc.binary_join_element_wise("n", pc.cast(pc.add(pc.count_substring(lower, " "), 1), pa.string()), "")
    is_other = pc.invert(is_plain)
    words, kinds = pieced(texts.filter(is_other), names)
    return pc.replace_with_mask(lower, is_other, words), pc.replace_with_mask(counts, is_other, kinds)
