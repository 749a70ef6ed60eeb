"""Create keys through kvclient until standard input ends; tell each one that was acknowledged.

writer.py NAME
"""

import select
import sys

from kvclient import Client

store = Client(timeout=30.0)
number = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    number += 1
    store.create(f"{sys.argv[1]}-{number}", number)
    print(number, flush=True)
