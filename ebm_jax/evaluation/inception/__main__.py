"""`python -m ebm_jax.evaluation.inception convert PATH [--out FILE]`."""

import argparse
import hashlib
import re
import sys
from pathlib import Path

from ebm_jax.errors import DataError, UserError, as_user_error
from ebm_jax.evaluation.inception.conversion import convert
from ebm_jax.evaluation.inception.network import TAPS, shapes
from ebm_jax.evaluation.inception.torch_file import read_state_dict
from ebm_jax.evaluation.inception.weights import default_path
from ebm_jax.reporting.files import write_npz


def main(argv: list[str] | None = None) -> int:
    """Converts pytorch-fid's weights; returns the exit code (2: usage, 3: data)."""
    parser = argparse.ArgumentParser(prog="python -m ebm_jax.evaluation.inception")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser(
        "convert", help="pt_inception-2015-12-05-6726825d.pth of pytorch-fid to our .npz"
    )
    command.add_argument("path", metavar="PATH", help="the PyTorch file")
    command.add_argument("--out", metavar="FILE", default=None, help=f"default: {default_path()}")
    options = parser.parse_args(argv)
    try:
        _convert(Path(options.path).expanduser(), options.out or default_path())
        return 0
    except (UserError, OSError) as error:
        ended = as_user_error(error)
        print(f"error: {ended}", file=sys.stderr)
        return ended.exit_code


def _convert(path, out):
    tensors = read_state_dict(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    print(f"sha256 of {path.name}: {digest}")
    named = re.fullmatch(r".*-([0-9a-f]{8})\.pth", path.name)  # PyTorch's habit
    if named and not digest.startswith(named[1]):
        raise DataError(
            f"the sha256 of '{path}' begins with {digest[:8]}, but its name says {named[1]}; "
            "download it again."
        )
    arrays = convert(tensors)
    for name, value in arrays.items():
        print(f"  {name:<36} {'×'.join(map(str, value.shape))}")
    missing = set(shapes(list(TAPS))) - set(arrays)
    written = write_npz(Path(out).expanduser(), arrays)
    total = sum(value.size for value in arrays.values())
    print(f"{len(arrays)} arrays, {total:,} numbers, {len(missing)} missing: {written}")


if __name__ == "__main__":
    sys.exit(main())
