"""Ladder model, five layers, with the paper's nets and hyper-parameters on CelebA 64 (ICCV 2023).

python -m ebm_jax.main --config configs/celeb_a_ladder.py --workdir runs/celeb_a_ladder

Not run here. The paper reports FID 32.15 and MSE 0.004.
"""

from configs import svhn_cropped_ladder


def get_config(variant: str = "full"):
    c = svhn_cropped_ladder.get_config(variant)
    c.data.name = "celeb_a"
    c.data.crop = 148
    c.data.image_size = 64
    if variant == "full":
        c.train.num_steps = 100 * 162_770 // c.data.batch_size  # 100 epochs
    return c
