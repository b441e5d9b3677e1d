"""Floating-point work of an update, counted from its program: what a run of a size will cost.

python -m benchmarks.work [configs/X.py …]      (by default: the papers' sizes)
"""

import argparse
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.interpreters import partial_eval

from benchmarks.examples import random_batch
from ebm_jax import methods

PAPERS = (
    "cifar10_joint",
    "cifar10_ladder",
    "svhn_cropped_ladder",
    "celeb_a_ladder",
    "cifar10_hat",
    "celeb_a_hat",
    "imagenet_hat",
    "cifar10_refine",
    "cifar10_retrofit",
    "cifar10_nvae",
    "cifar10_two_stage",
    "cifar10_diffusion",
    "celeb_a_nvae",
    "celeb_a_two_stage",
    "celeb_hq_nvae",
    "celeb_hq_two_stage",
    "celeb_hq_diffusion",
)


class Work(NamedTuple):
    """What one update amounts to.

    Attributes:
      name: of the config.
      batch: images in it.
      parameters: numbers that are learned or kept.
      gflop: of matrix products and convolutions, 10⁹; a multiplication and an addition are two.
      updates: of the whole run.
    """

    name: str
    batch: int
    parameters: int
    gflop: float
    updates: int

    @property
    def total_eflop(self) -> float:
        """10¹⁸ of the whole run."""
        return self.gflop * self.updates / 1e9


def flops(function: Callable, *arguments: Any) -> float:
    """Operations in the matrix products and convolutions of function(*arguments), loops in full.

    Args:
      function: traceable by jax.
      *arguments: arrays or shapes.

    Raises:
      ValueError: a loop whose length is known at run time alone.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    used, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))  # as XLA does
    return _of_jaxpr(used)


def of_config(path: Path) -> Work:
    """The work of a config's update after its warm-up."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.train.warmup_steps = 0
    config.data.num_examples = 50_000
    method = methods.build(config)
    batch, key = random_batch(config), jax.random.key(0)
    state = jax.eval_shape(method.init, key, batch)
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
    gflop = flops(method.update, state, batch, key) / 1e9
    return Work(path.stem, config.data.batch_size, parameters, gflop, config.train.num_steps)


def main(arguments: list[str] | None = None) -> int:
    """Prints a row for each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path)
    paths = parser.parse_args(arguments).configs
    folder = Path(__file__).resolve().parent.parent / "configs"
    print("| Config | Images | Parameters (10⁶) | TFLOP an update | Updates | EFLOP a run |")
    print("|:--|--:|--:|--:|--:|--:|", flush=True)
    for path in paths or [folder / f"{name}.py" for name in PAPERS]:
        work = of_config(path)
        print(
            f"| `{work.name}` | {work.batch} | {work.parameters / 1e6:.3g} "
            f"| {work.gflop / 1e3:.3g} | {work.updates} | {work.total_eflop:.3g} |",
            flush=True,
        )
    return 0


def _of_jaxpr(jaxpr) -> float:
    total, platform = 0.0, set()  # variables that say which platform it is
    for equation in jaxpr.eqns:
        name, first = equation.primitive.name, (equation.invars or [None])[0]
        if name == "platform_index" or (id(first) in platform and name != "cond"):
            platform |= {id(variable) for variable in equation.outvars}
        total += _of_equation(equation, id(first) in platform)
    return total


def _of_equation(equation, of_platform: bool) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product(equation)
    if name == "conv_general_dilated":
        return _convolution(equation)
    inner = [_of_jaxpr(each) for value in params.values() for each in _jaxprs(value)]
    if not any(inner):
        return 0.0
    if name == "scan":
        return params["length"] * sum(inner)
    if name == "while":
        raise ValueError("a loop holds products and its length is known at run time alone.")
    if name == "cond":  # forms of one operation: what it takes; else the dearest choice
        of_products = [work for work in inner if work]  # a form without them is elementwise sums
        return min(of_products) if of_platform else max(inner)
    return sum(inner)


def _product(equation) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)


def _convolution(equation) -> float:
    """Without products with the zeros that a transposed one's dilation puts between values."""
    kernel = equation.invars[1].aval.shape
    outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / outputs / zeros


def _jaxprs(value):
    """The programs in a parameter of an operation, as jaxprs."""
    if hasattr(value, "eqns"):
        return [value]
    if hasattr(value, "jaxpr"):
        return _jaxprs(value.jaxpr)
    if isinstance(value, list | tuple):
        return [found for each in value for found in _jaxprs(each)]
    return []


if __name__ == "__main__":
    raise SystemExit(main())
