"""`tenuto find`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tenuto.archive import Layout
from tenuto.cli.found import EXACT, NEAR, render
from tenuto.cli.late_progress import LateProgress
from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json

if TYPE_CHECKING:
    from tenuto.catalogue import Edition
    from tenuto.catalogue.songs import Match, Song

_LIMIT_MAX = 1_000
"""As many as a search gives; with so many nobody knows whether there are more, and it is said that there are."""


def find(
    *words: str,
    id_: Annotated[str | None, Parameter(name="--id", help="A track's or release's id of its source.")] = None,
    isrc: Annotated[str | None, Parameter(help="An ISRC, with hyphens or without.")] = None,
    upc: Annotated[str | None, Parameter(help="A release's UPC or EAN.")] = None,
    mbid: Annotated[str | None, Parameter(help="A MusicBrainz id of a recording or release.")] = None,
    title: Annotated[str | None, Parameter(help="Words of the title.")] = None,
    artist: Annotated[str | None, Parameter(help="Words of the artists' names.")] = None,
    year: Annotated[int | None, Parameter(help="The release's year.")] = None,
    licence: Annotated[str | None, Parameter(help="The licence, as SPDX writes it.")] = None,
    limit: Annotated[int, Parameter(help="At most so many tracks.")] = 20,
    index: Annotated[
        Path | None, Parameter(help="A folder for the index, where the archive's own cannot be written.")
    ] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> int:
    """Find tracks in the current edition, and what has become of them.

    Parameters
    ----------
    words
        Words of title, artists and release, in any order and spelling; the last may be cut short.

    """
    from tenuto.catalogue.lookup import Catalogue
    from tenuto.catalogue.songs import Match
    from tenuto.model.errors import UsageError

    keys = {"id": id_, "isrc": isrc, "upc": upc, "mbid": mbid}
    given = {name: key for name, key in keys.items() if key is not None}
    narrowed: dict[str, Any] = {"title": title, "artist": artist, "year": year, "licence": licence}
    is_text = bool(words) or any(value is not None for value in narrowed.values())
    if len(given) > 1 or (given and is_text):
        raise UsageError(f"--{next(iter(given))} names tracks by itself: leave out the words and the other options")
    if not given and not is_text:
        raise UsageError(
            "nothing to find: give words, or --id, --isrc, --upc, --mbid, --title, --artist, --year, --licence"
        )
    if not 1 <= limit <= _LIMIT_MAX:
        raise UsageError(f"--limit {limit} is not between 1 and {_LIMIT_MAX:,}")
    layout = Layout.find(archive)
    with LateProgress() as progress, Catalogue.open(layout.root, progress, index) as catalogue:
        if given:
            ((name, key),) = given.items()
            matches = [Match(song, is_near=False) for song in getattr(catalogue, f"by_{name}")(key)]
            is_more = len(matches) > limit
        else:
            matches = catalogue.matches(" ".join(words), limit + 1, **narrowed)
            is_more = len(matches) > limit or len(matches) == _LIMIT_MAX
        found = _with_statuses(layout, catalogue.edition, matches[:limit])
    if json:
        print_json({"edition": catalogue.edition.info.edition, "is_more": is_more, "tracks": found})
    else:
        render(found, is_more=is_more, hint=_hint(words, given, narrowed))
    return 0


def _hint(words: Sequence[str], given: dict[str, str], narrowed: dict[str, Any]) -> str:
    """What may find more than these did."""
    if given:
        return f"no track of this edition has this {next(iter(given))}, and no release"
    asked = [f"--{name}" for name, value in narrowed.items() if value is not None]
    if names := [option for option in asked if option in {"--title", "--artist"}]:
        return f"plain words may be misspelt, those of {' and '.join(names)} may not"
    if asked:
        return f"more may be found without {' and '.join(asked)}"
    return "fewer words find more" if len(" ".join(words).split()) > 1 else ""


def _with_statuses(layout: Layout, edition: "Edition", matches: Sequence["Match"]) -> list[dict[str, Any]]:
    """The songs as documents, each with its status, reason and crate, and how it fits."""
    statuses = _statuses(layout, edition, [match.song for match in matches]) if matches else {}
    found = []
    for match in matches:
        song = match.song
        document = {**asdict(song), "release_date": _said(song.release_date, song.release_date_precision)}
        del document["release_date_precision"]
        found.append({**document, "match": NEAR if match.is_near else EXACT, **statuses[song.track_row]})
    return found


def _statuses(layout: Layout, edition: "Edition", songs: Sequence["Song"]) -> dict[int, dict[str, Any]]:
    """What has become of each track, by its row."""
    from tenuto.model.statuses import UNPLANNED

    decisions = (
        layout.plans,
        layout.crates,
        layout.dark,
        layout.withdrawals,
        layout.publication / layout.withdrawals.name,
    )
    if not any(place.exists() for place in decisions):  # the answer is known without the tables
        return {song.track_row: {"status": UNPLANNED, "reason": "", "crate": None, "bytes": None} for song in songs}
    from tenuto.crates.status import current_plan, track_statuses

    _, settings = open_archive(layout.root)
    rows = [song.track_row for song in songs]
    plan = current_plan(layout, edition)
    table = track_statuses(layout, settings, _only(songs, edition), plan, track_rows=rows).to_pylist()
    return {row["track_row"]: {name: row[name] for name in ("status", "reason", "crate", "bytes")} for row in table}


def _only(songs: Sequence["Song"], edition: "Edition") -> "Edition":
    """The edition, but with these songs for its tracks: what the index says of them need not be read again from the tables."""
    from tenuto.catalogue import Edition

    class Few(Edition):
        def rows(self, name: str) -> str:
            if name != "track":
                return super().rows(name)
            values = ", ".join(
                f"({song.track_row}::UINTEGER, {_quoted(song.source)}, {_quoted(song.track_id)}, {_quoted(song.title or '')}, "
                f"{'NULL' if song.listens_count is None else song.listens_count}::UBIGINT)"
                for song in songs
            )
            return f"(VALUES {values}) few(track_row, source, track_id, title, listens_count)"

    return Few(edition.folder, edition.info)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _said(day: Any, precision: str | None) -> str | None:
    """As much of a date as is known."""
    return None if day is None else day.isoformat()[: {"year": 4, "month": 7}.get(precision or "", 10)]
