"""sextant geocode as a service: its cache through Redis's misfortunes, new indexes under load, limits,
spans, health."""
import collections
import concurrent.futures
import contextlib
import gzip
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading

import pytest
import requests

from lib.otlp import Receiver
from lib.wait import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
PHASES = ["geocode.candidates", "geocode.format", "geocode.normalise", "geocode.score"]


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    """France's index, made once."""
    path = tmp_path_factory.mktemp("index") / "france.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"],
                   check=True, timeout=300)
    return str(path)


@pytest.fixture
def geocoder(sextant, index):
    """geocoder(FLAG...) serves France, or another index; access log off."""
    def start(*flags, path=None, **more):
        return sextant("geocode", "serve", "--index", path or index, "--listen", "127.0.0.1:0",
                       "--admin.listen=127.0.0.1:0", "--access_log=off", *flags, **more)
    return start


def targets(count):
    """Paths with queries, of what Addok was asked for the parity test."""
    with gzip.open(os.path.join(HERE, "data/addok/truth-1000.ndjson.gz"), "rt") as f:
        cases = [json.loads(line) for line in f]
    out = []
    for case in cases[:count]:
        request = requests.Request("GET", "http://x" + case["path"], params=case["params"]).prepare()
        out.append(request.url.removeprefix("http://x"))
    return out


def get(server, target, **more):
    return requests.get(server.url(target), timeout=20, **more)


def series(server, line):
    """The value of a series, written as it is exposed; 0 if it is not there."""
    found = re.search("^" + re.escape(line) + r" (\S+)$", get(server, "/metrics").text, re.M)
    return float(found.group(1)) if found else 0.0


def admin(server, path):
    return requests.get(f"http://{server.address('admin')}{path}", timeout=10).json()


def detailed(server):
    return get(server, "/health/detailed").json()["checks"]


class Load:
    """Threads that ask on kept connections until it ends: each of `paths`, or what paths() makes."""

    def __init__(self, server, paths, threads=4):
        self.server = server
        self.next = paths if callable(paths) else lambda pick: pick.choice(paths)
        self.wrong, self.statuses = [], collections.Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(threads)]

    def _ask(self, seed):
        pick = random.Random(seed)
        with requests.Session() as session:
            while not self.stop.is_set():
                path = self.next(pick)
                try:
                    reply = session.get(self.server.url(path), timeout=20)
                    self.statuses[reply.status_code] += 1
                    if reply.status_code != 200:
                        self.wrong.append((path, reply.status_code, reply.text[:200]))
                except requests.RequestException as e:
                    self.wrong.append((path, repr(e)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


# ---- the cache

def test_answers_are_the_same_from_every_tier(geocoder, redis, tmp_path):
    store = redis()
    asked = targets(250)
    servers = {
        "none": geocoder("--no-cache", name="none"),
        "memory": geocoder(name="memory"),
        "redis": geocoder(f"--cache.redis_url={store.url}", name="redis"),
        "sqlite": geocoder(f"--cache.sqlite_path={tmp_path}/cache.db", name="sqlite"),
    }
    with requests.Session() as session:
        for path in asked * 2:
            replies = {name: session.get(s.url(path), timeout=10) for name, s in servers.items()}
            plain = replies.pop("none")
            for name, reply in replies.items():
                assert (reply.status_code, reply.content) == (plain.status_code, plain.content), (name, path)
                assert set(reply.headers) == set(plain.headers), (name, path)
    for name in ("memory", "redis", "sqlite"):
        assert series(servers[name], 'cache_requests_total{cache="geocode",result="hit"}') >= len(set(asked)) * 0.9
        assert series(servers[name], 'addok_cache_hit_rate{tier="memory"}') > 0.4
    assert "addok_cache_hit_rate" not in get(servers["none"], "/metrics").text

    # another one, whose memory is empty, has them from Redis
    other = geocoder(f"--cache.redis_url={store.url}", name="other")
    tier = 'cache_tier_requests_total{cache="geocode",tier="redis",result="hit"}'
    wait_for(lambda: get(other, asked[0]).status_code and series(other, tier) > 0)
    for path in asked:
        assert get(other, path).content == get(servers["none"], path).content
    assert series(other, tier) >= len(set(asked)) * 0.8
    assert series(other, 'addok_cache_hit_rate{tier="redis"}') > 0.8


def test_only_answers_are_kept_and_each_as_long_as_it_is_sure(geocoder, redis):
    store = redis()
    server = geocoder(f"--cache.redis_url={store.url}")

    def keys():
        listed = subprocess.run(["redis-cli", "-p", str(store.port), "keys", "geocode:*"], capture_output=True,
                                check=True)
        return len(listed.stdout.split(b"\n")) - 1

    def lifetimes():
        lua = "local t = {} for _, k in ipairs(redis.call('keys', '*')) do t[#t+1] = redis.call('pttl', k) end return t"
        shown = subprocess.run(["redis-cli", "-p", str(store.port), "eval", lua, "0"], capture_output=True,
                               text=True, check=True).stdout
        return sorted(int(v) / 1000 for v in re.findall(r"\d+", shown))
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")
    for path in ("/search/?q=", "/search/?q=lyon&limit=x", "/reverse/?lat=100&lon=0", "/search/?q=" + "a" * 300,
                 "/nothing", "/health"):
        get(server, path)
    assert get(server, "/search/?q=lyon").status_code == 200          # exact
    assert get(server, "/search/?q=zzzzqqqq").json()["features"] == []  # not found
    assert get(server, "/reverse/?lat=48.87&lon=2.33").json()["features"]
    wait_for(lambda: len(lifetimes()) == 3)
    short, *long = lifetimes()
    assert 200 < short <= 300 and all(80000 < v <= 86400 for v in long)
    assert keys() >= 1


def fresh_search(pick):
    """One that is not in the cache."""
    return f"/search/?q={pick.randrange(10 ** 9)}+rue+de+la+paix&limit=2"


def test_redis_that_is_down_killed_hung_and_back_costs_no_answer(geocoder, redis):
    asked = targets(80)
    plain = geocoder("--no-cache", name="plain")
    expected = {path: get(plain, path) for path in asked}
    dead = redis()
    port = dead.port
    dead.kill()
    server = geocoder(f"--cache.redis_url={dead.url}")
    pick = random.Random(1)

    def all_well():
        for path in asked:
            reply = get(server, path)
            assert (reply.status_code, reply.content) == (expected[path].status_code, expected[path].content)

    def breaker():
        return {b["name"]: b for b in admin(server, "/admin/breakers")["breakers"]}["cache.redis"]["state"]

    def close_breaker():
        """It would try again by itself after a minute."""
        requests.post(f"http://{server.address('admin')}/admin/breakers/cache.redis/reset", timeout=10)
        assert breaker() == "closed"

    def has_used_redis(since):
        assert get(server, fresh_search(pick)).status_code == 200
        return series(server, 'cache_tier_writes_total{cache="geocode",tier="redis",outcome="ok"}') > since

    # down at the start: shown, and nothing else
    all_well()
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "failed")
    assert detailed(server)["cache.redis"]["informative"] is True
    ready = get(server, "/health/ready")
    assert ready.status_code == 200 and ready.json() == {"status": "ready", "checks": {"index": "ok"}}
    assert get(server, "/health/detailed").status_code == 200
    assert breaker() == "open"

    # there
    store = redis(port=port)
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok", 30)
    close_breaker()
    wait_for(lambda: has_used_redis(0))

    # hung: each wait ends after 50 ms, until the breaker spares it
    store.signal("STOP")
    try:
        with Load(server, fresh_search) as load:
            wait_for(lambda: sum(load.statuses.values()) > 400, 60)
        assert not load.wrong, load.wrong[:5]
        assert breaker() == "open"
        all_well()
    finally:
        store.signal("CONT")

    # killed while it is asked, and back
    close_breaker()
    with Load(server, fresh_search) as load:
        wait_for(lambda: sum(load.statuses.values()) > 200, 60)
        store.kill()
        wait_for(lambda: sum(load.statuses.values()) > 500, 60)
        store.start()
        wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok", 30)
        close_breaker()
        before = series(server, 'cache_tier_writes_total{cache="geocode",tier="redis",outcome="ok"}')
        wait_for(lambda: has_used_redis(before))
    assert not load.wrong, load.wrong[:5]
    all_well()


def test_a_crowd_that_asks_the_same_while_redis_hangs_is_answered(geocoder, redis):
    store = redis()
    server = geocoder(f"--cache.redis_url={store.url}", "--cache.redis_ms_max=200ms")
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")
    store.signal("STOP")
    try:
        with concurrent.futures.ThreadPoolExecutor(40) as crowd:
            for query in ("rue+de+la+paix", "lyon", "34+avenue+de+l+opera"):
                replies = list(crowd.map(lambda _, q=query: get(server, f"/search/?q={q}"), range(40)))
                assert {r.status_code for r in replies} == {200}
                assert len({r.content for r in replies}) == 1
    finally:
        store.signal("CONT")
    asked = 'cache_tier_requests_total{cache="geocode",tier="redis",result="%s"}'
    assert sum(series(server, asked % r) for r in ("timeout", "error", "skipped")) >= 3  # once a query, not 40 times
    assert sum(series(server, asked % r) for r in ("timeout", "error")) <= 20


def test_clients_that_leave_while_redis_hangs_leave_nothing_behind(geocoder, redis):
    store = redis()
    server = geocoder(f"--cache.redis_url={store.url}", "--cache.redis_ms_max=300ms")
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")
    store.signal("STOP")
    try:
        host, port = server.address().rsplit(":", 1)
        for i in range(4):  # under the breaker's five
            with socket.create_connection((host, int(port)), 5) as s:
                s.sendall(f"GET /search/?q=rue+{i}+gone HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for(lambda: series(server, "cache_waiters{cache=\"geocode\"}") == 0)
    finally:
        store.signal("CONT")
    assert get(server, "/search/?q=rue+1+gone").status_code == 200
    wait_for(lambda: series(server, "http_requests_in_flight") <= 1)


def test_the_admin_pages_show_breakers_limits_and_settings_without_the_password(geocoder, redis):
    store = redis("--requirepass", "s3cret")
    url = store.url.replace("redis://", "redis://:s3cret@")
    server = geocoder(f"--cache.redis_url={url}")
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")
    assert "cache.redis" in json.dumps(admin(server, "/admin/breakers"))
    assert "default" in json.dumps(admin(server, "/admin/limits"))
    settings = json.dumps(admin(server, "/admin/config"))
    assert "cache.redis_url" in settings and "s3cret" not in settings
    assert requests.get(server.url("/admin/breakers"), timeout=10).status_code == 404
    assert "s3cret" not in server.log()


def test_a_wrong_redis_url_is_named(sextant_bin, index):
    done = subprocess.run([sextant_bin, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                           "--cache.redis_url=http://nowhere"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "cache.redis_url" in done.stderr and done.stderr.count("\n") == 1


def test_a_folder_that_is_not_there_is_named(sextant_bin, index):
    done = subprocess.run([sextant_bin, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                           "--csv.folder=/nonexistent"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "csv.folder" in done.stderr and "another with" in done.stderr


# ---- a new index

@pytest.fixture(scope="module")
def two_indexes(sextant_bin, repo, tmp_path_factory):
    """Two small indexes with different answers, as bytes."""
    folder = tmp_path_factory.mktemp("two")
    with gzip.open(f"{repo}/data/france.ndjson.gz", "rt", encoding="utf-8") as f:
        lines = [line for line, _ in zip(f, range(3000))]
    made = []
    for name, mark in (("one", "premier"), ("two", "second")):
        text = "".join(lines) + json.dumps({"id": "mark", "type": "street", "name": f"Rue du Repère {mark}",
                                            "city": "Repère", "lon": 2, "lat": 48, "importance": 0.5}) + "\n"
        (folder / f"{name}.ndjson").write_text(text, encoding="utf-8")
        subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", folder / f"{name}.idx",
                        folder / f"{name}.ndjson"], check=True, timeout=120)
        made.append((folder / f"{name}.idx").read_bytes())
    return made


def put(path, content):
    """Replaces the file by rename, as an import does."""
    fresh = f"{path}.fresh"
    with open(fresh, "wb") as f:
        f.write(content)
    os.rename(fresh, path)


def mark(server):
    return get(server, "/search/?q=rue+du+repere&limit=1").json()["features"][0]["properties"]["name"].split()[-1]


RELOADS = 'geocode_index_reloads_total{outcome="%s"}'


def mappings(server, path):
    with open(f"/proc/{server.pid}/maps", encoding="utf-8") as f:
        return [line for line in f if path in line]


def test_no_request_fails_over_twenty_reloads(geocoder, two_indexes, tmp_path):
    path = str(tmp_path / "live.idx")
    put(path, two_indexes[0])
    server = geocoder("--index.watch_ms=50ms", path=path)
    asked = [f"/search/?q=rue+du+repere&limit={i}" for i in range(1, 20)] + ["/reverse/?lat=48&lon=2", "/search/?q=rue"]
    with Load(server, asked) as load:
        for i in range(1, 21):
            put(path, two_indexes[i % 2])
            if i % 2:
                server.signal("HUP")
            wait_for(lambda: series(server, RELOADS % "loaded") >= i, 20)
            assert mark(server) == ("premier", "second")[i % 2]  # the cache knows
    assert not load.wrong, load.wrong[:5]
    assert load.statuses[200] > 100
    assert series(server, RELOADS % "refused") == 0
    # the old ones are let go, even by loops that nobody asks any more
    wait_for(lambda: len(mappings(server, path)) == 1 and "deleted" not in mappings(server, path)[0])


def test_a_damaged_index_is_refused_and_the_old_one_serves(geocoder, two_indexes, tmp_path):
    path = str(tmp_path / "live.idx")
    put(path, two_indexes[0])
    server = geocoder("--index.watch_ms=50ms", path=path)
    good = two_indexes[1]
    damaged = {"cut": good[:len(good) // 2], "empty": b"", "no index": b"hello\n" * 1000,
               "flipped": good[:4096] + bytes([good[4096] ^ 1]) + good[4097:]}
    for refused, (name, content) in enumerate(damaged.items(), 1):
        put(path, content)
        wait_for(lambda: series(server, RELOADS % "refused") == refused, 20, name)
        assert mark(server) == "premier"
        check = detailed(server)["index.file"]
        assert check["status"] == "failed" and path in check["message"]
    assert server.log().count("the new index was refused") == len(damaged)
    assert get(server, "/health/ready").status_code == 200
    server.signal("HUP")  # asked for: told again, and the settings stay, too
    wait_for(lambda: "reload refused" in server.log())
    put(path, good)
    wait_for(lambda: mark(server) == "second")
    assert detailed(server)["index.file"]["status"] == "ok"

    os.remove(path)
    wait_for(lambda: detailed(server)["index.file"]["status"] == "failed")
    assert mark(server) == "second"


def test_an_index_that_is_written_slowly_is_taken_up_when_it_is_whole(geocoder, two_indexes, tmp_path):
    path = str(tmp_path / "live.idx")
    put(path, two_indexes[0])
    server = geocoder("--index.watch_ms=20ms", path=path)
    os.remove(path)  # not how to do it: cp(1) over a removed file
    good = two_indexes[1]
    with open(path, "wb") as f:
        for at in range(0, len(good), len(good) // 20 + 1):
            f.write(good[at:at + len(good) // 20 + 1])
            f.flush()
            assert mark(server) == "premier"
    wait_for(lambda: mark(server) == "second")


def test_an_import_that_is_killed_leaves_the_index_in_place(geocoder, sextant_bin, repo, two_indexes, tmp_path):
    path = str(tmp_path / "live.idx")
    put(path, two_indexes[0])
    server = geocoder("--index.watch_ms=20ms", path=path)
    for wait_bytes in (0, 1, 1 << 20):
        process = subprocess.Popen([sextant_bin, "geocode", "import", "-q", "-o", path,
                                    f"{repo}/data/france.ndjson.gz"])
        try:
            wait_for(lambda: process.poll() is not None or any(
                os.path.getsize(tmp_path / f) >= wait_bytes for f in os.listdir(tmp_path)
                if f.startswith("live.idx") and f != "live.idx") or wait_bytes == 0, 60)
        finally:
            process.kill()
            process.wait(10)
        if process.returncode == -9:
            assert mark(server) == "premier"
            with open(path, "rb") as f:
                assert f.read() == two_indexes[0]
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"],
                   check=True, timeout=300)
    wait_for(lambda: get(server, "/search/?q=34+avenue+de+l+opera").json()["features"], 20)
    assert get(server, "/search/?q=rue+du+repere+premier").json()["features"][:1] != []


# ---- limits, compression, health, metrics

def test_clients_are_limited_but_for_loopback(geocoder):
    server = geocoder("--limits.key=X-Client")
    with requests.Session() as session:
        def ask(client, path="/search/?q=lyon"):
            headers = {"X-Client": client} if client else {}
            return session.get(server.url(path), headers=headers, timeout=10)
        ours = [ask(None) for _ in range(60)] + [ask("::1") for _ in range(60)]
        assert {r.status_code for r in ours} == {200}
        assert not any(name.lower().startswith("ratelimit") for name in ours[0].headers)
        theirs = [ask("203.0.113.9") for _ in range(30)]
        codes = collections.Counter(r.status_code for r in theirs)
        assert set(codes) == {200, 429} and codes[200] <= 25, codes
        refused = next(r for r in theirs if r.status_code == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert any(name.lower().startswith("ratelimit") for name in refused.headers)
        assert ask("203.0.113.10").status_code == 200  # another client is not held up
        assert ask("203.0.113.9", "/health").status_code == 200
        assert ask("203.0.113.9", "/health/ready").status_code == 200
    assert series(server, 'http_requests_shed_total{reason="rate"}') == codes[429]


def test_the_map_and_the_page_have_limits_of_their_own(geocoder):
    server = geocoder("--limits.key=X-Client")
    browser = {"Accept": "text/html", "X-Client": "203.0.113.9"}
    with requests.Session() as session:
        def ask(path, client="203.0.113.9"):
            return session.get(server.url(path), headers={**browser, "X-Client": client}, timeout=10).status_code
        box = "/map?bbox=2.330,48.868,2.333,48.870"
        maps = collections.Counter(ask(box) for _ in range(60))
        assert set(maps) == {200, 429} and maps[200] < 50, maps
        assert ask("/", "203.0.113.9") == 200
        assert collections.Counter(ask("/") for _ in range(80))[429] >= 1
        assert [ask("/search/?q=lyon") for _ in range(8)] == [200] * 8  # nothing of its budget is used
        assert {ask(box, "::1") for _ in range(60)} == {200}  # loopback is exempt here, too
    free = geocoder("--limits.key=X-Client", "--limits.rate=", name="free")
    assert {get(free, box, headers=browser).status_code for _ in range(60)} == {200}


def test_limits_are_settings(geocoder):
    server = geocoder("--limits.exempt=", "--limits.rate=3/second")
    codes = collections.Counter(get(server, "/search/?q=lyon").status_code for _ in range(8))
    assert codes[429] >= 1 and codes[200] >= 3
    free = geocoder("--limits.exempt=", "--limits.rate=", name="free")
    assert {get(free, "/search/?q=lyon").status_code for _ in range(30)} == {200}


def test_answers_from_500_bytes_are_compressed(geocoder):
    server = geocoder()
    for encoding in ("gzip", "br", "zstd"):
        small = get(server, "/search/?q=zzzzqqqq", headers={"Accept-Encoding": encoding}, stream=True)
        assert "Content-Encoding" not in small.headers and int(small.headers["Content-Length"]) < 500
        big = get(server, "/search/?q=lyon&limit=1", headers={"Accept-Encoding": encoding}, stream=True)
        assert big.headers["Content-Encoding"] == encoding
        assert "accept-encoding" in big.headers["Vary"].lower()
    plain = get(server, "/search/?q=lyon&limit=1", headers={"Accept-Encoding": "identity"})
    uncached = geocoder("--no-cache", name="uncached")
    for encoding in ("gzip", "br", "zstd"):  # kept compressed, too: the same as compressed anew
        for path in ("/search/?q=lyon&limit=1", "/search/?q=paris", "/reverse/?lat=48.87&lon=2.33&limit=5"):
            asked = {"Accept-Encoding": encoding}
            raw = [requests.get(s.url(path), headers=asked, timeout=10, stream=True).raw.read()
                   for s in (uncached, server, server, server)]
            assert len(set(raw)) == 1 and raw[0], (encoding, path)
    assert series(server, 'cache_requests_total{cache="geocode_coded",result="hit"}') >= 18
    assert 500 <= int(plain.headers["Content-Length"]) < 1500  # as small as an answer is


def test_metrics_by_addoks_names(geocoder):
    server = geocoder()
    for path in ("/search/?q=lyon", "/search/?q=lyon", "/search/", "/reverse/?lat=48.87&lon=2.33", "/nothing",
                 "/map?bbox=2,48,3,49", "/health", "/search/?q=" + "a" * 201):
        get(server, path)
    requests.delete(server.url("/search/"), timeout=10)
    counts = {("search", 200): 2, ("search", 400): 1, ("search", 413): 1, ("search", 405): 1, ("reverse", 200): 1,
              ("other", 404): 1, ("map", 200): 1, ("health", 200): 1}
    for (endpoint, status), count in counts.items():
        line = f'addok_geocoding_requests_total{{endpoint="{endpoint}",status="{status}"}}'
        assert series(server, line) == count, line
    assert series(server, 'addok_response_time_seconds_count{endpoint="search"}') == 5
    assert series(server, 'addok_cache_hit_rate{tier="memory"}') == pytest.approx(1 / 4)
    assert series(server, "addok_active_connections") >= 1
    assert series(server, 'http_requests_total{method="GET",route="/search/",code="200"}') == 2
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=get(server, "/metrics").content,
                                 capture_output=True)
        assert checked.returncode == 0, checked.stdout


def test_health_shows_index_disk_and_cache(geocoder, redis):
    server = geocoder(f"--cache.redis_url={redis().url}", f"--health.disk_free_bytes_min={1 << 50}")
    wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")
    page = get(server, "/health/detailed").json()
    assert page["status"] == "healthy" and page["checks"]["index"]["status"] == "ok"
    assert page["checks"]["disk"]["status"] == "failed" and "bytes left" in page["checks"]["disk"]["message"]
    assert {"memory", "disk", "response_time"} <= set(page)
    assert get(server, "/health/ready").json() == {"status": "ready", "checks": {"index": "ok"}}
    assert get(server, "/health").json() == {"status": "HEALTHY"}  # Addok's own


# ---- spans

def attributes(span):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@contextlib.contextmanager
def traced(geocoder, *flags):
    with Receiver() as receiver:
        server = geocoder(f"--otlp.endpoint={receiver.url}", "--otlp.signals=traces", "--otlp.batch_delay_ms=20ms",
                          "--tracing.sampler=parentbased_always_off", *flags)
        yield server, receiver


def test_a_recorded_request_shows_its_phases(geocoder, redis):
    with traced(geocoder, f"--cache.redis_url={redis().url}") as (server, receiver):
        wait_for(lambda: detailed(server)["cache.redis"]["status"] == "ok")

        def ask(path):
            """The server's span of one request, and the names of its children."""
            before = len(receiver.spans())
            get(server, path, headers=SAMPLED)
            wait_for(lambda: any(s.kind == 2 for s in receiver.spans()[before:]))
            wait_for(lambda: len(receiver.spans()) > before)
            spans = receiver.spans()[before:]
            root = next(s for s in spans if s.kind == 2)
            assert root.trace_id.hex() == TRACE
            children = [s for s in spans if s.parent_span_id == root.span_id]
            return root, sorted({s.name for s in children if s.name.startswith("geocode.")}), children

        get(server, "/search/?q=not+recorded")
        root, phases, children = ask("/search/?q=34+avenue+de+l+opera")
        assert root.name == "GET /search/" and phases == PHASES
        got = attributes(root)
        assert got["geocode.results"] >= 1 and 0.9 < got["geocode.top_score"] <= 1
        assert got["geocode.cache.tier"] == "none"
        for child in children:
            assert child.trace_id.hex() == TRACE
            assert child.start_time_unix_nano >= root.start_time_unix_nano
        root, phases, _ = ask("/search/?q=34+avenue+de+l+opera")
        assert phases == [] and attributes(root)["geocode.cache.tier"] == "memory"
        root, phases, _ = ask("/reverse/?lat=48.87&lon=2.33")
        assert phases == ["geocode.candidates", "geocode.format"]
        assert all(s.trace_id.hex() == TRACE for s in receiver.spans())

        metrics = get(server, "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}).text
        assert re.search(r"addok_response_time_seconds_bucket{[^\n]*# {[^\n]*" + TRACE, metrics)


# ---- sextant up

def test_up_shows_where_everything_is(spawn, sextant_bin, tmp_path):
    with Receiver() as receiver:
        up = spawn(sextant_bin, "up", "--dir", tmp_path / "state", "--metrics", "127.0.0.1:0", "--listen", "127.0.0.1:0", name="up",
                   env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "20"})
        wait_for(lambda: "Ctrl-C stops it" in up.stdout(), 60, "sextant up")
        pages = {path: url for url, path in re.findall(r"(http://[^/\s]+(/\S*))", up.stdout())}
        for path in ("/metrics", "/health/ready", "/health/detailed", "/admin/breakers", "/admin/limits",
                     "/admin/log-levels", "/admin/config"):
            assert requests.get(pages[path], timeout=10).status_code == 200, path
        assert pages["/admin/limits"].split("/")[2] != pages["/metrics"].split("/")[2]
        assert requests.get(pages["/search/?q=34+avenue+de+l+opera"], headers=SAMPLED, timeout=10).ok
        wait_for(lambda: any(s.trace_id.hex() == TRACE for s in receiver.spans()))
        up.signal("INT")
        assert up.wait(20) == 0
