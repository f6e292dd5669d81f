"""Images are decoded whole, upright and RGB, or refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zslcache.extract import decode as decode_module
from zslcache.extract.decode import Undecodable, decode


def pixels(seed: int = 0, height: int = 24, width: int = 36, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    image = decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_as_they_were(format: str) -> None:
    assert np.array_equal(decoded(encoded(Image.fromarray(pixels()), format)), pixels())


# How a stored image must be changed so that it stands upright, by the definition of each orientation in EXIF: which
# side of the scene the first row and the first column show.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],  # right, top
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda a: a.transpose(1, 0, 2)[::-1],  # left, bottom
    9: lambda a: a,  # not defined
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_the_orientation_of_the_camera_is_applied(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(pixels()), format, exif=exif)
    assert np.array_equal(decoded(data), UPRIGHT[orientation](pixels()))


def test_broken_exif_does_not_cost_the_image() -> None:
    image = Image.fromarray(pixels())
    data = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff")
    assert np.array_equal(decoded(data), decoded(encoded(image, "JPEG")))


def test_grey_becomes_three_equal_channels() -> None:
    grey = pixels(channels=1)
    assert np.array_equal(decoded(encoded(Image.fromarray(grey[..., 0]), "PNG")), np.repeat(grey, 3, axis=2))


def test_black_and_white_becomes_0_and_255() -> None:
    bits = pixels(channels=1)[..., 0] > 127
    assert np.array_equal(decoded(encoded(Image.fromarray(bits), "PNG"))[..., 0], bits * np.uint8(255))


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    levels = np.linspace(0, 65535, 24 * 36).astype(np.uint16).reshape(24, 36)
    for format in ("PNG", "TIFF"):
        found = decoded(encoded(Image.fromarray(levels), format))[..., 0]
        assert np.array_equal(found, np.rint(levels / 257).astype(np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_pixels_have_no_agreed_range(mode: str) -> None:
    image = Image.new(mode, (8, 8), 7)
    with pytest.raises(Undecodable, match="no agreed range"):
        decode(encoded(image, "TIFF"))


def test_cmyk_photographs_keep_their_colours() -> None:
    # A JPEG in CMYK has Adobe's mark and inverted values; a TIFF has neither.
    colour = (200, 40, 90)
    for format, options in (("JPEG", {"quality": 100}), ("TIFF", {})):
        image = Image.new("RGB", (16, 16), colour).convert("CMYK")
        data = encoded(image, format, **options)
        assert format != "JPEG" or b"Adobe" in data
        assert np.abs(decoded(data).astype(int) - colour).max() <= 2


def test_transparency_is_laid_on_white() -> None:
    rgba = pixels(channels=4)
    alpha = rgba[..., 3:].astype(float) / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(encoded(Image.fromarray(rgba), "PNG")) - expected).max() <= 1
    grey = rgba[..., 2:]
    expected = grey[..., :1] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(encoded(Image.fromarray(grey, "LA"), "PNG")) - expected).max() <= 1


def test_a_transparent_palette_entry_or_colour_becomes_white() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2, 1])
    expected = [[[255, 0, 0], [255, 255, 255], [0, 0, 255], [255, 255, 255]]]
    assert decoded(encoded(image, "PNG", transparency=1)).tolist() == expected
    assert decoded(encoded(image, "GIF", transparency=1)).tolist() == expected
    assert decoded(encoded(image.convert("RGB"), "PNG", transparency=(0, 255, 0))).tolist() == expected
    assert decoded(encoded(image, "PNG")).tolist()[0][1] == [0, 255, 0]


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decoded(data) == (255, 0, 0)).all()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an image of a known format"),
        (b"<html>not found</html>", "not an image of a known format"),
        (b"\0" * 10_000, "not an image of a known format"),
        (png_header(30_000, 30_000), "more than 178956970"),
        (png_header(8, 8), "damaged: .*truncated"),
        (png_header(0, 8), "it has no pixels|not an image|damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_a_short_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason) as caught:
        decode(data)
    assert len(caught.value.message) < 120


def test_large_images_below_the_limit_cause_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # so that 24 x 36 is between the warning and the error
    assert decode(encoded(Image.fromarray(pixels()), "PNG")).size == (36, 24)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 800)
    with pytest.raises(Undecodable, match="36 x 24 pixels are more than 800"):
        decode(encoded(Image.fromarray(pixels()), "PNG"))


WHOLE = {
    format: encoded(Image.fromarray(pixels()).resize((72, 48)), format, **options)
    for format, options in (("JPEG", {}), ("PNG", {}), ("GIF", {}), ("WEBP", {}), ("BMP", {}), ("TIFF", {}))
}
WHOLE["progressive JPEG"] = encoded(Image.fromarray(pixels()).resize((72, 48)), "JPEG", progressive=True)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_file_cut_anywhere_is_refused_or_complete(format: str, data: st.DataObject) -> None:
    whole = WHOLE[format]
    end = data.draw(st.integers(0, len(whole) - 1))
    try:
        found = decoded(whole[:end])
    except Undecodable:
        return
    assert np.array_equal(found, decoded(whole)), f"{format} cut at {end} of {len(whole)}"


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_bytes_raise_nothing_but_undecodable(format: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[format])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(damaged))
    except Undecodable:
        return
    assert image.mode == "RGB"
