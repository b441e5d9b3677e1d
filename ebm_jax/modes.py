"""What the command line's modes do."""

import json
import os
import sys
from typing import Any

import jax
from clu import parameter_overview

from ebm_jax import companions, data, first_stage, methods, parallel, provenance
from ebm_jax.cache import cache_root
from ebm_jax.errors import ConfigError, UserError
from ebm_jax.evaluate import evaluate
from ebm_jax.preemption import Preemption
from ebm_jax.prerequisites import prepare
from ebm_jax.reporting.summary import print_summary
from ebm_jax.sample import sample
from ebm_jax.train import train
from ebm_jax.training_step import init_loop_state
from ebm_jax.validation import validate
from ebm_jax.workdir import check_no_bucket


def run(mode: str, config: Any, workdir: str | None) -> None:
    """Runs one mode of the command line.

    Args:
      mode: train | eval | sample | dry_run.
      config: the experiment's ConfigDict.
      workdir: the run's folder; dry_run needs none.

    Raises:
      UserError: any of `ebm_jax.errors`; the message is for the user.
    """
    modes = {"train": _train, "eval": _evaluate, "sample": _draw, "dry_run": _dry_run}
    if mode not in modes:
        raise ConfigError(f"--mode is '{mode}'; use one of: {', '.join(modes)}.")
    check_no_bucket(workdir)
    _use_compilation_cache()
    parallel.initialise()
    if not parallel.is_primary():  # one process tells what all do
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    with companions.joined():
        validate(config)
        _check_build(config)
        modes[mode](config, workdir)


def _check_build(config):
    """Finds what the ranges of single settings do not: a group that is none, widths that are texts.

    Raises:
      ConfigError: the settings make no method.
    """
    try:
        methods.build(config)
    except UserError:
        raise
    except Exception as error:  # whatever the first use of an odd value raises
        raise ConfigError(
            f"the settings make no '{config.method.name}' ({type(error).__name__}: {error}); "
            "compare them with those of configs/base.py."
        ) from error


def _train(config, workdir):
    with Preemption() as preemption:
        prepare(config)
        train(config, workdir, preemption)
        results = evaluate(config, workdir, preemption, again=False)
        print_summary(results, workdir, config.train.num_steps)


def _evaluate(config, workdir):
    with Preemption() as preemption:
        results = evaluate(config, workdir, preemption)
        print_summary(results, workdir, config.train.num_steps)


def _draw(config, workdir):
    for line in sample(config, workdir):
        print(line)


def _dry_run(config, _):
    """Everything up to the first step, and nothing written."""
    parallel.check_batch_size(config.data.batch_size, config.train.accumulate)
    dataset, method = prepare(config)
    first_stage.check(config, method)
    first = first_stage.load(config, method).state if config.train.first_stage else None
    batch = data.make_batch(dataset, config.data, config.seed, 0)
    state = init_loop_state(method, batch, jax.random.key(config.seed), first)
    print(json.dumps(config.to_dict(), indent=1))
    print(
        f"data: {dataset.name}, split {dataset.split}, {dataset.num_examples} images of "
        f"{dataset.image_shape}"
    )
    for group, parameters in state.train.params.items():
        print(f"\n{group}")
        print(parameter_overview.get_parameter_overview(parameters, include_stats=False))
    compiled = jax.jit(method.update).lower(state.train, batch, jax.random.key(0)).compile()
    cost, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    print(f"\none update on {provenance.describe_hardware()}:")
    print(f"  {cost.get('flops', float('nan')) / 1e9:.3f} GFLOP as XLA counts it (loops once)")
    if memory is not None:
        total = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        print(f"  {total / 2**20:.1f} MiB of arguments and temporaries")
    sys.stdout.flush()


def _use_compilation_cache():
    """Compiled programs are kept between runs, unless jax is told where (or not) to keep them."""
    if jax.config.jax_compilation_cache_dir is None and "JAX_ENABLE_COMPILATION_CACHE" not in (
        os.environ
    ):
        jax.config.update("jax_compilation_cache_dir", str(cache_root() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
