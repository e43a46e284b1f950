"""How fast tracks are put into clusters, beside what DuckDB needs to group the same rows by ISRC alone; and how well.

python benchmarks/clusters.py [--tracks 2000000] [--memory 2GB] [--threads 2]
python benchmarks/clusters.py --quality [--tracks 200000]: precision and recall, on the labelled pairs of iTunes and Amazon
(tests/catalogue/labelled_pairs.py) and on a generated catalogue whose truth is known (`tenuto.bench`)

Rows are made up, as a large catalogue is: 1.38 tracks a recording, 6 artists a hundred tracks, of which few have many; three titles
in ten say more than a name, one ISRC in ten is missing, one in two hundred belongs to another recording. Each figure is taken in a
process of its own, the made rows lie in a Parquet file.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from measuring import peak_bytes_of, show
from numpy.typing import NDArray

from tenuto import bench
from tenuto.catalogue.clusters import THRESHOLD, find_clusters
from tenuto.catalogue.clusters.features import make_features

WORDS_COUNT, TRACKS_OF_AN_ARTIST, FOREIGN_FRAC = 6_000, 17, 0.1
THRESHOLDS = (0.75, 0.80, 0.85, 0.90, 0.95)
SEED = 1
LABELLED = Path(__file__).resolve().parents[1] / "tests" / "catalogue"
_ONSETS, _VOWELS = "b d f g k l m n r s t v br st tr", "a e i o u ai ou"
ENDINGS = [
    " (feat. {artist})", " - Remastered 2011", " (Live)", " - Live at {word} Hall", " [{word} Remix]", " (Radio Edit)",
    " (Acoustic)", " (Instrumental)", " - Single Version", " (Deluxe Edition)", ", Pt. 2", " [Explicit]", " (Demo)",
    " (Extended Mix)", "!", " (Intro)",
]  # fmt: skip


def words(count: int) -> list[str]:
    """Made-up words, a tenth of them not in ASCII."""
    chance = random.Random(1)  # noqa: S311 -- no secret
    syllables = [one + two for one in _ONSETS.split() for two in _VOWELS.split()]
    made: set[str] = set()
    while len(made) < count:
        word = "".join(chance.choice(syllables) for _ in range(chance.choice((1, 2, 2, 3, 3))))
        made.add(chance.choice((word.replace("e", "é"), word + "'s")) if chance.random() < FOREIGN_FRAC else word)
    return sorted(made)


def make(tracks: int, path: Path) -> None:
    """Write so many tracks in the columns that `find_clusters` reads."""
    recordings = int(tracks / 1.38)
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("word_list", pa.table({"all_words": [words(WORDS_COUNT)]}))
        con.register("ending_list", pa.table({"all_endings": [ENDINGS]}))
        con.execute("CREATE TABLE given AS SELECT * FROM word_list, ending_list")
        con.execute(f"""
            CREATE MACRO chance(n, salt) AS (hash(n, salt) % 1000000) / 1000000.0;
            CREATE MACRO word(n, salt) AS (SELECT all_words FROM given)[
                1 + floor(pow(chance(n, salt), 1.7) * {WORDS_COUNT})::INTEGER];
            CREATE MACRO person(n) AS upper(word(n, 'p1')) || ' ' || word(n, 'p2');
            CREATE MACRO artist_of(n, salt) AS floor(pow(chance(n, salt), 2) * {max(1, tracks // TRACKS_OF_AN_ARTIST)})::INTEGER;
            CREATE TABLE recording AS
            SELECT n, artist_of(n, 'a') AS artist,
                   word(n, 't1') || CASE WHEN chance(n, 'l2') < 0.85 THEN ' ' || word(n, 't2') ELSE '' END
                   || CASE WHEN chance(n, 'l3') < 0.5 THEN ' ' || word(n, 't3') ELSE '' END
                   || CASE WHEN chance(n, 'e') < 0.3 THEN replace(replace(
                          (SELECT all_endings FROM given)[1 + (hash(n, 'ending') % {len(ENDINGS)})::INTEGER],
                          '{{artist}}', person(artist_of(n, 'g'))),
                          '{{word}}', word(n, 'w')) ELSE '' END AS title,
                   (60000 + chance(n, 'd1') * 150000 + chance(n, 'd2') * 150000)::INTEGER AS duration_ms,
                   'DE' || upper(substr(hex(hash(n, 'r')), 1, 3)) || lpad((n % 10000000)::VARCHAR, 7, '0') AS isrc
            FROM range({recordings}) r(n);
            CREATE TABLE copied AS
            SELECT *, unnest(range(CASE WHEN chance(n, 'c') < 0.04 THEN 4 WHEN chance(n, 'c') < 0.3 THEN 2 ELSE 1 END)) AS copy
            FROM recording""")
        con.execute(f"""
            COPY (SELECT (row_number() OVER (ORDER BY hash(n * 8 + copy, 'place') % 1000, n, copy) - 1)::UINTEGER AS track_row,
                   title || CASE WHEN chance(n * 8 + copy, 'v') < 0.1 THEN ' - Remastered' ELSE '' END AS title,
                   CASE WHEN chance(n, 'two') < 0.15 THEN [person(artist), person(artist_of(n, 'second'))]
                        ELSE [person(artist)] END AS artist,
                   'Album ' || word(n // 10, 'album')
                   || CASE WHEN chance(n // 10, 'al') < 0.04 THEN ' (Live)' ELSE '' END AS release_title,
                   CASE WHEN chance(n * 8 + copy, 'no') < 0.1 THEN NULL WHEN chance(n * 8 + copy, 'wrong') < 0.005
                        THEN 'DEAAA' || lpad((n % 1000)::VARCHAR, 7, '0') ELSE isrc END AS isrc,
                   (duration_ms + hash(n * 8 + copy, 'ms') % 700)::UINTEGER AS duration_ms
            FROM copied LIMIT {tracks}) TO '{path}' (FORMAT parquet)""")


def run(path: Path, what: str, memory: str, threads: int) -> str:
    """One of the works, on the rows of that file; says its seconds, those of the CPU, and what came out."""
    with tempfile.TemporaryDirectory(dir=path.parent) as spill:
        options: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads, "memory_limit": memory, "temp_directory": spill, "preserve_insertion_order": False}  # fmt: skip
        with duckdb.connect(Path(spill) / "tables.duckdb", config=options) as con:
            con.execute(f"CREATE VIEW track AS SELECT * FROM '{path}'")
            begin, begin_cpu = time.perf_counter(), time.process_time()
            if what == "isrc":
                found = con.execute(
                    "SELECT count(*) FROM (SELECT isrc, min(track_row), count(*) FROM track GROUP BY isrc)"
                ).fetchall()
                said = f"{found[0][0]:,} ISRCs"
            elif what == "features":
                make_features(con, "track")
                said = "normalised"
            else:
                links = find_clusters(con, "track").links
                said = f"{links.num_rows:,} tracks in {len(links.column('cluster_row').unique()):,} clusters"
            return f"{time.perf_counter() - begin:.2f} {time.process_time() - begin_cpu:.2f} {said}"


def on_generated(tracks: int) -> dict[float, tuple[float, float]]:
    """Precision and recall at each threshold: of pairs of tracks of a generated catalogue, those in one cluster."""
    with duckdb.connect() as con:
        parts: dict[str, list[pa.RecordBatch]] = {}
        for name, batch in bench.tables(SEED, tracks):
            parts.setdefault(name, []).append(batch)
        for name, batches in parts.items():
            con.register(name, pa.Table.from_batches(batches))
        con.execute("""
            CREATE TABLE heard AS
            WITH names AS (SELECT track_row, list(name ORDER BY position) AS artist
                           FROM credit JOIN artist USING (artist_row) GROUP BY track_row)
            SELECT track_row, track.title, artist, release.title AS release_title, isrc, duration_ms
            FROM track LEFT JOIN names USING (track_row) LEFT JOIN release USING (release_row)""")
        truth = bench.truth(SEED, tracks, np.arange(tracks))
        found = {}
        for threshold in THRESHOLDS:
            clusters = find_clusters(con, "heard", threshold).cluster_row.to_numpy().astype(np.int64)
            both = pairs_in(clusters << np.int64(32) | truth)
            found[threshold] = (both / pairs_in(clusters), both / pairs_in(truth))
    return found


def pairs_in(groups: NDArray[np.int64]) -> int:
    """How many pairs there are in groups of equal numbers."""
    counts = np.unique(groups, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def on_labelled() -> dict[float, tuple[float, float]]:
    """The same of the labelled pairs, of all tracks of the test part together; nothing where they are not beside the checkout."""
    sys.path.append(str(LABELLED))
    from labelled_pairs import FOLDER, clustered, measured, pairs  # noqa: PLC0415 -- the tests' own reader

    if not FOLDER.is_dir():
        return {}
    labels = pairs("Structured", "test")[1]
    found = {threshold: measured(clustered("Structured", "test", threshold), labels) for threshold in THRESHOLDS}
    return {threshold: (one.precision, one.recall) for threshold, one in found.items()}


def show_quality(tracks: int) -> None:
    """Print the table of thresholds, and the two figures that count in a line each."""
    measured = {"labelled": on_labelled(), f"generated, {tracks:,}": on_generated(tracks)}
    show("precision and recall of pairs in one cluster", ("pairs", "threshold", "precision", "recall"),
         [(what, f"{threshold:.2f}", f"{precision:.3f}", f"{recall:.3f}")
          for what, found in measured.items() for threshold, (precision, recall) in found.items()])  # fmt: skip
    for what, found in measured.items():
        for name, share in zip(("precision", "recall"), found.get(THRESHOLD, ()), strict=False):
            print(f"{name} ({what}): {share:.3f}")


def main() -> int:
    """Make the rows, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, help="default: 2,000,000; for quality 200,000")
    parser.add_argument("--quality", action="store_true", help="precision and recall instead of speed")
    parser.add_argument("--memory", default="2GB", help="DuckDB's memory_limit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for the rows and what spills")
    parser.add_argument("--one", choices=("isrc", "features", "clusters"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.quality:
        show_quality(asked.tracks or 200_000)
        return 0
    asked.tracks = asked.tracks or 2_000_000
    if asked.one:
        said = run(asked.folder / "tracks.parquet", asked.one, asked.memory, asked.threads)
        (asked.folder / f"{asked.one}.txt").write_text(said)
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = Path(made)
        make(asked.tracks, folder / "tracks.parquet")
        words_of_all = ["--memory", asked.memory, "--threads", str(asked.threads), "--folder", made]
        peaks = {
            one: peak_bytes_of(Path(__file__).resolve(), "--one", one, *words_of_all)
            for one in ("isrc", "features", "clusters")
        }
        taken_by = {one: (folder / f"{one}.txt").read_text().split(" ", 2) for one in peaks}
    plain_s = float(taken_by["isrc"][0])
    titles = {"isrc": "GROUP BY isrc", "features": "normalising alone", "clusters": "clusters"}
    rows = [
        (titles[one], taken, cpu, f"{asked.tracks / float(taken):,.0f}", f"{float(taken) / plain_s:.1f}",
         f"{peaks[one] / 1e6:,.0f}", what)
        for one, (taken, cpu, what) in taken_by.items()
    ]  # fmt: skip
    show(f"{asked.tracks:,} tracks, {asked.threads} threads, DuckDB held to {asked.memory}",
         ("work", "seconds", "of the CPU", "tracks/s", "times GROUP BY", "peak, MB", "result"), rows)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
