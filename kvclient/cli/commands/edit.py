"""kvctl edit"""

import difflib
import json
import sys
from typing import Any

from kvclient.cli import json_input
from kvclient.cli.command import Key
from kvclient.cli.confirming import can_ask, confirmed
from kvclient.cli.editor import Draft
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.client.blocking import Client
from kvclient.contract.errors import DataStoreError, InvalidValueError, KeyNotFoundError, RevisionMismatchError
from kvclient.contract.records import Entry
from kvclient.screen.colour import painted
from kvclient.screen.console import complain
from kvclient.screen.text import shown, text_for


def run(options: Options, key: Key) -> None:
    """Edit a value in your editor ($VISUAL or $EDITOR). The key keeps its TTL and its owner.

    If somebody else changes the value in the meantime, it is not overwritten: the difference is shown, your text is
    kept in a file that the message names, and the exit code is 4. If you change nothing, or leave the file empty,
    nothing happens.

    Example: EDITOR=true kvctl edit key1
    """
    client = options.client()
    entry = client.entry(key)
    before = _text(entry.value)
    draft = Draft(key, before)
    try:
        value = _edited(draft, before)
        revision = entry.revision if value is _UNCHANGED else _put_back(client, entry, value)
    except BaseException as error:
        text = draft.path.read_text(encoding="utf-8", errors="replace") if draft.path.exists() else ""
        if text in ("", before):
            draft.discard()
            raise
        if not isinstance(error, DataStoreError):
            complain(f"kvctl: What you typed is in {draft.path}")
            raise
        raise type(error)(f"{error.message} What you typed is in {draft.path}", error.keys) from None
    draft.discard()
    if options.json:
        show({"revision": revision})
    elif value is _UNCHANGED:
        complain("Nothing was changed.")


_UNCHANGED = object()


def _text(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False, indent=2)) + "\n"


def _edited(draft: Draft, before: str) -> Any:
    """Return the value that the person leaves, `_UNCHANGED` if it is the one there was, or nothing at all."""
    while True:
        text = draft.edit()
        if not text.strip():
            return _UNCHANGED
        try:
            value = json_input.parse(text, "What you typed")
        except InvalidValueError as error:
            if not can_ask():
                raise
            complain(f"kvctl: {error.message}")
            if not confirmed("Edit it again?", default=True):
                raise
        else:
            return _UNCHANGED if _text(value) == before else value


def _put_back(client: Client, entry: Entry, value: Any) -> int:
    """Store the value if the key is as it was, and return the new revision. Raises `RevisionMismatchError`."""
    owner = entry.owner.pid if entry.owner is not None else False
    try:
        return client.update(entry.key, value, keep_ttl=True, if_revision=entry.revision, ephemeral=owner)
    except RevisionMismatchError:
        try:
            now = client.entry(entry.key)
        except KeyNotFoundError:
            what = "was deleted, or expired,"
        else:
            what = f"was changed (revision {entry.revision}, now {now.revision})"
            _show_change(entry, now)
    raise RevisionMismatchError(f"Key {entry.key!r} {what} meanwhile, and is left as it is.", [entry.key])


def _show_change(before: Entry, now: Entry) -> None:
    lines = difflib.unified_diff(
        _text(before.value).splitlines(),
        _text(now.value).splitlines(),
        f"revision {before.revision}",
        f"revision {now.revision}",
        lineterm="",
    )
    for line in lines:
        style = {"-": "red", "+": "green"}.get(line[:1], "")
        text = text_for(sys.stderr, line)
        print(painted(sys.stderr, text, style) if style else text, file=sys.stderr)
