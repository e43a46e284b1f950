"""`tenuto seed` and `tenuto mirror --seed` stay as large as they are while others come and go: benchmarks/flat.py, for a minute.

TENUTO_FLAT_MINUTES=30 TENUTO_FLAT_CRATES=1500 is the full count.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarming import tell

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "flat.py"
MINUTES = float(os.environ.get("TENUTO_FLAT_MINUTES", "1"))
CRATES = int(os.environ.get("TENUTO_FLAT_CRATES", "150"))
GROWTH_MAX_FRAC, GROWTH_MAX_BYTES = 0.05, 20_000_000
DESCRIPTORS_MAX = 150
"""libtorrent keeps 40 files open by default, the rest are connections."""


@pytest.mark.long
@pytest.mark.timeout(1200 + MINUTES * 60)
def test_seed_and_mirror_do_not_grow_while_others_come_and_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        sys.executable,
        str(SCRIPT),
        "--minutes",
        str(MINUTES),
        "--crates",
        str(CRATES),
        "--folder",
        str(tmp_path),
        "--json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1100 + MINUTES * 60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert said["faults"] == []
    assert said["visits"] >= 1
    assert said["hang_ups"] >= 3
    assert said["withdrawn"] >= 2
    assert said["fetched_bytes"] > 0
    assert len(said["processes"]) == 2
    for one in said["processes"]:
        name, warm, end = one["process"], one["warm_bytes"], one["end_bytes"]
        size = f"{warm / 1e6:.0f} MB, then {end / 1e6:.0f} MB; at most {one['descriptors_max']} files open"
        tell(capsys, f"{name}, {CRATES} crates, {MINUTES:g} min: {size}")
        assert end - warm < max(GROWTH_MAX_FRAC * warm, GROWTH_MAX_BYTES), name
        assert one["descriptors_max"] < DESCRIPTORS_MAX, name
        assert one["descriptors_end"] <= one["descriptors_warm"] + 20, name
