"""Short runs and groups of processes, in a folder of each test's own."""

import pytest
import torch
from process_group import Group
from short_runs import run_fit


@pytest.fixture
def fit(tmp_path, audio_folder):
    """`run_fit` in a folder of this test's own."""
    return lambda *args, **kwargs: run_fit(tmp_path, audio_folder, *args, **kwargs)


@pytest.fixture
def group(tmp_path):
    """Start a group; all of it is ended with the test."""
    groups = []

    def begin(world, function, *arguments):
        folder = tmp_path / f"group-{len(groups)}"  # of what they write
        folder.mkdir()
        groups.append(Group(folder, world, function, *arguments))
        return groups[-1]

    yield begin
    for each in groups:
        for process in each.processes:
            process.kill()


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """As many as processes of a group have: another number adds up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
