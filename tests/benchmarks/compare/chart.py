"""The results as a chart: a panel for each workload, a line for each peer, a dot for each number of clients."""

from pathlib import Path

from table import Medians

_TITLES = {"create": "create", "read": "read", "batch": "batch of 1,000"}
_KVD, _LIMIT, _PEER = "#00794a", "#9a9a9a", "#3b5b8c"


def draw(run: dict, path: Path) -> None:
    """Write the chart to `path`, in the format of its suffix. Needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "kvd", "font.family": "sans-serif", "font.size": 9})
    medians = Medians(run["results"])
    peers = {workload: [p for p in run["peers"] if p in medians.peers(workload)] for workload in medians.workloads}
    rows = [len(names) + 2 for names in peers.values()]
    figure = Figure(figsize=(8.5, 0.24 * sum(rows) + 0.6), layout="constrained")
    panels = figure.subplots(len(peers), squeeze=False, height_ratios=rows)[:, 0]
    for panel, (workload, names) in zip(panels, peers.items(), strict=True):
        _draw_panel(panel, medians, workload, {name: _color(name, run) for name in names})
    panels[0].legend(ncols=len(medians.clients), loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    figure.supxlabel(f"{run['date']}, {run['machine']}, medians of {run['rounds']} rounds", fontsize=7.5, color="0.4")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _color(peer: str, run: dict) -> str:
    if peer in run["limits"]:
        return _LIMIT
    return _KVD if peer.startswith("kvd") else _PEER


def _draw_panel(panel, medians: Medians, workload: str, color_of: dict[str, str]) -> None:
    peers, colors = list(color_of), list(color_of.values())
    for row, (peer, color) in enumerate(color_of.items()):
        rates = [rate for clients in medians.clients if (rate := medians.rate(workload, peer, clients))]
        panel.plot([min(rates), max(rates)], [row, row], color=color, linewidth=1, zorder=1)
    for at, clients in enumerate(medians.clients):
        dots = [(medians.rate(workload, peer, clients), row) for row, peer in enumerate(peers)]
        shown = [(rate, row) for rate, row in dots if rate]
        panel.scatter(
            [rate for rate, _ in shown],
            [row for _, row in shown],
            s=16 + 18 * at,
            facecolor=["white" if at == 0 else colors[row] for _, row in shown],
            edgecolor=[colors[row] for _, row in shown],
            alpha=None if at == 0 else 0.55 if at == 1 else 1,
            label=f"{clients} client{'s' if clients > 1 else ''}",
            zorder=2 + len(medians.clients) - at,
        )
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
    panel.set_yticks(range(len(peers)), peers)
    for label, color in zip(panel.get_yticklabels(), colors, strict=True):
        label.set_color(color)
        label.set_fontweight("bold" if color == _KVD else "normal")
    panel.invert_yaxis()
    panel.set_title(f"{_TITLES[workload]}, operations per second", loc="left", fontsize=10, fontweight="bold")
    panel.grid(axis="x", color="0.9")
    panel.set_axisbelow(True)
    panel.tick_params(length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)
