"""How fast the text index is built and answers, and what it weighs, beside SQLite FTS5 with the same rows.

python benchmarks/search.py [--tracks 1000000] [--memory 500000000] [--queries 300]

Rows are those of `tenuto.bench`. Queries are drawn from the rows with more weight on what is listened to: whole titles, title
and artist, two words of them, beginnings, and titles with a typo (SQLite is asked for the words as typed: it knows no typos).
Every figure is taken in a process of its own. Seconds of the processor, summed over threads, are told beside those of the clock,
which other work on the machine makes longer.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tantivy
from measuring import peak_bytes_of, show

from tenuto.bench.catalogue import Catalogue
from tenuto.bench.tables import tables
from tenuto.catalogue.search import TextIndex, build_index
from tenuto.catalogue.search.build import schema
from tenuto.catalogue.search.columns import Documents, artists_of, batches_of, facts_of, order_of, texts_of
from tenuto.catalogue.search.shown import ShownWriter, lines_of
from tenuto.model.progress import Silent

SEED = 7
QUERY_KINDS = ("title", "title artist", "two words", "begun", "typo")


def batches(tracks: int) -> Iterator[pa.RecordBatch]:
    """The rows that `build_index` takes."""
    catalogue = Catalogue(SEED, tracks)
    release = track = pa.record_batch({})
    for name, batch in tables(SEED, tracks):
        if name == "release":
            release = batch
        elif name == "track":
            track = batch
        elif name == "credit":
            first = track.column("track_row")[0].as_py()
            counts = np.bincount(
                batch.column("track_row").to_numpy().astype(np.int64) - first, minlength=track.num_rows
            )
            offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
            names = catalogue.names_of(batch.column("artist_row").to_numpy().astype(np.int64))
            of = pc.subtract(track.column("release_row"), release.column("release_row")[0])
            year = pc.cast(pc.year(release.column("release_date")), pa.uint16())
            yield pa.record_batch({
                "track_row": track.column("track_row"), "title": track.column("title"),
                "artists": pa.ListArray.from_arrays(offsets, names),
                "release": release.column("title").take(of), "listens": track.column("listens_count"),
                "popularity": track.column("popularity"), "year": year.take(of), "licence": pa.nulls(track.num_rows, pa.string()),
                "isrc": track.column("isrc"), "source": track.column("source"),
            })  # fmt: skip


def make(tracks: int, path: Path) -> None:
    """Write the rows."""
    writer = None
    for batch in batches(tracks):
        writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd")
        writer.write_batch(batch)
    assert writer
    writer.close()


def make_queries(path: Path, count: int) -> list[tuple[str, str]]:
    """(kind, text) in equal numbers."""
    chance = random.Random(SEED)  # noqa: S311 -- no secret
    table = pq.read_table(path, columns=["title", "artists", "popularity"])
    order = np.argsort(-table.column("popularity").to_numpy().astype(np.int64), kind="stable")
    made = []
    for n in range(count):
        kind = QUERY_KINDS[n % len(QUERY_KINDS)]
        at = int(order[int(chance.random() ** 3 * len(order))])
        title, artist = table.column("title")[at].as_py(), table.column("artists")[at].as_py()[0]
        words = f"{title} {artist}".split()
        place = chance.randrange(max(1, len(title) - 1))
        text = {
            "title": title,
            "title artist": f"{title} {artist}",
            "two words": " ".join(chance.sample(words, min(2, len(words)))),
            "begun": title[: max(3, len(title) * 2 // 3)],
            "typo": title[:place] + title[place + 1 : place + 2] + title[place : place + 1] + title[place + 2 :],
        }[kind]
        made.append((kind, text))
    return made


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Seconds of a clock and of the processor."""
    begin, begun = time.perf_counter(), time.process_time()
    work()
    return {"s": time.perf_counter() - begin, "cpu_s": time.process_time() - begun}


def build_tantivy(folder: Path, memory: int) -> dict[str, float]:
    """Our index."""
    file = pq.ParquetFile(folder / "rows.parquet")
    taken = timed(lambda: build_index(folder / "index", file.iter_batches(50_000), memory, Silent()))
    return {**taken, "bytes": sum(one.stat().st_size for one in (folder / "index").iterdir())}


def profile(folder: Path, memory: int) -> dict[str, float]:
    """Where the processor's seconds go: names and documents, what is shown, handing over; the rest is tantivy's own thread."""
    spent = dict.fromkeys(("documents", "shown", "handing over"), 0.0)
    documents = Documents()
    index = tantivy.Index(schema(), path=None)
    writer = index.writer(max(15_000_000, memory), 1)
    begun = time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as place, ShownWriter(Path(place)) as shown:
        for batch in batches_of(pq.ParquetFile(folder / "rows.parquet").iter_batches(50_000)):
            at = time.thread_time()
            title, artists, release = texts_of(batch, "title"), artists_of(batch), texts_of(batch, "release")
            facts = facts_of(batch.column("year"), batch.column("licence"))
            order = order_of(batch.column("track_row"), batch.column("listens"), batch.column("popularity"))
            lines = documents.of(title, artists, release, facts, order)
            at, before = time.thread_time(), at
            spent["documents"] += at - before
            shown.add(batch.column("track_row").to_pylist(), lines_of(title, artists, release))
            at, before = time.thread_time(), at
            spent["shown"] += at - before
            for line in lines:
                writer.add_json(line)
            spent["handing over"] += time.thread_time() - at
    writer.commit()
    return {**spent, "tantivy and reading": time.process_time() - begun - sum(spent.values())}


def build_sqlite(folder: Path, memory: int) -> dict[str, float]:
    """FTS5 with texts and popularity in a table beside it."""
    path = folder / "fts5.db"
    with sqlite3.connect(path) as con:
        con.executescript(f"""
            PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{memory // 1024};
            CREATE TABLE track (track_row INTEGER PRIMARY KEY, title, artist, release, weight);
            CREATE VIRTUAL TABLE words USING fts5(title, artist, release, content='track', content_rowid='track_row',
                                                  tokenize='unicode61 remove_diacritics 2');""")

        def fill() -> None:
            for batch in pq.ParquetFile(folder / "rows.parquet").iter_batches(50_000):
                artists = pc.binary_join(batch.column("artists"), ", ")
                columns = [
                    batch.column("track_row"),
                    batch.column("title"),
                    artists,
                    batch.column("release"),
                    batch.column("popularity"),
                ]
                con.executemany(
                    "INSERT INTO track VALUES (?, ?, ?, ?, ?)", zip(*(one.to_pylist() for one in columns), strict=True)
                )
            con.execute("INSERT INTO words(words) VALUES ('rebuild')")
            con.commit()

        taken = timed(fill)
    return {**taken, "bytes": path.stat().st_size}


def ask(search: Callable[[str], object], queries: list[tuple[str, str]]) -> dict[str, float]:
    """p50 and p95 in ms by the clock and by the processor (both search in the thread that asks), then p95 by kind of query."""
    taken: dict[str, list[float]] = {}
    for kind, text in queries:
        begin, begun = time.perf_counter(), time.thread_time()
        search(text)
        used, spent = (time.thread_time() - begun) * 1e3, (time.perf_counter() - begin) * 1e3
        for name, value in (("clock", spent), ("processor", used), (kind, used)):
            taken.setdefault(name, []).append(value)
    halves = {f"p50 {name}": float(np.percentile(taken[name], 50)) for name in ("clock", "processor")}
    return {**halves, **{f"p95 {name}": float(np.percentile(some, 95)) for name, some in taken.items()}}


def ask_tantivy(folder: Path, queries: list[tuple[str, str]]) -> dict[str, float]:
    """Twenty hits with their texts."""
    index = TextIndex.open(folder / "index")
    return ask(index.search, queries)


def ask_sqlite(folder: Path, queries: list[tuple[str, str]]) -> dict[str, float]:
    """The same by FTS5, ranked by popularity, the last word begun."""
    con = sqlite3.connect(folder / "fts5.db")

    def search(text: str) -> object:
        words = ['"' + word.replace('"', '""') + '"' for word in text.split()]
        return con.execute(
            "SELECT track.* FROM words JOIN track ON track_row = words.rowid WHERE words MATCH ?"
            " ORDER BY weight DESC, track_row LIMIT 20",
            (" ".join(words) + "*",),
        ).fetchall()

    return ask(search, queries)


def main() -> int:
    """Make the rows, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, default=500_000_000, help="bytes for either index while it is built")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="for rows and indexes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        queries = [(kind, text) for kind, text in msgspec.json.decode((asked.folder / "queries.json").read_bytes())]
        works: dict[str, Callable[[], dict[str, float]]] = {
            "build_tantivy": lambda: build_tantivy(asked.folder, asked.memory),
            "profile": lambda: profile(asked.folder, asked.memory),
            "build_sqlite": lambda: build_sqlite(asked.folder, asked.memory),
            "ask_tantivy": lambda: ask_tantivy(asked.folder, queries),
            "ask_sqlite": lambda: ask_sqlite(asked.folder, queries),
        }
        (asked.folder / f"{asked.one}.json").write_bytes(msgspec.json.encode(works[asked.one]()))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = Path(made)
        make(asked.tracks, folder / "rows.parquet")
        (folder / "queries.json").write_bytes(msgspec.json.encode(make_queries(folder / "rows.parquet", asked.queries)))
        words = ["--folder", made, "--memory", str(asked.memory)]
        names = ("build_tantivy", "build_sqlite", "ask_tantivy", "ask_sqlite", "profile")
        peaks = {one: peak_bytes_of(Path(__file__).resolve(), "--one", one, *words) for one in names}
        said: dict[str, dict[str, float]] = {
            one: msgspec.json.decode((folder / f"{one}.json").read_bytes()) for one in names
        }
        parts = {one.name: one.stat().st_size for one in (folder / "index").iterdir()}
    built = [
        (title, f"{found['s']:.1f}", f"{asked.tracks / found['s']:,.0f}", f"{found['cpu_s'] * 1e6 / asked.tracks:.1f}",
         f"{found['bytes'] / asked.tracks:.1f}", f"{peaks[one] / 1e6:,.0f}")
        for one, title in (("build_tantivy", "tenuto"), ("build_sqlite", "SQLite FTS5"))
        for found in (said[one],)
    ]  # fmt: skip
    show(
        f"building, {asked.tracks:,} tracks",
        ("index", "seconds", "tracks/s", "processor µs/track", "bytes/track", "peak, MB"),
        built,
    )
    kinds = list(said["ask_tantivy"])
    answered = [
        (title, *(f"{said[one][kind]:.1f}" for kind in kinds), f"{peaks[one] / 1e6:,.0f}")
        for one, title in (("ask_tantivy", "tenuto"), ("ask_sqlite", "SQLite FTS5"))
    ]
    show(f"{asked.queries} queries, 20 hits with their texts, ms", ("index", *kinds, "peak, MB"), answered)
    show("where the processor's time goes, µs a track", tuple(said["profile"]),
         [tuple(f"{spent * 1e6 / asked.tracks:.2f}" for spent in said["profile"].values())])  # fmt: skip
    sizes: dict[str, int] = {}
    for name, size in parts.items():
        kind = name if name.startswith("shown") else name.rpartition(".")[2]
        sizes[kind] = sizes.get(kind, 0) + size
    show(
        "bytes a track by kind of file", tuple(sizes), [tuple(f"{size / asked.tracks:.2f}" for size in sizes.values())]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
