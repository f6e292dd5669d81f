"""Weights: found, read without running code, fitted to models, and missed with a word on what to do."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from zslcache.errors import DataError, NotFoundError, UsageError, ZslError
from zslcache.extract import locate
from zslcache.extract.backbones import build_backbone
from zslcache.extract.catalogue import CATALOGUE, resolve
from zslcache.extract.checkpoint import load_state, read_state, state_sha256
from zslcache.extract.decode import decode
from zslcache.extract.locate import obtain_weights, weights_available
from zslcache.extract.spec import HubFile, PackageFile, Spec, UrlFile, parse_value

NAME = "timm:vit_tiny_patch16_224"
ARGS = {"img_size": "32", "depth": "1", "embed_dim": "24", "num_heads": "3"}


def model(num_classes: int = 0) -> torch.nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, embed_dim=24, num_heads=3, num_classes=num_classes
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    ],
)
def test_the_usual_wrappings_are_opened(wrap: Callable[[dict], dict], tmp_path: Path) -> None:
    trained = model()
    torch.save(wrap(trained.state_dict()), tmp_path / "w.pth")
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    found = [build_backbone(NAME, ["global"], tmp_path / f, ARGS) for f in ("w.pth", "w.safetensors")]
    for backbone in found:
        assert backbone.identity["weights_sha256"] == state_sha256(trained)
        assert not backbone.identity["random_weights"]
    assert found[0].identity == found[1].identity  # the container does not matter
    assert found[0].provenance["weights_file_sha256"] != found[1].provenance["weights_file_sha256"]


def test_pickled_objects_are_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"model": model().state_dict(), "trap": Trap()}, tmp_path / "w.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Trap()))
    for name in ("w.pth", "plain.pkl"):
        with pytest.raises(DataError, match="could run code"):
            build_backbone(NAME, ["global"], tmp_path / name, ARGS)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\3\4 truncated"])
def test_damaged_files_are_reported(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"is not a readable weights file|could run code"):
        read_state(tmp_path / name)


def test_files_without_tensors_and_absent_files(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds no tensors by name"):
        read_state(tmp_path / "w.pth")
    with pytest.raises(NotFoundError, match="There is no weights file"):
        build_backbone(NAME, ["global"], tmp_path / "none.pth", ARGS)


def test_a_mismatch_names_the_first_of_each_kind() -> None:
    state = model().state_dict()
    del state["norm.weight"], state["norm.bias"]
    state |= {"extra.weight": torch.zeros(2, 3), "cls_token": torch.zeros(1, 1, 25)}
    with pytest.raises(DataError) as caught:
        load_state(model(), state, "w.pth")
    assert caught.value.message.splitlines() == [
        "w.pth does not fit the model:",
        "  the file lacks norm.weight (24,) and 1 more",
        "  the file has, but the model has not, extra.weight (2, 3)",
        "  the file has in another shape cls_token (1, 1, 25) where the model has (1, 1, 24)",
    ]
    assert "--backbone" in caught.value.hint


def test_only_the_classifier_may_differ(tmp_path: Path) -> None:
    with_head, without = model(num_classes=7), model()
    without.load_state_dict({k: v for k, v in with_head.state_dict().items() if not k.startswith("head.")})
    save_file(with_head.state_dict(), tmp_path / "head.safetensors")
    save_file(without.state_dict(), tmp_path / "bare.safetensors")
    images = torch.randn(2, 3, 32, 32)
    found = [
        build_backbone(NAME, ["global"], tmp_path / f"{name}.safetensors", {**ARGS, **more})(images)["global"]
        for name, more in (("head", {}), ("bare", {}), ("bare", {"num_classes": "5"}), ("head", {"num_classes": "5"}))
    ]
    assert all(torch.equal(found[0], other) for other in found[1:])
    with pytest.raises(DataError, match=r"has not, head.weight"):
        load_state(model(), with_head.state_dict(), "w.pth")


def test_positions_are_resampled_to_another_image_size(tmp_path: Path) -> None:
    name, args = "timm:vit_small_patch14_dinov2", {"depth": "1", "embed_dim": "24", "num_heads": "3"}
    trained = timm.create_model("vit_small_patch14_dinov2", depth=1, embed_dim=24, num_heads=3, num_classes=0)
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    backbone = build_backbone(name, ["tokens"], tmp_path / "w.safetensors", {**args, "img_size": "56"})
    assert (backbone.offered["tokens"], backbone.transform.size) == ((16, 24), 56)


def test_the_names_of_deit_iii_are_translated(tmp_path: Path) -> None:
    name, args = "deit3_small_patch16_224", {"img_size": 32, "depth": 1, "embed_dim": 24, "num_heads": 3}
    trained = timm.create_model(name, num_classes=0, **args)
    published = {
        k.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v for k, v in trained.state_dict().items()
    }
    assert "blocks.0.gamma_1" in published
    torch.save({"model": published}, tmp_path / "w.pth")
    given = {key: str(value) for key, value in args.items()}
    backbone = build_backbone(f"timm:{name}", ["global"], tmp_path / "w.pth", given)
    assert backbone.identity["weights_sha256"] == state_sha256(trained)


def test_the_hash_sees_names_shapes_types_and_values() -> None:
    def named(**tensors: torch.Tensor) -> str:
        module = torch.nn.Module()
        for name, tensor in tensors.items():
            module.register_buffer(name, tensor)
        return state_sha256(module)

    a, b = torch.arange(6.0), torch.ones(2)
    same = {named(a=a, b=b), named(b=b, a=a), named(a=a.clone(), b=torch.ones(4)[::2])}
    assert len(same) == 1
    others = [
        named(a=a),
        named(a=b, b=a),
        named(a=a.view(2, 3), b=b),
        named(a=a, b=b.view(torch.int32)),
        named(a=a, c=b),
    ]
    assert len(same.union(others)) == 1 + len(others)
    assert named(a=torch.tensor(0.0)) != named(a=torch.tensor(-0.0))
    assert named(a=b.bfloat16()) != named(a=b.half())


def test_published_weights_are_found_in_the_caches(tmp_path: Path) -> None:
    spec = Spec("x", "timm", "x", HubFile("owner/model"))
    assert weights_available(spec, tmp_path) is None
    snapshot = tmp_path / "models--owner--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"w")
    (tmp_path / "models--owner--model" / "refs").mkdir()
    (tmp_path / "models--owner--model" / "refs" / "main").write_text("abc")
    assert weights_available(spec, tmp_path) == snapshot / "model.safetensors"
    assert obtain_weights(spec, tmp_path) == snapshot / "model.safetensors"


def test_torch_hub_weights_count_only_with_their_code(tmp_path: Path) -> None:
    spec = CATALOGUE["dinov2_s14"]
    (tmp_path / "checkpoints").mkdir()
    weights = tmp_path / "checkpoints" / "dinov2_vits14_pretrain.pth"
    weights.write_bytes(b"w")
    assert weights_available(spec, tmp_path) is None
    (tmp_path / spec.model.rpartition(":")[0].replace("/", "_").replace(":", "_")).mkdir()
    assert weights_available(spec, tmp_path) == weights


def test_torch_hub_folder_is_the_one_of_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert locate.torch_hub_dir() == Path(torch.hub.get_dir())


def test_without_a_network_the_file_to_get_is_named_at_once(no_network: None, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(NotFoundError) as caught:
        build_backbone("timm:resnet18.tv_in1k", ["global"], hub_dir=tmp_path)
    assert time.monotonic() - began < 5
    assert caught.value.message == (
        "The weights of timm:resnet18.tv_in1k are not on this machine and cannot be downloaded: "
        "Name or service not known."
    )
    assert caught.value.hint == (
        "Get model.safetensors of huggingface.co/timm/resnet18.tv_in1k elsewhere and pass it with --weights FILE."
    )
    with pytest.raises(NotFoundError, match="The code of dinov2_s14 is not on this machine") as caught:
        build_backbone("dinov2_s14", ["global"], hub_dir=tmp_path)
    assert "github.com/facebookresearch/dinov2 at commit" in caught.value.hint
    url = Spec("x", "timm", "x", UrlFile("https://example.org/w.pth"))
    with pytest.raises(NotFoundError, match="cannot be downloaded: Name or service not known"):
        obtain_weights(url, tmp_path)
    assert not list(tmp_path.rglob("*.pth"))


def test_an_offline_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(locate, "reach", lambda *args: pytest.fail("the network was asked"))
    with pytest.raises(NotFoundError, match="HF_HUB_OFFLINE is set"):
        obtain_weights(CATALOGUE["vit_b16"], tmp_path)


def test_a_download_is_whole_or_absent(tmp_path: Path) -> None:
    (tmp_path / "source.pth").write_bytes(b"weights")
    spec = Spec("x", "timm", "x", UrlFile((tmp_path / "source.pth").as_uri()))
    target = obtain_weights(spec, tmp_path)
    assert target == tmp_path / "checkpoints" / "source.pth"
    assert target.read_bytes() == b"weights"


def test_weights_that_nobody_publishes_or_that_are_not_installed(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No published weights are known for timm:vit_tiny_patch16_18x2"):
        obtain_weights(Spec("timm:vit_tiny_patch16_18x2", "timm", "x"))
    absent = Spec("nano", "timm", "x", PackageFile("absent.safetensors"))
    assert weights_available(absent) is None
    with pytest.raises(NotFoundError, match=r"absent\.safetensors is missing from the package"):
        obtain_weights(absent)


def test_names_are_resolved() -> None:
    assert resolve("vit_b16").model == "vit_base_patch16_224.augreg_in1k"
    assert (resolve("timm:resnet18").source, resolve("timm:resnet18").model) == ("timm", "resnet18")
    assert resolve("clip:ViT-B-16/openai").source == "clip"
    assert resolve("hub:a/b:0123:entry").model == "a/b:0123:entry"
    for name, message in (("clip:ViT-B-16", "does not say which weights"), ("hub:entry", "which entry point")):
        with pytest.raises(UsageError, match=message):
            resolve(name)
    with pytest.raises(NotFoundError) as caught:
        resolve("vit_b_16")
    assert "vit_b16" in caught.value.hint
    for odd in ("timm:", "", "nothing:like it"):
        with pytest.raises(NotFoundError, match="There is no backbone called") as caught:
            resolve(odd)
    assert "timm:NAME" in caught.value.hint


def test_short_names_never_follow_a_default_tag() -> None:
    for spec in CATALOGUE.values():
        if spec.source == "timm" and not isinstance(spec.weights, PackageFile):
            assert timm.is_model_pretrained(spec.model)
            assert spec.weights == HubFile(timm.get_pretrained_cfg(spec.model).hf_hub_id)
        if spec.source == "hub":
            assert len(spec.model.split(":")[1]) == 40


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.none()))
def test_values_are_parsed_from_their_spelling(value: bool | int | float | None) -> None:
    found = parse_value(str(value))
    assert (type(found), found) == (type(value), value)


def test_words_and_lists_are_values_too() -> None:
    assert parse_value("same") == "same"
    assert parse_value("32,64") == (32, 64)
    assert parse_value("0.5,x") == (0.5, "x")


def test_the_catalogue_is_read_without_heavy_imports() -> None:
    code = (
        "import sys; from zslcache.extract.catalogue import *; from zslcache.extract.locate import weights_available\n"
        "[weights_available(spec) for spec in CATALOGUE.values()]\n"
        "assert not {'torch', 'timm', 'open_clip', 'numpy', 'PIL'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.real
@torch.no_grad()
def test_a_real_network_knows_a_real_bird(real_data: Path) -> None:
    args = {"pad_type": "same", "num_classes": "1001"}
    weights = real_data / "weights" / "mobilenetv2_100.fp16.safetensors"
    backbone = build_backbone(
        "timm:mobilenetv2_100", ["tokens", "global"], weights, args, {"mean": "0.5", "std": "0.5"}
    )
    assert backbone.offered == {"global": (1280,), "tokens": (49, 1280)}
    assert (backbone.transform.mean, backbone.transform.size) == ((0.5,) * 3, 224)
    names = sorted((real_data / "cub10" / "images" / "002.Laysan_Albatross").glob("*.jpg"))[:8]
    pixels = [torch.from_numpy(backbone.transform(decode(name.read_bytes()))) for name in names]
    found = backbone(backbone.normalise(torch.stack(pixels)))
    grid = found["tokens"].transpose(1, 2).unflatten(2, (7, 7))
    assert torch.allclose(grid.mean((2, 3)), found["global"], atol=1e-5)
    best = backbone.tower.model.classifier(found["global"]).argmax(1)
    assert (best == 147).sum() >= 7  # ImageNet's albatross, after a class for the background
    with pytest.raises(DataError, match=r"lacks conv_stem.weight|does not fit"):
        build_backbone("timm:mobilenetv2_050", ["global"], weights, args)


def test_errors_are_ours(tmp_path: Path) -> None:
    (tmp_path / "w.png").write_bytes(b"")
    Image.new("RGB", (4, 4)).save(tmp_path / "w.png")
    with pytest.raises(ZslError):
        build_backbone(NAME, ["global"], tmp_path / "w.png", ARGS)
