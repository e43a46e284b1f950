"""Who listens to what, and the operator's export."""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path
from uuid import UUID

from demo import audience

SIZES_BYTES = {f"game-data/{number:02}.ogg": 1_000 + 37 * number for number in range(40)} | {"chorales/1.flac": 500}


def test_the_same_seed_gives_the_same_audience_in_any_order_of_songs() -> None:
    backwards = dict(reversed(SIZES_BYTES.items()))
    assert audience.choose(SIZES_BYTES, 7) == audience.choose(backwards, 7)
    assert audience.choose(SIZES_BYTES, 7) != audience.choose(SIZES_BYTES, 8)


def test_about_half_of_the_bytes_and_all_chorales_are_never_heard() -> None:
    for seed in range(20):
        heard = set(audience.choose(SIZES_BYTES, seed))
        assert not any(path.startswith("chorales/") for path in heard)
        assert 0.45 < sum(SIZES_BYTES[path] for path in heard) / sum(SIZES_BYTES.values()) <= 0.5


def test_a_few_songs_are_heard_often_and_most_seldom() -> None:
    counts = sorted(Counter(audience.choose(SIZES_BYTES, 7)).values(), reverse=True)
    assert sum(counts) == audience.LISTENS
    assert counts[0] > 4 * counts[len(counts) // 2]
    assert counts[-1] >= 1


def test_chorales_are_heard_where_there_is_nothing_else() -> None:
    heard = set(audience.choose({f"chorales/{number}.flac": 500 for number in range(4)}, 7))
    assert len(heard) == 2


def test_the_export_has_every_track_by_its_api_id_with_zeros(tmp_path: Path) -> None:
    database, target = tmp_path / "supysonic.db", tmp_path / "listens.csv"
    ids = [UUID(int=1), UUID(int=2)]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE track (id CHAR(36) PRIMARY KEY, play_count INTEGER NOT NULL)")
        connection.executemany("INSERT INTO track VALUES (?, ?)", [(ids[1].hex, 5), (str(ids[0]), 0)])
    assert audience.export_listens(database, target, date(2026, 1, 2)) == 2
    assert target.read_text() == f"id,listens,date\n{ids[0]},0,2026-01-02\n{ids[1]},5,2026-01-02\n"
