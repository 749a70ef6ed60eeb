"""The results as Markdown: a table for each workload, and the targets with what was reached."""

import statistics
from collections.abc import Iterable, Sequence

Result = dict
_UNITS = {"create": "creates", "read": "reads", "batch": "batches of 1,000"}
# Of each: the workload, kvd's name, the peer's name, the least ratio by clients.
_TARGETS = [
    ("create", "kvd always", "Redis always", {1: 1.0, 4: 1.0, 16: 1.0}),
    ("create", "kvd interval", "Redis everysec", {1: 1.0, 4: 0.9, 16: 0.9}),
    ("batch", "kvd always", "Redis always", {1: 1.5, 4: 1.5, 16: 1.5}),
    ("read", "kvd always", "REP echo", {1: 0.85, 4: 0.8, 16: 0.75}),
    ("read", "kvd, bare REQ", "REP echo", {1: 0.85, 4: 0.8, 16: 0.75}),
    ("create", "kvd CURVE", "Redis TLS", {1: 0.8, 4: 0.8, 16: 0.8}),
    ("read", "kvd CURVE", "Redis TLS", {1: 0.8, 4: 0.8, 16: 0.8}),
]
# The same of tasks.
_TASK_TARGETS = [
    ("create", "kvd always", "Redis always", {16: 1.2, 64: 1.2}),
    ("create", "kvd interval", "Redis everysec", {16: 1.2, 64: 1.2}),
    ("read", "kvd always", "Redis always", {16: 1.2, 64: 1.2}),
]
MOST_START_UP_RATIO = 1.6
MOST_SLOW_DISK_P99 = 0.005


class Medians:
    """The median rate of each workload, peer and number of clients."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._rates = {(r["workload"], r["peer"], r["clients"]): statistics.median(r["rates"]) for r in results}
        self.clients = sorted({clients for _, _, clients in self._rates})
        self.workloads = list(dict.fromkeys(workload for workload, _, _ in self._rates))

    def peers(self, workload: str) -> list[str]:
        """Return the peers that did a workload."""
        return list(dict.fromkeys(peer for done, peer, _ in self._rates if done == workload))

    def rate(self, workload: str, peer: str, clients: int) -> float | None:
        """Return operations per second."""
        return self._rates.get((workload, peer, clients))

    def ratio(self, workload: str, kvd: str, peer: str, clients: int) -> float | None:
        """Return how many times as fast as the peer kvd is."""
        ours, theirs = self.rate(workload, kvd, clients), self.rate(workload, peer, clients)
        return ours / theirs if ours and theirs else None


def report(run: dict) -> str:
    """Return all tables of a run."""
    medians = Medians(run["results"])
    order, durable = run["peers"], run["durable"]
    rounds = f"{run['rounds']} interleaved round{'s' if run['rounds'] > 1 else ''}"
    parts = [f"{run['date']}, {run['machine']}, medians of {rounds}."]
    parts += [_workload(medians, workload, order, durable, "clients") for workload in medians.workloads]
    tasks = Medians(run.get("tasks", []))
    parts += [_workload(tasks, workload, order, durable, "tasks") for workload in tasks.workloads]
    parts.append(_targets(medians, tasks, run))
    if medians.workloads:
        parts.append(_behind(medians, [peer for peer in order if peer not in run["limits"]], durable))
    if run["missing"]:
        parts.append("Left out, because it is not installed: " + "; ".join(run["missing"]) + ".")
    return "\n\n".join(parts)


def _workload(medians: Medians, workload: str, order: Sequence[str], durable: Sequence[str], who: str) -> str:
    clients = medians.clients
    rows = [[f"{_UNITS[workload]} a second, {who}:", *map(str, clients), *(f"kvd / it, {n}" for n in clients)]]
    done = medians.peers(workload)
    for peer in (peer for peer in order if peer in done):
        ours = _counterpart(workload, peer, durable)
        rates = [_number(medians.rate(workload, peer, count)) for count in clients]
        ratios = ["" if peer == ours else _ratio(medians.ratio(workload, ours, peer, count)) for count in clients]
        rows.append([peer, *rates, *ratios])
    return _markdown(rows)


def _targets(medians: Medians, tasks: Medians, run: dict) -> str:
    rows = [["target", "clients", "reached", "wanted", ""]]
    for measured, who, targets in ((medians, "", _TARGETS), (tasks, " tasks", _TASK_TARGETS)):
        for workload, kvd, peer, wanted in targets:
            for clients, least in wanted.items():
                ratio = measured.ratio(workload, kvd, peer, clients)
                if ratio is not None:
                    reached = [_ratio(ratio), f"≥ {least:.2f}", _verdict(ratio >= least)]
                    rows.append([f"{workload}: {kvd} / {peer}", f"{clients}{who}", *reached])
    if run.get("start_up"):
        ratio = run["start_up"]["kvctl read"] / run["start_up"]["import zmq"]
        wanted = [f"≤ {MOST_START_UP_RATIO:.2f}", _verdict(ratio <= MOST_START_UP_RATIO)]
        rows.append(["process: kvctl read / import zmq", "1", _ratio(ratio), *wanted])
    if run.get("slow_disk"):
        p99 = run["slow_disk"]["p99"]
        wanted = [f"≤ {MOST_SLOW_DISK_P99 * 1000:.0f} ms", _verdict(p99 <= MOST_SLOW_DISK_P99)]
        rows.append(["p99 of reads beside 8 writers, 20 ms fdatasync", "1 + 8", f"{p99 * 1000:.2f} ms", *wanted])
    return _markdown(rows)


def _behind(medians: Medians, order: Sequence[str], durable: Sequence[str]) -> str:
    """Return which peers are faster than kvd, and how many times."""
    lines = ["Faster than kvd:", ""]
    for workload in medians.workloads:
        for clients in medians.clients:
            faster = [
                (1 / ratio, peer)
                for peer in order
                if not peer.startswith("kvd")
                and (ratio := medians.ratio(workload, _counterpart(workload, peer, durable), peer, clients))
                and ratio < 1
            ]
            named = ", ".join(f"{peer} {times:.1f} ×" for times, peer in sorted(faster, reverse=True))
            lines.append(f"- {workload}, {clients} client{'s' if clients > 1 else ''}: {named or 'nobody'}")
    return "\n".join(lines)


def _counterpart(workload: str, peer: str, durable: Sequence[str]) -> str:
    """Return the kvd that a peer is compared with."""
    if peer == "Redis TLS":
        return "kvd CURVE"
    return "kvd always" if peer in durable or workload == "read" else "kvd interval"


def _verdict(good: bool) -> str:
    return "yes" if good else "NO"


def _number(rate: float | None) -> str:
    if rate is None:
        return "–"
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rule = [("-" * (width + 1) + ":") if at else "-" * (width + 2) for at, width in enumerate(widths)]
    lines.insert(1, f"|{'|'.join(rule)}|")
    return "\n".join(lines)
