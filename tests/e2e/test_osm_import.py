"""OpenStreetMap's maps in the geocoder's index: imported, damaged, interrupted, changed, followed."""
import bz2
import gzip
import json
import os
import random
import re
import signal
import subprocess
import time

import pytest
import requests

from lib.wait import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
OSM = os.path.join(HERE, "data", "osm")
DAY = "2020-01-%02dT00:00:00Z"


def sextant_run(sextant_bin, *args, timeout=120):
    return subprocess.run([sextant_bin, "geocode", *map(str, args)], capture_output=True, text=True, timeout=timeout)


def imported(sextant_bin, output, *args):
    done = sextant_run(sextant_bin, "import", "-o", output, *args)
    assert done.returncode == 0, done.stderr
    return done.stderr


def verified(sextant_bin, index):
    done = sextant_run(sextant_bin, "verify", "-i", index)
    assert done.returncode == 0, done.stderr
    return done.stdout


def search(server, q, **params):
    reply = requests.get(server.url("/search/"), params={"q": q, **params}, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def best(server, q, **params):
    return search(server, q, **params)["features"][0]


# --- What is read.

@pytest.fixture(scope="module")
def countries(sextant_bin, repo, tmp_path_factory):
    """France, Spain and three countries' maps, as `sextant up` has them."""
    folder = tmp_path_factory.mktemp("countries")
    told = imported(sextant_bin, folder / "all.idx", "--report", folder / "report.ndjson", f"{repo}/data/france.ndjson.gz",
                    "--source", "name=madrid,attribution=GeoNames,licence=CC BY 4.0,language=es",
                    f"{repo}/data/spain-madrid.ndjson.gz", "--source", "name=maps",
                    f"{repo}/data/liechtenstein.osm.pbf", f"{repo}/data/andorra.osm.pbf", f"{repo}/data/monaco.osm.gz")
    return folder / "all.idx", folder / "report.ndjson", told


@pytest.mark.parametrize("query, lat, lon", [
    ("Städtle 32 9490 Vaduz", 47.1395, 9.5221),
    ("Städtle 32, 9490 Vaduz", 47.1395, 9.5221),
    ("staedtle 32 vaduz", 47.1395, 9.5221),
    ("Kirchstrasse 3, Ruggell", 47.24079, 9.52869),
    ("Kirchstr. 3 Ruggell", 47.24079, 9.52869),
    ("Calle Mayor, Madrid", 40.4158, -3.7091),
    ("34 avenue de l'opéra", 48.86866, 2.33338),
    ("Andorra la Vella", 42.50694, 1.52125),
])
def test_one_index_answers_for_all_countries(sextant, countries, query, lat, lon):
    server = sextant("geocode", "serve", "--index", str(countries[0]), "--listen", "127.0.0.1:0")
    at = best(server, query)["geometry"]["coordinates"]
    assert at == pytest.approx([lon, lat], abs=2e-3)


def test_answers_of_maps_name_their_source(sextant, countries):
    server = sextant("geocode", "serve", "--index", str(countries[0]), "--listen", "127.0.0.1:0")
    answer = search(server, "Städtle 32 9490 Vaduz", limit=1)
    assert (answer["attribution"], answer["licence"]) == ("© OpenStreetMap contributors", "ODbL-1.0")
    house = answer["features"][0]["properties"]
    assert (house["type"], house["housenumber"], house["street"]) == ("housenumber", "32", "Städtle")
    assert (house["postcode"], house["city"], house["context"]) == ("9490", "Vaduz", "Oberland, Liechtenstein")
    assert re.fullmatch(r"[NWR]\d+", house["id"])
    assert search(server, "34 avenue de l'opéra", limit=1)["attribution"] == "BAN"


def test_a_place_is_found_by_any_of_its_names(sextant, countries):
    server = sextant("geocode", "serve", "--index", str(countries[0]), "--listen", "127.0.0.1:0")
    for name in ("Vaduz", "瓦杜茲", "Вадуц"):
        found = best(server, name)["properties"]
        assert (found["name"], found["type"]) == ("Vaduz", "municipality"), name
    assert best(server, "9490")["properties"]["city"] == "Vaduz"


def test_pieces_of_a_street_are_one_document(sextant, countries):
    server = sextant("geocode", "serve", "--index", str(countries[0]), "--listen", "127.0.0.1:0")
    found = search(server, "Landstrasse Triesen", limit=20, type="street")["features"]
    assert sum(f["properties"]["name"] == "Landstrasse" and f["properties"]["city"] == "Triesen" for f in found) == 1
    texts = [f["properties"]["label"] for f in search(server, "Landstr Trie", limit=5, autocomplete=1)["features"]]
    assert any(t.startswith("Landstrasse") for t in texts), texts


def test_what_was_broken_is_reported(countries):
    _, report, told = countries
    assert re.search(r"map: \d+ areas broken or repaired; the first: relation \d+", told), told
    rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    areas = [r for r in rows if r["kind"] == "area"]
    assert areas and all(r["text"] and r["osm_type"] in ("way", "relation") for r in areas)
    assert rows[-1]["kind"] == "sums" and rows[-1]["nodes"] > 300_000 and rows[-1]["places"] > 10_000


@pytest.mark.parametrize("name, number", [("broken-boundaries", 700), ("moscow-cyrillic", 300), ("features", 10)])
def test_extracts_that_are_odd_are_read(sextant_bin, tmp_path, name, number):
    index = tmp_path / "odd.idx"
    told = imported(sextant_bin, index, f"{OSM}/{name}.osm.gz")
    assert int(re.search(r"(\d+) house numbers", told)[1]) >= number, told
    assert "places" in verified(sextant_bin, index)


def test_moscow_is_found_in_cyrillic_and_latin(sextant, sextant_bin, tmp_path):
    index = tmp_path / "moscow.idx"
    imported(sextant_bin, index, f"{OSM}/moscow-cyrillic.osm.gz")
    server = sextant("geocode", "serve", "--index", str(index), "--listen", "127.0.0.1:0")
    street = best(server, "Дмитровское шоссе")["properties"]
    assert street["type"] == "street" and "шоссе" in street["name"]


def test_formats_are_told_by_content_and_give_the_same(sextant_bin, tmp_path):
    with gzip.open(f"{OSM}/moscow-cyrillic.osm.gz") as f:
        text = f.read()
    made = []
    for pack in (bytes, gzip.compress, bz2.compress):
        (tmp_path / "map").write_bytes(pack(text))
        imported(sextant_bin, tmp_path / "x.idx", tmp_path / "map")
        made.append((tmp_path / "x.idx").read_bytes())
    assert made[0] == made[1] == made[2]


def test_memory_and_threads_do_not_show(sextant_bin, repo, tmp_path):
    made = set()
    for args in (("-m", "16MiB", "-t", "1"), ("-m", "16MiB", "-t", "3"), ("-m", "1GiB", "-t", "2")):
        imported(sextant_bin, tmp_path / "x.idx", *args, f"{repo}/data/liechtenstein.osm.pbf")
        made.add((tmp_path / "x.idx").read_bytes())
    assert len(made) == 1


def test_phrases_are_read_and_a_wrong_table_is_told(sextant_bin, tmp_path):
    (tmp_path / "p.csv").write_text("phrase,class,type,operator\nbank,amenity,bank,-\n", encoding="utf-8")
    imported(sextant_bin, tmp_path / "x.idx", "--phrases", tmp_path / "p.csv", f"{OSM}/moscow-cyrillic.osm.gz")
    (tmp_path / "p.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = sextant_run(sextant_bin, "import", "-o", tmp_path / "x.idx", "--phrases", tmp_path / "p.csv",
                       f"{OSM}/moscow-cyrillic.osm.gz")
    assert done.returncode == 1 and str(tmp_path / "p.csv") in done.stderr


# --- What goes wrong.

def test_damaged_maps_are_refused_by_file_and_byte(sextant_bin, repo, tmp_path):
    with open(f"{repo}/data/liechtenstein.osm.pbf", "rb") as f:
        whole = f.read()
    with gzip.open(f"{OSM}/moscow-cyrillic.osm.gz") as f:
        xml = f.read()
    index, bad = tmp_path / "x.idx", tmp_path / "bad.osm"
    imported(sextant_bin, index, f"{OSM}/moscow-cyrillic.osm.gz")
    before = index.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for data in (whole[:100], whole[:len(whole) // 2], bytes(flipped), xml[:len(xml) // 2],
                 gzip.compress(xml)[:5000], b'<osm version="0.6"><node id="1"', b"<?xml version='1.0'?><html></html>"):
        bad.write_bytes(data)
        done = sextant_run(sextant_bin, "import", "-o", index, bad)
        assert done.returncode == 1 and str(bad) in done.stderr, (data[:20], done.stderr)
        assert index.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.osm", "x.idx"]


def test_an_entity_bomb_is_refused(sextant_bin, tmp_path):
    bomb = tmp_path / "bomb.osm"
    bomb.write_text('<?xml version="1.0"?><!DOCTYPE o [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
                    '<osm version="0.6"><node id="1" lat="1" lon="1"><tag k="name" v="&b;"/></node></osm>')
    done = sextant_run(sextant_bin, "import", "-o", tmp_path / "x.idx", bomb)
    assert done.returncode == 1 and "bomb.osm" in done.stderr


def test_a_map_from_a_pipe_is_refused_with_a_remedy(sextant_bin, repo, tmp_path):
    with open(f"{repo}/data/liechtenstein.osm.pbf", "rb") as f:
        done = subprocess.run(["sh", "-c", f'cat | "{sextant_bin}" geocode import -o "{tmp_path}/x.idx" -'],
                              stdin=f, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "save it to a file" in done.stderr, done.stderr


@pytest.mark.parametrize("flag", ["--base", "--report"])
def test_a_file_is_not_written_over_the_index(sextant_bin, tmp_path, flag):
    index = tmp_path / "x.idx"
    done = sextant_run(sextant_bin, "import", "-o", index, flag, index, f"{OSM}/moscow-cyrillic.osm.gz")
    assert done.returncode != 0 and "is to be the index" in done.stderr and not index.exists()


def test_a_killed_import_leaves_the_old_index(sextant_bin, repo, tmp_path):
    target = tmp_path / "x.idx"
    imported(sextant_bin, target, f"{OSM}/moscow-cyrillic.osm.gz")
    for delay in (0.02, 0.1, 0.2, 0.3, 0.5):
        child = subprocess.Popen([sextant_bin, "geocode", "import", "-q", "-o", target, "-b", tmp_path / "base.pbf",
                                  f"{repo}/data/liechtenstein.osm.pbf"])
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait(10)
        verified(sextant_bin, target)
    imported(sextant_bin, target, "-b", tmp_path / "base.pbf", f"{repo}/data/liechtenstein.osm.pbf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.pbf", "x.idx"]


def test_a_full_disk_leaves_the_old_index(sextant_bin, repo, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    script = ('mount -t tmpfs -o size=3m tmpfs "$1" && "$2" geocode import -q -o "$1/a.idx" "$3" || exit 3; '
              '"$2" geocode import -q -m 16MiB -o "$1/a.idx" "$4"; status=$?; '
              '"$2" geocode verify --index "$1/a.idx" >/dev/null || exit 4; ls "$1"; exit $status')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", disk, sextant_bin,
                           f"{OSM}/moscow-cyrillic.osm.gz", f"{repo}/data/liechtenstein.osm.pbf"],
                          capture_output=True, text=True, timeout=120)
    if done.returncode == 1 and "unshare" in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert done.stdout.split() == ["a.idx"] and "No space" in done.stderr, done.stderr


# --- Changes. A village with a street and houses; each house is a change.

def node(n, version=1, **tags):
    lat, lon = 47.1 + n * 1e-4, 9.5 + n * 1e-4
    inner = "".join(f'<tag k="{k.replace("__", ":")}" v="{v}"/>' for k, v in tags.items())
    return (f'<node id="{n}" version="{version}" timestamp="{DAY % version}" lat="{lat:.7f}" lon="{lon:.7f}">'
            f"{inner}</node>")


def house(n, street="Gasse"):
    return node(n, addr__housenumber=n, addr__street=street)


def street(name, version=1):
    return (f'<way id="10" version="{version}" timestamp="{DAY % version}"><nd ref="1"/><nd ref="2"/><nd ref="3"/>'
            f'<tag k="highway" v="residential"/><tag k="name" v="{name}"/></way>')


def village(houses=(), way=None):
    points = "".join(node(i) for i in range(1, 5))
    place = node(90, place="village", name="Dorf", population="900")
    return ('<?xml version="1.0"?><osm version="0.6">' + points + place + "".join(houses) + (way or street("Gasse")) +
            "</osm>")


def change(create="", modify="", delete=""):
    parts = "".join(f"<{k}>{v}</{k}>" for k, v in (("create", create), ("modify", modify), ("delete", delete)) if v)
    return f'<osmChange version="0.6">{parts}</osmChange>'


class Followed:
    """A village's index with its base, and a folder laid out as a planet's."""

    def __init__(self, sextant_bin, folder):
        self.bin, self.folder = sextant_bin, folder
        self.index, self.base, self.changes = folder / "v.idx", folder / "v.osm.pbf", folder / "changes"
        self.changes.mkdir()
        (folder / "v.osm").write_text(village(), encoding="utf-8")
        imported(sextant_bin, self.index, "--base", self.base, folder / "v.osm")

    def add(self, n, text, state=True):
        path = self.changes / "000" / "000" / f"{n:03d}.osc.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = gzip.compress(text.encode() if isinstance(text, str) else text)
        (path.parent / "new").write_bytes(packed)
        (path.parent / "new").rename(path)
        (path.parent / f"{n:03d}.state.txt").write_text(f"sequenceNumber={n}\ntimestamp=2021-01-01T00\\:00\\:{n % 60:02d}Z\n")
        if state:
            self.newest(n)

    def newest(self, n):
        (self.changes / "state.new").write_text(f"#comment\nsequenceNumber={n}\ntimestamp=2021-01-01T00\\:00\\:00Z\n")
        (self.changes / "state.new").rename(self.changes / "state.txt")

    def start(self):
        return subprocess.Popen([self.bin, "geocode", "update", "-i", self.index, "--follow", self.changes, "--every",
                                 "100ms"], stderr=subprocess.PIPE, text=True)

    def once(self):
        return sextant_run(self.bin, "update", "-i", self.index, "--follow", self.changes, "--once")


@pytest.fixture
def followed(sextant_bin, tmp_path):
    return Followed(sextant_bin, tmp_path)


def test_a_change_equals_a_fresh_import(sextant_bin, tmp_path):
    index, base = tmp_path / "v.idx", tmp_path / "v.osm.pbf"
    (tmp_path / "v.osm").write_text(village([house(20), house(21)]), encoding="utf-8")
    (tmp_path / "other.csv").write_text("id;nom_voie;numero;lon;lat\na_b_1;Rue A;1;1;1\n", encoding="utf-8")
    (tmp_path / "c.osc").write_text(change(create=house(22, "Neue Gasse"), modify=street("Neue Gasse", 2),
                                           delete=node(20, 2)), encoding="utf-8")
    imported(sextant_bin, index, "--base", base, tmp_path / "v.osm", "--source", "name=BAN", tmp_path / "other.csv")
    done = sextant_run(sextant_bin, "update", "-i", index, tmp_path / "c.osc")
    assert done.returncode == 0, done.stderr
    updated, updated_base = index.read_bytes(), base.read_bytes()
    (tmp_path / "v.osm").write_text(village([house(21), house(22, "Neue Gasse")], street("Neue Gasse", 2)),
                                    encoding="utf-8")
    imported(sextant_bin, index, "--base", base, tmp_path / "v.osm", "--source", "name=BAN", tmp_path / "other.csv")
    assert base.read_bytes() == updated_base
    assert index.read_bytes() == updated
    again = sextant_run(sextant_bin, "update", "-i", index, tmp_path / "c.osc")
    assert again.returncode == 0 and index.read_bytes() == updated  # applied twice it changes nothing


def test_an_update_is_taken_up_while_it_serves(sextant, sextant_bin, followed, tmp_path):
    server = sextant("geocode", "serve", "--index", str(followed.index), "--listen", "127.0.0.1:0")
    assert best(server, "Gasse Dorf")["properties"]["name"] == "Gasse"
    (tmp_path / "c.osc").write_text(change(modify=street("Lindenweg", 2)), encoding="utf-8")
    assert sextant_run(sextant_bin, "update", "-i", followed.index, tmp_path / "c.osc").returncode == 0
    wait_for(lambda: best(server, "Lindenweg Dorf")["properties"]["name"] == "Lindenweg", 20)


def test_updates_that_cannot_be_are_told(sextant_bin, followed, tmp_path):
    (tmp_path / "c.osc").write_text(change(create=house(30)), encoding="utf-8")
    before = followed.index.read_bytes(), followed.base.read_bytes()
    plain = tmp_path / "plain.idx"
    imported(sextant_bin, plain, tmp_path / "v.osm")
    (tmp_path / "torn.osc").write_text(change(create=house(30))[:100], encoding="utf-8")
    moved = tmp_path / "moved.pbf"
    for args, words in ((("-i", plain, tmp_path / "c.osc"), "--base"),
                        (("-i", tmp_path / "none.idx", tmp_path / "c.osc"), "no index"),
                        (("-i", followed.index, tmp_path / "v.osm"), "no change file"),
                        (("-i", followed.index, tmp_path / "torn.osc"), "torn.osc"),
                        (("-i", followed.index, tmp_path / "absent.osc"), "absent.osc"),
                        (("-i", followed.index, "--follow", tmp_path / "nowhere"), "nowhere")):
        done = sextant_run(sextant_bin, "update", *args)
        assert done.returncode in (1, 2) and words in done.stderr, (args, done.stderr)
    assert (followed.index.read_bytes(), followed.base.read_bytes()) == before
    followed.base.rename(moved)
    done = sextant_run(sextant_bin, "update", "-i", followed.index, tmp_path / "c.osc")
    assert done.returncode == 1 and "is gone; put it back" in done.stderr and "--base" in done.stderr
    assert sextant_run(sextant_bin, "update", "-i", followed.index, "--base", moved, tmp_path / "c.osc").returncode == 0
    assert sextant_run(sextant_bin, "update", "-i", followed.index, tmp_path / "c.osc").returncode == 0
    for args in ((), ("-i", followed.index), ("-i", followed.index, "--every", "soon", "--follow", tmp_path)):
        assert sextant_run(sextant_bin, "update", *args).returncode == 2


def test_a_folder_is_followed_in_order_and_nothing_is_passed_over(followed, sextant_bin):
    followed.add(1, change(create=house(21)))
    followed.add(2, change(create=house(22)))
    told = followed.once()
    assert told.returncode == 0 and "the index is at 2" in told.stderr, told.stderr
    assert "2 house numbers" in told.stderr
    followed.add(4, change(create=house(24)))
    told = followed.once()
    assert "003.osc.gz: it is missing" in told.stderr and "applied 1" not in told.stderr, told.stderr
    followed.add(3, b"this is no gzip"[:3], state=False)
    (followed.changes / "000/000/003.osc.gz").write_bytes(gzip.compress(change(create=house(23)).encode())[:-20])
    told = followed.once()
    assert "waiting for a whole file" in told.stderr and "003.osc.gz" in told.stderr, told.stderr
    followed.add(3, change(create=house(23)), state=False)
    told = followed.once()
    assert "the index is at 4" in told.stderr and "4 house numbers" in told.stderr, told.stderr
    assert "applied" not in followed.once().stderr


def test_plain_names_are_applied_in_their_order(sextant_bin, followed):
    for name, n in (("2021-01-01.osc", 21), ("2021-01-02.osc.bz2", 22)):
        text = change(create=house(n)).encode()
        (followed.changes / name).write_bytes(bz2.compress(text) if name.endswith("bz2") else text)
    told = followed.once()
    assert "the last is 2021-01-02.osc.bz2" in told.stderr, told.stderr
    (followed.changes / "2021-01-03.osc").write_text(change(delete=node(21, 2)), encoding="utf-8")
    told = followed.once()
    assert "applied 1 change files" in told.stderr and "1 house numbers" in told.stderr, told.stderr


def test_following_survives_kill_9_at_any_moment(followed, sextant_bin, tmp_path):
    last, rng, children = 30, random.Random(8), 0
    followed.add(1, change(create=house(101)))
    given = 1
    end = time.monotonic() + 90
    while time.monotonic() < end:
        children += 1
        child = followed.start()
        try:
            for _ in range(3):
                if given < last:
                    given += 1
                    followed.add(given, change(create=house(100 + given)))
            child.wait(rng.uniform(0.005, 0.12))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
        child.stderr.close()
        verified(sextant_bin, followed.index)
        if given == last and children >= 25:
            break
    told = followed.once()
    assert told.returncode == 0, told.stderr
    got = followed.index.read_bytes()
    (tmp_path / "all.osc").write_text(change(create="".join(house(100 + n) for n in range(1, last + 1))), encoding="utf-8")
    (tmp_path / "fresh").mkdir()
    fresh = Followed(sextant_bin, tmp_path / "fresh")
    done = sextant_run(sextant_bin, "update", "-i", fresh.index, tmp_path / "all.osc")
    assert done.returncode == 0 and f"{last} house numbers" in done.stderr, done.stderr
    assert f"{last} house numbers" in verified(sextant_bin, followed.index)
    assert got and sorted(p.name for p in tmp_path.iterdir() if p.is_file() and p.name.endswith(".tmp")) == []


def test_following_ends_on_sigterm_and_only_one_follows(followed, sextant_bin):
    followed.add(1, change(create=house(21)))
    child = followed.start()
    try:
        line = child.stderr.readline()
        while "the index is at 1" not in line:
            assert line, "it ended"
            line = child.stderr.readline()
        second = followed.once()
        assert second.returncode == 1 and str(child.pid) in second.stderr, second.stderr
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(10)
        child.stderr.close()
