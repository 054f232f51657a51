"""Photos that people upload: refused if they are none, else made small and freed of where and when they were taken."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

BYTES = 2 * 1024 * 1024  # of one that a script has made smaller before,
UPLOAD_BYTES = 10 * 1024 * 1024  # and of one as a phone takes it
PIXELS = 24_000_000  # what a phone's camera makes; more would be a bomb
SIDE = 1280


class BadPhoto(ValueError):
    """Not a photo that can be kept: `code` is empty, too_large or unreadable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def kept(uploaded: bytes, *, most_bytes: int = BYTES) -> bytes:
    """Return the picture as a small JPEG without where and when it was taken. Raises BadPhoto."""
    if not uploaded:
        raise BadPhoto("empty")
    if len(uploaded) > most_bytes:
        raise BadPhoto("too_large")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is far below
            picture = _small(uploaded)
    except BadPhoto:
        raise
    except Image.DecompressionBombError as error:
        raise BadPhoto("too_large") from error
    except Exception as error:  # broken files make the decoders raise whatever comes to their hands
        raise BadPhoto("unreadable") from error
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=75)
    return written.getvalue()


def _small(uploaded: bytes) -> Image.Image:
    with Image.open(io.BytesIO(uploaded), formats=["JPEG", "PNG", "WEBP"]) as image:
        if image.width * image.height > PIXELS:
            raise BadPhoto("too_large")
        image.draft("RGB", (SIDE, SIDE))  # a JPEG need not be decoded larger than it is kept
        ImageOps.exif_transpose(image, in_place=True)
        # Made small first, so that the whole picture is in memory once only; one of a palette has no shades between.
        small = image.convert("RGB") if image.mode == "P" else image
        small.thumbnail((SIDE, SIDE))
        small = small.convert("RGB")
    # What else came along with the picture, such as comments and profiles, stays behind.
    return Image.frombytes("RGB", small.size, small.tobytes())
