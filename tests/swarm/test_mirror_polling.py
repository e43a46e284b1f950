"""A mirror that looks again asks for the signature, and for the index where that has changed; what a look has seen binds."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mirror_maker import CRATES, Holder, World, without_crates
from publication_maker import Asked, Handler, Site, answer, serving, serving_plainly
from tenuto.model.errors import IntegrityError, SkipRecordError
from tenuto.publication.known import KnownPlaces
from tenuto.publication.places import FolderPlace, WebPlace
from tenuto.publication.rereading import IndexReader
from tenuto.swarm import fetching
from tenuto.swarm.work import Mirror

pytestmark = pytest.mark.usefixtures("alone")
ReaderOf = Callable[[str], IndexReader]
NAMES = ["index.json", "index.json.sig"]
INDEX, SIGNATURE = NAMES


@pytest.fixture
def reader_of() -> Iterator[ReaderOf]:
    """Readers of places; their connections are closed."""
    with ExitStack() as closing:

        def made(url: str) -> IndexReader:
            place = WebPlace(url, pause=lambda _: None)
            closing.callback(place.close)
            return IndexReader(place)

        yield made


def asked_of(site: Site) -> list[str]:
    """Index and signature, as they were asked for."""
    return [one.path for one in site.log if one.path in NAMES]


# -- what is asked


def test_an_index_that_is_the_same_is_received_once(world: World, reader_of: ReaderOf) -> None:
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        found = [reader.read(world.public, 7) for _ in range(3)]
        assert found[0] == found[1] == found[2]
        assert asked_of(site) == [INDEX, SIGNATURE, SIGNATURE, SIGNATURE]
        world.sign()
        assert reader.read(world.public, 7).index.sequence == 8
        assert asked_of(site)[4:] == [SIGNATURE, INDEX, SIGNATURE]
        assert reader.read(world.public, 8).index == world.index


def test_caches_are_told_to_ask_for_index_and_signature_and_for_nothing_else(world: World, holder: Holder) -> None:
    with serving(world.folder) as site:
        holder(of=site.url)
        holder(of=site.url)
    told = {one.path for one in site.log if one.headers.get("Cache-Control") == "no-cache"}
    assert told == set(NAMES)
    assert {one.path for one in site.log if "Cache-Control" not in one.headers}.isdisjoint(NAMES)


@pytest.mark.parametrize("changed_s", [0, -60])
def test_a_newer_index_is_seen_whatever_the_times_of_its_files(
    world: World, reader_of: ReaderOf, changed_s: int
) -> None:
    def at(seconds: int) -> None:
        for name in NAMES:
            os.utime(world.folder / name, (seconds, seconds))

    at(1_000_000_000)
    with serving_plainly(world.folder) as url:
        reader = reader_of(url)
        reader.read(world.public, 7)
        world.sign()
        at(1_000_000_000 + changed_s)
        assert reader.read(world.public, 7).index.sequence == 8


def test_a_mirror_that_follows_for_ever_receives_only_what_is_new(
    world: World, holder: Holder, monkeypatch: Any
) -> None:
    """Rounds of one process, as --seed makes them: the end of the third is taken for Ctrl-C."""
    from tenuto.swarm import mirror as module  # noqa: PLC0415
    from tenuto.swarm.founding import Wish  # noqa: PLC0415

    rounds: list[Any] = []
    with serving(world.folder) as site:
        job = module.Job(holder.root, Wish(site.url, 10**9), swarm={"listen": "127.0.0.1:0", "reach": "peers"},
                         is_seeding=True, every_s=600.0, patience_s=3.0)  # fmt: skip

        def on_round(done: Any) -> None:
            rounds.append((done.is_new, len(done.held), done.place_bytes))
            if len(rounds) == 2:
                world.sign()
            if len(rounds) == 4:
                raise KeyboardInterrupt

        monkeypatch.setattr(module, "watch", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            module.mirror(job, holder.said, on_round)
        asked = asked_of(site)
    assert [(is_new, held) for is_new, held, _ in rounds] == [(True, 5), (False, 5), (True, 5), (False, 5)]
    assert rounds[1][2] == rounds[3][2] == 64, "a signature came"
    assert asked == [INDEX, SIGNATURE, SIGNATURE, SIGNATURE, INDEX, SIGNATURE, SIGNATURE]
    holder.assert_holds(world, *CRATES)


# -- what may not be believed


def test_an_old_signature_is_not_believed_where_a_newer_index_was_seen(world: World, reader_of: ReaderOf) -> None:
    old = (world.folder / SIGNATURE).read_bytes()
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        reader.read(world.public, 7)
        world.sign()
        site.lie(SIGNATURE, lambda handler, _, __: handler.reply(200, old), times=1)
        assert reader.read(world.public, 7).index.sequence == 7, "as from a server that shows an old index"
        assert reader.read(world.public, 8).index.sequence == 8
        with pytest.raises(IntegrityError, match="older index"):
            reader.read(world.public, 10)


def test_a_signature_that_is_missing_too_long_or_another_is_named(world: World, reader_of: ReaderOf) -> None:
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        before = reader.read(world.public, 7)
        for trick, said in (
            (answer(404), "holds no"),
            (answer(200, bytes(65)), "more than"),
            (answer(200, bytes(64)), "signature"),
        ):
            site.lie(SIGNATURE, trick)
            with pytest.raises((IntegrityError, SkipRecordError), match=said):
                reader.read(world.public, 7)
            site.lies.clear()
        assert reader.read(world.public, 7) == before


def test_unchanged_is_no_answer_where_nobody_asked_that(world: World, holder: Holder) -> None:
    def lying(handler: Handler, _: Asked, __: bytes) -> None:
        handler.reply(304, b"")

    with serving(world.folder) as site:
        site.lie("index.json", lying)
        with pytest.raises(SkipRecordError, match="HTTP 304"):
            holder(of=site.url)
        site.lies.clear()
        site.lie("heard-a.r0.torrent", lying)
        with pytest.raises(SkipRecordError, match="HTTP 304"):
            holder(of=site.url)
    assert not (holder.layout.publication / "index.json").exists()


def test_what_did_not_verify_is_not_remembered(world: World, reader_of: ReaderOf) -> None:
    good = (world.folder / SIGNATURE).read_bytes()
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        (world.folder / SIGNATURE).write_bytes(bytes(64))
        for _ in range(2):
            with pytest.raises(IntegrityError):
                reader.read(world.public, 7)
        (world.folder / SIGNATURE).write_bytes(good)
        assert reader.read(world.public, 7).index == world.index


def test_another_key_is_refused_though_the_signature_is_the_same(world: World, reader_of: ReaderOf) -> None:
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        reader.read(None, 0)
        with pytest.raises(IntegrityError, match="is pinned"):
            reader.read("0" * 64, 0)


# -- looks while crates are fetched


def test_a_newer_index_that_a_look_saw_binds_though_its_place_is_then_away(
    world: World, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_crates(world)
    with serving(world.folder) as site:
        real = fetching._has_newer

        def look(mirror: Mirror, index: Any) -> bool:
            world.sign()
            is_newer = real(mirror, index)
            for name in NAMES:
                site.lie(name, answer(503))
            return is_newer

        monkeypatch.setattr(fetching, "_has_newer", look)
        done = holder(of=site.url, every_s=0.3, patience_s=6.0)
    assert [one.is_overtaken for one in holder.rounds] == [True, False]
    assert (done.index.sequence, KnownPlaces(holder.layout.known).highest(world.public)) == (7, 8)
    assert set(done.left) == set(CRATES)
    assert all("a newer index was seen" in why for why in done.left.values())


# -- when, and where else


def test_mirrors_do_not_come_together_for_ever() -> None:
    mirror = Mirror(*([None] * 8), patience_s=1.0, every_s=600.0)  # type: ignore[arg-type]
    pauses = [mirror.pause_s() for _ in range(500)]
    assert min(pauses) >= 540.0
    assert max(pauses) <= 660.0
    assert max(pauses) - min(pauses) > 60.0


def test_a_folder_is_read_as_it_is(world: World) -> None:
    reader = IndexReader(FolderPlace(Path(world.folder)))
    reader.read(world.public, 7)
    world.sign()
    assert reader.read(world.public, 7).index.sequence == 8
