"""People who listen to the service, and the operator who writes down how often."""

import csv
import itertools
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from .music_folder import CHORALES

if TYPE_CHECKING:
    from .service import Service

LISTENS = 120
UNHEARD_FRAC = 0.5
FIRST_BYTES = 1 << 17


def listen(service: "Service", seed: int) -> int:
    """Let a seeded audience stream what the service has; return the number of listens.

    Each listen is one `stream` call over HTTP, one after another, since Supysonic loses counts when they overlap. It
    takes the first 128 KiB, as a player that buffers does: Supysonic counts it like a whole song.
    """
    with service.client() as client:
        songs = {song["path"]: song for song in client.songs()}
        wishes = choose({path: song["size"] for path, song in songs.items()}, seed)
        for path in wishes:
            client.stream(songs[path]["id"], FIRST_BYTES)
    return len(wishes)


def choose(sizes_bytes: Mapping[str, int], seed: int) -> list[str]:
    """Choose what is listened to, in order: a few songs often, most seldom (Zipf), about half of the bytes never.

    Pure: depends on the paths, their sizes and `seed` only. The chorales are never heard, unless
    there is nothing else; each heard song is once.
    """
    rng = random.Random(seed)  # noqa: S311 - a reproducible audience, no secret
    songs = sorted(path for path in sizes_bytes if not path.startswith(f"{CHORALES}/")) or sorted(sizes_bytes)
    rng.shuffle(songs)
    heard = _within(songs, sizes_bytes, (1 - UNHEARD_FRAC) * sum(sizes_bytes.values()))
    if not heard:
        return []
    weights = [1 / rank for rank in range(1, len(heard) + 1)]
    listens = heard + rng.choices(heard, weights, k=max(0, LISTENS - len(heard)))
    rng.shuffle(listens)
    return listens


def _within(songs: Sequence[str], sizes_bytes: Mapping[str, int], budget_bytes: float) -> list[str]:
    """Take the first songs that together are nearest to the budget from below."""
    totals = itertools.accumulate(sizes_bytes[song] for song in songs)
    return [song for song, total in zip(songs, totals, strict=True) if total <= budget_bytes]


def export_listens(database: Path, target: Path, on: date | None = None) -> int:
    """Write the operator's export, CSV `id,listens,date`, for every track of Supysonic's database; return their number.

    `id` is what the Subsonic API calls the track, `listens` may be 0, `date` is the day of the export (today, UTC).
    """
    day = (on or datetime.now(UTC).date()).isoformat()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tracks = connection.execute("SELECT id, play_count FROM track").fetchall()
    rows = sorted((str(UUID(track_id)), listens, day) for track_id, listens in tracks)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "listens", "date"))
        writer.writerows(rows)
    return len(rows)
