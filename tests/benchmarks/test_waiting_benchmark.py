"""What the benchmark of waiting threads trains."""

from unittest.mock import patch

import yaml

from benchmarks import waiting


def test_the_demos_network_trains_and_samples():
    with patch.object(waiting, "SeqUNetModule", wraps=waiting.SeqUNetModule) as module:
        works = waiting.works(waiting.parse([]))
    demo = yaml.safe_load((waiting.CONFIGS / "demo.yaml").read_text(encoding="utf-8"))
    assert module.call_args.kwargs == demo["model"]["init_args"]
    for work in works.values():
        work()
