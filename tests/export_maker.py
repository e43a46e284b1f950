"""An edition to export: small, hostile, and known."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from tenuto.archive.layout import Layout
from tenuto.catalogue import Edition
from tenuto.catalogue.writing import make_current, write_edition
from tenuto.model.tables import TABLES

NAME = "2026-01-01-0a1b2c3d"
MANY = 2**64 - 1
HOSTILE = [
    "", "\0", "nothing\0hidden", 'say "hi", he said', "two\nlines\r\nand\rthree", "=cmd|'/c calc'!A0", "'=1+1", "''=1+1",
    "'Round Midnight", "+1", "-", "@here", "\ttab", "\uff1dwide", "\uff0b", "\uff0d", "\uff20", "a;b; c", "back\\slash\\;", ";",
    "\\",
    "Robert'); DROP TABLE tracks;--", "%s {} ${HOME} $(true) `true`", "\ufeffmark", "\u2028line", "\x1a\x1b[2J", "日本語のうた",
    "😀 party", "Émilie Ångström", "A" * 1_000_000, '"', ",", "null", "NULL", "1e5", "{}", "\\N", "\x85", " led and trailed ",
]  # fmt: skip
"""Titles and names as an enemy, or a composer, would choose them."""

ARTISTS, RELEASES, TRACKS = 12, 10, 60


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of each table; tracks beyond the hostile ones are plain, every tenth has no release."""
    artists = [
        {"artist_row": n, "source": "shop", "artist_id": f"a{n}", "name": HOSTILE[n * 3] if n else "Gustave Moreau",
         "sort_name": "Moreau, Gustave" if not n else None, "genres": [["rock", "=folk"], [], None][n % 3], "popularity": n,
         "followers_count": MANY if n == 1 else n, "evidence_id": MANY - n} for n in range(ARTISTS)
    ]  # fmt: skip
    releases = [
        {"release_row": n, "source": "shop", "release_id": f"r{n}", "title": HOSTILE[-n - 1], "release_type": "album",
         "label": HOSTILE[n + 4], "upc": f"{40_000_000 + n // 2:012d}" if n % 4 else None,
         "release_date": [date(1969, 1, 1), date(1969, 9, 1), date(1969, 9, 26), None][n % 4],
         "release_date_precision": ["year", "month", "day", None][n % 4], "tracks_count": 6, "genres": ["a;b", "c"],
         "artist_rows": [[n, (n + 5) % ARTISTS], [], None][n % 3], "evidence_id": 2**63 + n} for n in range(RELEASES)
    ]  # fmt: skip
    titles = [*HOSTILE, None, *(f"Song of the Café {n}" for n in range(TRACKS - len(HOSTILE) - 1))]
    placed = sorted(range(TRACKS), key=lambda n: (n % 10 == 0, n))
    tracks, credits_ = [], []
    for row, n in enumerate(placed):
        release = None if n % 10 == 0 else row * RELEASES // (TRACKS - TRACKS // 10)
        tracks.append({
            "track_row": row, "source": "shop", "track_id": f"t{n}", "title": titles[n], "release_row": release,
            "disc_number": 1, "track_number": row % 6 + 1, "duration_ms": 1000 * n, "is_explicit": [True, False, None][n % 3],
            "isrc": f"DEAB1{n // 3:07d}" if n % 4 else None, "popularity": n, "listens_count": MANY if n == 7 else n * 10**9,
            "listens_scope": "service", "listens_on": date(2026, 1, 1) if n % 2 else None, "genres": [["x"], None, []][n % 3],
            "languages": ["de", "fr"] if n % 5 else None, "licence": "CC0-1.0", "statement_rows": [[0, 1], [], [1]][n % 3],
            "cluster_row": 0 if row < 2 else None, "evidence_id": MANY - n,
        })  # fmt: skip
        credits_ += [
            {
                "track_row": row,
                "position": p + 1,
                "artist_row": (n + p) % ARTISTS,
                "role": ["artist", "=composer"][p % 2],
            }
            for p in range(n % 5)
        ]
    statements = [
        {"statement_row": n, "basis": "permission", "licence": "CC0-1.0", "licence_text": HOSTILE[4], "may_keep": True,
         "may_give_out": bool(n), "territories": ["DE"] if n else None, "valid_until": date(2030, 1, 1), "evidence_id": n}
        for n in range(2)
    ]  # fmt: skip
    tombstones = [{"source": "shop", "kind": "track", "own_id": "gone", "title": HOSTILE[3], "reason": "unseen",
                   "first_seen_on": date(2025, 1, 1), "last_seen_on": date(2025, 6, 1), "evidence_id": MANY}]  # fmt: skip
    found = {"artist": artists, "release": releases, "track": tracks, "credit": credits_, "statement": statements,
             "market_set": [{"market_set_row": 0, "markets": ["DE", "FR"]}, {"market_set_row": 1, "markets": []}],
             "availability": [{"track_row": row, "market_set_row": row % 2} for row in range(0, TRACKS, 3)],
             "tombstone": tombstones}  # fmt: skip
    return {
        name: [{column: row.get(column) for column in TABLES[name].names} for row in found.get(name, [])]
        for name in TABLES
    }


def make_edition(layout: Layout, found: Mapping[str, Sequence[Mapping[str, Any]]], name: str = NAME) -> Edition:
    """An edition of these rows, the current one of its archive."""
    tables = {table: pa.Table.from_pylist(list(found.get(table, [])), TABLES[table]).to_reader for table in TABLES}
    about = {
        "evidence_sha256": "0" * 64,
        "newest_evidence": date(2026, 1, 1),
        "sources": {},
        "licences": {},
        "findings": {},
    }
    edition = write_edition(layout, name, tables, about)
    make_current(layout, edition)
    return edition
