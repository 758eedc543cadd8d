"""Recordings on disk to batches of codes."""
