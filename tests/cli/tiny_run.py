"""A run of two steps of a tiny network."""

TINY = (
    "--levels 2 --features 2 --depth 1 --kernel_size 3 --output_size 256 --batch_size 2 --hop_size 2000 --max_steps 2 "
    "--num_workers 0 --sample_audio.every_n_epochs 0 --trainer.enable_progress_bar false"
)
