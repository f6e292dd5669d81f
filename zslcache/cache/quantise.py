"""int8 with one scale per token: half the bytes of float16.

x is kept as round(x / scale) with scale = max|x| / 127 over the token's channels, so |x - q * scale| <= scale / 2.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int8

LEVELS = 127
TINY = np.finfo(np.float32).tiny
LARGEST = np.nextafter(np.finfo(np.float32).max / np.float32(LEVELS), np.float32(0))  # 127 times it is still finite


def quantise(
    values: Float[np.ndarray, "*token channels"],
) -> tuple[Int8[np.ndarray, "*token channels"], Float32[np.ndarray, "*token"]]:
    """(int8 values, float32 scale per token); a token that is not finite keeps a NaN scale and so stays visible."""
    values = values.astype(np.float32, copy=False)
    scale = np.asarray(np.abs(values).max(axis=-1) / np.float32(LEVELS))
    scale[scale < TINY] = 0  # below it floats lose their precision, and int8 would overflow
    finite = np.isfinite(scale)
    scale[finite & (scale > LARGEST)] = LARGEST
    scale[~finite] = np.nan
    step = np.where(finite & (scale > 0), scale, 1)[..., None]
    return np.rint(np.where(finite[..., None], values, 0) / step).astype(np.int8), scale


def dequantise(
    values: Int8[np.ndarray, "*token channels"], scale: Float32[np.ndarray, "*token"]
) -> Float32[np.ndarray, "*token channels"]:
    """The float32 values that `quantise` kept, to half a step."""
    return values * scale[..., None]
