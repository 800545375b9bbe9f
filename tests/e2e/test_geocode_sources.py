"""Inputs beside Addok's NDJSON, and several sources and languages in one index, with the real binary."""
import csv
import gzip
import io
import json
import subprocess

import pytest
import requests

MADRID = "GeoNames; Ayuntamiento de Madrid; Comunidad de Madrid"
COUNTRIES = "#ISO\tISO3\n" + "\t".join(["ES", "ESP", "724", "SP", "Spain", "Madrid", "1", "2", "EU", ".es", "EUR", "Euro",
                                        "34", "#####", "^x$", "es", "1", "AD", ""]) + "\n"
REGIONS = "ES.29\tComunidad de Madrid\tMadrid\t3117732\n"
PLACES = "\n".join([
    "3117735\tMadrid\tMadrid\tMadri,Madrit,Мадрид,马德里\t40.4165\t-3.70256\tP\tPPLC\tES\t\t29\tM\t28079\t\t3255944\t\t665\tEurope/Madrid\t2024-01-01",
    "3121424\tGetafe\tGetafe\tXetafe\t40.30571\t-3.73295\tP\tPPL\tES\t\t29\tM\t28065\t\t170115\t\t623\tEurope/Madrid\t2024-01-01",
    "6299347\tMadrid-Barajas\tMadrid-Barajas\tMAD\t40.49\t-3.57\tS\tAIRP\tES\t\t29\tM\t28079\t\t0\t\t610\tEurope/Madrid\t2024-01-01",
]) + "\n"


def run_import(sextant_bin, output, *args):
    return subprocess.run([sextant_bin, "geocode", "import", "-o", output, *args], capture_output=True, text=True,
                          timeout=300)


def ask(server, q, **params):
    reply = requests.get(server.url("/search/"), params={"q": q, **params}, timeout=10)
    assert reply.status_code == 200, reply.text
    return reply.json()


def point(feature):
    lon, lat = feature["geometry"]["coordinates"]
    return lat, lon


@pytest.fixture(scope="module")
def mixed(sextant_bin, repo, tmp_path_factory):
    """France and Spain, each with its own attribution."""
    path = str(tmp_path_factory.mktemp("index") / "mixed.idx")
    done = run_import(sextant_bin, path, f"{repo}/data/france.ndjson.gz", "--source",
                      f"name=madrid,attribution={MADRID},licence=CC BY 4.0,language=es",
                      f"{repo}/data/spain-madrid.ndjson.gz")
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("query", [
    "Calle Mayor 18, Madrid",
    "C/ Mayor, nº 18, 3º izq, Madrid",
    "calle mayor 18 madrid",
    "18 calle mayor madrid",
    "c mallor 18, Madrid",
])
def test_a_spanish_address_as_it_is_written(sextant, mixed, query):
    server = sextant("geocode", "serve", "--index", mixed, "--listen", "127.0.0.1:0")
    answer = ask(server, query)
    assert point(answer["features"][0]) == pytest.approx((40.41635, -3.70663), abs=1e-4)
    assert answer["features"][0]["properties"]["housenumber"] == "18"


def test_each_answer_has_its_sources_attribution(sextant, mixed):
    server = sextant("geocode", "serve", "--index", mixed, "--listen", "127.0.0.1:0")
    spain, france = ask(server, "calle mayor 18 madrid", limit=1), ask(server, "34 avenue de l'opéra 75002", limit=1)
    assert (spain["attribution"], spain["licence"]) == (MADRID, "CC BY 4.0")
    assert (france["attribution"], france["licence"]) == ("BAN", "ETALAB-2.0")
    assert point(france["features"][0]) == pytest.approx((48.86866, 2.33338), abs=1e-4)
    for answer in (spain, france):
        assert "attribution" not in answer["features"][0]["properties"]
    both = ask(server, "santa maria", limit=100)
    scores = [f["properties"]["score"] for f in both["features"]]
    assert scores == sorted(scores, reverse=True)
    told = {f["properties"]["attribution"] for f in both["features"]}
    assert told == {"BAN", MADRID}
    assert both["attribution"] == f"BAN, {MADRID}"
    ids = [f["properties"]["id"] for f in both["features"]]
    assert len(ids) == len(set(ids))


def test_paris_from_csv_answers_as_from_ndjson(sextant, sextant_bin, repo, tmp_path):
    with gzip.open(f"{repo}/data/france.ndjson.gz", "rt", encoding="utf-8") as lines:
        paris = [line for line in lines if '"context":"75, Paris' in line]
    (tmp_path / "paris.ndjson").write_text("".join(paris), encoding="utf-8")
    csv_index, json_index = str(tmp_path / "csv.idx"), str(tmp_path / "json.idx")
    for index, file in ((csv_index, f"{repo}/data/paris-ban.csv.gz"), (json_index, str(tmp_path / "paris.ndjson"))):
        done = run_import(sextant_bin, index, file)
        assert done.returncode == 0, done.stderr
    servers = [sextant("geocode", "serve", "--index", i, "--listen", "127.0.0.1:0") for i in (csv_index, json_index)]
    for line in paris[40::400]:
        street = json.loads(line)
        number = next(iter(street["housenumbers"]), "") if "housenumbers" in street else ""
        one, other = (ask(s, f"{number} {street['name']} paris", limit=1)["features"][0] for s in servers)
        assert one["geometry"] == other["geometry"]
        for key in ("score", "importance"):  # the CSV has no populations
            one["properties"].pop(key)
            other["properties"].pop(key)
        assert one["properties"] == other["properties"]


def test_rows_of_a_street_may_stand_anywhere(sextant, sextant_bin, repo, tmp_path):
    with gzip.open(f"{repo}/data/paris-ban.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.reader(lines, delimiter=";"))
    head, body = rows[0], rows[1:3001]
    for name, order in (("one", body), ("other", body[::-1])):
        text = io.StringIO()
        csv.writer(text, delimiter=";", lineterminator="\n").writerows([head] + order)
        (tmp_path / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")
        done = run_import(sextant_bin, str(tmp_path / f"{name}.idx"), "--source", "name=paris",
                          str(tmp_path / f"{name}.csv"))
        assert "3000 house numbers" in done.stderr, done.stderr
    first, second = (sextant("geocode", "serve", "--index", str(tmp_path / f"{n}.idx"), "--listen", "127.0.0.1:0")
                     for n in ("one", "other"))
    for q in ("2 avenue du general lemonnier", "paris", "rue baillet 75001"):
        assert ask(first, q) == ask(second, q)


def test_geonames_with_the_names_of_its_regions(sextant, sextant_bin, tmp_path):
    for name, text in (("countryInfo.txt", COUNTRIES), ("admin1CodesASCII.txt", REGIONS), ("ES.txt", PLACES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    index = str(tmp_path / "places.idx")
    done = run_import(sextant_bin, index, *(str(tmp_path / n) for n in ("countryInfo.txt", "admin1CodesASCII.txt",
                                                                        "ES.txt")))
    assert done.returncode == 0 and "left out 1 rows" in done.stderr, done.stderr
    server = sextant("geocode", "serve", "--index", index, "--listen", "127.0.0.1:0")
    for query, name in (("madrid", "Madrid"), ("Мадрид", "Madrid"), ("xetafe", "Getafe")):
        answer = ask(server, query)
        assert answer["features"][0]["properties"]["name"] == name
        assert answer["features"][0]["properties"]["context"] == "Comunidad de Madrid, Spain"
        assert answer["attribution"] == "GeoNames" and answer["licence"] == "CC BY 4.0"
    turned = run_import(sextant_bin, index, str(tmp_path / "ES.txt"), str(tmp_path / "admin1CodesASCII.txt"))
    assert turned.returncode == 1 and "put this file first" in turned.stderr


def test_a_bad_row_is_named_or_passed_over(sextant_bin, tmp_path):
    file, index = tmp_path / "bad.csv", tmp_path / "bad.idx"
    file.write_text("id;nom_voie;lon;lat\na_b_1;Rue A;1;1\na_c_1;Rue B;east;1\n", encoding="utf-8")
    failed = run_import(sextant_bin, str(index), str(file))
    assert failed.returncode == 1 and f"{file}:3: byte 13: lon is no longitude" in failed.stderr
    assert not index.exists()
    done = run_import(sextant_bin, str(index), "--skip-bad", "1", str(file))
    assert done.returncode == 0 and "passed over 1 bad rows" in done.stderr and f"{file}:3" in done.stderr


@pytest.mark.parametrize("source, words", [
    ("language=xx", "language is fr, es, de or none"),
    ("atribution=BAN", "no key 'atribution'"),
    ("BAN", "KEY=VALUE"),
])
def test_a_wrong_source_is_told(sextant_bin, tmp_path, source, words):
    done = run_import(sextant_bin, str(tmp_path / "x.idx"), "--source", source, "whatever.csv")
    assert done.returncode == 2 and words in done.stderr
