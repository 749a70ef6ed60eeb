"""Try what a service has no business to do, and print what came of each attempt, as one JSON object."""

import json
import mmap
import os
import socket
import subprocess
from pathlib import Path


def attempt(what):
    try:
        what()
    except OSError as error:
        return error.strerror
    return "done"


def touch(directory):
    path = Path(directory) / "touched"
    path.write_text("")
    path.unlink()


def refused(command):
    return "done" if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0 else "refused"


home = Path.home()
executable = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
print(
    json.dumps(
        {
            "write beside the data file": attempt(lambda: touch(home / "Documents")),
            "write to the home directory": attempt(lambda: touch(home)),
            "write to the configuration": attempt(lambda: touch(home / ".config")),
            "write to the runtime directory": attempt(lambda: touch(os.environ["XDG_RUNTIME_DIR"])),
            "see others' temporary files": attempt(lambda: os.stat("/tmp/of-another")),
            "see the host's devices": attempt(lambda: os.stat("/dev/loop-control")),
            "open a Unix socket": attempt(lambda: socket.socket(socket.AF_UNIX)),
            "open an internet socket": attempt(lambda: socket.socket(socket.AF_INET)),
            "map memory to write and execute": attempt(lambda: mmap.mmap(-1, 4096, prot=executable)),
            "make a namespace": refused(["unshare", "--user", "true"]),
            "network namespace": os.readlink("/proc/self/ns/net"),
        }
    )
)
