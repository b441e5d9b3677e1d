"""Fake CPU devices of the processes that tests start."""

import os


def xla_flags(devices: int) -> str:
    """XLA_FLAGS for a process with so many devices: those of this process, the last one counts."""
    return f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
