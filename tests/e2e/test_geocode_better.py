"""sextant geocode with better=1, its parts, and explain=1: over HTTP, in CSV files and in batches."""
import csv
import io
import subprocess

import pytest
import requests


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


def search(geocoder, q, **params):
    answer = requests.get(geocoder.url("/search/"), {"q": q, **params}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def first(geocoder, q, **params):
    features = search(geocoder, q, **params)["features"]
    return features[0]["properties"] if features else {}


@pytest.mark.parametrize("q, label, part", [
    ("opera avenue 34 paris", "34 Avenue de l'Opéra 75002 Paris", {"word_order": "1"}),
    ("12 rue vernierparis", "12 Rue Vernier 75017 Paris", {"split_join": "1"}),
    ("104 rue blanhe paris", "104 Rue Blanche 75009 Paris", {"typos": "1"}),
    ("40 avenue de l'opera 75002 paris", "40 Avenue de l'Opéra 75002 Paris", {"interpolate": "1"}),
])
def test_more_is_found_on_request_only(geocoder, q, label, part):
    for _ in range(2):  # the second answers come from the cache, each from its own entry
        assert first(geocoder, q).get("label") != label
        assert first(geocoder, q, better="1")["label"] == label
        assert first(geocoder, q, **part)["label"] == label


def test_an_interpolated_house_number_is_marked(geocoder):
    found = first(geocoder, "40 avenue de l'opera 75002 paris", better="1")
    assert found["interpolated"] is True and found["housenumber"] == "40" and found["type"] == "housenumber"
    assert "x" not in found  # that would be the street's
    assert "interpolated" not in first(geocoder, "38 avenue de l'opera 75002 paris", better="1")


def test_a_wrong_postcode_is_told_by_the_score(geocoder):
    right = first(geocoder, "34 avenue de l'opera 75002 paris", better="1")
    wrong = first(geocoder, "34 avenue de l'opera 75013 paris", better="1")
    assert right["id"] == wrong["id"] and 0.7 < wrong["score"] < right["score"] - 0.05


def test_reverse_goes_any_distance_on_request(geocoder):
    at_sea = {"lat": "47", "lon": "-20"}
    assert requests.get(geocoder.url("/reverse/"), at_sea, timeout=10).json()["features"] == []
    for part in ("better", "any_distance"):
        found = requests.get(geocoder.url("/reverse/"), {**at_sea, part: "1"}, timeout=10).json()["features"]
        assert found[0]["properties"]["distance"] > 1e6


def test_an_explanation_adds_up_and_changes_nothing_else(geocoder):
    for q in ("34 bd ponyatowsky 75013 paris", "lyon", "rue de la pai"):
        for better in ("0", "1"):
            plain = search(geocoder, q, better=better)
            told = search(geocoder, q, better=better, explain="1")
            assert {"normalise", "candidates"} <= told.pop("explain")["us"].keys()
            for f in told["features"]:
                why = f.pop("explain")
                assert abs(sum(p["points"] for p in why["score"]) - f["properties"]["score"]) < 1e-9
                assert why["label"] and why["tokens"]
            assert told == plain == search(geocoder, q, better=better)


@pytest.mark.parametrize("name, value", [("better", "2"), ("typos", "3"), ("typos", "x"), ("explain", "maybe"),
                                         ("interpolate", "-1"), ("any_distance", "far")])
def test_a_malformed_parameter_is_named(geocoder, name, value):
    for path, asked in (("/search/", {"q": "lyon"}), ("/reverse/", {"lat": "48", "lon": "2"})):
        answer = requests.get(geocoder.url(path), {**asked, name: value}, timeout=10)
        assert answer.status_code == 400 and f'"{name}"' in answer.json()["description"]


def rows(text):
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))


def test_files_are_answered_better_on_request(geocoder, sextant_bin, index, tmp_path):
    table = "a,b\nopera avenue 34 paris,1\n104 rue blanhe paris,2\n"
    form = {"columns": "a", "delimiter": ","}
    plain, better, part = (
        requests.post(geocoder.url("/search/csv/"), {**form, **more}, files={"data": ("a.csv", table)}, timeout=10)
        for more in ({}, {"better": "1"}, {"typos": "2"}))
    assert [r["result_housenumber"] for r in rows(plain.text)] != ["34", "104"]
    assert [r["result_housenumber"] for r in rows(better.text)] == ["34", "104"]
    assert rows(part.text)[1]["result_housenumber"] == "104"
    bad = requests.post(geocoder.url("/search/csv/"), {**form, "typos": "9"}, files={"data": ("a.csv", table)}, timeout=10)
    assert bad.status_code == 400 and '"typos"' in bad.json()["description"]
    source = tmp_path / "a.csv"
    source.write_text(table, encoding="utf-8")
    batch = [sextant_bin, "geocode", "batch", "--index", index, "--columns", "a", source]
    got = {flag: subprocess.run([*batch, *flag], check=True, capture_output=True, text=True, timeout=60).stdout
           for flag in ((), ("--better",))}
    assert [r["result_housenumber"] for r in rows(got[("--better",)])] == ["34", "104"]
    assert [r["result_housenumber"] for r in rows(got[()])] != ["34", "104"]


def test_bench_tells_what_it_costs(sextant_bin, index, tmp_path):
    queries = tmp_path / "queries"
    queries.write_text("34 avenue de l'opera 75002 paris\nopera avenue 34 paris\n", encoding="utf-8")
    out = subprocess.run([sextant_bin, "geocode", "bench", "--better", "--index", index, queries], check=True,
                         capture_output=True, text=True, timeout=60).stdout
    assert "better not needed: 1 queries" in out and "better needed: 1 queries" in out
    assert out.splitlines()[-1].endswith("queries/s")
