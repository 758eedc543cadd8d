"""The precision of a run on a CPU."""

import pytest
import torch
import yaml
from tiny import fit, run_folder


@pytest.mark.parametrize(
    ("features", "has_bfloat16", "more", "precision"),
    [
        (64, True, "", "bf16-mixed"),
        (64, False, "", None),
        (63, True, "", None),
        (64, True, "--precision 32-true", "32-true"),
    ],
)
def test_a_wide_network_trains_in_bfloat16_where_the_processor_computes_in_it(
    run, audio_folder, tmp_path, monkeypatch, features, has_bfloat16, more, precision
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_bfloat16})
    status, out = run(f"{fit('sequnet', audio_folder, 1)} --features {features} {more}")
    assert status == 0
    assert f"precision {precision or '32-true'}" in out.splitlines()[0]
    config = run_folder(tmp_path, "sequnet") / "config.yaml"
    assert yaml.safe_load(config.read_text())["trainer"]["precision"] == precision
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": not has_bfloat16})
    status, out = run("--ckpt_path last --max_steps 2")  # a resumed run keeps its precision
    assert status == 0
    assert f"precision {precision or '32-true'}" in out.splitlines()[0]
