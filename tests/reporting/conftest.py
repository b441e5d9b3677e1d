"""The fake runs as a fixture."""

import pytest

from tests.reporting import fakes


@pytest.fixture(scope="session")
def fake():
    """The makers of fake runs."""
    return fakes
