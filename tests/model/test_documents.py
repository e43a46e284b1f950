"""Documents that people write: every mistake named at once, with the word that was meant."""

from pathlib import Path

import pytest
from pydantic import Field

from tenuto.model.documents import Document, load_toml, mistakes, read_text, validate
from tenuto.model.errors import SettingsError


class Part(Document):
    folder: str = ""
    rate_per_s: float = 1.0


class Whole(Document):
    name: str
    count: int = Field(default=1, ge=1)
    part: Part = Part()
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = {}
    password: str = ""


def complaint(values: dict[str, object], more: tuple[str, ...] = ()) -> str:
    with pytest.raises(SettingsError) as caught:
        validate(Whole, values, "whole.toml", more)
    return str(caught.value)


def test_all_mistakes_are_reported_at_once_each_with_its_place() -> None:
    said = complaint(
        {
            "count": 0,
            "part": {"foldr": "x"},
            "parts": [{}, {"rate_per_sec": 1}],
            "named": {"a": {"rate_per_s": "quick"}},
        },
        ("sources.b.kind: is none",),
    )
    lines = said.splitlines()
    assert lines[0] == "whole.toml has 6 mistakes:"
    assert lines[-1] == "mend whole.toml and run again"
    assert sorted(lines[1:-1]) == [
        "  - count: Input should be greater than or equal to 1 (it is 0)",
        "  - name: is missing",
        "  - named.a.rate_per_s: Input should be a valid number, unable to parse string as a number (it is 'quick')",
        "  - part.foldr: no such setting; did you mean folder?",
        "  - parts.1.rate_per_sec: no such setting; did you mean rate_per_s?",
        "  - sources.b.kind: is none",
    ]


def test_a_word_that_is_near_to_nothing_gets_no_suggestion() -> None:
    assert "  - xylophone: no such setting\n" in complaint({"name": "a", "xylophone": 1})


def test_mistakes_found_elsewhere_alone_are_enough() -> None:
    assert complaint({"name": "a"}, ("b: is off",)).startswith("whole.toml has 1 mistake:\n  - b: is off\n")


def test_a_long_value_is_shortened() -> None:
    said = complaint({"name": "a", "count": "9x" * 500})
    assert max(map(len, said.splitlines())) < 200


@pytest.mark.parametrize("values", [{"password": 12345678}, {"named": {"token": {"folder": 12345678}}}])
def test_a_secret_is_in_no_message(values: dict[str, object]) -> None:
    said = complaint({"name": "a", **values})
    assert "12345678" not in said
    assert "********" in said


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Whole(name="a").name = "b"  # type: ignore[misc]


def test_broken_toml_names_file_and_line() -> None:
    with pytest.raises(SettingsError, match=r"whole\.toml is not valid TOML: .*line 2"):
        load_toml("a = 1\nb = = 2\n", "whole.toml")


def test_one_mistake_is_counted_as_one() -> None:
    assert str(mistakes("f", ("a",))).startswith("f has 1 mistake:")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_is_read_with_and_without_a_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "f.toml").write_bytes(mark + b'name = "\xc3\xa4"\r\n')
    assert load_toml(read_text(tmp_path / "f.toml"), "f.toml") == {"name": "ä"}


def test_text_in_another_encoding_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b'name = "\xe4"')
    with pytest.raises(SettingsError, match=r"f\.toml is not UTF-8: byte 8 is 0xe4; save it as UTF-8"):
        read_text(tmp_path / "f.toml")
