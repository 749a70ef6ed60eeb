"""What the operations mean: keys, limits, TTL, batches, revisions, exactly-once. Engine-agnostic, without I/O of its
own, and with the clock passed in.
"""
