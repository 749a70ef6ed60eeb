"""The live view of a store, `kvctl top`: what it asks for (`source`), what comes of it (`rates`), the screen (`app`).

Only `app` and what it draws with import textual, which is an extra.
"""
