"""Tables of addresses: /search/csv/ and /reverse/csv/ as addok-csv answers them, at any size; and
`sextant geocode batch`."""
import collections
import csv
import io
import json
import os
import pty
import socket
import subprocess
import threading
import time

import pytest
import requests

from lib.wait import SLOWER, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data", "addok", "csv")
RESULTS = ["latitude", "longitude", "result_label", "result_score", "result_score_next", "result_type", "result_id",
           "result_housenumber", "result_name", "result_street", "result_postcode", "result_city", "result_context",
           "result_citycode", "result_oldcitycode", "result_oldcity", "result_district"]
# Of the recorded rows, the share that must be the same to the last byte.
SAME_ROWS = 0.98
# What an upload may take, whatever its size; a sanitizer keeps what was freed for a while.
MEMORY_MB = 60 if SLOWER == 1 else 600


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    """France's index, made once."""
    path = tmp_path_factory.mktemp("index") / "france.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"],
                   check=True, timeout=300)
    return str(path)


@pytest.fixture
def start(sextant, index, tmp_path):
    """start(settings...) serves the index; uploads are kept in the test's own folder."""
    def serve(*settings):
        return sextant("geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                       f"--csv.folder={tmp_path}", *settings)
    return serve


@pytest.fixture
def geocoder(start):
    return start()


def bytes_of(name):
    with open(os.path.join(DATA, name), "rb") as f:
        return f.read()


def post(server, path, data, fields=(), name="a.csv", **more):
    parts = [(k, (None, v)) for k, v in fields]
    if data is not None:
        parts.append(("data", (name, data, "text/csv")))
    return requests.post(server.url(path), files=parts, timeout=more.pop("timeout", 60), **more)


def rows_of(reply, delimiter=","):
    reply.encoding = "utf-8-sig"
    return list(csv.DictReader(io.StringIO(reply.text, newline=""), delimiter=delimiter))


def numbered(count):
    """A table of so many rows, each with its own number."""
    lines = (f"{i};{1 + i % 200} rue de vaugirard;75006" for i in range(count))
    return ("n;adresse;cp\n" + "\n".join(lines) + "\n").encode()


# ---- what Addok answers

def cases():
    with open(os.path.join(DATA, "cases.ndjson"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def test_every_recorded_upload(geocoder):
    """Status, header fields and errors as Addok's; of tables the header row, the number of rows and
    what was sent, and of the rows found nearly all to the last byte."""
    wrong, rows, same = [], 0, 0
    for case in cases():
        data = bytes_of(case["in"]) if case["in"] is not None else None
        fields = case["fields"] or [["unused", "1"]]
        reply = post(geocoder, case["endpoint"], data, fields, name=case["filename"])
        if case["status"] == 500:  # where Addok breaks: an answer, or the parameter is named
            named = reply.status_code == 400 and "parameter is invalid" in reply.text
            if not named and reply.status_code != 200:
                wrong.append((case["name"], reply.status_code, reply.text[:200]))
            continue
        if reply.status_code != case["status"]:
            wrong.append((case["name"], reply.status_code, case["status"], reply.text[:200]))
            continue
        for header, value in case["headers"].items():
            if header != "content-length" and reply.headers.get(header) != value:
                wrong.append((case["name"], header, reply.headers.get(header), value))
        if "out" not in case:
            if reply.text != case["body"]:
                wrong.append((case["name"], reply.text, case["body"]))
            continue
        got, want = reply.content.split(b"\r\n"), bytes_of(case["out"]).split(b"\r\n")
        if got[0] != want[0] or len(got) != len(want):
            wrong.append((case["name"], got[0], want[0], len(got), len(want)))
        rows += len(want) - 2
        same += sum(a == b for a, b in zip(got[1:-1], want[1:-1]))
    assert not wrong, "\n".join(map(str, wrong))
    assert same >= SAME_ROWS * rows, f"{same} of {rows} rows"


@pytest.mark.parametrize("form, status", [
    (b"", 400), (b"--x--\r\n", 400), (b"--x\r\n", 400), (b"no form at all", 400),
    (b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\na,b\nlyon,c\n', 400),
    (b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\na,b\nlyon,c\n\r\n--x--', 200),
    (b'--x\ncontent-disposition:form-data;name=data;filename=a\n\na,b\nlyon,c\n\r\n--x--\r\n', 200),
    (b'--x\r\nA: ' + b"b" * 10000 + b'\r\n\r\n\r\n--x--\r\n', 400),
    (b'--x\r\n\r\n\r\n' * 300 + b"--x--", 400),
])
def test_odd_forms_are_read_or_refused(geocoder, form, status):
    reply = requests.post(geocoder.url("/search/csv/"), data=form, timeout=10,
                          headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize("kind, status", [("text/csv", 415), ("multipart/form-data", 400), ("application/json", 400)])
def test_bodies_that_are_no_form_are_refused(geocoder, kind, status):
    reply = requests.post(geocoder.url("/search/csv/"), data=b"a,b\n", headers={"Content-Type": kind}, timeout=10)
    assert reply.status_code == status and "title" in reply.json()
    assert requests.get(geocoder.url("/search/csv/"), timeout=10).headers["allow"] == "POST, OPTIONS"


def test_parameters_stand_in_the_query_string_or_behind_the_file(geocoder):
    table = b"nom,ville,cp\nx,lyon,69001\n"
    by_query = post(geocoder, "/search/csv/?columns=ville,cp", table)
    parts = [("data", ("a.csv", table)), ("columns", (None, "ville")), ("columns", (None, "cp"))]
    behind = requests.post(geocoder.url("/search/csv/"), files=parts, timeout=10)
    assert by_query.content == behind.content
    assert rows_of(behind)[0]["result_city"] == "Lyon"


def test_utf16_goes_in_and_comes_out(geocoder):
    table = "rue;ville\r\n8 rue de l'Odéon;paris\r\n"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        reply = post(geocoder, "/search/csv/", table.encode(encoding), [("encoding", encoding), ("columns", "rue")])
        assert reply.status_code == 200, reply.text
        back = reply.content.decode(encoding)
        assert "8 Rue de l'Odéon 75006 Paris" in back and back.startswith("rue;ville;latitude")


def test_mixed_line_ends_quotes_and_blank_lines(geocoder):
    table = b'a,b\r\nlyon,1\nparis,"2\n3"\r\n\r\n\n"lyon",4\r\nlyon,"5""6"'
    got = rows_of(post(geocoder, "/search/csv/", table, [("columns", "a"), ("delimiter", ",")]))
    assert [r["b"] for r in got] == ["1", "2\r\n3", "4", '5"6']
    assert [r["result_city"] for r in got] == ["Lyon", "Paris", "Lyon", "Lyon"]


def test_with_better_no_row_fails_the_file(geocoder):
    table = ("a,b\n" + "rue " * 60 + ",1\nlyon,2\n").encode()
    refused = post(geocoder, "/search/csv/", table, [("columns", "a"), ("delimiter", ",")])
    assert refused.status_code == 413 and "row number 1" in refused.text
    got = rows_of(post(geocoder, "/search/csv/", table, [("columns", "a"), ("delimiter", ","), ("better", "1")]))
    assert [r["result_city"] for r in got] == ["", "Lyon"]


# ---- at size

def rss_mb(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def test_a_large_table_takes_little_memory_and_keeps_its_order(geocoder, tmp_path):
    """With a file in the same folder as uploads: none of theirs is ever to be seen."""
    count = 30_000
    table = numbered(count)
    padded = table.replace(b";75006\n", b";75006" + b" " * 300 + b"\n")  # 10 MB
    before = rss_mb(geocoder)
    reply = post(geocoder, "/search/csv/", padded, [("columns", "adresse"), ("columns", "cp")], timeout=300)
    assert reply.status_code == 200
    assert [r["n"] for r in rows_of(reply, ";")] == [str(i) for i in range(count)]
    assert rss_mb(geocoder) - before < 40
    assert not [f for f in os.listdir(tmp_path) if "csv" in f]


def test_searches_are_answered_while_a_table_is(geocoder):
    done = threading.Event()

    def upload():
        post(geocoder, "/search/csv/", numbered(10_000), [("columns", "adresse")], timeout=120)
        done.set()

    thread = threading.Thread(target=upload)
    thread.start()
    slowest = 0
    while not done.is_set():
        began = time.monotonic()
        assert requests.get(geocoder.url("/search/?q=lyon"), timeout=10).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    thread.join()
    assert slowest < 2


def test_a_line_without_end_is_refused_before_it_is_all_sent(start):
    server = start("--csv.row_bytes_max=100kB")
    host, port = server.host_port()
    head = (b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\na,b\nlyon,c\n')
    with socket.create_connection((host, port), timeout=30) as s:
        s.sendall(b"POST /search/csv/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                  b"Content-Length: 1000000000\r\n\r\n" + head)
        s.sendall(b"y" * 1_000_000)
        assert s.recv(65536).startswith(b"HTTP/1.1 413")
    table = b"a,b\nlyon,c\n" + b"y" * 150_000 + b",d\n"
    reply = post(server, "/search/csv/", table, [("columns", "a"), ("delimiter", ",")])
    assert reply.status_code == 413 and "row number 2" in reply.text, reply.text
    got = rows_of(post(server, "/search/csv/", table, [("columns", "a"), ("delimiter", ","), ("better", "1")]))
    assert [r["result_city"] for r in got] == ["Lyon", ""]


# Of a body that is far larger than any memory we would give it; less where each byte costs more.
GIANT_MB = 1000 if SLOWER == 1 else 200


def exchange(server, pieces, length):
    """Sends a form of one part in pieces while it reads: the answer, and the most memory that was used (MB)."""
    got, most = bytearray(), [rss_mb(server)]
    begin = b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n'
    end = b"\r\n--x--\r\n"
    with socket.create_connection(server.host_port(), timeout=60 * SLOWER) as s:
        def send():
            try:
                head = head_of(length + len(begin) + len(end))
                s.sendall(head.replace(b"/search/csv/", b"/search/csv/?columns=ville&delimiter=,") + begin)
                for n, piece in enumerate(pieces):
                    s.sendall(piece)
                    if n % 50 == 0:
                        most.append(rss_mb(server))
                s.sendall(end)
            except OSError:
                pass  # refused: it need not be sent

        writer = threading.Thread(target=send)
        writer.start()
        while b"\r\n\r\n" not in got:
            piece = s.recv(1 << 20)
            assert piece, bytes(got)
            got += piece
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        size, last = len(body), body[-100:]
        while not last.endswith(b"\r\n0\r\n\r\n") and b"413" not in head[:20]:
            piece = s.recv(1 << 20)
            assert piece, last
            size += len(piece)
            last = (last + piece)[-100:]
            if size % 64 == 0:
                most.append(rss_mb(server))
        s.close() if b"413" in head[:20] else None
        writer.join()
    return head, body, size, max(most)


def test_a_line_of_a_gigabyte_takes_little_memory(geocoder):
    before = rss_mb(geocoder)
    megabyte = b"y" * 1_000_000
    line = [b"ville,b\nlyon,c\n", *[megabyte] * GIANT_MB, b",d\nparis,e\n"]
    size = sum(map(len, line))
    head, body, _, most = exchange(geocoder, line, size)
    assert head.startswith(b"HTTP/1.1 413") and b"Row too long" in body and b"line number 3" in body, (head, body)
    table = b"".join([b"ville,b\nlyon,c\n", megabyte * 3, b",d\nparis,e\n"])
    form = [("columns", "a"), ("delimiter", ","), ("better", "1")]
    form[0] = ("columns", "ville")
    rows = post(geocoder, "/search/csv/", table, form).content.decode("utf-8-sig").splitlines()
    assert "Lyon" in rows[1] and "Paris" in rows[3] and len(rows) == 4 and rows[2].endswith("," * 17), rows[2][-100:]
    assert most - before < MEMORY_MB, f"{before} MB, then {most} MB"


def test_a_file_of_a_gigabyte_takes_little_memory(geocoder, tmp_path):
    """Rows of 500 kB each, whose answer is as large; none of it stays on the disk."""
    before = rss_mb(geocoder)
    row = b"lyon," + b"z" * 499_994 + b"\n"
    head, _, size, most = exchange(geocoder, [b"ville,n\n", *[row] * (2 * GIANT_MB)], len(b"ville,n\n") + len(row) * 2 * GIANT_MB)
    assert head.startswith(b"HTTP/1.1 200") and size > GIANT_MB * 1_000_000
    assert most - before < MEMORY_MB, f"{before} MB, then {most} MB"
    assert not [f for f in os.listdir(tmp_path) if "csv" in f]
    assert post(geocoder, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200


def test_a_client_that_trickles_is_sent_away(start):
    server = start("--csv.bytes_per_second_min=100kB", "--csv.slow_ms_max=300ms")
    with socket.create_connection(server.host_port(), timeout=30) as s:
        s.sendall(head_of(10_000_000) + b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\na,b\n')
        s.settimeout(0.02)
        answer = b""
        end = time.monotonic() + 10 * SLOWER
        while not answer and time.monotonic() < end:
            try:
                s.sendall(b"l")
                answer = s.recv(65536)
            except TimeoutError:
                pass
    assert answer.startswith(b"HTTP/1.1 408") and b"csv.bytes_per_second_min" in answer, answer
    assert post(server, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200


def test_too_large_a_file_is_refused(start):
    server = start("--csv.upload_bytes_max=100kB")
    reply = post(server, "/search/csv/", numbered(10_000), [("columns", "adresse")])
    assert reply.status_code == 413 and "csv.upload_bytes_max" in reply.text


def test_a_full_disk_is_told(start):
    server = start("--csv.folder=/proc")
    reply = post(server, "/search/csv/", numbered(100_000), [("columns", "adresse")])
    assert reply.status_code == 503 and "csv.folder" in reply.text
    assert post(server, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200


def head_of(length, extra=b""):
    return (b"POST /search/csv/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            + (b"Content-Length: %d\r\n" % length if length else b"Transfer-Encoding: chunked\r\n") + b"\r\n" + extra)


def test_a_client_that_stops_reading_is_cut_off(start):
    server = start("--http.write_ms_max=1000")
    table = numbered(20_000)
    body = (b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n' + table + b"\r\n--x--\r\n")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(server.host_port())
        s.sendall(head_of(len(body)) + body)
        # Its answer is 4 MB, of which nothing is read.
        wait_for(lambda: 'outcome="aborted"' in server.log() or connections(server) <= 1, 60, "the client to be cut off")
    assert post(server, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200


def connections(server):
    text = requests.get(server.url("/metrics"), timeout=10).text
    return max((float(line.split()[-1]) for line in text.splitlines()
                if line.startswith("addok_active_connections")), default=0)


def test_a_flood_of_uploads_is_answered_or_sent_away(geocoder):
    """Sixty at once, some of which stop half-way, while others search: 16 are taken, memory is bounded, and
    afterwards all is as before."""
    before = rss_mb(geocoder)
    table = numbered(3_000).replace(b";75006\n", b";75006" + b" " * 500 + b"\n")  # above what is kept in memory
    codes, most, over = collections.Counter(), [before], threading.Event()

    def upload(n):
        if n % 6 == 0:
            with socket.create_connection(geocoder.host_port(), timeout=10 * SLOWER) as s:
                s.sendall(head_of(len(table)) + b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n')
                s.sendall(table[:n * 1000])
            codes["gone"] += 1
            return
        try:
            codes[post(geocoder, "/search/csv/", table, [("columns", "adresse")], timeout=120).status_code] += 1
        except requests.ConnectionError:  # refused while it was still sending
            codes[503] += 1

    def search():
        with requests.Session() as session:
            while not over.is_set():
                assert session.get(geocoder.url("/search/?q=lyon"), timeout=10 * SLOWER).status_code == 200
                most.append(rss_mb(geocoder))

    searcher = threading.Thread(target=search)
    searcher.start()
    uploads = [threading.Thread(target=upload, args=(n,)) for n in range(60)]
    for thread in uploads:
        thread.start()
    for thread in uploads:
        thread.join()
    over.set()
    searcher.join()
    assert set(codes) <= {200, 503, "gone"} and codes["gone"] == 10 and codes[200] >= 5, codes
    assert max(most) - before < 3 * MEMORY_MB, f"{before} MB, then {max(most)} MB"
    wait_for(lambda: post(geocoder, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200, 10, "room for an upload")


def test_clients_that_go_away_leave_nothing(geocoder, tmp_path):
    table = numbered(20_000)
    body = (b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n' + table + b"\r\n--x--\r\n")
    for cut in (10, 100, 100_000, len(body)):
        with socket.create_connection(geocoder.host_port(), timeout=10) as s:
            s.sendall(head_of(len(body)) + body[:cut])
    assert post(geocoder, "/search/csv/", b"a,b\nlyon,c\n").status_code == 200


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_rows_are_answered_while_they_are_sent(geocoder):
    """With stream=1, a row goes in, its answer comes out, and only then the next row goes in."""
    with socket.create_connection(geocoder.host_port(), timeout=30) as s:
        s.sendall(head_of(0) + chunk(
            b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="delimiter"\r\n\r\n,\r\n'
            b'--x\r\nContent-Disposition: form-data; name="data"; filename="a.csv"\r\n\r\nville,n\n'))
        got = b""
        s.sendall(chunk(b"lyon,1000000\n"))
        for i in range(1000001, 1000005):
            s.sendall(chunk(b"lyon,%d\n" % i))
            while b"%d," % (i - 1) not in got:
                piece = s.recv(65536)
                assert piece, got[-500:]
                got += piece
        s.sendall(chunk(b"\r\n--x--\r\n") + b"0\r\n\r\n")
        while not got.endswith(b"0\r\n\r\n"):
            piece = s.recv(65536)
            assert piece, got[-500:]
            got += piece
    assert got.startswith(b"HTTP/1.1 200") and got.count(b"1000") == 5


def test_a_streamed_table_is_answered_whole(geocoder):
    """Its dialect guessed from the first MiB, its lines ended by CR LF, read while it is sent."""
    count = 20_000
    table = numbered(count).replace(b";75006\n", b";75006" + b" " * 90 + b"\r\n")
    body = (b'--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n' + table + b"\r\n--x--\r\n")
    got = bytearray()
    with socket.create_connection(geocoder.host_port(), timeout=60) as s:
        writer = threading.Thread(target=s.sendall, args=(head_of(len(body)) + body,))
        writer.start()
        while not got.endswith(b"\r\n0\r\n\r\n"):
            piece = s.recv(1 << 20)
            assert piece, bytes(got[-300:])
            got += piece
        writer.join()
    assert got.startswith(b"HTTP/1.1 200") and b"\n%d;" % (count - 1) in got


# ---- sextant geocode batch

def batch(sextant_bin, index, *args, **more):
    return subprocess.run([sextant_bin, "geocode", "batch", "--index", index, *map(str, args)], capture_output=True,
                          timeout=120, **more)


def test_batch_answers_as_the_service_does(sextant_bin, index, tmp_path):
    out = tmp_path / "out.csv"
    done = batch(sextant_bin, index, "--columns", "adresse,cp", "-o", out, os.path.join(DATA, "many-rows.in.csv"))
    assert done.returncode == 0, done.stderr
    want = bytes_of("many-rows.out.csv").split(b"\r\n")
    got = out.read_bytes().split(b"\r\n")
    assert len(got) == len(want) and got[0] == want[0]
    assert [r.split(b";")[:3] for r in got] == [r.split(b";")[:3] for r in want]
    assert b"answered 150 rows" in done.stderr and b"rows/s" in done.stderr and b"\r" not in done.stderr
    piped = batch(sextant_bin, index, "-q", "--columns", "adresse,cp", "-", input=bytes_of("many-rows.in.csv"))
    assert piped.stdout == out.read_bytes() and not piped.stderr
    back = batch(sextant_bin, index, "--reverse", "-q", os.path.join(DATA, "reverse.in.csv"))
    assert back.stdout.split(b"\r\n")[0] == bytes_of("reverse.out.csv").split(b"\r\n")[0]


def test_batch_says_what_is_wrong(sextant_bin, index, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("before")
    table = os.path.join(DATA, "not-utf8.in.csv")
    done = batch(sextant_bin, index, "-o", out, table)
    assert done.returncode == 1 and b"position 16" in done.stderr and table.encode() in done.stderr
    assert out.read_text() == "before" and os.listdir(tmp_path) == ["out.csv"]
    assert batch(sextant_bin, index, "--columns", "nada", table, "-e", "latin-1").returncode == 2
    assert batch(sextant_bin, index, "/nowhere/at.csv").returncode == 1
    assert batch(sextant_bin, index, "--min-score", "x", table).returncode == 2
    assert batch(sextant_bin, index, "-e", "klingon", table).returncode == 2
    assert batch(sextant_bin, index, "--filter", "postcode", table).returncode == 2
    rows = os.path.join(DATA, "many-rows.in.csv")
    for words, says in ((["--filter", "nada=cp"], b"no filter 'nada'"), (["--filter", "postcode=nada"], b"nada"),
                        (["--lat", "adresse"], b"go together"), (["--lon", "adresse"], b"go together"),
                        (["--lat", "nada", "--lon", "cp"], b"nada"), (["--lat", "cp", "--lon", "nada"], b"nada"),
                        (["--reverse", "--lat", "a", "--lon", "b"], b"--reverse"),
                        (["--min-score", "nan"], b"from 0 to 1"), (["--min-score", "1.5"], b"from 0 to 1"),
                        (["--min-score=-0.1"], b"from 0 to 1"), (["--min-score", "inf"], b"from 0 to 1")):
        done = batch(sextant_bin, index, "-q", *words, rows)
        assert done.returncode == 2 and says in done.stderr, (words, done.stderr)
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([sextant_bin, "geocode", "batch", "-i", index, os.path.join(DATA, "many-rows.in.csv")],
                                  stdout=full, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 1 and b"No space left" in done.stderr


def test_batch_says_what_a_stray_quotation_mark_swallowed(sextant_bin, index, tmp_path):
    table = tmp_path / "rows.csv"
    rows = ["q"] + ["1 rue de paris"] * 30
    rows[20] = '"12 rue'
    table.write_text("\n".join(rows) + "\n")
    done = batch(sextant_bin, index, "-q", table)
    assert done.returncode == 1 and b"ends inside quotation marks" in done.stderr
    table.write_text("\n".join(rows + ["2 rue"] * 200000) + "\n")  # more than a row may have
    done = batch(sextant_bin, index, "-q", table)
    assert done.returncode == 1 and b"1 rows were too long and are cut, the first is row 20" in done.stderr


def test_batch_draws_a_bar_on_a_terminal(sextant_bin, index, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_bytes(numbered(3000))
    main, side = pty.openpty()
    child = subprocess.Popen([sextant_bin, "geocode", "batch", "-i", index, "-c", "adresse", "-o",
                              str(tmp_path / "out.csv"), str(table)], stderr=side)
    os.close(side)
    seen = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(main)
    assert child.wait(60) == 0
    assert "█".encode() in seen and b"rows/s" in seen
