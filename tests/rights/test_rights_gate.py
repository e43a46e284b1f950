"""The gate: whatever is stated, nothing is given out without a statement in force that permits it and none that forbids."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.rights import Action, Decision, Statement, may

TODAY = date(2026, 6, 1)
PLACES = ("DE", "FR", "worldwide")
word = st.sampled_from([True, False, None])
statement = st.builds(
    Statement,
    basis=st.sampled_from(["permission", "tag", "dep5", "licence_file"]),
    may_keep=word,
    may_give_out=word,
    may_mine=word,
    territories=st.lists(st.sampled_from(PLACES), max_size=2).map(tuple),
    valid_until=st.sampled_from([None, TODAY - timedelta(days=1), TODAY, TODAY + timedelta(days=1)]),
)
statements = st.lists(statement, max_size=4)
places = st.sampled_from(PLACES)
actions = st.sampled_from(list(Action))


def word_for(said: Statement, action: Action) -> bool | None:
    return {Action.KEEP: said.may_keep, Action.GIVE_OUT: said.may_give_out, Action.MINE: said.may_mine}[action]


def covers(said: Statement, territory: str) -> bool:
    """Whether all of a territory is meant."""
    return said.territories == () or "worldwide" in said.territories or territory in said.territories


def touches(said: Statement, territory: str) -> bool:
    """Whether some of a territory is meant."""
    return covers(said, territory) or territory == "worldwide"


def is_over(said: Statement) -> bool:
    return said.valid_until is not None and said.valid_until < TODAY


@given(statements, places, st.sampled_from([Action.GIVE_OUT, Action.MINE]))
def test_nothing_is_given_out_or_examined_without_a_grant_in_force(
    said: list[Statement], territory: str, action: Action
) -> None:
    if may(said, action, territory, TODAY).is_allowed:
        assert any(word_for(s, action) is True and covers(s, territory) and not is_over(s) for s in said)


@given(statements, places, actions)
def test_one_prohibition_outweighs_every_grant(said: list[Statement], territory: str, action: Action) -> None:
    forbidding = [s for s in said if word_for(s, action) is False and touches(s, territory) and not is_over(s)]
    if forbidding:
        decision = may(said, action, territory, TODAY)
        assert not decision.is_allowed
        assert decision.statement in forbidding


@given(statements, places, actions)
def test_a_grant_that_nothing_forbids_is_a_grant(said: list[Statement], territory: str, action: Action) -> None:
    granting = [s for s in said if word_for(s, action) is True and covers(s, territory) and not is_over(s)]
    if granting and not any(word_for(s, action) is False for s in said):
        decision = may(said, action, territory, TODAY)
        assert decision.is_allowed
        assert decision.statement in granting


@given(statements, places, actions, st.randoms())
def test_the_order_of_statements_decides_nothing(
    said: list[Statement], territory: str, action: Action, chance: object
) -> None:
    shuffled = list(said)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert may(said, action, territory, TODAY).is_allowed == may(shuffled, action, territory, TODAY).is_allowed


@given(statements, places, actions, statement)
def test_one_more_statement_without_a_grant_never_opens_anything(
    said: list[Statement], territory: str, action: Action, more: Statement
) -> None:
    if word_for(more, action) is not True:
        before, after = (may(s, action, territory, TODAY).is_allowed for s in (said, [*said, more]))
        assert before or not after


@given(statements, st.sampled_from(["DE", "FR"]), actions)
def test_what_may_be_given_out_worldwide_may_be_in_each_country(
    said: list[Statement], country: str, action: Action
) -> None:
    if may(said, action, "worldwide", TODAY).is_allowed:
        assert may(said, action, country, TODAY).is_allowed


@given(statements, places, actions)
def test_a_decision_always_has_a_reason(said: list[Statement], territory: str, action: Action) -> None:
    assert len(may(said, action, territory, TODAY).reason.split()) >= 3


def test_on_silence_a_recording_is_kept_dark() -> None:
    assert may([], Action.KEEP, "worldwide", TODAY) == Decision(
        True, "nothing on file forbids keeping it; it is kept dark", None
    )
    assert not may([], Action.GIVE_OUT, "worldwide", TODAY).is_allowed
    assert not may([], Action.MINE, "worldwide", TODAY).is_allowed


def test_the_right_to_keep_is_no_right_to_give_out() -> None:
    said = [Statement(basis="permission", may_keep=True)]
    assert may(said, Action.KEEP, "DE", TODAY).is_allowed
    assert not may(said, Action.GIVE_OUT, "DE", TODAY).is_allowed


def test_a_prohibition_in_one_country_stops_giving_out_worldwide_but_not_elsewhere() -> None:
    said = [
        Statement(basis="tag", licence="CC-BY-4.0", may_give_out=True),
        Statement(basis="permission", may_give_out=False, territories=("DE",)),
    ]
    assert [may(said, Action.GIVE_OUT, place, TODAY).is_allowed for place in PLACES] == [False, True, False]


def test_a_prohibition_that_has_ended_forbids_no_more() -> None:
    said = [Statement(basis="permission", may_keep=False, valid_until=TODAY)]
    assert not may(said, Action.KEEP, "DE", TODAY).is_allowed
    assert may(said, Action.KEEP, "DE", TODAY + timedelta(days=1)).is_allowed


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Statement(basis="licence_file", licence="CC-BY-4.0", may_give_out=True), "licence file (CC-BY-4.0) permits giving out"),
        (Statement(basis="tag", licence_text="ours alone", may_give_out=False), "tag (ours alone) forbids giving out"),
        (Statement(basis="permission", may_give_out=True, territories=("FR",)),
         "permission does not hold for DE on 2026-06-01; nothing on file permits giving it out"),
        (Statement(basis="permission", may_give_out=True, valid_until=date(2026, 5, 31)),
         "permission does not hold for DE on 2026-06-01; nothing on file permits giving it out"),
        (Statement(basis="tag", licence_text="unheard of"), "nothing on file permits giving it out"),
    ],
)  # fmt: skip
def test_the_reason_is_a_sentence_that_names_the_statement(said: Statement, reason: str) -> None:
    assert may([said], Action.GIVE_OUT, "DE", TODAY).reason == reason
