"""The machine that these tests run on."""

import tempfile
from pathlib import Path

import pytest
from machine import Machine, install_programs, why_not


@pytest.fixture(scope="session")
def programs():
    """A directory in which the project is installed for an ordinary user."""
    if (missing := why_not()) is not None:
        pytest.skip(f"a machine with a user's systemd needs {missing}")
    with tempfile.TemporaryDirectory(prefix="kvd-systemd-") as name:
        Path(name).chmod(0o755)
        install_programs(Path(name))
        yield Path(name)


@pytest.fixture
def machine(programs):
    """A machine with an ordinary user who has installed nothing yet."""
    machine = Machine(programs)
    yield machine
    machine.close()


@pytest.fixture
def installed(machine):
    """A machine on which `kvctl service install` was run."""
    machine.kvctl("service", "install")
    return machine
