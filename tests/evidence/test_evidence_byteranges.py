"""Parts of a file as one body: they come back as they went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.evidence import Span, pack_spans, unpack_spans
from tenuto.model.errors import IntegrityError

NASTY = st.sampled_from(
    [b"--", b"\r\n--", b"\r\n--tenuto-0--\r\n", b"Content-Range: bytes 0-0/1\r\n\r\n", b"\r", b"\n"]
)
CONTENT = st.one_of(st.binary(min_size=1, max_size=40), st.lists(NASTY, min_size=1, max_size=4).map(b"".join))
SPANS = st.lists(st.builds(Span, st.integers(0, 2**40), CONTENT), max_size=6)


@given(SPANS, st.integers(0, 2**48))
def test_spans_come_back_equal_whatever_they_hold(spans: list[Span], total: int) -> None:
    body, media_type = pack_spans(spans, total)
    found, found_total = unpack_spans(body)
    assert found == tuple(spans)
    assert found_total == (total if spans else 0)
    assert media_type.removeprefix("multipart/byteranges; boundary=").encode() in body


@given(SPANS)
def test_the_same_spans_give_the_same_bytes(spans: list[Span]) -> None:
    assert pack_spans(spans, 9) == pack_spans(list(spans), 9)


def test_a_body_cut_off_anywhere_is_refused_or_whole() -> None:
    spans = [Span(0, b"head"), Span(90, b"tail\r\n--x")]
    body, _ = pack_spans(spans, 100)
    for cut in range(len(body)):
        try:
            found, _ = unpack_spans(body[:cut])
        except IntegrityError:
            continue
        assert found == tuple(spans), cut


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        unpack_spans(body)
