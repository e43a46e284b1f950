"""Exit codes are an interface of shell scripts: this table may grow, no line of it may change."""

import inspect

import pytest

from tenuto.model import errors

EXIT_CODES = {
    "TenutoError": 1,
    "UsageError": 2,
    "SettingsError": 3,
    "MissingToolError": 4,
    "SourceError": 5,
    "RetriableError": 5,
    "SkipRecordError": 5,
    "SourceRefusedError": 5,
    "SourceDownError": 5,
    "RightsError": 6,
    "IntegrityError": 7,
    "ArchiveInUseError": 8,
    "PartlyDoneError": 9,
}
CLASSES = dict(inspect.getmembers(errors, lambda found: inspect.isclass(found) and issubclass(found, Exception)))


def test_exit_codes_are_what_they_always_were() -> None:
    assert {name: kind.exit_code for name, kind in CLASSES.items()} == EXIT_CODES


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    drawn = [line.split()[-len(line.split()) :] for line in (errors.__doc__ or "").splitlines()]
    names = {word for line in drawn for word in line if word in CLASSES}
    assert names == set(CLASSES)


@pytest.mark.parametrize("name", ["RetriableError", "SkipRecordError", "SourceRefusedError", "SourceDownError"])
def test_what_a_source_does_wrong_can_be_caught_as_one(name: str) -> None:
    assert issubclass(CLASSES[name], errors.SourceError)


def test_errors_carry_what_their_handler_needs() -> None:
    assert errors.RetriableError("later").retry_after_s is None
    assert errors.RetriableError("later", 2.5).retry_after_s == 2.5
    assert errors.SkipRecordError("gone").is_gone
    assert not errors.SkipRecordError("cannot say", is_gone=False).is_gone
