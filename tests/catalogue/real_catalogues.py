"""Catalogues that nobody here wrote, brought into an archive: four of ../shared/data, and a small one with licences."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import tomlkit
from lxml import etree

from support import make_archive, shared_data
from tenuto.archive import Layout
from tenuto.archive.template import with_source

ROCK = """\
format = "tenuto-table-1"
[track]
id = { hash = ["Song Clean", "ARTIST CLEAN"] }
title = "Song Clean"
listens_count = "PlayCount"
listens_scope = { constant = "radio" }
listens_on = { constant = "2014-06" }
[release]
id = { hash = ["Song Clean", "ARTIST CLEAN"] }
release_date = "Release Year"
[[artist]]
name = "ARTIST CLEAN"
"""
DEAD = """\
format = "tenuto-table-1"
[track]
id = "uuid"
title = "name"
disc_number = "set"
track_number = "place"
[release]
id = "show"
title = "where"
release_date = "date"
release_type = { constant = "live" }
[[artist]]
name = { constant = "Grateful Dead" }
of = "both"
"""
PHILHARMONIC = """\
format = "tenuto-table-1"
[track]
id = "id"
title = "work"
track_number = "place"
[release]
id = "programme"
title = "season"
release_date = { column = "date", year_min = 1842 }
[[artist]]
name = "orchestra"
of = "both"
[[artist]]
name = "composer"
role = "composer"
[[artist]]
name = "conductor"
role = "conductor"
[[artist]]
name = "soloists"
role = "soloist"
"""
NETLABEL = """\
format = "tenuto-table-1"
[read]
empty = ["n/a"]
[track]
id = "no"
title = "song"
duration_ms = "length"
licence_text = "licence"
[release]
id = "album"
title = "album"
release_date = "out"
[[artist]]
name = { column = "by", separator = " & " }
"""
SONGS = """\
no,song,by,album,length,licence,out
1,Café Noir,Zoë & Los Niños,Ünder Glass,3:45,CC-BY-4.0,2009-05
2,Under Glass,Zoë,Ünder Glass,n/a,CC-BY-4.0,2009-05
3,Nothing Else,Ana Łuk,Zero,1:02:03,CC0-1.0,2011
4,All Rights,Ana Łuk,Zero,0:59,,2011
"""


def make_real_archive(folder: Path) -> Layout:
    """An archive in `folder` with the five as sources, not yet harvested."""
    layout = make_archive(folder)
    rock = shared_data("classic-rock") / "classic-rock/classic-rock-song-list.csv"
    write_lines(folder / "dead.jsonl", dead_songs(shared_data("gdshowsdb") / "data/gdshowsdb"))
    write_lines(folder / "phil.jsonl", works(shared_data("nyphil-cc0") / "Programs/xml/1842-43_TO_1910-11.xml"))
    (folder / "songs.csv").write_text(SONGS, encoding="utf-8")
    dumps = shared_data("discogs-samples") / "tests/samples"
    text = with_source(layout.settings.read_text(), "discogs", {"kind": "discogs", "location": str(dumps)})
    tables = {"rock": (rock, ROCK), "dead": (folder / "dead.jsonl", DEAD), "phil": (folder / "phil.jsonl", PHILHARMONIC),
              "netlabel": (folder / "songs.csv", NETLABEL)}  # fmt: skip
    for name, (file, mapping) in tables.items():
        (folder / f"{name}.toml").write_text(mapping)
        options = {"mapping_file": str(folder / f"{name}.toml")}
        text = with_source(text, name, {"kind": "table", "location": str(file), "options": options})
    layout.settings.write_text(tomlkit.dumps(tomlkit.parse(text)))
    return layout


def write_lines(file: Path, rows: Iterator[dict[str, object]]) -> None:
    """Rows as JSONL."""
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def dead_songs(folder: Path) -> Iterator[dict[str, object]]:
    """Every song of every concert, by the lines of its YAML files."""
    for file in sorted(folder.glob("19*.yaml")):
        show: dict[str, object] = {}
        song, set_number, place, venue = "", 0, 0, ""
        for line in file.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"(\d{4}/\d\d/\d\d)", line):
                show, set_number = {"date": found[1]}, 0
            elif found := re.match(r"  :uuid: (.*)", line):
                show["show"] = found[1]
            elif found := re.match(r"  :venue: (.*)", line):
                venue = plain(found[1])
            elif found := re.match(r"  :city: (.*)", line):
                show["where"] = f"{venue}, {plain(found[1])}"
            elif line.startswith("  - :uuid:"):
                set_number, place = set_number + 1, 0
            elif found := re.match(r"    - :uuid: (.*)", line):
                song, place = found[1], place + 1
            elif found := re.match(r"      :name: (.*)", line):
                yield {"uuid": song, "name": plain(found[1]), "set": set_number, "place": place, **show}


def plain(text: str) -> str:
    """A scalar of YAML without its quotes."""
    if text[:1] == text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1].replace('\\"', '"') if text[:1] == text[-1:] == '"' else text


def works(file: Path) -> Iterator[dict[str, object]]:
    """Every work of every programme; intermissions are none."""
    for programme in etree.parse(file).getroot():
        for place, work in enumerate(programme.iterfind("worksInfo/work"), 1):
            title = work.findtext("workTitle")
            if title is None:
                continue
            movement = work.findtext("movement")
            yield {
                "id": f"{programme.findtext('id')}/{place}",
                "work": f"{title}: {movement}" if movement else title,
                "composer": re.sub(r"\s+", " ", work.findtext("composerName") or ""),
                "conductor": work.findtext("conductorName"),
                "soloists": [one.text for one in work.iterfind("soloists/soloist/soloistName")],
                "place": place,
                "programme": programme.findtext("id"),
                "orchestra": programme.findtext("orchestra"),
                "season": f"{programme.findtext('concertInfo/eventType')}, {programme.findtext('concertInfo/Venue')}",
                "date": programme.findtext("concertInfo/Date"),
            }
