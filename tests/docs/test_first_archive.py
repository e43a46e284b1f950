"""The guide to a first archive: its commands exist, and those for a folder of music do what it says, in its order."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_docs import words_of

from demo import chorales
from readme_session import ROOT, Shell
from tenuto.cli import app

GUIDE = (ROOT / "docs/first-archive.md").read_text(encoding="utf-8")
NOT_RUN = {"1. Install", "Or a music server", "As services"}
"""Sections for another machine than this one."""

SONG = "03 O Haupt voll Blut und Wunden.flac"
ADDRESS = "http://127.0.0.1:8000"
ON_THIS_MACHINE_ALONE = {
    "seed": "--listen 127.0.0.1:6881 --reach peers",
    "mirror": "--listen 127.0.0.1:0 --reach peers --peer 127.0.0.1:6881",
}
BESIDE = re.compile(r"(tenuto seed|python3 -m http\.server) ")
"""Commands for a terminal of their own."""


def blocks() -> Iterator[tuple[str, str, str]]:
    """Section, language and text of each block, in order."""
    for part in re.split(r"^#{2,3} ", GUIDE, flags=re.MULTILINE)[1:]:
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            yield part.splitlines()[0], language, text


COMMANDS = sorted(
    {
        line
        for _, language, text in blocks()
        if language == "sh"
        for line in text.splitlines()
        if line.startswith("tenuto ")
    }
    | set(re.findall(r"ExecStart=\S+/(tenuto .*)", GUIDE))
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_could_be_typed_as_it_stands(command: str) -> None:
    app.parse_args(words_of(command), exit_on_error=False, print_error=False)


def test_every_verb_on_the_way_is_in_the_guide() -> None:
    verbs = {command.split()[1] for command in COMMANDS}
    assert verbs >= {name for name in app if not name.startswith("-")}


def filled_in(text: str, home: Path) -> str:
    """What a reader puts in place of the words in capitals, and what keeps the test on this machine."""
    settings = home / "my-archive/tenuto.toml"
    key = re.search(r'signing_public = "(\w+)"', settings.read_text()) if settings.exists() else None
    for word, own in {"ADDRESS": ADDRESS, "KEY": key[1] if key else "", "SONG": SONG}.items():
        text = re.sub(rf"\b{word}\b", own, text)
    for verb, options in ON_THIS_MACHINE_ALONE.items():
        text = re.sub(rf"^(tenuto {verb} .*)$", rf"\1 {options}", text, flags=re.MULTILINE)
    return re.sub(r"^tenuto doctor .*$", "", text, flags=re.MULTILINE)  # it measures this machine, for seconds


@pytest.mark.long
@pytest.mark.timeout(600)  # some thirty commands: half a minute
def test_the_guide_leads_from_a_folder_of_music_to_a_mirror(tmp_path: Path) -> None:
    chorales.render(tmp_path / "music")
    said: list[str] = []
    with Shell(tmp_path) as shell:
        for section, language, text in blocks():
            if language == "toml":
                (tmp_path / "permission.toml").write_text(text, encoding="utf-8")
            elif language == "sh" and section not in NOT_RUN:
                script = filled_in(text, tmp_path)
                said += shell.start(script.strip()) if BESIDE.match(script) else shell.run(script)
    printed = "\n".join(said)
    assert "may be harvested: yes" in printed
    assert "my-archive: giving out 2 crates" in printed
    assert re.search(r"^\S+-heard-\S+ +heard .* fetched$", printed, re.MULTILINE)
    assert re.search(r"^\S+-heard-\S+ +heard .* moved$", printed, re.MULTILINE)
    assert re.search(r"^key +[0-9a-f]{64} \(pinned\)$", printed, re.MULTILINE)
    assert printed.count("everything is as it was sealed") >= 3
    assert [file.name[:4] for file in tmp_path.glob("*.flac")] == ["03 O"]
