"""The stream: options, scan, one photo's way, many at once, and the report. Knows `Enhancer`, never a method."""
