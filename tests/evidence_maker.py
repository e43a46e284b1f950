"""Finished harvests from plain Python values: what a source answered, on any day, with any outcome, without a server."""

import csv
import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from tenuto.archive.layout import Layout
from tenuto.catalogue import Edition
from tenuto.catalogue.build import Built, build
from tenuto.catalogue.descriptions import Precedence
from tenuto.evidence import EvidenceWriter, HarvestManifest, Span, pack_spans, read_records
from tenuto.evidence.harvests import EvidenceFile, PermissionRead, write_manifest
from tenuto.model.answers import FAILED, MISSING, OK, Answer, Request
from tenuto.model.ids import evidence_id, harvest_id, record_uuid
from tenuto.model.progress import Silent
from tenuto.sources import LISTENS_KEY, PERMISSION_KEY

DAY = date(2026, 3, 1)


@dataclass(frozen=True)
class Said:
    """One answer of a source, without its day."""

    key: str
    body: bytes
    media_type: str = "application/json"
    outcome: str = OK
    http_status: int = 200


def failed(said: Said) -> Said:
    """The same request, all of whose tries failed."""
    return replace(
        said, body=b"<h1>Internal Server Error</h1>", media_type="text/html", outcome=FAILED, http_status=500
    )


def missing(said: Said) -> Said:
    """The same request, to which the source says that it does not have it."""
    body = reply(error={"code": 70, "message": "not found"}).replace(b'"ok"', b'"failed"')
    return replace(said, body=body, outcome=MISSING)


def reply(**content: Any) -> bytes:
    """The envelope of a Subsonic answer."""
    return json.dumps({"subsonic-response": {"status": "ok", "version": "1.16.1", **content}}).encode()


def call(name: str, content: dict[str, Any], **query: Any) -> Said:
    """The answer to a Subsonic call."""
    return Said(f"{name}?{urlencode({**query, 'f': 'json'})}", reply(**content))


def song(track_id: str, **fields: Any) -> dict[str, Any]:
    """A song: two minutes, 2 MB of MP3, unless told otherwise; a field given as None is left out."""
    basis = {"id": track_id, "title": f"Title of {track_id}", "duration": 120, "size": 2_000_000, "suffix": "mp3",
             "contentType": "audio/mpeg", "bitRate": 128}  # fmt: skip
    return {name: value for name, value in {**basis, **fields}.items() if value is not None}


def album(release_id: str, songs: Sequence[dict[str, Any]] = (), **fields: Any) -> Said:
    """`getAlbum`: the album with its songs, each of which names it."""
    inside = [{"albumId": release_id, "track": number, **one} for number, one in enumerate(songs, 1)]
    content = {"id": release_id, "name": f"Album {release_id}", "songCount": len(inside), **fields, "song": inside}
    return call("getAlbum", {"album": content}, id=release_id)


def artists(**named: str) -> Said:
    """`getArtists`: id and name of each."""
    index = [{"name": "#", "artist": [{"id": own, "name": name} for own, name in named.items()]}]
    return call("getArtists", {"artists": {"index": index}})


def search(songs: Sequence[dict[str, Any]], offset: int = 0) -> Said:
    """A page of `search3`."""
    query = {"query": "", "songCount": 500, "songOffset": offset, "albumCount": 0, "artistCount": 0}
    return call("search3", {"searchResult3": {"song": list(songs)}}, **query)


def frequent(*release_ids: str) -> Said:
    """The albums by listens, the most heard first."""
    listed = [{"id": own, "name": f"Album {own}"} for own in release_ids]
    return call("getAlbumList2", {"albumList2": {"album": listed}}, type="frequent", size=500, offset=0)


def permission(*grants: str) -> Said:
    """The operator's permission; each grant is the TOML below its heading."""
    head = 'format = "tenuto-permission-1"\ngrantor = "A. Librarian"\nground = "owner"\ngranted_on = 2026-01-31\n'
    text = head + "".join(f"[[grant]]\n{grant}\n" for grant in grants)
    return Said(PERMISSION_KEY, text.encode(), "application/toml", http_status=0)


def listens(rows: Iterable[tuple[str, int, str]]) -> Said:
    """The operator's list of listens."""
    return Said(LISTENS_KEY, _csv(("id", "listens", "date"), rows), "text/csv", http_status=0)


def corrections(*rows: tuple[str, str, str, str, str]) -> Said:
    """Corrections by hand (a source of kind `corrections`): source, kind, id, field, value."""
    columns = ("source", "kind", "id", "field", "value", "reason", "by")
    return Said("corrections", _csv(columns, [(*row, "the sleeve says so", "B. Cataloguer") for row in rows]), "text/csv",
                http_status=0)  # fmt: skip


def licence_file(path: str, text: str) -> Said:
    """A licence file of a folder (kind `folder`)."""
    return Said(f"licence/{path}", text.encode(), "text/plain", http_status=0)


def audio_file(path: str, content: bytes) -> Said:
    """An audio file of a folder, all of it kept as its tag blocks."""
    body, media_type = pack_spans([Span(0, content)], len(content))
    return Said(f"audio/{path}", body, media_type, http_status=0)


def keep(
    layout: Layout, source: str, said: Iterable[Said], day: date = DAY, *, kind: str = "subsonic", is_finished: bool = True,
    files: str = "one", shuffled_by: int | None = None, granted: Said | None = None, is_withdrawn: bool = False,
    findings: Sequence[dict[str, Any]] = (),
) -> Path:  # fmt: skip
    """Write one harvest; `files="each"` puts every record into a WARC file of its own. Returns its folder.

    The harvest went by the permission `granted`, by default the last of `said`, and by none if `is_withdrawn`.
    """
    answers = list(said)
    if granted is None and not is_withdrawn:
        granted = next((one for one in reversed(answers) if one.key == PERMISSION_KEY), None)
    if shuffled_by is not None:
        random.Random(shuffled_by).shuffle(answers)
    started_at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    folder = _new_folder(layout, source, started_at)
    info = {"operator": "testing; tests@archive.invalid", "isPartOf": folder.name}
    roll_bytes = 1 if files == "each" else 1_000_000_000
    with EvidenceWriter(folder, source, kind, info, lambda: started_at, roll_bytes=roll_bytes) as writer:
        for number, one in enumerate(answers):
            address = f"http://music.invalid/rest/{one.key}" if one.http_status else None
            writer.write(Answer(Request(one.key, address), one.body, one.media_type, started_at + timedelta(seconds=number % 3600),
                                one.http_status, (("Content-Type", one.media_type),), one.outcome))  # fmt: skip
    if is_finished:
        manifest = _manifest(folder, source, kind, answers, started_at)
        write_manifest(
            folder, manifest.model_copy(update={"permission": _read(source, granted), "findings": tuple(findings)})
        )
    return folder


def built(layout: Layout, precedence: Precedence | None = None) -> Built:
    """`catalogue build`."""
    return build(layout, Silent(), precedence=precedence)


def edition_of(layout: Layout, precedence: Precedence | None = None) -> Edition:
    """The edition of all that was kept."""
    return built(layout, precedence).edition


def table(edition: Edition, name: str) -> pa.Table:
    """A table of an edition."""
    return edition.read(name)


def rows(edition: Edition, name: str) -> list[dict[str, Any]]:
    """The rows of a table of an edition."""
    return table(edition, name).to_pylist()


def tracks(edition: Edition) -> dict[str, dict[str, Any]]:
    """The tracks of an edition by id."""
    return {row["track_id"]: row for row in rows(edition, "track")}


def findings(edition: Edition, code: str) -> list[dict[str, Any]]:
    """The findings of one code."""
    return [row for row in rows(edition, "finding") if row["code"] == code]


def sha256s(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a folder, edition.json among them."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def _csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *lines])
    return text.getvalue().encode()


def _new_folder(layout: Layout, source: str, started_at: datetime) -> Path:
    folders = (layout.harvests(source) / harvest_id(started_at, counter) for counter in range(100))
    return next(folder for folder in folders if not folder.exists())


def _read(source: str, granted: Said | None) -> PermissionRead | None:
    if granted is None:
        return None
    digest = hashlib.sha256(granted.body).hexdigest()
    return PermissionRead(grantor="A. Librarian", ground="owner", granted_on="2026-01-31", sha256=digest,
                          evidence_id=evidence_id(record_uuid(source, PERMISSION_KEY, digest)))  # fmt: skip


def _manifest(folder: Path, source: str, kind: str, answers: list[Said], started_at: datetime) -> HarvestManifest:
    files = [
        EvidenceFile(name=file.name, bytes=file.stat().st_size, records=sum(1 for _ in read_records(file)),
                     sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        for file in sorted(folder.glob("*.warc.gz"))
    ]  # fmt: skip
    return HarvestManifest(
        archive="testing", source=source, kind=kind, harvest=folder.name, files=tuple(files),
        started_at=started_at.isoformat(timespec="seconds"),
        finished_at=(started_at + timedelta(hours=1)).isoformat(timespec="seconds"),
        outcomes=dict(sorted(Counter(one.outcome for one in answers).items())),
    )  # fmt: skip
