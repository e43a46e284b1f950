"""`tenuto publish`: a whole, signed web root of what may be given out, in which nothing changes that is published."""

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from published_maker import (
    ALONE,
    CLOSED,
    OPEN,
    SOURCE,
    THRICE,
    TWINS,
    a_shelf,
    assert_published,
    entries_of,
    rows_in,
    snapshot,
    sound,
)
from support import need_program
from tenuto.crates.holdings import crate_files, holdings_of, note_holdings
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import torrent_beside
from tenuto.model.ids import track_key
from tenuto.model.tables import TABLES


@pytest.fixture
def shelf(tmp_path):
    return a_shelf(tmp_path)


@pytest.fixture
def published(shelf):
    shelf("publish")
    return shelf


def test_publication_is_whole_and_every_recording_is_found_by_track_and_by_digest(published):
    index = assert_published(published)
    assert [crate.kind for crate in index.crates] == ["metadata", *["recordings"] * (len(index.crates) - 1)]
    assert (index.tracks, index.statuses) == (11, {"kept": 9, "dark": 2})
    entries = entries_of(published)
    for track in (*OPEN, *TWINS, ALONE):
        (place,) = entries[track_key(SOURCE, track)]
        assert place in entries[place["sha256"]]
    assert len(entries[track_key(SOURCE, THRICE)]) == 3
    assert entries[track_key(SOURCE, TWINS[0])] == entries[track_key(SOURCE, TWINS[1])]
    assert not any(track_key(SOURCE, track) in entries for track in CLOSED)
    (dark,) = index.dark
    assert (dark.recordings, dark.bytes) == (2, (published.layout.dark / f"{dark.crate}.zip").stat().st_size)
    assert published.json("status")["statuses"] == index.statuses


def test_publishing_again_touches_no_file(published):
    before = snapshot(published.publication)
    again = published.json("publish")
    assert (again["is_new"], again["sequence"]) == (False, published.index().sequence)
    assert snapshot(published.publication) == before


def test_signature_verifies_with_openssl_as_the_format_says(published):
    openssl, root = need_program("openssl"), published.publication
    words = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "signing.pub.pem",
        "-rawin",
        "-in",
        "index.json",
        "-sigfile",
        "index.json.sig",
    ]
    done = subprocess.run([openssl, *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (root / "index.json").write_bytes((root / "index.json").read_bytes() + b" ")
    assert subprocess.run([openssl, *words], cwd=root, capture_output=True, check=False).returncode != 0


def test_new_edition_is_added_and_what_was_published_of_recordings_stays(published):
    before, files = published.index(), snapshot(published.publication)
    sound(published.music / "open/Alpha Album/06 Opensong Sextus.flac", 777)
    for verb in (("harvest",), ("catalogue", "build"), ("plan",), ("keep",)):
        published(*verb)
    assert published.json("status")["next"] == "tenuto publish"
    published("publish")
    index = assert_published(published)
    assert index.sequence > before.sequence
    assert (index.tracks, index.edition != before.edition) == (12, True)
    assert {crate.crate for crate in before.crates if crate.kind == "recordings"} < {
        crate.crate for crate in index.crates
    }
    assert [crate.crate for crate in index.crates if crate.kind == "metadata"] == [f"testing-metadata-{index.edition}"]
    after = snapshot(published.publication)
    for crate in before.crates[1:]:
        for path in (crate.torrent.path, crate.layers.path, crate.addresses[0]):
            assert after[path] == files[path]
    assert published.json("status")["next"].startswith("tenuto harvest")


def test_sequence_grows_over_a_publication_that_was_lost(published):
    first = published.index().sequence
    published.withdraw(OPEN[0])
    second = published.index().sequence
    assert second > first
    shutil.rmtree(published.publication)
    published("publish")
    assert assert_published(published).sequence > second


@pytest.mark.parametrize("spoil", ["missing", "foreign", "nonsense"])
def test_nothing_is_published_without_the_signing_key(shelf, spoil):
    key = shelf.keys / "signing.pem"
    if spoil == "missing":
        key.unlink()
    elif spoil == "foreign":
        openssl = need_program("openssl")
        key.unlink()
        subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    else:
        key.write_text("no key")
    said = shelf("publish", code=3)[1]
    assert "signing.pem" in said
    assert not shelf.publication.exists()


def test_withdrawal_without_the_signing_key_is_refused_before_anything_is_done(published):
    (published.keys / "signing.pem").unlink()
    before = snapshot(published.root / "crates")
    published.withdraw(OPEN[0], code=3)
    assert not published.layout.withdrawals.exists()
    assert snapshot(published.root / "crates") == before


def test_stale_and_foreign_files_leave_the_folders_that_the_index_rules(published):
    root = published.publication
    before = snapshot(root)
    for name in (
        "crates/stray.zip",
        "torrents/old.r0.torrent",
        "layers/x.layers",
        "recordings/0-00000000.json",
        "crates/.making-x.zip",
    ):
        (root / name).write_bytes(b"left over")
    (root / "robots.txt").write_text("User-agent: *\n")
    (root / "crates/folder").mkdir()
    said = published("publish")[1]
    assert "crates/folder is a folder and none of ours" in said
    assert (root / "robots.txt").exists(), "the root is the operator's"
    (root / "robots.txt").unlink()
    (root / "crates/folder").rmdir()
    assert snapshot(root) == before


def test_link_that_a_check_tried_may_go_while_publish_tidies_up(published, monkeypatch):
    trial, glob = published.publication / "crates/.making-x.zip.tried", Path.glob

    def overtaken(self, pattern):
        found = [*glob(self, pattern)]
        return [*found, trial] if self == trial.parent else found

    monkeypatch.setattr(Path, "glob", overtaken)
    published.withdraw(OPEN[0])


def test_file_of_the_publication_that_was_changed_is_made_again(published):
    root, index = published.publication, published.index()
    before = {path: digest for path, (digest, _, _) in snapshot(root).items()}
    (shard,) = list((root / "recordings").glob("*.json"))[:1]
    large = next(crate for crate in index.crates if crate.crate.endswith("0003-b01334e9") or crate.bytes > 100_000)
    spoiled = [
        shard.relative_to(root),
        large.torrent.path,
        large.layers.path,
        "index.json.sig",
        "signing.pub.pem",
        "feed.atom",
    ]
    for name in spoiled:
        content = bytearray((root / name).read_bytes())
        content[-1] ^= 1
        (root / name).write_bytes(content)
    (root / large.addresses[0]).unlink()
    (root / large.addresses[0]).write_bytes(b"not the crate")
    published("publish")
    assert_published(published)
    after = {path: digest for path, (digest, _, _) in snapshot(root).items()}
    assert {path for path in after if after[path] != before[path]} <= {"index.json", "index.json.sig"}


def test_layers_of_a_stranger_are_never_signed(shelf):
    crate = next(path for path in crate_files(shelf.layout) if path.parent == shelf.layout.crates)
    right = shelf.publication / "layers" / f"{crate.stem}.r0.layers"
    shelf("publish")
    content = right.read_bytes()
    shutil.rmtree(shelf.publication)
    right.parent.mkdir(parents=True)
    right.write_bytes(bytes(len(content)))
    shelf("publish")
    assert right.read_bytes() == content


@pytest.mark.parametrize("spoil", ["missing torrent", "torrent of another", "cut", "no zip", "flipped leaves"])
def test_damaged_crate_is_left_out_and_named_and_all_others_are_published(shelf, spoil):
    one, other = [path for path in crate_files(shelf.layout) if path.parent == shelf.layout.crates][:2]
    if spoil == "missing torrent":
        torrent_beside(one).unlink()
    elif spoil == "torrent of another":
        shutil.copy(torrent_beside(other), torrent_beside(one))
    elif spoil == "cut":
        one.write_bytes(one.read_bytes()[:-100])
    elif spoil == "no zip":
        one.write_bytes(b"nothing")
    else:
        content = bytearray(one.read_bytes())
        content[CrateFile(one).leaves.offset] ^= 1
        one.write_bytes(content)
    shown = shelf.json("publish", code=7)
    assert shown["damaged"] == [one.stem]
    assert one.stem not in shown["crates"]
    assert other.stem in shown["crates"]
    assert_published(shelf)
    said = shelf("publish", code=7)[1]
    assert one.stem in said


def test_withdrawal_leaves_at_once_though_another_crate_is_damaged(published):
    other = published.crates_with(ALONE)[0]
    other.write_bytes(b"nothing")
    published.withdraw(OPEN[0], code=7)
    index = assert_published(published)
    assert track_key(SOURCE, OPEN[0]) not in entries_of(published)
    assert other.stem not in [crate.crate for crate in index.crates]
    assert published.json("status")["crates_damaged"] == [other.stem]
    assert published.json("status")["next"] == "tenuto check"


def test_metadata_crate_opens_in_duckdb_and_names_no_path_of_a_source(published, tmp_path):
    index = published.index()
    (meta,) = [crate for crate in index.crates if crate.kind == "metadata"]
    crate = CrateFile(published.publication / meta.addresses[0])
    tables = [path for path in crate.entries if path.endswith(".parquet")]
    assert len(tables) == len(TABLES) - 1, "all but finding"
    for path in tables:
        (tmp_path / path.rpartition("/")[2]).write_bytes(crate.read(path))
        text = pq.read_table(tmp_path / path.rpartition("/")[2]).to_pydict()
        assert not any(part in repr(text) for part in ("open/", "closed/", ".flac", str(published.root.parent)))
    with duckdb.connect() as con:
        rows = con.sql(f"SELECT track_id, track.title FROM '{tmp_path}/track.parquet' JOIN '{tmp_path}/release.parquet' "
                       "USING (release_row) ORDER BY ALL").fetchall()  # fmt: skip
    assert len(rows) == 11
    assert all(track_id.startswith("key:") for track_id, *_ in rows)
    assert {f"key:{track_key(SOURCE, track)}" for track in CLOSED} < {row[0] for row in rows}
    assert "closed/" not in crate.read("data/edition.json").decode()


def _evidence(shelf):
    return [crate for crate in shelf.json("publish")["crates"] if "-evidence-" in crate]


def test_evidence_is_given_out_with_permission_and_only_while_every_track_of_the_source_may_be(shelf):
    assert _evidence(shelf) == []
    shelf.permit("[harvest]\nmay_give_out_evidence = true")
    assert _evidence(shelf) == [], "two of its tracks are dark"
    shutil.rmtree(shelf.music / "closed")
    shelf.permit("[harvest]\nmay_give_out_evidence = true")
    shelf("plan")
    assert _evidence(shelf) == [], "a dark crate still holds what the source dropped"
    for path in shelf.layout.dark.iterdir():
        path.unlink()
    (given,) = _evidence(shelf)[-1:]
    assert_published(shelf)
    crate = CrateFile(shelf.layout.crates / f"{given}.zip")
    assert crate.kind == "evidence"
    assert "data/evidence/harvest.json" in crate.entries
    shelf.withdraw(OPEN[0])
    assert not any("-evidence-" in crate.crate for crate in assert_published(shelf).crates)


def test_evidence_leaves_with_the_permission_for_it_or_for_the_recordings(shelf):
    shutil.rmtree(shelf.music / "closed")
    shutil.rmtree(shelf.layout.dark)
    shelf.permit("[harvest]\nmay_give_out_evidence = true")
    assert _evidence(shelf)
    shelf.permit("")
    assert _evidence(shelf) == [], "the newest permission says nothing of it"
    shelf.permit("[harvest]\nmay_give_out_evidence = true", "until = 2026-02-01")
    assert [crate for crate in shelf.json("publish", code=6)["crates"] if "-evidence-" in crate] == []


def test_withdrawn_track_that_the_source_dropped_still_keeps_evidence_back(shelf):
    shutil.rmtree(shelf.music / "closed")
    shutil.rmtree(shelf.layout.dark)
    shelf.permit("[harvest]\nmay_give_out_evidence = true")
    assert _evidence(shelf)
    shelf.withdraw(OPEN[0], "--destroy")
    (shelf.music / OPEN[0]).unlink()
    shelf.permit("[harvest]\nmay_give_out_evidence = true")
    assert shelf.json("status")["tombstones"] >= 1
    assert _evidence(shelf) == []


# The gate at giving out.


@pytest.mark.parametrize("terms", [f"until = {datetime.now(UTC).date() - timedelta(days=1)}", 'territories = ["DE"]'])
def test_crates_whose_right_has_ended_are_withheld_and_the_message_says_what_to_run(published, terms):
    published.permit("", terms)
    said = published("publish", code=6)[1]
    index = assert_published(published)
    assert [crate.kind for crate in index.crates] == ["metadata"]
    lines = [line for line in said.splitlines() if "is not given out" in line]
    assert len(lines) == len([path for path in crate_files(published.layout) if "heard" in path.name]) - 1
    assert "run: tenuto withdraw --refused --reason permission-ended" in lines[0]
    assert "does not hold for" in lines[0]
    assert sorted(published.json("publish", code=6)["withheld"]) == sorted(line.split()[2] for line in lines)


def test_right_that_lasts_until_today_still_holds(published):
    published.permit("", f"until = {datetime.now(UTC).date()}")
    assert published.json("publish")["withheld"] == {}


def test_one_prohibition_outweighs_the_grant_and_withholds_its_crate_alone(published):
    (published.music / "open/Lonely/LICENSE").write_text("All rights reserved. No redistribution.\n")
    before = {crate.crate for crate in published.index().crates if crate.kind == "recordings"}
    published.permit("", '[[grant]]\npath = ["open/Lonely/*"]\nmay_give_out = false')
    (alone,) = published.crates_with(ALONE)
    said = published("publish", code=6)[1]
    assert alone.stem in said
    assert ALONE in said
    index = assert_published(published)
    assert {crate.crate for crate in index.crates if crate.kind == "recordings"} == before - {alone.stem}
    assert track_key(SOURCE, ALONE) not in entries_of(published)
    published.withdraw(ALONE, reason="permission-ended")
    assert {crate.crate for crate in assert_published(published).crates if crate.kind == "recordings"} == before


def test_prohibition_for_one_track_holds_for_the_same_recording_of_another(published):
    (path,) = published.crates_with(TWINS[0])
    (row,) = [row for row in rows_in(published, path) if row["track_id"] == TWINS[1]]
    published.permit("", f'[[grant]]\npath = ["{TWINS[0]}"]\nmay_give_out = false')
    assert published.json("publish", code=6)["withheld"] == {path.stem: 2}
    done = published.json("withdraw", "--refused", "--reason", "permission-ended")
    assert done["tracks"] == [f"{SOURCE}:{track}" for track in TWINS]
    assert not {row["sha256"], track_key(SOURCE, TWINS[1])} & entries_of(published).keys()


def test_prohibition_of_what_lies_in_a_dark_crate_holds_for_its_twin_in_an_open_one(shelf):
    twin = "open/Twins/23 Third Gemini.flac"
    shutil.copyfile(shelf.music / CLOSED[0], shelf.music / twin)
    for verb in (("harvest",), ("catalogue", "build"), ("plan",), ("keep",)):
        shelf(*verb)
    (path,) = shelf.crates_with(twin)
    said = shelf("publish", code=6)[1]
    assert f"{SOURCE}:{twin}" in said
    assert f"of the same recording as {SOURCE}:{CLOSED[0]}" in said
    assert path.stem not in [crate.crate for crate in assert_published(shelf).crates]
    assert track_key(SOURCE, twin) not in entries_of(shelf)


def test_silence_on_one_track_does_not_withhold_the_same_recording_of_another(published):
    file = published.root.parent / "permission.toml"
    granted = f'path = ["open/Alpha*", "open/Lonely/*", "{THRICE}", "{TWINS[0]}"]'
    file.write_text(file.read_text().replace('path = ["open/*"]', granted))
    for verb in (("harvest",), ("catalogue", "build")):
        published(*verb)
    assert published.json("publish")["withheld"] == {}


def test_edition_that_says_nothing_of_a_track_any_more_takes_its_right_away(published):
    file = published.root.parent / "permission.toml"
    file.write_text(file.read_text().replace('path = ["open/*"]', 'path = ["elsewhere/*"]'))
    for verb in (("harvest",), ("catalogue", "build")):
        published(*verb)
    assert set(published.json("publish", code=6)["withheld"]) == {
        path.stem for path in crate_files(published.layout) if "heard" in path.name and path.parent == published.layout.crates
    }  # fmt: skip


def test_track_that_the_source_dropped_is_given_out_by_what_its_crate_states(published):
    (published.music / ALONE).unlink()
    for verb in (("harvest",), ("catalogue", "build")):
        published(*verb)
    published("publish")
    assert track_key(SOURCE, ALONE) in entries_of(published)
    assert_published(published)


# Without the identity, without state/.


def test_what_a_crate_holds_is_noted_durably_since_its_identity_may_be_away(published, monkeypatch):
    crate, steps, fsync, replace = crate_files(published.layout)[0], [], os.fsync, Path.replace

    def tell_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def tell_replace(self: Path, target: Path) -> Path:
        assert self.stat().st_size
        steps.append(f"{self.name} -> {target.name}")
        return replace(self, target)

    held = holdings_of(published.layout, published.settings, crate)
    monkeypatch.setattr(os, "fsync", tell_fsync)
    monkeypatch.setattr(Path, "replace", tell_replace)
    note_holdings(published.layout, crate, held)
    beside = steps[0].removeprefix("fsync ")
    assert beside.startswith(".making-")
    assert steps == [f"fsync {beside}", f"{beside} -> {crate.stem}.parquet", "fsync holdings"]


def test_publishing_needs_no_identity_and_says_the_same(published):
    before = published.index()
    (published.keys / "identity.age").unlink()
    shutil.rmtree(published.layout.state)
    assert published.json("publish")["is_new"] is False
    status = published.json("status")
    assert status["statuses"] == before.statuses
    assert (status["crates_unread"], status["recordings"]) == ([before.dark[0].crate], 12)
    assert "cannot be read without the identity" in published("status")[0]
    published.withdraw(OPEN[0])
    index = assert_published(published)
    assert index.statuses == {"kept": 8, "dark": 2, "withdrawn": 1}
    said = published("withdraw", f"{SOURCE}:{OPEN[1]}", "--reason", "law", "--destroy", code=3)[1]
    assert "identity" in said
    assert assert_published(published).statuses == {"kept": 7, "dark": 2, "withdrawn": 2}


@pytest.mark.parametrize("spoil", ["deleted", "corrupted", "flipped", "of another", "no columns"])
def test_cache_of_holdings_is_never_believed_when_it_is_not_right(published, spoil):
    before, sequence = entries_of(published), published.index().sequence
    caches = sorted(published.layout.holdings.glob("*heard*.parquet"))
    for cache, other in zip(caches, [*caches[1:], caches[0]], strict=True):
        if spoil == "deleted":
            cache.unlink()
        elif spoil == "corrupted":
            cache.write_bytes(b"PAR1 and nothing PAR1")
        elif spoil == "flipped":
            content = bytearray(cache.read_bytes())
            content[len(content) // 3] ^= 0x40
            cache.write_bytes(content)
        elif spoil == "no columns":
            table = pq.read_table(cache)
            pq.write_table(table.drop_columns(["sha256"]).replace_schema_metadata(table.schema.metadata), cache)
        else:
            shutil.copy(other, cache.with_suffix(".new"))
    for new in published.layout.holdings.glob("*.new"):
        new.replace(new.with_suffix(".parquet"))
    assert published.json("publish")["sequence"] == sequence
    assert entries_of(published) == before
    assert len(rows_in(published, next(iter(published.layout.dark.glob("*.zip"))))) == 2
