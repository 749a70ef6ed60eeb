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


home = Path.home()
print(
    json.dumps(
        {
            "write beside the data file": attempt(lambda: touch(home / "Documents")),
            "write to the home directory": attempt(lambda: touch(home)),
            "write to the configuration": attempt(lambda: touch(home / ".config")),
            "write to the runtime directory": attempt(lambda: touch(os.environ["XDG_RUNTIME_DIR"])),
            "see others' temporary files": "done" if Path("/tmp/of-another").exists() else "not there",
            "open an internet socket": attempt(lambda: socket.socket(socket.AF_INET)),
            "open a Unix socket": attempt(lambda: socket.socket(socket.AF_UNIX)),
            "see the host's network": "done" if Path("/sys/class/net").is_dir() and len(socket.if_nameindex()) > 1 else "not there",
            "map writable executable memory": attempt(
                lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            ),
            "see the host's devices": "done" if Path("/dev/fuse").exists() else "not there",
            "make a namespace": "done" if subprocess.run(["unshare", "-U", "true"], check=False).returncode == 0 else "refused",
        }
    )
)
