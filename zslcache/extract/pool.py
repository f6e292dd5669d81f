"""Token grids made smaller before they are stored: 14 x 14 tokens become 7 x 7 cells of 2 x 2."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def cells(tokens: Float[Tensor, "batch tokens *channels"], grid: int) -> Float[Tensor, "batch cells 4 ..."]:
    """Group the raster of a square grid into 2 x 2 squares, each square's tokens in raster order."""
    batch, _, *channels = tokens.shape
    squares = tokens.reshape(batch, grid // 2, 2, grid // 2, 2, *channels).transpose(2, 3)
    return squares.reshape(batch, grid * grid // 4, 4, *channels)


def pool_tokens(
    tokens: Float[Tensor, "batch tokens channels"], grid: int, pool: str
) -> Float[Tensor, "batch cells pooled"]:
    """`2x2` keeps the mean of each square, `merge` its four tokens side by side, `none` everything."""
    if pool == "none":
        return tokens
    squares = cells(tokens, grid)
    return squares.mean(2) if pool == "2x2" else squares.flatten(2)


def pool_attention(attention: Float[Tensor, "*lead tokens"], grid: int, pool: str) -> Float[Tensor, "*lead cells"]:
    """The attention that falls on each square, so that a row's sum stays what it was."""
    if pool == "none":
        return attention
    *lead, tokens = attention.shape
    return cells(attention.reshape(-1, tokens), grid).sum(2).reshape(*lead, tokens // 4)
