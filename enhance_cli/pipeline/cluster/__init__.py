"""A run on the machines of a Ray cluster: `--cluster`.

The driver, which is the process of the command, scans and deals out names of photos; workers read, enhance and place
them, and ask the driver to append every line first (see `worker` and `driver`). Only `session` knows Ray.
"""
