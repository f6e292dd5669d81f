"""How good the shipped encoders are: ESZSL on their global features over Menagerie, and the tokens under it.

    python benchmarks/nano.py [--home DIR] [--size 60]

Both regularisers are chosen on validation classes; the test classes are looked at once. Prints what docs/nano.md says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from zslcache.data.dataset import Dataset
from zslcache.data.menagerie import prepare_menagerie
from zslcache.data.split import Split
from zslcache.extract.backbones import build_backbone
from zslcache.home import Home
from zslcache.pipelines.extract import extract

GRID = [10.0**power for power in range(-3, 4)]


def eszsl(x: np.ndarray, labels: np.ndarray, seen: np.ndarray, phi: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """The bilinear map V of x V phi^T, in closed form with its two regularisers."""
    targets = np.where(labels[:, None] == seen[None], 1.0, -1.0)
    left = np.linalg.inv(x.T @ x + gamma * np.eye(x.shape[1]))
    right = np.linalg.inv(phi[seen].T @ phi[seen] + lam * np.eye(phi.shape[1]))
    return left @ (x.T @ targets @ phi[seen]) @ right


def top1(scores: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the share that is classified rightly, in percent."""
    right = classes[scores.argmax(1)] == labels
    return 100 * float(np.mean([right[labels == c].mean() for c in np.unique(labels)]))


def t1(x: np.ndarray, dataset: Dataset, split: Split, gamma: float, lam: float) -> float:
    """Accuracy on the unseen classes of `split` among themselves."""
    phi, labels = dataset.semantics.unit_attributes.astype(np.float64), dataset.labels
    weights = eszsl(x[split.trainval], labels[split.trainval], split.seen, phi, gamma, lam)
    return top1(x[split.test_unseen] @ weights @ phi[split.unseen].T, split.unseen, labels[split.test_unseen])


def main() -> None:
    """Print T1 of each encoder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=Path("build/nano-home"))
    parser.add_argument("--size", type=int, default=60)
    parser.add_argument("--backbones", default="nano_vit,nano_resnet")
    options = parser.parse_args()
    home = Home.at(options.home)
    dataset = prepare_menagerie(home, size=options.size)
    names = options.backbones.split(",")
    reports = extract(home, dataset, [build_backbone(name, ["global", "tokens"]) for name in names])
    for name, report in zip(names, reports, strict=True):
        x = report.store.read("global").astype(np.float64)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        phase = dataset.split.validation_phase(dataset.labels)
        scored = [(t1(x, dataset, phase, g, lam), g, lam) for g in GRID for lam in GRID]
        chosen, gamma, lam = max(scored)
        test = t1(x, dataset, dataset.split, gamma, lam)
        settings = f"validation {chosen:.1f} %, gamma {gamma}, lambda {lam}"
        print(f"{name}: ESZSL T1 {test:.1f} % on {len(dataset.split.unseen)} unseen classes ({settings})")


if __name__ == "__main__":
    main()
