"""Suite `convolutions`: every form of every pass, at the shapes that the models use.

`--write-table` puts the rows of the layers measured, those with `--layer` in their name, into
`ebm_jax/nn/convolution_times.json`, by which CPUs choose their forms.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import jax

import ebm_jax.nn
from benchmarks.report import Row
from benchmarks.timing import Times, interleaved
from ebm_jax.nn.convolution import choose, measured_times, shape_of
from ebm_jax.nn.convolution_forms import FORMS
from ebm_jax.nn.convolution_geometry import Geometry, kind_of

_LOOPED = 4  # steps of the loop in which passes are measured
TABLE = Path(ebm_jax.nn.__file__).parent / "convolution_times.json"


class Case(NamedTuple):
    """One layer of one model at one batch size."""

    work: str
    batch: int
    channels: int
    features: int
    geometry: Geometry


def _case(work, batch, size, channels, features, taps, stride=1, pad=None, **options):
    """A square layer; `pad` defaults to what keeps output = input / stride (or × stride)."""
    transposed = options.pop("transposed", False)
    if pad is None:
        total = taps + stride - 2 if transposed else taps - stride
        low = -(-total // 2) if transposed else total // 2
        padding = (low, total - low)
    else:
        padding = (pad, pad)
    geometry = Geometry(
        transposed, (size, size), (taps, taps), (stride, stride), (padding, padding), **options
    )
    return Case(work, batch, channels, features, geometry)


def cases() -> list[Case]:
    """The layers of the four papers' nets and of the configs here."""
    found = []
    for batch in (4, 20):
        for channels, features, size in ((1024, 512, 8), (512, 256, 16)):
            name = f"joint generator {channels}→{features}, {size} px"
            found.append(_case(name, batch, size, channels, features, 4, 2, transposed=True))
        name = "joint generator z→1024, 8×8"
        found.append(_case(name, batch, 1, 128, 1024, 8, pad=7, transposed=True))
        found.append(_case("joint generator 256→3, 32 px", batch, 32, 256, 3, 3))
        found.append(_case("joint inference 3→256, 32 px", batch, 32, 3, 256, 3))
        found.append(_case("joint inference 256→512, 32 px", batch, 32, 256, 512, 4, 2))
        found.append(_case("joint inference 512→1024, 16 px", batch, 16, 512, 1024, 4, 2))
    for batch in (128,):
        found.append(
            _case("mnist generator z→64, 7×7", batch, 1, 16, 64, 7, pad=6, transposed=True)
        )
        for channels, features, size in ((64, 32, 7), (32, 16, 14)):
            name = f"mnist generator {channels}→{features}, {size} px"
            found.append(_case(name, batch, size, channels, features, 4, 2, transposed=True))
        found.append(_case("mnist generator 16→1, 28 px", batch, 28, 16, 1, 3))
        found.append(_case("mnist inference 1→16, 28 px", batch, 28, 1, 16, 3))
        found.append(_case("mnist inference 16→32, 28 px", batch, 28, 16, 32, 4, 2))
        found.append(_case("mnist inference 32→64, 14 px", batch, 14, 32, 64, 4, 2))
    found += _ladder_cases()
    for size, width in ((32, 256), (16, 256), (8, 256), (8, 1024)):
        found.append(_case(f"SN-GAN {width}, {size} px", 16, size, width, width, 3))
        found.append(_case(f"SN-GAN shortcut {width}, {size} px", 16, size, width, width, 1))
    found.append(_case("SN-GAN stem 3→256, 32 px", 16, 32, 3, 256, 3))
    for batch in (8, 64):
        for size in (32, 16):
            found.append(_case(f"SN-GAN halving 256, {size} px", batch, size, 256, 256, 4, 2))
    for size, width in ((32, 8), (32, 16), (16, 16), (16, 32), (8, 32), (8, 64)):
        found.append(_case(f"SN-GAN halving {width}, {size} px", 64, size, width, width, 4, 2))
        found.append(_case(f"SN-GAN {width}, {size} px", 64, size, width, width, 3))
    for size, width in ((32, 32), (16, 96), (8, 192)):
        wide = 6 * width
        found.append(_case(f"NVAE expand {width}→{wide}, {size} px", 16, size, width, wide, 1))
        found.append(_case(f"NVAE project {wide}→{width}, {size} px", 16, size, wide, width, 1))
        name = f"NVAE depthwise {wide}, {size} px"
        found.append(_case(name, 16, size, wide, wide, 5, groups=wide))
        name = f"NVAE depthwise {width}, {size} px"
        found.append(_case(name, 16, size, width, width, 5, groups=width))
        found.append(_case(f"NVAE encoder {width}, {size} px", 16, size, width, width, 3))
        found.append(_case(f"energy k4 s2 {width}→64, {size} px", 16, size, width, 64, 4, 2))
    return found


def _ladder_cases() -> list[Case]:
    """Those of the five-layer SVHN model, the four-layer one and the three-layer MNIST one."""
    found, batch = [], 100
    for channels, features, size in ((1024, 512, 2), (512, 256, 4), (256, 256, 8), (256, 128, 16)):
        name = f"ladder generator {channels}→{features}, {size} px"
        found.append(_case(name, batch, size, channels, features, 4, 2, transposed=True))
        name = f"ladder generator k3 {2 * channels}→{channels}, {size} px"
        found.append(_case(name, batch, size, 2 * channels, channels, 3))
        name = f"ladder generator k3 {features}, {2 * size} px"
        found.append(_case(name, batch, 2 * size, features, features, 3))
    found.append(_case("ladder generator 128→3, 32 px", batch, 32, 128, 3, 3))
    for channels, features, size in (
        (64, 64, 4),
        (64, 32, 8),
        (32, 3, 16),
        (128, 64, 7),
        (64, 1, 14),
    ):
        name = f"ladder generator {channels}→{features}, {size} px"
        found.append(_case(name, batch, size, channels, features, 4, 2, transposed=True))
    for side, widths in (
        (32, (3, 128, 256, 256, 512, 1024)),
        (32, (3, 32, 64, 64, 256)),
        (28, (1, 64, 128)),
    ):
        for i, (channels, features) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            size = side // 2**i
            name = f"ladder inference {channels}→{features}, {size} px"
            found.append(_case(name, batch, size, channels, features, 4, 2))
            if size > 4:
                name = f"ladder inference k3 {features}, {size // 2} px"
                found.append(_case(name, batch, size // 2, features, features, 3))
    return found


def _passes(case: Case):
    """{pass: (a, b)}: the operands of each pass (see `convolution_forms`)."""
    g, batch = case.geometry, case.batch
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (batch, *g.input_size, case.channels))
    shape = (*g.kernel_size, case.channels // g.groups, case.features)
    kernel = jax.random.normal(keys[1], shape) / (case.channels // g.groups) ** 0.5
    dy = jax.random.normal(keys[2], (batch, *g.output_size, case.features))
    return {"forward": (x, kernel), "input": (kernel, dy), "kernel": (x, dy)}


def _looped(once, which):
    """A pass under a scan, where chains and the steps of one dispatch take it.

    Images and their gradients move from step to step. What is done to the kernel alone, which a
    chain keeps, is either hoisted out or done again at every step.
    """

    def run(a, b):
        def body(pair, _):
            result = jax.lax.optimization_barrier(once(*pair))  # all of it, and no sum
            a, b = pair
            a = a if which == "input" else a + 1e-9 * result[0, 0, 0, 0]
            b = b if which == "forward" else b + 1e-9 * result[0, 0, 0, 0]
            return (a, b), None

        return jax.lax.scan(body, (a, b), None, length=_LOOPED)[0]

    return run


def measure(case: Case, repeats: int) -> dict[str, Times]:
    """{pass: Times of its forms}."""
    kind, found = kind_of(case.geometry, case.channels, case.features), {}
    for which, (a, b) in _passes(case).items():
        calls, steps = {}, {}
        for name, form in FORMS[kind][which].items():
            once = functools.partial(form, g=case.geometry)
            # `lax`'s kernel gradient is up to 80 times slower in a loop, and never chosen where
            # there is another: measured once, outside of one.
            outside = (which, name) == ("kernel", "lax")
            steps[name] = 1 if outside else _LOOPED
            calls[name] = functools.partial(
                jax.jit(once if outside else _looped(once, which)), a, b
            )
        once = _per_step(interleaved(calls, 1), steps)
        contenders = {
            name: call
            for name, call in calls.items()
            if once.best(name) < 3 * min(once.best(other) for other in calls)
        }
        times = _per_step(interleaved(contenders, repeats), steps)
        times = Times({**once.seconds, **times.seconds})
        found[which] = times
    return found


def _per_step(times: Times, steps: dict[str, int]) -> Times:
    return Times({name: seconds / steps[name] for name, seconds in times.seconds.items()})


def run(repeats: int, write_table: bool = False, layer: str = "") -> list[Row]:
    """Two rows a layer: its kernel gradient against its other passes, and against plain `lax`."""
    rows, table = [], []
    measured = [(case, measure(case, repeats)) for case in cases() if layer in case.work]
    for case, passes in measured:
        kind = kind_of(case.geometry, case.channels, case.features)
        sizes = case.batch, case.channels, case.features
        for which, times in passes.items():
            if len(times.seconds) > 1:
                ms = {name: round(1e3 * times.best(name), 3) for name in times.seconds}
                shape = shape_of(case.geometry, *sizes)
                table.append(
                    {"kind": kind, "pass": which, "work": case.work, "shape": shape, "ms": ms}
                )
    if write_table:
        write(table)
    for case, passes in measured:
        sizes = case.batch, case.channels, case.features
        chosen = {which: choose(which, case.geometry, *sizes) for which in passes}
        seconds = {which: passes[which].best(chosen[which]) for which in passes}
        others = seconds["forward"] + seconds["input"]
        rows.append(
            Row(
                work=f"{case.work}: kernel gradient ({chosen['kernel']})",
                batch=case.batch,
                against="forward + input gradient, × 1.5",
                ours_s=seconds["kernel"],
                theirs_s=1.5 * others,
                goal=1.0,
            )
        )
        plain = sum(passes[which].best("lax") for which in passes)
        rows.append(
            Row(
                work=f"{case.work}: all passes",
                batch=case.batch,
                against="plain lax (kernel gradient outside of a loop)",
                ours_s=sum(seconds.values()),
                theirs_s=plain,
                goal=0.99,  # never slower
            )
        )
    return rows


def write(table: list[dict]) -> None:
    """Puts rows into the table that `ebm_jax.nn.convolution` reads, in the place of older ones.

    Older rows of layers that are no longer among `cases` leave it.
    """

    def key(row):
        return row["kind"], row["pass"], row["work"], tuple(row["shape"])

    new, layers = {key(row) for row in table}, {case.work for case in cases()}
    kept = [r for r in measured_times() if r["work"] in layers and key(r) not in new]
    table = kept + table
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in table)
    about = "Best of several milliseconds per form, XLA on 2 x86_64 CPU cores, float32"
    TABLE.write_text(f'{{"about": "{about}",\n "rows": [\n{lines}\n]}}\n')
    measured_times.cache_clear()
    choose.cache_clear()
