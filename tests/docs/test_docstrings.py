"""The examples in docstrings do what they say: each is run on a store of its own, whose next revision is 42."""

import asyncio
import doctest
import inspect
import textwrap

import pytest

import kvclient
from kvclient import AsyncClient, Client
from kvclient.contract import face, watching
from kvclient.recipes import async_mapping, mapping, namespace
from kvclient.recipes.face import Recipes
from kvd import LocalDataStore

FIRST_REVISION = 42
METHODS = {
    f"{kind.__name__}.{name}": getattr(kind, name)
    for kind in (face.Face, Recipes, watching.Watch, mapping.StoreMapping)
    for name in vars(kind)
    if not name.startswith("_")
}
"""Methods of a store, and of what its methods return. Those of Face and Recipes are Client's and LocalDataStore's."""

YOURS = dict.fromkeys(("train", "shrink", "ask_the_bank"), lambda *_: None)
"""What examples call of the reader's program."""


def run(documented, names):
    """Run the examples in a docstring, and return what differs from it."""
    text, name = inspect.getdoc(documented), documented.__name__
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "documented", **names}, name, None, 0)
    assert test.examples, f"{name} has no example"
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=said.append)
    return "".join(said)


@pytest.fixture
def local(memory):
    """A store as it may be after a while: empty, at revision 41."""
    with LocalDataStore(memory / "local.json", sync="never") as store:
        put = {"op": "put", "key": "old", "value": 0}
        store.batch([put] * (FIRST_REVISION - 2) + [{"op": "delete", "key": "old"}])
        yield store


@pytest.mark.parametrize("name", METHODS)
def test_of_each_public_method(name, local):
    """Each has one."""
    assert "" == run(METHODS[name], {"store": local, "__name__": "example", **YOURS})


@pytest.mark.parametrize("documented", [namespace.Namespace, mapping.StoreMapping], ids=lambda each: each.__name__)
def test_of_what_a_store_returns(documented, local):
    """In the docstring of the class."""
    assert "" == run(documented, {"store": local})


@pytest.mark.parametrize("documented", [LocalDataStore, LocalDataStore.close], ids=lambda each: each.__name__)
def test_of_local_data_store(documented, memory):
    """What it has of its own."""
    assert "" == run(documented, {"path": memory / "local.json", "LocalDataStore": LocalDataStore})


@pytest.mark.parametrize("documented", [kvclient, Client, Client.close, Client.stop], ids=lambda each: each.__name__)
def test_of_client(documented, daemon, monkeypatch):
    """What it has of its own, and the package's."""
    monkeypatch.setenv("KVD_ENDPOINT", daemon.endpoint)
    with Client() as store:
        assert "" == run(documented, {"store": store, "Client": Client})


@pytest.mark.parametrize("documented", [AsyncClient, async_mapping.AsyncMapping], ids=lambda each: each.__name__)
def test_of_what_is_awaited(documented, daemon, monkeypatch, capsys):
    """As in a shell that awaits, such as `python -m asyncio`: what an expression comes to is printed."""
    monkeypatch.setenv("KVD_ENDPOINT", daemon.endpoint)
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(documented))

    asyncio.run(use(examples))

    assert "".join(example.want for example in examples) == capsys.readouterr().out


async def use(examples):
    """Run examples as the lines of one coroutine."""
    source = "".join(printing(example.source) for example in examples)
    names = {"AsyncClient": AsyncClient, "show": lambda value: value is None or print(repr(value))}
    async with AsyncClient() as store:
        exec(f"async def main(store):\n{textwrap.indent(source, '    ')}", names)
        await names["main"](store)


def printing(source):
    """Return the lines of an example with a call around each that is an awaited expression."""
    lines = source.splitlines()
    return "".join(
        f"{line[: -len(line.lstrip())]}show({line.lstrip()})\n" if line.lstrip().startswith("await ") else f"{line}\n"
        for line in lines
    )
