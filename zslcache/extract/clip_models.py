"""Towers from open_clip: the image half of a CLIP model, without its text half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import open_clip
from open_clip.model import _build_vision_tower, resize_pos_embed  # the public way makes the text half, too
from open_clip.transform import PreprocessCfg
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from zslcache.errors import ZslError, unknown_name
from zslcache.extract.checkpoint import State
from zslcache.extract.spec import HubFile, Spec
from zslcache.extract.tower import Arguments, Built, Receive, Tower, building
from zslcache.extract.transform import Transform


class ClipTransformer(Tower):
    """open_clip's ViT: `global` is the projected embedding, not normalised; tokens are those that its pooling reads.

    Where the last norm comes after the pooling there are no tokens "after the last norm", and none are given.
    """

    prefix = 1

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__(model)
        self.blocks = tuple(model.transformer.resblocks)
        attentions = [getattr(block, "attn", None) for block in self.blocks]
        self.attends = all(isinstance(a, nn.MultiheadAttention) and a.batch_first for a in attentions)

    @property
    def patches(self) -> nn.Module:
        """The convolution that embeds."""
        return self.model.conv1

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The embedding and the tokens."""
        norm_before_pool = self.model.attn_pool is None and not self.model.final_ln_after_pool
        pooled, normed = run_and_catch(self.model, self.model.ln_post if norm_before_pool else None, images)
        return pooled, normed if normed is None else normed[:, self.prefix :]

    def patch_tokens(self, output: Tensor) -> Tensor:
        """The embedding is a convolution: channels come first."""
        return output.flatten(2).transpose(1, 2)

    def tap_attention(self, block: Any, receive: Receive) -> RemovableHandle:
        """Project queries and keys once more: this module shows its input and its output, nothing between."""
        attention = block.attn

        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            width = attention.embed_dim
            weight, bias = attention.in_proj_weight[: 2 * width], attention.in_proj_bias[: 2 * width]
            both = functional.linear(args[0], weight, bias).unflatten(-1, (2, attention.num_heads, -1))
            queries, keys = both.permute(2, 0, 3, 1, 4)
            receive(queries, keys)

        return attention.register_forward_pre_hook(before)


class ClipOther(Tower):
    """Any other image tower of open_clip: the embedding; for its own ResNets also the last grid."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The embedding and the cells of the grid, if there is one."""
        pooled, grid = run_and_catch(self.model, getattr(self.model, "layer4", None), images)
        return pooled, grid if grid is None else grid.flatten(2).transpose(1, 2)


def run_and_catch(model: nn.Module, inner: nn.Module | None, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """What `model` puts out, and what its part `inner` did on the way."""
    caught: list[Tensor] = []
    handle = inner.register_forward_hook(lambda module, args, output: caught.append(output)) if inner else None
    try:
        output = model(images)
    finally:
        if handle:
            handle.remove()
    # Some configurations return their tokens as well.
    return output[0] if isinstance(output, tuple) else output, caught[0] if caught else None


def build_clip(spec: Spec, arguments: Arguments) -> Built:
    """The image tower of `spec`; `arguments` override fields of the model's `vision_cfg`."""
    name, _, tag = spec.model.partition("/")
    config = open_clip.get_model_config(name)
    if config is None:
        raise unknown_name("open_clip model", name, open_clip.list_models(), "All: open_clip.list_models().")
    published = open_clip.get_pretrained_cfg(name, tag) or {}
    if not published and (tags := open_clip.list_pretrained_tags_by_model(name)):
        raise unknown_name(f"set of {name} weights", tag, tags)
    vision = {**config["vision_cfg"], **arguments}
    # Weights that were trained with QuickGELU need it, whichever model name they are asked for under.
    quick_gelu = bool(config.get("quick_gelu") or published.get("quick_gelu"))
    with building(spec, arguments):
        model: Any = _build_vision_tower(config["embed_dim"], vision, quick_gelu)
    if spec.weights is None and published.get("hf_hub"):
        repo, _, file = published["hf_hub"].rpartition("/")
        spec = replace(spec, weights=HubFile(repo, file or "open_clip_model.safetensors"))
    tower = ClipTransformer(model) if isinstance(model, VisionTransformer) else ClipOther(model)
    size = getattr(model, "image_size", None) or vision.get("image_size", 224)
    transform = clip_transform(size, {**asdict(PreprocessCfg()), **published})
    return Built(spec, tower, transform, lambda state: _image_half(state, model))


def clip_transform(size: int | tuple[int, int], config: Mapping[str, Any]) -> Transform:
    """open_clip's evaluation preprocessing for one of its configurations."""
    height, width = (size, size) if isinstance(size, int) else size
    if height != width or config["resize_mode"] not in ("shortest", "squash"):
        raise ZslError(f"Only square inputs that are cropped or squashed are supported, not {dict(config)}.")
    return Transform(
        size=height,
        resize=height,
        mode=config["resize_mode"],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _image_half(state: State, model: Any) -> State:
    """The entries of the image tower, positions resampled to its grid; a file of the tower alone is left as it is."""
    names = [name for name in state if name.startswith("visual.")]
    if not names:
        return state
    whole: Any = nn.Module()
    whole.visual = model
    resize_pos_embed(state, whole)
    return {name.removeprefix("visual."): state[name] for name in names}
