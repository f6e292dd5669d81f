"""From the bytes of an image file to RGB pixels, all of them or none.

Transparent pixels are laid on white. 16-bit grey is scaled to 8 bits. Of an animation the first frame counts. The
orientation that a camera noted is applied; colour profiles are not, as in the libraries that models come from.
Nothing is guessed: a file that ends too early is refused, although its upper part would decode.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from zslcache.errors import ZslError

MAX_PIXELS = 178_956_970  # where Pillow, too, stops by default: half a gigabyte as RGB
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEADERS = threading.Lock()
# No format that Pillow hands to another program (EPS), nor any that only instruments write.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "MPO", "JPEG2000")


@cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


class Undecodable(ZslError):  # noqa: N818 - it describes an image, which is skipped, more than a failure
    """These bytes are not a whole image; `message` is the short reason."""

    code = "undecodable"


def decode(data: bytes) -> Image.Image:
    """The upright RGB image in `data`."""
    if not data:
        raise Undecodable("the file is empty")
    try:
        with _quiet_header():
            image = Image.open(BytesIO(data), formats=_formats())
            width, height = image.size
        if width * height > MAX_PIXELS:
            raise Undecodable(f"{width} x {height} pixels are more than {MAX_PIXELS}")
        if not width or not height:
            raise Undecodable("it has no pixels")
        image.load()
        return _rgb(_upright(image))
    except (Undecodable, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Undecodable("not an image of a known format") from None
    except Image.DecompressionBombError:
        raise Undecodable(f"more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # on damaged bytes a decoder may raise anything at all
        raise Undecodable(f"damaged: {error or type(error).__name__}") from error


@contextmanager
def _quiet_header() -> Iterator[None]:
    """Without Pillow's warnings of sizes and odd metadata, which are judged here.

    Python keeps its filters for all threads together, hence the lock; it is held for headers, never for pixels.
    """
    with _HEADERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _upright(image: Image.Image) -> Image.Image:
    try:
        with _quiet_header():
            orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # broken metadata beside whole pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise Undecodable(f"pixels of 32 bits (mode {image.mode}) have no agreed range")
    return image.convert("RGB")
