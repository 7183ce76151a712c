"""Radiance HDR, recognised only to be refused by name."""

from __future__ import annotations

from enhance_cli.imaging.codecs.codec import Codec

CODEC = Codec(
    "hdr",
    (".hdr", ".rgbe"),
    sniff=lambda data: data.startswith((b"#?RADIANCE", b"#?RGBE")),
    refusal="is Radiance HDR, light in floating point",
)
