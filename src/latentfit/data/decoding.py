"""One picture file to bytes: (H, W) grey or (H, W, 3) colour, by conversions that have names.

Pillow decodes; which of its formats may be tried is a short list, and the content decides, not the name of the file.
Whatever the bytes, the result is pixels or a reason in words. Nothing here depends on the other files of a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.Image import Resampling

from .reading import Array, number

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
NAMED = "PNG, JPEG, BMP, WebP or TIFF"
SUFFIXES = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".bmp": "BMP", ".dib": "BMP",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
ORIENTATION = 0x0112  # of EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
MOST_PIXELS = 89_478_485  # of one picture; from more on Pillow warns of a bomb
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
PLAIN = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")

# What may be done to a picture, in words that follow a count of pictures.
STEPS = {
    "named": "of another format than the name says, read by content",
    "turned": "turned as EXIF says",
    "transparent": "with transparency, laid over white",
    "cmyk": "from CMYK, converted without a colour profile",
    "sixteen": "of 16 bits, divided by 257",
    "ranged": "of 16 bits, scaled by --range",
    "grey": "stored in colour and grey",
    "enlarged": "enlarged",
    "cropped": "cropped at the centre to the proportions asked for",
}


class Decoded(NamedTuple):
    """Pixels (H, W) or (H, W, 3), uint8, and the STEPS that led to them."""

    pixels: Array
    steps: tuple[str, ...]


class _Refused(Exception):
    """The message is the reason."""


def decode_all(paths: Sequence[str], resize: tuple[int, int] | None, top: float | None) -> list[Decoded | str]:
    """Decode picture files; for each that cannot be used the reason, in words.

    Args:
        paths: The files.
        resize: Width and height to bring them to, or None.
        top: 16-bit values run from 0 to this; None for 65535.
    """
    return [_decode(path, resize, top) for path in paths]


def from_image(image: Image.Image) -> Decoded | str:
    """The pixels of a Pillow image, as those of a file, or the reason why it cannot be used."""
    steps: list[str] = []
    try:
        _check(image)
        return Decoded(_without_needless_colour(_to_bytes(image, None, steps), steps), tuple(steps))
    except _Refused as error:
        return str(error)
    except Exception as error:  # an image that is opened lazily is decoded here
        return f"damaged: {str(error) or type(error).__name__}; get the file again"


def size_of(path: str) -> tuple[int, int] | None:
    """Width and height from the header of a file, or None if it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                return None
            return (height, width) if _is_sideways(image) else (width, height)
    except Exception:
        return None


def _decode(path: str, resize: tuple[int, int] | None, top: float | None) -> Decoded | str:
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check(image)
            if resize and image.format in ("JPEG", "MPO"):
                image.draft(None, (2 * max(resize),) * 2)  # decodes a large photograph at a fraction of its size
            named = SUFFIXES.get(Path(path).suffix.lower())
            steps = ["named"] if named and {"MPO": "JPEG"}.get(image.format or "", image.format) != named else []
            pixels = _resized(_turned(_to_bytes(image, top, steps), image, steps), resize, steps)
        return Decoded(_without_needless_colour(pixels, steps), tuple(steps))
    except _Refused as error:
        return str(error)
    except UnidentifiedImageError:
        return f"no {NAMED} inside; convert it to one of these"
    except Image.DecompressionBombError:
        return f"has more than {MOST_PIXELS:,} pixels; make it smaller"
    except Exception as error:  # a decoder may raise anything on damaged bytes
        why = (str(error) or type(error).__name__).replace(path, Path(path).name)
        return f"damaged: {why}; get the file again"


def _check(image: Image.Image) -> None:
    """Refuse what should not be decoded, by the header alone."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise _Refused(f"has {width:,} × {height:,} pixels; expected at most {MOST_PIXELS:,}; make it smaller")
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # an MPO is a photograph and its previews
    if frames > 1:
        raise _Refused(f"has {frames} frames or pages; expected one picture; save the one that is meant")
    if image.mode not in (*PLAIN, *SIXTEEN_BITS):
        kind = {"I": "integers of 32 bits", "F": "floats"}.get(image.mode, f"colours of the kind {image.mode}")
        raise _Refused(f"holds {kind}; expected grey or colours of 8 bits, or grey of 16; convert it")


def _to_bytes(image: Image.Image, top: float | None, steps: list[str]) -> Image.Image:
    """The picture with 8 bits a pixel, L or RGB."""
    if image.mode in SIXTEEN_BITS:
        return Image.fromarray(_eight_bits(np.asarray(image), top, steps))
    if top not in (None, 255):
        raise _Refused(f"has 8 bits, and --range {number(top or 0)} is for pictures of 16; leave that out")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            steps.append("transparent")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode == "CMYK":
        steps.append("cmyk")
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def _eight_bits(x: Array, top: float | None, steps: list[str]) -> Array:
    if top is None:
        steps.append("sixteen")
        return ((x.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounded
    if x.max() > top:
        raise _Refused(f"has pixels up to {x.max()}; expected none above {number(top)}, as --range says")
    steps.append("ranged")
    return np.rint(x * (255 / top)).astype(np.uint8)


def _is_sideways(image: Image.Image) -> bool:
    return image.format != "BMP" and image.getexif().get(ORIENTATION) in (5, 6, 7, 8)


def _turned(picture: Image.Image, source: Image.Image, steps: list[str]) -> Image.Image:
    """The picture as a camera was held, by the EXIF of its source."""
    has_exif = "exif" in source.info or source.format in ("TIFF", "MPO")
    orientation = source.getexif().get(ORIENTATION) if has_exif else None
    if orientation not in TURNS:
        return picture
    steps.append("turned")
    return picture.transpose(TURNS[orientation])


def _resized(picture: Image.Image, size: tuple[int, int] | None, steps: list[str]) -> Image.Image:
    """The picture scaled (Lanczos) until it covers the size, and cropped at the centre."""
    if size is None or picture.size == size:
        return picture
    if picture.width * size[1] != picture.height * size[0]:
        steps.append("cropped")
    if picture.width < size[0] or picture.height < size[1]:
        steps.append("enlarged")
    return ImageOps.fit(picture, size, Resampling.LANCZOS)


def _without_needless_colour(picture: Image.Image, steps: list[str]) -> Array:
    """(H, W) for a picture whose three channels are equal, otherwise (H, W, 3)."""
    x = np.asarray(picture)
    if x.ndim == 2 or (x[..., 0] != x[..., 1]).any() or (x[..., 1] != x[..., 2]).any():
        return x
    steps.append("grey")
    return np.ascontiguousarray(x[..., 0])
