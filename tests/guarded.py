"""Native calls on arrays that end, or begin, at a page that may not be touched.

Run as a program, because a fault kills the process: `python -m tests.guarded GROUP spread|whole NOTE`. It keeps in
the file NOTE which call it is in, on what size, and writes how many calls it made.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 67
LARGE = ((1, 4099), (4099, 1), (515, 773))
_SPREAD = (1, 2, 3, 5, 8, 16, 17, 33, LONGEST)
FACTORS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4)}

Array = np.ndarray[Any, Any]
Call = Callable[[Callable[..., Array], int, int], object]
"""A native call: takes a maker of guarded arrays and a height and width."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(samples: Array, *, at_end: bool) -> Array:
    """A copy, C-contiguous and writable, with an inaccessible page right behind its last byte or before its first."""
    page = mmap.PAGESIZE
    room = -(-max(samples.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, room + page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    start = room - samples.nbytes if at_end else page
    copy: Array = np.frombuffer(memory, np.uint8, samples.nbytes, start).view(samples.dtype).reshape(samples.shape)
    copy[...] = samples
    if _libc.mprotect(address + (room if at_end else 0), page, 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return copy


def sizes(whole: bool, step: int) -> list[tuple[int, int]]:
    """Heights and widths: all from 1 to `LONGEST`, or every `step`-th of a spread over both; some large ones."""
    sides = range(1, LONGEST + 1)
    if whole:
        return [*itertools.product(sides, sides), *LARGE]
    across = [(_SPREAD[side % len(_SPREAD)], side) for side in sides]
    both = [size for pair in zip(across, [(w, h) for h, w in across], strict=True) for size in pair]
    return [*both[::step], *(LARGE if step < 24 else ())]


def _noise(height: int, width: int, *further: int, dtype: Any = np.uint8) -> Array:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, *further), dtype, endpoint=True)


# --- codecs ------------------------------------------------------------------------------------------------


def _encoders() -> Iterator[tuple[str, Call]]:
    from enhance_cli.imaging import codecs
    from enhance_cli.types import Image, JpegCoding, Metadata

    def encoder(name: str, channels: int, alpha: bool, dtype: Any, quality: int | None) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            pixels = make(_noise(height, width, *((3,) if channels == 3 else ()), dtype=dtype))
            opacity = make(_noise(height, width, dtype=dtype)) if alpha else None
            codecs.encode(Image(pixels, alpha=opacity), name, quality=quality)

        return call

    def planes(subsampling: str, progressive: bool) -> Call:
        down, across = FACTORS[subsampling]

        def call(make: Callable[..., Array], height: int, width: int) -> None:
            chroma = [make(_noise(-(-height // down), -(-width // across))) for _ in range(2)]
            coding = JpegCoding(90, subsampling, progressive)  # type: ignore[arg-type]
            image = Image(make(_noise(height, width)), chroma=(chroma[0], chroma[1]), metadata=Metadata(jpeg=coding))
            data, _ = codecs.encode(image, "jpeg")
            decoded = codecs.decode(data)
            assert (decoded.height, decoded.width) == (height, width)

        return call

    def colours(subsampling: str) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            meta = Metadata(jpeg=JpegCoding(90, subsampling))  # type: ignore[arg-type]
            codecs.encode(Image(make(_noise(height, width, 3)), metadata=meta), "jpeg")

        return call

    for subsampling in FACTORS:
        yield f"jpeg planes {subsampling}", planes(subsampling, False)
        yield f"jpeg colours {subsampling}", colours(subsampling)
    for subsampling in ("444", "422", "420"):
        yield f"progressive jpeg planes {subsampling}", planes(subsampling, True)
    yield "jpeg grey", encoder("jpeg", 1, False, np.uint8, None)
    for name, channels, alpha in itertools.product(("png", "tiff", "webp", "bmp"), (1, 3), (False, True)):
        yield f"{name} {channels} {alpha}", encoder(name, channels, alpha, np.uint8, None)
    for name, channels, alpha in itertools.product(("png", "tiff"), (1, 3), (False, True)):
        yield f"{name} deep {channels} {alpha}", encoder(name, channels, alpha, np.uint16, None)
    yield "webp lossy", encoder("webp", 3, True, np.uint8, 80)


def _slow_encoders() -> Iterator[tuple[str, Call]]:
    from enhance_cli.imaging import codecs
    from enhance_cli.types import Image

    def encoder(name: str, alpha: bool) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            opacity = make(_noise(height, width)) if alpha else None
            codecs.encode(Image(make(_noise(height, width, 3)), alpha=opacity), name, quality=80)

        return call

    for name, alpha in itertools.product(("avif", "heif", "jxl"), (False, True)):
        if codecs.is_installed(name):
            yield f"{name} {alpha}", encoder(name, alpha)


def _decoders() -> Iterator[tuple[str, Call]]:
    """Files whose last byte is the last that may be read, given to the two decoders that take any memory."""
    import cv2
    import simplejpeg

    def jpeg(subsampling: str, colorspace: str, cut: int) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            data = simplejpeg.encode_jpeg(_noise(height, width, 3), 90, "RGB", subsampling)
            file = make(np.frombuffer(data, np.uint8)[: len(data) - cut])
            simplejpeg.decode_jpeg(file, colorspace, fastupsample=colorspace == "RGB", strict=False)

        return call

    def opencv(ending: str, dtype: Any) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            data = cv2.imencode(ending, _noise(height, width, 3, dtype=dtype))[1]
            assert cv2.imdecode(make(data.ravel()), cv2.IMREAD_UNCHANGED) is not None

        return call

    for subsampling, colorspace, cut in itertools.product(FACTORS, ("RGB", "GRAY"), (0, 2)):
        yield f"decode jpeg {subsampling} {colorspace} less {cut} bytes", jpeg(subsampling, colorspace, cut)
    for ending, dtype in ((".png", np.uint16), (".tiff", np.uint16), (".ppm", np.uint16)):
        yield f"decode {ending}", opencv(ending, dtype)


# --- kernels -----------------------------------------------------------------------------------------------


def _imaging() -> Iterator[tuple[str, Call]]:
    from enhance_cli.imaging import area, bilateral_grid, colour, luma
    from enhance_cli.types import Image

    def split(factors: tuple[int, int]) -> Call:
        return lambda make, height, width: luma.split_ycbcr(make(_noise(height, width, 3)), *factors)

    def merge(factors: tuple[int, int]) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            chroma = [make(_noise(-(-height // factors[0]), -(-width // factors[1]))) for _ in range(2)]
            merged = colour.merge_planes(Image(make(_noise(height, width)), chroma=(chroma[0], chroma[1])))
            assert merged.pixels.shape == (height, width, 3)

        return call

    def of_pixels(work: Callable[[Array], object], dtype: Any, *channels: int) -> Call:
        return lambda make, height, width: work(make(_noise(height, width, *channels, dtype=dtype)))

    def grid(make: Callable[..., Array], height: int, width: int) -> None:
        guide = make(_noise(height, width).astype(np.float32) / 255)
        fitted = bilateral_grid.fit(guide, make(_noise(height, width, 2).astype(np.float32)), 3, 2, 4)
        bilateral_grid.slice_grid(make(fitted), guide)

    for name, factors in FACTORS.items():
        yield f"split {name}", split(factors)
        yield f"merge {name}", merge(factors)
    for dtype in (np.uint8, np.uint16):
        depth = np.dtype(dtype).name
        yield f"luma {depth}", of_pixels(luma.luma, dtype, 3)
        yield f"histogram {depth}", of_pixels(luma.luma_histogram, dtype)
        yield f"histogram of colours {depth}", of_pixels(luma.rgb_luma_histogram, dtype, 3)
        yield f"tiles {depth}", of_pixels(lambda plane: luma.count_tiles(plane, 9, 7, 0, 8, 10), dtype)
        yield f"means {depth}", of_pixels(lambda rgb: area.area_means(rgb, 16, 16), dtype, 3)
    yield "bilateral grid", grid


def _method(name: str) -> Iterator[tuple[str, Call]]:
    from enhance_cli import methods
    from enhance_cli.engines import open_engine
    from enhance_cli.types import Image, Window

    method = methods.get(name)
    enhancer = methods.open_enhancer(method, open_engine("cpu", threads=1))
    controls = method.controls(**dict(method.example))

    def call_of(dtype: Any, *channels: int) -> Call:
        def call(make: Callable[..., Array], height: int, width: int) -> None:
            pixels = make(_noise(height, width, *channels, dtype=dtype))
            plan = enhancer.estimate(Image(pixels), controls)
            whole = enhancer.render(Window(pixels, 0, 0), plan, make(np.empty_like(pixels)))
            top, left, halo = height // 2, width // 2, method.halo
            outer = max(top - halo, 0), max(left - halo, 0)
            part = make(np.ascontiguousarray(pixels[outer[0] :, outer[1] :]))
            rendered = enhancer.render(Window(part, *outer), plan, make(np.empty_like(part)))
            assert np.array_equal(rendered[top - outer[0] :, left - outer[1] :], whole[top:, left:])

        return call

    for dtype in (np.uint8, np.uint16):
        yield f"{name} {np.dtype(dtype).name}", call_of(dtype, 3)
        if enhancer.reads_planes(controls):
            yield f"{name} grey {np.dtype(dtype).name}", call_of(dtype)


NAMES = ("auto", "clahe-adaptive", "clode", "irle", "local", "retinex")
GROUPS: dict[str, tuple[Callable[[], Iterator[tuple[str, Call]]], int]] = {
    "encoders": (_encoders, 1),
    "slow encoders": (_slow_encoders, 6),
    "decoders": (_decoders, 1),
    "imaging": (_imaging, 2),
    **{name: (lambda name=name: _method(name), step) for name, step in zip(NAMES, (24, 4, 32, 24, 6, 6), strict=True)},
}
"""Calls by what they belong to, and which sizes of the spread they see: every one, every second ..."""


def run(group: str, whole: bool, note: Path) -> int:
    """Make every call of a group on every size, at either end; returns how many there were."""
    calls, step = GROUPS[group]
    count = 0
    with note.open("wb", buffering=0) as file:
        for name, call in calls():
            for (height, width), at_end in itertools.product(sizes(whole, step), (True, False)):
                file.seek(0)
                file.write(
                    f"{name}, height {height}, width {width}, {'end' if at_end else 'beginning'}".encode().ljust(120)
                )
                call(lambda samples, at_end=at_end: guarded(samples, at_end=at_end), height, width)
                count += 1
    return count


if __name__ == "__main__":
    sys.stdout.write(str(run(sys.argv[1], sys.argv[2] == "whole", Path(sys.argv[3]))))
