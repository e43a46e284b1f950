"""Secrets and listeners are taken out before anything is written (design, law 11); what was cut is named and counted."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import msgspec

from tenuto.evidence.spellings import as_words, spellings
from tenuto.model.answers import Answer, Request

MARK = "[cut]"
SECRET_HEADERS = re.compile("cookie|authori[sz]ation|authenticate|token|session|api-?key|secret", re.IGNORECASE)
"""Headers whose value is never written: what lets someone in, whoever made it."""

SECRET_PARAMETERS = frozenset(
    {
        "u",
        "p",
        "t",
        "s",
        "apikey",
        "api_key",
        "key",
        "token",
        "access_token",
        "password",
        "secret",
        "sig",
        "signature",
        "auth",
        "jwt",
        "session",
        "sid",
        "ssid",
    }
)
"""Query parameters whose value is never written: OpenSubsonic's logins and the names that others use."""

_ADDRESS_HEADERS = frozenset({"location", "content-location"})
_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
_NUMBER_MIN_DIGITS = 6
"""A number in JSON is cut where it is the secret; a shorter one is a year or a count."""


class Redactor:
    """Cuts the given secrets (in every spelling they travel in), secret headers and a user's own fields.

    A secret is cut where it stands as a word of its own: a song whose title contains the letters of a password keeps
    its title unless the title *is* the password. `words` are those that replies are made of (names of fields, `ok`):
    they stay in JSON even where someone chose one as password, since there they tell nothing.
    """

    def __init__(self, secrets: Iterable[str] = (), user_fields: frozenset[str] = frozenset(),
                 words: frozenset[str] = frozenset()) -> None:  # fmt: skip
        self._plain = frozenset(secret for secret in secrets if secret)
        self._user_fields = user_fields
        self._words = words
        self._secret = re.compile(as_words(spellings(self._plain))) if self._plain else None
        names = "|".join(map(re.escape, sorted(user_fields)))
        pattern = rf'"({names})"\s*:\s*(?:"(?:[^"\\]|\\.)*"?|[^\s,}}\]]*)|(?<=\s)({names})="[^"]*"?'
        self._field = re.compile(pattern, re.DOTALL) if names else None

    def text(self, text: str) -> str:
        """A message, log line or header without secrets."""
        return self._secret.sub(MARK, text) if self._secret else text

    def url(self, url: str) -> str:
        """An address without user info and without the values of secret parameters; the rest stays to the letter."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return self.text(url)
        query = "&".join(_without_value(pair) for pair in parts.query.split("&")) if parts.query else ""
        host = parts.netloc.rpartition("@")[2]
        is_same = query == parts.query and host == parts.netloc
        return self.text(url if is_same else urlunsplit(parts._replace(netloc=host, query=query)))

    def answer(self, answer: Answer) -> Answer:
        """The answer as it may be written; `cut` says what is missing. The request's key stays: it is made of answers
        that were redacted before.
        """
        cut: Counter[str] = Counter(dict(answer.cut))
        headers = tuple((self.text(name), self._header(name, value, cut)) for name, value in answer.headers)
        body = self._body(answer.body, cut)
        request = Request(answer.request.key, self.url(answer.request.uri) if answer.request.uri else None)
        named = tuple(sorted((name, count) for name, count in cut.items() if count))
        return replace(
            answer, request=request, media_type=self.text(answer.media_type), headers=headers, body=body, cut=named
        )

    def _header(self, name: str, value: str, cut: Counter[str]) -> str:
        if SECRET_HEADERS.search(name):
            cut[f"header:{name.casefold()}"] += 1
            return MARK
        kept = self.url(value) if name.casefold() in _ADDRESS_HEADERS else self._addresses(self.text(value))
        cut["secret"] += kept != value
        return kept

    def _body(self, body: bytes, cut: Counter[str]) -> bytes:
        """The body without secrets and user's fields: as JSON if it is (whatever its type says), else as text; a body
        that holds neither stays to the byte.
        """
        if not (self._secret or self._user_fields):
            return body
        document = read_json(body) if body.lstrip()[:1] in {b"{", b"["} else None
        if document is None:
            return self._foreign(body, cut)
        before = sum(cut.values())
        document = self._json(document, cut)
        return body if sum(cut.values()) == before else write_json(document)

    def _json(self, value: Any, cut: Counter[str]) -> Any:
        """A value of a JSON document, cut; the document itself is taken apart."""
        root = [value]
        pending: list[Any] = [root]
        while pending:
            holder = pending.pop()
            if isinstance(holder, dict):
                for name in self._user_fields & holder.keys():
                    del holder[name]
                    cut[f"field:{name}"] += 1
                for name in [name for name in holder if self._scalar(name) != name]:
                    holder[self._scalar(name)] = holder.pop(name)
                    cut["secret"] += 1
            for place, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
                if isinstance(item, (dict, list)):
                    pending.append(item)
                elif (kept := self._scalar(item)) is not item:
                    holder[place] = kept
                    cut["secret"] += 1
        return root[0]

    def _scalar(self, value: Any) -> Any:
        if self._secret is None:
            return value
        if isinstance(value, str):
            if value in self._words:
                return value
            kept = self._addresses(self._secret.sub(MARK, value))
            return value if kept == value else kept
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        written = repr(value) if is_number and self._has_long_digits else ""
        return MARK if len(written) >= _NUMBER_MIN_DIGITS and written in self._plain else value

    @property
    def _has_long_digits(self) -> bool:
        return any(len(secret) >= _NUMBER_MIN_DIGITS and secret[0] in "-0123456789" for secret in self._plain)

    def _addresses(self, text: str) -> str:
        """A text whose addresses hold no login: servers sign the links that they hand out."""
        return _ADDRESS.sub(lambda found: self.url(found[0]), text) if "://" in text else text

    def _foreign(self, body: bytes, cut: Counter[str]) -> bytes:
        """A body that is no JSON (an error page, XML, JSON cut off): what looks like a user's field goes too."""
        text = body.decode("utf-8", "surrogateescape")
        if self._field:
            cut.update(f"field:{match[1] or match[2]}" for match in self._field.finditer(text))
            text = self._field.sub(lambda match: f'"{match[1]}":"{MARK}"' if match[1] else MARK, text)
        if self._secret:
            text, count = self._secret.subn(MARK, text)
            cut["secret"] += count
        return text.encode("utf-8", "surrogateescape")


def read_json(body: bytes) -> Any:
    """The document, also where it has lone surrogates, control characters or bytes that are no UTF-8; None if it is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        try:
            return json.loads(body.decode("utf-8", "surrogateescape"), strict=False)
        except (ValueError, RecursionError):
            return None


def write_json(document: Any) -> bytes:
    """The document; what `read_json` took for broken bytes is written as those bytes again where that can be."""
    try:
        return msgspec.json.encode(document)
    except (ValueError, OverflowError, RecursionError):
        pass
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()


def _without_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MARK}" if equals and unquote_plus(name).casefold() in SECRET_PARAMETERS else pair
