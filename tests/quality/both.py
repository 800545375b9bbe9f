"""both.py - us, us with better=1 and Addok on the same data, for the scripts beside it."""
import gzip
import http.client
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

sys.path.append(str(Path(__file__).resolve().parents[1] / "parity"))
import peer  # noqa: E402
import queries  # noqa: E402,F401  (for those who import us)

DATA = peer.ROOT / "data" / "france.ndjson.gz"


def add_arguments(parser):
    parser.add_argument("--no-addok", action="store_true", help="leave Addok out: it takes minutes")
    parser.add_argument("--sextant", default=str(peer.ROOT / "build" / "sextant"))


class Server:
    """`sextant geocode serve` without its cache: every answer is computed."""

    def __init__(self, binary, folder):
        index = Path(folder) / "france.idx"
        subprocess.run([binary, "geocode", "import", "-q", "-o", index, DATA], check=True)
        self.child = subprocess.Popen([binary, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                                       "--no-cache", "--access_log=off"], stderr=subprocess.PIPE, text=True)
        for line in self.child.stderr:
            found = re.search(r"^ready .*http=(\S+)", line)
            if found:
                self.connection = http.client.HTTPConnection(found.group(1), timeout=30)
                return
        raise SystemExit("quality: sextant geocode serve did not get ready")

    def ask(self, requests, extra=()):
        for path, params in requests:
            self.connection.request("GET", f"{path}?{urlencode([*map(tuple, params), *extra])}")
            answer = self.connection.getresponse()
            body = answer.read()
            yield answer.status, json.loads(body) if answer.status == 200 else body.decode(errors="replace")

    def stop(self):
        self.connection.close()
        self.child.terminate()
        self.child.wait(30)


def everybody(args, folder):
    """(name, ask) of each who is compared; ask takes [(path, params)] and yields (status, body)."""
    server = Server(args.sextant, folder)
    try:
        yield "sextant", server.ask
        yield "sextant better=1", lambda requests: server.ask(requests, [("better", "1")])
    finally:
        server.stop()
    if args.no_addok:
        return
    if not shutil.which("redis-server"):
        raise SystemExit("quality: Addok needs redis-server (scripts/setup.sh test), or leave it out by --no-addok")
    peer.install()
    with peer.Redis():
        source = Path(folder) / "france.ndjson"
        with gzip.open(DATA) as packed, open(source, "wb") as out:
            shutil.copyfileobj(packed, out)
        peer.import_data(source)
        yield "addok", peer.answers
