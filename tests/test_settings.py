"""docs/settings.md explains each setting of `--print_config`, with its short name and its default."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from sequnet_pl.cli.train import train
from sequnet_pl.cli.train_options import train_parser
from sequnet_pl.models.registry import NETWORKS

TEXT = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([\w.]+)` \|([^|]*)\|([^|]*)\|[^|]*\w[^|]*\|$", re.MULTILINE)
ROWS = {name: (short.strip(), default.strip()) for name, short, default in _ROW.findall(TEXT)}


def leaves(settings: dict, prefix: str = "") -> dict[str, object]:
    """The settings by their whole names."""
    found: dict[str, object] = {}
    for name, value in settings.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


@pytest.fixture
def printed(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, object]]:
    """What `train.py --model NETWORK --print_config` prints, of each network."""
    found = {}
    for network in NETWORKS:
        monkeypatch.setattr(sys, "argv", ["train.py"])
        assert train(["--model", network, "--print_config"]) == 0
        found[network] = leaves(yaml.safe_load(capsys.readouterr().out))
    return found


def test_each_setting_is_explained_with_its_default(printed: dict[str, dict[str, object]]) -> None:
    assert set(ROWS) == set().union(*printed.values())
    for name, (_, default) in ROWS.items():
        values = [settings[name] for settings in printed.values() if name in settings]
        texts = [str(yaml.safe_dump(value).partition("\n")[0]) for value in values]
        assert default == " and ".join(f"`{text}`" for text in dict.fromkeys(texts)), name


def test_short_names_are_those_of_the_command_line() -> None:
    for network in NETWORKS:
        names = set(train_parser(network).names)
        for name, (short, _) in ROWS.items():
            if f"--{name}" in names and name != "model.class_path":
                assert {f"--{given}" for given in re.findall(r"`--([\w.]+)`", short)} <= names, name
