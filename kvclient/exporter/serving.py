"""The exporter's HTTP server: prometheus-client's /metrics, and two pages for load balancers."""

import signal
import socket
import sys
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from kvclient.contract.endpoint import tcp_address
from kvclient.contract.errors import DataStoreError
from kvclient.exporter.collector import Stores

_WAITING = 5
"""Seconds that a peer may take to send its request, or to take the reply."""

Start = Callable[[str, list[tuple[str, str]]], Any]
Environment = dict[str, Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # Not HTTPServer's: it looks up the host's name, which may take long where there is no network.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()[:2]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = _WAITING

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Say nothing of requests that were answered."""


def serve(stores: Stores, listen: str) -> NoReturn:
    """Serve at HOST:PORT until SIGTERM or SIGINT. Raises `DataStoreError` if nothing can listen there."""
    server = _listening(listen)
    server.set_app(_app(stores))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    host = f"[{server.server_name}]" if ":" in server.server_name else server.server_name
    print(f"kvd-exporter: http://{host}:{server.server_port}/metrics", file=sys.stderr, flush=True)
    server.serve_forever()
    raise SystemExit(0)


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _listening(listen: str) -> _Server:
    try:
        host, port = (listen.removesuffix(":0"), 0) if listen.endswith(":0") else tcp_address(f"tcp://{listen}")
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        kind = type("_Server", (_Server,), {"address_family": family})
        server: _Server = kind(address[:2], _Handler)
    except DataStoreError:
        raise DataStoreError(f"--listen takes a host and a port, as in 127.0.0.1:9867, not {listen!r}.") from None
    except OSError as error:
        raise DataStoreError(f"Nothing can listen on {listen}: {error.strerror or error}.") from None
    return server


def _app(stores: Stores) -> Callable[[Environment, Start], Iterable[bytes]]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(stores)
    metrics: Callable[[Environment, Start], Iterable[bytes]] = make_wsgi_app(registry)

    def app(environment: Environment, start: Start) -> Iterable[bytes]:
        match environment["PATH_INFO"]:
            case "/metrics":
                return metrics(environment, start)
            case "/-/healthy":
                status, lines = "200 OK", ["The exporter is there."]
            case "/-/ready":
                reasons = stores.unready()
                status, lines = ("503 Service Unavailable", reasons) if reasons else ("200 OK", ["Ready."])
            case _:
                status, lines = "404 Not Found", ["There are /metrics, /-/ready and /-/healthy."]
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return ["".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")]

    return app
