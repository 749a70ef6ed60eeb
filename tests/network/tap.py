"""Somebody between a client and a daemon, who sees and may change what they send."""

import contextlib
import socket
import threading


class Tap:
    """A proxy that records both directions."""

    def __init__(self, address):
        self._host, _, port = address.removeprefix("tcp://").partition(":")
        self._port = int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = {"client": bytearray(), "daemon": bytearray()}
        self.change = None
        """What becomes of each piece: takes who said it and the bytes, and returns bytes; None: they stay."""
        self.connections = 0
        self._open = []
        self._threads = []
        self._start(self._accept)

    def _start(self, work, *arguments):
        self._threads.append(threading.Thread(target=work, args=arguments))
        self._threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    daemon = socket.create_connection((self._host, self._port), 10)
                except OSError:
                    client.close()
                    continue
                daemon.settimeout(None)
                self._open += [client, daemon]
                for said_by, source, target in (("client", client, daemon), ("daemon", daemon, client)):
                    self._start(self._pass, said_by, source, target)

    def _pass(self, said_by, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.heard[said_by] += data
                target.sendall(data if self.change is None else self.change(said_by, data))
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """End all connections."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._open:
            end.close()
