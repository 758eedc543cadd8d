"""Seq-U-Net and WaveNet on raw audio, one sample at a time, with PyTorch Lightning."""
