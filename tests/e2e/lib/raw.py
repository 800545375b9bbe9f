"""A socket that says exactly what it is told: for requests that no proper client would send."""
import socket

from .wait import SLOWER


class Raw:
    """One connection. Use as a context manager."""

    def __init__(self, host_port, seconds=10):
        self.sock = socket.create_connection(host_port, timeout=seconds * SLOWER)
        self.seen = b""

    def send(self, data):
        self.sock.sendall(data)
        return self

    def until(self, mark):
        """Reads until `mark` is in what came; returns all before and with it, keeps the rest."""
        while mark not in self.seen:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError(f"closed before {mark!r}; came: {self.seen[:500]!r}")
            self.seen += more
        at = self.seen.index(mark) + len(mark)
        found, self.seen = self.seen[:at], self.seen[at:]
        return found

    def to_end(self):
        """Everything until the other side closes. A reset is an end too."""
        try:
            while more := self.sock.recv(65536):
                self.seen += more
        except ConnectionResetError:
            pass
        found, self.seen = self.seen, b""
        return found

    def response(self):
        """(status, headers, body) of the next response that has a Content-Length."""
        head = self.until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, v in (x.split(":", 1) for x in lines)}
        size = int(headers.get("content-length", 0))
        while len(self.seen) < size:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError(f"closed within a body of {size} bytes: {self.seen[:200]!r}")
            self.seen += more
        body, self.seen = self.seen[:size], self.seen[size:]
        return int(first.split(" ")[1]), headers, body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
