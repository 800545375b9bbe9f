"""Photon's API: asked over HTTP and by the clients people have for it, on the map of Liechtenstein."""
import json
import os
import subprocess

import pytest
import requests
from geopy.geocoders import Photon

from lib import install
from lib.clients import E2E, run
from lib.wait import wait_for

CASTLE = {"lat": 47.1395, "lon": 9.5243}


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "li.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/liechtenstein.osm.pbf"],
                   check=True, timeout=120)
    return str(path)


@pytest.fixture
def geocoder(sextant, index):
    return sextant("geocode", "serve", "--index", index, "--listen", "127.0.0.1:0")


@pytest.fixture
def ask(geocoder):
    def ask(path="/photon/api", headers=None, status=200, **params):
        reply = requests.get(geocoder.url(path), params=params, headers=headers, timeout=10)
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.headers["access-control-allow-origin"] == "*"
        return reply.json()
    return ask


def properties(answer):
    assert answer["type"] == "FeatureCollection"
    for feature in answer["features"]:
        assert feature["type"] == "Feature" and feature["geometry"]["type"]
    return [f["properties"] for f in answer["features"]]


# ---- searching

def test_a_town_is_found_with_all_that_photon_tells(ask):
    answer = ask(q="vaduz")
    town = answer["features"][0]
    assert town["geometry"]["type"] == "Point" and town["geometry"]["coordinates"] == pytest.approx([9.52, 47.14], abs=0.01)
    p = town["properties"]
    assert (p["osm_type"], p["osm_id"], p["osm_key"], p["osm_value"]) == ("R", 1155956, "boundary", "administrative")
    assert (p["type"], p["name"], p["country"], p["countrycode"]) == ("city", "Vaduz", "Liechtenstein", "LI")
    west, north, east, south = p["extent"]
    assert west < 9.52 < east and south < 47.14 < north
    assert "city" not in p, "a place does not lie in itself"
    assert "OpenStreetMap" in answer["attribution"]


def test_a_house_has_its_address(ask):
    p = properties(ask(q="Städtle 32, Vaduz", limit=1))[0]
    assert (p["type"], p["housenumber"], p["street"], p["city"], p["postcode"]) == ("house", "32", "Städtle", "Vaduz", "9490")


@pytest.mark.parametrize("typed", ["trie", "triesenb", "triesenberg"])
def test_the_last_word_may_be_unfinished(ask, typed):
    assert any(p.get("name", "").startswith("Triesen") for p in properties(ask(q=typed)))


def test_typing_errors_are_forgiven_unless_told_not_to(ask):
    assert "Triesenberg" in [p.get("name") for p in properties(ask(q="triesenbreg"))]
    assert properties(ask(q="triesenbreg", fuzzy="0")) == []


def test_filters_are_kept(ask):
    museums = properties(ask(q="museum", osm_tag="tourism:museum"))
    assert museums and all(p["osm_value"] == "museum" for p in museums)
    assert all(p["osm_value"] != "museum" for p in properties(ask(q="museum", osm_tag="!tourism:museum")))
    assert all(p["type"] == "street" for p in properties(ask(q="landstrasse", layer="street")))
    box = "9.49,47.16,9.53,47.18"
    for f in ask(q="landstrasse", bbox=box)["features"]:
        lon, lat = f["geometry"]["coordinates"]
        assert 9.49 <= lon <= 9.53 and 47.16 <= lat <= 47.18
    assert properties(ask(q="vaduz", countrycode="FR")) == []
    assert properties(ask(q="vaduz", countrycode=["FR", "LI"]))


def test_categories_need_no_words(ask):
    banks = properties(ask(include="osm.amenity.bank", limit=50))
    assert len(banks) > 5 and all((p["osm_key"], p["osm_value"]) == ("amenity", "bank") for p in banks)
    near = ask(include="osm.amenity.bank", limit=3, zoom=16, **CASTLE)["features"]
    assert all(abs(f["geometry"]["coordinates"][0] - CASTLE["lon"]) < 0.02 for f in near)


def test_what_is_near_comes_first(ask):
    first = properties(ask(q="landstrasse", lat=47.165, lon=9.51, zoom=15))[0]
    other = properties(ask(q="landstrasse", lat=47.24, lon=9.53, zoom=15))[0]
    assert (first["city"], other["city"]) == ("Schaan", "Ruggell")


def test_a_street_in_pieces_is_told_once(ask):
    def keys(answer):
        return [(p["osm_value"], p.get("postcode"), p["name"]) for p in properties(answer) if p["osm_key"] == "highway"]
    once, all_ = keys(ask(q="landstrasse", limit=50)), keys(ask(q="landstrasse", limit=50, dedupe="0"))
    assert len(once) == len(set(once)) and len(all_) >= len(once)


def test_languages_come_from_the_parameter_or_the_header(ask):
    assert properties(ask(q="Schweiz", lang="fr"))[:1] == properties(ask(q="Schweiz", headers={"Accept-Language": "fr"}))[:1]
    german, english = (properties(ask("/photon/reverse", lang=lang, **CASTLE))[0] for lang in ("de", "ru"))
    assert german["country"] == "Liechtenstein" and english["country"] == "Лихтенштейн"


def test_outlines_are_given_on_request(ask):
    assert ask(q="vaduz", geometry=1, limit=1)["features"][0]["geometry"]["type"] in ("Polygon", "MultiPolygon")


def test_a_structured_address(ask):
    p = properties(ask("/photon/structured", street="Städtle", housenumber=32, city="Vaduz", limit=1))[0]
    assert (p["housenumber"], p["street"]) == ("32", "Städtle")


# ---- reverse

def test_the_nearest_comes_first(ask):
    answer = ask("/photon/reverse", limit=10, **CASTLE)
    far = [(f["geometry"]["coordinates"][0] - CASTLE["lon"]) ** 2 * 0.46 + (f["geometry"]["coordinates"][1] - CASTLE["lat"]) ** 2
           for f in answer["features"]]
    assert len(far) == 10 and far == sorted(far)


def test_radius_layer_and_tags_bound_it(ask):
    assert properties(ask("/photon/reverse", radius=0.001, **CASTLE)) == []
    assert [p["type"] for p in properties(ask("/photon/reverse", layer="city", radius=3, **CASTLE))] == ["city"]
    pharmacies = properties(ask("/photon/reverse", osm_tag="amenity:pharmacy", limit=5, radius=20, **CASTLE))
    assert pharmacies and all(p["osm_value"] == "pharmacy" for p in pharmacies)


# ---- where it answers, and what it refuses

def test_at_the_root_photons_parameters_tell_whose_it_is(geocoder, ask):
    assert ask("/api", q="vaduz") == ask("/photon/api", q="vaduz")
    assert ask("/structured", city="vaduz") == ask("/photon/structured", city="vaduz")
    assert ask("/reverse", lang="de", **CASTLE) == ask("/photon/reverse", lang="de", **CASTLE)
    addok = requests.get(geocoder.url("/reverse/"), params=CASTLE, timeout=10).json()
    assert "licence" in addok and addok["version"] == "draft"
    nominatim = requests.get(geocoder.url("/reverse"), params={"format": "jsonv2", **CASTLE}, timeout=10).json()
    assert nominatim["display_name"]


@pytest.mark.parametrize("path,params,why", [
    ("/api", {}, "q parameter is required"),
    ("/api", {"q": "a", "bogus": "1"}, "Unknown query parameter 'bogus'"),
    ("/api", {"q": "a", "limit": "many"}, "'limit'"),
    ("/api", {"q": "a", "layer": "suburb"}, "Unknown layer type"),
    ("/api", {"q": "a", "osm_tag": "a:b:c"}, "'osm_tag'"),
    ("/api", {"q": "a", "bbox": "1,2,3"}, "'bbox'"),
    ("/structured", {}, "at least one of the parameters"),
    ("/reverse", {"lat": "91", "lon": "1"}, "Invalid value for 'lat' parameter."),
    ("/reverse", {"lat": "1"}, "Missing parameter 'lon'."),
])
def test_what_is_wrong_is_said(ask, path, params, why):
    answer = ask("/photon" + path, status=400, **params)
    assert list(answer) == ["message"] and why in answer["message"]


@pytest.mark.parametrize("q", ["\x00", "%", "'\"><script>", "\U0001f30d" * 50, "a b " * 60, "----", ", , ,", "ß" * 190, "a" * 5000])
def test_odd_words_find_nothing_or_something(ask, q):
    properties(ask(q=q))


def test_status(ask):
    status = ask("/photon/status")
    assert status["status"] == "Ok" and status["import_date"].startswith("2021-")


def test_an_index_without_a_map_finds_nothing_and_says_so_politely(sextant, sextant_bin, repo, tmp_path):
    path = tmp_path / "fr.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"], check=True, timeout=300)
    app = sextant("geocode", "serve", "--index", str(path), "--listen", "127.0.0.1:0")
    for query in ("api?q=paris", "reverse?lat=48.86&lon=2.33", "api?include=osm.place"):
        reply = requests.get(app.url(f"/photon/{query}"), timeout=10)
        assert reply.status_code == 200 and reply.json()["type"] == "FeatureCollection"
    assert requests.get(app.url("/photon/status"), timeout=10).json()["status"] == "Ok"


# ---- clients

def test_geopy(geocoder):
    host = geocoder.url("").removeprefix("http://").rstrip("/")
    client = Photon(scheme="http", domain=f"{host}/photon", user_agent="test")
    town = client.geocode("Vaduz")
    assert town.raw["properties"]["osm_id"] == 1155956 and "Liechtenstein" in town.address
    several = client.geocode("landstrasse", exactly_one=False, limit=3, location_bias=(47.165, 9.51), language="de",
                             osm_tag=["highway", "!amenity"], bbox=[(47.0, 9.4), (47.3, 9.7)])
    assert len(several) == 3 and "Landstrasse" in several[0].address
    here = client.reverse((47.1395, 9.5221), language="en")
    assert "Vaduz" in here.address
    assert client.geocode("qzxwvkjqzz") is None
    root = Photon(scheme="http", domain=host, user_agent="test")
    assert root.geocode("Vaduz").raw == town.raw
    assert root.reverse((47.1395, 9.5221), language="en").raw == here.raw


def photon_clients():
    return install.node("photon", "clients/photon")


def test_photon_geocoder_of_npm(geocoder):
    folder = photon_clients()
    with open(os.path.join(E2E, "clients", "photon", "geocoder.js")) as source, \
            open(os.path.join(folder, "geocoder.js"), "w") as copy:
        copy.write(source.read())
    told = json.loads(run("node", os.path.join(folder, "geocoder.js"), geocoder.url("/photon").rstrip("/")).stdout)
    assert told["found"][0]["name"] == "Vaduz" and told["here"][0]["countrycode"] == "LI"


def test_leaflet_photon_completes_in_a_browser(geocoder, browser):
    modules = os.path.join(photon_clients(), "node_modules")
    browser.get(geocoder.url("/photon/status"))  # a page of ours without a policy of its own
    for script in ("leaflet/dist/leaflet.js", "leaflet.photon/leaflet.photon.js"):
        with open(os.path.join(modules, script)) as f:
            browser.execute_script("const s = document.createElement('script'); s.textContent = arguments[0];"
                                   "document.head.append(s)", f.read())
    browser.execute_script("""document.body.innerHTML = '<div id=map style="height:300px"></div>';
        window.chosen = null;
        new L.Map('map', {center: [47.14, 9.52], zoom: 13, photonControl: true, photonControlOptions: {
            url: arguments[0], submitDelay: 0, onSelected: f => window.chosen = f, feedbackEmail: null}});""",
                           geocoder.url("/photon/api/?"))
    box = browser.find_element("css selector", "input.photon-input")
    box.send_keys("triesenb")
    listed = "return [...document.querySelectorAll('.photon-autocomplete li')].map(x => x.textContent)"
    wait_for(lambda: any("Triesenberg" in x for x in browser.execute_script(listed)), 10, "suggestions")
    box.send_keys("\ue015", "\ue007")  # down, enter
    wait_for(lambda: browser.execute_script("return window.chosen && window.chosen.properties.name"), 10, "the choice")
