"""kvctl keys: what it prints, and what it never does."""

import json

import pytest

from processes import kvctl


@pytest.fixture
def run(directory):
    def run(*arguments):
        return kvctl("keys", *arguments, directory=directory)

    return run


def test_a_key_from_its_making_to_its_end(run, directory):
    """The public half goes to standard output, and the secret nowhere."""
    made = run("new", "laptop")
    public = made.stdout.strip()
    assert 40 == len(public)
    assert "kvctl keys allow" in made.stderr

    assert 0 == run("allow", "laptop", "--", public).returncode
    listed = run("list")
    assert f"laptop\town\t{public}\nlaptop\tallowed\t{public}\n" == listed.stdout
    assert {"name": "laptop", "kind": "own", "public_key": public} == json.loads(
        run("list", "--json").stdout.split("\n")[0]
    )

    assert 0 == run("revoke", "laptop").returncode
    assert f"laptop\town\t{public}\n" == run("list").stdout
    secret = (directory / ".config/kvd/keys/laptop.key_secret").read_text().split('secret-key = "')[1][:40]
    assert secret not in made.stdout + made.stderr + listed.stdout + listed.stderr


def test_the_daemon_s_key(run):
    """It is the same each time, and alone on standard output."""
    first = run("server")

    assert (0, 41, "") == (first.returncode, len(first.stdout), first.stderr)
    assert first.stdout == run("server").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["new", "a/b"], 1, "A key's name has"),
        (["allow", "laptop", "abc"], 1, "40 characters of Z85"),
        (["revoke", "laptop"], 3, "No key 'laptop' is allowed"),
    ],
)
def test_mistakes(run, arguments, code, said):
    """Each is one line, and its exit code that of its kind."""
    done = run(*arguments)

    assert code == done.returncode
    assert said in done.stderr
    assert 1 == done.stderr.count("\n")
    assert "" == done.stdout


def test_a_key_that_is_there(run):
    """It is not replaced."""
    run("new", "laptop")

    assert 4 == run("new", "laptop").returncode
