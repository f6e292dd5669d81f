"""store.json: what a store is, with a checksum of itself, so that no flipped bit in it passes for a fact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zslcache.cache.layout import crc32c
from zslcache.cache.spec import canonical


def readable_json(document: Any) -> bytes:
    """The one way in which the JSON files of a store are written."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode()


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes of store.json."""
    return readable_json({**body, "crc": crc32c(canonical(body))})


def decode(data: bytes) -> dict[str, Any]:
    """What `encode` was given; raises ValueError on bytes that it cannot have written."""
    body = json.loads(data)
    if not isinstance(body, dict) or body.pop("crc", None) is None or encode(body) != data:
        raise ValueError("it does not match its own checksum")
    return body
