"""Secrets and listeners are cut, whatever they look like and wherever they stand; nothing else is."""

import base64
import json
import re
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tenuto.evidence import Redactor
from tenuto.evidence.redact import MARK
from tenuto.model.answers import Answer, Request

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FIELDS = frozenset({"starred", "userRating", "played", "username"})
WORDS = frozenset({"subsonic-response", "status", "ok", "song", "title", "id"})

PLAIN = st.characters(exclude_categories=["Cs", "Cc"])
SECRETS = st.one_of(
    st.text(PLAIN, min_size=1, max_size=30),
    st.text("abcXYZ019", min_size=1, max_size=20),
    st.text(".*+?^$()[]{}|\\/%&=#\"'<>- ", min_size=1, max_size=12),
    st.sampled_from(
        [
            "hunter2",
            "a",
            "ß",
            "日本",
            "p@ss/w:rd",
            "100%",
            "\\d+",
            "[cut]x",
            "é",
            "correct horse",
            "$(x)",
            "\\",
            '"',
            "Ω≈ç",
        ]
    ),
).filter(lambda secret: secret.strip() == secret and secret not in MARK)


def an_answer(
    body: bytes,
    headers: tuple[tuple[str, str], ...] = (),
    uri: str = "http://h.invalid/x",
    media_type: str = "application/json",
) -> Answer:
    return Answer(Request("k", uri), body, media_type, NOW, 200, headers)


def stands_in(secret: str, text: str) -> bool:
    """Whether a secret still stands in a text that a mark was put into."""
    return secret in text.replace(MARK, "\0")


SPELLINGS = {
    "plain": lambda s: s,
    "percent": lambda s: quote(s, safe=""),
    "percent, lower case": lambda s: re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quote(s, safe="")),
    "form": quote_plus,
    "hexadecimal": lambda s: s.encode().hex(),
    "HEXADECIMAL": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "JSON": lambda s: json.dumps(s)[1:-1],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=30, deadline=None)
@given(secret=SECRETS)
def test_a_secret_is_cut_from_text_in_every_spelling(spelling: str, secret: str) -> None:
    written = SPELLINGS[spelling](secret)
    assume(secret not in "say:  and go" and written not in "say:  and go")
    assert Redactor([secret]).text(f"say: {written} and go") == f"say: {MARK} and go"


@settings(max_examples=75, deadline=None)
@given(SECRETS, st.sampled_from(["p", "t", "s", "apiKey", "APIKEY", "password", "anything"]))
def test_a_secret_is_cut_from_an_address(secret: str, name: str) -> None:
    assume(secret not in "http://h.invalid:1/rest/x.view?f=json&p=&t=&s=&apiKey=&APIKEY=&password=&anything=%20+")
    shown = Redactor([secret]).url(f"http://h.invalid:1/rest/x.view?f=json&{urlencode({name: secret})}")
    assert shown == f"http://h.invalid:1/rest/x.view?f=json&{name}={MARK}"


@settings(max_examples=75, deadline=None)
@given(SECRETS)
def test_a_secret_is_cut_from_a_redirect_that_hands_it_on(secret: str) -> None:
    inner = f"/rest/ping.view?{urlencode({'z': secret})}"
    assume(
        secret
        not in f"http://h.invalid/login?next={quote(inner, safe='')}".replace(
            quote(quote(secret, safe=""), safe=""), ""
        )
    )
    given = an_answer(b"", (("Location", f"http://h.invalid/login?{urlencode({'next': inner})}"), ("Date", "today")))
    [(_, location), date] = Redactor([secret]).answer(given).headers
    for spell in SPELLINGS.values():
        if len(spell(secret)) > 2:
            assert not stands_in(spell(secret), location)
    assert date == ("Date", "today")


@settings(max_examples=75, deadline=None)
@given(SECRETS, st.sampled_from(["ascii", "utf-8", "hidden"]))
def test_a_secret_is_cut_from_a_json_body_however_it_is_escaped(secret: str, way: str) -> None:
    assume(secret not in {"n", "z", "x"})  # it would be cut from the names of this test's own document
    document = {
        "message": f"line\n{secret}\nline",
        "sent": [{"deep": secret}],
        "url": f"/x?z={quote(secret, safe='')}",
        "n": 7,
    }
    body = json.dumps(document, ensure_ascii=way == "ascii").encode()
    if way == "hidden":  # every character escaped, which no search of the bytes finds
        hidden = "".join(f"\\u{unit:04x}" for unit in memoryview(secret.encode("utf-16-le")).cast("H"))
        url = quote(secret, safe="")
        body = (
            f'{{"message":"line\\n{hidden}\\nline","sent":[{{"deep":"{hidden}"}}],"url":"/x?z={url}","n":7}}'.encode()
        )
    found = json.loads(Redactor([secret]).answer(an_answer(body)).body)
    assert found["sent"] == [{"deep": MARK}]
    assert found["n"] == 7
    if secret not in "line" and secret not in "/x?z=":
        assert found["message"] == f"line\n{MARK}\nline"
        assert found["url"] == f"/x?z={MARK}"


@settings(max_examples=50, deadline=None)
@given(SECRETS)
def test_a_secret_is_cut_from_headers_and_their_names(secret: str) -> None:
    assume(not set("<>") & set(secret) and secret not in "X-Echo X-<> Set-Cookie x")
    answer = an_answer(b"", (("X-Echo", f"<{secret}>"), ("Set-Cookie", "session=1"), (f"X-<{secret}>", "x")))
    headers = Redactor([secret]).answer(answer).headers
    assert headers == (("X-Echo", f"<{MARK}>"), ("Set-Cookie", MARK), (f"X-<{MARK}>", "x"))


LETTERS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789äöüéñ", min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.text("abcdefghijkXYZ0123456789", min_size=3, max_size=12),
    LETTERS,
    LETTERS,
    st.sampled_from(["before", "after", "both"]),
)
def test_a_title_that_contains_the_letters_of_the_password_stays(secret: str, head: str, tail: str, where: str) -> None:
    title = {"before": head + secret, "after": secret + tail, "both": head + secret + tail}[where]
    body = json.dumps({"title": f"The {title} Song", "n": 1}, ensure_ascii=False).encode()
    coded = {spell(secret) for name, spell in SPELLINGS.items() if name != "plain"} - {secret}
    assume(not any(code in title for code in coded))
    kept = Redactor([secret]).answer(an_answer(body))
    assert kept.body == body
    assert kept.cut == ()


def test_a_title_that_is_the_password_is_cut_and_counted() -> None:
    kept = Redactor(["hunter2"]).answer(an_answer(b'{"title":"hunter2"}'))
    assert kept.body == b'{"title":"[cut]"}'
    assert kept.cut == (("secret", 1),)


@pytest.mark.parametrize("password", sorted(WORDS))
def test_a_reply_stays_readable_when_the_password_is_one_of_its_own_words(password: str) -> None:
    body = b'{"subsonic-response":{"status":"ok","song":[{"id":"7","title":"x"}]}}'
    assert Redactor([password], FIELDS, WORDS).answer(an_answer(body)).body == body


def test_a_reply_stays_json_when_the_password_is_a_number_in_it() -> None:
    body = b'{"year":2020,"size":1234567,"bitRate":320,"title":"2020"}'
    kept = Redactor(["2020"], FIELDS, WORDS).answer(an_answer(body))
    assert json.loads(kept.body) == {"year": 2020, "size": 1234567, "bitRate": 320, "title": MARK}
    echoed = Redactor(["1234567"], FIELDS, WORDS).answer(an_answer(body))
    assert json.loads(echoed.body)["size"] == MARK


def test_a_secret_that_is_the_name_of_a_field_is_cut_where_replies_do_not_know_it() -> None:
    kept = Redactor(["hunter2"], FIELDS, WORDS).answer(an_answer(b'{"hunter2":{"a":["x hunter2"]}}'))
    assert json.loads(kept.body) == {MARK: {"a": [f"x {MARK}"]}}


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "text/html", "APPLICATION/JSON", ""])
def test_a_users_fields_are_cut_and_counted_whatever_the_type_of_the_answer_says(media_type: str) -> None:
    body = b' {"song":[{"id":"1","starred":"2026","x":{"played":1}},{"userRating":5,"username":{"a":1}}],"played":null}'
    kept = Redactor([], FIELDS).answer(an_answer(body, media_type=media_type))
    assert json.loads(kept.body) == {"song": [{"id": "1", "x": {}}, {}]}
    assert dict(kept.cut) == {"field:starred": 1, "field:played": 2, "field:userRating": 1, "field:username": 1}


@pytest.mark.parametrize(
    "title",
    [b"\\ud800", b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"a\tb", b"\\udfff\xff"],
    ids=["surrogate", "bytes", "nul", "cesu", "tab", "both"],
)
def test_a_users_fields_are_cut_when_a_title_is_broken_and_the_title_stays(title: bytes) -> None:
    body = b'{"song":[{"starred":"2026-01-01","title":"%s","username":"jo"}]}' % title
    kept = Redactor(["hunter2"], FIELDS, WORDS).answer(an_answer(body))
    assert b"2026-01-01" not in kept.body
    assert b'"jo"' not in kept.body
    broken = json.loads(body.decode("utf-8", "surrogateescape"), strict=False)["song"][0]["title"]
    assert json.loads(kept.body.decode("utf-8", "surrogateescape"), strict=False) == {"song": [{"title": broken}]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"song":[{"starred":"2026-01-01","username" : "jo", "title":"x"},{"starred":"2026-0',
        b'<song id="1" starred="2026-01-01" username="jo" title="x"/>',
        b'{"song":[{"starred":"2026-01-01","username":"jo"}]} trailing',
    ],
    ids=["cut off", "xml", "trailing"],
)
def test_a_users_fields_are_cut_when_the_answer_is_no_json(body: bytes) -> None:
    kept = Redactor([], FIELDS).answer(an_answer(body))
    assert b"2026" not in kept.body
    assert b'"jo"' not in kept.body
    assert {"field:starred", "field:username"} <= dict(kept.cut).keys()


@settings(max_examples=75, deadline=None)
@given(st.binary(max_size=120))
def test_an_answer_without_secrets_stays_to_the_byte(body: bytes) -> None:
    assume(b"hunter2" not in body)
    kept = Redactor(["hunter2"], FIELDS, WORDS).answer(an_answer(body, (("A", "b"),), "http://h.invalid/%FF?a=%2f&b"))
    assert kept == an_answer(body, (("A", "b"),), "http://h.invalid/%FF?a=%2f&b")


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=6) | st.sampled_from(sorted(FIELDS)), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_of_any_json_only_the_users_fields_are_cut(document: object) -> None:
    def without(value: object) -> object:
        if isinstance(value, dict):
            return {name: without(inner) for name, inner in value.items() if name not in FIELDS}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    body = json.dumps({"all": document}).encode()
    assert json.loads(Redactor(["hunter2"], FIELDS).answer(an_answer(body)).body) == without({"all": document})


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://[x?p=hunter2", "//u:hunter2@h/x", "?p=hunter2", "http://h:port/?t=1", "\x00"]
)
def test_an_address_that_is_none_is_no_exception_and_holds_no_secret(url: str) -> None:
    assert "hunter2" not in Redactor(["hunter2"]).url(url)
    headers = Redactor(["hunter2"]).answer(an_answer(b"", (("Location", url), ("Content-Location", url)))).headers
    assert "hunter2" not in str(headers)


def test_user_info_and_secret_parameters_go_from_an_address_even_where_they_are_not_ours() -> None:
    url = "https://jo:pw@h.invalid:8443/a?u=jo&T=1&%70=x&id=al%2F1&s=#top"
    assert Redactor().url(url) == f"https://h.invalid:8443/a?u={MARK}&T={MARK}&%70={MARK}&id=al%2F1&s={MARK}#top"


def test_a_deep_document_is_no_exception() -> None:
    body = b'{"a":' * 3000 + b'"hunter2"' + b"}" * 3000
    assert b"hunter2" not in Redactor(["hunter2"], FIELDS).answer(an_answer(body)).body


def test_what_servers_sign_links_and_sessions_with_is_cut() -> None:
    body = b'{"image":"http://shop.example/rest/getCoverArt.view?u=bob&t=abc&s=def&id=7","title":"http rocks"}'
    headers = (("X-Auth-Token", "zzz"), ("Link", '<http://shop.example/next?t=abc>; rel="next"'), ("X-Other", "kept"))
    answer = Redactor(["sesame"]).answer(an_answer(body, headers))
    assert b"t=[cut]&s=[cut]&id=7" in answer.body
    assert b"bob" not in answer.body
    assert dict(answer.headers) == {
        "X-Auth-Token": MARK, "Link": '<http://shop.example/next?t=[cut]>; rel="next"', "X-Other": "kept",
    }  # fmt: skip
