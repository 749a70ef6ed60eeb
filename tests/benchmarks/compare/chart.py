"""The results as a chart: a panel for each workload, a group of bars for each number of clients."""

from pathlib import Path

from table import Medians

_TITLES = {"create": "create", "read": "read", "batch": "batch of 1,000"}


def draw(run: dict, path: Path) -> None:
    """Write the chart to `path`, in the format of its suffix. Needs matplotlib."""
    from matplotlib.figure import Figure

    medians = Medians(run["results"])
    figure = Figure(figsize=(11, 3.2 * len(medians.workloads)), layout="constrained")
    panels = figure.subplots(len(medians.workloads), squeeze=False)[:, 0]
    for panel, workload in zip(panels, medians.workloads, strict=True):
        _panel(panel, medians, workload, [peer for peer in run["peers"] if peer in medians.peers(workload)])
    figure.suptitle(f"{run['date']}, {run['machine']}", fontsize=9, color="0.4")
    figure.savefig(path)


def _panel(panel, medians: Medians, workload: str, peers: list[str]) -> None:
    width = 0.85 / len(peers)
    for at, peer in enumerate(peers):
        heights = [medians.rate(workload, peer, clients) or 0 for clients in medians.clients]
        left = [group + (at - (len(peers) - 1) / 2) * width for group in range(len(heights))]
        panel.bar(left, heights, width * 0.92, label=peer, color=_color(peer, at), edgecolor="white", linewidth=0.5)
    panel.set_title(_TITLES[workload], loc="left", fontweight="bold")
    panel.set_ylabel("operations per second")
    panel.set_yscale("log")
    panel.set_xticks(range(len(medians.clients)), [f"{n} client{'s' if n > 1 else ''}" for n in medians.clients])
    panel.grid(axis="y", color="0.9")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)


def _color(peer: str, at: int) -> str:
    """Return green shades for kvd and others for the peers, the same in every panel."""
    ours = {"kvd always": "#00693e", "kvd interval": "#3fa34d", "kvd, bare REQ": "#91cb3e", "kvd in-process": "#c3e88d"}
    theirs = {
        "Redis always": "#a4161a",
        "Redis everysec": "#e5616a",
        "SQLite FULL": "#1d3557",
        "SQLite NORMAL": "#6a8fbf",
        "diskcache": "#f4a261",
        "memcached": "#b08968",
    }
    return (ours | theirs).get(peer, "0.7" if at % 2 else "0.55")
