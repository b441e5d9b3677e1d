"""Ladder model, five layers, with the paper's nets and hyper-parameters on CIFAR-10 (ICCV 2023).

python -m ebm_jax.main --config configs/cifar10_ladder.py --workdir runs/cifar10_ladder

Not run here. The paper reports FID 63.42.
"""

from configs import svhn_cropped_ladder


def get_config(variant: str = "full"):
    c = svhn_cropped_ladder.get_config(variant)
    c.data.name = "cifar10"
    if variant == "full":
        c.train.num_steps = 200 * 50_000 // c.data.batch_size  # 200 epochs
    return c
