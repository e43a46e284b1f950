"""Text from outside: what must be lost is marked, all else survives."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenuto.model.text import TEXT_MAX, fold, mend

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
"""Lone surrogates and controls too."""


@pytest.mark.parametrize(
    "text",
    [
        "Für Elise",
        "שלום עולם",
        "\u202b\u0645\u0631\u062d\u0628\u0627\u202c",
        "👩‍👩‍👧‍👦 𝄞",
        "two\nlines\tand a tab",
        "日本語",
        "a\u200db",
    ],
)
def test_good_text_stays_as_it_is(text: str) -> None:
    assert mend(text) == (text, False)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("a\x00b", "a\ufffdb"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\x7fb", "a\ufffdb"),
        ("a\x85b", "a\ufffdb"),
        ("a\udcffb", "a\ufffdb"),
        ("\ud83d", "\ufffd"),
        ("\x00\x00", "\ufffd\ufffd"),
        ("a\rb", "a\ufffdb"),
    ],
)
def test_what_no_text_may_hold_is_replaced_and_said(text: str, mended: str) -> None:
    assert mend(text) == (mended, True)


def test_a_replacement_that_the_reader_already_made_is_said_too() -> None:
    assert mend("M\ufffdller") == ("M\ufffdller", True)


def test_decomposed_letters_are_composed_and_that_is_no_mending() -> None:
    assert mend("Bjo\u0308rk") == ("Bj\u00f6rk", False)


@pytest.mark.parametrize("text", ["  a  ", "a\n", "\ta", " a\r\n"])
def test_white_space_round_a_text_goes_and_that_is_no_mending(text: str) -> None:
    assert mend(text) == ("a", False)


def test_lines_that_end_as_on_windows_are_only_lines() -> None:
    assert mend("one\r\ntwo") == ("one\ntwo", False)


def test_white_space_alone_is_nothing() -> None:
    assert mend(" \t\n ") == ("", False)


def test_a_title_of_a_megabyte_is_cut_said_and_quick() -> None:
    began = time.monotonic()
    kept, is_mended = mend("é" * (TEXT_MAX + 1))
    assert (len(kept), is_mended) == (TEXT_MAX, True)
    assert mend("é" * TEXT_MAX) == ("é" * TEXT_MAX, False)
    assert time.monotonic() - began < 5


@given(ANY_TEXT)
def test_mended_text_can_be_written_is_composed_and_needs_no_more_mending(text: str) -> None:
    kept, _ = mend(text)
    assert kept.encode("utf-8").decode("utf-8") == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert "\x00" not in kept
    assert mend(kept) == (kept, "\ufffd" in kept)


@given(ANY_TEXT)
def test_text_that_was_not_mended_has_lost_nothing(text: str) -> None:
    kept, is_mended = mend(text)
    if not is_mended:
        assert kept == unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Björk", "BJO\u0308RK"),
        ("Straße", "STRASSE"),
        ("\uff21\uff22\uff23", "abc"),
        ("a  b", " a\u00a0b\n"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("Ⅳ", "iv"),
    ],
)
def test_two_spellings_of_one_name_meet(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("Bjork", "Björk"), ("AC/DC", "ACDC"), ("a b", "ab"), ("מ", "ם")])
def test_two_names_do_not_meet_because_they_look_alike(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=40))
@example("\u0130\u089b\u1a76")  # a case folding that brings a mark out of order
@example("\u1f98\u0314")
def test_folding_again_changes_nothing_and_normal_forms_meet(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))
