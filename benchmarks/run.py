"""Runs suites of benchmarks, prints their tables and writes them.

python -m benchmarks.run [--suite joint,samplers,…] [--repeats N] [--out DIR] [--check]
"""

import argparse
import importlib.util
import json
import platform
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

from benchmarks import (
    compiling,
    convolutions,
    deep,
    dispatch,
    hat,
    inception,
    joint,
    ladder,
    noise,
    samplers,
    scaling,
    starts,
)
from benchmarks.report import as_json, markdown
from ebm_jax.provenance import describe_hardware, git_commit

SUITES = {
    "compiling": ("Compile time", compiling.run),
    "convolutions": ("Passes of convolutions", convolutions.run),
    "deep": ("Chains through a deep model", deep.run),
    "dispatch": ("Host overhead", dispatch.run),
    "hat": ("Hat EBM's CIFAR-10 chain", hat.run),
    "inception": ("Inception", inception.run),
    "joint": ("Paper 1's CIFAR-10 model", joint.run),
    "ladder": ("Paper 2's SVHN models", ladder.run),
    "noise": ("Noise in a chain", noise.run),
    "samplers": ("Samplers beside other libraries", samplers.run),
    "scaling": ("How cost grows", scaling.run),
    "starts": ("Where posterior chains start", starts.run),
}
COMPARED = {  # without these packages a suite has no rows with goals
    **dict.fromkeys(("deep", "hat", "joint", "ladder"), ("torch",)),
    "samplers": ("torchebm", "blackjax"),
}


def has(package: str) -> bool:
    """Whether it can be imported."""
    return importlib.util.find_spec(package) is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default=",".join(SUITES), help="names, separated by commas")
    parser.add_argument("--repeats", type=int, default=15, help="rounds of every comparison")
    parser.add_argument("--out", type=Path, help="folder for benchmarks.md and benchmarks.json")
    parser.add_argument("--check", action="store_true", help="exit 1 if a row misses its goal")
    parser.add_argument(
        "--write-table",
        action="store_true",
        help="put what suite convolutions finds into the table by which CPUs choose forms",
    )
    parser.add_argument("--layer", default="", help="part of the names of convolutions' layers")
    options = parser.parse_args()
    names = options.suite.split(",")
    for name in names:
        if name not in SUITES:
            parser.error(f"--suite names '{name}'; known: {', '.join(SUITES)}")
    layers = [case.work for case in convolutions.cases()]
    if options.layer and not any(options.layer in layer for layer in layers):
        parser.error(f"--layer is '{options.layer}', which no layer of suite convolutions contains")
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}; it must be positive")
    if options.out:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out is '{options.out}', which cannot be made ({error.strerror})")
    if options.check:
        needed = {package for name in names for package in COMPARED.get(name, ())}
        absent = {package for package in needed if not has(package)}
        if absent:
            parser.error(
                f"--check compares with {', '.join(sorted(absent))}, which is not installed; "
                "pip install -r requirements-benchmarks.txt"
            )
    machine = describe_machine()
    text, rows = [machine], []
    print(machine + "\n")
    for name in names:
        title, suite = SUITES[name]
        convolutional = {"write_table": options.write_table, "layer": options.layer}
        found = suite(options.repeats, **(convolutional if name == "convolutions" else {}))
        text.append(markdown(title, found))
        rows += found
        print(text[-1], flush=True)
    if options.out:
        (options.out / "benchmarks.md").write_text("\n".join(text))
        (options.out / "benchmarks.json").write_text(json.dumps(as_json(rows), indent=1) + "\n")
    missed = [sentence for row in rows for sentence in row.misses()]
    if options.check and missed:
        print("below their goal:\n" + "\n".join(f"  {s}" for s in missed), file=sys.stderr)
        return 1
    return 0


def describe_machine() -> str:
    """Hardware and the versions that matter."""
    versions = []
    for name in ("jax", "jaxlib", "flax", "torch", "torchebm", "blackjax"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    return (
        f"{describe_hardware()} ({_processor()}), {date.today()}, commit {git_commit()}, Python "
        f"{platform.python_version()}, {', '.join(versions)}"
    )


def _processor() -> str:
    """The CPU's name, where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


if __name__ == "__main__":
    sys.exit(main())
