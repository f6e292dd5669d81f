"""Texts encoded by a CLIP model: vectors for attributes whose words no dictionary has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from jaxtyping import Float32

from zslcache.errors import DataError, NotFoundError, UsageError, unknown_name

_BATCH = 256


@torch.inference_mode()
def encode_texts(texts: Sequence[str], model: str, weights: str) -> Float32[np.ndarray, "texts dimensions"]:
    """One vector of unit length for each text; `weights` is a local file or one of the model's published tags."""
    if model not in open_clip.list_models():
        raise unknown_name("CLIP model", model, open_clip.list_models())
    if not weights:
        raise UsageError(f"clip:{model} names no weights.", f"Write clip:{model}/TAG or clip:{model}/FILE.")
    if not Path(weights).is_file() and weights not in open_clip.list_pretrained_tags_by_model(model):
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise NotFoundError(
            f"{weights!r} is neither a file nor published weights of {model}.",
            f"Published: {', '.join(tags) or 'none'}.",
        )
    try:
        encoder = open_clip.create_model(model, pretrained=weights).eval()
    except Exception as error:  # a file of another model fails in open_clip, torch or safetensors, in many ways
        reason = str(error).strip().splitlines() or [repr(error)]
        raise DataError(
            f"The weights {weights} cannot be loaded into {model}: {reason[0]}",
            "Give a file of that very model; published tags need the network once.",
        ) from error
    tokens = open_clip.get_tokenizer(model)(list(texts))
    vectors = torch.cat([encoder.encode_text(part, normalize=True) for part in tokens.split(_BATCH)])
    return vectors.float().numpy()
