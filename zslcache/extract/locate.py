"""Weight files: where they are on this machine, and how they get there. Imports neither torch nor any model."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from zslcache.errors import NotFoundError
from zslcache.extract.spec import HubFile, PackageFile, Spec, UrlFile
from zslcache.files import atomic_path

PACKAGED = Path(__file__).parent / "weights"
TIMEOUT = 20  # seconds without an answer


def weights_available(spec: Spec, hub_dir: Path | None = None) -> Path | None:
    """The published weights of `spec` if they, and the code they need, are on this machine; asks no network."""
    match spec.weights:
        case PackageFile(file):
            path = PACKAGED / file
        case UrlFile(url):
            path = torch_hub_dir(hub_dir) / "checkpoints" / url.rsplit("/", 1)[-1]
        case HubFile(repo, file):
            from huggingface_hub import try_to_load_from_cache

            found = try_to_load_from_cache(repo, file, cache_dir=hub_dir)
            if not isinstance(found, str):  # None, or a mark that the file is known not to exist
                return None
            path = Path(found)
        case None:
            return None
    if spec.source == "hub" and not repository(spec, hub_dir).is_dir():
        return None
    return path if path.is_file() else None


def obtain_weights(spec: Spec, hub_dir: Path | None = None) -> Path:
    """The published weights of `spec`, downloaded if need be; says what to get by hand where that fails."""
    if path := weights_available(spec, hub_dir):
        return path
    match spec.weights:
        case HubFile(repo, file):
            return _from_hub(spec, repo, file, hub_dir)
        case UrlFile(url):
            target = torch_hub_dir(hub_dir) / "checkpoints" / url.rsplit("/", 1)[-1]
            return target if target.is_file() else _from_url(spec, url, target)
        case PackageFile(file):
            raise NotFoundError(
                f"The weights of {spec.name} are not installed: {file} is missing from the package.",
                "Install zslcache again, or pass a file with --weights.",
            )
    raise NotFoundError(
        f"No published weights are known for {spec.name}.", "Pass a file with --weights, or --weights random."
    )


def torch_hub_dir(hub_dir: Path | None = None) -> Path:
    """`hub_dir` if given, else the folder where torch.hub keeps code and weights."""
    if hub_dir:
        return hub_dir
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub"


def repository(spec: Spec, hub_dir: Path | None = None) -> Path:
    """The folder with the code of a `hub` model: a local folder as it is, else torch.hub's copy."""
    repo = spec.model.rpartition(":")[0]
    if (local := Path(repo).expanduser()).is_dir():
        return local
    return torch_hub_dir(hub_dir) / repo.replace("/", "_").replace(":", "_")


def missing(spec: Spec, reason: str) -> NotFoundError:
    """The error for weights that are neither here nor to be had."""
    return NotFoundError(
        f"The weights of {spec.name} are not on this machine and cannot be downloaded: {reason}.",
        f"Get {spec.weights} elsewhere and pass it with --weights FILE.",
    )


def _from_hub(spec: Spec, repo: str, file: str, hub_dir: Path | None) -> Path:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        raise missing(spec, "HF_HUB_OFFLINE is set")
    # The client retries for half a minute when there is no network at all; one question first fails at once.
    reach(spec, hf_hub_url(repo, file))
    try:
        return Path(hf_hub_download(repo, file, cache_dir=hub_dir))
    except (HfHubHTTPError, OSError) as error:
        raise missing(spec, str(error).split("\n")[0]) from error


def reach(spec: Spec, url: str) -> None:
    """Raise unless some server answers at `url`, with whatever status."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - https, from the catalogue
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # the client that knows tokens and redirections shall say what is wrong
    except OSError as error:
        raise missing(spec, f"{getattr(error, 'reason', error)}") from error


def _from_url(spec: Spec, url: str, target: Path) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic_path(target) as temporary:  # noqa: S310
            with open(temporary, "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
                written = file.tell()
            if written != int(answer.headers.get("Content-Length", written)):
                raise OSError("the connection broke off")
    except OSError as error:
        raise missing(spec, f"{getattr(error, 'reason', error)}") from error
    return target
