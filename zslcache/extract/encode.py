"""A frozen encoder at work: uint8 pixels in, the features to store out, on one device and in one precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from zslcache.errors import UsageError
from zslcache.extract.backbones import Backbone
from zslcache.extract.pool import pool_attention, pool_tokens

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ATTENTION = ("rollout", "cls_attention")
GRIDS = ("tokens", "patches")


class Encoder:
    """Runs a backbone on batches and reduces its features to the form in which they are kept."""

    def __init__(
        self,
        backbone: Backbone,
        device: torch.device,
        precision: str,
        pool: str,
        keep: torch.dtype,
        compiled: bool = False,
    ) -> None:
        self.backbone = backbone.to(device).eval()
        self.device = device
        self.precision = DTYPES[precision]
        self.pool = pool
        self.grid = math.isqrt(math.prod(backbone.offered.get("tokens", (0,))[:1]))
        self.keep = keep
        if pool != "none" and (
            self.grid % 2 or self.grid**2 != backbone.offered.get("tokens", (0,))[0] or not self.grid
        ):
            raise UsageError(
                f"--pool {pool} groups 2 x 2 tokens, but those of {backbone.spec.name} are no even square.",
                "Leave out --pool.",
            )
        self.forward = torch.compile(self.backbone) if compiled else self.backbone

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "batch height width 3"]) -> dict[str, Shaped[Tensor, "batch ..."]]:
        """The features of one batch, on the device, in the dtype that is kept."""
        images = self.backbone.normalise(pixels.to(self.device, non_blocking=True))
        with self._autocast():
            features = self.forward(images)
        return {name: self._reduce(name, values).to(self.keep) for name, values in features.items()}

    def row_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one image's row of every feature, found by encoding one black image."""
        return {name: tuple(values.shape[1:]) for name, values in self(self.black(1)).items()}

    def black(self, images: int) -> UInt8[Tensor, "batch height width 3"]:
        """Black images, to try things out with."""
        side = self.backbone.transform.size
        return torch.zeros(images, side, side, 3, dtype=torch.uint8)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def _reduce(self, name: str, values: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        if name in ATTENTION:
            return pool_attention(values, self.grid, self.pool)
        return pool_tokens(values, self.grid, self.pool) if name.startswith(GRIDS) else values


def choose_device(asked: str) -> torch.device:
    """`auto` is the first CUDA device, else the CPU; a device that is not there is an error."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"The device {asked!r} cannot be used: {str(error).splitlines()[0]}",
            "Give --device cpu, or see what is wrong with zslcache doctor.",
        ) from error
    return device


def largest_batch(encoder: Encoder, sizes: Sequence[int]) -> int:
    """The first of the (falling) batch sizes that fits into the device's memory."""
    for size in sizes:
        try:
            encoder(encoder.black(size))
            return size
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    raise UsageError(
        f"Not even {sizes[-1]} images at once fit into the memory of {encoder.device}.",
        "Free the device's memory, choose a smaller backbone, or give --device cpu.",
    )
