"""Settings in YAML."""

from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
"""The published networks and training, and others of ours."""
