"""What a draft asks for: each of its tracks with the offer to fetch, what is said of it, and what may be done with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tenuto.archive import Layout
from tenuto.archive.layout import read_pointer
from tenuto.catalogue import Edition, load_statements, open_edition
from tenuto.catalogue.edition import sql_rows
from tenuto.crates.seal import torrent_beside
from tenuto.model.errors import UsageError
from tenuto.model.ids import track_key
from tenuto.rights import Action, Decision, Statement, may
from tenuto.rights.withdrawals import WITHDRAWAL, Log, parse_log, statement_of
from tenuto.selection.plan import Plan

DARK = "dark"
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A crate to be: its id, band and access, and the rows of its tracks in the edition."""

    crate: str
    band: str
    access: str
    track_rows: tuple[int, ...]

    @property
    def is_dark(self) -> bool:
        """Whether its recordings are sealed for nobody but the archive."""
        return self.access == DARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One track of a draft. `offered_bytes` is -1 where the source did not say; `offer_digest` names the offered file."""

    key: str
    track_row: int
    source: str
    track_id: str
    evidence_id: int
    tier: str
    title: str
    artists: tuple[str, ...]
    release: str
    release_artist: str
    disc_number: int | None
    track_number: int | None
    fetch_id: str
    path: str
    mime: str
    offered_bytes: int
    duration_ms: int
    offer_digest: str
    is_lossless: bool | None
    licence: str
    licence_url: str
    statements: tuple[Statement, ...]

    def may(self, action: Action, territory: str, when: date) -> Decision:
        """The gate's answer for this track."""
        return may(self.statements, action, territory, when)

    @property
    def attribution(self) -> str:
        """Who is to be named: as the statements say, else the artists."""
        said = dict.fromkeys(statement.attribution for statement in self.statements if statement.attribution)
        return "; ".join(said) or ", ".join(self.artists)


def refusal_of(wanted: Wanted, draft: Draft, territory: str, today: date) -> str:
    """Why the gate says no today, though it said yes when the plan was made; empty where it still says yes."""
    keep = wanted.may(Action.KEEP, territory, today)
    if not keep.is_allowed:
        return keep.reason
    give = wanted.may(Action.GIVE_OUT, territory, today)
    if draft.is_dark or give.is_allowed:
        return ""
    is_withdrawn = give.statement is not None and give.statement.basis == WITHDRAWAL
    return give.reason if is_withdrawn else f"{give.reason}; run tenuto plan: it will be kept dark"


def load_drafts(layout: Layout, plan: Plan) -> list[Draft]:
    """The drafts of a plan, in its order."""
    folder = layout.plan(plan.plan)
    with duckdb.connect() as con:
        rows = con.execute(f"""
            SELECT crate, d.band, d.access, list(track_row ORDER BY track_row)
            FROM {sql_rows(folder / "drafts.parquet")} d JOIN {sql_rows(folder / "tracks.parquet")} t USING (draft)
            GROUP BY draft, crate, d.band, d.access ORDER BY draft""").fetchall()
    return [
        Draft(crate=crate, band=band, access=access, track_rows=tuple(found)) for crate, band, access, found in rows
    ]


def edition_of(layout: Layout, plan: Plan) -> Edition:
    """The edition that a plan was made from; raises UsageError where it is gone."""
    folder = layout.edition(plan.edition)
    if not folder.is_dir():
        raise UsageError(
            f"plan {plan.plan} was made from an edition that is gone; run: tenuto catalogue build && tenuto plan"
        )
    return open_edition(folder)


def current_edition_of(layout: Layout, plan: Plan) -> Edition:
    """The edition of a plan that may be carried out: only the current one says what is permitted now.

    Raises UsageError where the plan was made from another.
    """
    edition = edition_of(layout, plan)
    if read_pointer(layout.catalogue / "current") != plan.edition:
        raise UsageError(f"plan {plan.plan} was made from an older edition, {plan.edition}; run: tenuto plan")
    return edition


def today() -> date:
    """The day by which the gate goes: that of UTC, as at publishing."""
    return datetime.now(UTC).date()


def load_log(layout: Layout) -> Log:
    """The archive's withdrawals."""
    try:
        return parse_log(layout.withdrawals.read_bytes(), str(layout.withdrawals))
    except FileNotFoundError:
        return Log()


def load_wanted(layout: Layout, plan: Plan, edition: Edition, draft: Draft, log: Log) -> list[Wanted]:
    """The tracks of a draft in the order of the edition; withdrawals are among their statements."""
    tracks = sql_rows(layout.plan(plan.plan) / "tracks.parquet")
    tables = {name: edition.rows(name) for name in ("credit", "artist", "track", "offer", "release")}
    statements = load_statements(edition)
    withdrawn = log.by_key()
    with duckdb.connect(config={"threads": 2}) as con:
        con.register("wanted", pa.table({"track_row": pa.array(draft.track_rows, pa.uint32())}))
        found = con.execute(f"""
            WITH names AS (
                SELECT track_row, list(coalesce(a.name, a.artist_id) ORDER BY position) FILTER (role = 'artist') AS artists,
                       list(coalesce(a.name, a.artist_id) ORDER BY position) AS credited
                FROM {tables["credit"]} JOIN wanted USING (track_row)
                     JOIN {tables["artist"]} a USING (artist_row) GROUP BY track_row)
            SELECT t.track_row, t.source, t.track_id, t.evidence_id, p.tier, t.title, coalesce(n.artists, n.credited) AS artists,
                   r.title AS release, ra.name AS release_artist, t.disc_number, t.track_number, o.fetch_id, o.path, o.mime,
                   o.bytes, o.codec, o.bit_rate_bps, o.sample_rate_hz, o.is_lossless, t.duration_ms, t.licence, t.licence_url,
                   t.statement_rows
            FROM wanted JOIN {tables["track"]} t USING (track_row) JOIN {tracks} p USING (track_row)
                 LEFT JOIN {tables["offer"]} o USING (track_row)
                 LEFT JOIN {tables["release"]} r ON r.release_row = t.release_row
                 LEFT JOIN {tables["artist"]} ra ON ra.artist_row = r.artist_rows[1]
                 LEFT JOIN names n ON n.track_row = t.track_row
            ORDER BY t.track_row""")
        names = [column[0] for column in found.description or ()]
        return [
            _wanted(dict(zip(names, row, strict=True)), statements, withdrawn)
            for rows in iter(lambda: found.fetchmany(_ROWS_AT_ONCE), [])
            for row in rows
        ]


def _wanted(row: dict[str, Any], statements: list[Statement], withdrawn: Mapping[str, Any]) -> Wanted:
    key = track_key(row["source"], row["track_id"])
    said = [statements[number] for number in row["statement_rows"] or ()]
    if key in withdrawn:
        said.append(statement_of(withdrawn[key]))
    offered = ("path", "mime", "bytes", "codec", "bit_rate_bps", "sample_rate_hz", "duration_ms")
    return Wanted(
        key=key,
        track_row=row["track_row"],
        source=row["source"],
        track_id=row["track_id"],
        evidence_id=row["evidence_id"],
        tier=row["tier"],
        title=row["title"] or row["track_id"],
        artists=tuple(row["artists"] or ()),
        release=row["release"] or "",
        release_artist=row["release_artist"] or next(iter(row["artists"] or ()), ""),
        disc_number=row["disc_number"],
        track_number=row["track_number"],
        fetch_id=row["fetch_id"] or row["track_id"],
        path=row["path"] or "",
        mime=row["mime"] or "",
        offered_bytes=row["bytes"] if row["bytes"] is not None else -1,
        duration_ms=row["duration_ms"] or 0,
        offer_digest=offer_digest([row[name] for name in offered]),
        is_lossless=row["is_lossless"],
        licence=row["licence"] or "",
        licence_url=row["licence_url"] or "",
        statements=tuple(said),
    )


def offer_digest(described: list[Any]) -> str:
    """Sixteen hex digits over how a source describes a file: path, mime, bytes, codec, bit rate, sample rate, duration."""
    return hashlib.sha256("\n".join("" if value is None else str(value) for value in described).encode()).hexdigest()[
        :16
    ]


def crate_path(layout: Layout, draft: Draft) -> Path:
    """Where the crate of a draft lies, or will."""
    return (layout.dark if draft.is_dark else layout.crates) / f"{draft.crate}.zip"


def is_sealed(layout: Layout, draft: Draft) -> bool:
    """Whether the crate of a draft stands with its torrent."""
    path = crate_path(layout, draft)
    return path.is_file() and torrent_beside(path).is_file()
