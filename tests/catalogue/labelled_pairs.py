"""The labelled pairs of iTunes and Amazon (ditto's text form of the Magellan data), read in place, and how links do on them."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from tenuto.catalogue.clusters.candidates import titles_likeness
from tenuto.catalogue.clusters.features import make_features
from tenuto.catalogue.clusters.find import find_clusters
from tenuto.catalogue.clusters.score import SHARED_PERSON, columns_of, people_likeness, score
from tenuto.model.names import artist_keys

FOLDER = Path(__file__).resolve().parents[2].parent / "shared/data/itunes-amazon/data/er_magellan"
SETS = ("Structured", "Dirty")
PARTS = ("train", "valid", "test")
TRACKS = pa.schema(
    [("track_row", pa.uint32()), ("title", pa.string()), ("artist", pa.list_(pa.string())), ("release_title", pa.string()),
     ("isrc", pa.string()), ("duration_ms", pa.uint32())]
)  # fmt: skip
_TIME = re.compile(r"^(?:(\d+):)?(\d{1,2}):(\d\d)$")


@dataclass(frozen=True, slots=True)
class Measured:
    """Decisions against labels."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def measured(is_link: np.ndarray, is_same: np.ndarray) -> Measured:
    """Count decisions."""
    return Measured(int((is_link & is_same).sum()), int((is_link & ~is_same).sum()), int((~is_link & is_same).sum()))


@cache
def pairs(which: str, part: str) -> tuple[pa.Table, np.ndarray]:
    """Tracks in pairs (rows 2n and 2n + 1), and whether pair n is the same recording."""
    lines = (FOLDER / which / "iTunes-Amazon" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    records, labels = [], []
    for line in lines:
        left, right, label = line.split("\t")
        records += [_fields(left), _fields(right)]
        labels.append(label.strip() == "1")
    rows = [
        {"track_row": n, "title": fields.get("Song_Name") or None,
         "artist": [fields["Artist_Name"]] if fields.get("Artist_Name") else None,
         "release_title": fields.get("Album_Name") or None, "isrc": None, "duration_ms": _ms(fields.get("Time", ""))}
        for n, fields in enumerate(records)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, TRACKS), np.array(labels)


@cache
def scores(which: str, part: str) -> np.ndarray:
    """The score of each pair by itself, no blocking; NaN for a contradiction or where nothing visible is to be compared."""
    tracks, labels = pairs(which, part)
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("pairs", tracks)
        make_features(con, "pairs")
        table = con.sql(
            "SELECT track_row AS row, duration_ms, isrc, name AS key, versions, detail, marks, person, people, person AS who,"
            " key AS text FROM clusters_track ORDER BY row"
        ).to_arrow_table()
    known = {row: n for n, row in enumerate(table.column("row").to_pylist())}
    found = np.full(len(labels), np.nan)
    both = [(n, known[2 * n], known[2 * n + 1]) for n in range(len(labels)) if 2 * n in known and 2 * n + 1 in known]
    where, left, right = (np.array(column) for column in zip(*both, strict=True))
    columns, texts = columns_of(table), table.column("text").combine_chunks()
    a, b = columns[left], columns[right]
    people = np.maximum(people_likeness(a, b), [SHARED_PERSON if _share(tracks, n) else 0 for n in where])
    found[where] = score(
        a, b, titles_likeness(texts.take(pa.array(left)), texts.take(pa.array(right))), people.astype(np.float32)
    )
    return found


def clustered(which: str, part: str, threshold: float) -> np.ndarray:
    """Whether each pair is in one cluster, all tracks of the part put together."""
    tracks, labels = pairs(which, part)
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("tracks", tracks)
        found = find_clusters(con, "tracks", threshold).cluster_row.to_numpy()
    return found[0 : 2 * len(labels) : 2] == found[1::2]


def _share(tracks: pa.Table, n: int) -> bool:
    artists = tracks.column("artist")
    left, right = (set(artist_keys(artists[row].as_py() or [])) for row in (2 * n, 2 * n + 1))
    return bool(left & right)


def _fields(text: str) -> dict[str, str]:
    parts = (part.partition(" VAL") for part in re.split(r"(?:^|\s)COL ", text) if " VAL" in part)
    return {name.strip(): value.strip() for name, _, value in parts}


def _ms(text: str) -> int | None:
    found = _TIME.match(text)
    return None if found is None else (int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])) * 1000
