"""OpenEXR, recognised only to be refused by name."""

from __future__ import annotations

from enhance_cli.imaging.codecs.codec import Codec

CODEC = Codec(
    "exr",
    (".exr",),
    sniff=lambda data: data[:4] == b"\x76\x2f\x31\x01",
    refusal="is OpenEXR, light in floating point",
)
