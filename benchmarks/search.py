"""How fast an edition's index is built and answers, and what it weighs, beside SQLite with indexes and FTS5 over the same rows.

python benchmarks/search.py [--tracks 1000000] [--memory 2000000000] [--queries 300] [--folder FOLDER]

The edition is a made-up one (`tenuto.bench`). Queries are drawn from its rows with more weight on what is listened to: whole
titles, title and artist, two words of them, beginnings, and titles with a typo (SQLite is asked for the words as typed: it knows no
typos).
Every figure is taken in a process of its own. Seconds of the processor, summed over threads and processes, are told beside those of
the clock, which other work on the machine makes longer.
"""

import argparse
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from measuring import peak_bytes_of, show

from tenuto.archive.create import create
from tenuto.bench.editions import write_tables
from tenuto.catalogue.edition import Edition, open_edition
from tenuto.catalogue.lookup import Catalogue, build_lookup, build_text
from tenuto.catalogue.runs import batches
from tenuto.catalogue.search.rows import text_rows
from tenuto.catalogue.songs import Song
from tenuto.model.progress import Silent

SEED = 7
QUERY_KINDS = ("title", "title artist", "two words", "begun", "typo")
COLD_RUNS = 7
_CHUNKS = 40
"""Places of the table where queries are drawn."""

Figures = dict[str, float]


def draw(edition: Edition, count: int) -> Iterator[tuple[str, str]]:
    """(kind, text): ids and ISRCs in equal numbers, then texts in equal numbers of each kind."""
    chance = random.Random(SEED)  # noqa: S311 -- no secret
    tracks = edition.info.tables["track"].rows
    starts = [chance.randrange(max(1, tracks - 1_000)) for _ in range(_CHUNKS)]
    rows = [
        {**names, **ids}
        for start in starts
        for texts, codes in zip(
            text_rows(edition, range(start, min(tracks, start + 1_000))),
            batches(edition, "track", ("track_id", "isrc"), range(start, min(tracks, start + 1_000))),
            strict=True,
        )
        for names, ids in zip(texts.to_pylist(), codes.to_pylist(), strict=True)
    ]
    for row in chance.sample(rows, count):
        yield "id", row["track_id"]
        if row["isrc"]:
            yield "isrc", row["isrc"]
    rows.sort(key=lambda row: -(row["popularity"] or 0))
    for n in range(count):
        kind, row = QUERY_KINDS[n % len(QUERY_KINDS)], rows[int(chance.random() ** 3 * len(rows))]
        title, artist = row["title"], (row["artists"] or [""])[0]
        words, place = f"{title} {artist}".split(), chance.randrange(max(1, len(title) - 1))
        yield (
            kind,
            {
                "title": title,
                "title artist": f"{title} {artist}",
                "two words": " ".join(chance.sample(words, min(2, len(words)))),
                "begun": title[: max(3, len(title) * 2 // 3)],
                "typo": title[:place] + title[place + 1 : place + 2] + title[place : place + 1] + title[place + 2 :],
            }[kind],
        )


def timed(work: Callable[[], object]) -> Figures:
    """Seconds of a clock, and of the processor in this process and in those that it started."""

    def spent() -> float:
        of = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in of)

    begin, begun = time.perf_counter(), spent()
    work()
    return {"s": time.perf_counter() - begin, "cpu_s": spent() - begun}


def build(edition: Edition, folder: Path, memory: int, name: str) -> Figures:
    """One of our indexes, or SQLite's: its seconds and its bytes."""
    if name == "sqlite":
        taken = timed(lambda: fill_sqlite(edition, folder / "tracks.db", memory))
        return {**taken, "bytes": (folder / "tracks.db").stat().st_size}
    place = folder / "index" / ("text" if name == "text" else "")
    if name == "text":
        taken = timed(lambda: build_text(edition, place, Silent(), memory))
    else:
        taken = timed(lambda: build_lookup(edition, place, Silent()))
    return {**taken, "bytes": sum(one.stat().st_size for one in place.rglob("*") if one.is_file())}


def fill_sqlite(edition: Edition, path: Path, memory: int) -> None:
    """Tracks with their names, an index for each key, and FTS5 over the names."""
    tracks = range(edition.info.tables["track"].rows)
    with sqlite3.connect(path) as con:
        con.executescript(f"""
            PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{memory // 1024};
            CREATE TABLE track (track_row INTEGER PRIMARY KEY, title, artist, release, weight, track_id, isrc);
            CREATE VIRTUAL TABLE words USING fts5(title, artist, release, content='track', content_rowid='track_row',
                                                  tokenize='unicode61 remove_diacritics 2');""")
        codes = batches(edition, "track", ("track_id", "isrc"), tracks)
        for names, keys in zip(text_rows(edition, tracks), codes, strict=True):
            artists = [", ".join(some) for some in names.column("artists").to_pylist()]
            columns = [names.column(name).to_pylist() for name in ("track_row", "title", "release", "popularity")]
            columns.insert(2, artists)
            con.executemany(
                "INSERT INTO track VALUES (?, ?, ?, ?, ?, ?, ?)",
                zip(*columns, *(column.to_pylist() for column in keys.columns), strict=True),
            )
        con.execute("CREATE INDEX by_id ON track (track_id)")
        con.execute("CREATE INDEX by_isrc ON track (isrc)")
        con.execute("INSERT INTO words(words) VALUES ('rebuild')")
        con.commit()


def ask(works: dict[str, Callable[[str], object]], queries: list[tuple[str, str]]) -> Figures:
    """p50 and p95 in ms of lookups and of texts, by the clock and by the processor, then the p95 of each kind."""
    taken: dict[str, list[float]] = {}
    for kind, text in queries:
        group = "lookup" if kind in works else "text"
        begin, begun = time.perf_counter(), time.thread_time()
        works.get(kind, works["text"])(text)
        used, spent = (time.thread_time() - begun) * 1e3, (time.perf_counter() - begin) * 1e3
        for name, value in ((group, spent), (f"{group} cpu", used), (f"{kind} cpu", used)):
            taken.setdefault(name, []).append(value)
    return {f"{name} p{part}": float(np.percentile(some, part)) for name, some in taken.items() for part in (50, 95)}


def ask_tenuto(edition: Edition, folder: Path, queries: list[tuple[str, str]]) -> Figures:
    """Whole songs; of texts twenty."""

    def found(songs: list[Song]) -> None:
        assert songs

    with Catalogue(edition, folder / "index", Silent()) as catalogue:
        catalogue.search("")
        return ask(
            {
                "id": lambda key: found(catalogue.by_id(key)),
                "isrc": lambda key: found(catalogue.by_isrc(key)),
                "text": catalogue.search,
            },
            queries,
        )


def ask_sqlite(folder: Path, queries: list[tuple[str, str]]) -> Figures:
    """The same rows; texts by FTS5, ranked by popularity, the last word begun."""
    con = sqlite3.connect(folder / "tracks.db")

    def text(typed: str) -> object:
        words = ['"' + word.replace('"', '""') + '"' for word in typed.split()]
        return con.execute(
            "SELECT track.* FROM words JOIN track ON track_row = words.rowid WHERE words MATCH ?"
            " ORDER BY weight DESC, track_row LIMIT 20",
            (" ".join(words) + "*",),
        ).fetchall()

    def key(column: str) -> Callable[[str], object]:
        return lambda value: con.execute(f"SELECT * FROM track WHERE {column} = ?", (value,)).fetchall()

    return ask({"id": key("track_id"), "isrc": key("isrc"), "text": text}, queries)


def cold(archive: Path, folder: Path, words: list[str]) -> Figures:
    """A whole process of `tenuto find`, by the clock and by the processor: the median of some."""
    command = [sys.executable, "-m", "tenuto", "find", *words, "--archive", str(archive), "--index", str(folder)]
    subprocess.run(command, check=True, capture_output=True)  # makes the index where it is missing
    runs = [timed(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(COLD_RUNS)]
    return {name: float(np.median([run[name] for run in runs])) for name in ("s", "cpu_s")}


def one(name: str, folder: Path, memory: int) -> Figures:
    """What is measured in a process of its own."""
    edition = open_edition(next((folder / "archive" / "catalogue").glob("*-*")))
    queries = [(kind, text) for kind, text in msgspec.json.decode((folder / "queries.json").read_bytes())]
    match name:
        case "ask tenuto":
            return ask_tenuto(edition, folder, queries)
        case "ask sqlite":
            return ask_sqlite(folder, queries)
        case "cold id" | "cold text":
            kind, wanted = ("id", ["--id"]) if name == "cold id" else ("title artist", [])
            text = next(text for one, text in queries if one == kind)
            return cold(folder / "archive", folder / "cold", [*wanted, text])
    return build(edition, folder, memory, name)


def figures(built: Figures, tracks: int) -> tuple[str, ...]:
    """Seconds, tracks a second, then µs of the processor and bytes a track."""
    each = (built["cpu_s"] * 1e6 / tracks, built["bytes"] / tracks)
    return (f"{built['s']:.1f}", f"{tracks / built['s']:,.0f}", *(f"{figure:.1f}" for figure in each))


def prepare(folder: Path, tracks: int, count: int) -> None:
    """The archive with its edition, and the queries."""
    layout = create(folder / "archive", "search", "bench@archive.invalid", folder / "keys", {}).layout
    edition = write_tables(layout, SEED, tracks, progress=Silent())
    (folder / "queries.json").write_bytes(msgspec.json.encode(list(draw(edition, count))))


def main() -> int:
    """Make the rows, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, default=2_000_000_000, help="bytes for either index while it is built")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="for rows and indexes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        (asked.folder / f"{asked.one}.json").write_bytes(
            msgspec.json.encode(one(asked.one, asked.folder, asked.memory))
        )
        return 0
    names = ("lookup", "text", "sqlite", "ask tenuto", "ask sqlite", "cold id", "cold text")
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        prepare(Path(made), asked.tracks, asked.queries)
        words = ["--folder", made, "--memory", str(asked.memory)]
        peaks = {name: peak_bytes_of(Path(__file__).resolve(), "--one", name, *words) for name in names}
        said: dict[str, Figures] = {
            name: msgspec.json.decode((Path(made) / f"{name}.json").read_bytes()) for name in names
        }
    show(
        f"building, {asked.tracks:,} tracks",
        ("index", "seconds", "tracks/s", "processor µs/track", "bytes/track", "peak of the first process, MB"),
        [
            (title, *figures(said[name], asked.tracks), f"{peaks[name] / 1e6:,.0f}")
            for name, title in (("lookup", "ids and songs"), ("text", "text"), ("sqlite", "SQLite, all of it"))
        ],
    )
    kinds = sorted(said["ask tenuto"])
    show(
        f"{asked.queries} queries of each, ms",
        ("kind", "tenuto", "SQLite"),
        [(kind, *(f"{said[name][kind]:.2f}" for name in ("ask tenuto", "ask sqlite"))) for kind in kinds],
    )
    show(
        "a new process to its end, ms",
        ("asked for", "clock", "processor"),
        [(kind, *(f"{said[f'cold {kind}'][name] * 1e3:.0f}" for name in ("s", "cpu_s"))) for kind in ("id", "text")],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
