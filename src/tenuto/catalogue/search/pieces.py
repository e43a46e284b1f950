"""Names that are not plain ASCII words, taken apart by the pieces between white spaces: a piece is folded once for all names."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.catalogue.search.facts import count_word
from tenuto.catalogue.search.words import Names
from tenuto.model.folding import FOLDED_MAX


def pieced(texts: pa.Array, names: Names) -> tuple[pa.Array, pa.Array]:
    """The words of each name as they stand in JSON, spaced, and the word of their count, or of both counts."""
    if not len(texts):
        return pa.array([], pa.string()), pa.array([], pa.string())
    lists = pc.utf8_split_whitespace(texts)
    flat = lists.flatten().dictionary_encode()
    found = names.pieces(flat.dictionary.to_pylist())
    begins, ends, at = _begins(lists), _begins(lists)[1:], flat.indices.to_numpy()
    places = _sums(np.array([piece.places for piece in found], np.int64)[at])
    is_hard = np.array([bool(piece.more) or not piece.is_read_alone for piece in found], bool)
    hard = _sums(is_hard[at].astype(np.int64))
    counts = places[ends] - places[begins[:-1]]
    core_counts = _core_counts(places, np.array([piece.is_end for piece in found], bool)[at], begins)
    words = pa.array([escaped(piece.words) for piece in found], pa.string()).take(flat.indices)
    is_other = (
        (hard[ends] > hard[begins[:-1]]) | (counts == 0) | (pc.binary_length(texts).to_numpy() > FOLDED_MAX)
    )  # these are read as a whole
    others = list(names.of(texts.filter(pa.array(is_other)).to_pylist()))
    counts[is_other] = [count for _, count, _ in others]
    core_counts[is_other] = [count for _, _, count in others]
    whole = pa.array([escaped(text) for text, _, _ in others], pa.string())
    spaced = pc.binary_join(pa.ListArray.from_arrays(pa.array(begins, pa.int32()), words), " ")
    return pc.replace_with_mask(spaced, pa.array(is_other), whole), _kinds(counts, core_counts)


def escaped(text: str) -> str:
    """A text without controls as it stands between the quotes of JSON."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _begins(lists: pa.ListArray) -> npt.NDArray[np.int64]:
    """Where each list begins among the values of all of them, and where the last one ends."""
    offsets = lists.offsets.to_numpy().astype(np.int64)
    begins: npt.NDArray[np.int64] = offsets - offsets[0]
    return begins


def _sums(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of all before each place, and of all."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])


def _core_counts(
    places: npt.NDArray[np.int64], is_end: npt.NDArray[np.bool_], begins: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The places of each name before the first piece, but for the first one, that ends its core; of all where that is none."""
    firsts, ends = begins[:-1], begins[1:]
    is_end[firsts[firsts < ends]] = False
    stops = np.append(np.flatnonzero(is_end), len(is_end))
    stop = np.minimum(stops[np.searchsorted(stops, firsts)], ends)
    before: npt.NDArray[np.int64] = places[stop] - places[firsts]
    return np.where(before > 0, before, places[ends] - places[firsts])


def _kinds(counts: npt.NDArray[np.int64], core_counts: npt.NDArray[np.int64]) -> pa.Array:
    """The words of both counts, of one where they are the same."""
    known, at = np.unique(np.stack([counts, core_counts]), axis=1, return_inverse=True)
    pairs = [sorted({count, core_count}, reverse=True) for count, core_count in known.T.tolist()]
    return pa.array([" ".join(map(count_word, pair)) for pair in pairs], pa.string()).take(pa.array(at.ravel()))
