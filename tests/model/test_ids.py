"""Ids derive from content and never change: literal values are pinned, since archives out there hold them."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.model.ids import NAMESPACE, SOURCE_NAME, evidence_id, harvest_id, record_uuid, short_digest

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- hypothesis adds the zone
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_record_has_the_uuid_that_it_always_had() -> None:
    assert str(NAMESPACE) == "6d7a2e0c-3c55-5f0b-9a55-7e7a0c1d5e10"
    assert str(record_uuid("demo", "listing", EMPTY)) == "61545599-c651-5104-9d20-593689ab4a4c"
    assert str(record_uuid("demo", "audio/Ä/𝄞.ogg", EMPTY)) == "3201ee42-7ab2-5f68-b89a-99304ebfa9f4"


def test_an_evidence_id_is_the_last_eight_bytes_of_the_uuid() -> None:
    assert evidence_id(uuid.UUID("00000000-0000-0000-0000-000000000001")) == 1
    assert evidence_id(uuid.UUID("ffffffff-ffff-ffff-8000-000000000000")) == 2**63
    assert evidence_id(record_uuid("demo", "listing", EMPTY)) == 0x9D20593689AB4A4C


@given(st.uuids())
def test_an_evidence_id_fits_a_uint64(record: uuid.UUID) -> None:
    assert 0 <= evidence_id(record) < 2**64


def test_records_differ_when_source_request_or_answer_differ() -> None:
    ids = {
        record_uuid(source, request, digest)
        for source in ("a", "b")
        for request in ("x", "y")
        for digest in (EMPTY, EMPTY[::-1])
    }
    assert len(ids) == 8


def test_a_record_is_a_version_five_uuid_by_the_rfc() -> None:
    made = record_uuid("a", "b", "c")
    assert (made.version, made.variant) == (5, uuid.RFC_4122)
    assert made == uuid.uuid5(uuid.UUID("6d7a2e0c-3c55-5f0b-9a55-7e7a0c1d5e10"), "a\nb\nc")


def test_a_harvest_is_named_by_its_start_in_utc() -> None:
    start = datetime(2026, 3, 1, 0, 30, 59, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert harvest_id(start, 3) == "20260228T190059Z-03"


@given(st.lists(st.tuples(st.datetimes(min_value=EPOCH, timezones=st.just(UTC)), st.integers(0, 99)), max_size=8))
def test_harvests_sort_by_time_when_sorted_by_name(starts: list[tuple[datetime, int]]) -> None:
    starts = [(start.replace(microsecond=0), counter) for start, counter in starts]
    assert [harvest_id(*start) for start in sorted(starts)] == sorted(harvest_id(*start) for start in starts)


def test_a_short_digest_is_pinned() -> None:
    assert short_digest([]) == EMPTY[:8]
    assert short_digest(["a", "b"]) == "911169dd"


def test_a_short_digest_knows_where_its_parts_end() -> None:
    assert short_digest(["ab", "c"]) != short_digest(["a", "bc"])
    assert short_digest(["a", ""]) != short_digest(["a"])


@pytest.mark.parametrize("name", ["a", "my-server", "0", "a" * 40, "internet-archive-2"])
def test_a_source_may_be_called(name: str) -> None:
    assert SOURCE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 41, "a/b", "..", "a.b", "a b", "ä", "a\n", "a\x00", "a_b"])
def test_a_source_may_not_be_called_what_is_no_safe_part_of_a_path(name: str) -> None:
    assert not SOURCE_NAME.fullmatch(name)
