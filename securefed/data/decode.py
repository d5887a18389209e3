"""From the bytes of an image file to RGB pixels, or to an error that names the file.

Every kind of image that people have becomes 8-bit RGB: grey and palette images are spread over the channels, what is
transparent is laid on white (the colours under it are arbitrary), 16-bit grey is scaled instead of cut off, and the
orientation that a camera noted is applied. What cannot be shown faithfully is refused: damaged, empty and huge files,
and floating-point pixels, whose range nobody knows.
"""

from __future__ import annotations

import io
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, ImageOps

from securefed.errors import DataError

Pixels: TypeAlias = npt.NDArray[np.uint8]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is opened; others would bring parsers of whole page languages along."""

MAX_PIXELS = 2**26
"""Pixels of the largest image that is decoded: 8,192 squared, 200 MB. A small file can claim any number."""

DECODER = f"securefed 1, pillow {PIL.__version__}"
"""Names the rules above and the library that follows them: the same bytes give the same pixels."""

_WAY_OUT = "replace the file or remove it"


def decode(data: bytes, name: str) -> Pixels:
    """Return the pixels of an image file, RGB, uint8, shape ``(height, width, 3)``.

    Args:
        data: The whole file; of an animation, the first picture counts.
        name: Of the file, for errors.

    Raises:
        DataError: If the file holds no image that can be shown.
    """
    if not data:
        raise DataError(f"image {name} is empty (0 bytes); {_WAY_OUT}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, name)
            image.load()
            return np.array(_rgb(ImageOps.exif_transpose(image), name))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "over 89 million") from error
    except Exception as error:  # codecs raise whatever broken data leads them to
        raise DataError(f"image {name} cannot be decoded ({error}); {_WAY_OUT}") from error


def _check_size(image: Image.Image, name: str) -> None:
    """Refuse an image before memory is taken for it: so far only its header was read."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} x {image.height}")


def _too_large(name: str, size: str) -> DataError:
    return DataError(
        f"image {name} has {size} pixels; at most {MAX_PIXELS:,} are decoded, because a small file can claim any "
        "number. Scale it down: models see a few hundred pixels"
    )


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I"):
        image = _eight_bit(image, name)
    if image.mode == "F":
        raise DataError(f"image {name} has floating-point pixels, whose range is unknown; save it with 8 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Return 16-bit grey scaled to 8 bits; converting it directly would turn nearly all of it white."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"image {name} has grey values outside 0..65535; save it with 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
