"""`mnist_ladder` on Fashion-MNIST, twelve latents on top.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_ladder.py --workdir runs/fashion_mnist_ladder

Three minutes on 2 CPU cores. fd_classifier 3.7 for the EBM prior, 20.7 for the model's Gaussian;
the task `ood` tells MNIST from it with AUROC 0.985 by −L^{>0} (seed 0).
Its baseline is `fashion_mnist_lvae`, not run yet.
"""

from configs import mnist_ladder


def get_config(variant: str = "full"):
    c = mnist_ladder.get_config(variant)
    c.data.name = "fashion_mnist"
    c.model.latent_sizes = (2, 4, 12)
    c.eval.ood_data = ("mnist", "noise")
    c.eval.tasks = (*c.eval.tasks, "ood")
    return c
