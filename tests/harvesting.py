"""What tests of harvesting share: an archive with a source, a harvest run to its exit code, what it left behind."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import tomlkit

from lying_server import API_KEY, PASSWORD, USER, LyingServer
from support import make_archive
from tenuto import cli
from tenuto.archive import Layout
from tenuto.archive.template import with_source
from tenuto.evidence import read_records
from tenuto.evidence.harvests import HarvestManifest, finished_harvests

NAME = "shop"
LOGIN = {f"TENUTO_{NAME.upper()}_USER": USER, f"TENUTO_{NAME.upper()}_PASSWORD": PASSWORD}
KEY_LOGIN = {f"TENUTO_{NAME.upper()}_API_KEY": API_KEY}
QUICK = {"rate_per_s": 2000, "concurrency": 2, "timeout_s": 1.0, "tries": 2, "pause_max_s": 0.005}

PERMISSION = """\
format = "tenuto-permission-1"
grantor = "The operator"
ground = "owner"
granted_on = 2026-01-31
[harvest]
metadata = {metadata}
"""


def archive_of(folder: Path, location: str, kind: str = "subsonic", *, permission: str | None = None,
               politeness: dict[str, Any] | None = None, **source: Any) -> Layout:  # fmt: skip
    """An archive in `folder` with one source, asked quickly."""
    layout = make_archive(folder)
    values = {"kind": kind, "location": location, **source}
    if permission is not None:
        (folder / "permission.toml").write_text(permission)
        values["permission"] = str(folder / "permission.toml")
    text = with_source(layout.settings.read_text(), NAME, values)
    document = tomlkit.parse(text)
    document["politeness"] = {**QUICK, **(politeness or {})}
    layout.settings.write_text(tomlkit.dumps(document))
    return layout


def shop(folder: Path, server: LyingServer, **settings: Any) -> Layout:
    """An archive whose source is the lying server."""
    return archive_of(folder, server.url, **settings)


def run(layout: Layout, *words: str, login: dict[str, str] | None = None) -> int:
    """`tenuto harvest` in this process; returns its exit code."""
    return verb(layout, "harvest", *words, login=login)


def verb(layout: Layout, *words: str, login: dict[str, str] | None = None) -> int:
    """Any verb in this process, logged in; returns its exit code."""
    given = LOGIN if login is None else login
    before = {name: os.environ.get(name) for name in {*LOGIN, *KEY_LOGIN}}
    try:
        for name in before:
            os.environ.pop(name, None)
        os.environ.update(given)
        return cli._run([*words, "--archive", str(layout.root)])
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def manifest_of(layout: Layout) -> HarvestManifest:
    """The newest finished harvest."""
    return finished_harvests(layout.harvests(NAME))[-1]


def codes(layout: Layout) -> set[str]:
    """The codes of its findings."""
    return {finding["code"] for finding in manifest_of(layout).findings}


def folders(layout: Layout) -> list[Path]:
    """The harvests, finished or not."""
    return sorted(path for path in layout.harvests(NAME).iterdir() if path.is_dir())


def records(folder: Path) -> list[Any]:
    """The records of one harvest in order."""
    return [record for file in sorted(folder.glob("*.warc.gz")) for record in read_records(file)]


def answers(folder: Path) -> dict[str, Any]:
    """The answers of one harvest by request; a request that stands there twice fails the test."""
    found: dict[str, Any] = {}
    for record in records(folder):
        assert record.answer is not None, record.damage
        assert record.answer.request.key not in found, f"{record.answer.request.key} stands there twice"
        found[record.answer.request.key] = record.answer
    return found


def evidence_set(folder: Path) -> set[tuple[str, str, str]]:
    """What two harvests are compared by: request, answer (by its record id), outcome."""
    return {(r.answer.request.key, str(r.uuid), r.answer.outcome) for r in records(folder)}


def leaks(root: Path, secrets: set[str], *texts: str) -> list[str]:
    """Where a secret stands in any file of a folder (unpacked too) or in what was printed."""
    spelled = {form for secret in secrets for form in (secret, secret.encode().hex(), json.dumps(secret)[1:-1])}
    found = []
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        raw = file.read_bytes()
        forms = [raw, gzip.decompress(raw)] if file.suffix == ".gz" else [raw]
        found += [f"{file.name}: {s}" for s in spelled for form in forms if s.encode() in form]
    return found + [f"printed: {s}" for s in spelled for text in texts if s in text]
