"""Real photographs through a real encoder: ten classes of CUB, MobileNetV2, and a linear probe on half of the images.

    python benchmarks/real_birds.py DIR        DIR holds cub10/images, splits/ and weights/

Goes through the command line as a user would: prepare one's own folder, extract with a local weights file. Prints the
share of the held-out half that a ridge classifier on the global features gets right; chance is 10 %.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from zslcache.cache.store import FeatureStore
from zslcache.data import registry
from zslcache.home import Home

UNSEEN = 3


def write_classes(target: Path, real: Path) -> None:
    """classes.csv for the ten classes from the published class attributes; columns that never vary are left out."""
    names = sorted(path.name for path in (real / "cub10" / "images").iterdir())
    percent = np.loadtxt(real / "splits" / "cub_class_attributes_continuous.txt")
    strengths = np.stack([percent[int(name[:3]) - 1] for name in names]) / 100
    varying = np.flatnonzero(np.ptp(strengths, axis=0) > 0)
    with open(target, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["class", "split", *(f"attribute {column}" for column in varying)])
        for row, name in enumerate(names):
            split = "unseen" if row >= len(names) - UNSEEN else "seen"
            table.writerow([name, split, *(f"{value:.4f}" for value in strengths[row, varying])])


def probe(real: Path, work: Path) -> float:
    """Percentage of held-out photographs that the probe gets right."""
    write_classes(work / "classes.csv", real)
    zslcache = [sys.executable, "-m", "zslcache", "--home", str(work / "home"), "--json"]
    images = str(real / "cub10" / "images")
    subprocess.run(
        [*zslcache, "prepare", "birds", "--images", images, "--classes", str(work / "classes.csv")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    options = ["--features", "global", "--weights", str(real / "weights" / "mobilenetv2_100.fp16.safetensors")]
    for argument in ("pad_type=same", "num_classes=1001"):
        options += ["--model-arg", argument]
    for argument in ("mean=0.5", "std=0.5"):
        options += ["--transform-arg", argument]
    subprocess.run(
        [*zslcache, "extract", "--backbone", "timm:mobilenetv2_100", "--dataset", "birds", *options],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    home = Home.at(work / "home")
    dataset = registry.load(home, "birds")
    (path,) = (home.stores / "birds").iterdir()
    return ridge_accuracy(FeatureStore.open(path).read("global").astype(np.float64), dataset.labels)


def ridge_accuracy(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Fit one-hot targets on a random half, classify the other half."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    fit, held_out = order[::2], order[1::2]
    classes = np.unique(labels)
    targets = (labels[fit][:, None] == classes).astype(float)
    gram = features[fit].T @ features[fit] + 0.1 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[fit].T @ targets)
    return 100 * float((classes[(features[held_out] @ weights).argmax(1)] == labels[held_out]).mean())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(f"linear probe on half of the photographs: {probe(Path(sys.argv[1]), Path(folder)):.1f} % (chance 10 %)")
