"""A frozen vision encoder with its own preprocessing: images in, named features out, in one forward pass.

For one image of T patches:
    global         what goes into the classifier: a ViT's class token after the last norm, a CNN's pooled grid, and for
                   CLIP the projected embedding, not normalised
    tokens         (T, width) after the last norm; for a CNN the last grid in raster order
    tokens@L       the patches' tokens as block L leaves them, L from 1 to the number of blocks, no norm applied
    prefix@L       the class token and registers as block L leaves them: with tokens@L, all that later blocks need
    patches        (T, width) embeddings of the patches before positions and blocks
    rollout        (T,) attention rollout of the class token (see attention.py), sums to one
    cls_attention  (blocks, T) the class token's attention in each block, averaged over heads
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zslcache.errors import NotFoundError
from zslcache.extract.attention import ClassAttention, Rollout
from zslcache.extract.catalogue import resolve
from zslcache.extract.checkpoint import load_state, read_state, state_sha256
from zslcache.extract.locate import obtain_weights
from zslcache.extract.spec import Spec, Value, parse_value
from zslcache.extract.tower import Arguments, Built, Tower
from zslcache.extract.transform import Transform
from zslcache.files import sha256_file


class Backbone(nn.Module):
    """`backbone(images)` gives the chosen features by name; `offered` holds the shape of all it could give."""

    def __init__(
        self,
        spec: Spec,
        tower: Tower,
        transform: Transform,
        features: Sequence[str],
        identity: dict[str, Any],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.spec = spec
        self.tower = tower
        self.transform = transform
        self.normalise = transform.normaliser()
        self.identity = identity
        self.provenance = provenance
        self.eval().requires_grad_(False)
        self.features = self._everything_once()
        self.offered = self._probe()
        self.features = tuple(dict.fromkeys(features))
        for name in self.features:
            if name not in self.offered:
                raise NotFoundError(
                    f"{spec.name} has no feature {name!r}.", f"It has: {describe_features(self.offered)}."
                )

    def forward(self, images: Float[Tensor, "images 3 height width"]) -> dict[str, Tensor]:
        """The chosen features of normalised images."""
        found: dict[str, Tensor] = {}
        rollout, attention = Rollout(), ClassAttention()
        with ExitStack() as taps:
            for handle in self._taps(found, rollout, attention):
                taps.callback(handle.remove)
            pooled, tokens = self.tower(images)
        found["global"] = pooled
        if tokens is not None:
            found["tokens"] = tokens
        if "rollout" in self.features:
            found["rollout"] = rollout.result(self.tower.prefix)
        if "cls_attention" in self.features:
            found["cls_attention"] = attention.result(self.tower.prefix)
        return {name: found[name] for name in self.features if name in found}

    def _taps(self, found: dict[str, Tensor], rollout: Rollout, attention: ClassAttention) -> Iterator[RemovableHandle]:
        """Hooks for exactly what was asked for, to be removed after the pass."""
        if "patches" in self.features and self.tower.patches is not None:
            yield self.tower.patches.register_forward_hook(
                lambda module, args, output: found.update(patches=self.tower.patch_tokens(output))
            )
        for number, block in enumerate(self.tower.blocks, start=1):
            if {f"tokens@{number}", f"prefix@{number}"} & set(self.features):
                yield block.register_forward_hook(_keep_block(found, number, self.tower.prefix))
            if "rollout" in self.features:
                yield self.tower.tap_attention(block, rollout.add)
            if "cls_attention" in self.features:
                yield self.tower.tap_attention(block, attention.add)

    def _everything_once(self) -> tuple[str, ...]:
        """One feature of every kind that the tower may have."""
        names = ["global", "tokens"]
        if self.tower.patches is not None:
            names.append("patches")
        if self.tower.attends:
            names += ["rollout", "cls_attention"]
        if self.tower.blocks:
            names += ["tokens@1", "prefix@1"] if self.tower.prefix else ["tokens@1"]
        return tuple(names)

    @torch.no_grad()
    def _probe(self) -> dict[str, tuple[int, ...]]:
        """The shapes for one image, from a pass over a black one."""
        side = self.transform.size
        shapes = {name: tuple(value.shape[1:]) for name, value in self(torch.zeros(1, 3, side, side)).items()}
        for number in range(2, len(self.tower.blocks) + 1):
            shapes |= {
                f"{kind}@{number}": shapes[f"{kind}@1"] for kind in ("tokens", "prefix") if f"{kind}@1" in shapes
            }
        return shapes


def build_backbone(
    spec: Spec | str,
    features: Sequence[str],
    weights: Path | str | None = None,
    model_args: Mapping[str, str] | None = None,
    transform_args: Mapping[str, str] | None = None,
    hub_dir: Path | None = None,
    seed: int = 0,
) -> Backbone:
    """The backbone of `spec`, frozen, giving `features`.

    `weights` is a file, "random" (drawn from `seed`), or None for the published ones, which are downloaded if they are
    not on this machine. The strings in `model_args` and `transform_args` override the model's own settings.
    """
    spec = resolve(spec) if isinstance(spec, str) else spec
    given: dict[str, Value] = {name: parse_value(text) for name, text in (model_args or {}).items()}
    arguments = {**dict(spec.model_args), **given}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = _build(spec, arguments, hub_dir)
    provenance: dict[str, Any] = {"backbone": spec.name}
    if weights != "random":
        path = Path(weights) if weights else obtain_weights(built.spec, hub_dir)
        state = built.convert(read_state(path))
        load_state(built.tower.model, state, str(path), built.classifier)
        provenance |= {"weights_file": path.name, "weights_file_sha256": sha256_file(path)}
    overrides = {name: parse_value(text) for name, text in (transform_args or {}).items()}
    transform = built.transform.with_args({**dict(spec.transform_args), **overrides})
    identity = {
        "source": spec.source,
        "model": built.spec.model,
        "model_args": {name: _plain(value) for name, value in arguments.items()},
        "weights_sha256": state_sha256(built.tower.model),
        "random_weights": weights == "random",
        "transform": transform.as_dict(),
    }
    if built.code:
        identity["code_sha256"] = built.code
    if weights == "random":
        identity["seed"] = seed
    return Backbone(spec, built.tower, transform, features, identity, provenance)


def _build(spec: Spec, arguments: Arguments, hub_dir: Path | None) -> Built:
    """One library each, imported only when it is needed."""
    if spec.source == "timm":
        from zslcache.extract.timm_models import build_timm

        return build_timm(spec, arguments)
    if spec.source == "clip":
        from zslcache.extract.clip_models import build_clip

        return build_clip(spec, arguments)
    from zslcache.extract.hub_models import build_hub

    return build_hub(spec, arguments, hub_dir)


def _plain(value: Value) -> Any:
    """As JSON has it."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def describe_features(offered: Mapping[str, tuple[int, ...]]) -> str:
    """All features with their shapes in one line; the blocks as a range."""
    blocks = sum(name.startswith("tokens@") for name in offered)
    parts = []
    for name, shape in offered.items():
        kind, at, number = name.partition("@")
        if number in ("", "1"):
            range_of_blocks = f"@1..{blocks}" if at else ""
            parts.append(f"{kind}{range_of_blocks} ({', '.join(map(str, shape))})")
    return ", ".join(parts)


def _keep_block(found: dict[str, Tensor], number: int, prefix: int) -> Callable[[nn.Module, Any, Tensor], None]:
    def keep(module: nn.Module, args: object, output: Tensor) -> None:
        found[f"prefix@{number}"], found[f"tokens@{number}"] = output[:, :prefix], output[:, prefix:]

    return keep
