"""The largest crate that there is: 20,000 recordings, described and sealed within the memory that is promised."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

MAKE = """
import hashlib, json, resource, sys, time, zlib
from datetime import date
from pathlib import Path
from types import SimpleNamespace
import pyarrow as pa
from tenuto.crates import compose
from tenuto.crates.journal import Outcome
from tenuto.crates.seal import lay_out, seal
from tenuto.crates.wanted import Wanted
from tenuto.rights import Statement

folder, count = Path(sys.argv[1]), int(sys.argv[2])
(folder / "draft").mkdir()
said = (Statement(basis="permission", licence="CC-BY-4.0", licence_text="CC-BY-4.0", may_keep=True, may_give_out=True),)
found = []
for number in range(count):
    content = f"recording {number} ".encode() * 20
    name = f"{number:05d}.flac"
    (folder / "draft" / name).write_bytes(content)
    wanted = Wanted(
        key=hashlib.sha256(name.encode()).hexdigest(), track_row=number, source="shop", track_id=f"id-{number}", evidence_id=number,
        tier="original", title=f"Ein Lied mit der Nummer {number}", artists=("Anna", f"Künstler {number % 500}"),
        release=f"Platte {number // 12}", release_artist=f"Künstler {number // 12 % 500}", disc_number=1,
        track_number=number % 12 + 1, fetch_id=f"id-{number}", path=f"a/{name}", mime="audio/flac", offered_bytes=len(content),
        duration_ms=200_000, offer_digest="0" * 16, is_lossless=True, licence="CC-BY-4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/", statements=said)
    found.append((wanted, Outcome(
        key=wanted.key, offer_digest="0" * 16, evidence_id=number, file=name, bytes=len(content), mime="audio/flac",
        sha256=hashlib.sha256(content).hexdigest(), crc32=zlib.crc32(content), codec="flac", sample_rate_hz=44_100,
        channels_count=2, samples_count=8_820_000, duration_ms=200_000, tier="original")))
begun = time.monotonic()
crate = "testing-1-all-0001-0a1b2c3d"
holdings = compose.name_open(crate, found)
front = lay_out(crate, compose.items_of(holdings, folder / "draft"))
table = compose.recordings_table(holdings, front)
tables = {name: pa.table({"x": [1]}) for name in ("artist", "release", "track", "credit", "statement")}
info = compose.bag_info(archive="testing", contact="tests@archive.invalid", crate=crate, kind="recordings", access="open",
                        band="all", edition="2026-01-02-0a1b2c3d", plan="p", dated=date(2026, 1, 2), count=count)
seal(folder / f"{crate}.zip", front, compose.open_tail(table, tables, info), info)
took_s = time.monotonic() - begun


def peak_bytes():
    # of this process alone: ru_maxrss still holds the peak of the process that it was forked from
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


print(json.dumps({"took_s": took_s, "peak_bytes": peak_bytes()}))
"""


@pytest.mark.timeout(300)
def test_crate_of_twenty_thousand_recordings_is_sealed_in_less_than_500_mb(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(tmp_path), "20000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["peak_bytes"] < 500e6, told
    assert told["took_s"] < 60, told
    (path,) = tmp_path.glob("*.zip")
    names = zipfile.ZipFile(path).namelist()
    assert sum("/data/audio/" in name for name in names) == 20_000
    assert len({name.casefold() for name in names}) == len(names)
