"""JPEG: its segments, what phones put beside the picture, and its pixels."""
