"""A backbone's own preprocessing as plain data: what becomes part of a feature store's key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor, nn

from zslcache.errors import UsageError
from zslcache.extract.decode import MAX_PIXELS, Undecodable
from zslcache.extract.spec import Value

Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
INTERPOLATIONS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos")}


@dataclass(frozen=True)
class Transform:
    """Resize, crop the centre, scale to 0..1, subtract `mean`, divide by `std`. Calling it does the first two.

    `mode` shortest: the shorter side becomes `resize`; squash: both sides do. Pillow resizes with antialiasing.
    """

    size: int
    resize: int
    mode: str = "shortest"
    interpolation: str = "bicubic"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD

    def __post_init__(self) -> None:
        problem = ""
        if not 0 < self.size <= self.resize:
            problem = f"size {self.size} must be positive and not above resize {self.resize}"
        elif self.mode not in ("shortest", "squash"):
            problem = f"mode {self.mode!r} is neither shortest nor squash"
        elif self.interpolation not in INTERPOLATIONS:
            problem = f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}"
        elif min(self.std) <= 0:
            problem = "std must be above zero"
        if problem:
            raise UsageError(f"This preprocessing is impossible: {problem}.")

    def __call__(self, image: Image.Image) -> UInt8[np.ndarray, "size size 3"]:
        """The pixels that the model sees, not yet normalised."""
        width, height = image.size
        if self.mode == "squash":
            width = height = self.resize
        elif width <= height:
            width, height = self.resize, int(self.resize * height / width)
        else:
            width, height = int(self.resize * width / height), self.resize
        if width * height > MAX_PIXELS:
            raise Undecodable(f"too thin: {image.width} x {image.height} would become {width} x {height} pixels")
        if (width, height) != image.size:
            image = image.resize((width, height), INTERPOLATIONS[self.interpolation])
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return np.array(image.crop((left, top, left + self.size, top + self.size)))

    def with_args(self, args: Mapping[str, Value]) -> Transform:
        """Some fields replaced; `size` alone scales `resize` along, one number for mean or std stands for all three."""
        names = [field.name for field in fields(self)]
        for name in args:
            if name not in names:
                raise UsageError(f"The preprocessing has no setting {name!r}.", f"It has: {', '.join(names)}.")
        changes: dict[str, Any] = dict(args)
        for name in ("mean", "std"):
            if name in changes:
                changes[name] = _triple(name, changes[name])
        for name in ("size", "resize"):
            if name in changes and (isinstance(changes[name], bool) or not isinstance(changes[name], int)):
                raise UsageError(f"The preprocessing's {name} must be a whole number of pixels, not {changes[name]!r}.")
        if "size" in changes and "resize" not in changes:
            changes["resize"] = changes["size"] * self.resize // self.size
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values in canonical form."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    def normaliser(self) -> Normalise:
        """The other half of the preprocessing, to be done on the device."""
        return Normalise(self.mean, self.std)


def _triple(name: str, value: Value) -> Triple:
    numbers = value if isinstance(value, tuple) else (value,) * 3
    if len(numbers) != 3 or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
        raise UsageError(f"The preprocessing's {name} must be one number or three, not {value!r}.")
    return cast(Triple, tuple(float(cast(float, n)) for n in numbers))


class Normalise(nn.Module):
    """uint8 pixels to what a model takes, on whatever device they are: a quarter of the bytes travel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Triple, std: Triple) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: UInt8[Tensor, "images height width 3"]) -> Float32[Tensor, "images 3 height width"]:
        """Scaled to 0..1 and normalised, channels first in name and last in memory."""
        return pixels.permute(0, 3, 1, 2).float().div_(255).sub_(self.mean).div_(self.std)
