"""Errors a user can mend: each says what was wrong and what to do or type next."""

from __future__ import annotations

import difflib
import errno
import os
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


class DiskError(ZslError):
    """The system refused to read or write a file."""

    code = "disk"


_REMEDIES = {
    errno.ENOSPC: "Free some space, or choose another folder with --home.",
    errno.EDQUOT: "Your quota is used up: free some space, or choose another folder with --home.",
    errno.EFBIG: "The file would be larger than this account or file system allows: see ulimit -f.",
    errno.EROFS: "The file system is read-only: choose another folder with --home.",
    errno.EACCES: "Change the permissions of the folder, or choose another one with --home.",
    errno.EPERM: "Change the permissions of the folder, or choose another one with --home.",
    errno.EIO: "The disk reports a fault: look at the system's log and copy what matters elsewhere.",
    errno.EMFILE: "Too many files are open: raise the limit with ulimit -n.",
}


def disk_error(error: OSError, path: os.PathLike[str] | None = None) -> DiskError:
    """What the system refused, as a message that names the file and says what can be done."""
    where = path or error.filename
    message = f"{where}: {error.strerror}." if where and error.strerror else str(error)
    return DiskError(message, _REMEDIES.get(error.errno or 0, ""))


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
