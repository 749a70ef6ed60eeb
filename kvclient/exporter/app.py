"""The options of `kvd-exporter` and their help."""

from importlib.util import find_spec
from typing import Annotated

import typer

from kvclient.contract.errors import DataStoreError
from kvclient.screen.help import CONTEXT, Command

app = typer.Typer(
    add_completion=False,
    context_settings=CONTEXT,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command(cls=Command)
def _serve(
    stores: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STORE",
            help="The stores, by name or endpoint; default: all stores of this user, as they come and go.",
            show_default=False,
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen. Whoever reaches it sees the metrics.")
    ] = "127.0.0.1:9867",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, max=3600, help="How long the daemons may take for an answer.")
    ] = 2.0,
) -> None:
    """Serve metrics of stores to Prometheus, at /metrics. Starts no daemon.

    For load balancers, /-/ready answers 200 if all stores would take a value now, else 503 with the reasons, and
    /-/healthy answers 200.

    Needs the package prometheus-client: pip install 'kvd-store[exporter]'

    Example: kvd-exporter data_store work --listen 127.0.0.1:9867
    """
    if find_spec("prometheus_client") is None:
        raise DataStoreError(
            "The package prometheus-client is not installed: pip install 'kvd-store[exporter]'. "
            "'kvctl stats --prometheus' prints the same metrics once."
        )
    from kvclient.exporter.collector import Stores
    from kvclient.exporter.serving import serve

    serve(Stores(stores or [], timeout), listen)
