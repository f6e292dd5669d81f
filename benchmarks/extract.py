"""Extraction from JPEG files against the bare forward pass and against a plain loop, alternating in one run.

python benchmarks/extract.py [--rounds 5] [--scale 1.0] [--only CASE]    images/s and their ratios
python benchmarks/extract.py --memory                                    peak memory at 2,000 and at 20,000 images

bare   the encoder on tensors that are ready in memory, nothing else
plain  DataLoader(num_workers=0) with torchvision's transforms, features in a list, one np.save each at the end
Medians over the rounds of each round's ratio; results go to benchmarks/results/extract.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.pictures import write_photographs
from zslcache.data.dataset import Dataset
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.extract.backbones import Backbone, build_backbone
from zslcache.home import Home
from zslcache.pipelines.extract import CPU_BATCH, extract
from zslcache.pipelines.store_for import Settings

RESULTS = Path(__file__).parent / "results" / "extract.json"
FEATURES = ("global", "tokens")


@dataclass(frozen=True)
class Case:
    """One encoder over one kind of picture on one device."""

    name: str
    model: str
    pictures: tuple[int, int, int]  # how many, width, height
    device: str
    bars: tuple[tuple[str, float], ...]  # ratio of the pipeline to what -> at least


CASES = (
    Case("vit_s16 cpu", "timm:vit_small_patch16_224", (256, 500, 375), "cpu", (("bare", 0.9),)),
    Case("vit_b16 cpu", "timm:vit_base_patch16_224", (128, 500, 375), "cpu", (("bare", 0.9),)),
    Case("large pictures cpu", "timm:mobilenetv3_small_100", (256, 2000, 1500), "cpu", (("plain", 1.5),)),
    Case("vit_b16 cuda bf16", "timm:vit_base_patch16_224", (4096, 500, 375), "cuda", (("bare", 0.9),)),
)


def dataset_of(folder: Path, names: tuple[str, ...]) -> Dataset:
    """The pictures as a dataset of two classes."""
    labels = np.arange(len(names)) % 2
    seen = np.flatnonzero(labels == 0)
    split = Split.of_classes(labels, seen[1:], seen[:1], np.flatnonzero(labels), [])
    semantics = Semantics(("a", "b"), np.eye(2, dtype=np.float32), ("x", "y"), split.seen, split.unseen)
    return Dataset("photographs", FolderImages(folder, names), labels, semantics, split)


class Pictures(TorchDataset):
    """What everyone writes: open, convert, transform."""

    def __init__(self, dataset: Dataset, backbone: Backbone) -> None:
        plan = backbone.transform
        self.paths = [dataset.images.root / name for name in dataset.images.names]
        self.transform = transforms.Compose(
            [
                transforms.Resize(plan.resize, transforms.InterpolationMode(plan.interpolation)),
                transforms.CenterCrop(plan.size),
                transforms.ToTensor(),
                transforms.Normalize(plan.mean, plan.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def rivals(case: Case, dataset: Dataset, folder: Path, batch: int) -> dict[str, Callable[[], object]]:
    """The three ways by name; each call handles all pictures once."""
    backbone = build_backbone(case.model, FEATURES, "random").to(case.device)
    side, images = backbone.transform.size, len(dataset.images)
    ready = torch.randn(batch, 3, side, side, device=case.device).contiguous(memory_format=torch.channels_last)
    cast = torch.autocast("cuda", torch.bfloat16) if case.device == "cuda" else nullcontext()

    @torch.inference_mode()
    def bare() -> None:
        with cast:
            for begin in range(0, images, batch):
                backbone(ready[: min(batch, images - begin)])
        if case.device == "cuda":
            torch.cuda.synchronize()

    @torch.inference_mode()
    def plain() -> None:
        kept: dict[str, list[np.ndarray]] = {name: [] for name in FEATURES}
        with cast:
            for pixels in DataLoader(Pictures(dataset, backbone), batch, num_workers=0):
                for name, values in backbone(pixels.to(case.device)).items():
                    kept[name].append(values.half().cpu().numpy())
        for name, values in kept.items():
            np.save(folder / f"{name}.npy", np.concatenate(values))

    def pipeline() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as home:
            extract(Home.at(home), dataset, [backbone], Settings(device=case.device, batch_size=batch))

    return {"bare": bare, "plain": plain, "pipeline": pipeline}


def measure(case: Case, rounds: int, scale: float) -> dict[str, object]:
    """Images per second of every way, and the pipeline's ratio to the others."""
    if case.device == "cuda" and not torch.cuda.is_available():
        return {"case": case.name, "unmeasured": "no CUDA device"}
    count, width, height = case.pictures
    count = max(2, int(count * scale))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = write_photographs(folder / "images", count, width, height, distinct=64)
        dataset = dataset_of(folder / "images", names)
        ways = rivals(case, dataset, folder, 256 if case.device == "cuda" else CPU_BATCH)
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                begun = time.perf_counter()
                way()
                if number:  # the first round warms up
                    speeds[name].append(count / (time.perf_counter() - begun))
    ratios = {
        other: statistics.median(p / o for p, o in zip(speeds["pipeline"], speeds[other], strict=True))
        for other in ("bare", "plain")
    }
    return {
        "case": case.name,
        "pictures": [count, width, height],
        "rounds": rounds,
        "ratio_to": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "bars_held": {f"{other} x {bar}": ratios[other] >= bar for other, bar in case.bars},
        "images_per_second": {name: round(statistics.median(values), 2) for name, values in speeds.items()},
    }


def peak_memory(count: int) -> int:
    """Bytes that a process of its own needs at most to extract `count` small pictures."""
    done = subprocess.run(
        [sys.executable, __file__, "--memory-of", str(count)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def extract_small(count: int) -> int:
    """Extract `count` pictures with a small encoder; this process's peak memory in bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = dataset_of(folder / "images", write_photographs(folder / "images", count, 160, 120, distinct=64))
        arguments = {"img_size": "64", "patch_size": "8", "embed_dim": "64", "depth": "2", "num_heads": "2"}
        backbone = build_backbone("timm:vit_tiny_patch16_224", FEATURES, "random", arguments)
        extract(Home.at(folder / "home"), dataset, [backbone], Settings(device="cpu"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    described = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    """Measure what was asked for, print it, and keep it beside what was measured before."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of each case's pictures")
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.memory_of:
        print(extract_small(options.memory_of))
        return
    kept = json.loads(options.out.read_text()) if options.out.exists() else {}
    here = machine()
    if options.memory:
        few, many = peak_memory(2_000), peak_memory(20_000)
        each = (many - few) / 18_000  # the ratio alone would hide a leak behind what the libraries take
        kept["memory"] = {
            "ratio": round(many / few, 3),
            "bytes_per_further_image": round(each),
            "peak_2000": few,
            "peak_20000": many,
            "machine": here,
        }
        print(f"memory: {many / few:.3f} x ({few / 1e6:.0f} MB at 2,000 images; {each:.0f} bytes for each further one)")
    else:
        for case in CASES:
            if options.only in (None, case.name):
                kept[case.name] = {**measure(case, options.rounds, options.scale), "machine": here}
                print(json.dumps({name: value for name, value in kept[case.name].items() if name != "machine"}))
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
