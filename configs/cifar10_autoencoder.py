"""Deterministic autoencoder on the sphere, on CIFAR-10: the first stage of `cifar10_retrofit`.

python -m ebm_jax.main --config configs/cifar10_autoencoder.py --workdir runs/cifar10_autoencoder

Not run here.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.autoencoder(32, 3)
    c.data.name = "cifar10"
    c.train.num_steps = 50_000
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "reconstruction")
    return hats.finish(c, variant)
