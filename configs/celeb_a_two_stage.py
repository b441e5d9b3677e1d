"""Joint EBM prior on the deep model of `celeb_a_nvae` (CVPR 2023).

python -m ebm_jax.main --config configs/celeb_a_two_stage.py --workdir runs/celeb_a_two_stage \\
--config.train.first_stage=runs/celeb_a_nvae

With the paper's settings for LSUN Church at 64 pixels, where it reports FID 8.38 (38.13 without
energies). Not run here.
"""

from configs import base, celeb_a_nvae, stages


def get_config(variant: str = "full"):
    c = celeb_a_nvae.get_config()
    stages.papers_joint(
        c, batch_size=64, learning_rate=1e-4, chain=(30, 40), variance=4e-5, num_steps=16_000
    )
    return base.finish(c, variant)
