"""Ladder model, three layers of two latents, with the paper's nets on MNIST (ICCV 2023).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_ladder_conv.py --workdir runs/mnist_ladder_conv

Not run to the end: a step takes about half a second on 2 CPU cores.
"""

from configs import base, ladders


def get_config(variant: str = "full"):
    c = base.get_config()
    c.data.name = "mnist"
    c.data.image_size = 28
    ladders.learning(c, precision=3)
    ladders.three_layers(c)
    c.train.num_steps = 12_000  # 20 epochs
    c.train.steps_per_dispatch = 5
    c.train.log_every = 500
    c.train.checkpoint_every = 1_000
    c.train.image_every = 4_000
    c.eval.num_samples = 10_000
    c.eval.batch_size = 1_000
    return base.finish(c, variant)
