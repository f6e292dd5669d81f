"""Extraction against plain forward passes: what is stored is what the encoder sees, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests.extraction import Lines, array_digests, dataset_of, draw_pictures, tiny_vit
from zslcache import __version__
from zslcache.cache.lock import BusyError, writer_lock
from zslcache.cache.store import HASH, LOCK, FeatureStore
from zslcache.data.dataset import Dataset
from zslcache.errors import DataError, DiskError, NotFoundError, UsageError
from zslcache.extract.backbones import Backbone, build_backbone
from zslcache.extract.pool import pool_attention, pool_tokens
from zslcache.home import Home
from zslcache.pipelines.extract import Report, extract
from zslcache.pipelines.store_for import Settings

COUNT = 23
SMALL = Settings(store_dtype="float32", shard_rows=8, batch_size=3, device="cpu", workers=2)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("pictures")
    return dataset_of(root, draw_pictures(root, COUNT))


@pytest.fixture
def own(pictures: Dataset, tmp_path: Path) -> Dataset:
    """A copy of the pictures that a test may damage."""
    shutil.copytree(pictures.images.root, tmp_path / "own")
    return replace(pictures, images=replace(pictures.images, root=tmp_path / "own"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


def run(home: Home, dataset: Dataset, backbone: Backbone, settings: Settings = SMALL, **progress: Lines) -> Report:
    return extract(home, dataset, [backbone], settings, **progress)[0]


def plain_forward(backbone: Backbone, path: Path) -> dict[str, np.ndarray]:
    """One image through torchvision's transforms and timm's model, without any of our code."""
    plan, model = backbone.transform, backbone.tower.model
    prepare = transforms.Compose(
        [
            transforms.Resize(plan.resize, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(plan.size),
            transforms.ToTensor(),
            transforms.Normalize(plan.mean, plan.std),
        ]
    )
    with Image.open(path) as image, torch.no_grad():
        tokens = model.forward_features(prepare(image.convert("RGB"))[None])[0].numpy()
    return {"global": tokens[0], "tokens": tokens[1:]}


def expected(backbone: Backbone, dataset: Dataset, feature: str) -> np.ndarray:
    return np.stack([plain_forward(backbone, dataset.images.root / name)[feature] for name in dataset.images.names])


# What is stored


@pytest.mark.parametrize("feature", ["global", "tokens"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_stored_row_is_the_plain_forward_pass_of_its_image(
    home: Home, pictures: Dataset, dtype: str, feature: str
) -> None:
    backbone = tiny_vit()
    store = run(home, pictures, backbone, replace(SMALL, store_dtype=dtype)).store
    truth = expected(backbone, pictures, feature)
    kept = store.read(feature).astype(np.float32)
    step = {
        "float32": 0,
        "float16": np.abs(truth) * 2.0**-11 + 2.0**-25,
        "int8": np.abs(truth).max(axis=-1, keepdims=True) / 127 / 2,
    }[dtype]
    assert (np.abs(kept - truth) <= step + 1e-5).all()
    assert np.ptp(truth, axis=0).max() > 0.1  # the images do differ


@pytest.mark.parametrize(
    ("images", "shard_rows", "batch_size"),
    [(23, 8, 3), (23, 8, 8), (23, 8, 64), (16, 8, 8), (17, 8, 4), (5, 8, 2), (5, 1, 1), (23, 23, 22)],
)
def test_batches_and_shards_of_any_size_give_the_same_rows(
    home: Home, pictures: Dataset, images: int, shard_rows: int, batch_size: int
) -> None:
    dataset, backbone = pictures.spread(images), tiny_vit()
    report = run(home, dataset, backbone, replace(SMALL, shard_rows=shard_rows, batch_size=batch_size))
    assert (report.images, report.resumed) == (images, 0)
    assert report.store.valid(["global", "tokens"]).all()
    np.testing.assert_allclose(report.store.read("tokens"), expected(backbone, dataset, "tokens"), atol=1e-5)


@pytest.mark.parametrize("pool", ["2x2", "merge"])
def test_pooled_tokens_and_attention(home: Home, pictures: Dataset, pool: str) -> None:
    names = ("tokens", "rollout", "cls_attention")
    store = run(home, pictures, tiny_vit(*names), replace(SMALL, pool=pool)).store
    whole = run(home, pictures, tiny_vit(*names)).store
    tokens = whole.read("tokens").reshape(COUNT, 4, 4, 32)
    squares = [
        [tokens[:, y + dy, x + dx] for dy in (0, 1) for dx in (0, 1)] for y in range(0, 4, 2) for x in range(0, 4, 2)
    ]
    combine = {"2x2": lambda four: np.mean(four, axis=0), "merge": lambda four: np.concatenate(four, axis=1)}[pool]
    np.testing.assert_allclose(store.read("tokens"), np.stack([combine(four) for four in squares], axis=1), atol=1e-5)
    for name in ("rollout", "cls_attention"):
        assert store.read(name).shape[-1] == 4
        np.testing.assert_allclose(store.read(name).sum(-1), whole.read(name).sum(-1), atol=1e-5)


def test_pooling_functions_against_loops() -> None:
    rng = torch.Generator().manual_seed(0)
    tokens, attention = torch.rand(3, 36, 5, generator=rng), torch.rand(3, 2, 36, generator=rng)
    mean, merged, summed = torch.empty(3, 9, 5), torch.empty(3, 9, 20), torch.empty(3, 2, 9)
    for cell in range(9):
        top, left = 2 * (cell // 3), 2 * (cell % 3)
        four = [6 * y + x for y in (top, top + 1) for x in (left, left + 1)]
        mean[:, cell] = sum(tokens[:, place] for place in four) / 4
        merged[:, cell] = torch.cat([tokens[:, place] for place in four], dim=1)
        summed[:, :, cell] = sum(attention[:, :, place] for place in four)
    torch.testing.assert_close(pool_tokens(tokens, 6, "2x2"), mean)
    torch.testing.assert_close(pool_tokens(tokens, 6, "merge"), merged)
    torch.testing.assert_close(pool_attention(attention, 6, "2x2"), summed)
    torch.testing.assert_close(pool_attention(attention, 6, "merge"), summed)
    assert pool_tokens(tokens, 6, "none") is tokens
    assert pool_attention(attention, 6, "none") is attention


def test_a_grid_of_odd_side_cannot_be_pooled(home: Home, pictures: Dataset) -> None:
    with pytest.raises(UsageError, match=r"--pool 2x2 groups 2 x 2 tokens, but those of .* are no even square"):
        run(home, pictures, tiny_vit(img_size="24"), replace(SMALL, pool="2x2"))
    assert not home.stores.exists()


def test_several_backbones_in_one_pass_equal_single_passes(home: Home, pictures: Dataset, tmp_path: Path) -> None:
    def backbones() -> list[Backbone]:
        return [
            tiny_vit(),
            tiny_vit("rollout", seed=1, img_size="48"),
            build_backbone("nano_resnet", ["global"], "random"),
        ]

    together = extract(home, pictures, backbones(), SMALL)
    for number, (report, backbone) in enumerate(zip(together, backbones(), strict=True)):
        alone = run(Home.at(tmp_path / f"alone{number}"), pictures, backbone)
        assert report.store.path.name == alone.store.path.name
        assert array_digests(report.store) == array_digests(alone.store)


def test_workers_do_not_change_a_byte(pictures: Dataset, tmp_path: Path) -> None:
    digests = [
        array_digests(run(Home.at(tmp_path / str(n)), pictures, tiny_vit(), replace(SMALL, workers=n)).store)
        for n in (1, 4)
    ]
    assert digests[0] == digests[1]


def test_spread_images_keep_their_labels_and_get_a_store_of_their_own(home: Home, pictures: Dataset) -> None:
    few = pictures.spread(7)
    assert len(few.images) == 7
    labels = dict(zip(pictures.images.names, pictures.labels.tolist(), strict=True))
    assert [labels[name] for name in few.images.names] == few.labels.tolist()
    for part in ("trainval", "train", "val", "test_seen", "test_unseen"):
        names = {few.images.names[row] for row in getattr(few.split, part)}
        assert names <= {pictures.images.names[row] for row in getattr(pictures.split, part)}
    assert pictures.spread(COUNT + 5).images_fingerprint == pictures.images_fingerprint
    backbone = tiny_vit("global")
    part, whole = run(home, few, backbone).store, run(home, pictures, backbone).store
    assert part.path != whole.path
    rows = [whole.image_names.index(name) for name in part.image_names]
    np.testing.assert_allclose(part.read("global"), whole.read("global")[rows], atol=1e-5)


# Stores: used again, added to, kept apart


def test_running_again_does_nothing(home: Home, pictures: Dataset) -> None:
    first, lines = run(home, pictures, tiny_vit()), Lines()
    files = {path: path.stat().st_mtime_ns for path in first.store.path.rglob("*") if path.name != LOCK}
    again = run(home, pictures, tiny_vit(), progress=lines)
    assert (again.images, again.resumed, again.store.path) == (0, COUNT, first.store.path)
    assert files == {path: path.stat().st_mtime_ns for path in first.store.path.rglob("*") if path.name != LOCK}
    assert lines.shown == ["Everything asked for is in the store already."]


def test_a_further_feature_joins_the_store_and_equals_a_fresh_one(
    home: Home, pictures: Dataset, tmp_path: Path
) -> None:
    first = run(home, pictures, tiny_vit("global"))
    second = run(home, pictures, tiny_vit("tokens@1", "global"))
    fresh = run(Home.at(tmp_path / "fresh"), pictures, tiny_vit("tokens@1", "global"))
    assert second.store.path == first.store.path
    assert second.store.features == ["global", "tokens@1"]
    assert array_digests(second.store) == array_digests(fresh.store)


def other_weights() -> Backbone:
    return tiny_vit(seed=1)


@pytest.mark.parametrize(
    ("backbone", "change", "said"),
    [
        (other_weights, {}, "backbone.seed: 0 there, 1 asked; backbone.weights_sha256: '"),
        (tiny_vit, {"pool": "2x2"}, "differs in pool: 'none' there, '2x2' asked."),
        (tiny_vit, {"store_dtype": "int8"}, "differs in store_dtype: 'float32' there, 'int8' asked."),
        (tiny_vit, {"precision": "bf16"}, "differs in precision: 'fp32' there, 'bf16' asked."),
    ],
)
def test_what_decides_the_numbers_decides_the_store(
    home: Home, pictures: Dataset, backbone: Callable[[], Backbone], change: dict[str, str], said: str
) -> None:
    first, lines = run(home, pictures, tiny_vit()), Lines()
    other = run(home, pictures, backbone(), replace(SMALL, **change), progress=lines)
    assert other.store.path != first.store.path
    assert (other.images, other.resumed) == (COUNT, 0)
    assert lines.shown[0].startswith(f"{first.store.path.name} is not used, since it differs in ")
    assert said in lines.shown[0]


def test_a_store_of_another_precision_serves_when_none_is_asked_for(home: Home, pictures: Dataset) -> None:
    first = run(home, pictures, tiny_vit(), replace(SMALL, precision="bf16"))
    again = run(home, pictures, tiny_vit())
    assert (again.store.path, again.images) == (first.store.path, 0)


def test_an_unfinished_store_goes_on_with_the_batch_size_it_was_begun_with(home: Home, own: Dataset) -> None:
    vanished = own.images.root / own.images.names[20]
    vanished.unlink()
    with pytest.raises(DataError, match="cannot be used"):
        run(home, own, tiny_vit(), replace(SMALL, strict=True))
    shutil.copy(own.images.root / own.images.names[0], vanished)
    resumed = run(home, own, tiny_vit(), replace(SMALL, batch_size=None))
    assert 0 < resumed.resumed < COUNT
    assert resumed.store.provenance["batch_size"] == 3
    fresh = run(Home.at(home.root / "fresh"), own, tiny_vit())
    assert array_digests(resumed.store) == array_digests(fresh.store)


def test_provenance(home: Home, pictures: Dataset) -> None:
    backbone = tiny_vit()
    report = run(home, pictures, backbone)
    provenance = FeatureStore.open(report.store.path).provenance
    assert provenance["batch_size"] == 3
    assert provenance["zslcache"] == __version__
    assert provenance["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert provenance["dataset_fingerprint"] == pictures.fingerprint
    assert report.store.spec.backbone["random_weights"] is True
    assert report.store.spec.backbone["transform"] == backbone.transform.as_dict()


def test_the_json_form(home: Home, pictures: Dataset) -> None:
    report = run(home, pictures, tiny_vit(), replace(SMALL, store_dtype="int8"))
    document = report.document()
    assert document["dataset"] == "pictures"
    assert document["store"] == str(report.store.path)
    assert document["features"]["tokens"]["shape"] == [COUNT, 16, 32]
    assert document["features"]["tokens"]["dtype"] == "int8"
    shards = [path for name in ("tokens", "tokens.scale") for path in report.store.path.glob(f"*/{name}/c.*")]
    assert document["features"]["tokens"]["bytes"] == sum(path.stat().st_size for path in shards)
    assert (document["images"], document["resumed"], document["skipped"]) == (COUNT, 0, [])
    assert document["images_per_second"] > 0
    assert document["random_weights"] is True


# Images that cannot be used


def spoil(dataset: Dataset) -> dict[int, str]:
    """Damage four images; returns the reason that is due for each row."""
    paths = [dataset.images.root / name for name in dataset.images.names]
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    paths[9].write_bytes(b"")
    paths[10].write_text("<html>404</html>")
    paths[22].unlink()
    return {1: "damaged", 9: "empty", 10: "not an image", 22: "cannot be read: No such file"}


def test_broken_images_are_skipped_and_named_and_cost_nobody_else(home: Home, own: Dataset, tmp_path: Path) -> None:
    whole = run(Home.at(tmp_path / "whole"), own, tiny_vit()).store
    reasons = spoil(own)
    report = run(home, own, tiny_vit())
    skipped = report.document()["skipped"]
    assert [entry["path"] for entry in skipped] == [own.images.names[row] for row in reasons]
    for entry, reason in zip(skipped, reasons.values(), strict=True):
        assert reason in entry["reason"]
    store = FeatureStore.open(report.store.path)
    good = np.setdiff1d(np.arange(COUNT), list(reasons))
    assert np.array_equal(np.flatnonzero(store.valid(["tokens"])), good)
    assert np.array_equal(store.read("tokens", good), whole.read("tokens", good))
    with pytest.raises(DataError, match="row 9: the file is empty"):
        store.read("tokens", np.array([8, 9]))


def test_broken_images_stay_skipped_when_features_are_added(home: Home, own: Dataset) -> None:
    reasons = spoil(own)
    run(home, own, tiny_vit("global"))
    store = run(home, own, tiny_vit("tokens")).store
    assert sorted(store.skipped) == sorted(reasons)
    assert store.valid(["global", "tokens"]).sum() == COUNT - len(reasons)


def test_strict_stops_at_the_first_broken_image(home: Home, own: Dataset) -> None:
    spoil(own)
    with pytest.raises(DataError) as caught:
        run(home, own, tiny_vit(), replace(SMALL, strict=True))
    assert caught.value.message.startswith(f"{own.images.names[1]} cannot be used: damaged")
    assert "--strict" in caught.value.hint


def test_a_changed_image_is_noticed_when_features_are_added(home: Home, own: Dataset) -> None:
    store = run(home, own, tiny_vit("global")).store
    before = store.read("global")
    shutil.copy(own.images.root / own.images.names[0], own.images.root / own.images.names[12])
    with pytest.raises(DataError) as caught:
        run(home, own, tiny_vit("tokens"))
    assert caught.value.message == (
        f"1 images have changed since their other features were extracted; the first is {own.images.names[12]}."
    )
    assert str(store.path) in caught.value.hint
    store = FeatureStore.open(store.path)
    assert np.array_equal(store.read("global"), before)
    assert store.committed["tokens"].tolist() == [True, False, False]


def test_a_folder_that_is_gone_stops_the_extraction(home: Home, own: Dataset) -> None:
    shutil.rmtree(own.images.root)
    with pytest.raises(NotFoundError, match=r"The image folder .*own is gone"):
        run(home, own, tiny_vit())


def test_images_that_are_all_gone_stop_the_extraction(home: Home, own: Dataset) -> None:
    for name in own.images.names[8:]:
        (own.images.root / name).unlink()
    with pytest.raises(DataError, match=r"None of 3 images in a row can be read; the first is .*No such file"):
        run(home, own, tiny_vit())
    (store,) = home.stores.glob("*/*")
    assert FeatureStore.open(store).committed[HASH].tolist() == [True, False, False]


# Values that are no numbers


@pytest.mark.parametrize(("dtype", "weight", "counted"), [("float32", np.nan, 32), ("float16", 1e7, None)])
def test_values_that_are_not_finite_are_kept_and_counted(
    home: Home, pictures: Dataset, dtype: str, weight: float, counted: int | None
) -> None:
    backbone = tiny_vit("global", "rollout")
    backbone.tower.model.norm.weight.fill_(weight)
    report = run(home, pictures, backbone, replace(SMALL, store_dtype=dtype))
    bad = ~np.isfinite(report.store.read("global"))
    assert bad.sum() == (counted * COUNT if counted else bad.sum()) > COUNT
    assert report.document()["not_finite"] == {"global": bad.sum()}


# Several at once


def test_a_store_that_is_being_written_is_refused_or_waited_for(home: Home, pictures: Dataset) -> None:
    path = run(home, pictures, tiny_vit("global")).store.path
    with writer_lock(path / LOCK), pytest.raises(BusyError, match=f"is being written by process {os.getpid()} on "):
        run(home, pictures, tiny_vit("tokens"))
    locked = threading.Event()

    def hold() -> None:
        with writer_lock(path / LOCK):
            locked.set()
            threading.Event().wait(0.3)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    report = run(home, pictures, tiny_vit("tokens"), replace(SMALL, wait=True))
    assert not holder.is_alive()
    assert report.images == COUNT


def test_waiting_for_one_store_holds_no_other(home: Home, pictures: Dataset) -> None:
    """Else two extractions of the same backbones in different order would wait for each other for ever."""
    backbones = [tiny_vit("global"), tiny_vit("global", seed=1)]
    backbones.sort(key=lambda backbone: run(home, pictures, backbone).store.path)
    first, second = (run(home, pictures, backbone).store.path for backbone in backbones)
    waiting = threading.Thread(target=extract, args=(home, pictures, backbones[::-1], replace(SMALL, wait=True)))
    with writer_lock(first / LOCK):
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        with writer_lock(second / LOCK):
            pass
    waiting.join()


def test_the_same_backbone_twice_is_refused(home: Home, pictures: Dataset) -> None:
    with pytest.raises(UsageError, match="given twice"):
        extract(home, pictures, [tiny_vit("global"), tiny_vit("tokens")], replace(SMALL, wait=True))


# Homes that cannot be written


def test_a_home_that_cannot_be_written(pictures: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"file: File exists\.$"):
        run(Home.at(tmp_path / "file" / "home"), pictures, tiny_vit())
