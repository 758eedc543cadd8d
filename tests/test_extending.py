"""The networks of docs/extending.md train, are tested and sampled as the page describes."""

import re
import sys
from pathlib import Path

import pytest
import torch

from sequnet_pl.cli.main import run_main
from sequnet_pl.cli.sample_options import parse
from sequnet_pl.cli.train import train
from sequnet_pl.models import registry
from sequnet_pl.models.network import Network
from sequnet_pl.sampling.jobs import sample

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
MLP, DEEP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHAPES = {"MLP": "--context 8 --hidden 4", "DeepSeqUNet": "--levels 3 --features 4 --extra 5"}
LITTLE = (
    "--gpus 0 --threads 1 --output_size 512 --batch_size 2 --num_workers 0 --logger none --max_steps 2 --name run "
    "--sample_audio.seconds 0.001 --sample_audio.prompt_seconds 0.001"
)
SCRIPTS = {"train.py": train, "sample.py": lambda argv: sample(parse(argv))}


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the page's networks, and a registry without them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "NETWORKS", dict(registry.NETWORKS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_networks.py").write_text(f"{MLP}\n\n{DEEP}")
    sys.modules.pop("my_networks", None)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run a command; return its exit status and what it has printed."""

    def command(line: str) -> tuple[int, str]:
        program, *words = line.split()
        status = run_main(program, SCRIPTS[program], words)
        return status, "".join(capsys.readouterr())

    return command


def test_commands_with_a_network_outside_the_package(networks, run, audio_folder):
    model, last = "--model my_networks.MLP", "logs/my_networks.MLP/run/checkpoints/last.ckpt"
    status, text = run(f"train.py {model} {SHAPES['MLP']} {LITTLE} --audio_dir {audio_folder}")
    assert status == 0
    assert run(text.partition("test with: python ")[2].partition("\n")[0])[0] == 0
    (card,) = Path("logs").rglob("MODEL.md")
    commands = re.findall(r"^    python (.*)", card.read_text(), re.MULTILINE)
    assert [line.partition("--model ")[2] for line in commands] == ["my_networks.MLP"] * 2
    assert run(f"train.py {model} --ckpt_path {last} --max_steps 3")[0] == 0
    draw = f"--gpus 0 --threads 1 --gen_samples 40 --seed 1 --ckpt_path {last} --output_dir clips"
    assert run(f"sample.py {model} {draw} --conditional 1 --prompt_seconds 0.01")[0] == 0
    (wav,) = Path("clips").glob("*.wav")
    assert run(f"sample.py {model} --continue {wav} --gpus 0 --gen_samples 20")[0] == 0
    for other in (f"train.py test --ckpt_path {last}", f"sample.py {draw}"):
        registry.NETWORKS.pop("my_networks.MLP", None)
        status, text = run(other)
        assert status == 1
        assert "add --model my_networks.MLP" in text


def test_a_subclass_of_a_network_of_the_package(networks, run, audio_folder):
    model = "--model my_networks.DeepSeqUNet"
    assert run(f"train.py {model} {SHAPES['DeepSeqUNet']} {LITTLE} --audio_dir {audio_folder}")[0] == 0
    assert run(f"sample.py {model} --gpus 0 --gen_samples 40 --output_dir clips")[0] == 0
    assert len(list(Path("clips").glob("*.wav"))) == 1


@pytest.mark.parametrize("name", SHAPES)
def test_step_equals_forward_over_several_cycles(name, networks):
    kind = registry.network_class(registry.resolve(f"my_networks.{name}"))
    shape = dict(zip(*[iter(SHAPES[name].replace("--", "").split())] * 2, strict=True))
    network: Network = kind(**{key: int(value) for key, value in shape.items()}).double()
    codes = torch.randint(256, (2, network.window(1).inputs + 2 * network.cycle + 1))
    count = codes.shape[1]
    with torch.no_grad():
        state = network.silence(2, time=-count)
        for code in codes.unbind(1):
            logits = network.step(code, state)
        prefilled, _ = network.prefill(codes)
        whole = network(codes[:, -network.window(1).inputs :])[..., -1]
    assert torch.allclose(logits, prefilled, atol=1e-10)
    assert torch.allclose(whole, prefilled, atol=1e-10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("my_networks.Nothing", "cannot import the model my_networks.Nothing"),
        ("nowhere.MLP", "cannot import the model nowhere.MLP: No module named 'nowhere'"),
        ("my_networks.MLPState", "is not a subclass of sequnet_pl.models.network.Network"),
        ("sequnet_pl.models.Other", "there is no model sequnet_pl.models.Other: choose sequnet or wavenet"),
    ],
)
def test_classes_that_are_no_network(given, message, networks, run):
    status, text = run(f"train.py --model {given} --gpus 0")
    assert status == 2
    assert message in text
