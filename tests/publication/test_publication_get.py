"""Taking one recording: right and proven, or an error of the right kind and no file."""

import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cyclopts import App

from publication_maker import (
    SONGS,
    Publication,
    Site,
    Trick,
    answer,
    endless,
    honest_neighbour,
    html_page,
    make_publication,
    neighbour,
    other_bytes,
    part_without_range,
    serving,
    serving_plainly,
    short_and_content,
    truncated,
    whole_as_part,
    write_shards,
)
from tenuto.archive.keys import PublicKeys
from tenuto.archive.template import settings_text
from tenuto.cli.get import get as get_verb
from tenuto.crates.merkle import BLOCK_BYTES
from tenuto.model.errors import (
    IntegrityError,
    RetriableError,
    SettingsError,
    SkipRecordError,
    SourceError,
    TenutoError,
    UsageError,
)
from tenuto.model.ids import track_key
from tenuto.model.progress import Silent
from tenuto.publication.documents import Shard, encode_index, encode_shard, shard_name, sign
from tenuto.publication.get import Taken, new_file, take
from tenuto.publication.known import Known, KnownPlaces, default_known_file, own_key
from tenuto.publication.places import FolderPlace, Place, WebPlace

NAMES = [name for songs in SONGS.values() for name in songs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """One that no test changes."""
    return make_publication(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def made(whole: Publication, tmp_path: Path) -> Publication:
    """One that a test may change."""
    shutil.copytree(whole.root, tmp_path / "publication")
    return Publication(tmp_path / "publication", whole.key, whole.index, dict(whole.entries), whole.songs)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def taken_from(place: Place, what: str, out: Path, pinned: str | None = None, known_sequence: int = 0) -> Taken:
    return take(place, what, out, pinned=pinned, known_sequence=known_sequence, progress=Silent())


def web(url: str) -> WebPlace:
    return WebPlace(url, pause=lambda _: None)


@contextlib.contextmanager
def visiting(root: Path) -> Iterator[tuple[Site, WebPlace]]:
    with serving(root) as site:
        place = web(site.url)
        try:
            yield site, place
        finally:
            place.close()


@pytest.fixture(params=["folder", "ranges", "http.server"])
def place(request: pytest.FixtureRequest, whole: Publication) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        if request.param == "folder":
            yield FolderPlace(whole.root)
        elif request.param == "ranges":
            yield stack.enter_context(visiting(whole.root))[1]
        else:
            yield stack.enter_context(contextlib.closing(web(stack.enter_context(serving_plainly(whole.root)))))


# -- what goes well


def test_every_recording_is_taken_by_its_track_and_by_its_digest(place: Place, whole: Publication, out: Path) -> None:
    for name in NAMES:
        sha256 = hashlib.sha256(whole.songs[name]).hexdigest()
        by_track = taken_from(place, f"radio:id:{name}", out / "track", pinned=whole.public)
        by_digest = taken_from(place, sha256.upper(), out / "digest")
        assert by_track.path.read_bytes() == by_digest.path.read_bytes() == whole.songs[name]
        assert by_track.recording == by_digest.recording == whole.location(name)
        assert by_track.pieces == (4 if name == "long" else 3 if name == "whole" else 1)
        by_track.path.unlink()
        by_digest.path.unlink()
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_little_beyond_the_recording_is_received_where_there_are_ranges(
    whole: Publication, out: Path, name: str
) -> None:
    with visiting(whole.root) as (site, place):
        taken = taken_from(place, f"radio:id:{name}", out)
    beyond = taken.overhead_bytes - taken.received["layers"] - taken.received["index"]
    assert 0 < beyond <= 64 * 1024
    assert taken.received["layers"] == whole.crate(taken.recording.crate).layers.bytes
    assert taken.received["index"] == len((whole.root / "index.json").read_bytes()) + 64
    assert 0 <= taken.received["recording"] - taken.recording.bytes < BLOCK_BYTES
    assert sum(taken.received.values()) == place.received_bytes
    assert not any(asked.path.endswith(".zip") and asked.range is None for asked in site.log)


def test_a_recording_gets_its_own_name_in_a_folder(whole: Publication, out: Path) -> None:
    taken = taken_from(FolderPlace(whole.root), "radio:id:long", out)
    assert taken.path == out / "long.flac"
    assert [file.name for file in out.iterdir()] == ["long.flac"]


def test_folders_above_the_file_are_made(whole: Publication, out: Path) -> None:
    assert taken_from(FolderPlace(whole.root), "radio:id:tiny", out / "a" / "b.flac").path.is_file()


def test_a_file_that_is_the_recording_already_is_left_alone(whole: Publication, out: Path) -> None:
    (out / "long.flac").write_bytes(whole.songs["long"])
    taken = taken_from(FolderPlace(whole.root), "radio:id:long", out)
    assert taken.was_there
    assert "recording" not in taken.received


@pytest.mark.parametrize("kind", ["file", "folder", "dead link"])
def test_nothing_that_is_there_is_replaced(whole: Publication, out: Path, kind: str) -> None:
    target = out / "long.flac"
    if kind == "file":
        target.write_bytes(b"mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(UsageError, match="give another name with --out"):
        taken_from(FolderPlace(whole.root), "radio:id:long", out)
    assert [file.name for file in out.iterdir()] == ["long.flac"]
    assert kind != "file" or target.read_bytes() == b"mine"


def test_a_file_that_comes_to_be_meanwhile_is_not_replaced(out: Path) -> None:
    def race() -> None:
        with new_file(out / "song") as file:
            file.write(b"ours")
            (out / "song").write_bytes(b"theirs")

    with pytest.raises(UsageError, match="came to be meanwhile"):
        race()
    assert [(file.name, file.read_bytes()) for file in out.iterdir()] == [("song", b"theirs")]


def test_two_at_once_into_one_name_leave_one_whole_file(whole: Publication, out: Path) -> None:
    ends: list[str] = []

    def once() -> None:
        try:
            ends.append("there" if taken_from(FolderPlace(whole.root), "radio:id:long", out).was_there else "taken")
        except UsageError:
            ends.append("refused")

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends.count("taken") == 1
    assert len(ends) == 4
    assert [file.name for file in out.iterdir()] == ["long.flac"]
    assert (out / "long.flac").read_bytes() == whole.songs["long"]


def test_a_recording_of_two_crates_is_taken_from_the_one_that_still_has_it(made: Publication, out: Path) -> None:
    here = made.location("shared", 0)
    content = bytearray(made.crate_file(here.crate).read_bytes())
    content[here.offset] ^= 1
    made.crate_file(here.crate).write_bytes(content)
    assert taken_from(FolderPlace(made.root), "radio:id:shared", out).recording.crate == "crate-b"
    made.crate_file("crate-b").unlink()
    with pytest.raises(IntegrityError, match=r"piece 3 of crate crate-a .* \(and 1 more"):
        taken_from(FolderPlace(made.root), "radio:id:shared", out / "again")
    assert [file.name for file in out.iterdir()] == ["shared.flac"]


def test_a_second_address_of_a_crate_is_tried(made: Publication, out: Path) -> None:
    made.change_crate("crate-c", addresses=("elsewhere/x.zip", "crates/crate-c.zip"))
    assert taken_from(FolderPlace(made.root), "radio:id:only", out).path.read_bytes() == made.songs["only"]


def test_an_index_and_a_signature_that_meet_in_between_are_read_again(made: Publication, out: Path) -> None:
    with visiting(made.root) as (site, place):
        site.lie("index.json.sig", answer(200, bytes(64)), times=1)
        assert taken_from(place, "radio:id:tiny", out).path.is_file()


def test_an_index_that_waits_for_its_signature_is_read_a_third_time(made: Publication, out: Path) -> None:
    with visiting(made.root) as (site, place):
        site.lie("index.json.sig", answer(200, bytes(64)), times=2)
        assert taken_from(place, "radio:id:tiny", out).path.is_file()


# -- what is replaced meanwhile


def once_more(made: Publication, change: Callable[[Publication], None]) -> Trick:
    """Somebody publishes anew while this is asked for; the answer is what lies there afterwards."""

    def trick(handler: Any, asked: Any, content: bytes) -> None:
        change(made)
        made.sign(sequence=made.index.sequence + 1)
        file = made.root / asked.path
        if not file.is_file():
            handler.reply(404, b"gone")
        elif asked.range is None:
            handler.reply(200, file.read_bytes())
        else:
            handler.reply_range(asked, file.read_bytes())

    return trick


def cut_shards_anew(made: Publication) -> None:
    """The same entries in other shards; those of before are gone."""
    for file in (made.root / "recordings").iterdir():
        file.unlink()
    made.entries = {key: found for key, found in made.entries.items() if "block" not in found[0].path}
    made.index = made.index.model_copy(update={"shards": write_shards(made.root, made.entries)})


def move_layers(made: Publication) -> None:
    here = made.crate("crate-a").layers
    new = here.model_copy(update={"path": f"layers/crate-a.r{made.index.sequence}.layers"})
    (made.root / here.path).rename(made.root / new.path)
    made.change_crate("crate-a", layers=new)


def swap_for_another_revision(made: Publication) -> None:
    """The crate under its own address is another one, in which the song lies elsewhere: as `whole` in crate-b."""
    there = made.location("whole")
    (made.root / "crates" / "crate-a.zip").write_bytes(b"another revision" * 300_000)
    for key in (track_key("radio", "id:long"), made.location("long").sha256):
        made.entries[key] = (there,)
    made.index = made.index.model_copy(update={"shards": write_shards(made.root, made.entries)})


@pytest.mark.parametrize(
    ("ending", "change", "name"),
    [
        ("the shard", cut_shards_anew, "long"),
        (".layers", move_layers, "long"),
        ("crate-a.zip", swap_for_another_revision, "whole"),
    ],
)
def test_a_publication_that_is_replaced_meanwhile_is_read_anew(
    made: Publication, out: Path, ending: str, change: Callable[[Publication], None], name: str
) -> None:
    seen: list[int] = []
    with visiting(made.root) as (site, place):
        site.lie(shard_of(made, "long").name if ending == "the shard" else ending, once_more(made, change), times=1)
        taken = take(place, "radio:id:long", out, pinned=made.public, known_sequence=7, progress=Silent(),
                     on_index=lambda index: seen.append(index.sequence))  # fmt: skip
    assert taken.path.read_bytes() == made.songs[name]
    assert seen == [7, 8]
    assert taken.index is not None
    assert taken.index.sequence == 8


def test_a_publication_that_is_replaced_again_and_again_is_left_after_three_times(made: Publication, out: Path) -> None:
    with visiting(made.root) as (site, place):
        site.lie(".layers", once_more(made, move_layers))
        with pytest.raises(SkipRecordError, match="holds no layers/"):
            taken_from(place, "radio:id:long", out)
        assert sum(asked.path.endswith("index.json") for asked in site.log) == 4
    assert list(out.iterdir()) == []


def test_a_missing_file_is_one_where_the_index_has_not_risen(made: Publication, out: Path) -> None:
    drop_crate(made)
    with visiting(made.root) as (site, place):
        with pytest.raises(SkipRecordError, match=r"holds no crates/crate-a\.zip"):
            taken_from(place, "radio:id:long", out)
        assert sum(asked.path.endswith("index.json") for asked in site.log) == 2
        assert sum(asked.path.endswith(".layers") for asked in site.log) == 1


@pytest.mark.parametrize("change", ["another key", "no signature", "gone"])
def test_an_index_that_cannot_be_believed_is_no_newer_one(made: Publication, out: Path, change: str) -> None:
    def put(made: Publication) -> None:
        drop_shard(made)
        if change == "another key":
            made.key = Ed25519PrivateKey.generate()

    def trick(handler: Any, asked: Any, content: bytes) -> None:
        once_more(made, put)(handler, asked, content)
        if change == "no signature":
            (made.root / "index.json.sig").write_bytes(bytes(64))
        elif change == "gone":
            (made.root / "index.json").unlink()

    with visiting(made.root) as (site, place):
        site.lie(shard_of(made, "long").name, trick, times=1)
        with pytest.raises(SkipRecordError, match="holds no recordings/"):
            taken_from(place, "radio:id:long", out)


@pytest.mark.parametrize("name", ["long", "block", "last", "only"])
def test_a_crate_is_received_once_where_ranges_are_ignored(whole: Publication, out: Path, name: str) -> None:
    told = Told()
    with serving(whole.root, gives_ranges=False) as site, contextlib.closing(web(site.url)) as place:
        taken = take(place, f"radio:id:{name}", out, pinned=None, known_sequence=0, progress=told)
    asked = [one for one in site.log if one.path.endswith(".zip")]
    assert [one.range is not None for one in asked] == [True, False]
    assert taken.path.read_bytes() == whole.songs[name]
    crate_bytes = whole.crate(taken.recording.crate).bytes
    assert taken.received["recording"] + taken.received["leaves"] <= crate_bytes + 512 * 1024
    assert len([words for words in told.said if "sends whole files" in words]) == (1 if crate_bytes > 512 * 1024 else 0)


def test_progress_begins_once_with_a_recording_and_goes_back_where_a_try_fails(whole: Publication, out: Path) -> None:
    told = Told()
    with visiting(whole.root) as (site, place):
        site.lie(".zip", truncated, times=2)
        take(place, "radio:id:long", out, pinned=None, known_sequence=0, progress=told)
    assert told.begun == ["long.flac"]
    assert told.done == len(whole.songs["long"])


class Told(Silent):
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.said: list[str] = []
        self.done = 0

    def begin(self, label: str, total: int | None = None, unit: str = "") -> None:
        self.begun.append(label)

    def advance(self, done: int = 1, total: int | None = None) -> None:
        self.done += done

    def say(self, message: str) -> None:
        self.said.append(message)


# -- what is asked for


def test_nothing_at_all_names_no_recording(whole: Publication, out: Path) -> None:
    with pytest.raises(UsageError, match="SOURCE:TRACK_ID"):
        taken_from(FolderPlace(whole.root), "", out)


@pytest.mark.parametrize("what", ["abc", "ab" * 31, "ab" * 33, ":x", "radio:", "Radio:x", "../x:y"])
def test_what_is_no_tracks_id_leaves_nothing_behind(whole: Publication, out: Path, what: str) -> None:
    with pytest.raises(SkipRecordError, match="not in the publication"):
        taken_from(FolderPlace(whole.root), what, out)
    assert list(out.iterdir()) == []


def test_a_tracks_own_id_is_enough_where_a_source_of_the_index_has_it(whole: Publication, out: Path) -> None:
    alone = taken_from(FolderPlace(whole.root), "id:tiny", out)
    assert alone.recording == taken_from(FolderPlace(whole.root), "radio:id:tiny", out).recording


@pytest.mark.parametrize("what", ["radio:nobody", "0" * 64, "f" * 64])
def test_what_is_not_published_is_said_with_where_to_look(whole: Publication, out: Path, what: str) -> None:
    with pytest.raises(SkipRecordError, match=r"not in the publication of testing .*status\.parquet"):
        taken_from(FolderPlace(whole.root), what, out)
    assert list(out.iterdir()) == []


def test_a_track_key_in_place_of_a_digest_does_not_pass_for_one(whole: Publication, out: Path) -> None:
    with pytest.raises(IntegrityError, match="ask for SOURCE:TRACK_ID"):
        taken_from(FolderPlace(whole.root), track_key("radio", "id:tiny"), out)


def shard_of(made: Publication, name: str) -> Path:
    prefix = track_key("radio", f"id:{name}")[: made.index.shards.digits]
    return made.root / f"recordings/{prefix}-{made.index.shards.sha256[prefix][:8]}.json"


# -- lies of a server


@pytest.mark.parametrize(
    ("ending", "trick", "error"),
    [
        ("index.json", html_page, IntegrityError), ("index.json", other_bytes, IntegrityError),
        ("index.json", answer(404, b"<h1>"), SkipRecordError), ("index.json", answer(500), RetriableError),
        ("index.json", endless, IntegrityError), ("index.json", answer(302, Location="http://elsewhere.invalid/"), SourceError),
        ("index.json.sig", html_page, IntegrityError), ("index.json.sig", answer(200, bytes(64)), IntegrityError),
        ("index.json.sig", answer(200), IntegrityError), ("index.json.sig", answer(404), SkipRecordError),
        ("index.json.sig", endless, IntegrityError),
        ("the shard", html_page, IntegrityError), ("the shard", answer(404), SkipRecordError),
        ("the shard", endless, IntegrityError),
        (".layers", html_page, IntegrityError), (".layers", other_bytes, IntegrityError), (".layers", answer(404), SkipRecordError),
        (".layers", endless, IntegrityError), (".layers", answer(200), IntegrityError),
        (".layers", answer(206, b"x"), IntegrityError),
        (".zip", html_page, IntegrityError), (".zip", other_bytes, IntegrityError),
        (".zip", answer(404, b"x" * 99999), SkipRecordError),
        (".zip", truncated, RetriableError), (".zip", short_and_content, RetriableError), (".zip", whole_as_part, IntegrityError),
        (".zip", part_without_range, IntegrityError), (".zip", neighbour, IntegrityError),
        (".zip", honest_neighbour, IntegrityError),
        (".zip", endless, IntegrityError), (".zip", answer(416), IntegrityError), (".zip", answer(403), SkipRecordError),
        (".zip", answer(503), RetriableError), (".zip", answer(302, Location="http://elsewhere.invalid/x.zip"), SourceError),
        (".zip", answer(302, Location="file:///etc/passwd"), SourceError),
    ],
)  # fmt: skip
def test_a_lying_server_leaves_no_file(
    whole: Publication, out: Path, ending: str, trick: Trick, error: type[TenutoError]
) -> None:
    with visiting(whole.root) as (site, place):
        site.lie(shard_of(whole, "long").name if ending == "the shard" else ending, trick)
        with pytest.raises(error) as caught:
            taken_from(place, "radio:id:long", out)
        assert place.received_bytes < 70 * 2**20
    assert place.name in str(caught.value) or "crate-a" in str(caught.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["first", "long", "last", "only"])
@pytest.mark.parametrize("trick", [other_bytes, neighbour, whole_as_part, truncated, html_page])
def test_a_lie_about_the_recording_alone_leaves_no_file(whole: Publication, out: Path, name: str, trick: Trick) -> None:
    here = whole.location(name)

    def lie(handler: Any, asked: Any, content: bytes) -> None:
        if asked.range and asked.range[0] == here.offset and asked.range[1] > here.offset:
            trick(handler, asked, content)
        else:
            handler.reply_range(asked, content)

    with visiting(whole.root) as (site, place):
        site.lie(".zip", lie)
        with pytest.raises((IntegrityError, RetriableError)):
            taken_from(place, f"radio:id:{name}", out)
    assert list(out.iterdir()) == []


def test_a_connection_that_breaks_once_is_taken_up_again(whole: Publication, out: Path) -> None:
    with visiting(whole.root) as (site, place):
        site.lie(".zip", truncated, times=2)
        assert taken_from(place, "radio:id:long", out).path.read_bytes() == whole.songs["long"]


# -- lies in what is signed for, and in what lies beside


def damage(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def damage_recording(made: Publication) -> None:
    damage(made.crate_file("crate-a"), made.location("long").offset + 2 * 2**20)


def damage_next_header(made: Publication) -> None:
    here = made.location("long")
    damage(made.crate_file("crate-a"), here.offset + here.bytes)


def damage_leaves(made: Publication) -> None:
    damage(made.crate_file("crate-a"), made.crate("crate-a").leaves.offset)


def cut_crate(made: Publication) -> None:
    with made.crate_file("crate-a").open("r+b") as file:
        file.truncate(made.location("long").offset + 2**20)


def drop_crate(made: Publication) -> None:
    made.crate_file("crate-a").unlink()


def swap_crate(made: Publication) -> None:
    shutil.copy(made.crate_file("crate-b"), made.crate_file("crate-a"))


def swap_layers(made: Publication) -> None:
    shutil.copy(made.root / "layers" / "crate-b.r0.layers", made.root / "layers" / "crate-a.r0.layers")


def sign_other_layers(made: Publication) -> None:
    content = bytearray((made.root / "layers" / "crate-a.r0.layers").read_bytes())
    content[0] ^= 1
    (made.root / "layers" / "crate-a.r0.layers").write_bytes(content)
    layers = made.crate("crate-a").layers.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    made.change_crate("crate-a", layers=layers)


def sign_other_root(made: Publication) -> None:
    made.change_crate("crate-a", pieces_root="0" * 64)


def sign_other_leaves(made: Publication) -> None:
    leaves = made.crate("crate-a").leaves
    made.change_crate("crate-a", leaves=leaves.model_copy(update={"offset": leaves.offset - BLOCK_BYTES}))


def link_out(made: Publication) -> None:
    outside = made.root.parent / "outside.zip"
    made.crate_file("crate-a").rename(outside)
    made.crate_file("crate-a").symlink_to(outside)


def swap_shard(made: Publication) -> None:
    file = shard_of(made, "long")
    shutil.copy(next(other for other in file.parent.iterdir() if other != file), file)


def sign_shard_of_another_prefix(made: Publication) -> None:
    prefix = track_key("radio", "id:long")[0]
    content = encode_shard(Shard(format="tenuto-shard-1", prefix="", entries=made.entries))
    (made.root / shard_name(prefix, content)).write_bytes(content)
    digests = {**made.index.shards.sha256, prefix: hashlib.sha256(content).hexdigest()}
    made.sign(shards=made.index.shards.model_copy(update={"sha256": digests}))


def drop_shard(made: Publication) -> None:
    shard_of(made, "long").unlink()


def redact(made: Publication) -> None:
    here = made.location("long")
    made.change_crate("crate-a", redacted=((0, 10), (here.offset, here.bytes)))


def call_it_metadata(made: Publication) -> None:
    made.change_crate("crate-a", kind="metadata")


def forget_crate(made: Publication) -> None:
    made.sign(crates=made.index.crates[1:])


def sign_with_another_key(made: Publication) -> None:
    made.key = Ed25519PrivateKey.generate()
    made.sign()


def sign_in_the_name_of_the_key(made: Publication) -> None:
    (made.root / "index.json.sig").write_bytes(sign(encode_index(made.index), Ed25519PrivateKey.generate()))


def change_what_was_signed(made: Publication) -> None:
    (made.root / "index.json").write_bytes(encode_index(made.index.model_copy(update={"sequence": 8})))


def sign_an_older_index(made: Publication) -> None:
    made.sign(sequence=6)


@pytest.mark.parametrize(
    ("attack", "error", "said"),
    [
        (damage_recording, IntegrityError, r"piece 2 of crate crate-a hashes to \w{64}, the signed root promises \w{64}:"),
        (damage_next_header, IntegrityError, "piece 3 of crate crate-a"),
        (damage_leaves, IntegrityError, "piece 0 of crate crate-a"),
        (cut_crate, IntegrityError, "cut off"),
        (drop_crate, SkipRecordError, "holds no crates/crate-a.zip"),
        (swap_crate, IntegrityError, "crate-a"),
        (swap_layers, IntegrityError, r"crate-a.r0.layers has sha256 [0-9a-f]{64} .* the index promises [0-9a-f]{64}"),
        (sign_other_layers, IntegrityError, "leads to the root"),
        (sign_other_root, IntegrityError, "leads to the root"),
        (sign_other_leaves, IntegrityError, "piece 0 of crate crate-a"),
        (link_out, IntegrityError, "leads out of the publication"),
        (swap_shard, IntegrityError, "recordings/.* has sha256"),
        (sign_shard_of_another_prefix, IntegrityError, "is the shard of ''"),
        (drop_shard, SkipRecordError, "holds no recordings/"),
        (redact, IntegrityError, "withdrawn"),
        (call_it_metadata, IntegrityError, "no recordings but metadata"),
        (forget_crate, IntegrityError, "the index does not"),
        (sign_with_another_key, IntegrityError, "is pinned"),
        (sign_in_the_name_of_the_key, IntegrityError, "no signature by the key"),
        (change_what_was_signed, IntegrityError, "no signature by the key"),
        (sign_an_older_index, IntegrityError, "older index"),
    ],
)  # fmt: skip
def test_an_attack_on_a_publication_leaves_no_file(
    made: Publication, out: Path, attack: Callable[[Publication], None], error: type[TenutoError], said: str
) -> None:
    pinned = made.public
    attack(made)
    with pytest.raises(error, match=said):
        taken_from(FolderPlace(made.root), "radio:id:long", out, pinned=pinned, known_sequence=7)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"offset": 16_384 * 3 + 1}, "no multiple of 16,384"),
        ({"offset": 16_384 * 1_000_000}, "the crate has"),
        ({"offset": 2**63 - 16_384}, "the crate has"),
        ({"bytes": 2**63 - 1}, "the crate has"),
        ({"bytes": 0}, "0 bytes"),
        ({"bytes": 3 * 2**20}, "the shard is wrong"),
        ({"bytes": 4}, "the shard is wrong"),
        ({"sha256": "0" * 64}, "the shard is wrong"),
        ({"crate": "crate-d"}, "the index does not"),
    ],
)
def test_a_signed_location_that_cannot_be_leaves_no_file(
    made: Publication, out: Path, changed: dict[str, Any], said: str
) -> None:
    made.point("long", **changed)
    with pytest.raises(IntegrityError, match=said):
        taken_from(FolderPlace(made.root), "radio:id:long", out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("by", ["offset", "whole location"])
def test_a_location_of_another_recording_leaves_no_file(made: Publication, out: Path, by: str) -> None:
    other, sha256 = made.location("block"), made.location("long").sha256
    if by == "offset":
        made.point("long", offset=other.offset, bytes=other.bytes)
    else:
        made.entries[sha256] = (other,)
        made.sign(shards=write_shards(made.root, made.entries))
    with pytest.raises(IntegrityError):
        taken_from(FolderPlace(made.root), sha256, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/audio/.hidden", "hidden"),
        ("data/con.flac", "_con.flac"),
        ("data/a\u202eb.flac", "ab.flac"),
        ("data/ ", "_"),
    ],
)
def test_a_name_from_outside_is_made_safe(made: Publication, out: Path, path: str, name: str) -> None:
    made.point("tiny", path=path)
    assert taken_from(FolderPlace(made.root), "radio:id:tiny", out).path == out / name


def test_a_full_disk_leaves_no_file(whole: Publication, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tenuto.publication.get.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        taken_from(FolderPlace(whole.root), "radio:id:tiny", out)
    assert list(out.iterdir()) == []


# -- what is known of a place


def test_what_was_seen_is_kept_and_never_falls(tmp_path: Path) -> None:
    known = KnownPlaces(tmp_path / "state" / "known.json")
    assert known.get("x") is None
    known.note("x", Known(archive="a", signing_public="0" * 64, sequence=7))
    known.note("x", Known(archive="a", signing_public="0" * 64, sequence=6))
    known.note("y", Known(archive="b", signing_public="1" * 64, sequence=1))
    assert known.get("x") == Known(archive="a", signing_public="0" * 64, sequence=7)
    known.note("x", Known(archive="a", signing_public="2" * 64, sequence=1))
    assert known.get("x") == Known(archive="a", signing_public="2" * 64, sequence=1)
    assert known.path.stat().st_mode & 0o777 == 0o600


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    known = KnownPlaces(tmp_path / "known.json")
    threads = [
        threading.Thread(target=known.note, args=(f"p{n}", Known(archive="a", signing_public="0" * 64, sequence=n)))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(known.get(f"p{n}") for n in range(12))


def test_a_broken_memory_is_no_memory_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text('{"format": "tenuto-known-1", "places": 5}')
    with pytest.raises(SettingsError, match="mend it"):
        KnownPlaces(tmp_path / "known.json").get("x")


def test_the_memory_lies_in_the_state_folder() -> None:
    assert default_known_file({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/tenuto/known.json")
    assert default_known_file({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/tenuto/known.json")


# -- the verb


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, out: Path) -> Callable[..., Any]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(out)
    app = App(name="tenuto", result_action="return_value")
    app.command(get_verb, name="get")
    return lambda *words: app(["get", *map(str, words)], exit_on_error=False)


def test_the_verb_takes_into_the_folder_one_stands_in_and_says_how_it_was_proven(
    verb: Callable[..., Any], made: Publication, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb("radio:id:long", "--from", made.root)
    said = capsys.readouterr().out
    assert (out / "long.flac").read_bytes() == made.songs["long"]
    assert "3.15 MB from crate crate-a" in said
    assert "4 pieces of the crate lead to the root that testing signed (index number 7" in said
    assert "beyond the recording: index" in said
    verb("radio:id:long", "--from", made.root)
    assert "is there already" in capsys.readouterr().out


def test_the_verb_prints_one_object(
    verb: Callable[..., Any], made: Publication, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb("radio:id:long", "--from", made.root, "--out", out / "song", "--json")
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        "what",
        "path",
        "crate",
        "bytes",
        "sha256",
        "received",
        "overhead_bytes",
        "was_there",
        "pieces",
    }
    assert found["path"] == str(out / "song")
    assert set(found["received"]) == {"index", "shard", "recording", "leaves", "layers"}
    assert found["overhead_bytes"] == sum(found["received"].values()) - found["bytes"]


def test_the_key_of_the_first_use_holds_from_then_on_and_another_may_be_given(
    verb: Callable[..., Any], made: Publication, out: Path
) -> None:
    verb("radio:id:tiny", "--from", made.root)
    sign_with_another_key(made)
    known = out.parent / "state" / "tenuto" / "known.json"
    way_on = rf"is pinned in {known}, .* say so once with --key {made.public}"
    with pytest.raises(IntegrityError, match=way_on):
        verb("radio:id:block", "--from", made.root)
    with pytest.raises(IntegrityError, match="is pinned"):
        verb("radio:id:block", "--from", made.root, "--key", "0" * 64)
    verb("radio:id:block", "--from", made.root, "--key", made.public.upper())
    verb("radio:id:last", "--from", made.root)
    assert sorted(file.name for file in out.iterdir()) == ["block.flac", "last.flac", "tiny.flac"]


def test_a_web_roots_other_key_is_not_offered_to_be_taken(verb: Callable[..., Any], made: Publication) -> None:
    with serving(made.root) as site:
        verb("radio:id:tiny", "--from", site.url)
        sign_with_another_key(made)
        with pytest.raises(IntegrityError, match=r"known.json, .* ask the archive for its key") as caught:
            verb("radio:id:block", "--from", site.url)
    assert f"--key {made.public}" not in str(caught.value)


def an_archive_around(made: Publication) -> None:
    """The publication's folder gets a tenuto.toml beside it that names its key."""
    text = settings_text("testing", "tests@archive.invalid", "/nowhere", PublicKeys(made.public, "age1" + "q" * 58))
    (made.root.parent / "tenuto.toml").write_text(text)


def test_the_publication_of_ones_own_archive_is_held_to_the_key_of_its_settings(
    verb: Callable[..., Any], made: Publication, out: Path
) -> None:
    an_archive_around(made)
    verb("radio:id:tiny", "--from", made.root)
    sign_with_another_key(made)
    with pytest.raises(IntegrityError, match=r"is pinned \(by --key, or by the tenuto.toml beside it\)"):
        verb("radio:id:block", "--from", made.root)
    an_archive_around(made)  # made anew in the same place
    verb("radio:id:block", "--from", made.root)
    assert not (out.parent / "state" / "tenuto" / "known.json").exists()
    verb("radio:id:last", "--from", made.root, "--key", made.public)


@pytest.mark.parametrize("what", ["elsewhere", "another's", "broken"])
def test_a_folder_is_ones_own_only_beside_settings_of_ones_own(
    made: Publication, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_archive_around(made)
    assert own_key(made.root) == made.public
    if what == "elsewhere":
        made.root.rename(made.root.parent / "mirror")
        assert own_key(made.root.parent / "mirror") is None
    elif what == "broken":
        (made.root.parent / "tenuto.toml").write_text("[")
        assert own_key(made.root) is None
    else:
        monkeypatch.setattr("tenuto.publication.known.os.geteuid", lambda: 4711)
        assert own_key(made.root) is None


def test_an_older_index_than_one_seen_before_is_refused_even_where_nothing_was_taken(
    verb: Callable[..., Any], made: Publication, out: Path
) -> None:
    with pytest.raises(SkipRecordError):
        verb("radio:nobody", "--from", made.root)
    sign_an_older_index(made)
    with pytest.raises(IntegrityError, match=r"older index: number 6 .* number 7 was seen"):
        verb("radio:id:tiny", "--from", made.root)
    assert list(out.iterdir()) == []


def test_a_key_that_is_none_or_goes_with_nothing_is_refused(verb: Callable[..., Any], made: Publication) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        verb("radio:id:tiny", "--from", made.root, "--key", "abc")
    with pytest.raises(UsageError, match="goes with --from"):
        verb("radio:id:tiny", "--key", made.public)


def test_the_verb_takes_from_the_web(verb: Callable[..., Any], made: Publication, out: Path) -> None:
    with serving(made.root) as site:
        verb("radio:id:only", "--from", f"{site.url}/index.json")
    assert (out / "only.flac").read_bytes() == made.songs["only"]
