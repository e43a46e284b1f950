"""Liars that cost time: peers with poisoned pieces, a place that cuts, stalls and lies about a crate."""

import time
from pathlib import Path
from typing import Any

import pytest

from mirror_maker import CRATES, MIB, Holder, World, poisoned, seeding, without_crates
from publication_maker import Asked, Handler, answer, other_bytes, serving, truncated

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("impatient")]

ALL = tuple(CRATES)


def test_a_poisoned_peer_beside_a_good_one_only_costs_time(world: World, tmp_path: Path) -> None:
    bad = poisoned(world, tmp_path / "bad")
    without_crates(world)
    with serving(world.folder) as site, seeding(world, folder=bad, lies=True) as liar, seeding(world) as good:
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder(peers=[liar.address, good.address], patience_s=30.0)
        assert done.left == {}
    holder.assert_holds(world, *ALL)


def test_a_peer_with_some_wrong_pieces_gives_the_others(world: World, tmp_path: Path) -> None:
    bad = poisoned(world, tmp_path / "bad", every=3)
    without_crates(world)
    with serving(world.folder) as site:
        holder = Holder(tmp_path / "mirror", site.url)
        with seeding(world, folder=bad, lies=True) as liar:
            done = holder(peers=[liar.address], patience_s=2.0)
            assert "heard-a" in done.left
            content = (holder.layout.incoming / "heard-a.zip").read_bytes()
        with seeding(world) as good:
            again = holder(peers=[good.address])
        kept = sum(
            content[at : at + MIB] == world.whole("heard-a")[at : at + MIB] for at in range(0, len(content), MIB)
        )
        total = sum(crate.bytes for crate in world.index.crates)
        assert again.swarm_bytes <= total - kept * MIB + 2 * MIB
    holder.assert_holds(world, *ALL)


def stall(handler: Handler, asked: Asked, content: bytes) -> None:
    """Take the request, and say nothing for a while."""
    time.sleep(2.5)
    handler.close_connection = True


def cut_whole(handler: Handler, asked: Asked, content: bytes) -> None:
    """Half of what was announced."""
    handler.close_connection = True
    if asked.range:
        truncated(handler, asked, content)
    else:
        handler.reply(200, content[: len(content) // 2], len(content))


def shorter(handler: Handler, asked: Asked, content: bytes) -> None:
    """An older, shorter file that is honestly given."""
    content = content[: len(content) // 2]
    if asked.range:
        handler.reply_range(asked, content)
    else:
        handler.reply(200, content)


LIES: dict[str, Any] = {
    "shorter": shorter,
    "not there": answer(404, b"no"),
    "a page": answer(200, b"<!doctype html>" * 99, Content_Type="text/html"),
    "redirect to nowhere": answer(302, Location="http://127.0.0.1:1/crates/heard-a.zip"),
    "other bytes": other_bytes,
    "cut": cut_whole,
    "gone": answer(410, b"no"),
    "an error": answer(503, b"no"),
    "stalled": stall,
    "redirect in a circle": answer(302, Location="/crates/heard-a.zip"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_place_that_lies_about_a_crate_is_left_and_a_peer_gives_it(world: World, tmp_path: Path, lie: str) -> None:
    with serving(world.folder) as site, seeding(world) as peer:
        site.lie("heard-a.zip", LIES[lie])
        holder = Holder(tmp_path / "mirror", site.url)
        done = holder(bands=("heard",), licences=("CC0*",), patience_s=2.5)
        assert "heard-a" in done.left
        holder.assert_holds(world, "meta-0001")
        done = holder(peers=[peer.address], patience_s=20.0)
        assert done.left == {}
    holder.assert_holds(world, "meta-0001", "heard-a")
