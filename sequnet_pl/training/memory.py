"""The memory of a training step, estimated before the first one: a batch that is too large is an error of one line.

One crop is computed forward and backward on fake tensors, which have shapes and no content, while the bytes of all
tensors that exist at the same time are added up. Peaks of both published networks on a CPU were 1.0 to 1.3 times the
estimate with all of a step, and 1.0 to 2.4 times with activation checkpointing.
"""

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode  # torch has no public name for it
from torch.utils._python_dispatch import TorchDispatchMode  # nor for this, which its documents describe

from sequnet_pl.data.crops import Batch
from sequnet_pl.errors import UserError
from sequnet_pl.models.network import Network
from sequnet_pl.training.compilation import loss_sum
from sequnet_pl.training.module import AudioModule, callbacks_of

log = logging.getLogger(__name__)

MARGIN, CHECKPOINTED_MARGIN = 1.3, 2.4
"""Peaks that were measured are at most these multiples of the estimate."""
_SMALL = 80
"""Bytes that a crop never takes more of, per input sample and output channel of each layer."""


class _LiveBytes(TorchDispatchMode):
    """Count the bytes of the tensors that operations return, and their peak, while these tensors exist."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in self._known:
                storage = tensor.untyped_storage()
                self._known.add(id(storage))
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._forget, id(storage), storage.nbytes())
        return result

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class _Step(nn.Module):
    """A step's loss and gradients, as one call, so that recomputed activations see the same parameters."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Compute and discard both; autocast ends before the backward pass, as in Lightning."""
        with context():
            total = loss_sum(self.network, batch, None)
        torch.autograd.grad(total, list(self.network.parameters()))


def crop_bytes(
    network: Network, output_size: int, device: torch.device, context: Callable[[], AbstractContextManager[Any]]
) -> int:
    """Return the peak bytes of one crop's forward and backward pass, without weights, gradients and optimizer.

    Args:
        network: The network; it is not computed with, nor changed.
        output_size: Targets of the crop.
        device: Device of the computation.
        context: Makes the context of the forward pass, such as autocast.
    """
    inputs, outputs = network.window(output_size)
    step, live = _Step(network), _LiveBytes()
    with FakeTensorMode():
        fakes = {
            name: torch.empty(value.shape, dtype=value.dtype, device=device, requires_grad=value.requires_grad)
            for name, value in step.state_dict(keep_vars=True).items()
        }
        codes = torch.zeros(1, inputs + 1, dtype=torch.uint8, device=device)
        counts = torch.full((1,), outputs, device=device)
        with live:
            torch.func.functional_call(step, fakes, (Batch(codes, counts, counts, counts), context))
    gradients = sum(4 * parameter.numel() for parameter in network.parameters())
    return max(live.peak - gradients, 0)


def check_memory(trainer: pl.Trainer, module: AudioModule, settings: Mapping[str, Any]) -> None:
    """Raise UserError if a step of a fit cannot fit into memory, and log a warning if it may not.

    Args:
        trainer: The trainer, before the fit.
        module: The module that it will train.
        settings: Hyper-parameters of the data: output_size and batch_size.
    """
    network = module.network
    device, processes = trainer.strategy.root_device, trainer.num_devices
    free = free_bytes(device, processes)
    batch, output_size = settings["batch_size"], settings["output_size"]
    channels = sum(parameter.shape[0] for parameter in network.parameters() if parameter.dim() > 1)
    weights = sum(4 * parameter.numel() for parameter in network.parameters())
    averaged = bool(callbacks_of(trainer, WeightAveraging))
    states = 1 if module.hparams["muon"] else 2  # numbers that the optimizer keeps per weight
    fixed = weights * (1 + states + averaged + (device.type != "cpu"))  # on a CPU, weights are there already
    crude = fixed + batch * network.window(output_size).inputs * channels * _SMALL
    if free is None or crude <= free:
        return
    crop = crop_bytes(network, output_size, device, trainer.precision_plugin.forward_context)
    margin = CHECKPOINTED_MARGIN if network.checkpoint_activations else MARGIN
    needed = fixed + batch * crop
    if needed * margin <= free:
        return
    text = (
        f"a training step with batch_size {batch} and output_size {output_size} needs about {_gib(needed)}"
        f"{f' in each of {processes} processes' if processes > 1 else ''}, of which {_gib(free)} are free"
    )
    fits = int((free / margin - fixed) // crop)
    ways = f"try --batch_size {fits}" if fits > 0 else ""
    if needed <= free or (device.type == "cuda" and module.hparams["compile"]):  # a compiled step keeps less
        log.warning("%s: it may run out of memory%s", text, f"; {ways}" if ways else "")
        return
    if not ways:
        ways = "not one crop fits: try a smaller --output_size, or a small network: --config configs/demo.yaml"
    if not network.checkpoint_activations:
        ways += ", or --checkpoint_activations"
    raise UserError(f"{text}: {ways}")


def free_bytes(device: torch.device, processes: int = 1) -> int | None:
    """Return the bytes that a process may still allocate on a device; None if the system does not report them.

    The memory of a CPU is the machine's, or what a control group (a container, a cluster's job) leaves of its limit;
    all `processes` of a node share it.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [*_available(Path("/proc/meminfo")), *_left_in_groups(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]
    return min(found) // processes if found else None


def _available(path: Path) -> list[int]:
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return [1024 * int(line.split()[1])]
    return []


def _left_in_groups(own: Path, root: Path) -> list[int]:
    """Return what each memory group (version 2 of control groups) around this process leaves."""
    lines = own.read_text().splitlines() if own.is_file() else []
    found = []
    for group in [root / line.removeprefix("0::/") for line in lines if line.startswith("0::/")]:
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # no such file, or the limit "max"
                limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
                statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                found.append(limit - used + int(statistics.get("inactive_file", 0)))  # a cache that can be dropped
    return found


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
