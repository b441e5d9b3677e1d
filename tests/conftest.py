"""Two fake CPU devices, no silent rank promotion, caches of the tests' own."""

import os
import tempfile
from pathlib import Path

# The time-out: on a starved machine two fake devices may meet late, which is no dead-lock.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2"
    + " --xla_cpu_collective_call_terminate_timeout_seconds=600"
)
os.environ["JAX_PLATFORMS"] = "cpu"
# Shared by all test processes and kept between runs: compiling is most of the suite's time.
os.environ.setdefault("EBM_JAX_CACHE", str(Path(tempfile.gettempdir()) / "ebm_jax_test_cache"))

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", f"{os.environ['EBM_JAX_CACHE']}/compiled")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
