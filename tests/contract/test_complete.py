"""An operation that somebody adds is everywhere where users look for it: this goes through the declarations."""

import inspect
import re
from pathlib import Path

import pytest
import typer

from kvclient import AsyncClient, Client
from kvclient.cli.app import app
from kvclient.contract import calls
from kvclient.contract.face import Face
from kvclient.contract.operations import OPERATIONS
from kvclient.recipes.async_face import AsyncRecipes
from kvclient.recipes.face import Recipes
from kvclient.recipes.namespace import AsyncNamespace, Namespace
from kvd import LocalDataStore

DOCS = Path(__file__).parents[2] / "docs"

CALLS = {"list": "page"}
"""Calls that are not named as the operation."""

WITHOUT_COMMAND = {
    "read_many": "kvctl read takes several keys",
    "delete_many": "kvctl delete takes several keys",
}
NOT_LOCAL = {"stop": "there is no daemon to be stopped"}
NOT_IN_A_NAMESPACE = {"stop": "the daemon serves others, too"}

FACES = {
    Client: {},
    AsyncClient: {},
    LocalDataStore: NOT_LOCAL,
    Namespace: NOT_IN_A_NAMESPACE,
    AsyncNamespace: NOT_IN_A_NAMESPACE,
}
"""What a program may call its store, each with the operations that it lacks, and why."""

MORE_METHODS = {"entry", "entries", "persist"}
"""Methods that share an operation with another one."""

COMMANDS = {name.replace("-", "_"): command for name, command in typer.main.get_command(app).commands.items()}


def methods(face):
    """Return the names of the operations' methods."""
    return {
        name
        for name, member in inspect.getmembers(face)
        if not name.startswith("_") and callable(member) and name not in {"close", *vars(Recipes), *vars(AsyncRecipes)}
    }


@pytest.mark.parametrize("name", OPERATIONS)
class TestEveryOperation:
    def test_has_a_call(self, name):
        """Which says whether it changes something, as the declaration does."""
        assert callable(getattr(calls, CALLS.get(name, name)))

    @pytest.mark.parametrize("face", FACES)
    def test_has_a_method_in_each_face(self, name, face):
        """With a docstring."""
        if name not in FACES[face]:
            assert inspect.getdoc(getattr(face, name))

    def test_has_a_command(self, name):
        """Whose help shows an example of it."""
        if name not in WITHOUT_COMMAND:
            assert f"kvctl {name.replace('_', '-')}" in COMMANDS[name].help.partition("Example: ")[2]

    def test_is_in_the_documents(self, name):
        """A row in docs/wire.md, a section in docs/kvctl.md."""
        assert f"\n| `{name}` |" in (DOCS / "wire.md").read_text()
        if name not in WITHOUT_COMMAND:
            assert f"\n## kvctl {name.replace('_', '-')}\n" in (DOCS / "kvctl.md").read_text()

    def test_declares_who_may_ask_for_it(self, name):
        """And what it does, and which keys it concerns."""
        model = OPERATIONS[name]

        assert model.does in ("read", "change", "control")
        assert set(model.needs) <= {"read", "write", "own"}
        assert "nothing" == model.concerns or model.concerns in model.model_fields

    def test_has_its_fields_in_the_documents(self, name):
        """Those that it needs, those that it may have, those of the reply."""
        row = re.search(rf"^\| `{name}` \|(.*)\|$", (DOCS / "wire.md").read_text(), re.MULTILINE)[1]
        needed, possible, replied, _ = (set(re.findall(r"`(\w+)`", cell)) for cell in row.split("|"))
        fields = OPERATIONS[name].model_fields

        assert {field for field in fields if fields[field].is_required()} - {"op"} == needed
        assert {field for field in fields if not fields[field].is_required()} - {"id"} == possible
        assert OPERATIONS[name].reply.model_fields.keys() - {"ok"} == replied


@pytest.mark.parametrize("face", FACES)
def test_no_face_has_a_method_that_is_no_operation(face):
    """But for those that share an operation, and what a client is closed and configured with."""
    assert (OPERATIONS.keys() | MORE_METHODS) - FACES[face].keys() == methods(face)


@pytest.mark.parametrize("face", FACES)
def test_the_faces_have_the_same_parameters(face):
    """A program that changes from one to another changes no call."""
    for name in methods(Face):
        assert parameters(Face, name) == parameters(face, name), name
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


@pytest.mark.parametrize("face", FACES)
def test_the_faces_have_the_same_recipes(face):
    """With the same parameters, and each with a docstring of its own."""
    names = {name for name in vars(Recipes) if not name.startswith("_")}

    assert names == {name for name in vars(AsyncRecipes) if not name.startswith("_")}
    for name in names:
        assert parameters(Recipes, name) == parameters(face, name), name
        assert inspect.getdoc(getattr(face, name))


def parameters(face, name):
    return [(each.name, each.kind, each.default) for each in inspect.signature(getattr(face, name)).parameters.values()]


def test_the_asynchronous_face_is_awaited_or_iterated():
    """And says for each method where it is described."""
    for name in methods(Face):
        method = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(method) != (name in ("list", "entries"))
        assert f"`Client.{name}`" in inspect.getdoc(method)
