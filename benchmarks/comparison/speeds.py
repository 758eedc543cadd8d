"""Speed and memory of both networks, which take turns: a busy moment of the machine meets both."""

import statistics
from argparse import Namespace
from collections.abc import Sequence

import torch

from benchmarks import sampling, training
from benchmarks.comparison.results import Found
from benchmarks.sampling import NETWORKS
from sequnet_pl.sampling.engines import engine_for

CLIPS = (1, 16)
"""Clips at once whose sampling is measured."""


def training_speeds(networks: Sequence[str], data: Found, gpus: int, seconds: float, rounds: int) -> Found:
    """Seconds of a step and megabytes at its peak, a list over networks each; `data` has the sizes of a batch."""
    device = torch.device("cuda" if gpus else "cpu")
    sizes = (data["output_size"], data["batch_size"], "float32", "plain", None)
    settings = Namespace(device=device.type, threads=torch.get_num_threads(), seconds=seconds, rounds=rounds)
    rows = training.measure([training.Variant(name, *sizes) for name in networks], settings)
    return {"seconds": [row.seconds for row in rows], "megabytes": [row.peak_memory_mb for row in rows]}


def sampling_speeds(networks: Sequence[str], gpus: int, seconds: float, rounds: int) -> Found:
    """Steps a second at each of CLIPS, a list over networks each, and how they are computed."""
    device = torch.device("cuda" if gpus else "cpu")
    built = {name: NETWORKS[name]().to(device).eval() for name in networks}
    settings = Namespace(seconds=seconds, rounds=1, reference=None)
    found: Found = {"engine": engine_for(built[networks[0]]).name}
    for clips in CLIPS:
        turns: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(rounds):
            for name, network in built.items():
                row = sampling.Row(name, "auto", "float32", clips)
                sampling.measure(network, [row], settings)
                turns[name].append(row.steps_per_second)
        found[str(clips)] = [statistics.median(each) for each in turns.values()]
    return found


def machine(gpus: int) -> Found:
    """What the speeds are of."""
    name = torch.cuda.get_device_name() if gpus else f"CPU, threads: {torch.get_num_threads()}"
    return {"device": name, "torch": torch.__version__}
