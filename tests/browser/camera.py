"""What a fake camera sees: a printed code on a counter, a little tilted and dim, or nothing at all."""

from __future__ import annotations

import io
import random
from pathlib import Path

import segno
from barcode import EAN13, Code128
from barcode.writer import ImageWriter
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

WIDTH, HEIGHT = 640, 480
FRAMES = 12


def qr(text: str) -> Image.Image:
    picture = io.BytesIO()
    segno.make_qr(text, error="m").save(picture, kind="png", scale=4, border=4)
    return Image.open(picture).convert("RGB").resize((300, 300), Image.Resampling.NEAREST)


def bars(text: str, kind: type = Code128) -> Image.Image:
    picture: Image.Image = kind(text, writer=ImageWriter()).render(
        {"write_text": False, "module_height": 12.0, "dpi": 300}
    )
    return picture.convert("RGB").resize((480, 200))


def ean(text: str) -> Image.Image:
    return bars(text, EAN13)


DATA_MATRIX = [  # it says DM00000042
    "#.#.#.#.#.#.#.",
    "#.#.#....#####",
    "#..##..#..#...",
    "###....###.#.#",
    "#.#..#.###.#..",
    "###.##...###.#",
    "#.#..#...##.#.",
    "#..###..##..##",
    "#.##.#........",
    "###.##..#..#.#",
    "#..#...###.##.",
    "####.#.#.##..#",
    "#..###....#...",
    "##############",
]


def data_matrix() -> Image.Image:
    side = len(DATA_MATRIX)
    picture = Image.new("RGB", (side + 4, side + 4), "white")
    for y, row in enumerate(DATA_MATRIX):
        for x, cell in enumerate(row):
            if cell == "#":
                picture.putpixel((x + 2, y + 2), (0, 0, 0))
    return picture.resize((300, 300), Image.Resampling.NEAREST)


def scene(code: Image.Image | None, frame: int) -> Image.Image:
    """A counter under a lamp; the hand that holds the code is not quite still."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (148, 132, 116))
    draw = ImageDraw.Draw(picture)
    noise = random.Random(frame)
    for _ in range(400):
        x, y, shade = noise.randrange(WIDTH), noise.randrange(HEIGHT), noise.randrange(110, 160)
        draw.rectangle((x, y, x + 6, y + 2), fill=(shade, shade - 10, shade - 24))
    if code is not None:
        tilted = code.convert("RGBA").rotate(4, expand=True, resample=Image.Resampling.BICUBIC)
        x, y = (WIDTH - tilted.width) // 2 + frame % 3, (HEIGHT - tilted.height) // 2 + frame % 2
        picture.paste(tilted, (x, y), tilted)
    return ImageEnhance.Brightness(picture.filter(ImageFilter.GaussianBlur(0.6))).enhance(0.75)


def video(path: Path, *codes: Image.Image | None) -> Path:
    """Write JPEG frames one after another, so many for each picture; the browser plays them in a loop."""
    frames = b""
    for code in codes:
        for frame in range(FRAMES):
            written = io.BytesIO()
            scene(code, frame).save(written, "JPEG", quality=85)
            frames += written.getvalue()
    path.write_bytes(frames)
    return path
