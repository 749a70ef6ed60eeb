"""Which version of kvd is installed."""

from importlib.metadata import version

VERSION = version("kvd-store")
