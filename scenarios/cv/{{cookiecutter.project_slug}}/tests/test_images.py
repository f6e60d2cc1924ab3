"""Only whole JPEG and PNG images of a sensible size are accepted, and spoilt ones look spoilt."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from {{ cookiecutter.package_name }} import corruptions, images, synthetic


def encoded(kind: str, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """A small PNG file that says it is a large image."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_read(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert images.to_array(encoded(kind, mode=mode), 16).shape == (16, 16, 3)


BAD = {
    "empty": (b"", "empty"),
    "text": (b"hello", "no JPEG or PNG"),
    "another format": (encoded("GIF"), "no JPEG or PNG"),
    "cut short": (encoded("PNG", (300, 300))[:-40], "cut short or broken"),
    "only a beginning": (b"\x89PNG\r\n\x1a\n", "no JPEG or PNG"),
    "bomb": (bomb(), "pixels"),
    "tiny": (encoded("PNG", (4, 40)), "too few"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_are_refused(name: str) -> None:
    content, reason = BAD[name]
    with pytest.raises(images.BadImage, match=reason):
        images.to_array(content, 16)


def test_every_cut_is_noticed_or_harmless() -> None:
    content = synthetic.make(1, 0)["image"][0]
    for end in range(0, len(content), 7):
        with suppress(images.BadImage):
            assert images.to_array(content[:end], 16).shape == (16, 16, 3)


def test_turned_photographs_are_upright() -> None:
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (0, 0, 20, 20))
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: show it turned back by a quarter
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif)
    upright = np.asarray(images.read(file.getvalue()))
    assert upright.shape[:2] == (40, 20)
    assert upright[:15].mean() > 250 > 5 > upright[25:].mean()


def test_bytes_and_base64_are_the_same() -> None:
    content = encoded("PNG")
    assert images.unpack(images.pack(content)) == images.unpack(content) == content
    with pytest.raises(images.BadImage, match="base64"):
        images.unpack("häm")


def test_spoilt_images_show_in_the_statistics() -> None:
    pixels = np.stack([images.to_array(content, 32) for content in synthetic.make(40, 0)["image"]])
    before = {name: values.mean() for name, values in images.statistics(pixels).items()}
    after = {
        name: {key: values.mean() for key, values in images.statistics(spoil(pixels)).items()}
        for name, spoil in corruptions.CORRUPTIONS.items()
    }
    assert after["as they are"] == before
    assert after["half the light"]["brightness"] == pytest.approx(before["brightness"] / 2, rel=0.02)
    assert after["out of focus"]["sharpness"] < 0.8 * before["sharpness"] < before["sharpness"]
    assert after["noisy"]["sharpness"] > 1.2 * before["sharpness"]
    assert after["half the contrast"]["contrast"] < 0.8 * before["contrast"]


def test_planted_shifts_show_too() -> None:
    def mean(world: synthetic.World, name: str) -> float:
        pixels = np.stack([images.to_array(content, 32) for content in synthetic.make(60, 0, world)["image"]])
        return float(images.statistics(pixels)[name].mean())

    usual = synthetic.World()
    assert mean(synthetic.World(darkening=0.5), "brightness") < 0.6 * mean(usual, "brightness")
    assert mean(synthetic.World(blur=1.0), "sharpness") < 0.8 * mean(usual, "sharpness")
    assert mean(synthetic.World(difficulty=1.0), "sharpness") > mean(synthetic.World(difficulty=0.0), "sharpness")
