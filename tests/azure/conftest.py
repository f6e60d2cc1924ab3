"""A cloud for each test, and commands that use it."""

from collections.abc import Iterator

import pytest

from ..conftest import Environment
from .cloud import Cloud, running
from .shell import Shell


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Workspaces dev, staging and prod and a registry; fails the test that asked for something not modelled."""
    with running(tmp_path_factory.mktemp("cloud")) as one:
        yield one
        assert not one.arm.unmodelled, one.arm.unmodelled
        assert not one.server.broken, "\n".join(one.server.broken)


@pytest.fixture(scope="session")
def shell(azure: Environment) -> Iterator[Shell]:
    """Commands with the Azure SDK."""
    one = Shell(azure.python)
    yield one
    one.stop()
