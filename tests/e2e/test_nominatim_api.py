"""sextant geocode in the place of Nominatim: geopy, two JavaScript clients, and what HTTP shows of it. One
index holds Paris from the BAN, Madrid from its street directory and Liechtenstein from OpenStreetMap."""
import http.client
import json
import subprocess
import urllib.parse
import xml.etree.ElementTree as xml

import pytest
from geopy.exc import GeocoderQueryError
from geopy.geocoders import Nominatim
from lib import install

OPERA = (48.868662, 2.333382)


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "three.idx"
    files = [f"{repo}/data/{name}" for name in ("paris-ban.csv.gz", "spain-madrid.ndjson.gz", "liechtenstein.osm.pbf")]
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, "--phrases",
                    f"{repo}/data/phrases.csv", *files], check=True, timeout=300)
    return str(path)


@pytest.fixture
def geocoder(sextant, index):
    return sextant("geocode", "serve", "--index", index, "--listen", "127.0.0.1:0")


@pytest.fixture
def ask(geocoder):
    def ask(path, method="GET", headers=None, **params):
        connection = http.client.HTTPConnection(*geocoder.host_port(), timeout=30)
        connection.request(method, path + ("?" + urllib.parse.urlencode(params) if params else ""), headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    return ask


@pytest.fixture
def found(ask):
    def found(q, **more):
        status, _, body = ask("/nominatim/search", q=q, format="jsonv2", addressdetails=1, **more)
        assert status == 200, body
        return json.loads(body)
    return found


# ---- clients

@pytest.mark.parametrize("prefix", ["/nominatim", ""], ids=["nominatim", "root"])
def test_geopy_works_unchanged(geocoder, prefix):
    client = Nominatim(user_agent="sextant-tests", scheme="http", domain="%s:%s" % geocoder.host_port() + prefix)
    place = client.geocode("Städtle 32, 9490 Vaduz", addressdetails=True, language="de")
    assert place.raw["address"]["road"] == "Städtle" and place.raw["address"]["house_number"] == "32"
    assert abs(place.latitude - 47.1395) < .001
    assert client.geocode({"street": "32 Städtle", "city": "Vaduz", "postalcode": "9490"}).raw["osm_id"] == place.raw["osm_id"]
    assert len(client.geocode("Vaduz", exactly_one=False, limit=3)) >= 1
    assert client.geocode("zzzzqqqqxxxx") is None
    assert client.geocode("Vaduz", country_codes=["fr"]) is None
    assert "Vaduz" in client.reverse((47.14, 9.52), zoom=16).address
    assert client.reverse((0, 0)) is None
    with pytest.raises(GeocoderQueryError):
        client.geocode("Vaduz", viewbox=((1, 1), (1, 1)), bounded=True)


def test_two_javascript_clients_work_unchanged(geocoder, repo):
    folder = install.node("nominatim-node", "clients/nominatim")
    script = f"{repo}/tests/e2e/clients/nominatim/ask.cjs"
    done = subprocess.run(["node", script, geocoder.url("/nominatim")], cwd=folder, capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NODE_PATH": f"{folder}/node_modules"}, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    leaflet, node = said["leaflet"], said["node"]
    assert leaflet["found"][0]["name"] == "Vaduz, Oberland, 9490, Liechtenstein"
    assert leaflet["found"][0]["north"] > leaflet["found"][0]["lat"]
    assert "Badwegli" in leaflet["there"][0]["html"]
    assert node["found"][0]["streetName"] == "Städtle" and node["found"][0]["zipcode"] == "9490"
    assert node["fields"] == node["found"]
    assert node["there"][0]["countryCode"] == "LI"


# ---- sources

def test_one_index_answers_across_its_sources(found):
    opera, mayor, museum = found("34 avenue de l'opéra")[0], found("Calle Mayor, Madrid")[0], found("Städtle 32, 9490 Vaduz")[0]
    assert opera["display_name"] == "34, Avenue de l'Opéra, Paris, Île-de-France, 75002, France"
    assert opera["address"] == {"house_number": "34", "road": "Avenue de l'Opéra", "city": "Paris", "county": "Paris",
                                "state": "Île-de-France", "postcode": "75002", "country": "France", "country_code": "fr"}
    assert mayor["address"]["country_code"] == "es" and mayor["address"]["road"] == "Calle Mayor"
    assert museum["osm_type"] and "OpenStreetMap" in museum["licence"]
    assert "OpenStreetMap" not in opera["licence"] + mayor["licence"]


def test_countries_choose_among_sources(found):
    assert found("34 avenue de l'opéra", countrycodes="li,es") == []
    assert found("34 avenue de l'opéra", countrycodes="fr")
    assert found("Vaduz", countrycodes="fr") == []


def test_reverse_takes_the_nearer_source(ask):
    def at(lat, lon, zoom=18):
        return json.loads(ask("/nominatim/reverse", lat=lat, lon=lon, zoom=zoom, format="jsonv2")[2])
    assert at(*OPERA)["address"]["house_number"] == "34"
    assert at(*OPERA, zoom=17)["name"] == "Avenue de l'Opéra"
    assert at(*OPERA, zoom=10)["address"]["country_code"] == "fr"
    assert at(47.14, 9.52)["osm_type"] == "way"


def test_what_has_no_object_is_found_again_by_its_place_id(ask, found):
    place = found("Avenue de l'Opéra, Paris")[0]
    status, _, body = ask("/nominatim/details", place_id=place["place_id"], addressdetails=1)
    assert status == 200 and json.loads(body)["localname"] == "Avenue de l'Opéra"


# ---- HTTP

def test_the_root_is_addoks_unless_format_or_a_field_says_otherwise(ask):
    assert "features" in json.loads(ask("/search", q="34 avenue de l'opéra")[2])
    assert json.loads(ask("/search", q="34 avenue de l'opéra", format="json")[2])[0]["lat"]
    assert json.loads(ask("/search", street="34 avenue de l'opéra", city="Paris")[2])[0]["lat"]
    assert "features" in json.loads(ask("/reverse", lat=OPERA[0], lon=OPERA[1])[2])
    assert json.loads(ask("/reverse", lat=OPERA[0], lon=OPERA[1], format="json")[2])["lat"]
    assert ask("/status")[2] == "OK" and ask("/nominatim/status.php")[2] == "OK"


def test_pages_of_other_hosts_may_ask(ask):
    _, headers, _ = ask("/nominatim/search", q="Vaduz", headers={"Origin": "http://example.org"})
    assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method, status", [("POST", 405), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 200)])
def test_methods_but_get_are_answered_as_the_peer_does(ask, method, status):
    got, headers, _ = ask("/nominatim/search", method=method, q="Vaduz")
    assert got == status and "GET" in headers["allow"]


def test_a_callback_must_be_one(ask):
    status, headers, body = ask("/nominatim/search", q="Vaduz", json_callback="my.call_1")
    assert status == 200 and headers["content-type"].startswith("application/javascript")
    assert body.startswith("my.call_1([") and body.endswith("])")
    for bad in ("", "a-b", "1a", "a..b", "alert(1)//", "é\u2028"):
        status, _, body = ask("/nominatim/search", q="Vaduz", json_callback=bad)
        assert status == 400 and json.loads(body) == {"error": {"code": 400, "message": "Invalid json_callback value"}}


def test_xml_links_to_more(ask):
    root = xml.fromstring(ask("/nominatim/search", q="Städtle Vaduz", format="xml", limit=1, countrycodes="LI")[2])
    more = urllib.parse.urlsplit(root.get("more_url"))
    query = urllib.parse.parse_qs(more.query)
    assert more.path == "/nominatim/search" and query["q"] == ["Städtle Vaduz"] and query["countrycodes"] == ["li"]
    place = root.find("place")
    assert root.get("exclude_place_ids") == place.get("osm_type")[0].upper() + place.get("osm_id")
    again = xml.fromstring(ask(more.path + "?" + more.query)[2])
    assert place.get("osm_id") not in [p.get("osm_id") for p in again]


@pytest.mark.parametrize("path, params, message", [
    ("/reverse", {"lon": 1, "format": "json"}, "Parameter 'lat' missing."),
    ("/reverse", {"lat": "nan", "lon": 1, "format": "json"}, "Parameter 'lat' must be a number."),
    ("/reverse", {"lat": 1, "lon": 1, "layer": "x", "format": "json"},
     "Parameter 'layer' must be a comma-separated list of: address, poi, railway, natural, manmade"),
    ("/search", {"q": "a", "polygon_svg": 1, "polygon_kml": 1}, "Too many polygon output options selected."),
    ("/search", {"q": "a", "viewbox": "1,2,3"}, "Bounding box parameter needs 4 coordinates."),
    ("/search", {"q": "a", "viewbox": "1,2,1,4"}, "Bounding box with invalid parameters."),
    ("/search", {"q": "a", "debug": 1}, "Debug output is not enabled on this server."),
    ("/search", {}, "Nothing to search for."),
    ("/details", {}, "Missing ID parameter 'place_id' or 'osmtype'."),
])
def test_mistakes_are_told_in_the_peers_words(ask, path, params, message):
    status, _, body = ask("/nominatim" + path, **params)
    assert status == 400 and json.loads(body) == {"error": {"code": 400, "message": message}}


def test_answers_are_kept(ask, geocoder):
    first = ask("/nominatim/search", q="Vaduz")[2]
    assert ask("/nominatim/search", q="Vaduz", unknown="x")[2] == first
    assert json.loads(ask("/nominatim/search", q="Vaduz", headers={"Accept-Language": "ru"})[2])[0]["name"] == "Вадуц"
    assert json.loads(ask("/nominatim/search", q="Vaduz")[2]) == json.loads(first)
    metrics = ask("/metrics")[2]
    assert 'addok_geocoding_requests_total{endpoint="nominatim_search",status="200"} 4' in metrics
    hits = [line for line in metrics.splitlines() if line.startswith('addok_cache_hit_rate{tier="memory"}')]
    assert hits and float(hits[0].split()[-1]) > 0
