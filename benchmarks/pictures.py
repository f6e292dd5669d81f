"""Photograph-like JPEG files: shapes under noise at two scales, so that they take as long to decode as photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def photograph(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """One picture; at JPEG quality 90 it takes about 1.5 bits a pixel, as photographs do."""
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    draw = ImageDraw.Draw(coarse)
    for _ in range(40):
        x, y, w, h = (int(v) for v in rng.integers(0, (width, height, width // 4, height // 4)))
        draw.ellipse((x, y, x + w, y + h), fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    grain = rng.normal(0, 6, (height // 2, width // 2)).astype(np.float32)
    fine = np.asarray(Image.fromarray(grain).resize((width, height), Image.BILINEAR))[..., None]
    return Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8))


def write_photographs(folder: Path, count: int, width: int, height: int, distinct: int = 0) -> tuple[str, ...]:
    """`count` files, `distinct` (or all) of them different and the rest hard links; returns their names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = tuple(f"{number:06}.jpg" for number in range(count))
    distinct = min(distinct or count, count)
    for number, name in enumerate(names):
        if number < distinct:
            photograph(width, height, rng).save(folder / name, quality=90)
        else:
            (folder / name).hardlink_to(folder / names[number % distinct])
    return names
