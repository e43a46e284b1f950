"""Real names that nobody here wrote are found as people type them."""

import csv
import re
from pathlib import Path

import pytest
from search_maker import Made, make_index, row

from support import shared_data


@pytest.fixture(scope="module")
def classic_rock(tmp_path_factory: pytest.TempPathFactory) -> Made:
    file = shared_data("classic-rock") / "classic-rock/classic-rock-song-list.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [
            row(one["Song Clean"], one["ARTIST CLEAN"], listens=int(one["PlayCount"])) for one in csv.DictReader(lines)
        ]
    assert len(rows) > 2_000
    return make_index(tmp_path_factory.mktemp("rock") / "index", rows)


@pytest.fixture(scope="module")
def grateful_dead(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = shared_data("gdshowsdb") / "data/gdshowsdb"
    names = [name for file in sorted(folder.glob("197*.yaml")) for name in _names(file)]
    assert len(names) > 5_000
    return make_index(
        tmp_path_factory.mktemp("dead") / "index", [row(name, "Grateful Dead", place) for name, place in names]
    )


def _names(file: Path) -> list[tuple[str, str]]:
    """Songs and the town they were played in, by the lines of the file."""
    town, found = "", []
    for line in file.read_text(encoding="utf-8").splitlines():
        if given := re.match(r"  :city: (.*)", line):
            town = given[1].strip("'\"")
        elif given := re.match(r"      :name: (.*)", line):
            found.append((given[1].strip("'\""), town))
    return found


@pytest.mark.parametrize(
    ("typed", "title", "artist"),
    [
        ("stairway to heaven", "Stairway to Heaven", "Led Zeppelin"),
        ("zeppelin stairway", "Stairway to Heaven", "Led Zeppelin"),
        ("back in black", "Back In Black", "AC/DC"),
        ("acdc hells bells", "Hells Bells", "AC/DC"),
        ("ac dc highway", "Highway To Hell", "AC/DC"),
        ("bohemian raphsody", "Bohemian Rhapsody", "Queen"),
        ("hotel calif", "Hotel California", "Eagles"),
        ("dont stop beleivin", "Don't Stop Believin'", "Journey"),
        ("skynyrd freebird", "Free Bird", "Lynyrd Skynyrd"),
        ("38 special hold on", "Hold On Loosely", ".38 Special"),
        ("comfortably numb", "Comfortably Numb", "Pink Floyd"),
        ("sweet emotion aerosmth", "Sweet Emotion", "Aerosmith"),
        ("blue oyster cult reaper", "(Don't Fear) The Reaper", "Blue Oyster Cult"),
        ("hey jude", "Hey Jude", "The Beatles"),
    ],
)
def test_classic_rock_is_found(classic_rock: Made, typed: str, title: str, artist: str) -> None:
    hit = classic_rock.search(typed)[0]
    assert (hit.title.casefold(), hit.artist.casefold()) == (title.casefold(), artist.casefold())


def test_an_artist_gives_what_is_played_most_of_theirs_first(classic_rock: Made) -> None:
    hits = [hit for hit in classic_rock.search("led zeppelin", limit=100) if hit.artist == "Led Zeppelin"]
    assert len(hits) > 20
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("franklins tower", "Franklin's Tower"),
        ("slipknot", "Slipknot!"),
        ("samson delilah", "Samson And Delilah"),
        ("terapin station", "Terrapin Station"),
        ("sugar magn", "Sugar Magnolia"),
        ("dark star", "Dark Star"),
        ("playing in the band san bernardino", "Playing In The Band"),
        ("ship of fools", "Ship Of Fools"),
    ],
)
def test_songs_of_the_grateful_dead_are_found(grateful_dead: Made, typed: str, title: str) -> None:
    assert grateful_dead.search(typed)[0].title == title


def test_the_town_of_a_concert_narrows_its_songs(grateful_dead: Made) -> None:
    assert {hit.release for hit in grateful_dead.search("playing in the band san bernardino")} == {"San Bernardino"}
