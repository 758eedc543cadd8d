"""train.py in the process of its tests."""

import pytest


@pytest.fixture
def run(run_train, tmp_path):
    """Run train.py on the CPU in a folder of the test's own, without clips and W&B unless the command line has them."""

    def run(line):
        line += f" --gpus 0 --log_dir {tmp_path}/logs --data_dir {tmp_path}/data --num_workers 0"
        line += "" if "sample_audio" in line else " --sample_audio.every_n_epochs 0"
        line += "" if "--logger" in line else " --logger none"
        return run_train(line)

    return run
