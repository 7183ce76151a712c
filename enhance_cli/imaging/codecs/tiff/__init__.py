"""TIFF: its directories, its tags as EXIF, and its pixels."""
