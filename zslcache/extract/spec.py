"""What a backbone is, in plain data: where its code and weights come from, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = bool | int | float | str | tuple["Value", ...] | None
Source = Literal["timm", "clip", "hub"]


@dataclass(frozen=True)
class HubFile:
    """A file of a Hugging Face repository."""

    repo: str
    file: str = "model.safetensors"

    def __str__(self) -> str:
        return f"{self.file} of huggingface.co/{self.repo}"


@dataclass(frozen=True)
class UrlFile:
    """A file at an address of its own."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class PackageFile:
    """A file that is shipped inside this package, in extract/weights."""

    file: str

    def __str__(self) -> str:
        return f"{self.file} of the zslcache package"


Weights = HubFile | UrlFile | PackageFile


@dataclass(frozen=True)
class Facts:
    """What a user wants to know before loading a backbone; a test holds the sizes against the models."""

    width: int
    grid: int  # tokens are a square of this side
    px: int
    blocks: int  # 0 for a convolutional network
    parameters: int  # without a classifier
    pretraining: str
    leak: str  # why unseen benchmark classes may have been seen; empty when the proposed splits rule it out
    licence: str
    embedding: int = 0  # width of `global` where it is not that of the tokens


@dataclass(frozen=True)
class Spec:
    """One model, resolved: where its code and weights come from and how it is made."""

    name: str
    source: Source
    model: str
    weights: Weights | None = None
    model_args: tuple[tuple[str, Value], ...] = ()
    transform_args: tuple[tuple[str, Value], ...] = ()
    facts: Facts | None = None


def parse_value(text: str) -> Value:
    """The value that `text` spells: true, false, none, an integer, a number, a list `a,b,c` or a plain word."""
    if "," in text:
        return tuple(parse_value(part) for part in text.split(","))
    words: dict[str, Value] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
