"""Photos from outside: what is kept has no place and time in it, and no file hurts anybody but its sender."""

from __future__ import annotations

import io
import random
import struct
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from network import photos


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "teal").save(written, kind, **options)
    return written.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that say they are a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_kept_is_a_small_jpeg(kind: str) -> None:
    kept = photos.kept(picture(kind, (3000, 2000)))
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.format, image.size) == ("JPEG", (1280, 853))


def test_where_and_when_it_was_taken_is_gone_and_it_stands_upright() -> None:
    image = Image.new("RGB", (60, 40), "teal")
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x0132] = "2026:11:21 12:00:00"
    exif.get_ifd(0x8825)[2] = (22.0, 32.0, 0.0)  # latitude
    written = io.BytesIO()
    image.save(written, "JPEG", exif=exif, comment=b"at home")
    kept = photos.kept(written.getvalue())
    with Image.open(io.BytesIO(kept)) as read:
        assert dict(read.getexif()) == {}
        assert "comment" not in read.info
        assert read.size == (40, 60)
    assert b"2026" not in kept
    assert b"home" not in kept


@pytest.mark.parametrize(
    ("uploaded", "code"),
    [
        (b"", "empty"),
        (b"GIF89a" + b"0" * 100, "unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable"),
        (b"PK\x03\x04" + b"0" * 100, "unreadable"),
        (picture()[:200], "unreadable"),
        (png_that_claims(6000, 6000), "too_large"),
        (png_that_claims(30_000, 30_000), "too_large"),  # more than Pillow itself opens
        (png_that_claims(2**31 - 1, 2**31 - 1), "too_large"),
        (png_that_claims(0, 10), "unreadable"),
        (b"\xff\xd8" + b"0" * photos.BYTES, "too_large"),
    ],
)
def test_what_is_no_photo_is_refused(uploaded: bytes, code: str) -> None:
    with pytest.raises(photos.BadPhoto) as refused:
        photos.kept(uploaded)
    assert refused.value.code == code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_pictures_are_refused_or_read_and_never_anything_else(kind: str) -> None:
    whole, dice = picture(kind, (200, 100)), random.Random(7)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        with suppress(photos.BadPhoto):
            assert photos.kept(bytes(broken)).startswith(b"\xff\xd8")
