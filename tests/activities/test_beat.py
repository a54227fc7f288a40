"""An activity that is called back ends between two of its pages, and its thread is never interrupted in one."""

import threading
from collections.abc import Callable

import pytest
from temporalio import activity
from temporalio.exceptions import CancelledError
from temporalio.testing import ActivityEnvironment

from activities.beat import Beat, beat

PAGES = 5

either_sign = pytest.mark.parametrize("sign", [lambda: beat, lambda: Beat().tell], ids=["beat", "Beat"])


@either_sign
def test_what_is_called_back_in_a_page_ends_behind_it(sign: Callable[[], Callable[[int], object]]) -> None:
    in_page, go_on, done, failed = threading.Event(), threading.Event(), list[int](), list[BaseException]()
    environment = ActivityEnvironment()

    @activity.defn(no_thread_cancel_exception=True)
    def work() -> None:
        tell = sign()
        for page in range(PAGES):
            if page == 2:
                in_page.set()
                go_on.wait(30)
            done.append(page)
            tell(page)

    def run() -> None:
        try:
            environment.run(work)
        except CancelledError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert in_page.wait(30)
    environment.cancel()
    go_on.set()
    thread.join(30)
    assert done == [0, 1, 2]
    assert len(failed) == 1


@either_sign
def test_what_is_not_called_back_goes_on(sign: Callable[[], Callable[[int], object]]) -> None:
    heard = list[int]()
    environment = ActivityEnvironment()
    environment.on_heartbeat = heard.append

    @activity.defn(no_thread_cancel_exception=True)
    def work() -> int:
        tell = sign()
        for page in range(PAGES):
            tell(page)
        return PAGES

    assert environment.run(work) == PAGES
    assert heard[0] == 0
