"""Strategies for hypothesis: calls of every operation, each with the fields that its request has to come to."""

from hypothesis import strategies as st

from kvclient.contract import calls

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
integers = st.integers(-(2**200), 2**200)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=10,
)
numbers = integers | floats
ttls = st.none() | st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.integers(1, 10**9)
revisions = st.none() | st.integers(0, 2**63 - 1)
ephemerals = st.booleans() | st.integers(1, 2**22)

_create = {"key": keys, "value": values, "ttl": ttls, "ephemeral": ephemerals}
_put = {**_create, "keep_ttl": st.booleans(), "if_revision": revisions}
_increment = {"key": keys, "by": numbers, "initial": numbers, "ttl": ttls}
_conditional = {"key": keys, "if_revision": revisions}

MEMBERS = {
    "create": (_create, {"ttl", "ephemeral"}),
    "put": (_put, {"ttl", "ephemeral", "keep_ttl", "if_revision"}),
    "update": (_put, {"ttl", "ephemeral", "keep_ttl", "if_revision"}),
    "delete": (_conditional, {"if_revision"}),
    "pop": (_conditional, {"if_revision"}),
    "increment": (_increment, {"by", "initial", "ttl"}),
    "expire": ({"key": keys, "ttl": ttls}, set()),
}
"""What may be in a batch: the fields, and which of them may be left out."""


def _fields(required, optional):
    return st.fixed_dictionaries(
        {name: strategy for name, strategy in required.items() if name not in optional},
        optional={name: required[name] for name in optional},
    )


def _members():
    return st.one_of(
        _fields(*fields).map(lambda given, name=name: {"op": name, **given}) for name, fields in MEMBERS.items()
    )


ARGUMENTS = {
    **{name: _fields(*fields) for name, fields in MEMBERS.items()},
    "read": _fields({"key": keys}, set()),
    "exists": _fields({"key": keys}, set()),
    "count": _fields({"prefix": texts}, {"prefix"}),
    "list": _fields(
        {"prefix": texts, "after": texts, "limit": st.integers(1, 10_000), "values": st.booleans()},
        {"prefix", "after", "limit", "values"},
    ),
    "read_many": _fields({"keys": st.lists(keys, max_size=5)}, set()),
    "delete_many": _fields({"keys": st.lists(keys, max_size=5)}, set()),
    "batch_create": _fields({"items": st.dictionaries(keys, values, max_size=5), "ttl": ttls}, {"ttl"}),
    "batch": _fields({"operations": st.lists(_members(), max_size=4)}, set()),
    "clear": _fields({"prefix": texts}, {"prefix"}),
    "watch": _fields({"prefix": texts, "after": revisions, "wait": st.floats(0, 3600)}, {"prefix", "after", "wait"}),
    **{name: st.just({}) for name in ("stats", "status", "ping", "compact", "stop")},
}
"""The arguments of each operation's call, by the names of the fields."""

CALLS = {name: getattr(calls, "page" if name == "list" else name) for name in ARGUMENTS}
"""The function that makes each operation's call. (The one for `list` is named for what it returns.)"""
