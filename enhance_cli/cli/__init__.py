"""The command line: commands generated from Controls, and the console, the only module that prints."""
