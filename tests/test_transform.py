"""The preprocessing equals that of the libraries the backbones come from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm.data
import torch
import torchvision.transforms as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from zslcache.errors import UsageError
from zslcache.extract.clip_models import clip_transform
from zslcache.extract.decode import Undecodable
from zslcache.extract.timm_models import timm_transform
from zslcache.extract.transform import Transform

TIMM = {
    "input_size": (3, 64, 64),
    "interpolation": "bicubic",
    "crop_pct": 0.9,
    "crop_mode": "center",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
CLIP = {
    "size": 48,
    "mode": "RGB",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


def image(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def ours(transform: Transform, picture: Image.Image) -> torch.Tensor:
    pixels = transform(picture)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (transform.size, transform.size, 3)
    return transform.normaliser()(torch.from_numpy(pixels)[None])[0]


sizes = st.integers(1, 300)


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, st.sampled_from(["bilinear", "bicubic"]), st.sampled_from([1.0, 0.875, 0.9]), st.booleans())
def test_equals_timm(height: int, width: int, interpolation: str, crop_pct: float, squash: bool) -> None:
    mode = "squash" if squash else "center"
    config = {**TIMM, "interpolation": interpolation, "crop_pct": crop_pct, "crop_mode": mode}
    expected = timm.data.create_transform(**config)(image(height, width))
    assert torch.allclose(ours(timm_transform(config), image(height, width)), expected, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, st.sampled_from(["shortest", "squash"]), st.sampled_from(["bilinear", "bicubic"]))
def test_equals_open_clip(height: int, width: int, resize_mode: str, interpolation: str) -> None:
    config = {**CLIP, "resize_mode": resize_mode, "interpolation": interpolation}
    expected = image_transform_v2(PreprocessCfg(**config), is_train=False)
    found = ours(clip_transform(48, config), image(height, width))
    assert torch.allclose(found, expected(image(height, width)), rtol=0, atol=1e-6)


@pytest.mark.real
def test_equals_the_libraries_on_real_photographs(real_data: Path) -> None:
    dinov2 = tv.Compose(
        [
            tv.Resize(256, interpolation=tv.InterpolationMode.BICUBIC),
            tv.CenterCrop(224),
            tv.ToTensor(),
            tv.Normalize(TIMM["mean"], TIMM["std"]),
        ]
    )
    config = {**TIMM, "input_size": (3, 224, 224)}
    pairs = [(timm_transform(config), timm.data.create_transform(**config)), (Transform(224, 256), dinov2)]
    for path in sorted(real_data.glob("cub10/images/*/*.jpg"))[::45]:
        with Image.open(path) as picture:
            for transform, library in pairs:
                expected = library(picture.convert("RGB"))
                assert torch.allclose(ours(transform, picture.convert("RGB")), expected, rtol=0, atol=1e-6)


def test_a_line_of_pixels_does_not_fill_the_memory() -> None:
    with pytest.raises(Undecodable, match="too thin: 1 x 5000 would become 224 x 1120000 pixels"):
        Transform(224, 224)(Image.new("RGB", (1, 5000)))


def test_settings_can_be_replaced() -> None:
    base = Transform(size=224, resize=256)
    assert base.with_args({"size": 448}).resize == 512
    assert base.with_args({"size": 448, "resize": 448}).resize == 448
    assert base.with_args({"mean": 0.5}).mean == (0.5, 0.5, 0.5)
    assert base.with_args({"std": (1, 2.0, 3)}).std == (1.0, 2.0, 3.0)
    assert base.with_args({}) == base
    assert json.loads(json.dumps(base.as_dict())) == base.as_dict()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"sise": 5}, "The preprocessing has no setting 'sise'."),
        ({"size": "big"}, "size must be a whole number of pixels, not 'big'"),
        ({"resize": True}, "resize must be a whole number of pixels"),
        ({"size": 0, "resize": 5}, "size 0 must be positive"),
        ({"size": 300, "resize": 256}, "must be positive and not above resize 256"),
        ({"mean": (1, 2)}, "mean must be one number or three"),
        ({"mean": float("nan")}, "mean must be one number or three"),
        ({"mean": "a"}, "mean must be one number or three"),
        ({"std": 0}, "std must be above zero"),
        ({"mode": "longest"}, "mode 'longest' is neither shortest nor squash"),
        ({"interpolation": "best"}, "interpolation 'best' is none of nearest, bilinear, bicubic, lanczos"),
    ],
)
def test_impossible_settings_are_named(args: dict, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Transform(224, 256).with_args(args)
    assert message in caught.value.message
