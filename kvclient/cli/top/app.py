"""The screen of `kvctl top`."""

import os
import select
import threading
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Footer, Input, Sparkline, Static
from textual.worker import get_current_worker

from kvclient.cli.top.rates import Rates, Series
from kvclient.cli.top.source import LISTED, Sample, Source
from kvclient.cli.top.tables import event_line, key_row, plain, process_row, value_text
from kvclient.client.blocking import Client
from kvclient.contract.errors import DataStoreError, KeyNotFoundError
from kvclient.contract.records import Entry
from kvclient.screen.quantities import bytes_text, counted, duration

_SECONDS = 1.0
"""Between two samples."""
_LEAST_KEY_COLUMNS, _OTHER_COLUMNS = 12, 34
"""That a key has in the list of keys; and that its revision and what it lives as long as have, with the gaps."""
_TYPING_SECONDS = 0.15
"""So long after the last letter of a filter the keys are asked for."""


class Tile(Vertical):
    """A number, how it has been, and what belongs to it."""

    DEFAULT_CSS = """
    Tile { border: round $primary; padding: 0 1; height: 6; }
    Tile Sparkline { height: 2; }
    Tile Static { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, title: str, name: str) -> None:
        super().__init__(id=name)
        self.border_title = title
        self._series = Series()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static("–", classes="number")
        yield Sparkline(self._series.values, summary_function=max)
        yield Static("", classes="more")

    def tell(self, value: float | None, number: str, more: str) -> None:
        """Show a new value."""
        self._series.add(value)
        self.query_one(".number", Static).update(plain(number, "bold"))
        self.query_one(".more", Static).update(plain(more, "dim"))
        self.query_one(Sparkline).data = list(self._series.values)


class Top(App[None]):
    """A store, live."""

    TITLE = "kvctl top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #state { height: auto; padding: 0 1; }
    #tiles { height: 6; }
    #tiles Tile { width: 1fr; }
    #keys, #value, #processes, #events { border: round $primary; padding: 0 1; }
    #browser { height: 3fr; }
    #keys { width: 1fr; }
    #value { width: 1fr; }
    #below { height: 2fr; }
    #processes { width: 1fr; }
    #events { width: 1fr; }
    #happened { text-wrap: nowrap; text-overflow: ellipsis; }
    .-low #below { display: none; }
    #filter { height: 1; border: none; padding: 0; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012  # as the class above has it
    # With priority a key counts at once. Else it goes round by the widget that has the focus, and of what is typed fast
    # behind it the first letters would go there, too.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("slash", "filter", "Filter keys", key_display="/", priority=True),
        Binding("escape,enter", "leave", "Back to the keys", key_display="esc", priority=True),
    ]

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._source = Source(client)
        self._endpoint = client.endpoint
        self._ended = threading.Event()
        self._hang_up = select.poll()
        """Tells that the terminal is gone. A process outside its session gets no SIGHUP, and would go on for nobody."""
        if os.isatty(0):
            self._hang_up.register(0, 0)
        self._revision = -1
        self._entries: list[Entry] = []
        self._looked_into: str | None = None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static("", id="state")
        with Horizontal(id="tiles"):
            yield Tile("operations", "operations")
            yield Tile("reads", "reads")
            yield Tile("commits", "commits")
            yield Tile("latency", "latency")
        with Horizontal(id="browser"):
            with Vertical(id="keys"):
                yield Input(placeholder="/ to filter by prefix", id="filter", compact=True)
                yield DataTable(id="list", cursor_type="row", zebra_stripes=True)
            with VerticalScroll(id="value"):
                yield Static("", id="content")
        with Horizontal(id="below"):
            with Vertical(id="processes"):
                yield DataTable(id="clients", cursor_type="none", show_cursor=False)
            with VerticalScroll(id="events"):
                yield Static("", id="happened")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        for name, title in (("keys", "keys"), ("value", "value"), ("processes", "clients"), ("events", "events")):
            self.query_one(f"#{name}").border_title = title
        self._keys.add_columns("key", "revision", "lives")
        self._clients.add_columns("pid", "process", "conns", "watching")
        self.screen.set_focus(self._keys)
        self.run_worker(self._sample, thread=True, group="samples")

    def on_unmount(self) -> None:
        """Let the thread that asks end."""
        self._ended.set()

    @property
    def _keys(self) -> "DataTable[Text]":
        return self.query_one("#list", DataTable)

    @property
    def _clients(self) -> "DataTable[Text]":
        return self.query_one("#clients", DataTable)

    # Sampling, in a thread.

    def _sample(self) -> None:
        while not self._ended.is_set():
            try:
                sample = self._source.sample()
            except DataStoreError as error:
                self._tell(self._lost, error)
            else:
                self._tell(self._show, sample)
            if self._hang_up.poll(0):
                self._tell(self.exit)
            self._ended.wait(_SECONDS)

    def _tell(self, what: object, *arguments: object) -> None:
        if not self._ended.is_set():
            self.call_from_thread(what, *arguments)  # type: ignore[arg-type]

    # What is shown.

    def _lost(self, error: DataStoreError) -> None:
        self.query_one("#state", Static).update(plain(error.message, "bold red"))

    def _show(self, sample: Sample) -> None:
        self._show_state(sample)
        if sample.rates is not None:
            self._show_rates(sample.rates, sample.round_trip)
        self._clients.clear()
        for process in sample.status.get("processes") or []:
            self._clients.add_row(*process_row(process))
        self.query_one("#happened", Static).update(
            Text("\n", no_wrap=True, overflow="ellipsis").join(map(event_line, reversed(sample.events)))
        )
        if sample.stats["revision"] != self._revision:
            self._revision = sample.stats["revision"]
            self._list()

    def _show_state(self, sample: Sample) -> None:
        stats, status = sample.stats, sample.status
        state = Text.assemble(
            (status["file"], "bold"),
            f"  pid {status['pid']}, up {duration(status['uptime'])}, sync {status['sync']}",
            ", compacting" if status["compacting"] else "",
            f"\n{counted(stats['keys'], 'key')}, {stats['expiring']:,} expiring, {stats['ephemeral']:,} ephemeral; "
            f"file {bytes_text(stats['file_bytes'])}, garbage {bytes_text(stats['garbage_bytes'])}; "
            f"{counted(stats['peers'], 'client')}, {stats['watchers']:,} watching",
        )
        if status.get("refusing"):
            state = Text.assemble((f"ALL WRITES ARE REFUSED: {status['refusing']}", "bold white on red"), "\n", state)
        self.query_one("#state", Static).update(state)

    def _show_rates(self, found: Rates, round_trip: float) -> None:
        share = "no reads" if found.hit_rate is None else f"{found.hit_rate:.1%} found"
        each = "" if found.operations_a_commit is None else f"{found.operations_a_commit:.1f} changes each"
        refused = f", {found.refused:,.0f} refused" if found.refused else ""
        commit = "no commits" if found.commit_seconds is None else f"{1000 * found.commit_seconds:.2f} ms a commit"
        self.query_one("#operations", Tile).tell(
            found.operations,
            f"{found.operations:,.0f}/s",
            f"{found.changes:,.0f} changes{refused}",
        )
        self.query_one("#reads", Tile).tell(found.reads, f"{found.reads:,.0f}/s", share)
        self.query_one("#commits", Tile).tell(found.commits, f"{found.commits:,.0f}/s", each)
        self.query_one("#latency", Tile).tell(1000 * round_trip, f"{1000 * round_trip:.2f} ms", commit)

    # Keys.

    def on_input_changed(self) -> None:
        """Ask for the keys that fit, once the typing pauses."""
        self._list(_TYPING_SECONDS)

    def _list(self, seconds: float = 0.0) -> None:
        prefix = self.query_one("#filter", Input).value

        def ask() -> None:
            worker = get_current_worker()
            if self._ended.wait(seconds) or worker.is_cancelled:
                return
            try:
                entries = self._source.list(prefix)
                looked_into = None if self._looked_into is None else self._read(self._looked_into)
            except DataStoreError as error:
                self._tell(self._lost, error)
                return
            if not worker.is_cancelled:
                self._tell(self._show_keys, entries, looked_into)

        self.run_worker(ask, thread=True, group="keys", exclusive=True)

    def _show_keys(self, entries: list[Entry], looked_into: Text | None) -> None:
        at = self._keys.cursor_row
        chosen = self._entries[at].key if 0 <= at < len(self._entries) else None
        self._entries = entries
        self._keys.clear()
        width = max(_LEAST_KEY_COLUMNS, self._keys.size.width - _OTHER_COLUMNS)
        for entry in entries:
            self._keys.add_row(*key_row(entry, width))
        # The cursor stays with its key, also where others come and go before it.
        row = next((row for row, entry in enumerate(entries) if entry.key == chosen), min(at, len(entries) - 1))
        self._keys.move_cursor(row=max(0, row))
        self.query_one("#keys").border_title = "keys" if len(entries) < LISTED else f"the first {LISTED} keys"
        if looked_into is not None:
            self.query_one("#content", Static).update(looked_into)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the value of the key under the cursor."""
        if event.data_table.id == "list" and 0 <= event.cursor_row < len(self._entries):
            key = self._entries[event.cursor_row].key
            if key == self._looked_into:
                return
            self._looked_into = key

            def ask() -> None:
                try:
                    text = self._read(key)
                except DataStoreError as error:
                    self._tell(self._lost, error)
                else:
                    self._tell(self.query_one("#content", Static).update, text)

            self.run_worker(ask, thread=True, group="value", exclusive=True)

    def _read(self, key: str) -> Text:
        try:
            return value_text(self._source.entry(key))
        except KeyNotFoundError:
            return plain(f"{key} is gone", "dim")

    # What can be typed.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Tell whether a key means its action now: in the filter / is a letter, and outside nothing is to be left."""
        typing = self.screen.focused is not None and self.screen.focused.id == "filter"
        return {"filter": not typing, "leave": typing}.get(action, True)

    def action_filter(self) -> None:
        """Go to the filter, at once: `focus()` would do it later."""
        self.screen.set_focus(self.query_one("#filter", Input))

    def action_leave(self) -> None:
        """Go back to the keys."""
        self.screen.set_focus(self._keys)
