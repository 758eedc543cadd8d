"""How large a comparison is: networks, training, and clips to hear."""

from dataclasses import dataclass

GOOD = ("--beta2=0.95", "--warmup=0.1", "--anneal", "--clip=1.0", "--code_frequency=10")
"""Learns more in few steps than the published settings do, with either network (`benchmarks/learning.py`)."""
SHORT = (
    "--epochs=-1",  # steps end it
    "--num_workers=0",  # all cores compute
    "--sample_audio.every_n_epochs=0",  # clips are made at the end
    "--trainer.check_val_every_n_epoch=null",  # but every so many steps
)


@dataclass(frozen=True)
class Scale:
    """One size of the comparison.

    Attributes:
        networks: Seq-U-Net and WaveNet, of about equal receptive field; names in `benchmarks.sampling.NETWORKS`.
        training: Flags of train.py, for both.
        steps: Of the optimizer; None leaves it to the configs.
        clips: To hear and to compare, of each network.
        seconds: Of what is generated in a clip.
        prompt_seconds: What is heard before it.
        turn: Seconds of a turn where speeds are measured.
        rounds: Turns of each network.
        dataset: Recordings, where no others are named.
    """

    networks: tuple[str, str]
    training: tuple[str, ...]
    steps: int | None
    clips: int
    seconds: float
    prompt_seconds: float
    turn: float = 2.0
    rounds: int = 5
    dataset: str = "builtin"


SCALES = {
    # Receptive fields of 2,549 and 3,070 samples, a sixth of a second: so short that windows of 4,096 targets are
    # mostly targets. Channels as many in both, as nearly in the published ones.
    "tiny": Scale(
        ("sequnet-tiny", "wavenet-tiny"),
        (*SHORT, *GOOD, "--lr=2e-2", "--output_size=4096", "--batch_size=4", "--log_interval=5", "--val_hours=0.01",
         "--trainer.val_check_interval=50", "--last.every_n_steps=50"),
        steps=300, clips=16, seconds=1.0, prompt_seconds=0.5,
    ),
    # Half the published receptive field: a second.
    "small": Scale(
        ("sequnet-mid", "wavenet-mid"),
        (*SHORT, *GOOD, "--lr=1e-2", "--output_size=8192", "--batch_size=4", "--log_interval=10", "--val_hours=0.02",
         "--trainer.val_check_interval=200", "--last.every_n_steps=100"),
        steps=2000, clips=32, seconds=2.0, prompt_seconds=1.0,
    ),
    # As published, on the published recordings.
    "published": Scale(("sequnet", "wavenet"), (), steps=None, clips=64, seconds=2.0, prompt_seconds=1.0,
                       dataset="piano"),
}  # fmt: skip
