"""The examples for reading an edition do what they say, with each tool that is installed."""

import contextlib
import http.server
import io
import re
import sqlite3
import threading
from contextlib import closing
from functools import partial
from http import HTTPStatus
from pathlib import Path

import duckdb
import pytest

from export_maker import TRACKS, make_edition, rows
from support import make_archive
from tenuto.archive import load_settings
from tenuto.catalogue.export import schema, write_csv, write_sqlite
from tenuto.model.progress import Silent
from tenuto.publication.metadata import metadata_crate
from tenuto.sources import check_options

DOCUMENT = (Path(__file__).parents[2] / "docs/reading-an-edition.md").read_text(encoding="utf-8")
SECTIONS = {part.splitlines()[0]: part for part in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]}
NOT_OURS = ("polars", "pandas", "fsspec")
ADDRESS = "http://127.0.0.1:8000/"


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A web server that answers ranges."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        file = Path(self.translate_path(self.path))
        if not asked or not file.is_file():
            with contextlib.suppress(ConnectionError):
                super().do_GET()
            return
        content = file.read_bytes()
        first = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
        last = min(int(asked[2]), len(content) - 1) if asked[1] and asked[2] else len(content) - 1
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `my-archive` and what the commands of the document write."""
    home = tmp_path_factory.mktemp("home")
    layout = make_archive(home)
    (home / "my-archive").symlink_to("archive")
    edition = make_edition(layout, rows())
    metadata_crate(layout, load_settings(layout.settings, check_options), edition)
    write_sqlite(edition, home / "catalogue.db", Silent())
    write_csv(edition, home / "tracks.csv.gz", Silent())
    return home, edition


@pytest.fixture(scope="module")
def address(home):
    handler = partial(Ranges, directory=str(home[1].folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _run(section, number, place):
    """Run the first block of a section and that of this number, as a reader would; what was printed."""
    every, names, printed = blocks(section, "python"), {}, io.StringIO()
    for text in dict.fromkeys((every[0], every[number])):
        for module in NOT_OURS:
            if re.search(rf"\bimport .*\b{module}\b", text):
                pytest.importorskip(module, reason=f"{module} is not installed: its example is not run")
        if "LOAD httpfs" in text:
            try:
                duckdb.sql("LOAD httpfs")
            except duckdb.Error:
                pytest.skip("DuckDB's extension httpfs is not installed here: its example is not run")
        with contextlib.redirect_stdout(printed):
            exec(compile(text.replace(ADDRESS, place), section, "exec"), names)
    return printed.getvalue()


@pytest.mark.parametrize("number", range(1, len(blocks("In place", "python"))))
def test_an_edition_is_read_in_place(home, monkeypatch, number):
    monkeypatch.chdir(home[0])
    assert str(TRACKS) in _run("In place", number, "")


@pytest.mark.parametrize("number", range(1, len(blocks("Over HTTP", "python"))))
def test_an_edition_is_read_over_http(home, address, monkeypatch, number):
    monkeypatch.chdir(home[0])
    assert str(TRACKS) in _run("Over HTTP", number, address)


def test_csv_is_read_back(home, monkeypatch):
    monkeypatch.chdir(home[0])
    assert _run("JSON lines and CSV", 0, "").startswith(f"{TRACKS} ")


@pytest.mark.parametrize("query", blocks("SQLite", "sql"))
def test_a_query_of_sqlite_has_an_answer(home, query):
    with closing(sqlite3.connect(home[0] / "catalogue.db")) as db:
        assert db.execute(query).fetchall()


def test_every_table_and_column_of_sqlite_is_documented(home):
    written = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTIONS["SQLite"], re.MULTILINE))
    for name, table in schema.TABLES.items():
        codes = [one for one in re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", written[name])) if one != "and"]
        assert codes == list(table.columns)
    with closing(sqlite3.connect(home[0] / "catalogue.db")) as db:
        names = {
            row[0]
            for row in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\\_fts\\_%' ESCAPE '\\'"
            )
        }
        hidden = {row[1] for name in schema.TABLES for row in db.execute(f"PRAGMA table_xinfo({name})") if row[6]}
    codes = set(re.findall(r"`(\w+)`", SECTIONS["SQLite"]))
    assert {name for name in names if not name.startswith("sqlite_")} | hidden <= codes


def test_there_are_examples_for_each_tool():
    text = "\n".join(blocks("In place", "python") + blocks("Over HTTP", "python"))
    assert all(text.count(f"import {tool}") >= 2 for tool in ("duckdb", "polars", "pandas"))
    assert len(blocks("SQLite", "sql")) >= 3
