"""The comparison of Nominatim's answers itself: what is the same counts as the same, and a change is seen."""
import copy
import os

import pytest

from lib import nominatim

DATA = os.path.join(os.path.dirname(__file__), "data", "nominatim")
# What no server can share with another, and what a path that does not exist answers.
UNSEEN = nominatim.IGNORED | {"id"}


@pytest.fixture(scope="module")
def records():
    return nominatim.load(os.path.join(DATA, "truth-400.ndjson.gz"))


def leaves(value, path=()):
    """The paths of all values that are neither objects nor lists."""
    if isinstance(value, (dict, list)):
        for at, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, path + (at,))
    else:
        yield path


def changed(body, path):
    """A copy in which one value is another."""
    whole = copy.deepcopy(body)
    inner = whole
    for at in path[:-1]:
        inner = inner[at]
    value = inner[path[-1]]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    inner[path[-1]] = value + 0.001 if number else "x" if value != "x" else "y"
    return whole


def answer_of(record):
    return nominatim.Answer(record["status"], record["type"], record["body"])


def test_an_answer_is_as_itself_in_every_format(records):
    assert not [(r["n"], o) for r in records for o in nominatim.compare(r, answer_of(r)) if not o.right]


def test_each_changed_value_is_seen(records):
    unseen = set()
    for record in records:
        if isinstance(record["body"], str) or "also" in record:
            continue
        for path in leaves(record["body"]):
            got = answer_of(record)._replace(body=changed(record["body"], path))
            if all(o.right for o in nominatim.compare(record, got)):
                unseen.add([at for at in path if isinstance(at, str)][-1])
    assert unseen <= UNSEEN


def test_each_changed_letter_of_an_xml_address_is_seen(records):
    seen = 0
    for record in records:
        if record["type"].startswith("text/xml") and "<country>" in record["body"]:
            got = answer_of(record)._replace(body=record["body"].replace("<country>", "<country>x", 1))
            wrong = [o.measure for o in nominatim.compare(record, got) if not o.right]
            assert wrong == ["address"], record["n"]
            seen += 1
    assert seen > 10


@pytest.mark.parametrize("name, want, got, same", [
    ("lat", "47.1392862", "47.1392863", True),
    ("lat", "47.1392862", "47.1392864", False),
    ("lat", "47.1392860", "47.139286", False),
    ("importance", 0.18667666666666663, 0.1867, True),
    ("importance", 0.18667666666666663, 0.187, False),
    ("place_rank", 30, 30.0, True),
    ("place_rank", 30, "30", False),
    ("isarea", True, 1, False),
    ("boundingbox", ["1.0000000", "2.0000000"], ["1.0000010", "2.0000000"], True),
    ("boundingbox", ["1.0000000", "2.0000000"], ["1.0000000"], False),
    ("geotext", "POINT(1.5 2)", "POINT(1.50000005 2)", True),
    ("geotext", "POINT(1.5 2)", "POINT(1.5,2)", False),
    ("display_name", "8;10, High Street", "10;8, High Street", True),
    ("display_name", "8;10, High Street", "8;11, High Street", False),
    ("name", "B;A", "A;B", False),
    ("address", {"road": "A", "town": "B"}, {"town": "B", "road": "A"}, True),
    ("address", {"road": "A"}, {"road": "A", "town": "B"}, False),
])
def test_tolerances(name, want, got, same):
    assert (not list(nominatim.differences({name: want}, {name: got}))) == same


def test_any_of_several_answers_is_right(records):
    record = next(r for r in records if "also" in r)
    for body in [record["body"], *record["also"]]:
        assert all(o.right for o in nominatim.compare(record, answer_of(record)._replace(body=body)))
