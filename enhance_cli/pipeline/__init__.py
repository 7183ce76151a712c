"""The stream: options, scan, one photograph's way, many at once, and the report. Knows `Enhancer`, never a method."""
