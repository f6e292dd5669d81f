"""What the class token attends to: read off while a model runs, without ever keeping all of its attention.

A rollout is the class token's row of A_L ... A_2 A_1, where A_l = (mean over heads + identity) / 2. (Rows of attention
sum to one, so the halving is the usual normalisation of rows.) Only that row is wanted, and a vector would do
if the last layer came first; it comes last, and keeping every layer's queries and keys until then costs memory in
proportion to depth. So the running product A_l ... A_1 is kept instead: one tokens x tokens matrix per image, and
for a ViT-B/16 half a percent of its arithmetic.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Heads = Float[Tensor, "images heads tokens channels"]

CHUNK = 1 << 24  # elements of attention that exist at any one time (64 MiB)


def mean_attention(
    queries: Float[Tensor, "images heads asking channels"], keys: Heads
) -> Float[Tensor, "images asking tokens"]:
    """Softmax attention in float32, averaged over heads."""
    with torch.autocast(queries.device.type, enabled=False):
        scaled = queries.float() * queries.shape[-1] ** -0.5
        return (scaled @ keys.float().transpose(-2, -1)).softmax(dim=-1).mean(dim=1)


class Rollout:
    """The running product of one forward pass; `add` wants the layers in order."""

    def __init__(self) -> None:
        self._product: Float[Tensor, "images tokens tokens"] | None = None

    @torch.no_grad()
    def add(self, queries: Heads, keys: Heads) -> None:
        """Multiply by the next layer."""
        images, heads, tokens, _ = queries.shape
        if self._product is None:
            one = torch.eye(tokens, device=queries.device)
            self._product = one.repeat(images, 1, 1)
        step = max(1, CHUNK // (heads * tokens * tokens))
        for start in range(0, images, step):
            part = slice(start, start + step)
            before = self._product[part]
            with torch.autocast(queries.device.type, enabled=False):
                attention = mean_attention(queries[part], keys[part])
                self._product[part] = torch.baddbmm(before, attention, before, beta=0.5, alpha=0.5)

    def result(self, prefix: int) -> Float[Tensor, "images patches"]:
        """The class token's row over the patches alone, brought back to a sum of one."""
        assert self._product is not None, "no layer was added"
        row = self._product[:, 0, prefix:]
        return row / row.sum(dim=1, keepdim=True)


class ClassAttention:
    """The class token's own row in every layer, averaged over heads."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    @torch.no_grad()
    def add(self, queries: Heads, keys: Heads) -> None:
        """Keep the next layer's row."""
        self._rows.append(mean_attention(queries[:, :, :1], keys)[:, 0])

    def result(self, prefix: int) -> Float[Tensor, "images layers patches"]:
        """Over the patches alone, as it is: each row sums to one less what the prefix tokens got."""
        return torch.stack(self._rows, dim=1)[..., prefix:]
