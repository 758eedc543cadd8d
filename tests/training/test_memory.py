"""The memory of a step is estimated before the first one."""

from contextlib import nullcontext

import pytest
import pytorch_lightning as pl
import torch

from sequnet_pl.errors import UserError
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.training import memory
from sequnet_pl.training.module import SeqUNetModule, WaveNetModule

CPU = torch.device("cpu")
SETTINGS = {"batch_size": 64, "output_size": 4096}


def check(module, free, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device, processes: free)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    memory.check_memory(trainer, module, SETTINGS)


@pytest.mark.parametrize(("kind", "shape"), [(SeqUNetModule, (3, 16, 2, 3)), (WaveNetModule, (4, 2, 16, 16, 16))])
def test_recomputed_activations_take_less_and_the_network_stays(kind, shape):
    module = kind(*shape)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    plain = memory.crop_bytes(module.network, 4096, CPU, nullcontext)
    module.network.checkpoint_activations = True
    assert 0 < memory.crop_bytes(module.network, 4096, CPU, nullcontext) < plain
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(monkeypatch, caplog):
    module = SeqUNetModule(3, 16, 1, 3)
    crop = memory.crop_bytes(module.network, SETTINGS["output_size"], CPU, nullcontext)
    with pytest.raises(UserError, match=r"batch_size 64 .* try --batch_size \d+, or --checkpoint_activations"):
        check(module, 32 * crop, monkeypatch)
    with pytest.raises(UserError, match=r"smaller --output_size, or a small network"):
        check(module, crop // 2, monkeypatch)
    check(module, 70 * crop, monkeypatch)
    assert caplog.text.count("may run out of memory") == 1
    check(module, 200 * crop, monkeypatch)
    check(module, None, monkeypatch)  # a system that does not report it
    assert caplog.text.count("out of memory") == 1


def test_the_limit_of_a_control_group_counts(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/job\n0::/unit/task\n")
    for folder, limit, used in (("unit/task", "max", 5), ("unit", "1000", 300)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text(f"{used}\n")
        (tmp_path / folder / "memory.stat").write_text("anon 1\ninactive_file 100\n")
    assert memory._left_in_groups(own, tmp_path) == [800]


def test_the_silence_of_many_levels_takes_no_more_than_a_crop():
    """A period of it has 1,024 samples with 11 levels: as many as the crop."""
    few, many = (memory.crop_bytes(SeqUNet(levels, 4, 1, 3, state=4), 1024, CPU, nullcontext) for levels in (7, 11))
    assert many < 1.25 * few
