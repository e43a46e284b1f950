"""SIGKILL of `publish` and `withdraw` at random moments: run again, all is as if nobody had killed them."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from published_maker import CLOSED, OPEN, SOURCE, THRICE, a_shelf, assert_published, entries_of, rows_in, snapshot
from tenuto.crates.holdings import crate_files
from tenuto.crates.seal import torrent_beside
from tenuto.model.errors import IntegrityError
from tenuto.model.ids import track_key
from tenuto.publication.documents import parse_index, parse_shard, shard_address, verify_index

KILLS = int(os.environ.get("TENUTO_KILLS", "5"))
SEED = int(os.environ.get("TENUTO_SEED", "20260102"))
VERBS = {
    "publish": ("publish",),
    "withdraw": ("withdraw", f"{SOURCE}:{THRICE}", "--reason", "law"),
    "destroy": ("withdraw", f"{SOURCE}:{OPEN[0]}", "--reason", "privacy", "--destroy"),
    "destroy dark": ("withdraw", f"{SOURCE}:{CLOSED[0]}", "--reason", "law", "--destroy"),
}


def _begin(shelf, verb):
    return subprocess.Popen(
        [sys.executable, "-m", "tenuto", *VERBS[verb], "--archive", str(shelf.root)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _ending(shelf):
    """All that must be the same again: open crates to the byte, dark ones by what they hold, the publication but for its time."""
    index = assert_published(shelf)
    opened, dark = {}, {}
    for path in crate_files(shelf.layout):
        if path.parent == shelf.layout.crates:
            opened[path.name] = (path.read_bytes(), torrent_beside(path).read_bytes())
        else:
            dark[path.name] = [(row["source"], row["track_id"], row["sha256"]) for row in rows_in(shelf, path)]
    left = [path.name for folder in (shelf.layout.crates, shelf.layout.dark, shelf.layout.drafts) if folder.is_dir()
            for path in folder.iterdir() if path.suffix not in {".zip", ".torrent"}]  # fmt: skip
    published = {path: digest for path, (digest, _, _) in snapshot(shelf.publication).items()}
    for name in ("index.json", "index.json.sig", "index.html"):
        published.pop(name)
    said = index.model_dump(exclude={"sequence", "published_at", "page"})
    said["dark"] = [
        {**one, "bytes": 0} for one in said["dark"]
    ]  # each age file is made with other random bytes, some more; the page tells how many
    log = shelf.layout.withdrawals
    return opened, dark, left, published, said, log.read_bytes() if log.exists() else b""


def _what_readers_see(shelf, gone=()):
    """Whatever the moment: a signed index refers to nothing that is missing, and not to what is withdrawn."""
    root = shelf.publication
    try:
        content = (root / "index.json").read_bytes()
        verify_index(content, (root / "index.json.sig").read_bytes(), shelf.settings.keys.signing_public)
    except (FileNotFoundError, IntegrityError):
        return False
    index = parse_index(content)
    for crate in index.crates:
        for one in (crate.torrent, crate.layers):
            assert hashlib.sha256((root / one.path).read_bytes()).hexdigest() == one.sha256
        assert (root / crate.addresses[0]).stat().st_size == crate.bytes, crate.crate
    for prefix, sha256 in index.shards.sha256.items():
        shard = (root / shard_address(prefix, sha256)).read_bytes()
        assert hashlib.sha256(shard).hexdigest() == sha256
        assert not set(gone) & parse_shard(shard).entries.keys()
    return True


def _run(shelf, verb):
    process = _begin(shelf, verb)
    assert process.wait() == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_random_moments_and_run_again_it_ends_as_if_nobody_had_killed_it(tmp_path, verb):
    begun = a_shelf(tmp_path / "begun")
    if verb != "publish":
        begun("publish")

    def copy(name):
        folder = tmp_path / name
        subprocess.run(["cp", "-a", str(begun.root.parent), str(folder)], check=True)  # hard links stay hard links
        settings = folder / "archive" / "tenuto.toml"
        settings.write_text(settings.read_text().replace(str(begun.root.parent), str(folder)))
        return type(begun)(folder / "archive")

    undisturbed = copy("undisturbed")
    started = time.monotonic()
    _run(undisturbed, verb)
    took_s = time.monotonic() - started
    wanted = _ending(undisturbed)
    gone = [key for key in [track_key(*VERBS[verb][1].split(":", 1))] if verb != "publish"] if verb != "publish" else []
    chance, kills, number = random.Random(SEED), 0, 0
    while kills < KILLS:
        number += 1
        shelf = copy(f"killed-{number}")
        for _ in range(chance.choice([1, 1, 2, 3])):
            process = _begin(shelf, verb)
            time.sleep(chance.uniform(took_s * 0.2, took_s * 1.05))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
            _what_readers_see(shelf)
        _run(shelf, chance.choice([verb, "publish"]) if shelf.layout.withdrawals.exists() else verb)
        assert _what_readers_see(shelf, gone), (SEED, number)
        assert _ending(shelf) == wanted, (SEED, number)
        assert not {entry for entry in entries_of(shelf) if entry in gone}
        shutil.rmtree(shelf.root.parent)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_reader_never_sees_the_withdrawn_recording_once_the_first_publish_is_through(tmp_path):
    shelf = a_shelf(tmp_path)
    shelf("publish")
    key = track_key(SOURCE, THRICE)
    process, seen, left_at, looks = _begin(shelf, "withdraw"), True, None, 0
    while process.poll() is None:
        try:
            content = (shelf.publication / "index.json").read_bytes()
            index = parse_index(content)
            shards = [
                (shelf.publication / shard_address(prefix, sha256)).read_bytes()
                for prefix, sha256 in index.shards.sha256.items()
            ]
        except (FileNotFoundError, IntegrityError):
            continue  # replaced between the two: a reader begins again
        if (shelf.publication / "index.json").read_bytes() != content:
            continue
        looks += 1
        seen = any(key in parse_shard(shard).entries for shard in shards)
        assert not (seen and left_at), "it came back"
        left_at = left_at or (None if seen else index.sequence)
    assert process.wait() == 0
    assert not seen
    assert looks > 3
    assert_published(shelf)
