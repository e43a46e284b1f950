"""Shards: the fewest digits with which none is longer than what one song may cost beside it."""

import hashlib
import time

import pytest

from published_maker import a_shelf
from tenuto.publication.documents import Location, Shard, encode_index, encode_shard, parse_index, parse_shard
from tenuto.publication.shards import SHARD_BYTES, cut


def _entries(tracks, places=1):
    entries = {}
    for number in range(tracks):
        sha256 = hashlib.sha256(b"song %d" % number).hexdigest()
        found = [Location(crate=f"testing-1-heard-{number % 1500:04d}-0a1b2c3d-{place}", bytes=4_000_000, offset=number * 16_384,
                          path=f"data/audio/Änna/Ein Album/{number:02d} Lied [{sha256[:8]}].flac", sha256=sha256)
                 for place in range(places)]  # fmt: skip
        for key in (hashlib.sha256(b"track %d" % number).hexdigest(), sha256):
            entries[key] = found
    return entries


def _fewest(entries):
    """The digits by trying all of them, from the bytes themselves."""
    for digits in range(1, 4):
        prefixes = {key[:digits] for key in entries}
        sizes = [len(encode_shard(Shard(format="tenuto-shard-1", prefix=prefix, entries={
            key: tuple(found) for key, found in entries.items() if key.startswith(prefix)}))) for prefix in prefixes]  # fmt: skip
        if max(sizes, default=0) <= SHARD_BYTES:
            return digits
    return 4


@pytest.mark.parametrize(("tracks", "places"), [(0, 1), (1, 1), (700, 1), (800, 1), (900, 2), (5_000, 1)])
def test_no_shard_is_longer_than_it_may_be_and_no_digit_is_wasted(tracks, places):
    entries = _entries(tracks, places)
    digits, files = cut(entries)
    assert digits == _fewest(entries)
    assert all(len(content) <= SHARD_BYTES for content in files.values())
    found = {key: list(places) for content in files.values() for key, places in parse_shard(content).entries.items()}
    assert found == entries


def test_cutting_takes_time_in_proportion():
    began = time.perf_counter()
    digits, files = cut(_entries(40_000))
    assert (digits, len(files)) == (3, 4096)
    assert time.perf_counter() - began < 20


def test_with_four_digits_a_shard_may_be_longer():
    place = Location(crate="c", path="data/x", offset=0, bytes=1, sha256="0" * 64)
    digits, files = cut({f"0000{number:060x}": [place] for number in range(500)})
    assert (digits, len(files)) == (4, 1)
    assert len(files["0000"]) > SHARD_BYTES


def test_index_of_1500_crates_stays_small(tmp_path):
    shelf = a_shelf(tmp_path)
    shelf("publish")
    index = shelf.index()
    many = tuple(
        index.crates[-1].model_copy(update={"crate": f"testing-1-heard-{number:04d}-0a1b2c3d"})
        for number in range(1500)
    )
    content = encode_index(index.model_copy(update={"crates": many}))
    assert len(content) < 2_000_000
    assert len(parse_index(content).crates) == 1500
