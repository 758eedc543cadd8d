"""Each YAML builds a network and its training, and differs from the defaults of the code in every key."""

import inspect
from pathlib import Path

import pytest
import yaml

from sequnet_pl.data.datamodule import AudioDataModule
from sequnet_pl.models import registry
from sequnet_pl.training.module import AudioModule, module_class

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.fixture(params=[path for path in CONFIGS if path.stem != "pretrained"], ids=lambda path: path.stem)
def settings(request):
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def network_class(settings):
    return registry.network_class(registry.resolve(settings["model"]["class_path"]))


def test_config_builds_a_module_and_data(settings):
    module = module_class(registry.resolve(settings["model"]["class_path"]))(**settings["model"].get("init_args", {}))
    assert isinstance(module, AudioModule)
    datamodule = AudioDataModule(**settings.get("data", {}))
    inputs, outputs = module.network.window(datamodule.hparams["output_size"])
    assert inputs >= outputs >= datamodule.hparams["output_size"]


def test_config_says_only_what_differs_from_the_defaults(settings):
    learning = dict(inspect.signature(AudioModule).parameters)  # the same of all networks
    for given, function in (
        (settings["model"].get("init_args", {}), network_class(settings)),
        (settings.get("data", {}), AudioDataModule),
    ):
        defaults = learning | dict(inspect.signature(function).parameters)
        for name, value in given.items():
            assert defaults[name].default != value, name


def test_a_config_whose_validations_count_steps_samples_by_steps_too(settings):
    if settings["trainer"].get("check_val_every_n_epoch", 1) is None:
        assert settings["sample_audio"]["every_n_epochs"] == 0


def test_the_small_piano_network_fits_into_a_package_and_hears_two_seconds():
    settings = yaml.safe_load((CONFIGS[0].parent / "piano_small.yaml").read_text(encoding="utf-8"))
    module = module_class("sequnet")(**settings["model"]["init_args"])
    network = module.network
    assert network.receptive_field >= 2 * AudioDataModule(**settings["data"]).hparams["sample_rate"]
    assert sum(parameter.numel() for parameter in network.parameters()) <= 3_900_000


@pytest.mark.parametrize("path", [*CONFIGS, *CONFIGS[0].parent.glob("sweeps/*.yaml")], ids=lambda path: path.stem)
def test_every_key_has_its_reason(path):
    """A comment beside each value, or above the file's first key for all of them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    for line in lines:
        value = line.partition(":")[2].strip()
        if value and not line.lstrip().startswith(("#", "class_path")):
            assert "#" in value, line
