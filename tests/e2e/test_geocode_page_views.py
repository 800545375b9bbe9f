"""The geocoder's page in Nominatim's view: suggestions from Photon, outlines on the map, addresses by
their parts, the point under a click at the map's zoom; and the switch between the two views."""
import subprocess
import threading
import urllib.parse

import pytest

from lib.page import CONTRAST, NAMES, Front, Page
from lib.wait import wait_for

DOWN, ENTER, ESCAPE = "\ue015", "\ue007", "\ue00c"

# Pixels in which the outline's red shows.
RED = """const c = document.getElementById('map'); if (!c.width) return 0;
const g = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});
g.drawImage(c, 0, 0); const d = g.getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 150 && d[i + 1] < 80 && d[i + 2] < 80; return n"""


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
def front(geocoder):
    made = Front(geocoder.url(""))
    yield made
    made.close()


@pytest.fixture
def page(front, browser):
    made = Page(browser, front.url)
    made.front = front
    yield made
    made.quiet()


def switch(page, view):
    page.js("document.querySelector(`[name=view][value=${arguments[0]}]`).click()", view)


def asked(page, path):
    return [urllib.parse.parse_qs(a.partition("?")[2]) for a in page.front.asked if a.startswith(path)]


def test_a_place_is_shown_with_its_outline_parts_and_ranks(page):
    page.open("#q=vaduz&view=nominatim")
    page.wait_text("label", "Vaduz, Oberland")
    assert all(part in page.text("badges") for part in ("boundary: administrative", "rank 16", "importance 0.1"))
    facts = page.text("facts")
    assert all(part in facts for part in ("CountyOberland", "Postcode9490", "CountryLiechtenstein", "relation 1155956"))
    assert "OpenStreetMap contributors" in page.text("attribution")
    assert page["why"].get_property("hidden") and "place_rank" in page.text("properties")
    wait_for(lambda: page.js(RED) > 1000, 10, "the town's outline")
    outline = asked(page, "/nominatim/lookup")[-1]
    assert outline["polygon_geojson"] == ["1"] and 0 < float(outline["polygon_threshold"][0]) < 0.001
    switch(page, "addok")
    wait_for(lambda: page.js(RED) < 1000, 10, "the outline to go")
    page.wait_text("badges", "score")
    assert not page["why"].get_property("hidden")


def test_suggestions_are_photons_and_the_keyboard_chooses(page):
    page.open("#view=nominatim")
    labels = page.type("schloss vad")
    assert any("Schloss Vaduz" in label and "castle" in label for label in labels)
    q = page["q"]
    at = next(i for i, label in enumerate(labels) if "castle" in label)
    q.send_keys(*[DOWN] * (at + 1))
    active = q.get_attribute("aria-activedescendant")
    assert active == f"option-{at}" and page[active].get_attribute("aria-selected") == "true"
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []
    q.send_keys(ENTER)
    page.wait_text("label", "Schloss Vaduz")
    page.wait_text("badges", "historic: castle")
    assert page.options() == [] and page.state()["id"][0] in "NWR"
    assert asked(page, "/photon/api")[-1]["q"] == ["schloss vad"]
    page.js("document.getElementById('q').select()")
    page.type("landstr")
    q.send_keys(ESCAPE)
    assert page.options() == [] and q.get_attribute("value") == "landstr"


def test_typing_errors_are_forgiven(page):
    page.open("#view=nominatim")
    assert any("Triesenberg" in label for label in page.type("triesenbreg"))
    page["q"].send_keys(ENTER)
    page.wait_text("label", "Triesenberg")


def test_typing_on_asks_once_and_a_late_answer_is_dropped(page):
    held = threading.Event()

    def slow(handler, path, body):
        if path.startswith("/photon/api?q=schaan&"):
            held.wait(20)

    page.front.answer = slow
    page.open("#view=nominatim")
    page["q"].send_keys("schaan")
    wait_for(lambda: any(a.startswith("/photon/api?q=schaan&") for a in page.front.asked), 10, "the first question")
    page.js("document.getElementById('q').select()")
    page["q"].send_keys("balzers")
    wait_for(lambda: any("Balzers" in o for o in page.options()), 10, "the second answer")
    held.set()
    assert all("Schaan" not in o.partition(",")[0] for o in page.options())
    assert len(asked(page, "/photon/api")) < len("schaanbalzers"), "not each letter is a question"


def test_a_click_names_what_is_there_at_the_maps_zoom(page):
    from selenium.webdriver.common.action_chains import ActionChains
    for zoom, rank in ((10, 12), (12, 16), (18, 26)):
        page.open(f"#view=nominatim&map={zoom}.00/47.14100/9.52200")
        page.wait_drawn(300)
        ActionChains(page.browser).move_to_element(page["map"]).click().perform()
        page.wait_text("label", "Liechtenstein")
        shown = int(page.text("badges").split("rank ")[1].split("importance")[0])
        assert shown <= 16 if zoom < 18 else shown >= rank, (zoom, page.text("badges"))
        assert asked(page, "/nominatim/reverse")[-1]["zoom"] == [str(zoom)]
        assert page.state()["at"].startswith("47.14") and page.state()["view"] == "nominatim"


def test_the_switch_is_a_step_that_back_undoes(page):
    page.open("#q=vaduz")
    page.wait_text("badges", "score")
    switch(page, "nominatim")
    page.wait_text("badges", "rank 16")
    wait_for(lambda: page.state().get("view") == "nominatim", 10, "the view in the address bar")
    page.browser.back()
    page.wait_text("badges", "score")
    assert "view" not in page.state() and page.js("return document.querySelector('[value=addok]').checked")
    page.browser.forward()
    page.wait_text("badges", "rank 16")
    assert page.js("return document.querySelector('[value=nominatim]').checked")


def test_a_link_brings_back_a_chosen_suggestion(page):
    page.open("#q=something+else&view=nominatim&id=R1155956")
    page.wait_text("label", "Vaduz, Oberland")
    page.wait_text("facts", "relation 1155956")


def test_filters_are_the_views_own(page):
    page.open("#view=nominatim&layer=poi&countrycodes=li&q=vaduz+museum&near=1&map=14.00/47.14/9.52")
    wait_for(lambda: asked(page, "/nominatim/search"), 10, "the question")
    sent = asked(page, "/nominatim/search")[-1]
    assert sent["layer"] == ["poi"] and sent["countrycodes"] == ["li"] and sent["fuzzy"] == ["1"]
    west, south, east, north = (float(x) for x in sent["viewbox"][0].split(","))
    assert west < 9.52 < east and south < 47.14 < north
    page.wait_text("filtered", "3 set")
    page["filters"].find_element("tag name", "summary").click()
    assert page["layer"].is_displayed() and not page["postcode"].is_displayed()
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_legible(page, scheme):
    for fragment in ("#view=nominatim", "#view=nominatim&q=vaduz", "#view=nominatim&at=47.141,9.522"):
        page.open(fragment, width=360, height=740, scheme=scheme)
        page.wait_drawn(300)
        assert page.js("return document.documentElement.scrollWidth") == 360
        assert page.js("return document.documentElement.scrollHeight") <= 740
    page.wait_text("label", "Liechtenstein")
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []
    small = page.js("""return [...document.querySelectorAll('button, input, select, summary, .actions a')]
        .filter(e => e.offsetParent && !e.closest('label.check, .drop'))
        .map(e => [e.id || e.textContent, e.offsetHeight, e.offsetWidth]).filter(([, h, w]) => h < 44 || w < 44)""")
    assert small == []


def test_a_refusal_is_said_in_nominatims_words(page):
    page.open("#view=nominatim")
    page.front.answer = lambda handler, path, body: (
        400, {"Content-Type": "application/json"}, b'{"error":{"code":400,"message":"Not like this."}}')
    page["q"].send_keys("vaduz", ENTER)
    page.wait_text("status", "Not like this.")
    page.browser.console()  # the browser itself reports the status
