"""A folder as people keep them: hostile names, odd files, large pictures; and all of it again from evidence alone."""

import base64
import contextlib
import hashlib
import os
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2, TPE1
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggvorbis import OggVorbis

from support import shared_data
from tenuto.evidence import EvidenceWriter, read_records, unpack_spans
from tenuto.model.answers import Answer, Request
from tenuto.model.errors import SettingsError, SkipRecordError
from tenuto.model.ids import record_uuid
from tenuto.model.records import CreditSeen, LicenceFileSeen, ProblemSeen, ReleaseSeen, TrackSeen
from tenuto.sources import paths
from tenuto.sources.folder import Folder, parse
from tenuto.sources.folder.blocks import BLOCKS_MAX_BYTES
from tenuto.sources.folder.listing import Entry, read_listing

LISTING = Request("listing")
NAMES = {
    "lookalike of a parent": b"..%2f..%2fetc/passwd.flac",
    "two dots and more": b"...flac",
    "full width dots": "\uff0e\uff0e\uff0fx.flac".encode(),
    "backslashes": b"..\\..\\x.flac",
    "newline": b"a\nb.flac",
    "carriage return and tab": b"a\r\tb.flac",
    "escape": b"a\x1b[31mb.flac",
    "percent": b"100%25 a%.flac",
    "longest": b"x" * 250 + b".flac",
    "emoji": "🎵👩‍👩‍👧.flac".encode(),
    "right to left": "שלום\u202egalf.flac".encode(),
    "nfc": unicodedata.normalize("NFC", "Ärger é.flac").encode(),
    "nfd": unicodedata.normalize("NFD", "Ärger é.flac").encode(),
    "no UTF-8": b"caf\xe9 \xff.flac",
    "surrogate": b"\xed\xa0\x80.flac",
    "spaces": b"  a  b  .flac",
    "space at the end": b"no suffix ",
    "dot": b".hidden.flac",
    "quotes": b"'\"`$(x);&|<>*?.flac",
    "dash": b"-rf.flac",
    "line separator": "a\u2028b.flac".encode(),
    "nbsp": "a\u00a0.flac".encode(),
    "capitals": b"A.FLAC",
}


def a_flac(file: Path, title: str = "a song", **tags: str) -> Path:
    """A tenth of a second with tags, put at a path that the encoder need not understand."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.parent / "being-made.flac"
    soundfile.write(beside, np.zeros((800, 1)), 8000, format="FLAC")
    tagged = FLAC(beside)
    for name, value in {"title": title, **tags}.items():
        tagged[name] = value
    tagged.save()
    return beside.rename(file)


def at(root: Path, name: bytes) -> Path:
    return root / os.fsdecode(name)


def ask_all(root: Path) -> dict[str, Answer]:
    """Everything a harvest would fetch of a folder that answers for all it listed."""
    source = Folder(root)
    pending, answers = list(source.first()), {}
    while pending:
        request = pending.pop(0)
        if request.key not in answers:
            with contextlib.suppress(SkipRecordError):  # what cannot be read stands in the listing already
                answers[request.key] = source.fetch(request)
                pending += source.follow(answers[request.key])
    return answers


def entries(root: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in read_listing(Folder(root).fetch(LISTING).body)}


def tracks(root: Path) -> dict[str, TrackSeen]:
    seen = [item for answer in ask_all(root).values() for item in parse(answer)]
    found = [item for item in seen if isinstance(item, TrackSeen)]
    assert len({track.track_id for track in found}) == len(found)
    return {track.track_id: track for track in found}


def problems(root: Path) -> dict[str, str]:
    return {
        item.subject: item.code
        for answer in ask_all(root).values()
        for item in parse(answer)
        if isinstance(item, ProblemSeen)
    }


@pytest.mark.parametrize("what", NAMES)
def test_a_file_is_found_fetched_and_named_again_when_its_name_is_odd(tmp_path: Path, what: str) -> None:
    name = NAMES[what]
    a_flac(at(tmp_path / "shelf", name), title=what)
    [(track_id, track)] = tracks(tmp_path / "shelf").items()
    assert track.title == what
    assert paths.decode(track_id) == name
    assert track_id.isprintable()
    assert "\n" not in track_id
    assert (track.offer.path, track.offer.fetch_id) == (track_id, track_id)


def test_all_odd_names_live_in_one_folder_and_keep_apart(tmp_path: Path) -> None:
    for name in NAMES.values():
        a_flac(at(tmp_path / "shelf", name))
    assert {paths.decode(own) for own in tracks(tmp_path / "shelf")} == set(NAMES.values())


def test_an_odd_name_comes_back_from_a_warc_file_to_the_letter(tmp_path: Path) -> None:
    for name in NAMES.values():
        a_flac(at(tmp_path / "shelf", name))
    given = ask_all(tmp_path / "shelf")
    with EvidenceWriter(tmp_path / "h", "shelf", "folder", {}, lambda: next(iter(given.values())).fetched_at) as writer:
        for answer in given.values():
            writer.write(answer)
    [file] = (tmp_path / "h").glob("*.gz")
    assert {record.answer.request.key: record.answer.body for record in read_records(file) if record.answer} == {
        key: answer.body for key, answer in given.items()
    }


@given(st.binary(min_size=1, max_size=40))
def test_any_path_becomes_one_printable_line_and_comes_back(path: bytes) -> None:
    encoded = paths.encode(path)
    assert encoded.isprintable()
    assert encoded == encoded.rstrip()
    encoded.encode()
    assert paths.decode(encoded) == path


@given(st.binary(min_size=1, max_size=12), st.binary(min_size=1, max_size=12))
def test_two_paths_never_share_an_id(one: bytes, two: bytes) -> None:
    assert (paths.encode(one) == paths.encode(two)) == (one == two)


def test_a_path_of_300_characters_and_one_of_4000_are_read(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    long = "/".join(["ü" * 49] * 6)
    a_flac(shelf / long / "song.flac", title="long")
    longer = "/".join(["d" * 200] * 18)
    (shelf / longer).mkdir(parents=True)
    a_flac(tmp_path / "made.flac", title="longer").rename(shelf / longer / "song.flac")
    found = tracks(shelf)
    assert {(len(own) >= 300, track.title) for own, track in found.items()} == {(True, "long"), (True, "longer")}
    assert f"{long}/song.flac" in found


def test_a_folder_too_deep_for_the_system_is_a_finding_and_the_rest_is_read(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    a_flac(shelf / "near.flac")
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(shelf)
        for _ in range(25):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.fchdir(here)
        os.close(here)
    assert list(tracks(shelf)) == ["near.flac"]
    assert "file-unreadable" in problems(shelf).values()


def test_two_tracks_with_one_name_stay_two(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        a_flac(tmp_path / "shelf" / folder / "same.flac", title="Same", album="Same", artist="Same")
    a_flac(tmp_path / "shelf" / "a" / "SAME.flac", title="Same", album="Same", artist="Same")
    assert sorted(tracks(tmp_path / "shelf")) == ["a/SAME.flac", "a/same.flac", "b/same.flac"]


def test_what_is_no_regular_file_is_named_and_never_opened(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    a_flac(shelf / "real.flac")
    outside = a_flac(tmp_path / "outside.flac")
    (shelf / "link.flac").symlink_to(outside)
    (shelf / "broken.flac").symlink_to("nowhere")
    (shelf / "loop").symlink_to(shelf)
    (shelf / "link.txt").symlink_to(outside)
    os.mkfifo(shelf / "pipe.flac")
    listed = entries(shelf)
    assert {name: entry.role for name, entry in listed.items()} == {
        "real.flac": "audio", "link.flac": "link", "broken.flac": "link", "loop": "link", "link.txt": "link", "pipe.flac": "device",
    }  # fmt: skip
    assert list(tracks(shelf)) == ["real.flac"]
    assert problems(shelf) == dict.fromkeys(("link.flac", "broken.flac", "loop"), "file-unreadable")


def test_a_file_that_became_a_link_or_went_away_since_it_was_listed_is_not_followed(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    a_flac(shelf / "a.flac")
    source = Folder(shelf)
    [request] = source.follow(source.fetch(LISTING))
    (shelf / "a.flac").unlink()
    with pytest.raises(SkipRecordError, match=r"a\.flac cannot be read: No such file"):
        source.fetch(request)
    (shelf / "a.flac").symlink_to(a_flac(tmp_path / "b.flac"))
    with pytest.raises(SkipRecordError, match=r"a\.flac cannot be read"):
        source.fetch(request)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_and_a_folder_that_may_not_be_read_are_findings(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    a_flac(shelf / "good.flac")
    a_flac(shelf / "bad.flac").chmod(0)
    a_flac(shelf / "shut/x.flac")
    (shelf / "shut").chmod(0)
    try:
        assert list(tracks(shelf)) == ["good.flac"]
        assert problems(shelf) == {"bad.flac": "file-unreadable", "shut": "file-unreadable"}
    finally:
        (shelf / "shut").chmod(0o700)


def test_a_file_that_the_system_refuses_is_a_finding_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_flac(tmp_path / "a.flac")
    a_flac(tmp_path / "b.flac")
    real_open = open

    def refusing(path: object, *how: object, **more: object) -> object:
        if os.fsencode(path).endswith(b"a.flac"):  # type: ignore[arg-type]
            raise PermissionError(13, "Permission denied")
        return real_open(path, *how, **more)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", refusing)
    listed = entries(tmp_path)
    assert listed["a.flac"].problem == "cannot be read: Permission denied"
    assert listed["b.flac"].role == "audio"


def test_empty_files_and_files_that_are_no_audio_are_findings(tmp_path: Path) -> None:
    (tmp_path / "empty.ogg").touch()
    (tmp_path / "text.mp3").write_text("I am a poem, not a song.\n" * 100)
    (tmp_path / "zeros.flac").write_bytes(bytes(5000))
    (tmp_path / "notes.txt").write_text("not named like audio")
    (tmp_path / "model.mod").write_bytes(b"a 3-D model")
    a_flac(tmp_path / "good.flac")
    assert sorted(tracks(tmp_path)) == ["good.flac"]
    assert problems(tmp_path) == {
        "empty.ogg": "file-empty",
        "text.mp3": "file-not-audio",
        "zeros.flac": "file-not-audio",
    }


def test_a_file_without_a_suffix_or_with_a_wrong_one_is_known_by_its_content(tmp_path: Path) -> None:
    a_flac(tmp_path / "nosuffix")
    a_flac(tmp_path / "wrong.txt")
    a_flac(tmp_path / "liar.mp3")
    found = tracks(tmp_path)
    assert {own: track.offer.codec for own, track in found.items()} == {
        "nosuffix": "flac",
        "wrong.txt": "flac",
        "liar.mp3": "flac",
    }


def test_a_truncated_file_is_a_finding_and_its_tags_are_kept(tmp_path: Path) -> None:
    raw = (shared_data("beets-fixtures") / "test/rsrc/full.ogg").read_bytes()
    (tmp_path / "cut.ogg").write_bytes(raw[:-500])
    [track] = tracks(tmp_path).values()
    assert track.title == "full"
    assert problems(tmp_path) == {"cut.ogg": "file-truncated"}


PICTURE = random.Random(3).randbytes(3 * 2**20)


def with_flac_picture(file: Path) -> None:
    a_flac(file, title="pictured", artist="someone")
    tagged, picture = FLAC(file), Picture()
    picture.data, picture.mime, picture.type = PICTURE, "image/jpeg", 3
    tagged.add_picture(picture)
    tagged.save()


def with_vorbis_picture(file: Path) -> None:
    soundfile.write(file, np.zeros((80_000, 1)), 8000)
    tagged, picture = OggVorbis(file), Picture()
    picture.data, picture.mime, picture.type = PICTURE, "image/jpeg", 3
    tagged["title"], tagged["artist"] = "pictured", "someone"
    tagged["metadata_block_picture"] = base64.b64encode(picture.write()).decode()
    tagged.save()


def with_mp3_picture(file: Path) -> None:
    soundfile.write(file, np.zeros((80_000, 1)), 8000)
    tags = ID3()
    for frame in (APIC(mime="image/jpeg", type=3, data=PICTURE), TIT2(text=["pictured"]), TPE1(text=["someone"])):
        tags.add(frame)
    tags.save(file)


def with_m4a_picture(file: Path) -> None:
    file.write_bytes((shared_data("beets-fixtures") / "test/rsrc/empty.m4a").read_bytes())
    tagged = MP4(file)
    tagged["covr"], tagged["\xa9nam"], tagged["\xa9ART"] = [MP4Cover(PICTURE)], ["pictured"], ["someone"]
    tagged.save()


PICTURED: dict[str, Callable[[Path], None]] = {
    "a.flac": with_flac_picture, "a.mp3": with_mp3_picture, "a.m4a": with_m4a_picture, "a.ogg": with_vorbis_picture,
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURED)
def test_tags_are_read_again_from_small_blocks_when_a_file_holds_a_picture_of_three_megabytes(
    tmp_path: Path, name: str
) -> None:
    PICTURED[name](tmp_path / name)
    answer = Folder(tmp_path).fetch(Request(f"audio/{name}"))
    spans, total = unpack_spans(answer.body)
    assert total == (tmp_path / name).stat().st_size > 3 * 2**20
    kept = sum(len(span.content) for span in spans)
    seen = list(parse(answer))
    [track] = [item for item in seen if isinstance(item, TrackSeen)]
    assert track.title == "pictured"
    assert track.credits == (CreditSeen(artist_id="name:someone"),)
    assert kept <= BLOCKS_MAX_BYTES
    assert not [item for item in seen if isinstance(item, ProblemSeen)]


def test_audio_is_never_in_the_evidence(tmp_path: Path) -> None:
    sound = np.random.default_rng(5).normal(0, 0.2, (200_000, 2))
    for name in ("a.wav", "b.flac", "c.ogg", "d.mp3", "e.aiff"):
        soundfile.write(tmp_path / name, sound, 44_100)
    for name, answer in ask_all(tmp_path).items():
        if name == "listing":
            continue
        file = tmp_path / name.removeprefix("audio/")
        middle = file.read_bytes()[file.stat().st_size // 2 :][:64]
        assert middle not in answer.body, name
        assert len(answer.body) < 0.35 * file.stat().st_size, name


def evidence_ids(root: Path) -> dict[str, str]:
    return {
        key: str(record_uuid("shelf", key, hashlib.sha256(answer.body).hexdigest()))
        for key, answer in ask_all(root).items()
    }


def test_evidence_ids_are_equal_when_the_folder_is_moved(tmp_path: Path) -> None:
    for n, name in enumerate(NAMES.values()):
        a_flac(at(tmp_path / "one", name), title=f"t{n}")
    (tmp_path / "one/LICENSE").write_text("CC0-1.0")
    before = evidence_ids(tmp_path / "one")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "one").rename(tmp_path / "elsewhere/two")
    assert evidence_ids(tmp_path / "elsewhere/two") == before


def test_evidence_ids_change_for_what_changed_alone(tmp_path: Path) -> None:
    a_flac(tmp_path / "a.flac")
    a_flac(tmp_path / "b.flac")
    before = evidence_ids(tmp_path)
    a_flac(tmp_path / "b.flac", title="renamed")
    after = evidence_ids(tmp_path)
    assert {key for key in before if before[key] != after[key]} == {"listing", "audio/b.flac"}


def test_licence_files_are_kept_whole_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("LICENSE", "a/copyright", "a/b/Licence.txt", "a/b/COPYING.md", "a/licensed.txt", "a/mylicense"):
        (tmp_path / name).write_text(f"licence of {name}")
    seen = [
        item for answer in ask_all(tmp_path).values() for item in parse(answer) if isinstance(item, LicenceFileSeen)
    ]
    assert {item.path: item.text for item in seen} == {
        name: f"licence of {name}" for name in ("LICENSE", "a/copyright", "a/b/Licence.txt", "a/b/COPYING.md")
    }


def test_a_release_is_of_its_folder_and_discs_join(tmp_path: Path) -> None:
    for disc in ("CD1", "cd 2", "Disc-3"):
        a_flac(tmp_path / "box" / disc / "1.flac", album="The  Box", albumartist="X")
    a_flac(tmp_path / "other/1.flac", album="The Box", albumartist="X")
    a_flac(tmp_path / "loose.flac")
    found = tracks(tmp_path)
    assert {track.release_id for track in found.values()} == {"box/the box", "other/the box", None}
    releases = [
        item for answer in ask_all(tmp_path).values() for item in parse(answer) if isinstance(item, ReleaseSeen)
    ]
    assert {release.title for release in releases} == {"The  Box", "The Box"}


def test_values_that_cannot_be_are_findings_and_the_track_stays(tmp_path: Path) -> None:
    a_flac(
        tmp_path / "a.flac",
        tracknumber="-3",
        discnumber="x",
        date="0000",
        isrc="none",
        musicbrainz_trackid="42",
        album="A",
    )
    a_flac(tmp_path / "b.flac", tracknumber="07/12", date="1911-05-00", isrc="de-a12-34-56789", album="B")
    found = tracks(tmp_path)
    assert (found["a.flac"].track_number, found["a.flac"].isrc, found["a.flac"].recording_id_musicbrainz) == (
        None,
        None,
        None,
    )
    assert (found["b.flac"].track_number, found["b.flac"].isrc) == (7, "DEA123456789")
    odd = [
        item.message for answer in ask_all(tmp_path).values() for item in parse(answer) if isinstance(item, ProblemSeen)
    ]
    assert sorted(message.split(" is ")[0] for message in odd) == [
        "date",
        "disc number",
        "isrc",
        "musicbrainz_trackid",
        "track number",
    ]


def test_a_folder_that_is_not_there_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist or is no folder"):
        Folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="does not exist or is no folder"):
        Folder(tmp_path / "file")


@given(st.binary(max_size=200))
def test_evidence_that_is_no_body_of_byte_ranges_is_a_finding(body: bytes) -> None:
    [problem] = parse(Answer(Request("audio/a.flac"), body, "", None))  # type: ignore[arg-type]
    assert isinstance(problem, ProblemSeen)
    assert problem.code == "tags-unreadable"


def test_an_empty_folder_has_an_empty_listing(tmp_path: Path) -> None:
    assert Folder(tmp_path).fetch(LISTING).body == b""
    assert list(Folder(tmp_path).sample()) == []


def test_an_archive_in_its_own_folder_is_not_music(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    a_flac(shelf / "a.flac")
    (shelf / "tenuto.toml").write_text("")
    a_flac(shelf / "crates" / "kept.flac")
    assert list(entries(shelf)) == ["a.flac"]
