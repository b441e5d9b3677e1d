"""Ladder model, three layers of two latents, with the paper's nets on MNIST (ICCV 2023).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_ladder_conv.py --workdir runs/mnist_ladder_conv

Not run here: hours on 2 CPU cores.
"""

from configs import base, ladders


def get_config(variant: str = "full"):
    c = base.get_config()
    ladders.on_mnist(c)
    ladders.learning(c, precision=3)
    ladders.three_layers(c)
    c.train.num_steps = 12_000  # 20 epochs
    return base.finish(c, variant)
