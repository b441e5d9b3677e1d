"""Joint latent EBM prior on CIFAR-10 with the paper's nets and hyper-parameters (CVPR 2023).

    python -m ebm_jax.main --config configs/cifar10_joint.py --workdir runs/cifar10_joint

Learning is by MCMC as in the released code: every layer starts from N(0, I) in z-space. The paper
reports FID 66.32 (50 000 samples) after 101 epochs.
"""

from configs import base


def get_config(variant: str = "full"):
    c = base.get_config()
    c.method.learning = "mcmc"
    c.data.name = "cifar10"
    c.data.batch_size = 100
    c.data.image_size = 32
    c.data.channels = 3
    c.model.latent_sizes = (128, 100)
    c.model.generator.kind = "conv"
    c.model.generator.hidden = (1024, 512, 256)
    c.model.prior.hidden = (200, 200, 200, 200)
    c.model.energy.hidden = ((200, 200, 200), (100, 100))
    c.model.energy.zero_init = False
    c.model.inference.kind = "conv"  # only built when method.learning = 'variational'
    c.model.inference.hidden = (256, 512, 1024)
    c.model.inference.latent_hidden = (200, 200)
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.4
    c.sampler.prior.space = "z"
    c.sampler.posterior.num_steps = 40
    c.sampler.posterior.step_size = 0.1
    for group, rate in (
        ("generator", 1e-4),
        ("prior", 1e-4),
        ("inference", 1e-4),
        ("energy", 2e-5),
    ):
        c.optim[group] = base.network_optimiser(rate)
    c.train.num_steps = 101 * 50_000 // c.data.batch_size  # 101 epochs
    c.train.log_every = 100
    c.train.checkpoint_every = 1_000
    c.train.image_every = 1_000
    c.eval.posterior = "langevin"
    c.eval.tasks = ("chains", "reconstruction")
    c = base.finish(c, variant)
    if variant == "quick":  # the exact nets are 100 times the other configs'
        c.data.batch_size = 4
        c.eval.num_reconstructions = 20
        c.eval.batch_size = 20
        c.train.num_steps = 20
    return c
