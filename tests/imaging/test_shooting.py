"""What is read from EXIF of how a photo was taken."""

from __future__ import annotations

import struct

import pytest

from enhance_cli.imaging.shooting import Shooting, shooting, taken


def exif_with(order: str = "<", **fields: float | tuple[int, int]) -> bytes:
    """EXIF with fields of the exposure by their names: whole numbers are shorts, pairs are rationals."""
    tags = {
        "time": (0x829A, 5),
        "aperture": (0x829D, 5),
        "speed": (0x8827, 3),
        "brightness": (0x9203, 10),
        "bias": (0x9204, 10),
        "flash": (0x9209, 3),
        "mode": (0xA402, 3),
        "scene": (0xA406, 3),
    }
    start = 26
    after, entries = start + 2 + 12 * len(fields) + 4, b""
    values = b""
    for name in sorted(fields, key=lambda name: tags[name][0]):
        tag, kind = tags[name]
        if kind == 3:
            entries += struct.pack(order + "HHIHH", tag, kind, 1, fields[name], 0)
        else:
            entries += struct.pack(order + "HHII", tag, kind, 1, after + len(values))
            values += struct.pack(order + ("II" if kind == 5 else "ii"), *fields[name])
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    root = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, start, 0)
    return head + root + struct.pack(order + "H", len(fields)) + entries + bytes(4) + values


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_light_of_a_scene_is_that_of_aperture_time_and_sensitivity_without_the_bias(order):
    sunny = shooting(exif_with(order, time=(1, 128), aperture=(16, 1), speed=100))
    assert sunny.light == pytest.approx(15.0)
    assert sunny.bias is None
    assert sunny.flash is None
    darker = shooting(exif_with(order, time=(1, 256), aperture=(16, 1), speed=100, bias=(-3, 3)))
    assert darker.light == pytest.approx(15.0)
    assert darker.bias == -1.0
    assert shooting(exif_with(order, time=(1, 8), aperture=(2, 1), speed=3200)).light == pytest.approx(0.0)


def test_a_brightness_value_comes_first():
    found = shooting(exif_with(time=(1, 128), aperture=(16, 1), speed=100, brightness=(-20, 10)))
    assert found.light == pytest.approx(3.0)


def test_flash_night_and_brackets_are_told():
    assert shooting(exif_with(flash=0x19)).flash is True
    assert shooting(exif_with(flash=0x10)).flash is False
    assert shooting(exif_with(scene=3)).night
    assert shooting(exif_with(bias=(2, 1))).bias == 2.0
    assert shooting(exif_with(bias=(2, 1), mode=2)).bias is None, "a bracket's bias is no wish"


@pytest.mark.parametrize(
    "exif",
    [
        None,
        b"",
        b"II*\0",
        exif_with(time=(1, 0), aperture=(4, 1), speed=100),
        exif_with(bias=(1, 0)),
        exif_with(time=(1, 8), aperture=(2, 1), speed=3200)[:60],
    ],
)
def test_what_is_damaged_is_not_said(exif):
    assert shooting(exif) == Shooting()


def exif_of(moment: bytes, fraction: bytes = b"") -> bytes:
    """EXIF with DateTimeOriginal and SubSecTimeOriginal."""
    root = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    inner = struct.pack("<HHHIIHHI", 2, 0x9003, 2, 20, 56, 0x9291, 2, 4) + fraction.ljust(4, b"\0") + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + root + inner.ljust(30, b"\0") + moment + b"\0"


def test_the_time_of_a_photo_is_read_with_its_fraction():
    first, second = exif_of(b"2026:05:01 10:00:00", b"250"), exif_of(b"2026:05:01 10:00:01", b"5")
    assert taken(second) - taken(first) == pytest.approx(1.25)


@pytest.mark.parametrize(
    "exif", [None, b"", b"II*\0", exif_of(b"0000:00:00 00:00:00"), exif_of(b"long ago           ")]
)
def test_a_photo_without_a_time_has_none(exif):
    assert taken(exif) is None
