from pathlib import Path

from run_folders import make_run

from sequnet_pl.report.card import write_card


def test_the_card_describes_the_training_without_paths(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", samplings=0)
    (folder / "checkpoints").mkdir()
    for step in (100, 200, 300):  # several are kept; that of the score is named
        (folder / "checkpoints" / f"best-step{step:08d}.ckpt").touch()
    write_card(folder, folder / "checkpoints")
    text = (folder / "checkpoints" / "MODEL.md").read_text(encoding="utf-8")
    for words in (
        "# sequnet run",
        "26,900,000 parameters",
        "fingerprint f00d",
        "train: recordings: 3, 2.5 hours",
        "3.025 bits per sample at step 200",
        "bigram baseline: 5.000",
        f"sample.py --ckpt_path {folder / 'checkpoints' / 'best-step00000200.ckpt'}",
        "levels: 5",
        "batch_size: 16",
        "check that you have the right to",
    ):
        assert words in text
    assert "/home/me/music" not in text
    write_card(tmp_path, tmp_path)  # a folder without anything has a card, too
    assert "last.ckpt" in (tmp_path / "MODEL.md").read_text(encoding="utf-8")
