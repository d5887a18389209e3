"""Decoding: every kind of image becomes the RGB that people see, and what cannot is named."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from securefed.data.decode import MAX_PIXELS, decode
from securefed.errors import DataError


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(height=6, width=9):
    rows = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    return rows.astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_plain_images_keep_their_pixels(kind):
    pixels = decode(saved(Image.fromarray(gradient()), kind), "a")
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, gradient())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_images_come_close(kind):
    pixels = decode(saved(Image.fromarray(gradient(48, 64)), kind), "a")
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - gradient(48, 64)).mean() < 8


def test_grey_is_spread_over_the_channels():
    grey = gradient()[..., 0]
    pixels = decode(saved(Image.fromarray(grey)), "a")
    assert np.array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I")])
def test_sixteen_bits_are_scaled_and_not_cut_off(kind, mode):
    values = np.array([[0, 257, 1000, 30000, 65535]], np.uint16)
    image = Image.fromarray(values) if mode == "I;16" else Image.fromarray(values.astype(np.int32))
    pixels = decode(saved(image, kind), "a")
    assert pixels[0, :, 0].tolist() == [0, 1, 4, 117, 255]
    assert (pixels == pixels[..., :1]).all()


def test_black_and_white_and_palettes_become_their_colours():
    one = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert decode(saved(one), "a")[0].tolist() == [[0, 0, 0], [255, 255, 255]]
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([1, 2, 3, 40, 50, 60])
    assert decode(saved(palette), "a")[0, 0].tolist() == [40, 50, 60]


def test_cyan_and_its_kin_become_rgb():
    image = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    assert decode(saved(image, "TIFF"), "a")[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_whatever_colour_is_under_it(mode):
    image = Image.new("RGBA", (3, 1))
    image.putdata([(10, 10, 10, 0), (10, 10, 10, 255), (10, 10, 10, 128)])
    if mode == "P":
        image = Image.new("P", (2, 1), 0)
        image.putpalette([10, 10, 10, 20, 20, 20])
        image.putpixel((1, 0), 1)
        pixels = decode(saved(image, transparency=0), "a")[0, :, 0].tolist()
        assert pixels == [255, 20]
        return
    pixels = decode(saved(image.convert(mode)), "a")[0, :, 0].tolist()
    assert pixels == [255, 10, 132]


def test_a_camera_that_was_held_upright_gives_an_upright_image():
    """Orientation 6 says that the top of the scene is at the right of the stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode(saved(Image.fromarray(gradient()), exif=exif), "a")
    assert np.array_equal(pixels, np.rot90(gradient(), -1))


def test_of_an_animation_the_first_picture_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, "a")[0, 0].tolist() == [255, 0, 0]


def test_an_empty_file_is_named():
    with pytest.raises(DataError, match=r"image cats/7\.png is empty \(0 bytes\); replace the file or remove it"):
        decode(b"", "cats/7.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_half_an_image_is_named(kind):
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)), kind)
    with pytest.raises(DataError, match=r"image cats/7\.x cannot be decoded \(.*\); replace the file or remove it"):
        decode(data[: len(data) // 2], "cats/7.x")


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_named(data):
    with pytest.raises(DataError, match="image page cannot be decoded"):
        decode(data, "page")


@pytest.mark.parametrize("kind", ["TGA", "PCX", "ICO"])
def test_formats_that_few_people_have_are_not_parsed_at_all(kind):
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(saved(Image.fromarray(gradient(16, 16)), kind), "a")


def claims(width, height):
    """Return a PNG of a few bytes whose header claims a size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8192, 8193), (9500, 9500), (60000, 60000)])
def test_a_small_file_that_claims_a_huge_image_is_refused_before_memory_is_taken(size, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(DataError, match=r"image bomb has .* pixels; at most 67,108,864 are decoded.*Scale it down"):
        decode(claims(*size), "bomb")
    assert size[0] * size[1] > MAX_PIXELS


def test_floating_point_pixels_are_refused_because_nobody_knows_their_range():
    with pytest.raises(DataError, match="image heat has floating-point pixels"):
        decode(saved(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"), "heat")


def test_whole_numbers_that_are_no_grey_levels_are_refused():
    with pytest.raises(DataError, match=r"image depth has grey values outside 0\.\.65535"):
        decode(saved(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"), "depth")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_spoilt_files_give_pixels_or_a_named_error_and_nothing_else(kind, *, data):
    whole = bytearray(saved(Image.fromarray(gradient(12, 12)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        pixels = decode(bytes(whole), "spoilt")
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
