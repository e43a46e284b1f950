"""An archive with small real recordings, kept by the real code once and copied for each test; what its publication must be."""

import atexit
import contextlib
import hashlib
import io
import json
import shutil
import signal
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from tenuto.archive import Layout, Settings
from tenuto.archive.settings import load_settings
from tenuto.cli import main
from tenuto.crates.holdings import crate_files, read_holdings
from tenuto.crates.reader import CrateFile
from tenuto.publication.documents import Index, parse_index, parse_shard, shard_name, verify_index

SOURCE = "shelf"
RATE_HZ = 16_000
PERMISSION = """\
format = "tenuto-permission-1"
grantor = "The shelf's owner"
ground = "owner"
granted_on = 2026-01-31
{harvest}
[[grant]]
path = ["open/*"]
may_keep = true
may_give_out = true
licence = "CC0-1.0"
{terms}
[[grant]]
path = ["closed/*"]
may_keep = true
may_give_out = false
"""
THRICE = "open/Thrice/31 Often Changed.flac"
TWINS = ("open/Twins/21 Castor Gemini.flac", "open/Twins/22 Pollux Gemini.flac")
OPEN = tuple(f"open/Alpha Album/{number:02d} Opensong {word}.flac" for number, word in enumerate(
    ("Uno", "Duo", "Tres", "Quattuor", "Quinque"), 1))  # fmt: skip
ALONE = "open/Lonely/41 Solitaire Longish.flac"
CLOSED = tuple(
    f"closed/Umbra Album/{number:02d} Darksong {word}.flac" for number, word in enumerate(("Nox", "Tenebrae"), 51)
)


def sound(path: Path, seed: int, seconds: float = 1.0) -> None:
    """Noise, which no coder makes small, with tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, int(RATE_HZ * seconds))
    soundfile.write(path, noise, RATE_HZ)
    tags = mutagen.File(path, easy=True)
    tags["title"], tags["artist"], tags["album"] = path.stem[3:], "Anna Ärmel", path.parent.name
    tags.save()


def music(folder: Path) -> None:
    """The shelf: five open songs, two with the same bytes, one that changes, one large enough for a crate of its own, two dark."""
    for seed, name in enumerate((*OPEN, *CLOSED, THRICE, TWINS[0])):
        sound(folder / name, seed)
    sound(folder / ALONE, 99, 3.5)
    shutil.copyfile(folder / TWINS[0], folder / TWINS[1])


@dataclass(frozen=True)
class Shelf:
    """An archive to be worked in by the command line, in this process."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    @property
    def settings(self) -> Settings:
        return load_settings(self.layout.settings)

    @property
    def publication(self) -> Path:
        return self.layout.publication

    @property
    def keys(self) -> Path:
        return self.root.parent / "keys"

    @property
    def music(self) -> Path:
        return self.root.parent / "music"

    def __call__(self, *words: str | Path, code: int | None = 0) -> tuple[str, str]:
        """Run a verb; its stdout and stderr. `code` is what it must end with."""
        shown, said, on_terminate = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
            main([str(word) for word in words] + ["--archive", str(self.root)])
        signal.signal(signal.SIGTERM, on_terminate)
        assert code is None or ended.value.code == code, (
            f"exit {ended.value.code}\n{shown.getvalue()}\n{said.getvalue()}"
        )
        return shown.getvalue(), said.getvalue()

    def json(self, *words: str | Path, code: int | None = 0) -> Any:
        """Run a verb with --json."""
        (line,) = self(*words, "--json", code=code)[0].splitlines()
        return json.loads(line)

    def withdraw(self, track: str, *words: str, reason: str = "rightsholder", code: int | None = 0) -> Any:
        """`tenuto withdraw`."""
        shown = self("withdraw", f"{SOURCE}:{track}", "--reason", reason, *words, "--json", code=code)[0]
        return json.loads(shown) if shown else None

    def permit(self, harvest: str = "", terms: str = "") -> None:
        """Write another permission, and take up what it says."""
        write_permission(self.root.parent, harvest, terms)
        self("harvest")
        self("catalogue", "build")

    def index(self) -> Index:
        """The index that is published."""
        return parse_index((self.publication / "index.json").read_bytes())

    def crates_with(self, track: str) -> list[Path]:
        """The open crates that hold a track, by their own tables."""
        return [
            path for path in crate_files(self.layout) if path.parent == self.layout.crates and track in tracks_in(path)
        ]


def tracks_in(path: Path) -> list[str]:
    """The tracks of an open crate, in its order."""
    crate = CrateFile(path)
    return crate.recordings()["track_id"].to_pylist() if crate.kind == "recordings" else []


def rows_in(shelf: Shelf, path: Path) -> list[dict[str, Any]]:
    """The rows of a crate, open or dark, read from the crate itself."""
    return read_holdings(CrateFile(path), shelf.layout, shelf.settings).to_pylist()


def write_permission(folder: Path, harvest: str = "", terms: str = "") -> Path:
    file = folder / "permission.toml"
    file.write_text(PERMISSION.format(harvest=harvest, terms=terms))
    return file


def begin_shelf(folder: Path, target_bytes: int = 120_000) -> Shelf:
    """An archive of a folder of music that is there; harvested, built and planned, but nothing kept."""
    shelf = Shelf(folder / "archive")
    shelf_init = Shelf(folder)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        pytest.raises(SystemExit),
    ):
        main(["init", str(shelf.root), "--name", "testing", "--contact", "tests@archive.invalid", "--keys",
              str(shelf_init.root / "keys")])  # fmt: skip
    settings = shelf.layout.settings
    text = settings.read_text().replace('"10 GB" ', str(target_bytes)).replace('"opus-75"', '"original"')
    settings.write_text(text.replace('budget = "100%"', 'budget = "1 GB"'))
    shelf("source", "add", "folder", folder / "music", "--name", SOURCE, "--permission", write_permission(folder))
    shelf("harvest")
    shelf("catalogue", "build")
    shelf("plan")
    return shelf


@cache
def _pattern() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tenuto-shelf-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    music(folder / "music")
    shelf = begin_shelf(folder)
    shelf("keep")
    for seconds in (1.1, 1.2):  # another length: files are told apart by what a connector reads of them
        sound(shelf.music / THRICE, 200, seconds)
        for verb in (("harvest",), ("catalogue", "build"), ("plan",), ("keep",)):
            shelf(*verb)
    shutil.rmtree(shelf.layout.drafts, ignore_errors=True)
    return folder


def a_shelf(folder: Path) -> Shelf:
    """A copy of the archive, all kept, nothing published."""
    shutil.copytree(_pattern(), folder, dirs_exist_ok=True)
    settings = folder / "archive" / "tenuto.toml"
    settings.write_text(settings.read_text().replace(str(_pattern()), str(folder)))
    return Shelf(folder / "archive")


def snapshot(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Each file's digest, time and inode."""
    return {
        str(path.relative_to(folder)): (sha256_of(path), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_published(shelf: Shelf) -> Index:
    """The publication is signed, whole, refers to nothing that is missing and holds nothing that is not referred to."""
    root, content = shelf.publication, (shelf.publication / "index.json").read_bytes()
    verify_index(content, (root / "index.json.sig").read_bytes(), shelf.settings.keys.signing_public)
    index = parse_index(content)
    named = {"index.json", "index.json.sig", "signing.pub.pem"}
    references = [index.status, index.withdrawals, index.feed, index.page]
    references += [one for crate in index.crates for one in (crate.torrent, crate.layers)]
    for one in references:
        assert (root / one.path).stat().st_size == one.bytes
        assert sha256_of(root / one.path) == one.sha256, one.path
        named.add(one.path)
    by_name = {crate.crate: root / crate.addresses[0] for crate in index.crates}
    for crate in index.crates:
        file = by_name[crate.crate]
        assert file.stat().st_size == crate.bytes
        assert file.samefile(shelf.layout.crates / file.name), "a second name of the archive's own file"
        assert not file.is_symlink()
        named.add(crate.addresses[0])
    for prefix, sha256 in index.shards.sha256.items():
        (file,) = (root / "recordings").glob(f"{prefix}-{sha256[:8]}.json")
        content = file.read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        assert f"recordings/{file.name}" == shard_name(prefix, content)
        named.add(f"recordings/{file.name}")
        for places in parse_shard(content).entries.values():
            for place in places:
                taken = CrateFile(by_name[place.crate]).read_range(place.offset, place.bytes)
                assert hashlib.sha256(taken).hexdigest() == place.sha256
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == named
    status = pq.read_table(root / "status.parquet")
    assert status.num_rows == index.tracks == sum(index.statuses.values())
    found = {one["values"]: one["counts"] for one in status["status"].value_counts().to_pylist()}
    assert found == index.statuses
    assert set(status["crate"].drop_null().to_pylist()) <= set(by_name)
    return index


def entries_of(shelf: Shelf) -> dict[str, list[dict[str, Any]]]:
    """All entries of the shards."""
    shards = [parse_shard(path.read_bytes()) for path in sorted((shelf.publication / "recordings").glob("*.json"))]
    return {key: [place.model_dump() for place in places] for shard in shards for key, places in shard.entries.items()}
