"""Importing the package tells XLA:CPU which library multiplies, unless the user has said so."""

import os
import subprocess
import sys

import pytest

_PRINT = "import ebm_jax, os, jax; jax.devices(); print(os.environ['XLA_FLAGS'])"


@pytest.mark.parametrize(
    "before, after",
    [
        (None, "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"),
        (
            "--xla_force_host_platform_device_count=2",
            "--xla_force_host_platform_device_count=2 "
            "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE",
        ),
        (
            "--xla_cpu_experimental_ynn_fusion_type=",
            "--xla_cpu_experimental_ynn_fusion_type=",
        ),
    ],
)
def test_xla_flags(before, after):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    if before is not None:
        environment["XLA_FLAGS"] = before
    done = subprocess.run(
        [sys.executable, "-c", _PRINT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr  # XLA ends a process at a flag it does not know
    assert done.stdout.strip() == after
