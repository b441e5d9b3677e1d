"""Starts a run on Kubernetes as a JobSet: one process per host, started again when preempted.

.venv/bin/python launch/jobset.py --name=digits --image=IMAGE --claim=runs \
    --config=configs/digits_joint.py --workdir=/runs/digits --hosts=2 --gpus=8 [-- FLAGS]

The image is one of launch/Containerfile. --claim is a PersistentVolumeClaim which, with several
hosts, many nodes can mount (ReadWriteMany); it holds the run's folder. --dry_run prints the
manifest and starts nothing. FLAGS go to ebm_jax.main.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NoReturn

import jinja2

LAUNCH = Path(__file__).resolve().parent
PORT = 8476  # of process 0, where the processes meet


class Parser(argparse.ArgumentParser):
    """Errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line, checked; `flags` are those of ebm_jax.main behind a lone --."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = Parser(
        prog="launch/jobset.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="", help="of the JobSet")
    parser.add_argument("--image", default="", help="registry/name:tag")
    parser.add_argument("--config", default="", help="an experiment, as the image has it")
    parser.add_argument("--workdir", default="", help="the run's folder, below --mount")
    parser.add_argument("--claim", default="", help="the volume's PersistentVolumeClaim")
    parser.add_argument("--mount", default="/runs", help="where the volume is mounted")
    parser.add_argument("--data", default="", help="prepared tfds data sets, below --mount")
    parser.add_argument("--namespace", default="", help="if not kubectl's own")
    parser.add_argument("--hosts", type=int, default=1, help="one process on each")
    parser.add_argument("--gpus", type=int, default=0, help="of each host")
    parser.add_argument("--tpus", type=int, default=0, help="chips of each host")
    parser.add_argument("--tpu_type", default="", help="e.g. tpu-v5-lite-podslice, tpu-v6e-slice")
    parser.add_argument("--tpu_topology", default="", help="of the whole slice, e.g. 4x4")
    parser.add_argument("--dry_run", action="store_true", help="prints the manifest")
    options = parser.parse_args(arguments[:at])
    options.flags = arguments[at + 1 :]
    for name in ("name", "image", "config", "workdir", "claim"):
        if not getattr(options, name):
            parser.error(f"--{name} is missing; give {_MISSING[name]}.")
    wrong = _wrong(options)
    if wrong:
        parser.error(wrong)
    return options


_MISSING = {
    "name": "the JobSet a name",
    "image": "an image of launch/Containerfile",
    "config": "an experiment, e.g. configs/digits_joint.py",
    "workdir": "the run's folder, e.g. /runs/digits_joint",
    "claim": "the PersistentVolumeClaim of the volume that holds the run's folder",
}


def _wrong(options: argparse.Namespace) -> str | None:
    """What is wrong with the options, as a sentence; None if nothing is."""
    config = options.config.partition(":")[0]
    # With what JobSet appends it names pods, which hold 63 characters.
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?", options.name):
        return (
            f"--name is '{options.name}'; use at most 42 lower-case letters, digits and dashes, "
            "a letter first."
        )
    if not (LAUNCH.parent / config).is_file():
        return f"the config '{config}' is not a file; use e.g. configs/digits_joint.py."
    if PurePosixPath(options.mount) not in PurePosixPath(options.workdir).parents:
        return (
            f"--workdir is '{options.workdir}', which is not below the volume's --mount "
            f"'{options.mount}' and would be lost with the pod; use {options.mount}/NAME."
        )
    if options.data and PurePosixPath(options.mount) not in PurePosixPath(options.data).parents:
        return (
            f"--data is '{options.data}', which is not below the volume's --mount "
            f"'{options.mount}'; put the data sets on the volume and use {options.mount}/NAME."
        )
    for name, least in (("hosts", 1), ("gpus", 0), ("tpus", 0)):
        if getattr(options, name) < least:
            return f"--{name} is {getattr(options, name)}; use {least} or more."
    if options.gpus and options.tpus:
        return f"--gpus is {options.gpus} and --tpus is {options.tpus}; use one of them."
    if bool(options.tpus) != bool(options.tpu_type and options.tpu_topology):
        return (
            f"--tpus is {options.tpus}, --tpu_type '{options.tpu_type}' and --tpu_topology "
            f"'{options.tpu_topology}'; give all three, or none."
        )
    return None


def manifest(options: argparse.Namespace) -> str:
    """The JobSet in YAML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAUNCH), undefined=jinja2.StrictUndefined
    )
    environment.filters["json"] = json.dumps  # which is YAML too, whatever the text holds
    resource = "nvidia.com/gpu" if options.gpus else "google.com/tpu" if options.tpus else ""
    args = [f"--config={options.config}", f"--workdir={options.workdir}", *options.flags]
    template = environment.get_template("jobset.yaml")
    return template.render(vars(options), args=args, resource=resource, port=PORT) + "\n"


def main(arguments: list[str]) -> int:
    """Starts the JobSet, or prints it; returns kubectl's exit code."""
    options = parse(arguments)
    text = manifest(options)
    if options.dry_run:
        print(text, end="")
        return 0
    if not shutil.which("kubectl"):
        print("error: kubectl is not installed; install it, or use --dry_run.", file=sys.stderr)
        return 2
    return subprocess.run(["kubectl", "create", "-f", "-"], input=text, text=True).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
