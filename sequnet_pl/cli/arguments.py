"""The command line of train.py in LightningCLI's words: rewritten before anything is parsed.

Configs come first and flags after them, so that flags win; nothing is added that a config may have set. Rewriting twice
gives what rewriting once does, since processes that Lightning launches run the command again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sequnet_pl.cli import init_from
from sequnet_pl.cli.configs import GROUPS, find, network_of, read, settings_of
from sequnet_pl.cli.flags import LISTS, OF_NETWORK, SHORT, SPECIAL, SWITCHES, VALUED
from sequnet_pl.cli.line import Flag, flags_of, with_lists
from sequnet_pl.cli.meant import meant
from sequnet_pl.cli.run_name import job_name
from sequnet_pl.cli.special import callbacks, check_pairs, devices, replaced, seeds, several
from sequnet_pl.errors import UsageError, UserError
from sequnet_pl.names import CLASS_PATHS
from sequnet_pl.project import CONFIGS, program
from sequnet_pl.training import checkpoints

SUBCOMMANDS = ("fit", "validate", "test", "predict")
_CONFIGS = ("config", *GROUPS)
_RECORDINGS = ("data.dataset", "data.audio_dir", "data.audio_list", "data.recordings")


class _Line:
    """What a command line says: its flags by the names of LightningCLI, and below them what its configs say."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.typed, lists = with_lists(flags_of(arguments), LISTS)
        _check(self.typed)
        self.flags = [Flag(SHORT.get(flag.name, flag.name), flag.value) for flag in self.typed]
        self.lists = several(
            {SHORT.get(flag.name, flag.name): lists[flag.name] for flag in self.typed if flag.name in lists}
        )
        self.configs = [_config(name, value) for name, value in self.flags if name in _CONFIGS and value]
        self.settings = settings_of(self.configs)

    def flag(self, name: str) -> str | None:
        """The last value that a flag gives to a name."""
        return dict(self.flags).get(name)

    def get(self, name: str) -> str | None:
        """What is set under a name: by a flag, else by the configs."""
        value = self.flag(name) or self.settings.get(name)
        return str(value) if value else None


def _check(typed: Sequence[Flag]) -> None:
    """UsageError for a flag that lacks its value, as an unset variable of a shell leaves it, or a value its flag."""
    for flag in typed:
        if flag.name == "":
            raise UsageError(f"what is {flag.value or '--'!r}? Values follow a flag, as in --levels 8")
        if flag.value is None and flag.name in VALUED:
            raise UsageError(f"{flag.option} needs a value")
        if flag.name.startswith("-") and flag.name not in SHORT:
            two = f"--{flag.name.lstrip('-')}"
            raise UsageError(f"there is no option {flag.option}: names have two dashes, as in {two}")


def rewrite(argv: Sequence[str]) -> list[str]:
    """The command line in LightningCLI's own words. UsageError for flags that do not go together."""
    arguments = list(argv)
    subcommand = arguments.pop(0) if arguments and arguments[0] in SUBCOMMANDS else "fit"
    if {"-h", "--help"} & set(arguments):
        return [subcommand, *arguments]
    if subcommand == "predict":
        raise UsageError(f"there is nothing to predict: {program('sample')} makes audio, test scores a checkpoint")
    line = _Line(arguments)
    check_pairs(line.typed)
    init_from.check(line.typed, subcommand)
    checkpoint = _checkpoint(line, subcommand)
    start = _start(line) if subcommand == "fit" and not checkpoint else None
    network, base = _base(line, checkpoint, start)
    configs = line.configs if base in (None, *line.configs[:1]) else [base, *line.configs]
    configs += start.config(settings_of(configs)) if start else []
    settings = settings_of(configs)
    configs = [*configs, *_overrides(line, settings)]
    flags = [pair for pair in zip(line.flags, line.typed, strict=True) if pair[0].name not in line.lists]
    words = [word for flag, typed in flags for word in _words(flag, typed, network)]
    words += devices(line.flags, settings) + seeds(line.flags)
    words += [f"--ckpt_path={checkpoint}"] if checkpoint else []
    words += [f"--init_from={start.path}"] if start else []
    return [subcommand, *(f"--config={config}" for config in configs), *words]


def _config(name: str, value: str) -> str:
    """Where a config is, or that of a group of settings as one of all settings."""
    return find(value) if name == "config" else json.dumps({name: read(find(value))})


def _checkpoint(line: _Line, subcommand: str) -> Path | None:
    """The checkpoint to go on from or to score; `last`, `best` and `auto` are looked up."""
    given = line.get("ckpt_path")
    if given is None:
        if subcommand != "fit":
            raise UsageError(f"name what to {subcommand}: --ckpt_path last, best or a path")
        return None
    root, name, network = Path(line.get("log_dir") or "logs"), line.get("name"), _network(line)
    if given in ("last", "best"):
        run = checkpoints.newest_run(root, network, name)
        return run.last if given == "last" else checkpoints.best_of(run)
    if given == "auto" and subcommand == "fit":
        try:
            return checkpoints.newest_run(root, network, name or job_name()).last
        except UserError:
            return None
    return Path(given)


def _network(line: _Line) -> str | None:
    """The network that --model names, in either way, or a config. UsageError where they differ, or for another."""
    given, configured = line.flag("model"), network_of(line.settings)
    if given is None:
        return configured
    network = given if given in CLASS_PATHS else network_of({"model": given})
    if network is None:
        choice = " or ".join(CLASS_PATHS)
        raise UsageError(f"there is no model {given}: choose {choice}{meant(given, CLASS_PATHS, dashes='')}")
    if configured not in (None, network):
        raise UsageError(
            f"--model {network}, but {line.configs[-1]} is a config of {configured}; leave one of them out"
        )
    return network


def _start(line: _Line) -> init_from.Start | None:
    """What a new run begins with, where it does not begin anew. UsageError where the line contradicts it."""
    if (given := line.get("init_from")) is None:
        return None
    start = init_from.start(given, line.get("model.init_args.layers"))
    start.agree(_network(line), line.flags, line.typed)
    return start


def _base(line: _Line, checkpoint: Path | None, start: init_from.Start | None) -> tuple[str, str | None]:
    """Which network it is, and the config that all else differs from: that of a checkpoint, or the published one."""
    network = _network(line) or (start.network if start else None)
    if checkpoint:
        content = checkpoints.read(checkpoint)
        found = checkpoints.network_name(content, checkpoint)
        if network not in (None, found):
            raise UsageError(f"--model {network}, but {checkpoint} is a checkpoint of {found}; leave --model out")
        run = _run(line, checkpoint)
        return found, str(run.folder / "config.yaml") if run else _from_hyper_parameters(content, found)
    if network is None:
        for name, _ in line.typed:
            if question := meant(name, ("model", "config")):
                raise UsageError(f"there is no option --{name}{question}")
        raise UsageError(f"name a model: --model {' or --model '.join(CLASS_PATHS)}, or a --config that does")
    if network_of(line.settings) or line.flag("model") not in (None, network):
        return network, None  # somebody who says all of it
    return network, str(CONFIGS / f"{network}.yaml")


def _run(line: _Line, checkpoint: Path) -> checkpoints.Run | None:
    """The run of a checkpoint, found once: afterwards the line begins with its config."""
    named = checkpoints.run_of(Path(line.configs[0])) if line.configs else None
    if named and named.checkpoints.resolve() == checkpoint.parent.resolve():
        return named
    return checkpoints.run_of_checkpoint(checkpoint, Path(line.get("log_dir") or "logs"))


def _from_hyper_parameters(content: dict[str, Any], network: str) -> str:
    """The settings of a checkpoint that has lost its run folder."""
    own = checkpoints.hyper_parameters(content)
    data = checkpoints.hyper_parameters(content, "datamodule_hyper_parameters")
    return json.dumps({"model": {"class_path": CLASS_PATHS[network], "init_args": own}, "data": data})


def _overrides(line: _Line, settings: dict[str, Any]) -> list[str]:
    """A config of what flags undo in others: recordings that the line does not name, callbacks that it has anew.

    And of lists, which one flag cannot tell from a text.
    """
    named = {flag.name for flag in line.flags}
    where = [flag for flag in line.flags if flag.name in _RECORDINGS]
    others: list[str] = [*_RECORDINGS[1:]]
    if where and where[-1] != ("data.dataset", "builtin"):
        others.append("data.builtin_takes")
    others = [name for name in others if name not in named and settings.get(name) is not None]
    undone: dict[str, Any] = dict.fromkeys(others) if where else {}
    if own := callbacks(line.flags):
        undone["trainer.callbacks"] = replaced(settings.get("trainer.callbacks"), own)
    undone |= line.lists
    return [json.dumps(undone)] if undone else []


def _words(flag: Flag, typed: Flag, network: str) -> list[str]:
    """One flag in LightningCLI's words."""
    name, value = flag
    if name in (*_CONFIGS, "ckpt_path") or (name in SPECIAL and (name != "model" or value in CLASS_PATHS)):
        return []  # said elsewhere on the line
    owners = [owner for owner, settings in OF_NETWORK.items() if typed.name in settings]
    if owners and network not in owners:
        question = meant(typed.name, OF_NETWORK[network])
        raise UsageError(f"--{typed.name} belongs to {owners[0]}, but the model is {network}{question}")
    if value is None and typed.name in SWITCHES:
        return [Flag(name, "true").word()]
    return [flag.word()]
