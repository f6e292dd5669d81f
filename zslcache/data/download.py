"""Large downloads that survive interruptions: resumed, checked, and renamed into place only when whole."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from zslcache.errors import UsageError, ZslError
from zslcache.files import naming, sha256_file, write_atomic
from zslcache.progress import SILENT, Progress, Task

BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each new attempt; counted afresh whenever bytes arrive
TIMEOUT = 30.0
_PIECE = 1 << 20
_FINAL = frozenset({400, 401, 403, 404, 405, 410, 451})  # asking again gives the same answer


class DownloadError(ZslError):
    """A file could not be fetched, or is not the file that was expected."""

    code = "download"


class _ChangedError(Exception):
    """The server's answer does not continue what is already here: begin again."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Fetch `url` to `target`, continuing an earlier attempt; returns at once if `target` is there already.

    The sha256 is kept beside it. Where no checksum is published, a later download is compared with the first one's.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} cannot be downloaded.", "Only http:// and https:// addresses are supported.")
    record = target.with_name(f"{target.name}.sha256")
    first = record.read_text(encoding="utf-8").split(" ")[0] if record.exists() else None
    if target.exists() and first is not None and sha256 in (None, first):
        return target  # checked when it arrived; hashing gigabytes again is for whoever asks for another checksum
    arrived = target if target.exists() else _fetch(url, target, size, progress)
    progress.line(f"Checking {target.name}")
    found = sha256_file(arrived)
    problem = _difference(arrived, found, sha256 or first, md5, size)
    if problem:
        if arrived != target:
            arrived.unlink()  # what is wrong at the end cannot be continued
        raise DownloadError(
            f"{arrived.name} is not the expected file: {problem}.",
            f"Delete {target} if it is there and run the same command again. If it happens again, the file at {url} "
            "was replaced or is altered on its way to you.",
        )
    if not (sha256 or md5 or first):
        progress.line(f"No checksum is published for {target.name}: NOT verified. Its sha256 is kept in {record.name}.")
    arrived.replace(target)
    _state(_part(target)).unlink(missing_ok=True)
    write_atomic(record, f"{found}  {target.name}\n".encode())
    return target


def _difference(path: Path, found: str, sha256: str | None, md5: str | None, size: int | None) -> str | None:
    """How the file differs from what is known of it, or None."""
    if size is not None and path.stat().st_size != size:
        return f"it has {path.stat().st_size} bytes, not {size}"
    if sha256 is not None and found != sha256:
        return f"its sha256 is {found}, not {sha256}"
    if md5 is not None:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != md5:
            return f"its md5 is {digest}, not {md5}"
    return None


def _fetch(url: str, target: Path, size: int | None, progress: Progress) -> Path:
    """The whole body in `target`.part, after as many attempts as make headway."""
    part = _part(target)
    part.parent.mkdir(parents=True, exist_ok=True)
    failures, began = 0, _length(part)
    most = began
    with progress.task(f"Downloading {target.name}", size, "B") as task:
        task.advance(began)
        while True:
            try:
                if _continue(url, part, task):
                    return part
                reason = "the connection ended early"
            except _ChangedError:
                task.advance(-_length(part))
                part.unlink(missing_ok=True)
                reason = "what is here already cannot be continued"
            except (OSError, http.client.HTTPException) as error:
                reason = _reason(error)
                if getattr(error, "code", None) == 416:  # there is nothing at our end of the file: it became shorter
                    task.advance(-_length(part))
                    part.unlink(missing_ok=True)
                if _is_final(error, most > began):
                    raise _unavailable(url, target, reason) from error
            arrived = _length(part)
            failures, most = (0, arrived) if arrived > most else (failures + 1, most)
            if failures > len(BACKOFF):
                raise _unavailable(url, target, reason)
            task.note(f"{reason}; trying again")
            time.sleep(BACKOFF[max(failures - 1, 0)])


def _continue(url: str, part: Path, task: Task) -> bool:
    """One request that appends to `part`; True when the body is complete."""
    have = _length(part)
    known = _known(_state(part)) if have else {}
    if have and known.get("total") == str(have):
        return True
    headers = {"User-Agent": "zslcache", "Accept-Encoding": "identity"}
    if have:
        # Without a validator it is unknowable whether the rest belongs to what is here.
        if not (validator := known.get("etag") or known.get("modified")):
            raise _ChangedError
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (http and https only, checked above)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        seen = _validators(response.headers)
        if response.status == 206:
            total = _total(response.headers.get("Content-Range", ""), have)
            if total is None or any(known.get(key) != value for key, value in seen.items()):
                raise _ChangedError
        else:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            task.advance(-have)
            part.unlink(missing_ok=True)  # before the state changes: old bytes must never meet new validators
            write_atomic(_state(part), json.dumps(seen | ({"total": str(total)} if total else {})).encode())
        while piece := response.read1(_PIECE):  # what came before a reset is kept
            # A full disk is named as such: only what the network does is worth another attempt.
            with naming(part), open(part, "ab") as file:
                file.write(piece)
            task.advance(len(piece))
    if total is not None and _length(part) > total:
        raise _ChangedError
    return total is None or _length(part) == total


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _is_final(error: Exception, headway: bool) -> bool:
    """Whether asking again is pointless: the server said so, or there is no network at all."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _FINAL
    return not headway and isinstance(getattr(error, "reason", None), socket.gaierror)


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    """What tells one version of the file from another; weak ETags do not tell bytes apart."""
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    found = {"etag": "" if etag.startswith("W/") else etag, "modified": modified}
    return {key: value for key, value in found.items() if value}


def _total(content_range: str, have: int) -> int | None:
    """The full length that a Content-Range names, if it begins where our bytes end."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range.strip())
    if not match:
        return None
    first, last, total = map(int, match.groups())
    return total if first == have <= last < total else None


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _state(part: Path) -> Path:
    """The file that says which version of the remote file the bytes in `part` are of."""
    return part.with_name(f"{part.name}.json")


def _known(state: Path) -> dict[str, str]:
    try:
        known = json.loads(state.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in known.items()} if isinstance(known, dict) else {}


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unavailable(url: str, target: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"{url} could not be downloaded: {reason}.",
        f"Run the same command again to continue, or get the file by hand from {url} and put it at {target}.",
    )
