"""Joint EBM prior on the deep model of `architecture64_nvae` (CVPR 2023, two stages).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_two_stage.py \\
--workdir runs/architecture64_two_stage --config.train.first_stage=runs/architecture64_nvae

31 minutes on one CPU core with task fid alone. FID of 768 features and 1 000 samples, seed 0: 3.57,
and 3.65 without energy (batch normalisation by the statistics of training, as energies learn).
"""

from configs import architecture64_nvae, base, stages


def get_config(variant: str = "full"):
    c = architecture64_nvae.get_config()
    stages.joint_on_small_images(c)
    return base.finish(c, variant)
