"""What `train.py --help` says: the short names; LightningCLI knows all the others."""

import re

from sequnet_pl.project import command

TRAIN_HELP = """\
Train and score Seq-U-Net and WaveNet on raw audio.

  python train.py --model sequnet --gpus 1                      train on the published piano recordings
  python train.py --model wavenet --audio_dir FOLDER --gpus 0   train on your own audio, on the CPU
  python train.py --config configs/demo.yaml                    train a small network in minutes
  python train.py --init_from CHECKPOINT --audio_dir FOLDER     fine-tune a trained network on your audio
  python train.py --model sequnet --ckpt_path last              go on exactly where the last run stopped
  python train.py test --ckpt_path last                         score the last run's test split

What to train
  --model sequnet|wavenet    the network, with its published settings (configs/)
  --config FILE              settings of your own, as YAML; flags win. --print_config prints all there are.
                             configs/demo.yaml and its like are found from any folder
  --init_from CHECKPOINT     begin with the weights, network and sample rate of a checkpoint, a run folder,
                             a published snapshot (of a WaveNet with --layers) or a network of the package
  --levels --features --depth --kernel_size --norm --head       of the Seq-U-Net
  --layers --blocks --dilation_channels --residual_channels --skip_channels --kernel_size   of the WaveNet
  --lr RATE --eps E          of Adam
  --muon RATE                of Muon, for the weights between hidden frames
  --beta2 B --weight_decay W --warmup SHARE --anneal --code_frequency F    what makes it learn better

On what
  --dataset piano|builtin    the published recordings, or a synthesised piano that needs no download
  --builtin_takes N          how often each of its training pieces is played (2): 40 are 4 hours
  --audio_dir FOLDER ...     your own audio: train/, val/, test/ in it, or split by file, one in time
  --audio_weights W ...      parts of the training crops that several folders have, by their hours by default
  --split_time               cut each recording in time, where its split is not given
  --audio_list FILE.csv      or a list of it, with the columns path and split
  --recordings FILE          or a list of URLs or YouTube ids, which are downloaded
  --sample_rate HZ           16000 by default
  --channel mix|left|right   of stereo recordings, mix by default
  --loudness LUFS            bring every recording to this loudness, -23 say
  --skip_silence SECONDS     cut digital silence that is longer down to this
  --store_workers N          processes that decode recordings, one a core by default
  --output_size N            predicted samples a crop (5000), rounded up to whole cycles
  --batch_size N --hop_size N --num_workers N --val_hours H --data_dir FOLDER

How
  --gpus N                   0 is the CPU; without it one GPU if there is one
  --cuda                     the same as --gpus 1
  --threads N                CPU threads of each process, as many as there are cores by default
  --epochs N --max_steps N --precision P --clip NORM --seed N --num_nodes N
  --checkpoint_activations   compute activations again instead of keeping them: less memory, slower steps
  --compile                  with torch.compile: minutes to compile; meant for GPUs
  --early_stopping N         stop when N validations in a row bring nothing
  --ema DECAY                validate, save and sample averaged weights (0.999); both scores are logged
  --skip_nonfinite N         leave out up to N steps whose loss or gradients are not finite, instead of ending

Where to
  --log_dir FOLDER           root of the run folders, logs by default: a run lives in <log_dir>/<model>/<name>
  --name NAME                date and time by default
  --snapshot_dir FOLDER      for checkpoints, instead of the run's own
  --logger wandb|tensorboard|none    beside the CSV file; W&B stays offline where no key is set, and off where
                             WANDB_MODE=disabled says so
  --log_model true           give W&B the best checkpoint at the end, as an artifact
  --keep N                   how many of the best checkpoints (1); last.ckpt comes on top
  --last.every_n_steps N --last.every_n_minutes M    how often last.ckpt is written (1000 steps, 10 minutes)
  --ckpt_path PATH|last|best|auto    go on from, or score, a checkpoint

The first word may be fit (the default), validate or test. All other options, Lightning's among them:
  python train.py fit --help
"""


def train_help() -> str:
    """The text, with the command by the name that it has here."""

    def called(example: re.Match[str]) -> str:
        return example[0].replace("python train.py", command("train")).ljust(len(example[0]))

    return re.sub(r"python train\.py(?: \S+)+", called, TRAIN_HELP)
