"""What a mirror believes: an index signed by the key that it pins, and none older than it has seen."""

import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import tenuto.publication.lookup
from mirror_maker import CRATES, GB, MIB, Holder, World, a_world
from publication_maker import Asked, Handler, answer, endless, serving
from tenuto.archive import load_settings
from tenuto.cli import _run
from tenuto.crates.torrent import bdecode, bencode
from tenuto.model.errors import IntegrityError, SourceError, UsageError
from tenuto.publication.documents import FileRef, encode_index, parse_index
from tenuto.publication.lookup import OtherKeyError

pytestmark = pytest.mark.usefixtures("alone")


def other_key(world: World, **changed: Any) -> None:
    """Publish under another key."""
    world.key = Ed25519PrivateKey.generate()
    world.sign(**changed)


def save(world: World) -> dict[str, bytes]:
    return {name: (world.folder / name).read_bytes() for name in ("index.json", "index.json.sig")}


def put_back(world: World, saved: dict[str, bytes]) -> None:
    for name, content in saved.items():
        (world.folder / name).write_bytes(content)


# -- the key


def test_the_key_is_said_pinned_and_held_to(world: World, holder: Holder) -> None:
    holder()
    public = world.public
    assert f"signs with the key {public}, which is pinned from now on" in holder.said.text
    assert load_settings(holder.layout.settings).keys.signing_public == public
    other_key(world)
    with pytest.raises(OtherKeyError) as said:
        holder()
    assert public in str(said.value)
    assert world.public in str(said.value)
    holder.assert_holds(world, *CRATES)


def test_a_key_that_is_given_must_have_signed(world: World, holder: Holder) -> None:
    with pytest.raises(OtherKeyError):
        holder(key="ab" * 32)
    assert not holder.root.exists(), "nothing was begun"
    holder(key=world.public)
    assert "pinned from now on" not in holder.said.text
    with pytest.raises(UsageError, match="a mirror of another key is made in another folder"):
        holder(key="cd" * 32)


def test_a_new_mirror_of_a_place_known_by_another_key_is_refused(world: World, holder: Holder, tmp_path: Path) -> None:
    known = tmp_path / "state/tenuto/known.json"
    known.parent.mkdir(parents=True)
    seen = {"archive": "testing", "signing_public": "ab" * 32, "sequence": 3}
    known.write_text(json.dumps({"format": "tenuto-known-1", "places": {str(world.folder): seen}}))
    with pytest.raises(OtherKeyError):
        holder()
    known.write_text(
        json.dumps({"places": {str(world.folder): seen | {"signing_public": world.public, "sequence": 99}}})
    )
    with pytest.raises(IntegrityError, match=r"older index: number 7 .*99 was seen"):
        holder()
    assert not holder.root.exists()


@pytest.mark.parametrize("how", ["flipped", "short", "empty", "missing", "of another index"])
def test_a_bad_signature_changes_nothing(world: World, holder: Holder, how: str) -> None:
    holder()
    world.sign(edition="2026-11-21-99999999")
    path = world.folder / "index.json.sig"
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
        done = holder()
        assert not done.is_new, "as a place that is away"
    else:
        bad = {"flipped": bytes([content[0] ^ 1]) + content[1:], "short": content[:-1], "empty": b"",
               "of another index": world.key.sign(b"other")}  # fmt: skip
        path.write_bytes(bad[how])
        with pytest.raises(IntegrityError):
            holder()
    assert parse_index((holder.layout.publication / "index.json").read_bytes()).sequence == 7
    holder.assert_holds(world, *CRATES)
    path.write_bytes(content)
    assert holder().is_new


# -- older indexes

LOST = {
    "nothing": (),
    "the publication": ("publication",),
    "known.json": ("known.json",),
    "state": ("state",),
    "the publication and state": ("publication", "state"),
    "known.json and state": ("known.json", "state"),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_an_older_index_is_refused_whatever_of_the_mirror_was_lost(
    world: World, holder: Holder, lost: str, where: str, tmp_path: Path
) -> None:
    before = save(world)
    world.withdraw("heard-b", 1)
    gone = world.older["heard-b", 0]
    holder(bands=("heard",), space=3 * 10**6)
    put_back(world, before)
    for name in LOST[lost]:
        path = holder.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    of = shutil.copytree(world.folder, tmp_path / "elsewhere") if where == "elsewhere" else None
    with pytest.raises(IntegrityError, match="older index"):
        holder(of=of)
    assert not any(path.read_bytes() == gone for path in holder.root.rglob("*.zip"))


def test_two_indexes_of_one_number_are_said(world: World, holder: Holder) -> None:
    holder()
    world.sign(edition="2026-11-21-99999999", sequence=7)
    with pytest.raises(IntegrityError, match="two indexes with the number 7"):
        holder()
    holder.assert_holds(world, *CRATES)


def test_a_place_that_dies_with_a_newer_index_half_taken_brings_nothing_withdrawn_back(
    world: World, holder: Holder
) -> None:
    """The number was noted, the crate set aside; then the place is gone: the older index here may not bring it back."""
    with serving(world.folder) as site:
        holder.of = site.url
        holder()
        world.withdraw("heard-b", 1)
        site.lie(world.crate("heard-b").torrent.path, answer(500))
        with pytest.raises(SourceError):
            holder()
        assert "heard-b" not in holder.crates()
        site.lies.clear()
        site.lie("index.json", answer(500))
        done = holder()
        assert "a newer index was seen" in done.left["heard-b"]
        assert "heard-b" not in holder.crates()
        site.lies.clear()
        holder()
    holder.assert_holds(world, *CRATES)
    assert holder.files_with(world.song("heard-b", 1)[-5000:]) == []


# -- what a signed index may promise, and not hold


def swap(world: World, crate: str, content: bytes, what: str = "torrent", **changed: Any) -> None:
    """Publish another torrent (or layers) of a crate, digest and all."""
    entry = world.crate(crate)
    path = getattr(entry, what).path
    (world.folder / path).write_bytes(content)
    import hashlib  # noqa: PLC0415

    ref = FileRef(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    world.put(entry.model_copy(update={what: ref, **changed}))


def without_layers(content: bytes) -> bytes:
    return bencode({**bdecode(content), b"piece layers": {}})


def without_layers_key(content: bytes) -> bytes:
    return bencode({name: value for name, value in bdecode(content).items() if name != b"piece layers"})


def renamed(name: bytes) -> Any:
    def change(content: bytes) -> bytes:
        values = bdecode(content)
        info = values[b"info"]
        tree = {name: next(iter(info[b"file tree"].values()))}
        return bencode({**values, b"info": {**info, b"name": name, b"file tree": tree}})

    return change


TORRENTS = {
    "no piece layers": without_layers,
    "not even their key": without_layers_key,
    "of another crate": None,
    "climbing": renamed(b"../../climbed.zip"),
    "absolute": renamed(b"/tmp/climbed.zip"),
    "dots": renamed(b".."),
    "junk": lambda _: b"d4:infod",
    "empty": lambda _: b"",
    "nested": lambda _: b"l" * 5000 + b"e" * 5000,
    "with trackers": lambda content: bencode({**bdecode(content), b"announce": b"http://127.0.0.1:1/announce"}),
    "with web seeds": lambda content: bencode({**bdecode(content), b"url-list": b"http://127.0.0.1:1/x"}),
}


@pytest.mark.parametrize("what", TORRENTS)
def test_a_torrent_that_is_none_of_the_crate_is_refused_with_a_sentence_and_the_rest_comes(
    world: World, holder: Holder, what: str
) -> None:
    change = TORRENTS[what]
    other = (world.folder / world.crate("heard-b").torrent.path).read_bytes()
    own = (world.folder / world.crate("heard-a").torrent.path).read_bytes()
    swap(world, "heard-a", change(own) if change else other)
    done = holder()
    assert "torrent" in done.left["heard-a"]
    holder.assert_holds(world, *(set(CRATES) - {"heard-a"}))
    assert not list(holder.root.parent.rglob("climbed.zip"))


def test_a_torrent_with_the_names_of_the_index_and_other_hashes_is_refused(world: World, holder: Holder) -> None:
    world.put(world.crate("heard-a").model_copy(update={"infohash_v2": "ab" * 32}))
    done = holder()
    assert "the index promises" in done.left["heard-a"]


def test_a_crate_that_is_signed_and_is_none_is_not_given_out(world: World, holder: Holder) -> None:
    world.add("junk-e", (50_000,), mend_rows=lambda rows: [{**row, "offset": row["offset"] + 1} for row in rows])
    done = holder()
    assert "it is no sound crate" in done.left["junk-e"]
    assert "junk-e" not in holder.crates()
    holder.assert_holds(world, *CRATES)


NAMES = [
    "../climbed",
    "/tmp/climbed",
    "..",
    ".",
    "a/../../b",
    "",
    "x\ny",
    "x\x00y",
    "a\\b",
    ".hidden",
    "a" * 121,
    "con:x",
    "ä",
]


@pytest.mark.parametrize("where", ["crate", "addresses", "torrent", "layers", "status"])
def test_names_that_climb_are_refused_whoever_signs_them(world: World, holder: Holder, where: str) -> None:
    for name in NAMES:
        values = json.loads(encode_index(world.index))
        if where == "crate":
            values["crates"][0]["crate"] = name
        elif where == "addresses":
            values["crates"][0]["addresses"] = [name]
        elif where == "status":
            values["status"]["path"] = name
        else:
            values["crates"][0][where]["path"] = name
        if where != "crate" and name in {".hidden", "a" * 121}:
            continue  # an address may
        content = json.dumps(values).encode()
        (world.folder / "index.json").write_bytes(content)
        (world.folder / "index.json.sig").write_bytes(world.key.sign(content))
        with pytest.raises(IntegrityError, match="the index is not as"):
            holder()
        assert not holder.root.exists()
        assert not list(holder.root.parent.rglob("climbed*"))


CONTACTS = {
    "line feed": 'evil\n[mirror]\nspace = "1 B"\n',
    "quotes": '"""\n[swarm]\nlisten = "0.0.0.0:1"\n"""',
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "backslash": "\\u0000\\",
    "delete": "\x7f\x85\u2028\u202e",
    "empty": "",
    "blank": " \t ",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("what", CONTACTS)
def test_what_an_index_says_of_itself_does_not_get_out_of_its_line(world: World, holder: Holder, what: str) -> None:
    world.sign(contact=CONTACTS[what], territory=CONTACTS[what], edition=CONTACTS[what])
    holder(space=GB)
    settings = load_settings(holder.layout.settings)
    assert settings.mirror is not None
    assert settings.mirror.space == GB
    assert settings.swarm.listen == "0.0.0.0:6881,[::]:6881"
    assert settings.archive.contact.isprintable()
    text = holder.layout.settings.read_text()
    assert all(char.isprintable() or char == "\n" for char in text)
    holder(space=2 * GB)
    assert load_settings(holder.layout.settings).archive == settings.archive


def test_a_terminal_is_shown_no_escapes_of_an_index(
    world: World, holder: Holder, capfd: pytest.CaptureFixture[str]
) -> None:
    evil = "b\x1b[31m\x07\u202e"
    world.put(world.crate("heard-a").model_copy(update={"band": evil, "licences": (evil,)}))
    words = ["--into", str(holder.root), "--listen", "127.0.0.1:0", "--reach", "peers"]
    assert _run(["mirror", str(world.folder), "--space", "1GB", "--licence", "nothing", *words]) == 2
    assert _run(["mirror", str(world.folder), "--space", "1GB", *words]) == 0
    shown, said = capfd.readouterr()
    for text in (shown, said):
        assert "\x1b[31m" not in text
        assert "\x07" not in text
        assert "\u202e" not in text


# -- how much is read


@pytest.fixture
def little_memory(tmp_path: Path) -> Iterator[None]:
    """At most 300 MiB more than now; libraries and the room that threads reserve are there already."""
    pattern = a_world(tmp_path / "warm")
    with serving(pattern.folder) as site:
        Holder(tmp_path / "warm/mirror", site.url)(patience_s=1.0)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        here = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (here + 300 * MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def sent(count: list[int]) -> Any:
    """A body without end; how much of it went out."""

    def trick(handler: Handler, asked: Asked, content: bytes) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(bytes(65536))
            count[0] += 65536

    return trick


@pytest.mark.parametrize("name", ["index.json", "index.json.sig", "status.parquet", "torrents/heard-a.r0.torrent"])
def test_an_answer_without_end_is_given_up_soon(
    world: World, holder: Holder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenuto.publication.lookup, "INDEX_MAX_BYTES", 8 * MIB)
    count = [0]
    with serving(world.folder) as site:
        site.lie(f"/{name}" if "/" not in name else name, sent(count))
        site.lie(name, sent(count))
        with pytest.raises((IntegrityError, SourceError)):
            holder(of=site.url)
        # each try ends a little behind what may come; what the system's buffers took is not ours
    assert count[0] < 60 * MIB


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("what", ["torrent", "status"])
def test_a_small_file_that_the_index_says_is_large_needs_no_memory(world: World, holder: Holder, what: str) -> None:
    huge = FileRef(path=f"{what}.huge", bytes=400 * MIB, sha256="ab" * 32)
    with serving(world.folder) as site:
        site.lie(".huge", endless)
        if what == "torrent":
            world.put(world.crate("heard-a").model_copy(update={"torrent": huge}))
            assert "more than any crate's" in holder(of=site.url).left["heard-a"]
            holder.assert_holds(world, *(set(CRATES) - {"heard-a"}))
        else:
            world.sign(status=huge)
            with pytest.raises(IntegrityError):
                holder(of=site.url)
            assert not list(holder.root.rglob(".making-*"))


def test_a_file_that_grew_is_refused(world: World, holder: Holder) -> None:
    with (world.folder / "status.parquet").open("ab") as file:
        file.write(b"more")
    with pytest.raises(IntegrityError):
        holder()


# -- what an INDEX is


@pytest.mark.parametrize("ending", ["", "/", "/index.json"])
@pytest.mark.parametrize("kind", ["folder", "web"])
def test_an_index_is_an_address_a_folder_or_its_index_json(
    world: World, tmp_path: Path, kind: str, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--space", "1GB", "--into", str(tmp_path / "mirror"), "--listen", "127.0.0.1:0", "--reach", "peers"]
    with serving(world.folder) as site:
        of = (site.url if kind == "web" else str(world.folder)) + ending
        assert _run(["mirror", of, *words]) == 0, capfd.readouterr().err
        assert _run(["mirror", *words]) == 0, capfd.readouterr().err
    Holder(tmp_path / "mirror", of).assert_holds(world, *CRATES)


def test_an_archive_in_place_of_its_publication_is_pointed_to(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--space", "1GB", "--into", str(tmp_path / "mirror")]
    assert _run(["mirror", str(world.root), *words]) == 2
    assert str(world.folder) in capfd.readouterr().err
    assert _run(["mirror", str(tmp_path / "nothing"), *words]) == 2
    assert _run(["mirror", "ftp://example.invalid/x", *words]) == 2
    assert not (tmp_path / "mirror").exists()


def test_a_place_without_an_index_is_said(tmp_path: Path, world: World, holder: Holder) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is it the root of a publication"):
        holder(of=tmp_path / "empty")
    with serving(tmp_path / "empty") as site, pytest.raises(SourceError):
        holder(of=site.url)
    assert not holder.root.exists()


@pytest.mark.parametrize("redirect", [301, 302, 307])
def test_an_index_that_is_elsewhere_is_taken_and_a_circle_of_them_ends(
    world: World, holder: Holder, redirect: int
) -> None:
    with serving(world.folder) as there, serving(world.folder) as site:
        site.lie("index.json", answer(redirect, Location=f"{there.url}/index.json"))
        there.lie("index.json", answer(redirect, Location=f"{site.url}/index.json"))
        with pytest.raises((SourceError, IntegrityError)):
            holder(of=site.url)
        assert len(there.log) < 100
        there.lies.clear()
        holder(of=site.url)
    holder.assert_holds(world, *CRATES)
