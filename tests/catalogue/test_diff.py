"""What `catalogue diff` says is what a comparison row by row in plain Python finds."""

import json
import os
import random
import re
import string
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import evidence_maker as made
from support import make_archive
from tenuto.catalogue import apart
from tenuto.catalogue.diff import KINDS, compare
from tenuto.catalogue.edition import EDITION_NAME, open_edition
from tenuto.catalogue.editions import edition_names, find_edition
from tenuto.catalogue.writing import make_current, write_edition
from tenuto.cli import _run
from tenuto.model.errors import IntegrityError, UsageError
from tenuto.model.tables import TABLES

A, B = ({"id": own, "name": own.upper()} for own in "ab")
DAYS = [date(2026, 1, 1), date(2026, 2, 1)]
COUNTED = {"popularity", "followers_count", "listens_count", "listens_scope", "listens_rank"}
LEFT_OUT = {"source", "evidence_id", "listens_on"}
TITLES = {"artist": "name", "release": "title", "track": "title"}


def _value(rng, kind, bound):
    """A value of a column, often the same one; `bound` is how many rows there are to point at."""
    if rng.random() < 0.3 or bound == 0:
        return None
    if pa.types.is_list(kind):
        return [_value(rng, kind.value_type, bound) or ("" if kind.value_type == pa.string() else 0)
                for _ in range(rng.randrange(1, 4))]  # fmt: skip
    if pa.types.is_string(kind):
        return rng.choice("xyz")
    if pa.types.is_date(kind):
        return rng.choice(DAYS)
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    return rng.randrange(min(3, bound))


def _rows(rng, kind, bounds, before):
    """Rows of a kind: of ids a to l, some as they were before but for a field, some new, their numbers others."""
    ids = sorted(rng.sample(string.ascii_lowercase[:12], rng.randrange(9)))
    rows = []
    for number, own in enumerate(ids):
        row = {}
        for name, type_ in zip(TABLES[kind].names, TABLES[kind].types, strict=True):
            other = next(
                (one for one in ("artist", "release", "statement", "cluster") if name.startswith(f"{one}_row")), None
            )
            row[name] = _value(rng, type_, bounds.get(other, 3))
        if before.get(own) and rng.random() < 0.8:
            kept = {name for name in row if not name.endswith(("_row", "_rows")) and rng.random() < 0.95}
            row |= {name: before[own][name] for name in kept}
        rows.append(row | {f"{kind}_row": number, "source": "shop", f"{kind}_id": own})
    return rows


def _edition(rng, layout, name, before):
    """A random edition that looks like the one before; and its rows by kind and id, the tombstones under `tombstone`."""
    tables, bounds = {}, {"statement": 4}
    tables["statement"] = [{"statement_row": number, "basis": "tag", "licence": rng.choice("xy"),
                            "may_give_out": rng.random() < 0.5, "evidence_id": number} for number in range(4)]  # fmt: skip
    for kind in ("artist", "release", "track"):
        tables[kind] = _rows(rng, kind, bounds, before.get(kind, {}))
        bounds[kind] = len(tables[kind])
    tables["credit"] = [
        {"track_row": track, "position": place, "artist_row": rng.randrange(bounds["artist"]), "role": rng.choice(["", "sax"])}
        for track in range(bounds["track"]) for place in range(1, rng.randrange(1, 4)) if bounds["artist"]
    ]  # fmt: skip
    sets = sorted([rng.sample(["AT", "DE", "JP"], rng.randrange(4)) for _ in range(3)])
    tables["market_set"] = [{"market_set_row": number, "markets": sorted(codes)} for number, codes in enumerate(sets)]
    tables["availability"] = [{"track_row": track, "market_set_row": rng.randrange(3)}
                              for track in range(bounds["track"]) if rng.random() < 0.7]  # fmt: skip
    tables["offer"] = [{"track_row": track, "fetch_id": rng.choice("uv"), "bytes": 7, "mime": rng.choice("mn")}
                       for track in range(bounds["track"]) for _ in range(rng.randrange(3))]  # fmt: skip
    tables["tombstone"] = []
    for kind in ("artist", "release", "track"):
        live = {row[f"{kind}_id"] for row in tables[kind]}
        for own in sorted(set(string.ascii_lowercase[:14]) - live):
            if rng.random() < 0.6:
                reason = rng.choice(["missing", "vanished", "replaced"])
                successor = rng.choice(sorted(live)) if reason == "replaced" and live else None
                tables["tombstone"].append({"source": "shop", "kind": kind, "own_id": own, "reason": reason,
                                            "successor_id": successor})  # fmt: skip
    made_tables = {
        table: partial(
            _reader, [{column: row.get(column) for column in schema.names} for row in tables.get(table, [])], schema
        )
        for table, schema in TABLES.items()
    }
    about = {"evidence_sha256": "0" * 64, "newest_evidence": DAYS[0], "sources": {}, "licences": {}, "findings": {}}
    edition = write_edition(layout, name, made_tables, about)
    known = {kind: {row[f"{kind}_id"]: _meant(kind, row, tables) for row in tables[kind]} for kind in KINDS}
    return edition, known, {(row["kind"], row["own_id"]): row for row in tables["tombstone"]}


def _reader(rows, schema):
    return pa.Table.from_pylist(rows, schema).to_reader()


def _meant(kind, row, tables):
    """A row with ids in place of row numbers."""
    names = [artist["artist_id"] for artist in tables["artist"]]
    meant = {name: value for name, value in row.items() if not name.endswith(("_row", "_rows"))}
    if kind == "release":
        meant["artist_ids"] = [names[one] for one in row["artist_rows"]] if row["artist_rows"] else None
    if kind == "track":
        meant["release_id"] = (
            None if row["release_row"] is None else tables["release"][row["release_row"]]["release_id"]
        )
        credited = [one for one in tables["credit"] if one["track_row"] == row["track_row"]]
        meant["artist_ids"] = [names[one["artist_row"]] for one in credited] or None
        meant["roles"] = [one["role"] for one in credited] or None
        said = [tables["statement"][one] for one in row["statement_rows"] or ()]
        meant["statements"] = sorted((one["licence"], one["may_give_out"]) for one in said) or None
        given = [one["fetch_id"] for one in tables["offer"] if one["track_row"] == row["track_row"]]
        meant["offer"] = sorted(given) or None
        offered = [one["market_set_row"] for one in tables["availability"] if one["track_row"] == row["track_row"]]
        meant["markets"] = tables["market_set"][offered[0]]["markets"] if offered else None
    return meant


def _expected(kind, a, b, stones_a, stones_b):
    """What changed: {(change, id, successor)} and {(id, field)}, found by looking at each id."""
    things, fields = set(), set()
    for own, now in b.items():
        if own not in a:
            things.add(("came_back" if (kind, own) in stones_a else "appeared", own, None))
            continue
        names = set(now) - LEFT_OUT - {f"{kind}_id"}
        fields |= {(own, name, name in COUNTED) for name in names if a[own][name] != now[name]}
    for (what, own), stone in stones_b.items():
        said = stones_a.get((what, own), {})
        if what == kind and (said.get("reason"), said.get("successor_id")) != (stone["reason"], stone["successor_id"]):
            things.add((stone["reason"], own, stone["successor_id"]))
    things |= {("absent", own, None) for own in a if own not in b and (kind, own) not in stones_b}
    heirs = {successor for _, _, successor in things}
    return {thing for thing in things if thing[0] != "appeared" or thing[1] not in heirs}, fields


@pytest.fixture(params=["hashes", "one hash that is weak"])
def hashes(request, monkeypatch):
    """Ids that many others share a hash with are told apart all the same."""
    if request.param != "hashes":
        strong = apart._key
        monkeypatch.setattr(apart, "_key", lambda kind: (f"hash(ascii({kind}_id) % 3)", strong(kind)[1]))


@pytest.mark.usefixtures("hashes")
@pytest.mark.parametrize("seed", range(4))
def test_diff_is_what_plain_python_finds(tmp_path, seed):
    rng, layout = random.Random(seed), make_archive(tmp_path)
    first, a, stones_a = _edition(rng, layout, "2026-01-01-00000000", {})
    second, b, stones_b = _edition(rng, layout, "2026-01-02-00000000", a)
    with compare(first, second) as found:
        counts = found.counts()
        for kind in KINDS:
            things, fields = _expected(kind, a[kind], b[kind], stones_a, stones_b)
            said = found.con.execute("SELECT change, own_id, successor_id FROM thing WHERE kind = ?", [kind]).fetchall()
            differ = found.con.execute("SELECT own_id, field, is_count FROM field WHERE kind = ?", [kind]).fetchall()
            assert (sorted(said, key=str), sorted(differ)) == (sorted(things, key=str), sorted(fields))
            described = {own for own, _, is_count in fields if not is_count}
            assert counts[kind]["changed"] == len(described)
            assert counts[kind]["counted"] == len({own for own, *_ in fields} - described)
            assert {change: count for change, count in counts[kind].items() if count} == {
                **{change: sum(thing[0] == change for thing in things) for change, *_ in things},
                **({"changed": len(described)} if described else {}),
                **({"counted": counts[kind]["counted"]} if counts[kind]["counted"] else {}),
            }  # fmt: skip
            rows = found.rows()[kind]
            assert (rows["rows_a"], rows["rows_b"]) == (len(a[kind]), len(b[kind]))
            assert rows["gone"] == len(a[kind].keys() - b[kind].keys())
            assert _sum(rows, counts[kind]) == rows["rows_b"]


def _sum(rows, counts):
    return rows["rows_a"] + counts["appeared"] + counts["came_back"] + rows["successors"] - rows["gone"]


def test_counts_add_up_where_many_have_one_successor_and_the_one_is_not_new(tmp_path):
    layout = make_archive(tmp_path)
    first = _small(layout, "2026-01-01-00000000", "abcdk", {"o": "missing"})
    heirs = {"a": "x", "b": "x", "c": "k", "d": None, "o": None, "never": "y"}
    stones = {own: "replaced" if heir else "vanished" for own, heir in heirs.items()}
    second = _small(layout, "2026-01-02-00000000", "kxyz", stones, heirs)
    with compare(first, second) as found:
        counts, rows = found.counts()["track"], found.rows()["track"]
    assert rows == {"rows_a": 5, "gone": 4, "successors": 2, "rows_b": 4}
    assert (counts["appeared"], counts["replaced"], counts["vanished"]) == (1, 4, 2)
    assert _sum(rows, counts) == 4


def _small(layout, name, ids, stones=None, heirs=None, **more):
    """An edition of tracks with these ids, and tables as they are given in `more`."""
    tables = {
        "track": [{"track_row": row, "source": "shop", "track_id": own, **more.get("fields", {})} for row, own in enumerate(ids)],
        "tombstone": [{"source": "shop", "kind": "track", "own_id": own, "reason": reason, "successor_id": (heirs or {}).get(own)}
                      for own, reason in (stones or {}).items()],
        **more.get("tables", {}),
    }  # fmt: skip
    readers = {
        table: partial(_reader, [{column: row.get(column) for column in schema.names} for row in tables.get(table, [])], schema)
        for table, schema in TABLES.items()
    }  # fmt: skip
    about = {"evidence_sha256": "0" * 64, "newest_evidence": more.get("newest", DAYS[0]), "sources": {}, "licences": {},
             "findings": {}}  # fmt: skip
    return write_edition(layout, name, readers, about)


def test_a_permission_that_is_withdrawn_is_a_change_and_other_evidence_for_it_is_none(tmp_path):
    layout = make_archive(tmp_path)
    fields = {"statement_rows": [0]}

    def edition(day, *, may_give_out, evidence_id):
        said = [{"statement_row": 0, "basis": "permission", "licence": "CC0-1.0", "may_give_out": may_give_out,
                 "evidence_id": evidence_id}]  # fmt: skip
        return _small(layout, f"2026-01-0{day}-00000000", "ab", fields=fields, tables={"statement": said})

    first, again = edition(1, may_give_out=True, evidence_id=1), edition(2, may_give_out=True, evidence_id=2)
    withdrawn = edition(3, may_give_out=False, evidence_id=1)
    with compare(first, again) as found:
        assert found.fields()["track"] == {}
    with compare(first, withdrawn) as found:
        assert found.fields()["track"] == {"statements": 2}
        _, (row, _) = found.examples(2)
    assert ("'may_give_out': true" in row["before"], "'may_give_out': false" in row["after"]) == (True, True)


@pytest.mark.parametrize("field", ["fetch_id", "path", "codec", "bytes"])
def test_another_offer_is_a_change(tmp_path, field):
    layout = make_archive(tmp_path)
    one = {"track_row": 0, "fetch_id": "f", "path": "a.flac", "codec": "flac", "bytes": 9}
    other = one | {field: 10 if field == "bytes" else "b"}
    sides = [_small(layout, f"2026-01-0{day}-00000000", "ab", tables={"offer": rows})
             for day, rows in enumerate(([one], [other], [one, one]), 1)]  # fmt: skip
    for side in sides[1:]:
        with compare(sides[0], side) as found:
            assert found.fields()["track"] == {"offer": 1}


def test_diff_of_an_edition_with_itself_is_empty(tmp_path):
    edition, *_ = _edition(random.Random(3), make_archive(tmp_path), "2026-01-01-00000000", {})
    with compare(edition, edition) as found:
        assert found.examples(9) == ([], [])
        assert not any(count for counts in found.counts().values() for count in counts.values())


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An archive of two editions: a track renamed, one gone, one moved to another release, one that is new."""
    layout = make_archive(tmp_path_factory.mktemp("diff"))
    gone, moves = made.song("gone"), made.song("moves")
    before = made.song("old", title="Before")
    after = made.song("old", title="After", playCount=2)
    duets = [made.album("r2", [made.song("duet", artists=order)]) for order in ([A, B], [B, A])]
    made.keep(layout, "shop", [made.album("r1", [before, gone, moves]), duets[0]])
    first = made.edition_of(layout)
    said = [made.album("r1", [after]), made.album("r0", [made.song("new"), moves]), duets[1]]
    made.keep(layout, "shop", said, made.DAY + timedelta(days=9))
    return layout, first, made.edition_of(layout)


def test_diff_says_what_changed_and_writes_all_of_it(shop, tmp_path, capsys):
    layout, first, second = shop
    words = ["catalogue", "diff", "previous", "current", "--archive", str(layout.root)]
    assert _run([*words, "--into", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"from {first.info.edition} to {second.info.edition}" in said
    assert "Before" in said
    assert "After" in said
    fields = {(row["kind"], row["own_id"], row["field"]): (row["before"], row["after"], row["is_count"])
              for row in pq.read_table(tmp_path / "out/fields.parquet").to_pylist()}  # fmt: skip
    assert fields["track", "old", "title"] == ("Before", "After", False)
    assert fields["track", "moves", "release_id"] == ("r1", "r0", False)
    assert fields["track", "duet", "artist_ids"] == ("[a, b]", "[b, a]", False)
    assert fields["track", "old", "listens_count"] == (None, "2", True)
    things = [
        (row["kind"], row["change"], row["own_id"])
        for row in pq.read_table(tmp_path / "out/things.parquet").to_pylist()
    ]
    assert things == [("release", "appeared", "r0"), ("track", "appeared", "new"), ("track", "missing", "gone")]
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert _run([*words, "--into", str(tmp_path / "again")]) == 0
    assert {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()} == before
    assert _run([*words, "--into", str(tmp_path / "out")]) == 2
    assert "there already" in capsys.readouterr().err


def test_edition_is_found_by_name_beginning_folder_and_place_in_the_row(shop):
    layout, first, second = shop
    for said, meant in ((first.info.edition, first), (first.info.edition[:12], first), (str(second.folder), second),
                        ("current", second), ("previous", first)):  # fmt: skip
        assert find_edition(layout.root, said).info.edition == meant.info.edition


def test_previous_is_the_same_in_a_copy_whatever_its_times_are(tmp_path):
    layout = make_archive(tmp_path)
    names = [f"2026-01-01-{digit * 8}" for digit in "abc"]
    for place, newest in enumerate((date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2))):
        edition = _small(layout, names[place], "x", newest=newest)
        os.utime(edition.folder / EDITION_NAME, (place, place))
    make_current(layout, open_edition(layout.edition(names[0])))
    assert edition_names(layout) == [names[1], names[2], names[0]]
    assert find_edition(layout.root, "previous").info.edition == names[2]


def test_of_two_editions_of_one_day_each_is_previous_to_the_other(tmp_path):
    layout = make_archive(tmp_path)
    editions = [_small(layout, f"2026-01-01-{digit * 8}", "x") for digit in "ab"]
    for current, previous in (editions, editions[::-1]):
        make_current(layout, current)
        assert find_edition(layout.root, "previous").info.edition == previous.info.edition


def test_export_knows_editions_by_the_words_that_diff_knows(shop, tmp_path):
    layout, first, _ = shop
    for said in ("previous", first.info.edition[:12]):
        words = ["catalogue", "export", "--as", "jsonl", "--into", str(tmp_path / said), "--edition", said]
        assert _run([*words, "--archive", str(layout.root)]) == 0
        assert "Before" in (tmp_path / said).read_text()


def test_diff_on_the_terminal_adds_up(shop, capsys):
    layout, *_ = shop
    words = ["catalogue", "diff", "previous", "current", "--archive", str(layout.root)]
    assert _run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [
        re.findall(r"[+-]?[\d,]+", line)[-3:]
        for line in lines
        if re.match(r".*?(in A|appeared|came back|took|gone|in B)", line)
    ]
    *parts, totals = [[int(cell.replace(",", "")) for cell in row] for row in shown[:6]]
    assert [sum(column) for column in zip(*parts, strict=True)] == totals
    assert _run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(_sum(found["rows"][kind], found["counts"][kind]) == found["rows"][kind]["rows_b"] for kind in KINDS)
    assert [found["rows"][kind]["rows_a"] for kind in KINDS] == parts[0]


@pytest.mark.parametrize(
    ("said", "answer"), [("20", "may be"), ("1999", "there is no edition"), ("", "there is no edition")]
)
def test_edition_that_is_not_one_is_refused_with_those_there_are(shop, said, answer):
    layout, first, _ = shop
    with pytest.raises(UsageError, match=answer) as refused:
        find_edition(layout.root, said)
    assert first.info.edition in str(refused.value)


def test_edition_whose_bytes_are_damaged_is_no_bug_of_ours(shop, tmp_path):
    _, first, second = shop
    folder = tmp_path / second.info.edition
    folder.mkdir()
    for file in second.folder.iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "track.parquet":
            content[4:-8] = bytes(len(content) - 12)
        (folder / file.name).write_bytes(content)
    with (
        pytest.raises(IntegrityError, match="run: tenuto catalogue build"),
        compare(first, replace(second, folder=folder)),
    ):
        pass
