"""Progress of long work, as the working code sees it: it reports, the command line draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """One bar: call `advance` as work gets done, `note` for a short live remark beside it."""

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


@runtime_checkable
class Progress(Protocol):
    """Whatever can show tasks and lines; `Silent` shows nothing."""

    def task(self, title: str, total: int | None, unit: str = "") -> AbstractContextManager[Task]: ...

    def line(self, text: str) -> None: ...


class _SilentTask:
    def advance(self, amount: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """Shows nothing: the default of every function that can take long."""

    @contextmanager
    def task(self, title: str, total: int | None, unit: str = "") -> Iterator[Task]:
        yield _SilentTask()

    def line(self, text: str) -> None:
        pass


SILENT = Silent()
