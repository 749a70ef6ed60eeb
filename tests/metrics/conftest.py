"""Exporters, each a process."""

import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from processes import environment

EXPORTER = [sys.executable, "-m", "kvclient.exporter"]


class Exporter:
    """A `kvd-exporter` in a home of its own."""

    def __init__(self, directory, *options, command=EXPORTER, **variables):
        self.process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", *options],
            env=environment(directory, **variables),
            stderr=subprocess.PIPE,
            text=True,
        )
        said = self.process.stderr.readline()
        self.address = re.fullmatch(r"kvd-exporter: (http://127\.0\.0\.1:\d+)/metrics\n", said)[1]

    def get(self, path="/metrics"):
        """Return status and text of a page."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=60) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def start_exporter(directory):
    """Start exporters that end with the test."""
    exporters = []

    def start(*options, **more):
        exporters.append(Exporter(directory, *options, **more))
        return exporters[-1]

    yield start
    for exporter in exporters:
        exporter.close()
