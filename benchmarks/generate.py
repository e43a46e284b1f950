"""How fast a catalogue is made up, as evidence and as tables, and how fast its pages are read, beside the bare JSON decoder.

python benchmarks/generate.py [--tracks 1000000] [--times 3]
"""

import argparse
import resource
import tempfile
import zlib
from datetime import date
from pathlib import Path

import msgspec
from measuring import seconds, seconds_in_turns, show

from tenuto.bench import tables
from tenuto.bench.generate import generate
from tenuto.bench.wanted import Wanted
from tenuto.evidence import read_records
from tenuto.model.answers import Answer
from tenuto.model.progress import Silent
from tenuto.sources import parse
from tenuto.sources.generated import Page


def write(wanted: Wanted, workers: int, folder: Path) -> None:
    """A harvest into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        generate(Path(place), "bench", wanted, workers, Silent())


def answers_of(folder: Path, wanted: Wanted) -> list[Answer]:
    """The pages of tracks of the first file."""
    generate(folder, "bench", wanted, 1, Silent())
    records = read_records(min(folder.rglob("*.warc.gz")))
    return [one.answer for one in records if one.answer and one.answer.request.key.startswith("tracks")]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tracks", type=int, default=1_000_000)
    options.add_argument("--times", type=int, default=3)
    given = options.parse_args()
    wanted = Wanted(seed=1, tracks=given.tracks, on=date(2026, 1, 31))
    small = Wanted(seed=1, tracks=min(given.tracks, 100_000), on=wanted.on)
    with tempfile.TemporaryDirectory() as place:
        answers = answers_of(Path(place) / "pages", small)
        bodies = [answer.body for answer in answers]
        decoder = msgspec.json.Decoder(Page)
        read, decoded, packed = seconds_in_turns(
            [
                lambda: [list(parse("generated", answer)) for answer in answers],
                lambda: [decoder.decode(body) for body in bodies],
                lambda: [zlib.compress(body, 1) for body in bodies],
            ],
            given.times,
        )
        made = {workers: seconds(lambda n=workers: write(wanted, n, Path(place)), given.times) for workers in (1, 2)}  # type: ignore[misc]
        tabled = seconds(lambda: [None for _ in tables(1, given.tracks)], given.times)
    worker_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    rows = [
        ("evidence, one process", f"{given.tracks / made[1]:,.0f}", ""),
        ("evidence, two processes", f"{given.tracks / made[2]:,.0f}", f"{worker_mb:,.0f} MB a process"),
        ("of it zlib level 1 alone, one process", f"{small.tracks / packed:,.0f}", ""),
        ("tables at once, one process", f"{given.tracks / tabled:,.0f}", ""),
        (
            "parse of pages of tracks, to records",
            f"{small.tracks / read:,.0f}",
            f"{decoded / read:.0%} of the bare decoder",
        ),
        ("decoder alone, into checked types", f"{small.tracks / decoded:,.0f}", ""),
    ]
    show(f"{given.tracks:,} tracks", ("what", "tracks/s", "beside"), rows)


if __name__ == "__main__":
    main()
