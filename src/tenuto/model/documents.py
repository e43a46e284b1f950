"""Documents that people write (TOML): validated whole, every mistake named, the nearest right word offered."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tenuto.model.errors import SettingsError


class Document(BaseModel):
    """A document at the edge: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


D = TypeVar("D", bound=Document)

_SECRET = re.compile(r"password|token|secret|salt|api_?key", re.IGNORECASE)
"""Settings whose values no message shows."""


def read_text(path: Path) -> str:
    """A file that people write, with or without a byte order mark; raises SettingsError where it is no UTF-8."""
    return decode_text(path.read_bytes(), path.name)


def decode_text(content: bytes, name: str) -> str:
    """`read_text` of bytes that were read already."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{name} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}; save it as UTF-8"
        ) from None


def load_toml(text: str, name: str) -> dict[str, Any]:
    """TOML as a dict; raises SettingsError with the line where it breaks."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is not valid TOML: {error}") from None


def validate(model: type[D], values: dict[str, Any], name: str, more: tuple[str, ...] = ()) -> D:
    """The document, or a SettingsError that lists all mistakes in it, `more` (found elsewhere) among them."""
    try:
        document = model.model_validate(values)
    except ValidationError as error:
        raise mistakes(name, (*(_sentence(model, item) for item in error.errors()), *more)) from None
    if more:
        raise mistakes(name, more)
    return document


def mistakes(name: str, sentences: tuple[str, ...]) -> SettingsError:
    """One error for all that is wrong with one file."""
    listed = "".join(f"\n  - {sentence}" for sentence in sentences)
    count = "1 mistake" if len(sentences) == 1 else f"{len(sentences)} mistakes"
    return SettingsError(f"{name} has {count}:{listed}\nmend {name} and run again")


def _sentence(model: type[BaseModel], error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _names_at(model, error["loc"][:-1]), n=1)
        return f"{place}: no such setting" + (f"; did you mean {near[0]}?" if near else "")
    if error["type"] == "missing":
        return f"{place}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message} (it is {'********' if _SECRET.search(place) else _short(error['input'])})"


def _short(value: Any) -> str:
    written = repr(value)
    return written if len(written) <= 60 else written[:57] + "..."  # noqa: PLR2004 -- one line of a terminal


def _names_at(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """The setting names that exist at a place of a nested document."""
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = _document_in(current.model_fields[part].annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _document_in(annotation: Any) -> Any:
    """The document class in `X`, `X | None`, `tuple[X, ...]` or `dict[str, X]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_document_in(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
