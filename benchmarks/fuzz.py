"""Damaged files through every decoder for a fixed time; anything but a picture or one of our sentences is a find.

    python benchmarks/fuzz.py [--seconds 60] [--seed 0] [--formats jpeg png ...] [--keep DIR]

Small pictures with all metadata are cut, hit and spliced, half of it in their first bytes, where the structure is. Each
batch runs in a process of its own, so that a decoder that crashes costs a batch and is named; --keep writes each find
into a folder. A JSON line per format is printed. The exit code is 1 if there was a find.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 200


def sample(name: str, seed: int) -> bytes:
    """A small file of a format, with all metadata that it holds."""
    from PIL import Image as Pillow

    from enhance_cli.imaging import codecs
    from enhance_cli.types import Density, Image, JpegCoding, Metadata

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:20, :28]
    pixels = np.stack((9 * x, 12 * y, 3 * (x + y)), axis=2).astype(np.uint8)
    if codecs.FORMATS[name].written_as is not None:
        packed = io.BytesIO()
        Pillow.fromarray(pixels).save(packed, {"jp2": "JPEG2000"}.get(name, name.upper()))
        return packed.getvalue()
    if codecs.FORMATS[name].sixteen_bit and seed % 2:
        pixels = pixels.astype(np.uint16) * 257
    exif = Pillow.Exif()
    exif[0x010F], exif[0x0112] = "Light & Shade", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6)})
    exif[0x8825] = exif.get_ifd(0x8825)
    metadata = Metadata(
        exif=exif.tobytes()[6:],
        xmp=b"<x:xmpmeta exif:GPSLatitude='1'><xmp:Thumbnails>a</xmp:Thumbnails></x:xmpmeta>",
        icc=bytes(36) + b"acsp" + bytes(200),
        iptc=b"\x1c\x02\x19\x00\x05night",
        density=Density(300, 300),
        jpeg=JpegCoding(90, "420", progressive=bool(seed % 3 == 1)) if seed % 4 else None,
    )
    alpha = rng.integers(0, 256, (20, 28)).astype(pixels.dtype) if seed % 5 == 0 else None
    return codecs.encode(Image(pixels, alpha=alpha, metadata=metadata), name)[0]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, hit or spliced."""
    bytes_of = bytearray(data)
    for _ in range(rng.integers(1, 12)):
        place = int(rng.integers(0, len(bytes_of) if rng.random() < 0.5 else min(300, len(bytes_of))))
        kind = rng.random()
        if kind < 0.7:
            bytes_of[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(0, 256))])
        elif kind < 0.85:
            del bytes_of[place : place + int(rng.integers(1, 20))]
        else:
            bytes_of[place:place] = bytes_of[: int(rng.integers(1, 40))]
        if not bytes_of:
            return b""
    return bytes(bytes_of[: int(len(bytes_of) * rng.uniform(0.3, 1)) + 1] if rng.random() < 0.3 else bytes_of)


def batch(name: str, seed: int, sender: Any) -> None:
    """Decode, strip and encode a batch; sends (read, refused, finds), or nothing where the process dies."""
    from enhance_cli.errors import PhotographError
    from enhance_cli.imaging import codecs, metadata

    rng = np.random.default_rng(seed)
    whole = sample(name, seed)
    read = refused = 0
    finds: list[tuple[str, bytes]] = []
    for _ in range(BATCH):
        data = damaged(whole, rng)
        try:
            image = codecs.decode(data, source="a", planes=bool(rng.integers(2)), max_pixels=10**6)
            stripped = image.replace(metadata=metadata.strip(image.metadata, "gps"))
            codecs.encode(stripped, codecs.FORMATS[image.metadata.format].written_as or "png")
            read += 1
        except PhotographError:
            refused += 1
        except Exception as error:  # noqa: BLE001 - a find is whatever nobody expected
            finds.append((f"{type(error).__name__}: {error}", data))
    sender.send((read, refused, finds))


def main() -> int:
    """Fuzz each format in turn until time is up."""
    from enhance_cli.imaging import codecs

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    names = [name for name in codecs.FORMATS if name not in ("psd", "raw") and codecs.is_installed(name)]
    parser.add_argument("--formats", nargs="+", choices=names, default=names, help="psd and raw have no writer here")
    options = parser.parse_args()

    found = 0
    context = multiprocessing.get_context("spawn")
    for name in options.formats:
        counts = {"read": 0, "refused": 0, "crashed": 0}
        sentences: set[str] = set()
        deadline = time.monotonic() + options.seconds / len(options.formats)
        seed = options.seed
        while time.monotonic() < deadline:
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(target=batch, args=(name, seed, sender))
            child.start()
            sender.close()
            try:
                read, refused, finds = receiver.recv()
            except EOFError:
                child.join()
                counts["crashed"] += 1
                sentences.add(f"a decoder crashed (exit code {child.exitcode}) with seed {seed}")
            else:
                child.join()
                counts["read"] += read
                counts["refused"] += refused
                for text, data in finds:
                    sentences.add(text)
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            seed += 1
        found += len(sentences)
        print(json.dumps({"benchmark": "fuzz", "format": name, **counts, "finds": sorted(sentences)}), flush=True)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
