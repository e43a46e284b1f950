"""Work beside: so many at a time, and how it ends."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from threading import Barrier, Event

import pytest

from mirror_maker import wait_until
from tenuto.swarm.beside import in_threads

SOON_S = 5.0


class Works:
    """Two works that are under way together, `first` and the one that ends once it is let go, and others behind them."""

    def __init__(self, first: Callable[[], str]) -> None:
        self.both, self.may_end = Barrier(2), Event()
        self.ended: list[str] = []
        self.all: list[Callable[[], str]] = [
            partial(self._together, first),
            self._slow,
            *(partial(self._end, f"other {number}") for number in range(20)),
        ]

    def _together(self, first: Callable[[], str]) -> str:
        self.both.wait(SOON_S)
        return first()

    def _slow(self) -> str:
        self.both.wait(SOON_S)
        self.may_end.wait(SOON_S)
        return self._end("slow")

    def _end(self, what: str) -> str:
        self.ended.append(what)
        return what

    def let_go_soon(self) -> None:
        threading.Timer(0.2, self.may_end.set).start()


def fail() -> str:
    raise ValueError


def test_so_many_are_done_at_once_and_no_more() -> None:
    barrier, running, most = Barrier(4), set[int](), []

    def work(number: int) -> int:
        running.add(number)
        most.append(len(running))
        barrier.wait(SOON_S)
        running.discard(number)
        barrier.wait(SOON_S)
        return number

    assert sorted(in_threads([partial(work, number) for number in range(12)], 4)) == list(range(12))
    assert max(most) == 4


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(in_threads([], 4)) == []


def test_the_first_error_ends_it_once_what_is_under_way_has_ended_and_nothing_begins_behind_it() -> None:
    works = Works(fail)
    works.let_go_soon()
    with pytest.raises(ValueError):  # noqa: PT011 -- it has no words
        list(in_threads(works.all, 2))
    assert works.ended == ["slow"]
    time.sleep(0.1)
    assert works.ended == ["slow"]


def test_an_error_of_who_takes_the_results_ends_it_too() -> None:
    gate = Event()
    works = Works(lambda: "first")
    works.all[2:] = [lambda: str(gate.wait(SOON_S)), *works.all[2:]]
    results = in_threads(works.all, 2)
    with pytest.raises(ValueError), closing(results):  # noqa: PT011, PT012 -- it has no words
        assert next(results) == "first"
        threading.Timer(0.2, gate.set).start()
        works.let_go_soon()
        fail()
    assert works.ended == ["slow"], "the gate too, which says nothing"


def test_ctrl_c_waits_for_nobody_and_nothing_begins_behind_it() -> None:
    gate = Event()
    works = Works(lambda: "first")
    works.all[2:] = [lambda: str(gate.wait(SOON_S)), *works.all[2:]]
    results = in_threads(works.all, 2)
    assert next(results) == "first"
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert works.ended == [], "what is under way goes on by itself"
    gate.set()
    works.may_end.set()
    wait_until(lambda: works.ended == ["slow"], "that it ends")
    time.sleep(0.1)
    assert works.ended == ["slow"]
