"""Joint EBM on the deep model of `celeb_hq_nvae`, with the paper's settings (CVPR 2023).

python -m ebm_jax.main --config configs/celeb_hq_two_stage.py --workdir runs/celeb_hq_two_stage \\
--config.train.first_stage=runs/celeb_hq_nvae

Not run here. The paper reports FID 9.89, and 30.25 without energies.
"""

from configs import base, celeb_hq_nvae, stages


def get_config(variant: str = "full"):
    c = celeb_hq_nvae.get_config()
    stages.papers_joint(
        c, batch_size=4, learning_rate=2e-5, chain=(10, 10), variance=1e-5, num_steps=6_500
    )
    return base.finish(c, variant)
