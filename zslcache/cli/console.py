"""What people and programs get to read: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zslcache.errors import ZslError
from zslcache.home import Home

if TYPE_CHECKING:
    import rich.console
    import rich.progress

    from zslcache.progress import Task

PIPE_WIDTH = 160
PLAIN_INTERVAL = 10.0  # seconds between progress lines where there is no terminal


class Console:
    """One command's way to the outside: its home, its output form and its progress display."""

    def __init__(self, home: Home, as_json: bool) -> None:
        self.home = home
        self.as_json = as_json

    @property
    def err(self) -> rich.console.Console:
        """The stderr console, made when first needed because rich takes time to import."""
        from rich.console import Console as RichConsole

        return RichConsole(stderr=True, highlight=False, soft_wrap=True)

    def result(self, document: Any, show: Callable[[rich.console.Console], None]) -> None:
        """Give the outcome: as one JSON document, or through `show` for people."""
        if self.as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 - this is the printing part
        else:
            from rich.console import Console as RichConsole

            out = RichConsole(highlight=False, soft_wrap=True)
            if not out.is_terminal:  # nothing that reads a pipe wants tables folded to 80 columns
                out.width = PIPE_WIDTH
            show(out)

    def line(self, text: str) -> None:
        """A remark for people."""
        self.err.print(text, markup=False)

    def error(self, error: ZslError) -> None:
        """A failure: what was wrong and what to do next."""
        if self.as_json:
            document = {"code": error.code, "message": error.message, "hint": error.hint}
            print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201
        else:
            err = self.err
            err.print("Error:", style="bold red", end=" ")
            err.print(error.message, markup=False)
            if error.hint:
                err.print(error.hint, markup=False)

    @contextmanager
    def task(self, title: str, total: int | None, unit: str = "") -> Iterator[Task]:
        """A progress bar with rate and time left on a terminal, a line now and then elsewhere."""
        err = self.err
        if not err.is_terminal:
            task = _PlainTask(self.line, title, total, unit)
            yield task
            task.finish()
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}"),
        )
        with Progress(*columns, console=err, transient=False) as bars:
            yield _BarTask(bars, bars.add_task(title, total=total, rate="", remark=""), unit)


class _BarTask:
    def __init__(self, bars: rich.progress.Progress, identity: rich.progress.TaskID, unit: str) -> None:
        self.bars, self.identity, self.unit = bars, identity, unit

    def advance(self, amount: int = 1) -> None:
        self.bars.advance(self.identity, amount)
        speed = self.bars.tasks[self.identity].speed
        if speed:
            self.bars.update(self.identity, rate=f"{speed:,.0f} {self.unit}/s".strip())

    def note(self, text: str) -> None:
        self.bars.update(self.identity, remark=text)


class _PlainTask:
    def __init__(self, write: Callable[[str], None], title: str, total: int | None, unit: str) -> None:
        self.write, self.title, self.total, self.unit = write, title, total, unit
        self.done, self.remark = 0, ""
        self.begun = self.spoke = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        if time.monotonic() - self.spoke >= PLAIN_INTERVAL:
            self._say()

    def note(self, text: str) -> None:
        self.remark = text

    def finish(self) -> None:
        self._say()

    def _say(self) -> None:
        self.spoke = time.monotonic()
        rate = self.done / max(self.spoke - self.begun, 1e-9)
        of = f"/{self.total}" if self.total is not None else ""
        self.write(f"{self.title}: {self.done}{of} ({rate:,.0f} {self.unit}/s) {self.remark}".rstrip())
