"""Radiance HDR, which is known in order to be refused by its name."""

from __future__ import annotations

from enhance_cli.imaging.codecs.codec import Codec

CODEC = Codec(
    "hdr",
    (".hdr", ".rgbe"),
    sniff=lambda data: data.startswith((b"#?RADIANCE", b"#?RGBE")),
    refusal="is Radiance HDR, light in floating point",
)
