"""Content besides the image that cannot be kept: its names, and the notes about it."""

from __future__ import annotations

GAIN_MAP, DEPTH, SIGNATURE = "a gain map", "a depth map", "a C2PA signature"
SEQUENCE, FURTHER = "a sequence of frames", "a further image"
FURTHER_FRAMES = "further frames"

DROPPED = {
    GAIN_MAP: "its HDR gain map was left out: it would be wrong after a change of tones",
    DEPTH: "its depth map was left out: the image was rotated, and the map would no longer match",
    SIGNATURE: "its content credentials (C2PA signature) were left out: they would no longer be valid",
}
FIRST_FRAME = "only the first of its frames or pages was enhanced"
