"""Ladder model, four layers of 2, 2, 2 and 10 latents, on SVHN (ICCV 2023, hierarchical sampling).

python -m ebm_jax.main --config configs/svhn_cropped_ladder4.py --workdir runs/svhn_cropped_ladder4

Not run here.
"""

from configs import base, ladders, svhn_cropped_ladder


def get_config(variant: str = "full"):
    c = svhn_cropped_ladder.get_config()
    ladders.learning(c, precision=3)
    ladders.four_layers(c)
    return base.finish(c, variant)
