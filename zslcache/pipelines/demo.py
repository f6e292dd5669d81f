"""The whole pipeline on the dataset that the package draws itself, without any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zslcache.data.dataset import Dataset
from zslcache.data.menagerie import prepare_menagerie
from zslcache.extract.backbones import build_backbone
from zslcache.home import Home
from zslcache.pipelines.extract import Report, extract
from zslcache.progress import SILENT, Progress

BACKBONES = ("nano_vit", "nano_resnet")
FEATURES = ("global", "tokens")


@dataclass(frozen=True)
class Demo:
    """What the demo made: the drawn dataset and the stores of its features."""

    dataset: Dataset
    extractions: tuple[Report, ...]

    def document(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "dataset": self.dataset.name,
            "images": len(self.dataset.labels),
            "classes": {"seen": len(self.dataset.split.seen), "unseen": len(self.dataset.split.unseen)},
            "extractions": [report.document() for report in self.extractions],
        }


def run_demo(home: Home, size: int, seed: int, progress: Progress = SILENT) -> Demo:
    """Draw Menagerie, then extract its features with both shipped encoders in one pass."""
    dataset = prepare_menagerie(home, size=size, seed=seed, progress=progress)
    backbones = [build_backbone(name, FEATURES) for name in BACKBONES]
    return Demo(dataset, tuple(extract(home, dataset, backbones, progress=progress)))
