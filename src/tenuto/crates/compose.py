"""What a crate says of its recordings: names, tables, licences, attribution, pages. Pure but for the files it names."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tenuto.catalogue import Edition
from tenuto.crates import dark
from tenuto.crates.bag import BagInfo
from tenuto.crates.journal import Outcome
from tenuto.crates.names import Names, component
from tenuto.crates.player import Song, render_player
from tenuto.crates.reader import (
    RECORDINGS_NAME,
    SEALED_CATALOGUE_NAME,
    SEALED_RECORDINGS_NAME,
    WITHDRAWN_NAME,
    Withdrawn,
)
from tenuto.crates.seal import Front, Item, item
from tenuto.crates.tables import RECORDINGS, encode_table
from tenuto.crates.wanted import Wanted
from tenuto.crates.zipform import Entry

ATTRIBUTION_NAME = "data/attribution.txt"
PLAYER_NAME = "data/index.html"
CHECKER_NAME = "data/check_crate.py"
LICENCES_FOLDER = "data/licences"
CATALOGUE_FOLDER = "data/catalogue"
DARK_FOLDER = "data/recordings"

_TABLES = ("artist", "release", "track", "credit", "statement")
_ROW_OF = {"credit": "track"}
"""The table whose rows number another one's."""


_ROWS_AT_ONCE = 1000
"""Rows are objects only until they are columns: this many at a time."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A track of a crate, what came of it, and where its recording lies in the bag."""

    wanted: Wanted
    outcome: Outcome
    path: str


def name_open(crate: str, found: Sequence[tuple[Wanted, Outcome]]) -> list[Holding]:
    """Give each recording its name; tracks with the same bytes share one file."""
    names, paths, holdings = Names(crate), dict[str, str](), []
    for wanted, outcome in found:
        suffix = outcome.file.rpartition(".")[2]
        if outcome.sha256 not in paths:
            number = _number(wanted)
            artist = wanted.release_artist or ", ".join(wanted.artists)
            paths[outcome.sha256] = names.path(artist, wanted.release, number, wanted.title, outcome.sha256, suffix)
        holdings.append(Holding(wanted, outcome, paths[outcome.sha256]))
    return holdings


def name_dark(found: Sequence[tuple[Wanted, Outcome]]) -> list[Holding]:
    """Give each recording of a dark crate a name that says nothing."""
    paths: dict[str, str] = {}
    for _, outcome in found:
        paths.setdefault(outcome.sha256, f"{DARK_FOLDER}/{len(paths) + 1:06d}.age")
    return [Holding(wanted, outcome, paths[outcome.sha256]) for wanted, outcome in found]


def items_of(holdings: Sequence[Holding], folder: Path) -> list[Item]:
    """The files to put in, in order, each once."""
    items: dict[str, Item] = {}
    for holding in holdings:
        one, path = holding.outcome, holding.path
        if one.sealed_bytes is not None and one.sealed_sha256 is not None and one.sealed_crc32 is not None:
            entry = Item(path, folder / one.file, one.sealed_bytes, one.sealed_crc32, one.sealed_sha256)
        else:
            entry = Item(path, folder / one.file, one.bytes, one.crc32, one.sha256)
        items.setdefault(path, entry)
    return list(items.values())


def recordings_table(holdings: Sequence[Holding], front: Front) -> pa.Table:
    """recordings.parquet: one row a track."""
    entries = front.entry_of()
    lies: dict[str, Outcome] = {}
    parts = [RECORDINGS.empty_table()]
    for at in range(0, len(holdings), _ROWS_AT_ONCE):
        rows = _rows(holdings[at : at + _ROWS_AT_ONCE], entries, lies)
        parts.append(pa.Table.from_pylist(rows, RECORDINGS))
    return pa.concat_tables(parts).combine_chunks()


def _rows(holdings: Sequence[Holding], entries: Mapping[str, Entry], lies: dict[str, Outcome]) -> list[dict[str, Any]]:
    rows = []
    for holding in holdings:
        wanted, outcome = holding.wanted, holding.outcome
        put_in = lies.setdefault(holding.path, outcome)  # the first of those with the same bytes: two age files differ
        rows.append({
            **{name: value for name, value in asdict(outcome).items() if name in RECORDINGS.names},
            **{name: getattr(wanted, name) for name in ("source", "track_id", "evidence_id", "offer_digest", "title", "artists",
                                                        "release", "disc_number", "track_number", "licence", "licence_url",
                                                        "attribution")},
            "path": holding.path,
            "sealed_bytes": put_in.sealed_bytes,
            "sealed_sha256": put_in.sealed_sha256,
            "offset": entries[holding.path].offset,
            "statements": [asdict(statement) for statement in wanted.statements],
        })  # fmt: skip
    return rows


def catalogue_tables(edition: Edition, track_rows: Sequence[int]) -> dict[str, pa.Table]:
    """The edition's rows of these tracks, with the edition's row numbers."""

    def rows(name: str, values: pa.Array) -> pa.Table:
        return edition.read(name, pc.field(f"{_ROW_OF.get(name, name)}_row").isin(values))

    return _around(rows("track", pa.array(track_rows, pa.uint32())), rows)


def narrowed(tables: Mapping[str, pa.Table], recordings: pa.Table) -> dict[str, pa.Table]:
    """Catalogue tables of a crate, cut down to the tracks that `recordings` still names."""

    def rows(name: str, values: pa.Array) -> pa.Table:
        return tables[name].filter(pc.is_in(tables[name][f"{_ROW_OF.get(name, name)}_row"], value_set=values))

    left = set(zip(recordings["source"].to_pylist(), recordings["track_id"].to_pylist(), strict=True))
    every = tables["track"]
    pairs = zip(every["source"].to_pylist(), every["track_id"].to_pylist(), strict=True)
    return _around(every.filter(pa.array([pair in left for pair in pairs], pa.bool_())), rows)


def _around(tracks: pa.Table, rows: Callable[[str, pa.Array], pa.Table]) -> dict[str, pa.Table]:
    """Tracks and the rows of other tables that they need."""
    credits_ = rows("credit", _distinct([tracks["track_row"]]))
    releases = rows("release", _distinct([tracks["release_row"]]))
    artists = rows("artist", _distinct([credits_["artist_row"], pc.list_flatten(releases["artist_rows"])]))
    statements = rows("statement", _distinct([pc.list_flatten(tracks["statement_rows"])]))
    found = {"artist": artists, "release": releases, "track": tracks, "credit": credits_, "statement": statements}
    return {name: table.combine_chunks() for name, table in found.items()}


def _distinct(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    every = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.uint32())
    return pc.unique(every).drop_null()


def open_tail(
    recordings: pa.Table, tables: Mapping[str, pa.Table], info: BagInfo, withdrawn: Sequence[Withdrawn] = ()
) -> list[Item]:
    """The describing files of an open crate."""
    rows = recordings.drop(["statements"]).to_pylist()
    return [
        item(RECORDINGS_NAME, encode_table(recordings)),
        *(item(f"{CATALOGUE_FOLDER}/{name}.parquet", encode_table(tables[name])) for name in _TABLES),
        *_licences(rows, _licence_texts(recordings["statements"])),
        item(ATTRIBUTION_NAME, _attribution(rows, info)),
        item(WITHDRAWN_NAME, withdrawn_json(info.revision, withdrawn)),
        item(PLAYER_NAME, _player(rows, info, len(withdrawn))),
        item(CHECKER_NAME, checker()),
    ]


def dark_tail(
    recordings: pa.Table, tables: Mapping[str, pa.Table], info: BagInfo, recipients: Sequence[str],
    withdrawn: Sequence[Withdrawn] = (),
) -> list[Item]:  # fmt: skip
    """The describing files of a dark crate: the tables as age files, nothing of them in clear."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in _TABLES:
            archive.writestr(zipfile.ZipInfo(f"{name}.parquet"), encode_table(tables[name]))
    return [
        item(SEALED_RECORDINGS_NAME, dark.encrypt(encode_table(recordings), recipients)),
        item(SEALED_CATALOGUE_NAME, dark.encrypt(packed.getvalue(), recipients)),
        item(WITHDRAWN_NAME, withdrawn_json(info.revision, withdrawn)),
        item(CHECKER_NAME, checker()),
    ]


def withdrawn_json(revision: int, withdrawn: Sequence[Withdrawn]) -> bytes:
    """withdrawn.json."""
    document = {"format": "tenuto-withdrawn-1", "revision": revision, "withdrawn": [asdict(one) for one in withdrawn]}
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def checker() -> bytes:
    """The script that proves a crate without Tenuto."""
    return resources.files("tenuto.crates").joinpath("check_crate.py").read_bytes()


def description(kind: str, band: str, count: int, access: str) -> str:
    """What `bag-info.txt` calls the crate."""
    return f"{count} {kind} of band {band}, {access}" if band else f"{kind}, {access}"


def _number(wanted: Wanted) -> str:
    """`07`, or `2-07` on the second disc and later."""
    if wanted.track_number is None:
        return ""
    disc = f"{wanted.disc_number}-" if wanted.disc_number and wanted.disc_number > 1 else ""
    return f"{disc}{wanted.track_number:02d}"


def _licence_texts(statements: pa.ChunkedArray) -> dict[int, set[str]]:
    """The number of a row -> the words of the licences that are stated for it."""
    found: dict[int, set[str]] = {}
    whole = statements.combine_chunks()
    texts = pc.struct_field(pc.list_flatten(whole), "licence_text")
    for number, text in zip(pc.list_parent_indices(whole).to_pylist(), texts.to_pylist(), strict=True):
        if text:
            found.setdefault(number, set()).add(text)
    return found


def _licences(rows: Sequence[Mapping[str, Any]], texts: Mapping[int, set[str]]) -> list[Item]:
    """One text a licence: what it is called, where it stands, the words that were read, the files that it is for."""
    named: dict[str, list[Mapping[str, Any]]] = {}
    stated: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        licence = row["licence"] or "as permitted"
        named.setdefault(licence, []).append(row)
        stated.setdefault(licence, set()).update(texts.get(number, ()))
    names, items = set[str](), []
    for licence, of in sorted(named.items()):
        said = sorted(stated[licence])
        urls = sorted({row["licence_url"] for row in of if row["licence_url"]})
        name = _file_name(licence, names)
        lines = [licence, *urls, "", "As stated:", *(f"  {' '.join(text.split())[:2000]}" for text in said), "", "For:",
                 *sorted({row["path"] for row in of}), ""]  # fmt: skip
        items.append(item(f"{LICENCES_FOLDER}/{name}.txt", "\n".join(lines).encode()))
    return items


def _file_name(licence: str, taken: set[str]) -> str:
    base = name = component(licence, 60).replace(" ", "-")
    again = 1
    while name.casefold() in taken:
        again += 1
        name = f"{base}-{again}"
    taken.add(name.casefold())
    return name


def _attribution(rows: Sequence[Mapping[str, Any]], info: BagInfo) -> bytes:
    """Who is to be named for which file, title and licence beside it (what CC licences ask for)."""
    lines = [f"{info.crate}, an archive crate of {info.archive} ({info.contact})", ""]
    for row in rows:
        artists = ", ".join(row["artists"] or ())
        lines += [row["path"], f"  {row['title']}" + (f", by {artists}" if artists else "")]
        lines += (
            [f"  {' '.join(row['attribution'].split())}"]
            if row["attribution"] and row["attribution"] != artists
            else []
        )
        licence = " ".join(part for part in (row["licence"], row["licence_url"]) if part)
        lines += [f"  {licence}"] if licence else []
        lines += (
            [f"  changed: made into {row['codec']} from an original of SHA-256 {row['derived_from']}"]
            if row["derived_from"]
            else []
        )
        lines.append("")
    return "\n".join(lines).encode()


def _player(rows: Sequence[Mapping[str, Any]], info: BagInfo, withdrawn: int) -> bytes:
    songs = [
        Song(
            href=row["path"].removeprefix("data/"), title=row["title"], artists=", ".join(row["artists"] or ()),
            release=row["release"] or "", track_number=row["track_number"], duration_ms=row["duration_ms"], bytes=row["bytes"],
            codec=row["codec"] or "", licence=row["licence"] or "", licence_url=row["licence_url"] or "",
            attribution=row["attribution"] or "", tier=row["tier"], sha256=row["sha256"],
            original_sha256=row["derived_from"] or "",
        )
        for row in rows
    ]  # fmt: skip
    return render_player(info.crate, info.archive, info.contact, info.edition, songs, withdrawn)


def bag_info(
    *,
    archive: str,
    contact: str,
    crate: str,
    kind: str,
    access: str,
    band: str,
    edition: str,
    plan: str,
    dated: date,
    count: int,
) -> BagInfo:
    """What `bag-info.txt` says of a new crate."""
    return BagInfo(archive=archive, contact=contact, crate=crate, description=description(kind, band, count, access), dated=dated,
                   kind=kind, access=access, band=band, edition=edition, plan=plan)  # fmt: skip
