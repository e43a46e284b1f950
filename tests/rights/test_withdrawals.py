"""The log of withdrawals: whatever is changed in it, taken out of it, moved or torn is found; it only ever grows."""

import json
from datetime import date

import pytest

from tenuto.model.errors import IntegrityError
from tenuto.rights import Action, may
from tenuto.rights.statements import Statement
from tenuto.rights.withdrawals import REASONS, Log, parse_log, statement_of

DAY = date(2026, 11, 20)
KEYS = ("a" * 64, "b" * 64, "c" * 64)


def _log(*more):
    log = Log()
    for key, destroyed in ((KEYS[0], False), (KEYS[1], True), (KEYS[2], False), *more):
        log = log.with_one_more(key=key, reason="law", on=DAY, is_destroyed=destroyed, crates=["one", "two"])
    return log


def test_log_reads_back_as_it_was_written_and_each_line_is_as_the_format_says():
    content = _log().encode()
    assert parse_log(content, "log") == _log()
    first, second, _ = content.decode().splitlines()
    assert json.loads(first) == {
        "crates": ["one", "two"], "format": "tenuto-withdrawal-1", "is_destroyed": False, "key": KEYS[0], "on": "2026-11-20",
        "previous": "0" * 64, "reason": "law", "seq": 1}  # fmt: skip
    assert list(json.loads(second)) == sorted(json.loads(second))
    assert " " not in first


def test_a_line_more_leaves_all_before_it_as_they_were():
    assert _log((KEYS[0], True)).encode().startswith(_log().encode())


def test_every_single_byte_that_is_changed_is_found():
    content = _log().encode()
    for place in range(len(content)):
        spoiled = bytearray(content)
        spoiled[place] ^= 1
        if place >= content.rstrip(b"\n").rfind(b"\n") + 1 and place != len(content) - 1:
            try:
                assert (
                    parse_log(bytes(spoiled), "log") != _log()
                )  # the newest line: the published copy tells (publish.known_log)
            except IntegrityError:
                continue
        else:
            with pytest.raises(IntegrityError):
                parse_log(bytes(spoiled), "log")


@pytest.mark.parametrize(
    "spoil",
    [lambda lines: lines[1:], lambda lines: [lines[0], lines[2]], lambda lines: [lines[1], lines[0], lines[2]],
     lambda lines: [lines[0], lines[0], *lines[1:]], lambda lines: [lines[0], b"", *lines[1:]],
     lambda lines: [lines[0] + b" ", *lines[1:]],
     lambda lines: [lines[0].replace(b"false", b"0"), *lines[1:]], lambda lines: [b"[" * 100_000, *lines]],
)  # fmt: skip
def test_lines_taken_out_moved_doubled_or_written_otherwise_are_found(spoil):
    with pytest.raises(IntegrityError, match=r"log: (line|the chain)"):
        parse_log(b"".join(line + b"\n" for line in spoil(_log().encode().splitlines())), "log")


def test_torn_last_line_is_found_wherever_it_is_torn():
    content = _log().encode()
    begin = content.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(begin + 1, len(content)):
        with pytest.raises(IntegrityError, match="cut off"):
            parse_log(content[:end], "log")


def test_destroyed_once_is_destroyed_for_good():
    known = _log((KEYS[1], False), (KEYS[0], True)).by_key()
    assert {key: one.is_destroyed for key, one in known.items()} == {KEYS[0]: True, KEYS[1]: True, KEYS[2]: False}


@pytest.mark.parametrize("reason", REASONS)
def test_withdrawal_outweighs_every_grant(reason):
    grant = Statement(basis="permission", may_keep=True, may_give_out=True, may_mine=True)
    for destroyed in (False, True):
        one = Log().with_one_more(key=KEYS[0], reason=reason, on=DAY, is_destroyed=destroyed, crates=[]).entries[0]
        said = [grant, statement_of(one)]
        assert not may(said, Action.GIVE_OUT, "worldwide", DAY).is_allowed
        assert not may(said, Action.MINE, "DE", DAY).is_allowed
        assert may(said, Action.KEEP, "worldwide", DAY).is_allowed is not destroyed
