"""What one source says about another's things, such as a dump of titles about a shop's tracks: matched by id or code, then merged
field by field in the order that the operator gives.

A source that describes others has no artists, releases and tracks of its own. Rights, offers, credits and places on a release stay
with the source that has the thing: nobody else can speak for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import duckdb
import pyarrow as pa

from tenuto.archive.settings import Settings
from tenuto.catalogue.clusters.score import SPAN_MAX_MS
from tenuto.model.errors import SettingsError
from tenuto.model.findings import Finding

WAYS = ("id", "mbid", "code")
"""How things are matched, the surest first: the sources' own ids, MusicBrainz ids, then ISRC, UPC or ISNI."""

_KEYS = {
    "artist": {"id": "artist_id", "mbid": "artist_id_musicbrainz", "code": "isni"},
    "release": {"id": "release_id", "mbid": "release_id_musicbrainz", "code": "upc"},
    "track": {"id": "track_id", "mbid": "recording_id_musicbrainz", "code": "isrc"},
}
_LISTENS = ("listens_count", "listens_scope", "counted_on")
"""A count, whose it is and of which day: taken together or not at all."""

FIELDS: dict[str, tuple[str, ...]] = {
    "artist": ("name", "sort_name", "genres", "popularity", "followers_count", "artist_id_musicbrainz", "isni"),
    "release": ("title", "release_type", "label", "upc", "release_date", "copyright_c", "copyright_p", "popularity",
                "release_id_musicbrainz", "genres"),
    "track": ("title", "duration_ms", "is_explicit", "isrc", "recording_id_musicbrainz", "popularity", "listens_count", "genres",
              "languages"),
}  # fmt: skip
"""What another source may say of a thing."""


@dataclass(frozen=True, slots=True)
class Described:
    """A source that describes others, by these ways."""

    sources: tuple[str, ...]
    ways: tuple[str, ...] = ("mbid", "code")


@dataclass(frozen=True, slots=True)
class Precedence:
    """Who describes whom, and for a field (`track.title`, or `*` for all) which sources come first.

    Those that are not named follow: the source that has the thing, then those that describe it, in their order.
    """

    describing: Mapping[str, Described] = field(default_factory=dict)
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As tenuto.toml has it; raises SettingsError where it names a field that is none."""
        known = {"*", *(f"{kind}.{name}" for kind, names in FIELDS.items() for name in names)}
        if unknown := sorted(set(settings.catalogue.precedence) - known):
            raise SettingsError(
                f"catalogue.precedence: {', '.join(unknown)} cannot be given by another source; "
                f"these can: {', '.join(sorted(known))}"
            )
        describing = {
            name: Described(one.describes, one.matched_by) for name, one in settings.sources.items() if one.describes
        }
        return cls(describing, settings.catalogue.precedence)

    def lines(self) -> Iterator[str]:
        """All of it, for the digest that names an edition (docs/format.md); nothing where nobody describes."""
        for name, one in self.describing.items():
            yield f"{name} describes {' '.join(sorted(one.sources))} by {' '.join(_ways(one))}"
        if self.describing:
            yield from (f"{name} from {' '.join(sources)}" for name, sources in sorted(self.order.items()))

    def ranked(self, kind: str, name: str, own: str) -> list[str]:
        """The sources that may give a field of a thing of `own`, the first one first."""
        first = self.order.get(f"{kind}.{name}", self.order.get("*", ()))
        speaking = [own, *(source for source, one in self.describing.items() if own in one.sources)]
        return [*(source for source in first if source in speaking), *(one for one in speaking if one not in first)]


def describe(con: duckdb.DuckDBPyConnection, precedence: Precedence) -> list[Finding]:
    """Make `<kind>_told` of `<kind>_merged`: the things of sources that describe nobody, with what others say of them; and
    `described`: which record spoke for which thing. What fits several records is left as it is, with a finding for all of them.
    """
    con.execute("""
        CREATE TABLE described (kind VARCHAR, source VARCHAR, own_id VARCHAR, by_source VARCHAR, by_id VARCHAR, way VARCHAR,
                                candidates BIGINT)""")
    for kind in _KEYS:
        for source, one in precedence.describing.items():
            _match(con, kind, source, one)
        _tell(con, kind, precedence)
    unclear = con.execute("""
        SELECT by_source, kind, count(*), min(own_id) FROM described WHERE candidates > 1 GROUP BY ALL ORDER BY ALL""").fetchall()
    con.execute("DELETE FROM described WHERE candidates > 1")
    return [
        Finding(code="description-unclear", subject=kind, source=source,
                message=f"{count:,} of this kind fit several of its records, such as {example}; none of these was taken")
        for source, kind, count, example in unclear
    ]  # fmt: skip


def description_table(con: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The `description` table: which record of which source spoke for which artist, release or track."""
    by_kind = " UNION ALL ".join(
        f"""SELECT kind, {kind}_row AS row_number, by_source AS source, by_id AS own_id, way AS matched_by, m.evidence_id
            FROM described JOIN {kind} USING (source) JOIN {kind}_merged m ON m.source = by_source AND m.{own} = by_id
            WHERE kind = '{kind}' AND {kind}.{own} = own_id"""
        for kind, own in ((kind, keys["id"]) for kind, keys in _KEYS.items())
    )
    return con.sql(f"SELECT * FROM ({by_kind}) ORDER BY ALL").to_arrow_reader()


def _ways(one: Described) -> list[str]:
    return [way for way in WAYS if way in one.ways]


def _match(con: duckdb.DuckDBPyConnection, kind: str, source: str, one: Described) -> None:
    """Find the things that a source describes, each by the surest way in which anything fits. A code that several of its records
    have says nothing of either, however many tracks carry it.
    """
    keys, length = _KEYS[kind], "duration_ms::BIGINT" if kind == "track" else "NULL::BIGINT"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE pair (source VARCHAR, own_id VARCHAR, by_id VARCHAR, rank INTEGER, candidates BIGINT)"
    )
    for way in _ways(one):
        near = f"abs(t.{length} - offered.length_ms) <= {SPAN_MAX_MS}" if kind == "track" and way == "code" else "true"
        con.execute(
            f"""
            INSERT INTO pair
            WITH offered AS (
                SELECT {keys[way]} AS key, min({keys["id"]}) AS by_id, count(*) AS candidates, min({length}) AS length_ms
                FROM {kind}_merged WHERE is_live AND source::VARCHAR = $source AND {keys[way]} IS NOT NULL GROUP BY key
            )
            SELECT t.source, t.{keys["id"]}, by_id, {WAYS.index(way)}, candidates
            FROM {kind}_merged t JOIN offered ON t.{keys[way]} = offered.key
            WHERE t.source::VARCHAR IN (SELECT unnest($sources)) AND (candidates > 1 OR coalesce({near}, true))""",
            {"source": source, "sources": list(one.sources)},
        )
    con.execute(
        f"""
        INSERT INTO described
        WITH best AS (SELECT source, own_id, min(rank) AS rank FROM pair GROUP BY ALL)
        SELECT '{kind}', source, own_id, $source, by_id, ($ways)[rank + 1], candidates
        FROM pair JOIN best USING (source, own_id, rank)""",
        {"source": source, "ways": list(WAYS)},
    )


def _tell(con: duckdb.DuckDBPyConnection, kind: str, precedence: Precedence) -> None:
    """Make `<kind>_told`; where nobody describes, it is what was merged."""
    if not precedence.describing:
        con.execute(f"CREATE VIEW {kind}_told AS FROM {kind}_merged")
        return
    own, describing = _KEYS[kind]["id"], list(precedence.describing)
    owners = sorted({source for one in precedence.describing.values() for source in one.sources})
    told = [
        f"{_by_owner(kind, name, owners, precedence, column)} AS {column}"
        for name in FIELDS[kind]
        for column in (_LISTENS if name == "listens_count" else (name,))
    ]
    joins = "".join(
        f"""
        LEFT JOIN (SELECT x.source, x.own_id, d.* EXCLUDE (source) FROM described x JOIN {kind}_merged d
                   ON d.source = x.by_source AND d.{own} = x.by_id
                   WHERE x.kind = '{kind}' AND x.by_source = {_quoted(name)} AND candidates = 1) d{n}
        ON d{n}.source = t.source AND d{n}.own_id = t.{own}"""
        for n, name in enumerate(describing)
    )
    con.execute(f"""
        CREATE TABLE {kind}_told AS SELECT t.* REPLACE ({", ".join(told)}) FROM {kind}_merged t{joins}
        WHERE t.source::VARCHAR NOT IN ({", ".join(map(_quoted, describing))})""")


def _by_owner(kind: str, name: str, owners: Sequence[str], precedence: Precedence, column: str) -> str:
    """A column of a field as SQL: by the source that has the thing."""
    alias = {source: f"d{n}" for n, source in enumerate(precedence.describing)}
    cases = ""
    for owner in owners:
        tables = [alias.get(source, "t") for source in precedence.ranked(kind, name, owner)]
        chosen = " ".join(f"WHEN {table}.{name} IS NOT NULL THEN {table}.{column}" for table in tables)
        cases += f" WHEN {_quoted(owner)} THEN CASE {chosen} END"
    return f"CASE t.source::VARCHAR{cases} ELSE t.{column} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
