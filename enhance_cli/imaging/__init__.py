"""Images in and out: codecs, metadata, colour layouts, tiles, atomic writing. Knows no method."""
