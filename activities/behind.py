"""Work that follows behind: the database takes what was made while the next of it is being made."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self

P = ParamSpec("P")


class Behind:
    """Does one piece of work after the other in a thread of its own; at most one waits for its end."""

    def __enter__(self) -> Self:
        """Starts the thread."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._last: Future[object] | None = None
        return self

    def do(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begins a piece of work once the one before has ended; raises what that one raised."""
        self.wait()
        self._last = self._thread.submit(work, *args, **kwargs)

    def wait(self) -> None:
        """Waits until all is done; raises what the last piece raised."""
        if (last := self._last) is not None:
            self._last = None
            last.result()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Waits until all is done; raises what the last piece raised, unless something was raised already."""
        self._thread.shutdown()
        if error is None:
            self.wait()
