"""The named backbones: what each one is, exactly, and what it may have seen before.

A short name stands for one full tag and never moves: a library's own default tag does (timm's `vit_tiny_patch16_224`
meant other weights in 0.5 than in 0.6). Where several weights exist, a short name takes the one trained on
ImageNet-1k alone, because the proposed splits keep unseen classes out of ImageNet-1k and of nothing larger:
`vit_b16` is `augreg_in1k` although timm's default has seen ImageNet-21k, and `vit_l16` is DeiT III, the one ViT-L/16
published without it. The ResNets carry torchvision's first
weights (`tv_in1k`), which the published zero-shot results used.
"""

from __future__ import annotations

from collections.abc import Mapping

from zslcache.errors import UsageError, unknown_name
from zslcache.extract.spec import Facts, HubFile, PackageFile, Spec, UrlFile, Value

# The last commit of the public repository; its code runs on load, so it must never move.
DINOV2 = "facebookresearch/dinov2:b8931f7bf91576930313be2c6d6af376033b35f0"
ANY_OTHER = "Any other model: timm:NAME, clip:MODEL/PRETRAINED or hub:OWNER/REPO:COMMIT:ENTRY."

_IN1K = "ImageNet-1k"
_LVD_LEAK = (
    "LVD-142M was gathered around images of ImageNet-22k and fine-grained sets; unseen classes are very likely in it."
)
_WIT_LEAK = "400 million captioned web images very probably show and name the unseen classes."
_NANO = "drawn animals of classes that are in no split"


def _timm(name: str, tag: str, facts: Facts, **transform: Value) -> Spec:
    return Spec(name, "timm", tag, HubFile(f"timm/{tag}"), transform_args=tuple(transform.items()), facts=facts)


def _dinov2(name: str, entry: str, width: int, blocks: int, parameters: int) -> Spec:
    facts = Facts(width, 16, 224, blocks, parameters, "LVD-142M, self-supervised", _LVD_LEAK, "Apache-2.0")
    url = f"https://dl.fbaipublicfiles.com/dinov2/{entry}/{entry}_pretrain.pth"
    return Spec(name, "hub", f"{DINOV2}:{entry}", UrlFile(url), facts=facts)


def _clip(name: str, model: str, port: str, facts: Facts) -> Spec:
    # OpenAI trained with QuickGELU; the plain model names of open_clip compute another function.
    weights = HubFile(f"timm/{port}.openai", "open_clip_model.safetensors")
    return Spec(name, "clip", f"{model}-quickgelu/openai", weights, facts=facts)


def _nano(name: str, model: str, facts: Facts, model_args: Mapping[str, Value]) -> Spec:
    # Without a border: the drawings already fill their 96 pixels.
    transform: dict[str, Value] = {"size": 96, "resize": 96, "mean": 0.5, "std": 0.5}
    return Spec(
        name,
        "timm",
        model,
        PackageFile(f"{name}.safetensors"),
        tuple(model_args.items()),
        tuple(transform.items()),
        facts,
    )


_ALL = (
    _timm(
        "vit_b16",
        "vit_base_patch16_224.augreg_in1k",
        Facts(768, 14, 224, 12, 85_798_656, _IN1K, "", "Apache-2.0"),
    ),
    _timm(
        "deit_b16",
        "deit_base_patch16_224.fb_in1k",
        Facts(768, 14, 224, 12, 85_798_656, _IN1K, "", "Apache-2.0"),
    ),
    _timm(
        "vit_l16",
        "deit3_large_patch16_224.fb_in1k",
        Facts(1024, 14, 224, 24, 303_349_760, _IN1K, "", "Apache-2.0"),
    ),
    _timm("resnet50", "resnet50.tv_in1k", Facts(2048, 7, 224, 0, 23_508_032, _IN1K, "", "BSD-3-Clause")),
    _timm("resnet101", "resnet101.tv_in1k", Facts(2048, 7, 224, 0, 42_500_160, _IN1K, "", "BSD-3-Clause")),
    _timm(  # 448 px without a border, as in the attention methods that read this grid
        "resnet101_448",
        "resnet101.tv_in1k",
        Facts(2048, 14, 448, 0, 42_500_160, _IN1K, "", "BSD-3-Clause"),
        size=448,
        resize=448,
    ),
    _dinov2("dinov2_s14", "dinov2_vits14", 384, 12, 22_056_576),
    _dinov2("dinov2_b14", "dinov2_vitb14", 768, 12, 86_580_480),
    _dinov2("dinov2_l14", "dinov2_vitl14", 1024, 24, 304_368_640),
    _clip(
        "clip_b32",
        "ViT-B-32",
        "vit_base_patch32_clip_224",
        Facts(768, 7, 224, 12, 87_849_216, "WIT-400M, image and text", _WIT_LEAK, "MIT", 512),
    ),
    _clip(
        "clip_b16",
        "ViT-B-16",
        "vit_base_patch16_clip_224",
        Facts(768, 14, 224, 12, 86_192_640, "WIT-400M, image and text", _WIT_LEAK, "MIT", 512),
    ),
    _clip(
        "clip_l14",
        "ViT-L-14",
        "vit_large_patch14_clip_224",
        Facts(1024, 16, 224, 24, 303_966_208, "WIT-400M, image and text", _WIT_LEAK, "MIT", 768),
    ),
    _nano(
        "nano_vit",
        "vit_tiny_patch16_224",
        Facts(160, 8, 96, 6, 1_935_840, _NANO, "", "Apache-2.0"),
        {"img_size": 96, "patch_size": 12, "embed_dim": 160, "depth": 6, "num_heads": 5},
    ),
    _nano(
        "nano_resnet",
        "resnet18",
        Facts(192, 6, 96, 0, 1_958_272, _NANO, "", "Apache-2.0"),
        {"channels": (32, 64, 128, 192), "output_stride": 16},
    ),
)
CATALOGUE: Mapping[str, Spec] = {spec.name: spec for spec in _ALL}


def resolve(name: str) -> Spec:
    """The spec called `name`, or one made from timm:NAME, clip:MODEL/PRETRAINED or hub:REPO:ENTRY."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    source, _, model = name.partition(":")
    if source == "timm" and model:
        return Spec(name, "timm", model)
    if source == "clip" and model:
        if not all(model.partition("/")):
            raise UsageError(f"{name!r} does not say which weights.", "Write clip:MODEL/PRETRAINED.")
        return Spec(name, "clip", model)
    if source == "hub" and model:
        if not all(model.rpartition(":")):
            raise UsageError(f"{name!r} does not say which entry point.", "Write hub:OWNER/REPO:COMMIT:ENTRY.")
        return Spec(name, "hub", model)
    raise unknown_name("backbone", name, CATALOGUE, ANY_OTHER)


def offered(spec: Spec) -> dict[str, tuple[int, ...]]:
    """The features of a catalogued backbone and the shape of each for one image."""
    assert spec.facts, "only catalogued backbones have facts"
    facts = spec.facts
    tokens = (facts.grid**2, facts.width)
    shapes: dict[str, tuple[int, ...]] = {"global": (facts.embedding or facts.width,), "tokens": tokens}
    if facts.blocks:
        shapes |= {"patches": tokens, "rollout": tokens[:1], "cls_attention": (facts.blocks, tokens[0])}
        shapes |= {f"tokens@{block}": tokens for block in range(1, facts.blocks + 1)}
        shapes |= {f"prefix@{block}": (1, facts.width) for block in range(1, facts.blocks + 1)}
    return shapes
