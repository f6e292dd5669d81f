"""Weights: read from a file without running any of it, fitted to a model, and named by what they are."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zslcache.errors import DataError, NotFoundError

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """The tensors in a safetensors or torch file by name, out of the usual wrappings."""
    if not path.is_file():
        raise NotFoundError(f"There is no weights file {path}.")
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pickle protocols that are then refused anyway
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than tensors, and reading it could run code.",
            "Save its state dict alone, best as .safetensors, on a machine that you trust it on.",
        ) from error
    except Exception as error:  # on damaged bytes a reader may raise anything at all
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path} is not a readable weights file: {reason}") from error
    return _unwrapped(content, path)


def _unwrapped(content: object, path: Path) -> State:
    """Without `state_dict`, `model` and the like around the whole, and `module.` before each name."""
    while isinstance(content, Mapping):
        inner = [content[key] for key in ("state_dict", "model", "teacher") if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} holds no tensors by name.", "Give a file with a model's state dict.")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "_orig_mod."):  # left by DataParallel and torch.compile
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def load_state(model: nn.Module, state: State, origin: str, classifier: tuple[str, ...] = ()) -> None:
    """Put `state` into `model`; names and shapes must agree, except for the classifier, which no feature uses."""
    own = model.state_dict()

    def matters(name: str) -> bool:
        # A count of training steps: written by every BatchNorm, read by none in evaluation.
        return not name.endswith("num_batches_tracked") and not name.startswith(tuple(f"{c}." for c in classifier))

    absent = [name for name in own if name not in state and matters(name)]
    surplus = [name for name in state if name not in own and matters(name)]
    shared = {name: value for name, value in state.items() if name in own}
    wrong = [name for name in shared if own[name].shape != state[name].shape and matters(name)]
    problems = [
        *_first("lacks", absent, lambda name: f"{name} {tuple(own[name].shape)}"),
        *_first("has, but the model has not,", surplus, lambda name: f"{name} {tuple(state[name].shape)}"),
        *_first(
            "has in another shape",
            wrong,
            lambda name: f"{name} {tuple(state[name].shape)} where the model has {tuple(own[name].shape)}",
        ),
    ]
    if problems:
        raise DataError(
            f"{origin} does not fit the model:",
            "Check that --backbone names the model these weights were trained for, and --model-arg its settings.",
            problems,
        )
    fitting = {name: value for name, value in shared.items() if own[name].shape == value.shape}
    model.load_state_dict(fitting, strict=False)


def _first(relation: str, names: list[str], describe: Callable[[str], str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"the file {relation} {describe(names[0])}{more}"]


def state_sha256(model: nn.Module) -> str:
    """Hex sha256 over the names, types, shapes and bytes of all tensors of `model`, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
