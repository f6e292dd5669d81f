"""Train the two tiny encoders that ship with the package, on invented Menagerie species only.

    python benchmarks/train_nano.py --model nano_resnet --out zslcache/extract/weights
    python benchmarks/train_nano.py --model nano_vit --out zslcache/extract/weights

Neither the 40 seen nor the 10 unseen classes are ever drawn here, and the encoders learn from class labels alone: no
attribute and no box reaches them. A transformer needs far more pictures than a convolutional network to learn the same;
so nano_vit also imitates nano_resnet, its class token the pooled vector and its patch tokens the grid.
Reproducible up to the arithmetic of the machine; prints what docs/nano.md says.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zslcache.data.menagerie import draw, invented_classes

MODELS = {  # name -> (timm model, constructor arguments, peak learning rate)
    "nano_vit": (
        "vit_tiny_patch16_224",
        {"img_size": 96, "patch_size": 12, "embed_dim": 160, "depth": 6, "num_heads": 5},
        1.5e-3,
    ),
    "nano_resnet": ("resnet18", {"channels": (32, 64, 128, 192), "output_stride": 16}, 2e-3),
}
TEACHER = {"nano_vit": "nano_resnet"}
MEAN = STD = 0.5
IMITATION = 4.0  # weight beside the cross-entropy


def picture_class(task: tuple[int, int, int, int]) -> np.ndarray:
    """The pictures of one invented species."""
    number, classes, count, seed = task
    return draw(count, seed, [invented_classes(classes, seed)[number]])[0]


def pictures(classes: int, count: int, seed: int, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pictures and labels, drawn once and kept in `cache`."""
    path = cache / f"invented-{classes}x{count}-{seed}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with multiprocessing.get_context("spawn").Pool() as pool:
            drawn = pool.map(picture_class, [(c, classes, count, seed) for c in range(classes)], chunksize=4)
        np.save(path, np.concatenate(drawn))
    return np.load(path, mmap_mode="r"), np.repeat(np.arange(classes), count)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, shift by up to 8 pixels, and change brightness and contrast a little."""
    size = len(images)
    mirrored = torch.rand(size, generator=generator) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    padded = nn.functional.pad(images, (8, 8, 8, 8), mode="replicate")
    dx, dy = torch.randint(0, 17, (2, size), generator=generator)
    side = torch.arange(96)
    rows, columns = (dy[:, None] + side)[:, None, :, None], (dx[:, None] + side)[:, None, None, :]
    images = padded[torch.arange(size)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, columns]
    gain = 1 + 0.4 * (torch.rand(size, 1, 1, 1, generator=generator) - 0.5)
    shift = 0.2 * (torch.rand(size, 1, 1, 1, generator=generator) - 0.5)
    return images * gain + shift


def batch_of(pixels: np.ndarray, rows: np.ndarray) -> Tensor:
    """Normalised float images, NCHW."""
    images = torch.from_numpy(pixels[np.sort(rows)]).permute(0, 3, 1, 2).float() / 255
    return (images - MEAN) / STD


def accuracy(model: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 in percent."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for rows in np.array_split(np.arange(len(labels)), max(1, len(labels) // 256)):
            right += int((model(batch_of(pixels, rows)).argmax(1).numpy() == labels[rows]).sum())
    return 100 * right / len(labels)


class Imitation(nn.Module):
    """How far a transformer's tokens, after a linear map, point away from a frozen network's vectors."""

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher
        self.pooled = nn.Linear(student.num_features, teacher.num_features)
        self.local = nn.Linear(student.num_features, teacher.num_features)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The class scores of the student, and one minus cosine, averaged over the class token and all patches."""
        tokens = self.student.forward_features(images)
        with torch.no_grad():
            grid = self.teacher.forward_features(images)
        side = int((tokens.shape[1] - 1) ** 0.5)
        wanted = nn.functional.interpolate(grid.float(), size=(side, side), mode="bilinear").flatten(2).transpose(1, 2)
        local = nn.functional.cosine_similarity(self.local(tokens[:, 1:]).float(), wanted, dim=-1).mean()
        pooled = nn.functional.cosine_similarity(self.pooled(tokens[:, 0]).float(), grid.float().mean((2, 3)), dim=-1)
        return self.student.forward_head(tokens), 2 - local - pooled.mean()


class Plain(nn.Module):
    """A model that learns from labels alone."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Its class scores and no further loss."""
        return self.student(images), torch.zeros(())


def train(
    model: Plain | Imitation, pixels: np.ndarray, labels: np.ndarray, rate: float, options: argparse.Namespace
) -> None:
    """Cross-entropy with label smoothing, AdamW, one cycle of the learning rate, bf16 where the processor has it."""
    generator = torch.Generator().manual_seed(options.seed)
    learning = [p for p in model.parameters() if p.requires_grad]
    decay, plain = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}])
    steps = options.epochs * (len(labels) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    begun = time.monotonic()
    for epoch in range(options.epochs):
        model.student.train()
        order = torch.randperm(len(labels), generator=generator).numpy()
        total = 0.0
        for step in range(len(labels) // options.batch):
            rows = np.sort(order[step * options.batch : (step + 1) * options.batch])
            images = augment(batch_of(pixels, rows), generator)
            with torch.autocast("cpu", torch.bfloat16):
                scores, distance = model(images)
            loss = nn.functional.cross_entropy(scores.float(), torch.from_numpy(labels[rows]), label_smoothing=0.1)
            loss = loss + IMITATION * distance
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learning, 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (step + 1):.3f}, {time.monotonic() - begun:.0f} s", flush=True)


def with_teacher(options: argparse.Namespace, model: nn.Module) -> Plain | Imitation:
    """The model together with the encoder that it imitates, if it has one."""
    if options.model not in TEACHER:
        return Plain(model)
    name = TEACHER[options.model]
    timm_name, arguments, _ = MODELS[name]
    teacher = timm.create_model(timm_name, num_classes=0, **arguments)
    teacher.load_state_dict({k: v.float() for k, v in load_file(options.out / f"{name}.safetensors").items()})
    return Imitation(model, teacher.eval().requires_grad_(False))


def main() -> None:
    """Train one encoder and write its weights (without the classifier) as float16 safetensors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("build/nano"))
    parser.add_argument("--classes", type=int, default=256)
    parser.add_argument("--per-class", type=int, default=120)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    pixels, labels = pictures(options.classes, options.per_class, options.seed, options.cache)
    held_out = np.arange(len(labels)) % options.per_class < options.per_class // 10
    timm_name, arguments, rate = MODELS[options.model]
    model = timm.create_model(timm_name, num_classes=options.classes, **arguments)
    begun = time.monotonic()
    fit = np.flatnonzero(~held_out)
    train(with_teacher(options, model), pixels[fit], labels[fit], rate, options)
    top1 = accuracy(model, pixels[held_out], labels[held_out])

    model.reset_classifier(0)
    weights = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.model}.safetensors"
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    recipe = {
        "model": options.model,
        "parameters": sum(p.numel() for p in model.parameters()),
        "bytes": path.stat().st_size,
        "species": options.classes,
        "pictures": len(fit),
        "epochs": options.epochs,
        "top1_on_held_out_pictures": round(top1, 1),
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "torch": torch.__version__,
        "timm": timm.__version__,
    }
    print(json.dumps(recipe, indent=1))


if __name__ == "__main__":
    main()
