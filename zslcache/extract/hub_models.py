"""Towers from torch.hub: models that speak DINOv2's interface, from code pinned to a commit."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zslcache.errors import NotFoundError, UsageError, ZslError
from zslcache.extract.locate import repository
from zslcache.extract.spec import Spec
from zslcache.extract.tower import Arguments, Built, Tower, building
from zslcache.extract.transform import Transform

_PINNED = re.compile(r"[\w.-]+/[\w.-]+:[0-9a-f]{40}")
_PUBLISHED_EVALUATION = Transform(size=224, resize=256)  # DINOv2's own, for every size of it


class Dinov2(Tower):
    """A model with DINOv2's `forward_features`; its tokens come as class token, registers, patches."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.prefix = 1 + getattr(model, "num_register_tokens", 0)
        if not getattr(model, "chunked_blocks", False):
            self.blocks = tuple(model.blocks)
            self.attends = all(hasattr(getattr(block, "attn", None), "qkv") for block in self.blocks)

    @property
    def patches(self) -> nn.Module:
        """The model's embedding."""
        return self.model.patch_embed

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The class token and the patches after the last norm."""
        features = self.model.forward_features(images)
        return features["x_norm_clstoken"], features["x_norm_patchtokens"]


def build_hub(spec: Spec, arguments: Arguments, hub_dir: Path | None) -> Built:
    """The model of `spec` from a local folder, or from a repository at one commit."""
    repo, _, entry = spec.model.rpartition(":")
    folder = repository(spec, hub_dir)
    local = Path(repo).expanduser().is_dir()
    if not local:
        _ensure_code(spec, repo, folder)
    with building(spec, arguments), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DINOv2 warns of each optional library that is absent
        model: Any = torch.hub.load(str(folder), entry, source="local", pretrained=False, **arguments)
    if not all(hasattr(model, name) for name in ("forward_features", "patch_embed", "blocks")):
        raise ZslError(
            f"{spec.name} does not speak DINOv2's interface.",
            "Models from torch.hub need patch_embed, blocks and forward_features.",
        )
    if local:  # where the folder lies is nobody's business; what is in it counts
        return Built(replace(spec, model=entry), Dinov2(model), _PUBLISHED_EVALUATION, code=_code_sha256(folder))
    return Built(spec, Dinov2(model), _PUBLISHED_EVALUATION)


def _ensure_code(spec: Spec, repo: str, folder: Path) -> None:
    if not _PINNED.fullmatch(repo):
        raise UsageError(
            f"{repo!r} is neither a folder nor OWNER/REPO:COMMIT.",
            "Code from torch.hub runs on this machine: name the full commit, as in hub:OWNER/REPO:COMMIT:ENTRY.",
        )
    if (folder / "hubconf.py").is_file():
        return
    try:
        with _hub_in(folder.parent):
            torch.hub.list(repo, skip_validation=True, trust_repo=True, verbose=False)
    except OSError as error:
        raise NotFoundError(
            f"The code of {spec.name} is not on this machine and cannot be downloaded: {error}.",
            f"Put a copy of github.com/{repo.replace(':', ' at commit ')} into {folder}.",
        ) from error


@contextmanager
def _hub_in(folder: Path) -> Iterator[None]:
    before = torch.hub.get_dir()
    torch.hub.set_dir(folder)
    try:
        yield
    finally:
        torch.hub.set_dir(before)


def _code_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()
