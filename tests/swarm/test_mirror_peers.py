"""Peers and servers that lie, stall, limit or are not there: what does not prove is never held."""

import time
from pathlib import Path

import pytest

from mirror_maker import CRATES, MIB, Holder, World, poisoned, seeding, without_crates
from publication_maker import serving

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("impatient")]  # processes, and waiting for them

ALL = tuple(CRATES)


# -- peers


def test_a_poisoned_peer_alone_brings_nothing_and_is_named(world: World, tmp_path: Path) -> None:
    bad = poisoned(world, tmp_path / "bad")
    without_crates(world)
    with serving(world.folder) as site, seeding(world, folder=bad, lies=True) as peer:
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder(peers=[peer.address], bands=("heard",), licences=("CC0*",), patience_s=1.5)
        assert set(done.left) == {"meta-0001", "heard-a"}
        assert "other bytes" in done.left["heard-a"]
        assert "127.0.0.1 gave other bytes than were promised and is asked no more" in holder.said.text
        assert peer.sent_bytes < 4 * sum(crate.bytes for crate in world.index.crates)
    holder.assert_holds(world)


def test_what_a_peer_gives_is_kept_when_it_goes_and_the_next_one_gives_the_rest(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world, "heard-b", "meta-0001") as peer:
            first = holder(peers=[peer.address], patience_s=1.0)
        assert set(first.fetched) == {"heard-b", "meta-0001"}
        with seeding(world) as peer:
            second = holder(peers=[peer.address])
        assert first.swarm_bytes + second.swarm_bytes == sum(crate.bytes for crate in world.index.crates)
    holder.assert_holds(world, *ALL)


@pytest.mark.parametrize("rate", [1_500_000])
def test_the_rate_holds_for_peers_of_this_machine_too(world: World, tmp_path: Path, rate: int) -> None:
    without_crates(world)
    with serving(world.folder) as site, seeding(world) as peer:
        holder = Holder(tmp_path / "mirror", site.url)
        begun = time.monotonic()
        done = holder(
            peers=[peer.address], bands=("heard",), licences=("CC0*",), download_bytes_per_s=rate, patience_s=10.0
        )
        took_s = time.monotonic() - begun
    assert done.left == {}
    assert done.swarm_bytes / took_s <= 1.15 * rate, f"{done.swarm_bytes / took_s:,.0f} bytes a second"


def test_a_name_that_nobody_knows_and_a_port_where_nobody_is_hinder_nothing(world: World, tmp_path: Path) -> None:
    without_crates(world)
    with serving(world.folder) as site, seeding(world) as peer:
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder(peers=["nobody.invalid:6881", "127.0.0.1:1", "[::1]:1", peer.address], patience_s=8.0)
    assert done.left == {}
    holder.assert_holds(world, *ALL)


# -- the place as a web seed


def test_a_server_without_ranges_is_read_once_a_crate(world: World, tmp_path: Path) -> None:
    with serving(world.folder, gives_ranges=False) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder(patience_s=8.0)
        assert done.left == {}
        asked = [one.path for one in site.log if one.path.endswith(".zip")]
    total = sum(crate.bytes for crate in world.index.crates)
    assert done.place_bytes < 1.3 * total + 2 * MIB, f"{done.place_bytes:,} of {total:,}, {len(asked)} requests"
    holder.assert_holds(world, *ALL)


def test_a_web_seed_is_read_once_and_not_beyond(world: World, tmp_path: Path) -> None:
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder()
    total = sum(crate.bytes for crate in world.index.crates)
    assert total <= done.swarm_bytes + done.place_bytes <= total + MIB
    holder.assert_holds(world, *ALL)
