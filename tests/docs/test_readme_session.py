"""The session in the README is what the commands print today."""

import re
from pathlib import Path

import pytest

import readme_session

_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:+]+"), "TIME"),
    (re.compile(r"\d{8}T\d{6}Z-\d\d"), "HARVEST"),
    (re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?"), "DAY"),
    (re.compile(r"\b[0-9a-f]{8,}\b"), "HEX"),
    (re.compile(r"\d+(?:\.\d+)? (?:B|kB|MB|GB|TB)\b"), "SIZE"),
    (re.compile(r"\bnumber \d+"), "NUMBER"),
    (re.compile(r"\bin \d+\.\d s\b"), "WHILE"),
    (re.compile(r"[ \t]+"), " "),
)


def _lasting(session: str) -> list[str]:
    """A session without what changes from day to day and machine to machine."""
    for pattern, name in _CHANGING:
        session = pattern.sub(name, session)
    return [line.strip() for line in session.splitlines() if line.strip()]


@pytest.mark.long
@pytest.mark.timeout(600)  # some twenty commands
def test_readme_session_prints_what_the_readme_says(tmp_path: Path) -> None:
    session = readme_session.written()
    assert _lasting(readme_session.run(session, tmp_path)) == _lasting(session)
