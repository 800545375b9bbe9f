"""`sextant query`: tables, CSV, JSON, charts on a terminal, errors with their place.

A server of the test's own answers as the API does, so that what is asked can be looked at."""
import csv
import http.server
import io
import json
import os
import pty
import re
import subprocess
import threading
import urllib.parse

import pytest

VECTOR = {"resultType": "vector", "result": [
    {"metric": {"__name__": "up", "job": "a,\"b\""}, "value": [1700000000.5, "1"]},
    {"metric": {"__name__": "up", "job": "longer", "x": "y"}, "value": [1700000000.5, "+Inf"]}]}
MATRIX = {"resultType": "matrix", "result": [
    {"metric": {"job": "a"}, "values": [[1700000000 + 60 * i, str(i * i)] for i in range(61)]},
    {"metric": {"job": "b"}, "values": [[1700000000 + 60 * i, str(3600 - i)] for i in range(20)]}]}
BAD = 'invalid parameter "query": 1:5: parse error: unexpected end of input'


class Api(http.server.BaseHTTPRequestHandler):
    """Answers by what is asked for, and notes it."""

    def do_POST(self):
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = dict(urllib.parse.parse_qsl(form))
        self.server.asked.append((self.path, asked))
        query = asked["query"]
        if query == "sum(":
            self.answer(400, {"status": "error", "errorType": "bad_data", "error": BAD})
        elif query == "page":
            self.send_response(502)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"oops")
        elif query == '"text"':
            self.answer(200, {"status": "success",
                              "data": {"resultType": "string", "result": [1, "text"]}})
        elif query == "1+1":
            self.answer(200, {"status": "success",
                              "data": {"resultType": "scalar", "result": [1, "2"]}})
        else:
            self.answer(200, {"status": "success", "warnings": ["take care"],
                              "data": MATRIX if "range" in self.path else VECTOR})

    def do_GET(self):
        self.server.asked.append((self.path, {}))
        names = ["job", "x"]
        if "/series" in self.path:
            names = [{"__name__": "up", "job": "a"}]
        self.answer(200, {"status": "success", "data": names})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def query(sextant_bin, api):
    def ask(*args, url=None):
        return subprocess.run([sextant_bin, "query", *args, "--url", url or api.url], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              check=False)
    return ask


def test_an_instant_is_an_aligned_table(query):
    out = query("up")
    assert out.returncode == 0 and "note: take care" in out.stderr
    lines = out.stdout.splitlines()
    assert lines[0].split() == ["SERIES", "VALUE"]
    assert lines[1].index(" 1") == lines[2].index(" +Inf") == lines[0].index(" VALUE")
    assert lines[2].startswith('up{job="longer", x="y"}')


def test_csv_can_be_read_back(query):
    rows = list(csv.DictReader(io.StringIO(query("up", "--format", "csv").stdout)))
    assert rows[0] == {"__name__": "up", "job": 'a,"b"', "x": "", "time": "2023-11-14T22:13:20.500Z",
                       "value": "1"}


def test_json_is_what_the_server_said(query):
    assert json.loads(query("up", "--format", "json").stdout) == VECTOR


def test_scalars_and_strings_are_bare(query):
    assert query("1+1").stdout == "2\n"
    assert query('"text"').stdout == "text\n"


def test_a_range_in_a_pipe_is_lines(query, api):
    out = query("up", "--range", "1h", "--time", "1700003600", "--step", "60")
    assert len(out.stdout.splitlines()) == 81
    assert out.stdout.splitlines()[1].split() == ["2023-11-14T22:14:20.000Z", "1", '{job="a"}']
    path, asked = api.asked[-1]
    assert path == "/api/v1/query_range"
    assert asked == {"query": "up", "start": "1700000000.000", "end": "1700003600.000",
                     "step": "60.000"}


def test_a_range_on_a_terminal_is_a_chart(sextant_bin, api):
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "LINES": "30", "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    out = subprocess.Popen([sextant_bin, "query", "up", "--range", "1h", "--time", "1700003600",
                            "--step", "60", "--url", api.url], stdout=slave, stderr=slave, env=env)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        text += piece
    os.close(master)
    assert out.wait(60) == 0
    shown = text.decode()
    plain = re.sub("\033\\[[0-9;]*m", "", shown)
    assert "\033[38;5;" in shown
    assert any(0x2800 < ord(c) < 0x2900 for c in plain)
    assert "3.6k┤" in plain.replace(" ", "") and '{job="a"}  min 0  max 3.6k  last 3.6k' in plain
    assert all(len(line) <= 80 for line in plain.splitlines() if "━" not in line)


def test_an_error_is_marked_under_the_expression(query):
    out = query("sum(")
    assert out.returncode == 1 and out.stdout == ""
    assert out.stderr.splitlines() == [f"sextant: {BAD}", "  sum(", "      ^"]


def test_names_are_lists(query, api):
    assert query("labels").stdout == "job\nx\n"
    assert query("label-values", "job", "up").stdout == "job\nx\n"
    assert api.asked[-1][0] == "/api/v1/label/job/values?match[]=up"
    assert query("series", "up").stdout == 'up{job="a"}\n'


def test_what_is_no_prometheus_is_said_so(query):
    out = query("page")
    assert out.returncode == 1 and "status 502" in out.stderr
    out = query("up", url="http://127.0.0.1:1")
    assert out.returncode == 1 and "127.0.0.1" in out.stderr


@pytest.mark.parametrize("flags,words", [
    (["--time", "soon"], "--time soon"), (["--range", "x"], "--range x"),
    (["--step", "5s"], "--range"), (["--format", "xml"], "table, json and csv")])
def test_a_wrong_flag_is_explained(query, flags, words):
    out = query("up", *flags)
    assert out.returncode != 0 and words in out.stderr
