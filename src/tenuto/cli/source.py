"""`tenuto source …`: add, list, test, remove; permission."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenuto.cli.options import HERE, Archive, Json, open_archive, print_json, working
from tenuto.cli.tables import line, moment, show


def add(
    kind: str,
    location: str,
    /,
    *,
    name: str,
    permission: Path | None = None,
    option: Annotated[Sequence[str], Parameter(help="k=v; may be given again.", negative="")] = (),
    rate_per_s: float | None = None,
    credentials: Annotated[Path | None, Parameter(help="A file of mode 0600 with user and password.")] = None,
    archive: Archive = HERE,
    json: Json = False,
) -> None:
    """Add a source, or replace its settings.

    Parameters
    ----------
    kind
        folder, subsonic, table, discogs or corrections.
    location
        A folder, an address or a file.
    name
        What the source is called here: lower-case letters, digits, hyphens.
    permission
        The operator's permission (see: tenuto source permission --template).
    rate_per_s
        Requests a second at most.

    """
    from tenuto.archive import write_durably
    from tenuto.archive.settings import parse_settings
    from tenuto.archive.template import with_source
    from tenuto.model.documents import read_text
    from tenuto.rights import parse_permission
    from tenuto.sources import check_options

    options = _options(option)
    values: dict[str, Any] = {
        "kind": kind,
        "location": _location(kind, location),
        "permission": _operator_file(permission),
        "rate_per_s": rate_per_s,
        "credentials": _operator_file(credentials),
        "options": options,
    }
    if permission is not None:
        parse_permission(read_text(Path(values["permission"])), permission.name)
    with working(archive, "source add") as (layout, _):
        text = with_source(read_text(layout.settings), name, values)
        parse_settings(text, "tenuto.toml with this source", check_options)
        write_durably(layout.settings, text.encode())
    if json:
        print_json({"source": name, "kind": kind})
        return
    line(f"added {name} ({kind}) to {layout.settings}")
    if permission is None:
        line("It has no permission on file: its metadata is asked for only where robots.txt allows, and a recording is")
        line("open only if its own licence evidence says so. To write one: tenuto source permission --template > FILE")
    line(f"Next: tenuto source test {name}, then tenuto harvest {name}")


def list_(*, archive: Archive = HERE, json: Json = False) -> None:
    """Show the sources of the archive, with the last harvest of each."""
    from tenuto.evidence import finished_harvests

    layout, settings = open_archive(archive)
    rows: list[dict[str, Any]] = []
    for name, source in settings.sources.items():
        harvests = finished_harvests(layout.harvests(name))
        rows.append({"name": name, "kind": source.kind, "location": source.location, "permission": source.permission,
                     "harvests": len(harvests), "last_harvest": harvests[-1].finished_at if harvests else None})  # fmt: skip
    if json:
        print_json({"sources": rows})
        return
    if not rows:
        line("no sources yet; add one with: tenuto source add KIND LOCATION --name NAME")
        return
    shown = [(r["name"], r["kind"], r["location"], r["permission"] or "none", moment(r["last_harvest"])) for r in rows]
    show("", ("name", "kind", "location", "permission", "last harvest"), shown)


def test(name: str, /, *, archive: Archive = HERE, json: Json = False) -> None:
    """Fetch one page of a source and show it mapped; nothing is kept.

    Parameters
    ----------
    name
        The source.

    """
    from tenuto.cli.progress import TerminalProgress
    from tenuto.harvest import sample
    from tenuto.model.records import ArtistSeen, ListensSeen, ProblemSeen, ReleaseSeen, TrackSeen

    with working(archive, "source test") as (layout, settings), TerminalProgress() as progress:
        answers = sample(layout, settings, name, progress)
    seen = [item for _, items in answers for item in items]
    tracks = list({item.track_id: item for item in seen if isinstance(item, TrackSeen)}.values())
    artists = {item.artist_id: item.name for item in seen if isinstance(item, ArtistSeen) and item.name}
    releases = {item.release_id: item for item in seen if isinstance(item, ReleaseSeen)}
    listens = {item.track_id: item.listens_count for item in seen if isinstance(item, ListensSeen)}
    shown = [_track_document(track, artists, releases, listens) for track in tracks[:20]]
    problems = [item for item in seen if isinstance(item, ProblemSeen)]
    outcomes = [(answer.request.key, answer.outcome) for answer, _ in answers]
    if json:
        print_json({"source": name, "answers": [{"request": key, "outcome": outcome} for key, outcome in outcomes],
                    "tracks": shown,
                    "problems": [{"code": p.code, "subject": p.subject, "message": p.message} for p in problems]})  # fmt: skip
        return
    show("", ("asked", "outcome"), outcomes)
    line()
    show(f"{len(tracks)} tracks on these pages, as they are mapped:",
         ("title", "artists", "release", "date", "duration", "listens", "licence", "path"),
         [(t["title"] or "-", ", ".join(t["artists"]) or "-", t["release"] or "-", t["release_date"] or "-",
           f"{t['duration_ms'] / 1000:.0f} s" if t["duration_ms"] else "-",
           "-" if t["listens_count"] is None else f"{t['listens_count']:,}",
           t["licence_text"] or "-", t["path"] or t["track_id"]) for t in shown], right=("duration", "listens"))  # fmt: skip
    for problem in problems[:20]:
        line(f"{problem.code}: {problem.subject}: {problem.message}")


def remove(name: str, /, *, archive: Archive = HERE, json: Json = False) -> None:
    """Forget a source; its evidence stays and still counts for editions.

    Parameters
    ----------
    name
        The source.

    """
    from tenuto.archive import write_durably
    from tenuto.archive.template import without_source
    from tenuto.model.documents import read_text
    from tenuto.model.errors import UsageError

    with working(archive, "source remove") as (layout, settings):
        if name not in settings.sources:
            raise UsageError(f"no source is called {name}; there are: {', '.join(settings.sources) or 'none'}")
        write_durably(layout.settings, without_source(read_text(layout.settings), name).encode())
    if json:
        print_json({"removed": name})
    else:
        line(f"removed {name} from the settings; its evidence stays in {layout.harvests(name)}")


def permission(
    file: Path | None = None,
    /,
    *,
    template: Annotated[bool, Parameter(negative="", help="Print one to fill in.")] = False,
    json: Json = False,
) -> None:
    """Check a permission and show what it says, or print one to fill in.

    Parameters
    ----------
    file
        A permission to check.

    """
    from tenuto.model.documents import read_text
    from tenuto.model.errors import UsageError
    from tenuto.rights import parse_permission
    from tenuto.rights.permission import TEMPLATE

    if template:
        print(TEMPLATE, end="")
        return
    if file is None:
        raise UsageError("name a permission to check, or pass --template to print one")
    read = parse_permission(read_text(Path(_operator_file(file) or "")), file.name)
    if json:
        print_json(read.model_dump(mode="json"))
        return
    line(f"{read.grantor} grants on {read.granted_on}, on the ground of {read.ground}")
    line(f"metadata may be harvested: {_word(read.harvest.metadata)}")
    show("", ("grant", "for", "keep", "give out", "mine", "territories", "until", "licence"),
         [(number, _selectors(grant), *(_word(w) for w in (grant.may_keep, grant.may_give_out, grant.may_mine)),
           ", ".join(grant.territories), grant.until or "-", grant.licence or "-")
          for number, grant in enumerate(read.grant, 1)])  # fmt: skip


def _location(kind: str, location: str) -> str:
    """An address as it is, a path made absolute; what may hold a login is not even repeated in the error."""
    from tenuto.model.errors import UsageError
    from tenuto.sources import location_mistake

    if mistake := location_mistake(kind, location):
        raise UsageError(f"LOCATION is refused: {mistake}")
    return location if "://" in location else str(Path(location).expanduser().absolute())


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    from tenuto.model.errors import UsageError

    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--option {pair!r} is not of the form k=v")
        if key.casefold() in {"password", "token", "api_key", "apikey", "user", "secret"}:
            raise UsageError(
                f"--option {key} is refused: a login never goes on the command line, where other users can read it. Set it in "
                "the environment (TENUTO_<NAME>_PASSWORD) or in a file of mode 0600 (--credentials FILE)"
            )
        is_path = (key.endswith("_file") or key == "terms") and "://" not in value
        options[key] = str(Path(value).expanduser().absolute()) if is_path else value
    return options


def _operator_file(file: Path | None) -> str | None:
    """A file that the operator names, which must be there."""
    from tenuto.model.errors import UsageError

    if file is None:
        return None
    if not file.expanduser().is_file():
        raise UsageError(f"{file} does not exist")
    return str(file.expanduser().absolute())


def _track_document(
    track: Any, artists: Mapping[str, str], releases: Mapping[str, Any], listens: Mapping[str, int]
) -> dict[str, Any]:
    release = releases.get(track.release_id)
    return {
        "track_id": track.track_id,
        "title": track.title,
        "artists": [
            artists.get(credit.artist_id, credit.artist_id) for credit in track.credits if credit.role == "artist"
        ],
        "release": release.title if release else None,
        "release_date": release.release_date if release else None,
        "duration_ms": track.duration_ms,
        "isrc": track.isrc,
        "licence_text": track.licence_text,
        "listens_count": listens.get(track.track_id, track.listens_count),
        "path": track.offer.path if track.offer else None,
    }


def _selectors(grant: Any) -> str:
    parts = [f"{name} {', '.join(values[:2])}{f' … ({len(values)})' if len(values) > 2 else ''}"  # noqa: PLR2004 -- examples
             for name in ("artist", "release", "track", "path") if (values := getattr(grant, name))]  # fmt: skip
    return "; ".join(parts) or "all"


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[value]
