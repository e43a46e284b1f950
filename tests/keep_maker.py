"""An archive with something to keep: a folder or a service of small real audio, harvested, built and planned."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pyarrow.parquet as pq
import soundfile
import tomlkit

from harvesting import NAME, archive_of, verb
from lying_server import Asked, LyingServer, Trick
from tenuto.archive import Layout, load_settings
from tenuto.crates.holdings import all_holdings, crate_files
from tenuto.crates.journal import Outcome, read_journal
from tenuto.crates.status import archive_status

RATE_HZ = 22_050
GRANT = """\
format = "tenuto-permission-1"
grantor = "The operator"
ground = "owner"
granted_on = 2026-01-31
[[grant]]
may_keep = true
may_give_out = true
licence = "CC-BY-4.0"
"""
FORMATS = {"flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "wav": "WAV", "aiff": "AIFF"}


def sound(seed: int, seconds: float = 0.6, suffix: str = "flac") -> bytes:
    """A tone in noise, in the format of a suffix; another one for each seed."""
    count = int(RATE_HZ * seconds)
    noise = np.random.default_rng(seed).normal(0, 0.05, count)
    tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * seed) * np.arange(count) / RATE_HZ) + noise
    made = io.BytesIO()
    soundfile.write(made, tone.astype("float32"), RATE_HZ, format=FORMATS[suffix])
    return made.getvalue()


def put(file: Path, seed: int, seconds: float = 0.6, **tags: str) -> Path:
    """A sound with tags."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(sound(seed, seconds, file.suffix[1:]))
    opened = mutagen.File(file, easy=True)
    if opened is not None and tags:
        if opened.tags is None:
            opened.add_tags()
        for name, value in tags.items():
            opened[name] = value
        opened.save()
    return file


def music(folder: Path, count: int = 5) -> dict[str, bytes]:
    """Sounds in several formats, tagged; path -> bytes."""
    suffixes = list(FORMATS)
    for number in range(count):
        suffix = suffixes[number % 3]
        tags = {"title": f"Lied {number} ä", "artist": f"Künstler {number % 2}", "album": f"Platte {number % 2}",
                "tracknumber": str(number + 1)}  # fmt: skip
        put(folder / f"{number % 2}/{number}.{suffix}", number, **tags)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def shelf(folder: Path, music_folder: Path | None = None, *, permission: str | None = GRANT, prepare: bool = True,
          settings: Mapping[str, Any] | None = None) -> Layout:  # fmt: skip
    """An archive of a folder of music, up to its plan."""
    where = music_folder or folder / "music"
    if not where.exists():
        music(where)
    layout = archive_of(folder, str(where), "folder", permission=permission)
    set_in(layout, **(settings or {}))
    if prepare:
        replan(layout)
    return layout


def set_in(layout: Layout, **settings: Any) -> None:
    """Change settings: `crates={"target_bytes": …}`."""
    document = tomlkit.parse(layout.settings.read_text())
    for name, values in settings.items():
        table: Any = document.setdefault(name, {})
        for key, value in values.items():
            table[key] = value
    layout.settings.write_text(tomlkit.dumps(document))


def bands(tier: str) -> dict[str, Any]:
    """All in one band of this tier."""
    return {"selection": {"bands": [{"name": "all", "tier": tier}]}}


def replan(layout: Layout) -> None:
    """A new harvest, edition and plan."""
    assert verb(layout, "harvest") in {0, 9}
    assert verb(layout, "catalogue", "build") == 0
    assert verb(layout, "plan") == 0


def keep(layout: Layout, *words: str, code: int = 0) -> None:
    """`tenuto keep` in this process; its workers are processes of their own."""
    found = verb(layout, "keep", *words)
    assert found == code, found


# -- what came of it


@dataclass(frozen=True)
class Row:
    """One row of recordings.parquet, and the bytes that lie at its place."""

    crate: str
    row: dict[str, Any]
    content: bytes


def rows(layout: Layout) -> list[Row]:
    """What all crates hold."""
    settings, found = load_settings(layout.settings), []
    for path, table in all_holdings(layout, settings):
        for row in table.to_pylist():
            with path.open("rb") as file:
                file.seek(row["offset"])
                found.append(Row(path.stem, row, file.read(row["sealed_bytes"] or row["bytes"])))
    return found


def kept(layout: Layout) -> dict[str, bytes]:
    """Track id -> bytes as they lie in an open crate."""
    return {one.row["track_id"]: one.content for one in rows(layout)}


def crates(layout: Layout) -> dict[str, str]:
    """Crate -> SHA-256 of its file, its torrent too."""
    files = crate_files(layout)
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for path in files
        for file in (path, path.with_suffix(".torrent"))
    }


def outcomes(layout: Layout) -> dict[str, Outcome]:
    """The outcomes in closed and open journals, by key."""
    files = [*layout.journals.glob("*.jsonl"), *layout.drafts.glob("*/journal.jsonl")]
    return {outcome.key: outcome for file in sorted(files) for outcome in read_journal(file)}


def failures(layout: Layout) -> dict[str, str]:
    """Code -> reason of what failed."""
    return {outcome.code: outcome.reason for outcome in outcomes(layout).values() if outcome.code}


def leftovers(layout: Layout) -> list[Path]:
    return list(layout.root.rglob(".making-*"))


def unpacked(path: Path, folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return contents(folder)


def statuses(layout: Layout) -> dict[str, int]:
    found: dict[str, int] = archive_status(layout, load_settings(layout.settings))["statuses"]
    return found


# -- a service


class Shop(LyingServer):
    """The lying server with recordings: `sounds` are the bytes by song id, `download` gives them."""

    def __init__(self, albums: int = 2, songs: int = 3, **manner: Any) -> None:
        super().__init__(albums, songs, **manner)
        self.sounds: dict[str, bytes] = {}
        for number, song in enumerate(self.songs.values()):
            suffix = ("flac", "ogg", "mp3")[number % 3]
            self.sounds[song["id"]] = content = sound(100 + number, 0.5, suffix)
            song |= {"size": len(content), "suffix": suffix, "duration": 1,
                     "contentType": f"audio/{'mpeg' if suffix == 'mp3' else suffix}",
                     "path": song["path"].replace(".flac", f".{suffix}")}  # fmt: skip
        self.lie(self._give, call="download")

    def trick_for(self, asked: Asked) -> Trick | None:
        """Newer lies go first, so that what is told last holds."""
        with self.lock:
            for lie in reversed(self.lies):
                fits = lie.call in {None, asked.call} and lie.own_id in {None, asked.query.get("id")}
                if fits and lie.left != 0:
                    lie.left = None if lie.left is None else lie.left - 1
                    return lie.trick
        return None

    def _give(self, handler: Any, asked: Asked) -> None:
        refused = self._refusal(asked.query)
        content = self.sounds.get(asked.query.get("id", ""))
        if refused is not None or content is None:
            handler.reply(
                asked, json.dumps({"subsonic-response": self.document(asked)}).encode(), 200, "application/json"
            )
        else:
            handler.reply(asked, content, 200, self.songs[asked.query["id"]]["contentType"])

    def downloads(self) -> list[str]:
        """The ids of the recordings that were asked for, in order."""
        with self.lock:
            return [asked.query["id"] for asked in self.log if asked.call == "download"]


def store(folder: Path, server: Shop, *, permission: str | None = GRANT, settings: Mapping[str, Any] | None = None,
          **politeness: Any) -> Layout:  # fmt: skip
    """An archive of a service, up to its plan."""
    layout = archive_of(folder, server.url, permission=permission, politeness=politeness)
    set_in(layout, **(settings or {}))
    replan(layout)
    return layout


def body(content: bytes, media_type: str = "audio/flac", **headers: str) -> Trick:
    return lambda handler, asked: handler.reply(asked, content, 200, media_type, **headers)


def cut(content: bytes, at: int) -> Trick:
    """A part of a body whose length was announced, then the end."""

    def trick(handler: Any, asked: Asked) -> None:
        handler.close_connection = True
        handler.wfile.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: audio/flac\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        )
        handler.wfile.write(content[:at])
        handler.wfile.flush()

    return trick


def endless(handler: Any, asked: Asked) -> None:
    """A body that never ends."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/flac\r\n\r\nfLaC")
    while True:
        handler.wfile.write(bytes(2**20))


def table_of(layout: Layout, name: str) -> list[dict[str, Any]]:
    """A table of the newest plan."""
    folder = layout.plan((layout.plans / "newest").read_text().strip())
    found: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return found


def same_twice(make: Callable[[Path], Layout], folder: Path) -> Iterator[Layout]:
    for name in ("one", "two"):
        (folder / name).mkdir()
        yield make(folder / name)


def copy_music(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


__all__ = ["NAME"]
