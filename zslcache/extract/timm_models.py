"""Towers from timm: its vision transformers, and everything else that ends in a grid."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import timm
from timm.data.config import resolve_data_config
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zslcache.errors import ZslError, unknown_name
from zslcache.extract.spec import HubFile, Spec
from zslcache.extract.tower import Arguments, Built, Receive, Tower, building, tap_joint_projection
from zslcache.extract.transform import Transform


class TimmTransformer(Tower):
    """A timm model made of an embedding of patches and blocks: ViT, DeiT, the ports of DINOv2 and many more."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.blocks = tuple(model.blocks)
        self.prefix = model.num_prefix_tokens
        has_class_token = getattr(model, "cls_token", None) is not None
        # Relatives of this class add rotations or position biases, which queries and keys alone do not show.
        plain = all(type(getattr(block, "attn", None)) is Attention for block in self.blocks)
        self.attends = has_class_token and plain

    @property
    def patches(self) -> nn.Module:
        """timm's embedding, with its own norm where it has one."""
        return self.model.patch_embed

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether `model` is of this kind; EfficientNets have blocks, too, and Swins embed patches."""
        return all(hasattr(model, name) for name in ("blocks", "patch_embed", "num_prefix_tokens"))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pooled vector before the classifier, and the tokens."""
        tokens = self.model.forward_features(images)
        return self.model.forward_head(tokens, pre_logits=True), tokens[:, self.prefix :]

    def tap_attention(self, block: Any, receive: Receive) -> RemovableHandle:
        """Queries and keys as the softmax sees them, so after their own norms where there are any."""
        attention = block.attn
        return tap_joint_projection(attention, lambda q, k: receive(attention.q_norm(q), attention.k_norm(k)))


class TimmGrid(Tower):
    """Any other timm model: its tokens are the last grid in raster order."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pooled vector before the classifier, and the cells of the grid."""
        features = self.model.forward_features(images)
        pooled = self.model.forward_head(features, pre_logits=True).flatten(1)
        if features.ndim == 4 and getattr(self.model, "output_fmt", "NCHW") == "NCHW":
            features = features.permute(0, 2, 3, 1)
        return pooled, features.flatten(1, -2) if features.ndim in (3, 4) else None


def build_timm(spec: Spec, arguments: Arguments) -> Built:
    """The timm model of `spec`; without a classifier unless `num_classes` is given."""
    architecture, _, tag = spec.model.partition(".")
    if not timm.is_model(architecture):
        raise unknown_name("timm model", architecture, timm.list_models(), "All: timm.list_models().")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise unknown_name(f"set of {architecture} weights", tag, tags)
    create: dict[str, Any] = {"num_classes": 0, **arguments}
    with building(spec, arguments):
        model: Any = timm.create_model(spec.model, pretrained=False, **create)
    # The module that defines a model also knows the older layouts of its checkpoints, and resamples positions.
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    options = {"adapt_layer_scale": True} if "adapt_layer_scale" in _parameters(convert) else {}  # for DeiT III
    published = model.pretrained_cfg
    classifier = published.get("classifier") or ()
    return Built(
        _with_published_weights(spec, published),
        TimmTransformer(model) if TimmTransformer.fits(model) else TimmGrid(model),
        timm_transform(resolve_data_config({"img_size": arguments.get("img_size")}, pretrained_cfg=published)),
        (lambda state: convert(state, model, **options)) if convert else (lambda state: state),
        (classifier,) if isinstance(classifier, str) else tuple(classifier),
    )


def _parameters(function: Callable[..., object] | None) -> Iterable[str]:
    return signature(function).parameters if function else ()


def _with_published_weights(spec: Spec, published: Mapping[str, Any]) -> Spec:
    """A bare name means timm's default tag of today; the spec says which one that is."""
    if spec.weights is not None or not published.get("hf_hub_id"):
        return spec
    weights = HubFile(published["hf_hub_id"], published.get("hf_hub_filename") or "model.safetensors")
    return replace(spec, model=f"{published['architecture']}.{published['tag']}", weights=weights)


def timm_transform(config: Mapping[str, Any]) -> Transform:
    """timm's evaluation preprocessing for one of its data configurations."""
    _, height, width = config["input_size"]
    modes = {"center": "shortest", "squash": "squash"}
    if height != width or config["crop_mode"] not in modes:
        raise ZslError(f"Only square inputs that are cropped or squashed are supported, not {dict(config)}.")
    return Transform(
        size=height,
        resize=math.floor(height / config["crop_pct"]),
        mode=modes[config["crop_mode"]],
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
