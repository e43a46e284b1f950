"""By what a web server knows a version of a file again (RFC 9110, 8.8 and 13.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_DATE = re.compile(r"[A-Za-z0-9 ,:+-]{10,40}")
_SETTLED_S = 2.0
"""A file that is younger than that may be replaced in the same second, with nothing to tell it by."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of a version; empty where nothing can be relied on."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers that ask for another version only."""
        said = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in said.items() if value}


def validators_of(headers: Iterable[tuple[str, str]]) -> Validators:
    """The validators of an answer."""
    said = {name.casefold(): value.strip() for name, value in headers}
    etag, modified = said.get("etag", ""), said.get("last-modified", "")
    if modified and not _is_settled(modified, said.get("date", "")):
        return Validators()
    return Validators(etag if _ETAG.fullmatch(etag) else "", modified)


def _is_settled(modified: str, date: str) -> bool:
    """Whether a file was as it is for long enough when it was sent; both dates are the server's own."""
    try:
        return (_moment(date) - _moment(modified)).total_seconds() >= _SETTLED_S
    except (ValueError, TypeError, OverflowError):
        return False


def _moment(text: str) -> datetime:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return parsedate_to_datetime(text)
