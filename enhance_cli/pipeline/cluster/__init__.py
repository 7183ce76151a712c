"""Runs on the machines of a Ray cluster: `--cluster`.

The driver, which is the process of the command, scans and distributes the names of photos; workers read, enhance and
place them, and have the driver append every line first (see `worker` and `driver`). Only `session` uses Ray.
"""
