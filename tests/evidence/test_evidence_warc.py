"""Evidence as it is written and read back: equal, by two readers; torn, damaged and foreign files."""

import gzip
import hashlib
import io
import random
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from support import shared_data
from tenuto.evidence import EvidenceRecord, EvidenceWriter, read_records, whole_length
from tenuto.evidence.reader import MEMBER_MAX_BYTES
from tenuto.model.answers import FAILED, MISSING, Answer, Request
from tenuto.model.ids import evidence_id, record_uuid

NOON = datetime(2026, 1, 2, 12, 0, 5, tzinfo=UTC)
INFO = {"operator": "testing; tests@archive.invalid", "isPartOf": "20260102T120000Z-00"}


def an_answer(number: int, body: bytes | None = None, **changes: object) -> Answer:
    """One answer over HTTP."""
    content = b'{"n":%d}' % number if body is None else body
    headers = (("Content-Type", "application/json"), ("X-Says", "grüße 第"), ("Content-Length", str(len(content))))
    request = Request(f"getAlbum?id={number}&f=json", f"http://shop.invalid/rest/getAlbum.view?id={number}&f=json")
    return replace(Answer(request, content, "application/json", NOON, 200, headers), **changes)


def write(folder: Path, answers: list[Answer], roll_bytes: int = 10**9) -> list[Path]:
    """Write them all; returns the files."""
    with EvidenceWriter(folder, "shop", "subsonic", INFO, lambda: NOON, roll_bytes) as writer:
        for answer in answers:
            writer.write(answer)
    return sorted(folder.glob("*.warc.gz"))


def kept(answer: Answer) -> Answer:
    """How a written answer reads: the headers that spoke of its transport are renamed, its length is new."""
    if not answer.http_status:
        return answer
    hop = {"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"}
    headers = tuple((f"X-Archive-Orig-{n}" if n.casefold() in hop else n, v) for n, v in answer.headers)
    return replace(answer, headers=(*headers, ("Content-Length", str(len(answer.body)))))


def test_an_answer_reads_back_equal_when_it_came_over_http(tmp_path: Path) -> None:
    given = [
        an_answer(1),
        an_answer(2, b""),
        an_answer(3, b"\r\n\r\nWARC/1.1\r\n\x00\xff" * 50, outcome=MISSING, http_status=404),
        an_answer(4, outcome=FAILED, http_status=503, cut=(("field:starred", 12), ("secret", 3))),
    ]
    [file] = write(tmp_path / "h", given)
    assert [record.answer for record in read_records(file)] == [kept(answer) for answer in given]


def test_an_answer_reads_back_equal_when_no_http_was_spoken(tmp_path: Path) -> None:
    given = [
        Answer(Request("audio/Künstler/a  b.ogg"), bytes(range(256)), 'multipart/byteranges; boundary="x"', NOON),
        Answer(Request("listing"), b"", "application/jsonl", NOON, outcome=MISSING),
    ]
    [file] = write(tmp_path / "h", given)
    assert [record.answer for record in read_records(file)] == given


@settings(max_examples=30, deadline=None)
@given(
    body=st.binary(max_size=300),
    status=st.sampled_from([0, 200, 302, 404, 500, 999]),
    value=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), max_size=40),
    outcome=st.sampled_from(["ok", MISSING, FAILED]),
)
def test_an_answer_reads_back_equal_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, status: int, value: str, outcome: str
) -> None:
    headers = (("Content-Type", "text/x"), ("X-Any", value)) if status else ()
    given = Answer(Request("k?f=json", "http://h.invalid/?a=b"), body, "text/x", NOON, status, headers, outcome)
    [file] = write(tmp_path_factory.mktemp("h") / "h", [given])
    assert [record.answer for record in read_records(file)] == [kept(given)]


def test_a_header_with_line_breaks_forges_no_other_header(tmp_path: Path) -> None:
    forged = an_answer(1, headers=(("X-A", "x\r\nContent-Type: text/evil\r\n\r\nbody"),))
    forged = replace(
        forged, request=Request("k\r\nTenuto-Outcome: ok", "http://h/\r\nTenuto-Request: other"), outcome=MISSING
    )
    [file] = write(tmp_path / "h", [forged, an_answer(2)])
    first, second = read_records(file)
    assert first.answer is not None
    assert (first.answer.outcome, first.answer.media_type, first.answer.body) == (MISSING, "", forged.body)
    assert second.answer == kept(an_answer(2))


def test_every_record_is_a_gzip_member_of_its_own(tmp_path: Path) -> None:
    [file] = write(tmp_path / "h", [an_answer(n) for n in range(5)])
    raw, members = file.read_bytes(), 0
    while raw:
        unpacker = zlib.decompressobj(31)
        assert unpacker.decompress(raw).startswith(b"WARC/1.1\r\nWARC-Type: ")
        assert unpacker.eof
        raw, members = unpacker.unused_data, members + 1
    assert members == 6


def test_records_have_right_digests_when_two_other_readers_check_them(tmp_path: Path) -> None:
    given = [an_answer(n, bytes([n]) * n * 100) for n in range(5)] + [
        Answer(Request("listing"), b"x", "text/plain", NOON)
    ]
    [file] = write(tmp_path / "h", given)
    with file.open("rb") as stream:
        blocks = [
            (r.headers["WARC-Record-ID"], r.verify_block_digest()) for r in FastIterator(stream, parse_http=False)
        ]
    with file.open("rb") as stream:
        payloads = [
            (r.headers["WARC-Record-ID"], r.verify_payload_digest()) for r in FastIterator(stream, parse_http=True)
        ]
    with file.open("rb") as stream:
        slow = []
        for record in WarcioIterator(stream, check_digests=True):
            body = record.content_stream().read()
            if record.rec_type != "warcinfo":
                assert record.digest_checker.passed is True, record.digest_checker.problems
                slow.append((record.rec_headers["WARC-Record-ID"], record.rec_type, body))
    assert [(own, kind, body) for own, kind, body in slow] == [
        (
            f"<{record_uuid('shop', a.request.key, hashlib.sha256(a.body).hexdigest()).urn}>",
            "response" if a.http_status else "resource",
            a.body,
        )
        for a in given
    ]
    assert blocks[1:] == [(own, True) for own, _, _ in slow]
    assert payloads[1:6] == blocks[1:6]  # of a record that is no HTTP this reader checks the block alone


def test_record_ids_are_equal_when_the_same_answers_are_written_again(tmp_path: Path) -> None:
    later = datetime(2027, 5, 6, tzinfo=UTC)
    [one] = write(tmp_path / "one", [an_answer(n) for n in range(3)])
    [two] = write(tmp_path / "two", [an_answer(n, fetched_at=later) for n in range(3)])
    [other] = write(tmp_path / "other", [an_answer(n, b"else") for n in range(3)])
    ids = [[record.uuid for record in read_records(file)] for file in (one, two, other)]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])
    assert [record.evidence_id for record in read_records(one)] == [evidence_id(own) for own in ids[0]]


def test_the_same_answers_written_twice_give_the_same_bytes_under_one_clock(tmp_path: Path) -> None:
    files = [write(tmp_path / where / "h", [an_answer(n) for n in range(4)])[0] for where in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_files_are_rolled_and_each_begins_with_its_own_warcinfo(tmp_path: Path) -> None:
    body = random.Random(1).randbytes(3000)
    given = [an_answer(n, body + bytes([n])) for n in range(7)]
    files = write(tmp_path / "20260102T120000Z-00", given, roll_bytes=7000)
    assert [file.name for file in files] == [f"shop-20260102T120000Z-00-{n:05d}.warc.gz" for n in range(4)]
    assert [record.answer for file in files for record in read_records(file)] == [kept(answer) for answer in given]
    for file in files:
        first = gzip.decompress(file.read_bytes()).split(b"\r\n\r\n")[0].decode()
        assert "WARC-Type: warcinfo" in first
        assert f"WARC-Filename: {file.name}" in first


def test_writing_goes_on_in_the_last_file_when_a_harvest_is_resumed(tmp_path: Path) -> None:
    body = random.Random(2).randbytes(3000)
    folder = tmp_path / "h"
    write(folder, [an_answer(n, body) for n in range(3)], roll_bytes=7000)
    files = write(folder, [an_answer(n, body) for n in range(3, 6)], roll_bytes=7000)
    whole = write(tmp_path / "whole" / "h", [an_answer(n, body) for n in range(6)], roll_bytes=7000)
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in whole]


def test_a_torn_tail_is_cut_and_written_on_when_it_tears_at_any_byte(tmp_path: Path) -> None:
    given = [an_answer(n) for n in range(3)]
    [file] = write(tmp_path / "h", given)
    whole = file.read_bytes()
    *_, last = read_records(file)
    assert whole_length(file) == len(whole)
    for cut in range(last.offset + 1, len(whole)):
        file.write_bytes(whole[:cut])
        assert whole_length(file) == last.offset, cut
        write(tmp_path / "h", [given[2]])
        assert file.read_bytes() == whole, cut


def test_a_file_torn_in_its_first_record_is_begun_anew(tmp_path: Path) -> None:
    [file] = write(tmp_path / "h", [an_answer(1)])
    whole = file.read_bytes()
    [first] = read_records(file)
    for cut in range(first.offset):
        file.write_bytes(whole[:cut])
        write(tmp_path / "h", [an_answer(1)])
        assert file.read_bytes() == whole, cut


def test_a_damaged_record_in_the_middle_is_not_cut_away_with_what_follows_when_a_harvest_is_resumed(
    tmp_path: Path,
) -> None:
    given = [an_answer(n) for n in range(4)]
    [file] = write(tmp_path / "h", given)
    offsets = [record.offset for record in read_records(file)]
    raw = bytearray(file.read_bytes())
    raw[offsets[1] + 40] ^= 0x10
    file.write_bytes(raw)
    write(tmp_path / "h", [an_answer(9)])
    assert file.read_bytes()[: len(raw)] == bytes(raw)
    found = [record.answer for record in read_records(file)]
    assert found == [kept(given[0]), None, kept(given[2]), kept(given[3]), kept(an_answer(9))]


def flips(size: int, count: int) -> list[tuple[int, int]]:
    """Places and bits, the first and last bytes of the file among them."""
    chance = random.Random(size)
    places = [*range(24), *range(size - 12, size), *(chance.randrange(size) for _ in range(count))]
    return [(place, chance.randrange(8)) for place in places]


def test_exactly_one_record_is_damaged_and_the_rest_is_read_when_a_bit_is_flipped(tmp_path: Path) -> None:
    given = [an_answer(n, random.Random(n).randbytes(200) + b"a" * 300) for n in range(5)]
    [file] = write(tmp_path / "h", given)
    whole = file.read_bytes()
    offsets = [record.offset for record in read_records(file)] + [len(whole)]
    seen_damaged = set()
    for place, bit in flips(len(whole), 700):
        raw = bytearray(whole)
        raw[place] ^= 1 << bit
        file.write_bytes(raw)
        found = list(read_records(file))
        hit = next((n for n in range(5) if offsets[n] <= place < offsets[n + 1]), None)
        good = [record.answer for record in found if record.answer is not None]
        damaged = [record for record in found if record.damage]
        if len(damaged) == 0:  # a byte that carries nothing: the time of a gzip header, a bit after the last block
            assert good == [kept(answer) for answer in given], place
            continue
        assert len(damaged) == 1, (place, bit)
        assert file.name in damaged[0].damage
        assert good == [kept(answer) for n, answer in enumerate(given) if n != hit], (place, bit)
        assert damaged[0].offset == (0 if hit is None else offsets[hit])
        seen_damaged.add(hit)
    assert seen_damaged == {None, 0, 1, 2, 3, 4}


def test_a_record_whose_digest_does_not_match_is_damaged_though_its_gzip_is_whole(tmp_path: Path) -> None:
    [file] = write(tmp_path / "h", [an_answer(1), an_answer(2), an_answer(3)])
    _, second, third = read_records(file)
    raw = file.read_bytes()
    member = gzip.decompress(raw[second.offset : third.offset])
    forged = gzip.compress(member.replace(b'{"n":2}', b'{"n":7}'))
    file.write_bytes(raw[: second.offset] + forged + raw[third.offset :])
    found = list(read_records(file))
    assert [record.answer is None for record in found] == [False, True, False]
    assert "sha256" in found[1].damage
    assert found[1].evidence_id == second.evidence_id


@pytest.mark.parametrize("name", ["WARC-Record-ID", "WARC-Date", "Tenuto-Request", "Tenuto-Cut"])
def test_a_record_with_a_broken_header_is_damaged_and_the_next_is_read(tmp_path: Path, name: str) -> None:
    [file] = write(tmp_path / "h", [an_answer(1, cut=(("secret", 1),)), an_answer(2)])
    first, second = read_records(file)
    raw = file.read_bytes()
    member = gzip.decompress(raw[first.offset : second.offset])
    lines = member.split(b"\r\n")
    lines = [f"{name}: ???".encode() if line.startswith(name.encode()) else line for line in lines]
    if name == "Tenuto-Request":
        lines = [line for line in lines if not line.startswith(b"Tenuto-Request")]
    file.write_bytes(raw[: first.offset] + gzip.compress(b"\r\n".join(lines)) + raw[second.offset :])
    found = list(read_records(file))
    assert [bool(record.damage) for record in found] == [True, False]
    assert found[1].answer == kept(an_answer(2))


def test_a_member_that_unpacks_without_end_is_damage_and_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MEMBER_MAX_BYTES >= 64 * 2**20
    monkeypatch.setattr("tenuto.evidence.reader.MEMBER_MAX_BYTES", 2**20)
    [file] = write(tmp_path / "h", [an_answer(1)])
    bomb = gzip.compress(b"WARC/1.1\r\n" + bytes(2**22))
    file.write_bytes(bomb + file.read_bytes())
    found = list(read_records(file))
    assert "unpacks to more" in found[0].damage
    assert [record.answer for record in found[1:]] == [kept(an_answer(1))]


def test_an_empty_file_holds_no_records(tmp_path: Path) -> None:
    file = tmp_path / "x.warc.gz"
    file.touch()
    assert list(read_records(file)) == []
    assert whole_length(file) == 0


@pytest.mark.parametrize(
    "content", [b"\0" * 500, b"\x1f\x8b\x08" * 100, b"not evidence", gzip.compress(b"no WARC at all", mtime=0)]
)
def test_foreign_bytes_are_damage_and_never_an_exception(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.warc.gz"
    file.write_bytes(content)
    found = list(read_records(file))
    assert found
    assert all(record.answer is None and record.damage for record in found)


def foreign() -> list[Path]:
    """Other people's WARC and ARC files."""
    return sorted(file for file in (shared_data("warcio") / "test/data").iterdir() if "arc" in file.name)


@pytest.mark.timeout(30)
def test_other_peoples_warc_and_arc_files_are_read_or_named_damaged_without_a_crash() -> None:
    files = foreign()
    assert len(files) == 16
    for file in files:
        found = list(read_records(file))
        assert all(record.damage and record.answer is None for record in found), file.name  # none is a record of ours
        assert 0 <= whole_length(file) <= file.stat().st_size


@pytest.mark.timeout(60)
def test_other_peoples_files_cut_and_flipped_are_read_without_a_crash(tmp_path: Path) -> None:
    chance = random.Random(7)
    for file in foreign():
        raw = file.read_bytes()
        for _ in range(25):
            bad = bytearray(raw[: chance.randrange(1, len(raw) + 1)])
            for _ in range(3):
                bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            copy = tmp_path / file.name
            copy.write_bytes(bad)
            assert all(isinstance(record, EvidenceRecord) for record in read_records(copy))


def test_a_plain_warc_of_ours_is_read_too(tmp_path: Path) -> None:
    [file] = write(tmp_path / "h", [an_answer(1), an_answer(2)])
    plain = tmp_path / "plain.warc"
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    assert [record.answer for record in read_records(plain)] == [kept(an_answer(1)), kept(an_answer(2))]
    with io.BytesIO(plain.read_bytes()) as stream:
        assert len(list(FastIterator(stream))) == 3
