"""sextant geocode in the place of api-adresse.data.gouv.fr: geopy's BANFrance, and the calls that the
BAN's documentation shows, by the real curl with the documented addresses (--connect-to sends them here)."""
import csv
import io
import json
import subprocess

import pytest
from geopy.exc import GeocoderQueryError
from geopy.geocoders import BANFrance

BAN = "http://api-adresse.data.gouv.fr"
TABLE = """n;adresse;ville;insee;cp
1;3 rue de la paix;Paris;75102;75002
2;34 avenue de l'opéra;Paris;75102;75002
3;10 place de la bourse;Paris;75102;75002
4;;Lyon;69123;69001
"""
POINTS = """name,latitude,longitude
opera,48.86866,2.33338
champs,48.87168,2.30049
sea,44.0,-20.0
"""


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


# ---- geopy

@pytest.fixture
def ban(geocoder):
    return BANFrance(domain="%s:%s" % geocoder.host_port(), scheme="http", timeout=10)


def test_geopy_geocodes(ban):
    place = ban.geocode("34 avenue de l'opéra 75002 Paris")
    assert place.address == "34 Avenue de l'Opéra 75002 Paris"
    assert (round(place.latitude, 4), round(place.longitude, 4)) == (48.8687, 2.3334)
    assert place.raw["properties"]["type"] == "housenumber"
    assert ban.geocode("zzzzqqqqxxxx") is None


def test_geopy_lists_as_many_as_it_is_told(ban):
    assert len(ban.geocode("rue saint", exactly_one=False)) == 5  # the BAN's default
    places = ban.geocode("rue saint", exactly_one=False, limit=2)
    assert len(places) == 2 and places[0].raw["properties"]["score"] >= places[1].raw["properties"]["score"]
    assert len(ban.geocode("saint", exactly_one=False, limit=20)) == 20
    assert ban.geocode("zzzzqqqqxxxx", exactly_one=False) is None


def test_geopy_reverses(ban):
    for point in ((48.86866, 2.33338), "48.86866, 2.33338"):
        place = ban.reverse(point)
        assert place.address == "34 Avenue de l'Opéra 75002 Paris"
    assert [p.address for p in ban.reverse((48.86866, 2.33338), exactly_one=False)] == [place.address]
    assert ban.reverse((44.0, -20.0)) is None


def test_geopy_understands_a_refusal(ban):
    with pytest.raises(GeocoderQueryError):
        ban.geocode("")
    with pytest.raises(GeocoderQueryError):
        ban.geocode("lyon", exactly_one=False, limit=1000)


# ---- curl

@pytest.fixture
def curl(geocoder, tmp_path):
    """curl(ARGUMENT...) runs it in a folder with search.csv and reverse.csv; its output, once it is 0."""
    (tmp_path / "search.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "reverse.csv").write_text(POINTS, encoding="utf-8")
    there = "%s:%s" % geocoder.host_port()

    def run(*arguments):
        done = subprocess.run(["curl", "-sS", "--fail-with-body", "--connect-to", f"api-adresse.data.gouv.fr:80:{there}",
                               *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout.decode("utf-8-sig")  # tables begin with a byte-order mark, as addok-csv's
    return run


def features(curl, target):
    answer = json.loads(curl(BAN + target))
    assert answer["type"] == "FeatureCollection" and answer["version"] == "draft" and "licence" in answer
    return answer, [f["properties"] for f in answer["features"]]


@pytest.mark.parametrize("slash", ["/", ""])  # the documentation has it, many clients do not
def test_the_documented_searches(curl, slash):
    def search(query):
        return features(curl, f"/search{slash}?q={query}")
    answer, found = search("8+bd+du+port")
    assert answer["query"] == "8 bd du port" and answer["limit"] == 5 and len(found) <= 5
    _, found = search("rue+saint&limit=15")
    assert len(found) == 15
    _, found = search("avenue+de+l+ope&autocomplete=1")
    assert found[0]["name"] == "Avenue de l'Opéra"
    _, found = search("avenue+de+l+opera&autocomplete=0")
    assert found[0]["name"] == "Avenue de l'Opéra"
    answer, found = search("8+bd+du+port&lat=48.789&lon=2.789")
    assert answer["center"] == [2.789, 48.789]
    answer, found = search("rue+de+vaugirard&postcode=75006")
    assert answer["filters"] == {"postcode": ["75006"]} and {p["postcode"] for p in found} == {"75006"}
    _, found = search("vaugirard&citycode=75115")
    assert {p["citycode"] for p in found} == {"75115"}
    _, found = search("paris&type=street")
    assert {p["type"] for p in found} == {"street"}
    _, found = search("paris&type=municipality")
    assert found[0]["type"] == "municipality" and found[0]["citycode"] == "75056"


def test_a_near_point_goes_before_a_far_one(curl):
    """The documentation's example of a position: the same words, another first answer."""
    _, south = features(curl, "/search/?q=rue+de+la+paix&lat=43.3&lon=5.4")
    _, paris = features(curl, "/search/?q=rue+de+la+paix&lat=48.869&lon=2.331")
    assert paris[0]["citycode"] == "75102" and paris[0]["score"] > south[0]["score"]


@pytest.mark.parametrize("slash", ["/", ""])
def test_the_documented_reverses(curl, slash):
    _, found = features(curl, f"/reverse{slash}?lon=2.33338&lat=48.86866")
    assert [p["label"] for p in found] == ["34 Avenue de l'Opéra 75002 Paris"] and found[0]["distance"] < 5
    _, found = features(curl, f"/reverse{slash}?lon=2.33338&lat=48.86866&type=street")
    assert found[0]["type"] == "street"


def table(text, delimiter):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_the_documented_uploads(curl):
    post = ["-X", "POST", "-F", "data=@search.csv"]
    rows = table(curl(*post, f"{BAN}/search/csv/"), ";")
    assert [r["n"] for r in rows] == ["1", "2", "3", "4"] and "result_label" in rows[0]
    post += ["-F", "columns=adresse", "-F", "columns=ville"]
    rows = table(curl(*post, f"{BAN}/search/csv/"), ";")
    assert [r["result_label"] for r in rows[:2]] == ["3 Rue de la Paix 75002 Paris", "34 Avenue de l'Opéra 75002 Paris"]
    assert all(r["result_score"] for r in rows) and rows[3]["result_city"] == "Lyon"
    rows = table(curl(*post, "-F", "citycode=insee", f"{BAN}/search/csv/"), ";")
    assert [r["result_citycode"] for r in rows[:3]] == ["75102"] * 3
    rows = table(curl(*post, "-F", "postcode=cp", f"{BAN}/search/csv/"), ";")
    assert [r["result_postcode"] for r in rows[:3]] == ["75002"] * 3
    rows = table(curl(*post, "-F", "result_columns=result_id", "-F", "result_columns=result_score", f"{BAN}/search/csv/"), ";")
    assert rows[0]["result_id"] and rows[0]["result_score"]  # addok-csv 1.1 sends all the others, too, and so do we


def test_the_documented_reverse_uploads(curl):
    rows = table(curl("-X", "POST", "-F", "data=@reverse.csv", f"{BAN}/reverse/csv/"), ",")
    assert [r["result_label"] for r in rows] == ["34 Avenue de l'Opéra 75002 Paris", "101 Avenue des Champs Elysées 75008 Paris", ""]
    assert [r["name"] for r in rows] == ["opera", "champs", "sea"]
