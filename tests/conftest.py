"""Two fake CPU devices, no silent rank promotion, caches of the tests' own."""

import gc
import os
import tempfile
from pathlib import Path

# Without optimisation by LLVM the small programs here take two thirds of the time, compiling
# included, in the processes that tests start too. The last of a flag counts, so a level of the
# caller's wins (XLA_FLAGS=--xla_backend_optimization_level=3: programs as users have them).
# The time-out: on a starved machine two fake devices may meet late, which is no dead-lock.
os.environ["XLA_FLAGS"] = (
    "--xla_backend_optimization_level=0 "
    + os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2"
    + " --xla_cpu_collective_call_terminate_timeout_seconds=600"
)
os.environ["JAX_PLATFORMS"] = "cpu"
# Shared by all test processes and kept between runs: compiling is most of the suite's time.
os.environ.setdefault("EBM_JAX_CACHE", str(Path(tempfile.gettempdir()) / "ebm_jax_test_cache"))

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", f"{os.environ['EBM_JAX_CACHE']}/compiled")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

# Every compiled program takes tens of memory mappings, of which Linux allows a process 65 530 by
# default: XLA ends it with a segmentation fault when there are no more.
_MAPPINGS = Path("/proc/self/maps")
_MOST_MAPPINGS = 15_000


@pytest.fixture(autouse=True, scope="module")
def few_compiled_programs():
    """Drops the compiled programs of the tests so far, when there are many."""
    yield
    if _MAPPINGS.exists() and len(_MAPPINGS.read_bytes().splitlines()) > _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def pytest_collection_modifyitems(items):
    """The slow ones first, README's before all: none is left to one worker at the end."""

    def place(item):
        groups = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        return "readme" not in groups, not item.get_closest_marker("slow")

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem):
    """Ends the suite: xdist would wait for ever for what the dead worker still had to do."""
    pytest.exit(f"{crashitem} ended its process", returncode=3)
