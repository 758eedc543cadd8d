"""Tensors of the arena never share room, give it back when the last view is gone, and there is a way without it."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from sequnet_pl.models import arena
from sequnet_pl.models.arena import Arena
from sequnet_pl.models.sequnet import SeqUNet
from sequnet_pl.models.wavenet import WaveNet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux maps memory without taking it")
PAGE = 4096


def gaps(room):
    room._merge()
    return [gap for gap in room._gaps if gap[0] < gap[1]]


def test_room_is_given_back_when_the_last_view_is_gone():
    room = Arena(10 * PAGE)
    first, second = room.empty((PAGE,), torch.uint8), room.empty((3, 1024), torch.float32)
    assert gaps(room) == [(4 * PAGE, 10 * PAGE)]
    part = second[1].detach()
    del first, second
    assert gaps(room) == [(0, PAGE), (4 * PAGE, 10 * PAGE)]
    assert room.empty((2 * PAGE,), torch.uint8).data_ptr() == part.data_ptr() + 2 * PAGE
    del part
    assert gaps(room) == [(0, 10 * PAGE)]


def test_the_first_gap_that_is_large_enough_is_taken():
    room = Arena(10 * PAGE)
    tensors = [room.empty((size * PAGE,), torch.uint8) for size in (2, 1, 1, 1, 5)]
    assert room.empty((1,), torch.uint8) is None
    starts = [tensor.data_ptr() for tensor in tensors]
    tensors[0] = tensors[2] = None
    tensors.append(room.empty((1,), torch.bfloat16))
    assert tensors[-1].data_ptr() == starts[0]
    assert room.empty((2 * PAGE,), torch.uint8) is None
    assert room.empty((PAGE + 1,), torch.uint8) is None


def test_tensors_never_share_room():
    room, random = Arena(300 * PAGE), torch.Generator().manual_seed(0)
    kept = {}
    for number in range(2000):
        size, chosen = torch.randint(1, 20000, (2,), generator=random).tolist()
        tensor = room.empty((size,), torch.int32)
        if tensor is None or len(kept) > 40:
            kept.pop(sorted(kept)[chosen % len(kept)])
        else:
            kept[number] = tensor.fill_(number)
        assert all(bool((tensor == number).all()) for number, tensor in kept.items())
    kept.clear()
    del tensor
    assert gaps(room) == [(0, 300 * PAGE)]


@pytest.fixture
def fresh_arena():
    arena._arena.cache_clear()
    yield
    arena._arena.cache_clear()


def step(network, codes):
    logits = network(codes)
    F.cross_entropy(logits, torch.full((len(codes), logits.shape[-1]), 100)).backward()
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("build", [lambda: SeqUNet(3, 24, 2, 5), lambda: WaveNet(4, 2, 24, 24, 24)])
def test_a_step_leaves_nothing_behind_and_is_the_same_without(build, fresh_arena, monkeypatch):
    torch.manual_seed(0)
    network = build()
    codes = torch.randint(256, (2, network.window(6000).inputs), dtype=torch.uint8)
    expected = [gradient.clone() for gradient in step(network, codes)]
    room = arena._arena()
    assert room._returned  # it was used
    network.zero_grad()
    assert len(gaps(room)) == 1 and room._gaps[0][0] == 0

    def refuse(size):
        raise OSError("the system promises no memory that it may not have")

    for full_or_refused in (lambda size: Arena(PAGE), refuse):
        monkeypatch.setattr(arena, "Arena", full_or_refused)
        arena._arena.cache_clear()
        network.zero_grad()
        for actual, gradient in zip(step(network, codes), expected, strict=True):
            assert torch.equal(actual, gradient)


def test_processes_that_load_data_get_no_copy(fresh_arena):
    address = arena.empty(torch.zeros(()), 1 << 20).data_ptr()
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        start, stop = (int(end, 16) for end in mapping.split(maxsplit=1)[0].split("-"))
        if start <= address < stop:
            assert " wf" in mapping[mapping.index("VmFlags:") :]
            return
    pytest.fail("no mapping has the tensor")
