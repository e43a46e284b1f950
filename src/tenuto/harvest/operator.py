"""What the operator puts on file beside a source: its permission, its terms of use, a list of listens. All is evidence."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tenuto.archive import Layout, SourceSettings
from tenuto.evidence import Redactor
from tenuto.evidence.harvests import TermsRead
from tenuto.model.answers import Answer, Request
from tenuto.model.documents import decode_text
from tenuto.model.errors import RightsError, SettingsError
from tenuto.rights import Permission, parse_permission
from tenuto.sources import LISTENS_KEY, PERMISSION_KEY, TERMS_KEY, Http, check_listens, check_status


@dataclass(frozen=True, slots=True)
class OperatorFiles:
    """The files as answers to keep, and what was read from them."""

    answers: tuple[Answer, ...]
    permission: Permission | None
    terms: TermsRead | None


def read_operator_files(
    layout: Layout, name: str, chosen: SourceSettings, http: Http, redactor: Redactor, clock: Callable[[], datetime]
) -> OperatorFiles:
    """Read what the settings of a source name.

    Raises SettingsError where a file is missing or wrong, RightsError where permission or terms forbid harvesting.
    """
    answers: list[Answer] = []
    permission = None
    if chosen.permission:
        answer = _file(layout, chosen.permission, PERMISSION_KEY, f"sources.{name}.permission", clock())
        permission = parse_permission(*_text(answer, chosen.permission))
        if not permission.harvest.metadata:
            raise RightsError(f"the permission of {name} forbids harvesting its metadata; nothing was asked")
        answers.append(answer)
    if listens := chosen.options.get("listens_file"):
        answer = _file(layout, str(listens), LISTENS_KEY, f"sources.{name}.options.listens_file", clock())
        check_listens(answer.body, Path(str(listens)).name)
        answers.append(answer)
    terms = None
    if place := chosen.options.get("terms"):
        answer = redactor.answer(_terms(layout, str(place), name, http, clock()))
        terms = _read_terms(answer, str(place), chosen, permission)
        if not terms.is_permitted and not terms.is_outranked:
            raise RightsError(
                f"the terms of {name} ({place}) do not let programs ask for metadata, as its settings say; nothing was "
                "asked. Ask its operator for a permission: tenuto source permission --template"
            )
        answers.append(answer)
    return OperatorFiles(tuple(answers), permission, terms)


def _text(answer: Answer, written: str) -> tuple[str, str]:
    name = Path(written).name
    return decode_text(answer.body, name), name


def _file(layout: Layout, written: str, key: str, setting: str, now: datetime) -> Answer:
    file = layout.operator_path(written)
    kinds = {".toml": "application/toml", ".csv": "text/csv", ".html": "text/html"}
    try:
        return Answer(Request(key), file.read_bytes(), kinds.get(file.suffix.lower(), "text/plain"), now)
    except OSError as error:
        raise SettingsError(f"{setting} names {file}, which cannot be read: {error.strerror}") from None


def _terms(layout: Layout, place: str, name: str, http: Http, now: datetime) -> Answer:
    if "://" not in place:
        return _file(layout, place, TERMS_KEY, f"sources.{name}.options.terms", now)
    answer = http.get(Request(TERMS_KEY, place), accept="text/html, text/plain")
    check_status(answer)
    return answer


def _read_terms(answer: Answer, place: str, chosen: SourceSettings, permission: Permission | None) -> TermsRead:
    is_permitted = str(chosen.options.get("terms_permit")).casefold() in {"yes", "true"}
    return TermsRead(
        place=place,
        sha256=hashlib.sha256(answer.body).hexdigest(),
        is_permitted=is_permitted,
        is_outranked=permission is not None and not is_permitted,
    )
