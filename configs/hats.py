"""Settings of Hat EBM (NeurIPS 2022) that its experiments share."""

import ml_collections
from ml_collections.config_dict import placeholder

from configs import base


def get_config(side: int, channels: int):
    """Synthesis with the paper's settings and small nets; each experiment sets its nets.

    Args:
      side: of the images, pixels.
      channels: of the images.
    """
    c = base.get_config()
    c.method.name = "hat"
    c.data.image_size, c.data.channels = side, channels
    c.data.batch_size = 128
    c.hat = ml_collections.ConfigDict(
        dict(
            density="conditional",  # conditional: the generator learns too | joint: it is frozen
            temperature=1e-3,  # T
            tau=0.0,  # weight of the residual's squared norm
            eval_tau=placeholder(float),  # when sampling; default: tau
            z_step_size=0.0,  # ε_z; 0 = z stays
            data_noise=1e-3,  # standard deviation added to the data
            bank_size=10_000,  # pairs (z, x) from which the generator learns
            generator_weight=1_000.0,  # on its mean squared error
        )
    )
    c.model.latent_sizes = (128,)
    c.model.generator = ml_collections.ConfigDict(
        # hidden: widths of the first map and of every doubling
        dict(kind="resnet", hidden=(256, 256, 256, 256), out_factor=2.0)
    )
    c.model.energy = ml_collections.ConfigDict(
        # halvings: the first so many blocks halve the side
        dict(enabled=True, hidden=(256, 256, 256, 256), halvings=2)
    )
    for part in ("generator", "energy"):
        c.model[part].compute_dtype = placeholder(str)
    c.sampler.prior.num_steps = 50
    c.sampler.prior.step_size = 5e-4
    c.sampler.prior.clip = 2.5
    c.optim.generator = base.network_optimiser(1e-4)
    c.optim.energy = base.network_optimiser(1e-4)
    c.train.num_steps = 50_000
    c.eval.tasks = ("fd_classifier",)
    return c
