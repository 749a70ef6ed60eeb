"""How long the tests of durability take: seconds and a sample for each change, or, with LONG=1, minutes and all."""

import os

LONG = os.environ.get("LONG") == "1"
