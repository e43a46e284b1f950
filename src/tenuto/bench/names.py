"""Titles and names as columns: how many words, which, and what stands behind them."""

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tenuto.bench.chance import I64, Bools, Dice
from tenuto.bench.figures import within
from tenuto.bench.identifiers import choice, power
from tenuto.bench.words import ENGLISH, SHARES, vocabulary

_TITLE_WORDS = (0.21, 0.26, 0.22, 0.14, 0.08, 0.05, 0.02, 0.02)
_NAME_WORDS = (0.22, 0.58, 0.17, 0.03)
"""One word, two, three …: shapes like those of the titles and names in public dumps; no figure of theirs is repeated."""

_TITLE_EXPONENT = 1.4
"""Above 1: common words are commoner than Zipf's law has it."""

_NAME_EXPONENT = 2.5
"""Names repeat less than words of titles do."""

_SUFFIXES = ("", " (Original Mix)", " (Live)", " (Remix)", " (Instrumental)", " (Acoustic)", " (Radio Edit)", " - Interlude",
             " (Demo)", " (Extended Mix)", " (Outro)", ", Pt. 2", " (Intro)")  # fmt: skip
_SUFFIX_SHARES = (0.895, 0.025, 0.012, 0.012, 0.010, 0.006, 0.008, 0.005, 0.004, 0.006, 0.004, 0.007, 0.006)

VERSIONS = (" - Live", " (Acoustic Version)", " (Remix)", " - Instrumental", " (Extended Mix)", " (Demo Version)")
"""What makes another recording of a song, with the same artist and title before it."""

RELABELLED = (" (Remastered 2011)", " - Remastered", " (Remastered 2019)", " (2015 Remaster)", " - Single Version",
              " (Bonus Track)", " - Mono")  # fmt: skip
"""What stands behind a title though the recording is the same."""

_DELUXE = (" (Deluxe Edition)", " (Remastered)", " (Expanded Edition)", " (Reissue)", "", "")
_LABEL_ENDS = (" Records", " Music", "", " Recordings", " Entertainment", " Digital", " Productions", " Sound")


def languages(dice: Dice, artists: I64) -> I64:
    """The language of each artist, by its number."""
    return choice(dice.unit("language", artists), SHARES)


def titles(dice: Dice, songs: I64, language: I64) -> pa.Array:
    """The title of each song, in the language given; one foreign title in six is English."""
    foreign = dice.unit("title language", songs) < 1 / 6
    base = _phrases(dice, "title", songs, np.where(foreign, ENGLISH, language))
    suffix = pa.array(_SUFFIXES).take(pa.array(choice(dice.unit("title suffix", songs), _SUFFIX_SHARES)))
    return pc.binary_join_element_wise(base, suffix, "")


def names(dice: Dice, artists: I64) -> pa.Array:
    """The name of each artist."""
    return _phrases(dice, "name", artists, languages(dice, artists))


def labels(dice: Dice, ranks: I64) -> pa.Array:
    """The name of each label, by its rank."""
    base = _phrases(dice, "name", ranks + 2**40, np.zeros(len(ranks), dtype=np.int64))
    ends = pa.array(_LABEL_ENDS).take(pa.array(dice.below("label end", ranks, len(_LABEL_ENDS))))
    return pc.binary_join_element_wise(base, ends, "")


def reissued(dice: Dice, releases: I64, is_so: Bools, title: pa.Array) -> pa.Array:
    """The titles of releases, those of reissues with what marks them."""
    ends = pa.array(_DELUXE).take(pa.array(dice.below("reissue title", releases, len(_DELUXE))))
    ends = pc.if_else(pa.array(is_so), ends, "")
    return pc.binary_join_element_wise(title, ends, "")


def version_titles(dice: Dice, tracks: I64, is_version: Bools, title: pa.Array) -> pa.Array:
    """Titles of other versions: the song's and what marks the version."""
    ends = pa.array(VERSIONS).take(pa.array(dice.below("version title", tracks, len(VERSIONS))))
    return pc.binary_join_element_wise(title, pc.if_else(pa.array(is_version), ends, ""), "")


def respelled(dice: Dice, tracks: I64, is_same: Bools, title: pa.Array) -> pa.Array:
    """Titles of the same recording as sources spell them anew: one in eight is marked, one in twelve spelled otherwise."""
    chance = dice.unit("spelling", tracks)
    ends = pa.array(RELABELLED).take(pa.array(dice.below("relabelled", tracks, len(RELABELLED))))
    is_marked = is_same & (chance < 1 / 8)
    marked = pc.binary_join_element_wise(title, pc.if_else(pa.array(is_marked), ends, ""), "")
    rows = np.flatnonzero(is_same & (chance >= 7 / 8) & (chance < 7 / 8 + 1 / 12))
    if not len(rows):
        return marked
    ways = dice.below("spelled otherwise", tracks[rows], 4).tolist()
    spelled = [_spelled(text, way) for text, way in zip(marked.take(pa.array(rows)).to_pylist(), ways, strict=True)]
    is_spelled = np.zeros(len(tracks), dtype=np.bool_)
    is_spelled[rows] = True
    return pc.replace_with_mask(marked, pa.array(is_spelled), pa.array(spelled, pa.string()))


def featuring(title: pa.Array, is_so: Bools, guest: pa.Array) -> pa.Array:
    """Titles, some of them with the name of a guest behind."""
    ends = pc.if_else(pa.array(is_so), pc.binary_join_element_wise(" (feat. ", guest, ")", ""), "")
    return pc.binary_join_element_wise(title, ends, "")


def _spelled(title: str, way: int) -> str:
    if way == 0:
        return title.upper()
    if way == 1:
        return title.lower()
    if way == 2:  # noqa: PLR2004 -- the third of four ways
        return title.replace(" (", " [").replace(")", "]") if "(" in title else title.replace(" ", "  ", 1)
    bare = "".join(c for c in unicodedata.normalize("NFD", title) if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", bare)


def _phrases(dice: Dice, purpose: str, which: I64, language: I64) -> pa.Array:
    """Some words of a language for each number."""
    known = vocabulary(purpose)
    shares = _TITLE_WORDS if purpose == "title" else _NAME_WORDS
    counts = 1 + choice(dice.unit(f"{purpose} words", which), shares)
    place = np.repeat(which, counts) * 8 + within(counts)
    spoken = np.repeat(language, counts)
    chance, size = dice.unit(f"{purpose} word", place), known.size[spoken]
    if purpose == "title":
        ranks = np.minimum(np.exp(chance**_TITLE_EXPONENT * np.log(size + 1.0)).astype(np.int64) - 1, size - 1)
    else:
        ranks = power(chance, size, _NAME_EXPONENT)
    words = known.words.take(pa.array(known.base[spoken] + ranks))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), words)
    return pc.binary_join(lists, known.gaps.take(pa.array(language)))
