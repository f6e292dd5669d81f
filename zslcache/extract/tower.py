"""A vision model of any library, seen alike: a forward pass, and places where more can be read off it.

A tower never changes its model: it is read by forward hooks, which libraries promise to keep working, and which leave
fused attention switched on. One file for each library makes towers: timm_models, clip_models, hub_models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zslcache.errors import UsageError
from zslcache.extract.checkpoint import State
from zslcache.extract.spec import Spec, Value
from zslcache.extract.transform import Transform

Arguments = Mapping[str, Value]
Receive = Callable[[Tensor, Tensor], None]


class Tower(nn.Module):
    """A model, its `blocks` in order, if it has any, and how many prefix tokens go with the patches through them.

    Calling it gives the global vector and the tokens after the last norm (or None where there is no such thing).
    """

    model: Any  # libraries declare no types, and nn.Module's attributes have none
    blocks: Sequence[nn.Module] = ()
    prefix = 0  # the tokens before those of the patches, the class token first
    attends = False  # whether the class token's attention can be read off

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    @property
    def patches(self) -> nn.Module | None:
        """What embeds the patches."""
        return None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The global vector and the tokens of each image."""
        raise NotImplementedError

    def patch_tokens(self, output: Tensor) -> Tensor:
        """The output of `patches` as (images, tokens, width); some embeddings leave it a grid."""
        return output.flatten(1, -2)

    def tap_attention(self, block: Any, receive: Receive) -> RemovableHandle:
        """Have `receive` called with the queries and keys (images, heads, tokens, channels) of `block`."""
        return tap_joint_projection(block.attn, receive)


def tap_joint_projection(attention: Any, receive: Receive) -> RemovableHandle:
    """Read queries and keys where one linear layer, `qkv`, makes them together with the values."""

    def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        queries, keys, _ = output.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        receive(queries, keys)

    return attention.qkv.register_forward_hook(after)


@dataclass(frozen=True)
class Built:
    """A tower with random weights, and how weights and images come to it."""

    spec: Spec  # with its full tag and its published weights filled in
    tower: Tower
    transform: Transform
    convert: Callable[[State], State] = lambda state: state  # from the layout of published files to the model's own
    classifier: tuple[str, ...] = ()  # what no feature uses
    code: str = ""  # the sha256 of code that no release or commit pins


@contextmanager
def building(spec: Spec, arguments: Arguments) -> Iterator[None]:
    """Turn what a library raises over arguments it cannot use into our error."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError) as error:
        given = ", ".join(f"{name}={value}" for name, value in arguments.items()) or "its defaults"
        raise UsageError(
            f"{spec.name} cannot be built with {given}: {error or type(error).__name__}.",
            "Model arguments go to the constructor of the model as they are.",
        ) from error
