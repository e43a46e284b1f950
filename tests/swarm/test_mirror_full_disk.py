"""A disk that is full while a mirror fetches: a sentence and exit 1, and with room it goes on where it was."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mirror_maker import CRATES, MIB, Holder, World, seeding, without_crates, words_of
from publication_maker import serving
from support import tenuto

pytestmark = pytest.mark.long

ALL = tuple(CRATES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("by", ["peers", "folder", "web"])
def test_a_disk_that_is_full_in_mid_piece_stops_it_and_with_room_it_goes_on_where_it_was(
    world: World, small_disk: Path, by: str
) -> None:
    total = sum(crate.bytes for crate in world.index.crates)
    assert total > 6 * MIB
    if by == "peers":
        without_crates(world)
    with serving(world.folder) as site, seeding(world) as peer:
        of = str(world.folder) if by == "folder" else site.url
        holder = Holder(small_disk / "mirror", of)
        words = [*words_of(holder, "--space", "1GB", "--patience", "3s")]
        words += ["--peer", peer.address] if by == "peers" else []
        done = tenuto(*words, code=None, timeout_s=30)
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert "No space left on device" in done.stderr
        assert "a bug" not in done.stderr
        assert "it will be full before all is here" in done.stderr
        held = holder.crates()
        here = sum(path.stat().st_blocks * 512 for path in holder.layout.incoming.glob("*.zip"))
        here += sum(world.crate(crate).bytes for crate in held)
        subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
        again = holder(peers=[peer.address] if by == "peers" else [])
        holder.assert_holds(world, *ALL)
        came = again.swarm_bytes + (again.place_bytes if by == "folder" else 0)
        assert came <= total - here + 6 * MIB, "a piece at most of each that was begun"
        assert not set(again.fetched) & held
        print(f"{by}: {here:,} of {total:,} bytes were here, {came:,} came")  # noqa: T201
