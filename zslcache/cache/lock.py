"""One writer per store: a lock that the system releases when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zslcache.errors import ZslError
from zslcache.files import naming


class BusyError(ZslError):
    """Another process is writing to the store."""

    code = "busy"


@contextmanager
def writer_lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock file at `path`; when someone else does, wait for them or say who it is."""
    with naming(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise BusyError(
                f"{path.parent} is being written by {_holder(descriptor)}.",
                "Wait for it to finish, or give --wait to begin as soon as it has.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)  # releases the lock; the file stays, since removing it would race with the next writer


def _holder(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {who['pid']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
