"""Features equal what the libraries compute when asked in their own way; tiny models, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from torch import Tensor, nn

from zslcache.errors import NotFoundError, UsageError, ZslError
from zslcache.extract import attention as attention_module
from zslcache.extract.backbones import Backbone, build_backbone
from zslcache.extract.catalogue import CATALOGUE, offered

VIT = "timm:vit_tiny_patch16_224"
SMALL = {"img_size": "48", "depth": "3", "embed_dim": "48", "num_heads": "3"}
EVERY = ("global", "tokens", "tokens@1", "tokens@3", "prefix@2", "patches", "rollout", "cls_attention")

HUBCONF = """
import torch
from torch import nn

dependencies = ["torch"]


class Attention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        images, tokens, width = x.shape
        q, k, v = self.qkv(x).view(images, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(images, tokens, width))


class Block(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, num_heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, 56, 56)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Mini(nn.Module):
    def __init__(self, width, depth, num_register_tokens):
        super().__init__()
        self.num_register_tokens = num_register_tokens
        self.patch_embed = PatchEmbed(width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.register_tokens = nn.Parameter(torch.randn(1, num_register_tokens, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.ModuleList(Block(width, 2) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Identity()

    def prepare_tokens_with_masks(self, x, masks=None):
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return torch.cat([x[:, :1], self.register_tokens.expand(len(x), -1, -1), x[:, 1:]], 1)

    def forward_features(self, x, masks=None):
        x = self.prepare_tokens_with_masks(x, masks)
        for block in self.blocks:
            x = block(x)
        normed = self.norm(x)
        first = 1 + self.num_register_tokens
        return {"x_norm_clstoken": normed[:, 0], "x_norm_patchtokens": normed[:, first:], "x_prenorm": x}

    def forward(self, x):
        return self.head(self.forward_features(x)["x_norm_clstoken"])


def mini(pretrained=True, width=16, depth=3, registers=2):
    assert not pretrained, "weights are loaded by their reader, not by this code"
    return Mini(width, depth, registers)


def other(pretrained=True):
    return nn.Linear(3, 3)
"""


@pytest.fixture
def hub(tmp_path: Path) -> str:
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return f"hub:{tmp_path}:mini"


@pytest.fixture(scope="module")
def clip_names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tiny models of open_clip under names of their own."""
    folder = tmp_path_factory.mktemp("clip")
    vision = {"image_size": 32, "layers": 3, "width": 64, "head_width": 16, "patch_size": 8}
    text = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
    towers = {
        "tiny-vit": vision,
        "tiny-vit-avg": {**vision, "pool_type": "avg", "final_ln_after_pool": True},
        "tiny-vit-ls": {**vision, "ls_init_value": 0.1, "output_tokens": True},
        "tiny-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
        "tiny-timm": {"timm_model_name": "resnet18", "timm_pool": "avg", "timm_proj": "linear", "image_size": 64},
    }
    for name, vision_cfg in towers.items():
        config = {"embed_dim": 24, "vision_cfg": vision_cfg, "text_cfg": text, "quick_gelu": name == "tiny-vit"}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return {name: f"clip:{name}/none" for name in towers}


def photographs(backbone: Backbone, count: int = 2) -> Tensor:
    side = backbone.transform.size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


def naive_rollout(attentions: list[Tensor], prefix: int) -> Tensor:
    """From full (images, heads, tokens, tokens) matrices, in float64, one image and one layer at a time."""
    rows = []
    for image in range(len(attentions[0])):
        joint = torch.eye(attentions[0].shape[-1], dtype=torch.float64)
        for layer in attentions:
            matrix = layer[image].double().mean(0) + torch.eye(len(joint), dtype=torch.float64)
            joint = (matrix / matrix.sum(1, keepdim=True)) @ joint
        rows.append(joint[0, prefix:] / joint[0, prefix:].sum())
    return torch.stack(rows)


def check_attention(found: dict[str, Tensor], attentions: list[Tensor], prefix: int) -> None:
    expected = naive_rollout(attentions, prefix)
    assert torch.allclose(found["rollout"].double(), expected, rtol=1e-4, atol=1e-7)
    assert torch.allclose(found["rollout"].sum(1), torch.ones(len(expected)), atol=1e-5)
    assert_close(found["cls_attention"], torch.stack([a.mean(1)[:, 0, prefix:] for a in attentions], 1))


def timm_attentions(model: nn.Module, images: Tensor) -> list[Tensor]:
    """What timm itself multiplies the values by, when its fused attention is off."""
    caught: list[Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, args, output: caught.append(output))
    model(images)
    return caught


VARIANTS = {
    "ViT": (VIT, SMALL),
    "registers": (VIT, {**SMALL, "reg_tokens": "4", "no_embed_class": "true", "init_values": "0.1"}),
    "normed queries": (VIT, {**SMALL, "qk_norm": "true"}),
    "distilled": ("timm:deit_tiny_distilled_patch16_224", SMALL),
    "any size": (VIT, {**SMALL, "dynamic_img_size": "true"}),
    "DINOv2 port": ("timm:vit_small_patch14_reg4_dinov2", {**SMALL, "img_size": "42"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_timm_transformers(variant: str) -> None:
    name, args = VARIANTS[variant]
    backbone = build_backbone(name, EVERY, weights="random", model_args=args)
    model, images = backbone.tower.model, photographs(backbone)
    found = backbone(images)
    assert tuple(found) == EVERY
    assert {n: tuple(v.shape[1:]) for n, v in found.items()} == {n: backbone.offered[n] for n in EVERY}
    prefix = model.num_prefix_tokens
    final = model.forward_features(images)
    assert_close(found["global"], model(images))  # a timm model without classes ends with its pooled features
    assert_close(found["tokens"], final[:, prefix:])
    blocks = model.forward_intermediates(images, output_fmt="NLC", intermediates_only=True, return_prefix_tokens=True)
    assert_close(found["tokens@1"], blocks[0][0])
    assert_close(found["tokens@3"], blocks[2][0])
    assert_close(found["prefix@2"], blocks[1][1])
    assert_close(found["patches"], model.patch_embed(images).reshape(found["patches"].shape))
    check_attention(found, timm_attentions(model, images), prefix)


def test_later_blocks_can_be_run_again_from_a_cached_block() -> None:
    features = ("tokens", "tokens@1", "prefix@1")
    backbone = build_backbone(VIT, features, weights="random", model_args={**SMALL, "reg_tokens": "2"})
    found = backbone(photographs(backbone))
    state = torch.cat([found["prefix@1"], found["tokens@1"]], dim=1)
    for block in backbone.tower.blocks[1:]:
        state = block(state)
    assert torch.equal(backbone.tower.model.norm(state)[:, 3:], found["tokens"])


@pytest.mark.parametrize("name", ["timm:resnet18", "timm:efficientnet_b0", "timm:convnext_atto"])
@torch.no_grad()
def test_timm_grids_are_flattened_in_raster_order(name: str) -> None:
    args = {"size": "64", "resize": "64"}
    backbone = build_backbone(name, ["global", "tokens"], weights="random", transform_args=args)
    images = photographs(backbone)
    found, grid = backbone(images), backbone.tower.model.forward_features(images)
    assert found["tokens"].shape == (2, 4, grid.shape[1])
    for row in range(2):
        for column in range(2):
            assert_close(found["tokens"][:, 2 * row + column], grid[:, :, row, column])
    assert_close(found["global"], backbone.tower.model(images))
    assert set(backbone.offered) == {"global", "tokens"}


@torch.no_grad()
def test_timm_grids_with_channels_last() -> None:
    args = {"img_size": "64", "window_size": "2", "embed_dim": "24"}
    backbone = build_backbone("timm:swin_tiny_patch4_window7_224", ["tokens"], weights="random", model_args=args)
    grid = backbone.tower.model.forward_features(photographs(backbone))
    assert_close(backbone(photographs(backbone))["tokens"][:, 1], grid[:, 0, 1])


@pytest.mark.parametrize("kind", ["tiny-vit", "tiny-vit-ls"])
@torch.no_grad()
def test_clip_transformers(kind: str, clip_names: dict[str, str], tmp_path: Path) -> None:
    whole = open_clip.create_model(kind).eval()
    torch.save(whole.state_dict(), tmp_path / "whole.pt")
    backbone = build_backbone(clip_names[kind], EVERY, weights=tmp_path / "whole.pt")
    images = photographs(backbone)
    found = backbone(images)
    assert {n: tuple(v.shape[1:]) for n, v in found.items()} == {n: backbone.offered[n] for n in EVERY}
    embedding = whole.encode_image(images)
    assert_close(found["global"], embedding[0] if isinstance(embedding, tuple) else embedding)
    visual = whole.visual
    visual.output_tokens = True
    assert_close(found["tokens"], visual(images)[1])
    patches = visual.conv1(images).flatten(2).transpose(1, 2)
    assert_close(found["patches"], patches)
    state = torch.cat([visual.class_embedding.expand(2, 1, -1), patches], dim=1) + visual.positional_embedding
    state, states, attentions = visual.ln_pre(state), [], []
    for block in visual.transformer.resblocks:
        normed = block.ln_1(state)
        attentions.append(block.attn(normed, normed, normed, need_weights=True, average_attn_weights=False)[1])
        state = block(state)
        states.append(state)
    check_attention(found, attentions, prefix=1)
    assert_close(found["tokens@1"], states[0][:, 1:])
    assert_close(found["tokens@3"], states[2][:, 1:])
    assert_close(found["prefix@2"], states[1][:, :1])


@torch.no_grad()
def test_other_clip_towers(clip_names: dict[str, str]) -> None:
    resnet = build_backbone(clip_names["tiny-resnet"], ["global", "tokens"], weights="random")
    images = photographs(resnet)
    found = resnet(images)
    assert_close(found["global"], resnet.tower.model(images))
    pooled = resnet.tower.model.attnpool(found["tokens"].transpose(1, 2).unflatten(2, (2, 2)))
    assert_close(found["global"], pooled)
    averaged = build_backbone(clip_names["tiny-vit-avg"], ["global", "tokens@3"], weights="random")
    assert_close(averaged(photographs(averaged))["global"], averaged.tower.model(photographs(averaged)))
    assert "tokens" not in averaged.offered  # its last norm comes after the pooling
    through_timm = build_backbone(clip_names["tiny-timm"], ["global"], weights="random")
    assert through_timm.offered == {"global": (24,)}


@torch.no_grad()
def test_torch_hub_models_that_speak_dinov2(hub: str) -> None:
    backbone = build_backbone(hub, EVERY, weights="random")
    model, images = backbone.tower.model, photographs(backbone)
    found = backbone(images)
    assert {n: tuple(v.shape[1:]) for n, v in found.items()} == {n: backbone.offered[n] for n in EVERY}
    expected = model.forward_features(images)
    assert_close(found["global"], model(images))
    assert_close(found["tokens"], expected["x_norm_patchtokens"])
    assert_close(found["tokens@3"], expected["x_prenorm"][:, 3:])
    assert_close(found["patches"], model.patch_embed(images))
    state, attentions = model.prepare_tokens_with_masks(images), []
    for number, block in enumerate(model.blocks, start=1):
        q, k, _ = block.attn.qkv(block.norm1(state)).view(2, 19, 3, 2, 8).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / 8**0.5
        attentions.append(scores.exp() / scores.exp().sum(-1, keepdim=True))
        state = block(state)
        if number == 2:
            assert_close(found["prefix@2"], state[:, :3])
    check_attention(found, attentions, prefix=3)


@torch.no_grad()
def test_attention_is_the_same_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = build_backbone(VIT, ["rollout"], weights="random", model_args=SMALL)
    images = photographs(backbone, count=5)
    whole = backbone(images)["rollout"]
    monkeypatch.setattr(attention_module, "CHUNK", 2 * 3 * 10 * 10)  # two images of 3 heads and 10 tokens
    assert torch.allclose(backbone(images)["rollout"], whole, atol=1e-7)


def test_attention_is_computed_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = build_backbone(VIT, ["global"], weights="random", model_args=SMALL)
    assert not hooks(backbone)
    monkeypatch.setattr(attention_module, "mean_attention", lambda *args: pytest.fail("attention was materialised"))
    assert list(backbone(photographs(backbone))) == ["global"]


def test_no_hook_stays_even_after_an_error() -> None:
    backbone = build_backbone(VIT, EVERY, weights="random", model_args=SMALL)
    backbone(photographs(backbone))
    with pytest.raises(AssertionError, match="height"):
        backbone(torch.zeros(1, 3, 40, 40))
    assert not hooks(backbone)


def hooks(backbone: Backbone) -> list[nn.Module]:
    return [m for m in backbone.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_frozen_until_asked_otherwise() -> None:
    backbone = build_backbone(VIT, ["tokens@2", "rollout"], weights="random", model_args=SMALL)
    assert not backbone.training
    assert not any(p.requires_grad for p in backbone.parameters())
    backbone.requires_grad_(True)
    found = backbone(photographs(backbone))
    found["tokens@2"].sum().backward()
    assert backbone.tower.model.patch_embed.proj.weight.grad is not None
    assert not found["rollout"].requires_grad


def test_half_precision_and_autocast_keep_attention_in_float32() -> None:
    backbone = build_backbone(VIT, ["global", "rollout"], weights="random", model_args=SMALL)
    images = photographs(backbone)
    exact = backbone(images)["rollout"]
    with torch.autocast("cpu", torch.bfloat16):
        found = backbone(images)
    assert found["rollout"].dtype == torch.float32
    assert torch.allclose(found["rollout"], exact, rtol=0.02)
    half = backbone.to(torch.bfloat16)(images.bfloat16())
    assert (half["global"].dtype, half["rollout"].dtype) == (torch.bfloat16, torch.float32)


def test_an_unknown_feature_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFoundError) as caught:
        build_backbone(VIT, ["global", "tokens@4"], weights="random", model_args=SMALL)
    assert caught.value.message == f"{VIT} has no feature 'tokens@4'."
    assert caught.value.hint == (
        "It has: global (48), tokens (9, 48), patches (9, 48), rollout (9), cls_attention (3, 9), "
        "tokens@1..3 (9, 48), prefix@1..3 (1, 48)."
    )


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("timm:eva02_tiny_patch14_224", {"depth": "1"}),  # rotates its queries and keys
        (VIT, {**SMALL, "class_token": "false", "global_pool": "avg"}),
    ],
)
def test_attention_that_would_be_wrong_is_not_offered(name: str, args: dict[str, str]) -> None:
    backbone = build_backbone(name, ["tokens@1"], weights="random", model_args=args)
    assert not {"rollout", "cls_attention"} & set(backbone.offered)


@pytest.mark.parametrize(
    "name",
    [n if n.startswith("nano") else pytest.param(n, marks=pytest.mark.slow) for n in CATALOGUE],
)
def test_the_catalogue_states_what_the_models_are(name: str) -> None:
    spec = CATALOGUE[name]
    assert spec.facts
    if spec.source == "hub":
        pytest.skip("its code is not at hand")
    backbone = build_backbone(spec, ["global"], weights="random")
    assert backbone.offered == offered(spec)
    assert sum(p.numel() for p in backbone.parameters()) == spec.facts.parameters
    assert (backbone.transform.size, len(backbone.tower.blocks)) == (spec.facts.px, spec.facts.blocks)
    assert backbone.identity["model"] == spec.model


def test_identity_says_what_the_features_depend_on(tmp_path: Path, hub: str) -> None:
    def identity(**changes: object) -> dict:
        given = {"weights": "random", "model_args": SMALL, "seed": 3, **changes}
        return build_backbone(VIT, ["global"], **given).identity

    first = identity()
    assert json.loads(json.dumps(first)) == first
    assert first == identity()
    assert first["model"] == f"vit_tiny_patch16_224.{timm.get_pretrained_cfg('vit_tiny_patch16_224').tag}"
    assert (first["source"], first["random_weights"], first["seed"]) == ("timm", True, 3)
    assert first["model_args"] == {"img_size": 48, "depth": 3, "embed_dim": 48, "num_heads": 3}
    for change in ({"seed": 4}, {"model_args": {**SMALL, "depth": "2"}}, {"transform_args": {"mean": "0.4"}}):
        assert identity(**change) != first
    assert identity(seed=4)["weights_sha256"] != first["weights_sha256"]
    from_hub = build_backbone(hub, ["global"], weights="random").identity
    assert from_hub["model"] == "mini"
    assert str(tmp_path) not in json.dumps(from_hub)
    (tmp_path / "more.py").write_text("x = 1")
    assert build_backbone(hub, ["global"], weights="random").identity["code_sha256"] != from_hub["code_sha256"]


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build_backbone(VIT, ["global"], weights="random", model_args=SMALL)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("timm:resnet_18", "There is no timm model called 'resnet_18'.", "resnet18"),
        ("timm:resnet18.tv_in2k", "There is no set of resnet18 weights called 'tv_in2k'.", "tv_in1k"),
        ("clip:ViT-B-61/openai", "There is no open_clip model called 'ViT-B-61'.", "Did you mean"),
        ("clip:ViT-B-16/openia", "There is no set of ViT-B-16 weights called 'openia'.", "openai"),
        ("hub:owner/repo:main:entry", "'owner/repo:main' is neither a folder nor OWNER/REPO:COMMIT.", "full commit"),
    ],
)
def test_misspelt_models_are_met_with_suggestions(name: str, message: str, hint: str) -> None:
    with pytest.raises(ZslError) as caught:
        build_backbone(name, ["global"], weights="random")
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_arguments_a_model_cannot_use_are_reported(hub: str, tmp_path: Path) -> None:
    for name, args in ((VIT, {"dept": "3"}), (VIT, {"embed_dim": "50", "num_heads": "3"}), (hub, {"deep": "1"})):
        with pytest.raises(UsageError, match="cannot be built with"):
            build_backbone(name, ["global"], weights="random", model_args=args)
    with pytest.raises(UsageError, match="Cannot find callable nano"):
        build_backbone(f"hub:{tmp_path}:nano", ["global"], weights="random")
    with pytest.raises(ZslError, match="does not speak DINOv2's interface"):
        build_backbone(f"hub:{tmp_path}:other", ["global"], weights="random")
