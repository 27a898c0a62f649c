"""One explicit loop: sampling, losses, training steps, checkpoints. May import parts, evaluation and below."""
