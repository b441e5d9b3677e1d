"""Suite `ladder`: paper 2's SVHN models, training steps beside PyTorch and beside the products."""

import functools

import jax

from benchmarks.examples import random_batch
from benchmarks.products import Product, matmuls, passes
from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import svhn_cropped_ladder, svhn_cropped_ladder4
from ebm_jax import methods
from ebm_jax.training_step import init_loop_state

BATCH = 100


def run(repeats: int) -> list[Row]:
    """The step of the four-layer model, and that of the five-layer one."""
    return [_four_layers(repeats), _five_layers(max(3, repeats // 3))]


def _four_layers(repeats: int) -> Row:
    config = svhn_cropped_ladder4.get_config()
    calls, state, images = _step(config)
    calls |= _torch(state.params, images, config.sampler.prior)
    times = interleaved(calls, repeats)
    theirs = "PyTorch eager" in calls
    return Row(
        work="SVHN ladder training step, L = 4",
        batch=BATCH,
        against="PyTorch eager" if theirs else "–",
        ours_s=times.median("ours"),
        theirs_s=times.median("PyTorch eager") if theirs else None,
        ratio=times.ratio("PyTorch eager", "ours") if theirs else None,
        goal=1.3 if theirs else None,
    )


def _five_layers(repeats: int) -> Row:
    calls, *_ = _step(svhn_cropped_ladder.get_config())
    calls["matmul"] = matmuls([(1, product) for product in _products()])
    times = interleaved(calls, repeats)
    return Row(
        work="SVHN ladder training step, L = 5",
        batch=BATCH,
        against="its matrix products",
        ours_s=times.median("ours"),
        peak_fraction=times.ratio("matmul", "ours"),
        peak_goal=0.85,
    )


def _step(config):
    """({"ours": a call of one update}, the state it starts from, its images)."""
    config.data.batch_size, config.data.num_examples = BATCH, 73_257
    example = random_batch(config)
    method, key = methods.build(config), jax.random.key(0)
    state = init_loop_state(method, example, key).train
    call = functools.partial(jax.jit(method.update), state, example, key)
    return {"ours": call}, state, example["image"]


def _torch(params, images, chain):
    try:
        import torch

        from benchmarks import torch_ladder
    except ImportError:
        return {}
    model = torch_ladder.LadderModel()
    torch_ladder.load(model, params)
    optimisers = torch_ladder.optimisers_of(model)
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
    step = functools.partial(
        torch_ladder.training_step, model, optimisers, x, chain.num_steps, chain.step_size
    )
    return {"PyTorch eager": lambda: step().item()}


def _products() -> list[Product]:
    """All products of an update of the five-layer nets; the chain's are too small to count."""
    counted = []

    def pixels(side):
        return BATCH * side**2

    above = [(BATCH, 10, 2048), (BATCH, 2048, 2048), (BATCH, 2048, 4 * 1024)]
    counted += [p for layer in above for p in passes(layer)]
    widths = (128, 256, 256, 512, 1024)  # h_1, then the maps at which z_1 … z_4 enter
    for i, side in ((4, 2), (3, 4), (2, 8), (1, 16)):
        width, below = widths[i], widths[i - 1]
        layers = [
            (BATCH, 10, side**2 * width),
            (pixels(side), 9 * 2 * width, width),
            (pixels(2 * side), 4 * width, below),
            (pixels(2 * side), 9 * below, below),
        ]
        counted += [p for layer in layers for p in passes(layer)]
    counted += passes((pixels(32), 9 * 128, 3))
    channels = (3, 128, 256, 256, 512, 1024)
    for i in range(5):
        side, width = 16 // 2**i, channels[i + 1]
        down = (pixels(side), 16 * channels[i], width)
        counted += passes(down, to_input=i > 0)
        if i < 4:
            counted += passes((pixels(side), 9 * width, width))
            counted += 2 * passes((BATCH, side**2 * width, 10))
    return counted + passes((BATCH, 1024, 2048)) + 2 * passes((BATCH, 2048, 10))
