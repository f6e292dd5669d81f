"""Errors a user can mend: each says what was wrong and what to do or type next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZslError(Exception):
    """Base of every foreseeable failure; the command line prints it without a traceback."""

    code = "failed"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ZslError):
    """The command was typed wrongly."""

    code = "usage"
    exit_code = 2


class NotFoundError(ZslError):
    """A dataset, backbone, head, store or file that was asked for does not exist."""

    code = "not-found"


class DataError(ZslError):
    """Input data contradicts itself or its format; lists every problem that was found."""

    code = "bad-data"

    SHOWN = 20

    def __init__(self, message: str, hint: str = "", problems: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            shown.append(f"  ... and {len(self.problems) - self.SHOWN} more")
        super().__init__("\n".join([message, *shown]), hint)


class DamageError(ZslError):
    """Verification found stored bytes that are not what was written."""

    code = "damage"
    exit_code = 3


def unknown_name(kind: str, given: str, known: Iterable[str], hint: str = "") -> NotFoundError:
    """The error for a misspelt name: the closest known ones first, else all of them unless they are too many."""
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), by_lower, n=3, cutoff=0.6)
    if close:
        hint = f"Did you mean {' or '.join(by_lower[name] for name in close)}?"
    elif 0 < len(names) <= 40:
        hint = f"Known: {', '.join(names)}." + (f" {hint}" if hint else "")
    return NotFoundError(f"There is no {kind} called {given!r}.", hint)
