"""Networks to sound; needs a network and its state, never a Trainer."""
