"""Work that follows behind is done whole, in its order, and never fails unheard."""

import threading
from collections.abc import Callable

import pytest

from activities.behind import Behind


def test_the_next_piece_waits_for_the_one_before_and_the_end_for_all() -> None:
    go_on, done = threading.Event(), list[str]()

    def slow() -> None:
        go_on.wait(5)
        done.append("slow")

    with Behind() as behind:
        behind.do(slow)
        assert done == []  # the caller goes on meanwhile
        threading.Timer(0.05, go_on.set).start()
        behind.do(done.append, "next")
    assert done == ["slow", "next"]


def fail() -> None:
    raise LookupError


def work(*pieces: Callable[[], object]) -> None:
    with Behind() as behind:
        for piece in pieces:
            behind.do(piece)


def test_what_failed_fails_who_asked_for_it_and_nothing_is_done_after_it() -> None:
    done = list[str]()
    with pytest.raises(LookupError):
        work(fail)
    with pytest.raises(LookupError):
        work(fail, lambda: done.append("too late"))
    assert done == []


def test_what_the_caller_raised_is_told_once_the_work_has_ended() -> None:
    done = list[str]()

    def interrupted() -> None:
        with Behind() as behind:
            behind.do(done.append, "kept")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert done == ["kept"]
