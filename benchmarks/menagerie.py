"""Measures what Menagerie promises, and makes its contact sheet.

python benchmarks/menagerie.py [--size 60] [--sheet docs/menagerie.png]
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zslcache.data.menagerie import Species, draw, paint, real_species
from zslcache.data.menagerie.painting import compose
from zslcache.data.menagerie.prepare import split_of
from zslcache.data.menagerie.vocabulary import NAMES
from zslcache.data.semantics import unit_rows


def per_class(right: np.ndarray, labels: np.ndarray) -> float:
    return 100 * float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def likeliest(attributes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The class under which each row of attributes is most probable, attributes taken as independent."""
    sure = np.clip(classes.astype(np.float64), 0.02, 0.98)
    return (attributes @ np.log(sure).T + ~attributes @ np.log(1 - sure).T).argmax(axis=1)


def pixel_ridge(
    pixels: np.ndarray, targets: np.ndarray, train: np.ndarray, test: np.ndarray, strength: float
) -> np.ndarray:
    """Attributes of the test images as a ridge regression from raw pixels sees them."""
    rows = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    mean = rows[train].mean(axis=0)
    fit, rest = rows[train] - mean, rows[test] - mean
    gram = fit @ fit.T + strength * np.eye(len(fit), dtype=np.float32)
    return targets.mean(axis=0) + rest @ (fit.T @ np.linalg.solve(gram, targets - targets.mean(axis=0)))


def measure(size: int) -> None:
    start = time.perf_counter()
    pixels, labels, truth = draw(size)
    print(f"{len(labels) / (time.perf_counter() - start):.0f} images/s on one core (bar: 200)")
    print(f"sha256 of {size} images a class: {hashlib.sha256(pixels.tobytes()).hexdigest()}")
    classes = np.stack([species.attributes for species in real_species()])
    split = split_of(labels, seed=0)
    test, unseen = split.test_unseen, split.unseen
    for name, found in (
        ("likelihood", likeliest(truth.attributes[test], classes[unseen])),
        ("cosine", (truth.attributes[test] @ unit_rows(classes[unseen]).T).argmax(axis=1)),
    ):
        print(f"true attributes, {name}: T1 {per_class(unseen[found] == labels[test], labels[test]):.1f} % (bar: 95)")
    everything = likeliest(truth.attributes, classes)
    print(f"true attributes among all 50: {per_class(everything == labels, labels):.1f} %")
    for strength in (1e1, 1e2, 1e3, 1e4):
        seen = pixel_ridge(pixels, classes[labels[split.trainval]], split.trainval, test, strength)
        found = (unit_rows(seen) @ unit_rows(classes[unseen]).T).argmax(axis=1)
        score = per_class(unseen[found] == labels[test], labels[test])
        print(f"ridge from raw pixels, strength {strength:g}: T1 {score:.1f} % (bar: below 35)")
    visible = [(truth.boxes[:, k] >= 0).all(axis=1) for k in range(truth.boxes.shape[1])]
    sides = np.concatenate([(truth.boxes[v, k, 2:] - truth.boxes[v, k, :2]) for k, v in enumerate(visible)]).max(axis=1)
    print(
        f"longer side of the boxes, pixels: 10 % {np.percentile(sides, 10):.0f}, half {np.median(sides):.0f}, "
        f"90 % {np.percentile(sides, 90):.0f}"
    )


def sheet(path: Path, columns: int = 10, tile: int = 96, label: int = 15) -> None:
    """A typical image of each class, before the camera's colour cast and noise, with the class's name."""
    font = ImageFont.load_default(11)
    species = real_species()
    lines = -(-len(species) // columns)
    page = Image.new("RGB", (columns * (tile + 4) + 4, lines * (tile + label + 3) + 4), "white")
    pen = ImageDraw.Draw(page)
    for place, one in enumerate(species):
        drawing, _, _ = compose(one, most_typical(one))
        x, y = 4 + place % columns * (tile + 4), 4 + place // columns * (tile + label + 3)
        page.paste(Image.fromarray(drawing.finish(np.zeros(1, dtype=np.float32))), (x, y))
        pen.text((x + tile / 2, y + tile + label / 2), one.name, fill=(40, 40, 48), font=font, anchor="mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def most_typical(species: Species, of: int = 100) -> int:
    """The number of the image whose attributes are the most probable ones, of a male by choice."""
    male = np.array([name in species.male for name in NAMES])
    sure = np.where(male, 0.9, np.clip(species.attributes, 0.02, 0.98))
    seen = [paint(species, number).attributes for number in range(of)]
    return int(np.argmax([np.log(np.where(row, sure, 1 - sure)).sum() for row in seen]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=60, help="images a class")
    parser.add_argument("--sheet", type=Path, help="only write the contact sheet")
    options = parser.parse_args()
    if options.sheet:
        sheet(options.sheet)
    else:
        measure(options.size)


if __name__ == "__main__":
    main()
