"""The mapping: which column of a table is which field of a track, its release and its artists (docs/sources.md)."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tenuto.model.documents import Document, load_toml, read_text, validate
from tenuto.model.errors import SettingsError
from tenuto.sources.times import YEAR_MIN

FORMAT = "tenuto-table-1"

FIELDS = {
    "track": (
        "id", "title", "disc_number", "track_number", "duration_ms", "is_explicit", "isrc", "recording_id_musicbrainz",
        "popularity", "listens_count", "listens_scope", "listens_on", "genres", "languages", "licence_text", "attribution",
    ),
    "release": (
        "id", "title", "release_type", "label", "upc", "release_date", "copyright_c", "copyright_p", "popularity", "tracks_count",
        "release_id_musicbrainz", "genres",
    ),
    "artist": ("id", "name", "sort_name", "genres", "popularity", "followers_count", "artist_id_musicbrainz", "isni"),
}  # fmt: skip
"""What a mapping may speak of."""


class Cell(Document):
    """Where a value comes from: a column, a constant, or a hash over columns; `"title"` is short for `{column = "title"}`."""

    column: str | None = None
    constant: str | int | bool | None = None
    hash: tuple[str, ...] = ()
    separator: str | tuple[str, ...] = ()
    unit: Literal["s", "ms", "min", "m:ss"] = "ms"
    year_min: Annotated[int, Field(ge=1, le=9999)] = YEAR_MIN

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Cell":
        if sum((self.column is not None, self.constant is not None, bool(self.hash))) != 1:
            raise ValueError("needs one of column, constant, hash")
        if "" in self.separators():
            raise ValueError("separator is empty; write what stands between two values, or leave it out")
        return self

    def separators(self) -> tuple[str, ...]:
        """What stands between two values of a cell, as it is given: one of white space is one, too."""
        return (self.separator,) if isinstance(self.separator, str) else self.separator

    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return self.hash or (() if self.column is None else (self.column,))


def _cell(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


_Cells = dict[str, Annotated[Cell, BeforeValidator(_cell)]]


def _known(kind: str, cells: _Cells) -> _Cells:
    for name in cells:
        if name not in FIELDS[kind]:
            near = difflib.get_close_matches(name, FIELDS[kind], n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"there is no field {name!r}{guess} A {kind} has: {', '.join(FIELDS[kind])}")
    return cells


def _track(cells: _Cells) -> _Cells:
    if "listens_count" in cells and "listens_scope" not in cells:
        raise ValueError("listens_count needs listens_scope: whose listens they are (service: everyone's)")
    if cells and "id" not in cells:
        raise ValueError("id is missing: a column, or { hash = [columns that make a row one of its kind] }")
    return _known("track", cells)


def _release(cells: _Cells) -> _Cells:
    if cells and "id" not in cells:
        raise ValueError("id is missing: a column, or { hash = [columns that all tracks of a release share] }")
    return _known("release", cells)


class People(Document):
    """Artists in a row: their cells, their role, and of what they are credited."""

    cells: Annotated[_Cells, AfterValidator(lambda cells: _known("artist", cells))]
    role: str = "artist"
    of: Literal["track", "release", "both"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        """Role and `of` stand beside the fields; a mapping that evidence holds has them apart already."""
        if not isinstance(values, Mapping) or "cells" in values:
            return values
        own = {name: values[name] for name in ("role", "of") if name in values}
        return {**own, "cells": {name: cell for name, cell in values.items() if name not in own}}

    @model_validator(mode="after")
    def _have_names(self) -> "People":
        if not {"name", "id"} & self.cells.keys():
            raise ValueError("name is missing")
        return self


class Read(Document):
    """How the file is read; what is not said is guessed by the file's name."""

    format: Literal["csv", "tsv", "jsonl", "parquet", "sqlite"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    quotes: bool | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    table: str | None = None
    query: str | None = None
    empty: tuple[str, ...] = ()


class MappingFile(Document):
    """A mapping; at least one of track, release and artist."""

    format: Literal["tenuto-table-1"]
    read: Read = Read()
    track: Annotated[_Cells, AfterValidator(_track)] = {}
    release: Annotated[_Cells, AfterValidator(_release)] = {}
    artist: tuple[People, ...] = ()

    @model_validator(mode="after")
    def _speaks(self) -> "MappingFile":
        if not (self.track or self.release or self.artist):
            raise ValueError("says nothing: write [track], [release] or [[artist]]")
        return self

    def check_columns(self, columns: Collection[str], file: Path) -> None:
        """Raise SettingsError where it names a column that the table has not, or has twice."""
        for name in sorted(set(self._columns())):
            if sum(name == column for column in columns) != 1:
                how = "stands twice in" if name in columns else "is no column of"
                raise SettingsError(
                    f"{name!r} {how} {file.name}, which has: {', '.join(map(repr, columns))}; mend the mapping"
                )

    def _columns(self) -> Iterator[str]:
        for cells in (self.track, self.release, *(people.cells for people in self.artist)):
            for cell in cells.values():
                yield from cell.columns()


def load_mapping(file: Path) -> MappingFile:
    """A mapping from its file; raises SettingsError that names every mistake."""
    if not file.is_file():
        raise SettingsError(f"mapping_file {file} does not exist; docs/sources.md shows one")
    return validate(MappingFile, load_toml(read_text(file), file.name), file.name)
