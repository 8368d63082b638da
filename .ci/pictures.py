"""
Draws the pictures that the test service ships, as picture.svg has them: run it where Pillow is.

    python .ci/pictures.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SAMPLES = Path(__file__).parent.parent / "loopbackd" / "protocols" / "httpbin" / "samples"
SCALE = 8
BLUE, YELLOW, RED = "#173f5f", "#f6d55c", "#ed553b"


def scaled(*numbers: float) -> list[float]:
    """Larger, so that what is drawn without smooth edges gets them when it is made small again."""
    return [number * SCALE for number in numbers]


def picture() -> Image.Image:
    """A loop with an arrow, and a point in it."""
    large = Image.new("RGBA", (128 * SCALE, 128 * SCALE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(large)
    draw.rounded_rectangle(scaled(0, 0, 128, 128), 24 * SCALE, fill=BLUE)
    draw.arc(scaled(22, 22, 106, 106), 0, 312, fill=YELLOW, width=12 * SCALE)
    draw.ellipse(scaled(94, 58, 106, 70), fill=YELLOW)
    draw.polygon(scaled(98, 16, 98, 44, 70, 44), fill=YELLOW)
    draw.ellipse(scaled(53, 53, 75, 75), fill=RED)
    return large.resize((128, 128), Image.Resampling.LANCZOS)


def main() -> None:
    """Write all of them."""
    drawn = picture()
    flat = Image.new("RGB", drawn.size, "white")
    flat.paste(drawn, mask=drawn.getchannel("A"))
    drawn.quantize(64).save(SAMPLES / "picture.png", optimize=True)
    flat.save(SAMPLES / "picture.jpeg", quality=85, optimize=True)
    drawn.save(SAMPLES / "picture.webp", lossless=True, quality=100, method=6)


if __name__ == "__main__":
    main()
