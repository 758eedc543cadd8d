"""What a run that goes on, or is scored, takes from its checkpoint."""

from pathlib import Path

from jsonargparse import Namespace

from sequnet_pl.data.stored import StoredRecordings
from sequnet_pl.errors import UsageError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.training import checkpoints
from sequnet_pl.training.module import REVISABLE


def agree(config: Namespace, path: Path, *, fit: bool) -> None:
    """Settings take what the checkpoint has. UsageError where flags contradict it, which would else lose silently."""
    content = checkpoints.read(path)
    data = StoredRecordings.of(config.data.as_dict())
    config.data.split_time = data.kept_split_time(checkpoints.data_state(content))
    model = config.model
    if CLASS_PATHS[checkpoints.network_name(content, path)] != model.class_path:
        raise UsageError(f"{path} is not a checkpoint of {model.class_path}; leave --model out")
    if fit and not content.get("optimizer_states"):
        raise UsageError(f"{path} holds weights alone, from which no run goes on; begin one with --init_from {path}")
    run = checkpoints.run_of_checkpoint(path, Path(config.log_dir))
    own = run.settings["model"].get("init_args", {}) if run else {}
    for name, value in checkpoints.hyper_parameters(content).items():
        if name in REVISABLE:
            continue
        given = model.init_args.get(name, value)
        if given not in (value, own.get(name, value)):
            raise UsageError(f"--{name} {given}, but {path} has {name} {value}; leave --{name} out")
        if name in model.init_args:
            model.init_args[name] = value  # where the run has found a better one, as for the learning rate
