"""The stream: options, scan, one photo, many at once, and the report. Knows `Enhancer`, never a method."""
