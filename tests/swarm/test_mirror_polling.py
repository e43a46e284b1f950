"""A mirror that looks again asks a web server only whether its index is another one; a server that lies about that does no harm."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import tenuto.publication.rereading
from mirror_maker import CRATES, Holder, World
from publication_maker import Asked, Handler, Site, serving, serving_plainly
from tenuto.model.errors import IntegrityError, SkipRecordError
from tenuto.publication.places import WebPlace
from tenuto.publication.places.validators import Validators, validators_of
from tenuto.publication.rereading import IndexReader
from tenuto.swarm.work import Mirror

pytestmark = pytest.mark.usefixtures("alone")
ReaderOf = Callable[[str], IndexReader]
DATE = ("Date", "Sat, 21 Nov 2026 12:00:10 GMT")
OLD = ("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
NAMES = ["index.json", "index.json.sig"]


@pytest.fixture
def reader_of() -> Iterator[ReaderOf]:
    """Readers of places; their connections are closed."""
    with ExitStack() as closing:

        def made(url: str) -> IndexReader:
            place = WebPlace(url, pause=lambda _: None)
            closing.callback(place.close)
            return IndexReader(place)

        yield made


def said(site: Site) -> list[tuple[str, bool]]:
    """What was asked for, and whether with a condition."""
    return [(one.path, any(name.startswith("If-") for name in one.headers)) for one in site.log]


def tagging(handler: Handler, asked: Asked, content: bytes) -> None:
    """A server that names versions by an ETag, and answers by it."""
    etag = f'"{hash(content):x}"'
    if asked.headers.get("If-None-Match") == etag:
        handler.reply(304, b"")
    else:
        handler.reply(200, content, ETag=etag)


def never_newer(handler: Handler, asked: Asked, content: bytes) -> None:
    """A server whose index never changes, whoever asks with a condition."""
    if any(name.startswith("If-") for name in asked.headers):
        handler.reply(304, b"")
    else:
        handler.reply(200, content, ETag='"always"')


def settle(world: World, seconds: float = 100.0) -> None:
    """As if the index had been there for a while."""
    for name in NAMES:
        at = time.time() - seconds
        os.utime(world.folder / name, (at, at))


# -- what is asked


def test_an_index_that_is_the_same_is_received_once(world: World, reader_of: ReaderOf) -> None:
    with serving(world.folder) as site:
        site.lie("index.json", tagging)
        reader = reader_of(site.url)
        found = [reader.read(world.public, 7) for _ in range(3)]
        assert found[0] == found[1] == found[2]
        assert said(site) == [
            ("index.json", False),
            ("index.json.sig", False),
            ("index.json", True),
            ("index.json", True),
        ]
        world.sign()
        assert reader.read(world.public, 7).index.sequence == 8
        assert said(site)[4:] == [("index.json", True), ("index.json.sig", False)]
        assert reader.read(world.public, 8).index == world.index


def test_the_server_of_python_is_asked_by_the_files_time(world: World, reader_of: ReaderOf) -> None:
    settle(world)
    with serving_plainly(world.folder) as url:
        reader = reader_of(url)
        place = reader._place
        assert isinstance(place, WebPlace)
        reader.read(world.public, 7)
        received = place.received_bytes
        assert received > len((world.folder / "index.json").read_bytes())
        reader.read(world.public, 7)
        assert place.received_bytes == received
        world.sign()
        assert reader.read(world.public, 7).index.sequence == 8
        world.sign()  # in the same second, with nothing to tell it by
        assert reader.read(world.public, 8).index.sequence == 9


def test_a_server_that_names_no_versions_is_asked_as_ever_and_its_signature_once(
    world: World, reader_of: ReaderOf
) -> None:
    with serving(world.folder) as site:
        reader = reader_of(site.url)
        for _ in range(3):
            reader.read(world.public, 7)
        assert [path for path, _ in said(site)] == ["index.json", "index.json.sig", "index.json", "index.json"]
        assert not any(is_conditional for _, is_conditional in said(site))


def test_a_mirror_that_follows_for_ever_receives_only_what_is_new(
    world: World, holder: Holder, monkeypatch: Any
) -> None:
    """Rounds of one process, as --seed makes them: the end of the third is taken for Ctrl-C."""
    from tenuto.swarm import mirror as module  # noqa: PLC0415
    from tenuto.swarm.founding import Wish  # noqa: PLC0415

    rounds: list[Any] = []
    with serving(world.folder) as site:
        site.lie("index.json", tagging)
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
        asked = [one for one in said(site) if one[0] in NAMES]
    assert [(is_new, held) for is_new, held, _ in rounds] == [(True, 5), (False, 5), (True, 5), (False, 5)]
    assert rounds[1][2] == rounds[3][2] == 0, "nothing came"
    again = ("index.json", True)
    assert asked == [("index.json", False), ("index.json.sig", False), again, again, ("index.json.sig", False), again]
    holder.assert_holds(world, *CRATES)


# -- what may not be believed


def test_a_server_that_says_unchanged_for_ever_is_asked_for_all_of_it_now_and_then(
    world: World, reader_of: ReaderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(world.folder) as site:
        site.lie("index.json", never_newer)
        reader = reader_of(site.url)
        reader.read(world.public, 7)
        world.sign()
        assert reader.read(world.public, 7).index.sequence == 7, "as from a server that shows an old index"
        monkeypatch.setattr(tenuto.publication.rereading, "ANEW_EVERY_S", 0.0)
        assert reader.read(world.public, 7).index.sequence == 8


def test_a_server_that_says_unchanged_is_not_believed_where_a_newer_one_was_seen_or_is_asked_for(
    world: World, reader_of: ReaderOf
) -> None:
    with serving(world.folder) as site:
        site.lie("index.json", never_newer)
        reader = reader_of(site.url)
        reader.read(world.public, 7)
        world.sign()
        assert reader.read(world.public, 8).index.sequence == 8
        world.sign()
        assert reader.read(world.public, 8, is_anew=True).index.sequence == 9
        with pytest.raises(IntegrityError, match="older index"):
            reader.read(world.public, 10)


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
    good = (world.folder / "index.json.sig").read_bytes()
    with serving(world.folder) as site:
        site.lie("index.json", tagging)
        reader = reader_of(site.url)
        (world.folder / "index.json.sig").write_bytes(bytes(64))
        for _ in range(2):
            with pytest.raises(IntegrityError):
                reader.read(world.public, 7)
        assert not any(is_conditional for _, is_conditional in said(site))
        (world.folder / "index.json.sig").write_bytes(good)
        assert reader.read(world.public, 7).index == world.index


def test_another_key_is_refused_though_the_server_says_unchanged(world: World, reader_of: ReaderOf) -> None:
    with serving(world.folder) as site:
        site.lie("index.json", never_newer)
        reader = reader_of(site.url)
        reader.read(None, 0)
        with pytest.raises(IntegrityError, match="is pinned"):
            reader.read("0" * 64, 0)


# -- by what a version is known again


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], Validators()),
        ([("ETag", '"a-1"')], Validators('"a-1"')),
        ([("etag", ' W/"a-1" ')], Validators('W/"a-1"')),
        ([DATE, OLD], Validators("", OLD[1])),
        ([DATE, OLD, ("ETag", '"a"')], Validators('"a"', OLD[1])),
        ([OLD], Validators()),
        ([DATE, ("Last-Modified", DATE[1])], Validators()),
        ([DATE, ("Last-Modified", "Sat, 21 Nov 2026 12:00:09 GMT"), ("ETag", '"of the time"')], Validators()),
        ([DATE, ("Last-Modified", "Sat, 21 Nov 2027 12:00:00 GMT")], Validators()),
        ([DATE, ("Last-Modified", "yesterday")], Validators()),
        ([DATE, ("Last-Modified", "Sat, 21 Nov 2026 12:00:00")], Validators()),
        ([DATE, ("Last-Modified", OLD[1] + "\r\nX: y")], Validators()),
        ([("ETag", "a")], Validators()),
        ([("ETag", '"a"b"')], Validators()),
        ([("ETag", '"ä"')], Validators()),
        ([("ETag", f'"{"a" * 1000}"')], Validators()),
    ],
)
def test_a_version_is_known_again_only_by_what_can_be_relied_on(
    headers: list[tuple[str, str]], found: Validators
) -> None:
    assert validators_of(headers) == found


def test_mirrors_do_not_come_together_for_ever() -> None:
    mirror = Mirror(*([None] * 8), patience_s=1.0, every_s=600.0)  # type: ignore[arg-type]
    pauses = [mirror.pause_s() for _ in range(500)]
    assert min(pauses) >= 540.0
    assert max(pauses) <= 660.0
    assert max(pauses) - min(pauses) > 60.0


def test_a_folder_is_read_as_it_is(world: World) -> None:
    from tenuto.publication.places import FolderPlace  # noqa: PLC0415

    reader = IndexReader(FolderPlace(Path(world.folder)))
    reader.read(world.public, 7)
    world.sign()
    assert reader.read(world.public, 7).index.sequence == 8
