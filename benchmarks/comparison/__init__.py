"""The published comparison of both networks, made again by one command: `python -m benchmarks.comparison --help`."""
