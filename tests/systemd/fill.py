"""Write a data file of about so many bytes, in keys of a kilobyte.

fill.py PATH BYTES
"""

import sys
from pathlib import Path

from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.store.store import Store
from kvd.limits import Limits
from kvd.requests.twins import TWINS

path, size = Path(sys.argv[1]), int(sys.argv[2])
engine = JsonFile(path, sync="never")
store = Store(engine, Limits())
value = b'"%s"' % (b"x" * 950)
number = 0
while engine.used_bytes < size:
    group = store.decide([(None, TWINS["batch_create"](items={f"key{number + n}": value for n in range(1000)}))])
    store.write(group)
    store.finish(group)
    number += 1000
engine.close()
print(number)
