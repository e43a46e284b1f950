"""Secrets and listeners are taken out before anything is written (design, law 11); what was cut is named and counted."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from tenuto.model.answers import Answer, Request

MARK = "[cut]"
SECRET_HEADERS = frozenset(
    {"set-cookie", "cookie", "authorization", "proxy-authorization", "www-authenticate", "x-api-key"}
)
SECRET_PARAMETERS = frozenset(
    {"u", "p", "t", "s", "apikey", "api_key", "key", "token", "access_token", "password", "secret", "sig", "signature"}
)
"""Query parameters whose value is never written: OpenSubsonic's logins and the names that others use."""


_ADDRESS_HEADERS = frozenset({"location", "content-location"})


class Redactor:
    """Cuts the given secrets (in every spelling they travel in), secret headers and a user's own fields.

    A secret is cut where it stands as a word of its own: a song whose title contains the letters of a password keeps
    its title unless the title *is* the password.
    """

    def __init__(self, secrets: Iterable[str] = (), user_fields: frozenset[str] = frozenset()) -> None:
        spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        self._user_fields = user_fields
        self._secret = None
        if spellings:
            words = "|".join(re.escape(word) for word in sorted(spellings, key=lambda word: (-len(word), word)))
            self._secret = re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])")
            self._secret_bytes = re.compile(self._secret.pattern.encode())

    def text(self, text: str) -> str:
        """A message, log line or address without secrets."""
        return self._secret.sub(MARK, text) if self._secret else text

    def url(self, url: str) -> str:
        """An address without user info and without the values of secret parameters."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        query = [(name, MARK if name.casefold() in SECRET_PARAMETERS else value)
                 for name, value in parse_qsl(parts.query, keep_blank_values=True)]  # fmt: skip
        return self.text(urlunsplit(parts._replace(netloc=host, query=urlencode(query, safe="[]/:,"))))

    def answer(self, answer: Answer) -> Answer:
        """The answer as it may be written; `cut` says what is missing."""
        cut: Counter[str] = Counter(dict(answer.cut))
        headers = tuple((name, self._header(name, value, cut)) for name, value in answer.headers)
        body = self._body(answer.body, answer.media_type, cut)
        request = Request(self.text(answer.request.key), self.url(answer.request.uri) if answer.request.uri else None)
        return replace(answer, request=request, headers=headers, body=body, cut=tuple(sorted(cut.items())))

    def _header(self, name: str, value: str, cut: Counter[str]) -> str:
        if name.casefold() in SECRET_HEADERS:
            cut[f"header:{name.casefold()}"] += 1
            return MARK
        kept = self.url(value) if name.casefold() in _ADDRESS_HEADERS else self.text(value)
        cut["secret"] += kept != value
        return kept

    def _body(self, body: bytes, media_type: str, cut: Counter[str]) -> bytes:
        if self._user_fields and "json" in media_type:
            body = self._without_user_fields(body, cut)
        if self._secret:
            body, count = self._secret_bytes.subn(MARK.encode(), body)
            cut["secret"] += count
        for name in [name for name, count in cut.items() if not count]:
            del cut[name]
        return body

    def _without_user_fields(self, body: bytes, cut: Counter[str]) -> bytes:
        """JSON without the user's own fields; what is not JSON, or holds none of them, stays to the byte."""
        if not any(f'"{field}"'.encode() in body for field in self._user_fields):
            return body
        try:
            document = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return body
        before = sum(cut.values())
        _drop(document, self._user_fields, cut)
        return body if sum(cut.values()) == before else msgspec.json.encode(document)


def _drop(value: Any, fields: frozenset[str], cut: Counter[str]) -> None:
    """Remove the named fields from every object below `value`."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            for name in fields & current.keys():
                del current[name]
                cut[f"field:{name}"] += 1
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)


def _spellings(secret: str) -> set[str]:
    """A secret as it may travel: plain, percent-encoded, as a form value, in hexadecimal, escaped in JSON."""
    escaped = msgspec.json.encode(secret).decode()[1:-1]
    return {secret, quote(secret, safe=""), quote_plus(secret), secret.encode().hex(), escaped}
