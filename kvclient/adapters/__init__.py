"""kvd where people already have an interface for storage: Django, cachelib, py-key-value-aio, dbm and shelve, pytest.

One file each, imported by whoever names it. What they have in common: `names` makes keys of theirs into keys of kvd,
`values` keeps JSON as JSON and pickles only where that is allowed, `batches` splits what is too large for one request.
"""
