"""The settings every experiment starts from; an experiment file is a delta on this one.

Durations are in optimiser steps unless a name says otherwise.
"""

import ml_collections
from ml_collections.config_dict import placeholder


def network_optimiser(learning_rate: float) -> ml_collections.ConfigDict:
    """Settings of one parameter group's optimiser."""
    return ml_collections.ConfigDict(
        dict(
            algorithm="adam",  # adam | adamax | sgd
            learning_rate=learning_rate,
            joint_learning_rate=placeholder(float),  # after `train.warmup_steps`; default: the same
            b1=0.9,
            b2=0.999,
            l2=0.0,  # added to the gradient first (PyTorch's `weight_decay`), not AdamW
            clip_norm=0.0,  # global gradient norm of the group; 0 = off
            decay_per_epoch=1.0,  # learning rate × this after every epoch
            linear_decay_steps=0,  # the learning rate falls to 0 in a line of this length; 0 = off
            cosine_decay_steps=0,  # … or to `final_learning_rate` along half a cosine; 0 = off
            final_learning_rate=0.0,
            rising_steps=0,  # the learning rate rises from 0 in so many steps
        )
    )


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.seed = 0
    c.compute_dtype = "float32"

    c.method = ml_collections.ConfigDict()
    c.method.name = "joint"
    c.method.learning = "variational"  # variational | mcmc
    c.method.stages = 1  # 2: energies on a first stage, which stays as it is (method joint)

    c.data = ml_collections.ConfigDict()
    c.data.name = "digits"  # digits | noise | a tfds name | npz:PATH | folder:PATH
    c.data.batch_size = 128  # global
    c.data.train_split = "train"
    c.data.eval_split = "test"
    c.data.classes = placeholder(tuple)  # labels of the examples used; default: all
    c.data.held_out_class = placeholder(int)  # left out of the training split: task `anomaly`
    c.data.image_size = 8  # side after crop and resize, pixels
    c.data.channels = 1
    c.data.crop = 0  # side of the centre crop before resizing; 0 = shorter side
    c.data.flip = False  # random horizontal flips while training
    c.data.range = (-1.0, 1.0)  # pixel values 0 and 255 map to these
    c.data.cache_gib = 1.0  # decoded images up to this size are kept in memory
    c.data.num_examples = placeholder(int)  # filled in from the data set
    c.data.prefetch = 2  # batches prepared ahead

    c.model = ml_collections.ConfigDict()
    c.model.latent_sizes = (16, 8)  # bottom (z_1) first
    c.model.generator = ml_collections.ConfigDict(
        # inputs: bottom | all;  combine (concat | add), width and last: of a convolutional ladder
        dict(kind="mlp", hidden=(128, 128), inputs="bottom", combine="concat", width=256, last=64)
    )
    c.model.prior = ml_collections.ConfigDict(dict(hidden=(64, 64), sigma_floor=0.01))
    c.model.energy = ml_collections.ConfigDict(
        # channels: of convolutions, for latents that are maps
        dict(enabled=True, hidden=(64, 64), channels=64, zero_init=True, spectral_norm=False)
    )
    c.model.inference = ml_collections.ConfigDict(
        dict(kind="mlp", hidden=(128, 128), latent_hidden=(64, 64), width=256)
    )
    for part in ("generator", "prior", "energy", "inference"):
        c.model[part].compute_dtype = placeholder(str)  # default: `compute_dtype`
    c.model.likelihood = ml_collections.ConfigDict(
        dict(kind="gaussian", sigma=0.3, mixtures=10)  # gaussian | bernoulli | logistic_mixture
    )

    c.sampler = ml_collections.ConfigDict()
    c.sampler.prior = ml_collections.ConfigDict(
        # space: u (re-parameterised) | z, or y (Hat EBM's residual);  init: normal | ancestral
        dict(num_steps=40, step_size=0.3, space="u", init="normal", clip=0.0, kernel="langevin")
    )
    c.sampler.prior.legacy_log_sigma = False  # −Σ log σ in u-space, as CVPR 2023's released code
    c.sampler.posterior = ml_collections.ConfigDict(
        # init: normal | ancestral | inference
        dict(num_steps=40, step_size=0.1, space="z", init="normal", clip=0.0, kernel="langevin")
    )

    c.optim = ml_collections.ConfigDict()
    c.optim.generator = network_optimiser(1e-3)
    c.optim.inference = network_optimiser(1e-3)
    c.optim.prior = network_optimiser(1e-3)
    c.optim.energy = network_optimiser(1e-4)
    c.optim.energy_l2 = 0.0  # penalty on the squared energies of both phases

    c.train = ml_collections.ConfigDict()
    c.train.first_stage = placeholder(str)  # workdir or export of the run this one builds on
    c.train.num_steps = 1000
    c.train.warmup_steps = 0  # steps as a hierarchical VAE / generator before the energies learn
    c.train.log_every = 100
    c.train.checkpoint_every = 500
    c.train.keep_checkpoints = 3
    c.train.image_every = 500
    c.train.steps_per_dispatch = 1
    c.train.accumulate = 1  # parts in which a device works on its share of the batch
    c.train.remat = False  # deep backbones: gradients compute cells again, and keep a tenth
    c.train.ema_decay = 0.999

    c.stability = ml_collections.ConfigDict()
    c.stability.max_grad_norm = 1e6  # an update beyond this is skipped and counted
    c.stability.max_energy = 1e3  # likewise for the energies' batch means
    c.stability.max_skipped = 20  # skipped updates in a row before rolling back
    c.stability.max_rollbacks = 3
    c.stability.energy_backoff = 0.5  # factor on the energies' learning rate at each roll-back

    c.eval = ml_collections.ConfigDict()
    c.eval.tasks = ("fd_classifier", "chains", "reconstruction")
    c.eval.num_samples = 2000
    c.eval.num_reconstructions = placeholder(int)  # default: the whole evaluation split
    c.eval.batch_size = 500
    c.eval.grid = 64  # images in a grid
    c.eval.prior_steps = placeholder(int)  # default: sampler.prior.num_steps
    c.eval.level_shares = ()  # of a diffusion sample's T · K steps, level 0 first; (): K at each
    # Batches of prior samples from which a deep backbone's batch normalisation takes its statistics
    # before sampling; 0: those of training.
    c.eval.recalibration_batches = 0
    c.eval.long_chain_steps = 2500
    c.eval.long_chain_samples = 1000
    c.eval.posterior = "inference"  # inference | langevin; encoder: an autoencoder's
    c.eval.posterior_lengths = (5, 20, 40)  # of chains compared by task `posterior_inference`
    c.eval.fid_features = 2048  # task `fid`: width of Inception's features, 64 … 2048
    c.eval.fid_resize = "clean"  # clean (PIL bicubic) | legacy (bilinear inside the network)
    c.eval.fid_reference = placeholder(int)  # training images compared with; default: all
    c.eval.likelihood_images = 100  # of the evaluation split
    c.eval.likelihood_simulated = 50  # images drawn from the model, for the upper bound
    c.eval.likelihood_temperatures = 1000  # of AIS
    c.eval.likelihood_chains = 4  # AIS chains per image
    c.eval.likelihood_leapfrog = 10  # HMC leapfrog steps per temperature
    c.eval.partition_chains = 500  # AIS chains for log Z
    c.eval.iwae_samples = 5000  # of q per image
    c.eval.num_detection = placeholder(int)  # examples of a split that are scored; default: all
    c.eval.classifier_images = placeholder(int)  # `latent_classifier` learns from; default: all
    c.eval.score_samples = 1  # posterior samples over which a score is averaged
    c.eval.bootstrap = 1000  # resamples behind the intervals of AUROC and AUPRC
    c.eval.hierarchy_samples = 1000  # tasks `hierarchy`, `latent_scatter`, `residual`
    c.eval.last_checkpoints = 1  # tasks `anomaly` and `learning_curve`: checkpoints they are of
    c.eval.sample_sets = 3  # of `num_samples`, task `refinement`
    c.eval.redraw = "sample"  # layers below the kept ones in L^{>k}: sample | mode of p_β
    c.eval.redraw_steps = 0  # Langevin steps that refine them, the kept layers clamped
    c.eval.ood_data = placeholder(tuple)  # data names of what is out of distribution: task `ood`
    c.eval.ood_split = "test"
    c.eval.diagnostic_chains = 256  # task `diagnostics`
    c.eval.diagnostic_steps = 500  # of each chain in the step-size sweep
    c.eval.step_size_factors = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # × sampler.prior.step_size

    c.sample = ml_collections.ConfigDict()  # --mode sample
    c.sample.num_images = 64
    c.sample.seed = 0  # of the draws
    c.sample.prior = "ebm"  # ebm | gaussian: the base prior p_β
    c.sample.frozen = ()  # layers, 1 = the bottom one, that all images have in common
    c.sample.attributes = ()  # (name, value) pairs that images are asked for, see `data.attributes`
    c.sample.strip = 0  # images along each chain, beside the grid; 0 = none
    c.sample.folder = ""  # to write to; by default WORKDIR/samples
    return c


def without_energy(c: ml_collections.ConfigDict) -> None:
    """Turns a joint model's config into its baseline: same nets and generator schedule, no energy.

    p_β then has no negative phase to run away with, so it keeps the generator's learning rate.
    """
    c.model.energy.enabled = False
    c.optim.prior.joint_learning_rate = c.optim.generator.joint_learning_rate


def finish(c: ml_collections.ConfigDict, variant: str) -> ml_collections.ConfigDict:
    """The variant behind the colon of `--config configs/X.py:variant`.

    `quick` shrinks durations, not nets, to a CPU run of about a minute.

    Raises:
      ValueError: unknown variant.
    """
    if variant == "full":
        return c
    if variant != "quick":
        raise ValueError(f"variant '{variant}' is unknown; use ':quick' or leave it out.")
    c.data.batch_size = min(c.data.batch_size, 32)
    c.train.num_steps = 60
    c.train.steps_per_dispatch = 1
    c.train.warmup_steps = min(c.train.warmup_steps, 20)
    c.train.log_every = 20
    c.train.checkpoint_every = 20
    c.train.image_every = 60
    for chain in (c.sampler.prior, c.sampler.posterior):
        chain.num_steps = min(chain.num_steps, 10)
    c.eval.num_samples = 200
    c.eval.num_reconstructions = 100
    c.eval.batch_size = 100
    c.eval.recalibration_batches = min(c.eval.recalibration_batches, 5)
    c.eval.fid_features = 64  # FID needs more samples than features
    c.eval.fid_reference = 200
    c.eval.last_checkpoints = min(c.eval.last_checkpoints, 2)
    c.eval.grid = 25
    c.eval.long_chain_steps = 100
    c.eval.long_chain_samples = 100
    c.eval.posterior_lengths = (2, 5)
    c.eval.likelihood_images = 20
    c.eval.likelihood_simulated = 10
    c.eval.likelihood_temperatures = 50
    c.eval.likelihood_chains = 2
    c.eval.likelihood_leapfrog = 5
    c.eval.partition_chains = 100
    c.eval.iwae_samples = 200
    c.eval.hierarchy_samples = 100
    if "control_samples" in c.eval:
        c.eval.control_samples = 100
        c.eval.request_steps = tuple((min(n, 5), size) for n, size in c.eval.request_steps)
    c.eval.num_detection = 200
    c.eval.classifier_images = 500
    c.eval.bootstrap = 200
    c.eval.diagnostic_chains = 32
    c.eval.diagnostic_steps = 40
    c.eval.step_size_factors = (0.5, 1.0, 2.0)
    return c
