"""sextant geocode over HTTP: the addresses people type, Addok's way of answering, the page."""
import gzip
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse

import pytest
import requests

from lib.wait import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

# A query, and the point (lat, lon) that must come first, to about ten metres.
PLACES = [
    ("34 avenue de l opera", 48.86866, 2.33338),
    ("34 Avenue de l'Opéra 75002", 48.86866, 2.33338),
    ("34 av de l'opera paris", 48.86866, 2.33338),
    ("34 AVENUE DE L'OPÉRA", 48.86866, 2.33338),
    ("101 avenue des champs elysées paris", 48.87168, 2.30049),
    ("19b rue de vaugirard 75006", 48.84884, 2.33379),
    ("19 bis rue de vaugirard 75006", 48.84884, 2.33379),
    ("lyon", 45.758, 4.835),
    ("Saint-Denis 93", None, None),
]


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    """France's index, made once."""
    path = tmp_path_factory.mktemp("index") / "france.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"],
                   check=True, timeout=300)
    return str(path)


@pytest.fixture
def geocoder(sextant, index):
    return sextant("geocode", "serve", "--index", index, "--listen", "127.0.0.1:0")


def ask(server, path="/search/", headers=None, **params):
    reply = requests.get(server.url(path), params=params, headers=headers, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def first(answer):
    feature = answer["features"][0]
    lon, lat = feature["geometry"]["coordinates"]
    return lat, lon, feature["properties"]


@pytest.mark.parametrize("query, lat, lon", [p for p in PLACES if p[1]])
def test_the_right_point_comes_first(geocoder, query, lat, lon):
    got_lat, got_lon, _ = first(ask(geocoder, q=query))
    assert abs(got_lat - lat) < 1e-4 and abs(got_lon - lon) < 1e-4


def test_every_beginning_of_an_address_completes_to_it(geocoder):
    for cut in ("avenue de l'ope", "34 avenue de l'ope", "34 avenue de l'opera 7500"):
        labels = [f["properties"]["label"] for f in ask(geocoder, q=cut, autocomplete=1, limit=10)["features"]]
        assert any("Avenue de l'Opéra" in label for label in labels), (cut, labels)
    assert ask(geocoder, q="lyo", autocomplete=0)["features"] == []


def test_filters_and_limit_hold(geocoder):
    answer = ask(geocoder, q="rue de la paix", type="street", postcode="75002", limit=3)
    assert answer["features"] and answer["filters"] == {"type": ["street"], "postcode": ["75002"]}
    assert all(f["properties"]["type"] == "street" and f["properties"]["postcode"] == "75002"
               for f in answer["features"])
    assert len(ask(geocoder, q="rue", limit=20)["features"]) <= 20
    assert all(f["properties"]["citycode"] == "75117"
               for f in ask(geocoder, q="rue", citycode="75117", limit=10)["features"])


def test_a_point_draws_near_addresses_up(geocoder):
    near = ask(geocoder, q="saint denis", lat=48.93, lon=2.35, limit=1)
    assert near["center"] == [2.35, 48.93]
    assert near["features"][0]["properties"]["distance"] < 10_000


def test_reverse_gives_the_nearest_house(geocoder):
    lat, lon, properties = first(ask(geocoder, "/reverse/", lat=48.8687, lon=2.3304))
    assert properties["label"] == "3 Rue de la Paix 75002 Paris"
    assert properties["distance"] == 3
    assert (lat, lon) == (48.868689, 2.330452)
    assert first(ask(geocoder, "/reverse/", lat=48.8687, lon=2.3304, type="street"))[2]["type"] == "street"
    assert ask(geocoder, "/reverse/", lat=0.5, lon=0.5)["features"] == []


def recorded(name):
    with open(os.path.join(HERE, "data", "addok", name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


# Uploads of CSV files are not served yet, and scores differ from Addok's so far.
BEHAVIOUR = [c for c in recorded("http-behaviour.ndjson") if "csv" not in c["target"]]


def test_addoks_http_behaviour(geocoder):
    """Status, headers and errors as Addok's; of answers the envelope and the first address."""
    wrong = []
    for case in BEHAVIOUR:
        reply = requests.request(case["method"], geocoder.url(case["target"]), timeout=10,
                                 headers={"Accept": "*/*", **case["request_headers"]})
        if case["status"] == 500:  # where Addok breaks we name the parameter, or answer
            if reply.status_code not in (200, 400):
                wrong.append((case["name"], reply.status_code))
            continue
        if reply.status_code != case["status"]:
            wrong.append((case["name"], reply.status_code, case["status"], reply.text[:200]))
            continue
        for header, value in case["headers"].items():
            if header != "content-length" and reply.headers.get(header) != value:
                wrong.append((case["name"], header, reply.headers.get(header), value))
        if case["status"] != 200 or case["method"] != "GET":
            if reply.text != case["body"]:
                wrong.append((case["name"], reply.text[:300], case["body"][:300]))
            continue
        if "/health" in case["target"]:
            if reply.json().get("status") != "HEALTHY":
                wrong.append((case["name"], reply.text))
            continue
        got, want = reply.json(), json.loads(case["body"])
        if {k: v for k, v in got.items() if k != "features"} != {k: v for k, v in want.items() if k != "features"}:
            wrong.append((case["name"], {**got, "features": 0}, {**want, "features": 0}))
        ids = [[f["properties"]["id"] for f in x["features"][:1]] for x in (got, want)]
        if ids[0] != ids[1]:
            wrong.append((case["name"], *ids))
    assert not wrong, "\n".join(map(str, wrong))


def test_answers_are_written_as_python_writes_json(geocoder):
    text = requests.get(geocoder.url("/search/?q=orl%C3%A9ans&limit=1"), timeout=10).text
    assert text.isascii() and "\\u00e9" in text
    assert text == json.dumps(json.loads(text))


def alike(ours, theirs):
    """Whether two features are the same answer: scores within 1e-6, coordinates within 1e-7, the rest exactly."""
    p, q = ours["properties"], theirs["properties"]
    near = {"score": 1e-6, "importance": 1e-6, "distance": 1}
    return (p.keys() == q.keys()
            and all(abs(p[k] - q[k]) <= near[k] if k in near else p[k] == q[k] for k in p)
            and all(abs(x - y) <= 1e-7 for x, y in zip(ours["geometry"]["coordinates"], theirs["geometry"]["coordinates"])))


def verdict(ours, theirs):
    """(first, score, list): which of them are Addok's."""
    a, b = ours["features"], theirs["features"]
    first = [f["properties"]["id"] for f in a[:1]] == [f["properties"]["id"] for f in b[:1]]
    score = first and (not a or abs(a[0]["properties"]["score"] - b[0]["properties"]["score"]) <= 1e-6)
    return first, score, len(a) == len(b) and all(map(alike, a, b))


def test_answers_are_addoks(geocoder):
    """The 1,000 recorded answers. The floors are what has been reached; what differs is in docs/geocode-parity.md."""
    with gzip.open(os.path.join(HERE, "data", "addok", "truth-1000.ndjson.gz"), "rt", encoding="utf-8") as f:
        cases = list(map(json.loads, f))
    agreed, missed = [0, 0, 0], []
    with requests.Session() as session:
        for case in cases:
            reply = session.get(geocoder.url(case["path"]), params=case["params"], timeout=10)
            if case["status"] != 200 or reply.status_code != 200:
                agreed = [n + (reply.status_code == case["status"]) for n in agreed]
                continue
            got = reply.json()
            # Some answers hang on the order of Python's sets: any that Addok gave will do.
            same = [any(s) for s in zip(*(verdict(got, body) for body in [case["body"], *case.get("also", [])]))]
            agreed = [n + s for n, s in zip(agreed, same)]
            if not same[2]:
                missed.append((case["n"], case["category"], case["params"][0][1], same))
    assert min(agreed) >= 999, f"{agreed} of {len(cases)}: {missed}"


HOSTILE = {
    "100 kB": "a" * 100_000,
    "10,000 tokens": "a " * 10_000,
    "punctuation": "?!.,;:'\"()[]{}<>|\\/@#$%^&*~`" * 5,
    "Arabic": "شارع الحمراء بيروت",
    "Chinese": "北京市朝阳区",
    "Cyrillic": "улица Арбат, Москва",
    "emoji": "🏠🏠🏠 rue 🗼 paris",
    "mixed directions": "rue \u202eabc\u202c de שלום paris",
    "zero bytes": "paris\0\0\0",
    "digits": "1234567890" * 19,
    "one word over and over": "rue " * 49,
    "line breaks": "rue\r\nde\tla paix",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_queries_are_answered_or_refused(geocoder, name):
    began = time.monotonic()
    reply = requests.get(geocoder.url("/search/"), params={"q": HOSTILE[name]}, timeout=10)
    assert reply.status_code in (200, 400, 413, 414), reply.status_code
    assert time.monotonic() - began < 2
    assert requests.get(geocoder.url("/search/?q=lyon"), timeout=10).status_code == 200


@pytest.mark.parametrize("lat, lon", [("91", "0"), ("-90.1", "0"), ("0", "180.5"), ("0", "-1e300"), ("nan", "0"), ("0", "NaN"),
                                      ("inf", "0"), ("0", "-Infinity"), ("1e999", "0"), ("north", "0"), ("0", "0x10"),
                                      ("48,8", "2,3"), ("", "0"), ("\u0664\u0668", "2"), ("4" * 500, "2")])
@pytest.mark.parametrize("path", ["/search/", "/reverse/"])
def test_points_that_are_none_are_refused_by_name(geocoder, path, lat, lon):
    reply = requests.get(geocoder.url(path), params={"q": "lyon", "lat": lat, "lon": lon}, timeout=10)
    assert reply.status_code == 400, (reply.status_code, reply.text)
    assert '"lat"' in reply.json()["description"] or '"lon"' in reply.json()["description"], reply.text


@pytest.mark.parametrize("target", ["/search/?q=%ff%fe%c0%80", "/search/?%ff=%ff&q=lyon", "/search/?q=lyon&lat=1e999&lon=1",
                                    "/search/?q=lyon&lat=-0&lon=-0", "/map?bbox=nan,nan,nan,nan", "/map?bbox=1,2,3",
                                    "/map", "/map?bbox=180,90,-180,-90", "/reverse/?lat=90&lon=180",
                                    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/search/%00", "/search/..%2f.."])
def test_odd_targets_get_an_answer(geocoder, target):
    # requests would clean the path
    import http.client
    connection = http.client.HTTPConnection(*geocoder.host_port(), timeout=10)
    connection.putrequest("GET", target, skip_host=False)
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    assert reply.status in (200, 400, 404), (reply.status, body[:200])
    assert b"root:" not in body


def test_the_map_lists_what_is_in_a_box(geocoder):
    answer = ask(geocoder, "/map", bbox="2.330,48.868,2.333,48.870")
    street = next(p for p in answer["places"] if p["name"] == "Rue de la Paix")
    assert street["type"] == "street" and len(street["points"]) == len(street["numbers"]) > 3
    assert all(2.330 <= lon <= 2.333 and 48.868 <= lat <= 48.870 for lon, lat in street["points"])
    whole = ask(geocoder, "/map", bbox="-180,-90,180,90")
    assert whole["truncated"] and len(whole["places"]) > 100


def test_the_page_is_for_browsers_only(geocoder):
    page = requests.get(geocoder.url("/"), headers=BROWSER, timeout=10)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    again = requests.get(geocoder.url("/"), headers={**BROWSER, "If-None-Match": page.headers["etag"]}, timeout=10)
    assert again.status_code == 304 and not again.content
    assert requests.get(geocoder.url("/"), headers={"Accept": "*/*"}, timeout=10).status_code == 404


def test_chromium_completes_an_address_and_shows_it(geocoder, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(geocoder.url("/"))
    box = browser.find_element(By.ID, "q")
    box.send_keys("34 avenue de l'ope")
    options = wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "#options li"), 10, "suggestions")
    wait_for(lambda: any("34 Avenue de l'Opéra" in o.text
                         for o in browser.find_elements(By.CSS_SELECTOR, "#options li")), 10, "the avenue")
    assert options
    box.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    label = browser.find_element(By.ID, "label")
    wait_for(lambda: "Opéra" in label.text, 10, "the chosen address")
    drawn = "return document.getElementById('map').getContext('2d').getImageData(0,0,400,300).data.some(x => x)"
    wait_for(lambda: browser.execute_script(drawn), 10, "the map to be drawn")
    browser.set_window_size(360, 740)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 500
    assert not [line for line in browser.console() if line.startswith("SEVERE")]


# ---- import: what must survive

def run_import(sextant_bin, output, *files, **more):
    return subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", str(output), *map(str, files)],
                          capture_output=True, text=True, timeout=120, **more)


def verify(sextant_bin, path):
    return subprocess.run([sextant_bin, "geocode", "verify", "--index", str(path)],
                          capture_output=True, text=True, timeout=60)


def test_broken_sources_are_named_with_their_line(sextant_bin, tmp_path, repo):
    good = '{"id":"1","type":"municipality","name":"Aix","postcode":"13100","citycode":"13001","city":"Aix","lon":5.4,"lat":43.5,"importance":0.5}\n'
    cases = {"not json": good + "{oops}\n", "cut off": good + good[:40], "not an object": good + "[1]\n",
             "latitude": good + good.replace("43.5", "143.5")}
    for name, text in cases.items():
        source = tmp_path / f"{name}.ndjson"
        source.write_text(text)
        done = run_import(sextant_bin, tmp_path / "x.idx", source)
        assert done.returncode == 1, name
        assert str(source) in done.stderr and "2" in done.stderr, (name, done.stderr)
        assert done.stderr.count("\n") == 1
    short = tmp_path / "short.ndjson.gz"
    with open(f"{repo}/data/france.ndjson.gz", "rb") as f:
        short.write_bytes(f.read(100_000))
    done = run_import(sextant_bin, tmp_path / "x.idx", short)
    assert done.returncode == 1 and str(short) in done.stderr
    assert not os.path.exists(tmp_path / "x.idx")
    assert run_import(sextant_bin, tmp_path / "x.idx", tmp_path / "absent").returncode == 1


def test_a_killed_import_leaves_the_old_index(sextant_bin, index, repo, tmp_path):
    target = tmp_path / "france.idx"
    shutil.copy(index, target)
    before = target.read_bytes()
    for delay in (0.02, 0.2, 0.5, 1.0):
        child = subprocess.Popen([sextant_bin, "geocode", "import", "-q", "-o", target, f"{repo}/data/france.ndjson.gz"])
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait(10)
        assert verify(sextant_bin, target).returncode == 0
    assert run_import(sextant_bin, target, f"{repo}/data/france.ndjson.gz").returncode == 0
    assert target.read_bytes()[64:] and len(target.read_bytes()) == len(before)
    assert [p.name for p in tmp_path.iterdir()] == ["france.idx"]


def test_a_full_disk_leaves_the_old_index(sextant_bin, repo, tmp_path):
    small = tmp_path / "small.ndjson"
    small.write_text('{"id":"1","type":"municipality","name":"Aix","postcode":"13100","citycode":"13001","city":"Aix","lon":5.4,"lat":43.5,"importance":0.5}\n')
    disk = tmp_path / "disk"
    disk.mkdir()
    script = ('mount -t tmpfs -o size=3m tmpfs "$1" && "$2" geocode import -q -o "$1/a.idx" "$3" || exit 3; '
              '"$2" geocode import -q -o "$1/a.idx" "$4"; status=$?; '
              '"$2" geocode verify --index "$1/a.idx" >/dev/null || exit 4; ls "$1"; exit $status')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", disk, sextant_bin, small,
                           f"{repo}/data/france.ndjson.gz"], capture_output=True, text=True, timeout=120)
    if done.returncode == 1 and "unshare" in done.stderr:
        pytest.skip("this kernel lets nobody mount a small disk")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert done.stdout.split() == ["a.idx"]


def test_damaged_indexes_are_refused_by_name(sextant_bin, index, tmp_path):
    bad = tmp_path / "bad.idx"
    with open(index, "rb") as f:
        whole = f.read()
    for what, data in (("empty", b""), ("header", whole[:100]), ("cut", whole[:len(whole) // 2]),
                       ("last byte", whole[:-1]), ("foreign", b"x" * 10_000)):
        bad.write_bytes(data)
        done = subprocess.run([sextant_bin, "geocode", "serve", "--index", bad, "--listen", "127.0.0.1:0"],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and str(bad) in done.stderr, (what, done.stderr)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    bad.write_bytes(flipped)
    assert verify(sextant_bin, bad).returncode == 1


def test_a_port_in_use_is_named_with_its_owner(sextant_bin, index, geocoder):
    done = subprocess.run([sextant_bin, "geocode", "serve", "--index", index, "--listen", geocoder.address()],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert geocoder.address() in done.stderr and "use" in done.stderr
    assert done.stderr.count("\n") == 1


# ---- sextant up

def test_up_serves_and_stops_on_ctrl_c(spawn, sextant_bin, tmp_path):
    from lib.service import free_port
    port = free_port()
    state = tmp_path / "state"
    up = spawn(sextant_bin, "up", "--dir", state, "--metrics", "127.0.0.1:0", "--listen", f"127.0.0.1:{port}", name="up")
    wait_for(lambda: "Sextant is up" in up.stdout(), 60, "sextant up")
    url = f"http://127.0.0.1:{port}/search/"
    assert requests.get(url, params={"q": "34 avenue de l opera"}, timeout=10).json()["features"]

    again = subprocess.run([sextant_bin, "up", "--dir", state], capture_output=True, text=True, timeout=20)
    assert again.returncode == 0 and f"http://127.0.0.1:{port}/" in again.stdout
    assert "It does not listen on 127.0.0.1:7878" in again.stdout

    stranger = subprocess.run([sextant_bin, "up", "--dir", tmp_path / "other", "--metrics", "127.0.0.1:0",
                               "--listen", f"127.0.0.1:{port}"],
                              capture_output=True, text=True, timeout=20)
    assert stranger.returncode == 1 and f"port {port} is taken by sextant" in stranger.stderr

    # the child is brought back when it dies
    children = subprocess.run(["pgrep", "-P", str(up.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    wait_for(lambda: up.stdout().count("Sextant is up") == 2, 20, "a restart")
    assert requests.get(url, params={"q": "lyon"}, timeout=10).status_code == 200

    up.signal("INT")
    assert up.wait(20) == 0
    assert "Sextant has stopped." in up.stdout()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)


def test_no_process_outlives_a_killed_up(spawn, sextant_bin, tmp_path):
    from lib.service import free_port
    port = free_port()
    up = spawn(sextant_bin, "up", "--dir", tmp_path / "state", "--metrics", "127.0.0.1:0", "--listen", f"127.0.0.1:{port}", name="up")
    wait_for(lambda: "Sextant is up" in up.stdout(), 60, "sextant up")
    up.kill()

    def gone():
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=2)
        except requests.ConnectionError:
            return True
        return False
    wait_for(gone, 20, "the geocoder to follow its parent")
