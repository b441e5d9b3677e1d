"""Hat EBM that refines the SN-GAN of `digits_sngan` (NeurIPS 2022).

python -m ebm_jax.main --config configs/digits_refine.py --workdir runs/digits_refine \\
--config.train.first_stage=runs/digits_sngan

23 minutes on one CPU core, shared. fd_classifier, seed 0: 2.46 for the generator's own samples,
0.78 for the refined ones. Chains are short by design: 500 steps lead to 13.4 where 30 lead to 1.96
(fd_classifier of 200 samples, which is larger than that of more).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.refinement(8, 1)
    hats.on_digits(c)
    return hats.finish(c, variant)
