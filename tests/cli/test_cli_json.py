"""`--json` prints one object on one line, with the keys that docs/cli.md names: others build on them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from support import make_archive
from tenuto.archive import Layout
from tenuto.cli import _run

DOCS = Path(__file__).parents[2] / "docs/cli.md"
PERMISSION = """
format = "tenuto-permission-1"
grantor = "X"
ground = "owner"
granted_on = 2026-01-01
[[grant]]
path = "open/*"
may_keep = true
licence = "CC-BY-4.0"
"""
Ask = Callable[..., Any]

# Promised from the first version on; may be added to.
PROMISED = {
    "init": {"archive", "keys", "signing_public", "age_recipient"},
    "source add": {"source", "kind"},
    "source list": {"sources"},
    "source test": {"source", "answers", "tracks", "problems"},
    "source remove": {"removed"},
    "harvest": {"harvests", "failed"},
    "catalogue build": {"edition", "tables", "sources", "licences", "findings", "path", "is_new"},
    "catalogue info": {"edition", "tables", "sources", "licences", "findings", "path"},
    "plan": {"plan", "edition", "tracks", "statuses", "budget_bytes", "plan_bytes", "drafts", "groups", "free_bytes"},
    "status": {"tracks", "tombstones", "recordings", "statuses", "licences", "crates"},
}


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """A verb with --json: its one line, decoded."""

    def ask_verb(*words: str | Path, code: int = 0) -> Any:
        capfd.readouterr()
        assert _run([*map(str, words), "--json"]) == code
        out = capfd.readouterr().out
        assert out.count("\n") == 1, out
        assert out.endswith("\n")
        return json.loads(out)

    return ask_verb


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for name in ("open/a.flac", "open/b.flac", "shut/c.flac"):
        file = tmp_path / "music" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.random.default_rng(len(name)).uniform(-0.1, 0.1, 8000), 8000)
    (tmp_path / "p.toml").write_text(PERMISSION)
    return tmp_path / "music"


def documented(verb: str) -> set[str]:
    """The keys that docs/cli.md names for a verb; `as X` means those of X too."""
    section = re.search(rf"^### `tenuto {verb}\b.*?(?=^##)", DOCS.read_text() + "\n##", re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section for tenuto {verb}"
    json_part = section[0].partition("JSON: ")[2].partition("\n\n")[0]
    assert json_part, f"docs/cli.md names no keys for tenuto {verb} --json"
    same = (
        documented(f"{verb.partition(' ')[0]} {found[1]}")
        if (found := re.match(r"as `(\w+)`, and", json_part))
        else set()
    )
    return same | set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)|as `\w+`|a list of.*", "", json_part, flags=re.DOTALL)))


def check(verb: str, document: dict[str, Any]) -> None:
    assert PROMISED[verb] <= document.keys()
    assert documented(verb) == document.keys(), verb


def test_every_verb_gives_the_keys_that_are_documented(ask: Ask, tmp_path: Path, music: Path) -> None:
    root = tmp_path / "archive"
    here = ("--archive", root)
    check("init", ask("init", root, "--name", "a", "--contact", "b@c.example", "--keys", tmp_path / "keys"))
    check(
        "source add", ask("source", "add", "folder", music, "--name", "m", "--permission", tmp_path / "p.toml", *here)
    )
    check("source test", ask("source", "test", "m", *here))
    check("harvest", ask("harvest", *here))
    check("source list", ask("source", "list", *here))
    check("catalogue build", ask("catalogue", "build", *here))
    check("catalogue info", ask("catalogue", "info", *here))
    check("plan", ask("plan", "--budget", "100%", *here))
    check("status", ask("status", *here))
    check("source remove", ask("source", "remove", "m", *here))


def test_status_of_an_empty_archive_is_zero_and_says_what_to_do(ask: Ask, tmp_path: Path) -> None:
    found = ask("status", "--archive", make_archive(tmp_path).root)
    assert {key: found[key] for key in ("tracks", "tombstones", "recordings", "crates")} == dict.fromkeys(
        ("tracks", "tombstones", "recordings", "crates"), 0
    )
    assert (found["statuses"], found["licences"], found["sources"], found["findings"]) == ({}, {}, {}, {})
    assert (found["edition"], found["plan"], found["plan_is_current"]) == (None, None, False)
    assert found["next"].startswith("tenuto source add ")


def test_status_adds_up_at_every_step_and_says_the_next(ask: Ask, tmp_path: Path, music: Path) -> None:
    layout = make_archive(tmp_path)
    here = ("--archive", layout.root)
    ask("source", "add", "folder", music, "--name", "m", "--permission", tmp_path / "p.toml", *here)
    steps: list[tuple[str, ...]] = [("harvest",), ("catalogue", "build"), ("plan",)]
    for words in steps:
        assert ask("status", *here)["next"].split()[1:][: len(words)] == list(words)
        ask(*words, *here)
        found = ask("status", *here)
        assert sum(found["statuses"].values()) == found["tracks"]
        assert sum(found["licences"].values()) == found["tracks"]
        assert sum(source["tracks"] for source in found["sources"].values()) == found["tracks"]
    assert found["tracks"] == 3
    assert found["licences"]["CC-BY-4.0"] == 2
    assert found["sources"]["m"]["permission"] == "X (2026-01-01)"


def test_source_test_shows_what_is_there_and_keeps_nothing(ask: Ask, tmp_path: Path, music: Path) -> None:
    layout = make_archive(tmp_path)
    ask("source", "add", "folder", music, "--name", "m", "--archive", layout.root)
    found = ask("source", "test", "m", "--archive", layout.root)
    assert {track["path"] for track in found["tracks"]} == {"open/a.flac", "open/b.flac", "shut/c.flac"}
    assert all(track["duration_ms"] == 1000 for track in found["tracks"])
    assert all(answer["outcome"] == "ok" for answer in found["answers"])
    assert not layout.evidence.exists()


def test_source_list_shows_what_was_added_and_remove_takes_it_away(ask: Ask, tmp_path: Path, music: Path) -> None:
    layout = make_archive(tmp_path)
    here = ("--archive", layout.root)
    assert ask("source", "list", *here) == {"sources": []}
    comments = [line for line in layout.settings.read_text().splitlines() if "#" in line]
    ask("source", "add", "folder", music, "--name", "m", "--permission", tmp_path / "p.toml", *here)
    (only,) = ask("source", "list", *here)["sources"]
    assert only == {
        "name": "m", "kind": "folder", "location": str(music), "permission": str(tmp_path / "p.toml"), "harvests": 0,
        "last_harvest": None,
    }  # fmt: skip
    ask("harvest", *here)
    assert ask("source", "list", *here)["sources"][0]["harvests"] == 1
    assert ask("source", "remove", "m", *here) == {"removed": "m"}
    assert ask("source", "list", *here) == {"sources": []}
    assert [line for line in layout.settings.read_text().splitlines() if "#" in line] == comments
    assert len(list(layout.harvests("m").iterdir())) == 1


def test_a_source_added_again_is_replaced(ask: Ask, tmp_path: Path, music: Path) -> None:
    layout = make_archive(tmp_path)
    here = ("--archive", layout.root)
    ask("source", "add", "folder", music, "--name", "m", "--permission", tmp_path / "p.toml", *here)
    ask("source", "add", "folder", music / "open", "--name", "m", *here)
    (only,) = ask("source", "list", *here)["sources"]
    assert (only["location"], only["permission"]) == (str(music / "open"), None)


def test_a_relative_folder_is_kept_as_the_place_that_it_was_when_added(
    ask: Ask, tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = make_archive(tmp_path)
    monkeypatch.chdir(music)
    ask("source", "add", "folder", "open", "--name", "m", "--archive", layout.root)
    assert ask("source", "list", "--archive", layout.root)["sources"][0]["location"] == str(music / "open")


def test_a_name_in_any_writing_stays_on_the_one_line(ask: Ask, tmp_path: Path) -> None:
    layout = make_archive(tmp_path)
    odd = tmp_path / "a\u2028b \U0001f3b5 \u05e9\u05dc"
    odd.mkdir()
    ask("source", "add", "folder", odd, "--name", "m", "--archive", layout.root)
    assert ask("source", "list", "--archive", layout.root)["sources"][0]["location"] == str(odd)


def test_the_template_of_a_permission_can_be_filled_in_and_read(
    ask: Ask, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run(["source", "permission", "--template"]) == 0
    template = capfd.readouterr().out
    (tmp_path / "p.toml").write_text(template.replace('grantor = ""', 'grantor = "The Label"'))
    read = ask("source", "permission", tmp_path / "p.toml")
    assert (read["grantor"], read["ground"], read["harvest"]["metadata"]) == ("The Label", "owner", True)


def test_for_people_every_verb_says_what_to_do_next(
    tmp_path: Path, music: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    layout = Layout(tmp_path / "archive")
    here = ["--archive", str(layout.root)]
    steps = [
        (
            ["init", str(layout.root), "--name", "a", "--contact", "b", "--keys", str(tmp_path / "k")],
            "Back up the keys",
        ),
        (["status", *here], "Next: tenuto source add"),
        (["source", "add", "folder", str(music), "--name", "m", *here], "Next: tenuto source test m"),
        (["source", "list", *here], "never"),
        (["source", "test", "m", *here], "3 tracks"),
        (["harvest", *here], "Next: tenuto catalogue build"),
        (["catalogue", "build", *here], "Next: tenuto plan"),
        (["catalogue", "info", *here], "track"),
        (["plan", "--budget", "1 GB", *here], "budget"),
        (["status", *here], "Next: tenuto keep"),
        (["keep", *here], "Next: tenuto publish"),
        (["publish", *here], "Serve it with"),
        (["check", *here], "everything is as it was sealed"),
        (["status", *here], "Next: tenuto harvest"),
    ]
    for words, said in steps:
        capfd.readouterr()
        assert _run(words) == 0
        assert said in capfd.readouterr().out, words
