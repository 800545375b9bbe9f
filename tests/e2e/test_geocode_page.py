"""The geocoder's page in Chromium: searched by keyboard alone, clicked, narrowed to a phone, darkened,
cut off from its server, and given files. What the page draws is judged from the canvas and the DOM;
what it asks of the server from the server's own answers, or from a front before it that can be slow,
refuse or disappear."""
import csv
import email.parser
import email.policy
import io
import json
import threading
import urllib.parse

import pytest
import requests

from lib.page import CONTRAST, NAMES, Front, Page
from lib.wait import wait_for

By = Keys = None  # selenium's: slow to import, so only when a browser is wanted


@pytest.fixture(autouse=True)
def _selenium():
    global By, Keys
    from selenium.webdriver.common.by import By as by
    from selenium.webdriver.common.keys import Keys as keys
    By, Keys = by, keys


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    """France's index, made once."""
    import subprocess
    path = tmp_path_factory.mktemp("index") / "france.idx"
    subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/france.ndjson.gz"],
                   check=True, timeout=300)
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
def page(geocoder, browser):
    yield (made := Page(browser, geocoder.url("/")))
    made.quiet()


# ---- searching

def test_typing_shows_suggestions_and_the_keyboard_opens_one(page):
    page.open()
    labels = page.type("34 avenue de l'ope")
    assert any("34 Avenue de l'Opéra" in label for label in labels)
    q = page["q"]
    assert q.get_attribute("aria-expanded") == "true"
    q.send_keys(Keys.ARROW_DOWN)
    active = q.get_attribute("aria-activedescendant")
    assert page[active].get_attribute("aria-selected") == "true"
    q.send_keys(Keys.ENTER)
    page.wait_text("label", "34 Avenue de l'Opéra")
    assert page.options() == [] and q.get_attribute("aria-expanded") == "false"
    assert page.browser.switch_to.active_element == q
    assert "75002" in page.text("facts") and "score 0." in page.text("badges")
    assert "result_" not in page.text("properties") and "citycode" in page.text("properties")


def test_escape_closes_the_list_and_keeps_the_text(page):
    page.open()
    page.type("rue de la pai")
    page["q"].send_keys(Keys.ESCAPE)
    assert page.options() == [] and page["q"].get_attribute("value") == "rue de la pai"
    page["q"].send_keys(Keys.ARROW_UP)  # opens it again, at its end
    assert page.options() and page["q"].get_attribute("aria-activedescendant") == f"option-{len(page.options()) - 1}"


def test_enter_lists_the_results_and_each_can_be_opened(page):
    page.open()
    page["q"].send_keys("saint-denis", Keys.ENTER)
    wait_for(lambda: page.js("return document.querySelectorAll('#results button').length") > 3, 10, "results")
    first = page.text("label")
    second = page.browser.find_elements(By.CSS_SELECTOR, "#results button")[1]
    second.send_keys(Keys.ENTER)
    focused = "return document.activeElement.closest('#results li') !== null"
    assert page.js(focused), "the keyboard stays in the list"
    assert page.text("label") and page.state()["id"]
    current = page.browser.find_elements(By.CSS_SELECTOR, "#results [aria-current]")
    assert len(current) == 1 and first


def test_nothing_found_is_said_in_words(page):
    page.open()
    page["q"].send_keys("qzxwvkjq", Keys.ENTER)
    page.wait_text("status", "Nothing found for “qzxwvkjq”")


def test_filters_go_with_the_question(page):
    page.open()
    page["filters"].find_element(By.TAG_NAME, "summary").click()
    page["postcode"].send_keys("75002")
    page["q"].send_keys("rue de la paix", Keys.ENTER)
    page.wait_text("label", "Rue de la Paix 75002")
    page["postcode"].clear()
    page["postcode"].send_keys("69001", Keys.TAB)
    page.wait_text("filtered", "1 set")
    wait_for(lambda: "Rue de la Paix" not in page.text("label") or page["place"].get_property("hidden"), 10,
             "the street to go")
    assert page.state()["postcode"] == "69001"


def test_the_middle_of_the_map_is_preferred_on_request(front, browser):
    page = Page(browser, front.url).open("#map=15.00/48.86900/2.33200&near=1")
    wait_for(lambda: page.state().get("near") == "1", 10, "the permalink to be read")
    page["q"].send_keys("rue de la paix", Keys.ENTER)
    page.wait_text("label", "Rue de la Paix")
    asked = [a for a in front.asked if a.startswith("/search/")][-1]
    assert "lat=48.8690" in asked and "lon=2.3320" in asked


def test_a_late_answer_does_not_replace_a_newer_one(front, browser):
    held = threading.Event()

    def slow(handler, path, body):
        if path.startswith("/search/") and "q=lyon&" in path:
            held.wait(20)

    front.answer = slow
    page = Page(browser, front.url).open()
    page["q"].send_keys("lyon")
    wait_for(lambda: any("q=lyon&" in a for a in front.asked), 10, "the first question")
    page["q"].send_keys(Keys.CONTROL, "a")
    page["q"].send_keys("marseille")
    wait_for(lambda: any("Marseille" in o for o in page.options()), 10, "the second answer")
    held.set()
    wait_for(lambda: not any("Lyon" in o for o in page.options()), 1)
    assert any("Marseille" in o for o in page.options())


# ---- more than Addok finds, and why

def test_more_is_found_on_request_and_a_link_remembers_it(page):
    page.open()
    page["q"].send_keys("opera avenue 34 paris", Keys.ENTER)
    page.wait_text("label", "Avenue de l'Opéra")
    assert not page.text("label").startswith("34")
    page["filters"].find_element(By.TAG_NAME, "summary").click()
    page["better"].send_keys(Keys.SPACE)
    page.wait_text("label", "34 Avenue de l'Opéra")
    wait_for(lambda: page.state().get("better") == "1", 10, "the permalink")
    page.wait_text("filtered", "1 set")


def test_a_house_number_between_two_others_is_marked(page):
    page.open("#q=40+avenue+de+l%27opera+75002+paris&better=1")  # 38 is the last on its side, 41 is there
    page.wait_text("label", "40 Avenue de l'Opéra")
    page.wait_text("badges", "between two house numbers")


@pytest.mark.parametrize("width", [360, 1200])
def test_an_answer_is_explained_by_the_keyboard(page, width):
    page.open("#q=34+bd+ponyatowsky+75013+paris&better=1", width=width, height=760)
    page.wait_text("label", "Boulevard Poniatowski")
    page["why"].find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    page.wait_text("explain", "other postcode")
    rows = page.js("return [...document.querySelectorAll('#explain tbody tr')].map(r => [...r.children].map(c => c.textContent))")
    assert any(r[0].startswith("ponyatowsky") and r[1] == "poniatowski" for r in rows), rows
    points = page.js("return [...document.querySelectorAll('#explain .parts .score')].map(x => Number(x.textContent))")
    told = float(page.js("return document.querySelector('#explain h3').textContent").split()[-1])
    assert len(points) == 3 and abs(sum(points) - told) < 0.002
    widths = page.js("const s = document.querySelector('.stack');"
                     "return [...s.children].map(x => x.getBoundingClientRect().width / s.clientWidth)")
    assert all(abs(w - p) < 0.02 for w, p in zip(widths, points)), (widths, points)
    assert page.js("return document.documentElement.scrollWidth") == width


# ---- the map

def test_the_whole_of_the_data_is_seen_at_first(page):
    for width, height in ((1280, 800), (360, 740)):
        page.open(width=width, height=height)
        page.wait_drawn()
        wait_for(lambda: page.state().get("map"), 10, "the first view")
        zoom, lat, lon = map(float, page.state()["map"].split("/"))
        # Dunkerque to Perpignan, Brest to Bastia, in what of the canvas nothing covers.
        seen = page.js("const c = document.getElementById('map'), s = document.getElementById('sheet');"
                       "return [c.clientWidth, c.clientHeight - (innerWidth < 760 ? s.offsetHeight : 0)]")
        degrees = 360 / (256 * 2 ** zoom)
        assert lon - seen[0] / 2 * degrees < -4.5 and lon + seen[0] / 2 * degrees > 9.4, (width, zoom, lon)
        assert abs(lat - 46.5) < 1.5 and seen[1] * degrees * 0.69 > 8.6, (width, zoom, lat)


def test_a_click_on_the_map_names_the_address(page):
    page.open("#map=18.00/48.86866/2.33338")
    page.wait_drawn()
    canvas = page["map"]
    from selenium.webdriver.common.action_chains import ActionChains
    ActionChains(page.browser).move_to_element(canvas).click().perform()
    page.wait_text("label", "34 Avenue de l'Opéra")
    assert page.state()["at"].startswith("48.8686")


def test_arrow_keys_move_the_cross_and_enter_names_the_address(page):
    page.open("#map=18.00/48.86866/2.33338")
    page.wait_drawn()
    before = page.state().get("map")
    page["home"].send_keys(Keys.SHIFT, Keys.TAB)  # by the keyboard, so that the cross is shown
    page.js("document.getElementById('map').focus()")
    canvas = page["map"]
    canvas.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ENTER)
    page.wait_text("label", "34 Avenue de l'Opéra")
    canvas.send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP, "+")
    wait_for(lambda: page.state().get("map") not in (None, before), 10, "the map to move")


def test_a_link_brings_back_what_was_seen(page):
    page.open()
    page["q"].send_keys("101 avenue des champs elysees paris", Keys.ENTER)
    page.wait_text("label", "101 Avenue des Champs")
    wait_for(lambda: page.state().get("map"), 10, "the permalink")
    page["in"].click()
    seen = page.state()
    wait_for(lambda: page.state()["map"] != seen["map"], 10, "the zoom in the permalink")
    fragment = page.js("return location.hash")
    page.open(fragment)
    page.wait_text("label", "101 Avenue des Champs")
    assert page.state() == {k: v[0] for k, v in urllib.parse.parse_qs(fragment[1:]).items()}
    assert page["q"].get_attribute("value").startswith("101")


def test_back_goes_to_the_place_before(page):
    page.open()
    for q, label in (("lyon", "Lyon"), ("marseille", "Marseille")):
        page["q"].clear()
        page["q"].send_keys(q, Keys.ENTER)
        page.wait_text("label", label)
    page.browser.back()
    page.wait_text("label", "Lyon")


# ---- all kinds of eyes, hands and networks

def test_a_phone_scrolls_nothing_sideways(page):
    for fragment in ("", "#q=saint-denis", "#q=34+avenue+de+l%27opera+paris"):
        page.open(fragment, width=360, height=740)
        page.wait_drawn(500)
        assert page.js("return document.documentElement.scrollWidth") == 360
        assert page.js("return document.documentElement.scrollHeight") <= 740
    small = page.js("""return [...document.querySelectorAll('button, input, select, summary, .actions a')]
        .filter(e => e.offsetParent && !e.closest('label.check, .drop'))
        .map(e => [e.id || e.textContent, e.offsetHeight, e.offsetWidth]).filter(([, h, w]) => h < 44 || w < 44)""")
    assert small == []


def test_nothing_jumps_while_the_page_comes_up(page):
    for fragment in ("", "#q=rue+de+la+paix"):
        page.open(fragment)
        page.wait_drawn(1000)
        shift = page.browser.execute_async_script(
            "const done = arguments[0]; let sum = 0;"
            "new PerformanceObserver(l => { for (const e of l.getEntries()) sum += e.value; })"
            ".observe({type: 'layout-shift', buffered: true}); requestAnimationFrame(() => setTimeout(() => done(sum), 50))")
        assert shift < 0.02, (fragment, shift)


def test_the_dark_scheme_is_dark(page):
    shots = {}
    for scheme in ("light", "dark"):
        page.open("#q=rue+de+la+paix", scheme=scheme)
        page.wait_text("label", "Rue de la Paix")
        page.wait_drawn(1000)
        shots[scheme] = page.js("return getComputedStyle(document.body).backgroundColor"), page.browser.get_screenshot_as_png()
    light, dark = ([int(n) for n in shots[s][0][4:-1].split(",")] for s in ("light", "dark"))
    assert sum(light) > 600 and sum(dark) < 120
    assert shots["light"][1] != shots["dark"][1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_roles_and_contrast_hold(page, scheme):
    page.open("#q=saint-denis", scheme=scheme)
    page.wait_text("label", "Saint-Denis")
    page["filters"].find_element(By.TAG_NAME, "summary").click()
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []
    page["q"].clear()
    page.type("rue de la paix")
    page["q"].send_keys(Keys.ARROW_DOWN)
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []
    page["tab-file"].click()
    assert page.js(CONTRAST) == [] and page.js(NAMES) == []


def test_the_tabs_are_reached_by_arrows(page):
    page.open()
    page["tab-search"].send_keys(Keys.ARROW_RIGHT)
    assert page.browser.switch_to.active_element == page["tab-file"]
    assert page["tab-file"].get_attribute("aria-selected") == "true" and page["file"].is_displayed()
    page["tab-file"].send_keys(Keys.HOME)
    assert page["search"].is_displayed() and not page["file"].is_displayed()


def test_refusals_and_silence_are_said_in_words(front, browser):
    page = Page(browser, front.url).open()
    page.wait_drawn()
    front.answer = lambda handler, path, body: (429, {"Retry-After": "7", "Content-Type": "text/plain"}, b"no")
    page["q"].send_keys("lyon", Keys.ENTER)
    page.wait_text("status", "wait 7 s")
    told = json.dumps({"title": "Missing parameter", "description": "The \"q\" parameter is required."}).encode()
    front.answer = lambda handler, path, body: (400, {"Content-Type": "application/json"}, told)
    page["q"].send_keys(Keys.ENTER)
    page.wait_text("status", "Missing parameter: The \"q\" parameter is required.")
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions",
                            {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    page.wait_text("status", "You are offline")
    browser.execute_cdp_cmd("Network.emulateNetworkConditions",
                            {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    front.answer = lambda handler, path, body: None
    page["q"].send_keys(Keys.ENTER)
    page.wait_text("label", "Lyon")


def test_the_page_is_small_and_runs_nothing_foreign(geocoder):
    reply = requests.get(geocoder.url("/"), headers={"Accept": "text/html", "Accept-Encoding": "gzip"}, timeout=10,
                         stream=True)
    packed = reply.raw.read(decode_content=False)
    assert reply.headers["content-encoding"] == "gzip" and len(packed) < 60000
    html = requests.get(geocoder.url("/"), headers={"Accept": "text/html"}, timeout=10).text
    policy = html.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
    assert "unsafe" not in policy and "'sha256-" in policy
    assert " style=" not in html.split("<script>")[0] and " onclick=" not in html.split("<script>")[0]
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "") and "https://" not in html


def test_a_proxy_may_serve_it_under_a_path(front, browser):
    def under_maps(handler, path, body):
        if not path.startswith("/maps/"):
            return 404, {}, b""
        handler.path = path.removeprefix("/maps")
        return front.forward(handler, body)

    front.answer = under_maps
    page = Page(browser, front.url + "maps/").open()
    page["q"].send_keys("lyon", Keys.ENTER)
    page.wait_text("label", "Lyon")
    page.wait_drawn(500)
    assert all(a.startswith("/maps/") for a in front.asked), front.asked


def test_without_javascript_the_form_still_searches(geocoder, browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(geocoder.url("/"))
    browser.find_element(By.ID, "q").send_keys("lyon", Keys.ENTER)
    wait_for(lambda: "/search/?" in browser.current_url, 10, "the form's answer")
    assert '"Lyon"' in browser.page_source


# ---- CSV files

def csv_stub(geocoder):
    """Stands for /search/csv/ in a front where a test wants to see, refuse or hold its requests."""
    def answer(handler, path, body):
        if path not in ("/search/csv/", "/reverse/csv/"):
            return None
        head = b"Content-Type: " + handler.headers["content-type"].encode() + b"\r\n\r\n"
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        fields = [(p.get_param("name", header="content-disposition"), p.get_payload(decode=True).decode())
                  for p in form.iter_parts()]
        data, delimiter = dict(fields)["data"], dict(fields)["delimiter"]
        columns = [v for k, v in fields if k == "columns"]
        rows = list(csv.DictReader(io.StringIO(data, newline=""), delimiter=delimiter))
        out = io.StringIO()
        names = list(rows[0]) + ["latitude", "longitude", "result_label", "result_score", "result_id"]
        writer = csv.DictWriter(out, names, delimiter=delimiter)
        writer.writeheader()
        for row in rows:
            found = requests.get(geocoder.url("/search/"), timeout=10, params={
                "q": " ".join(row[c] for c in columns), "limit": 1, "autocomplete": 0}).json()["features"]
            if found:
                p = found[0]["properties"]
                lon, lat = found[0]["geometry"]["coordinates"]
                row |= {"latitude": lat, "longitude": lon, "result_label": p["label"], "result_score": p["score"],
                        "result_id": p["id"]}
            writer.writerow(row)
        return 200, {"Content-Type": "text/csv"}, out.getvalue().encode()
    return answer


ADDRESSES = """nom;adresse;cp;ville
Mairie;4 place du Louvre;75001;Paris
Opéra;8 rue Scribe;75009;Paris
"Un ""nom""
sur deux lignes";34 avenue de l'Opéra;75002;Paris
Nulle part;qzxwvkjq;;
"""


@pytest.fixture
def downloads(browser, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})

    def fetch(page):
        name = page["download"].get_attribute("download")
        page["download"].click()
        wait_for(lambda: (folder / name).exists(), 10, f"{name} in the downloads")
        return name, (folder / name).read_bytes()
    return fetch


def give(page, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    page["tab-file"].click()
    page["csv"].send_keys(str(path))
    wait_for(lambda: page.js("return !!document.getElementById('start')"), 10, "the columns")


def test_a_csv_file_is_looked_at_geocoded_and_taken_home(page, tmp_path, downloads):
    page.open()
    give(page, tmp_path, "adresses.csv", ADDRESSES.encode("cp1252"))
    assert page["encoding"].get_attribute("value") == "windows-1252"
    assert page["delimiter"].get_attribute("value") == ";"
    shown = page.text("file")
    assert "Opéra" in shown and "sur deux lignes" in shown
    chosen = page.js("return [...document.querySelectorAll('#columns input:checked')].map(x => x.value)")
    assert chosen == ["adresse", "cp", "ville"]
    page["start"].click()
    wait_for(lambda: page.js("return !!document.getElementById('download')"), 10, "the answer")
    assert "3 of 4 rows found" in page.text("summary") and "not found" in page.text("answer")
    assert "4 Place du Louvre 75001 Paris" in page.text("answer")
    name, content = downloads(page)
    assert name == "adresses.geocoded.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert [r["nom"].replace("\r", "") for r in rows] == ["Mairie", "Opéra", 'Un "nom"\nsur deux lignes', "Nulle part"]
    assert rows[2]["result_label"].startswith("34 Avenue de l'Opéra") and abs(float(rows[2]["latitude"]) - 48.86866) < 1e-4


def test_positions_in_columns_of_any_name_get_their_addresses(page, tmp_path, downloads):
    page.open()
    give(page, tmp_path, "points.tsv", b"id\tLatitude\tx\nopera\t48.868662\t2.333382\nsea\t0\t0\n")
    assert page["to-address"].is_selected() and page["delimiter"].get_attribute("value") == "\t"
    assert page["lat"].get_attribute("value") == "Latitude" and page["lon"].get_attribute("value") == "x"
    page["start"].click()
    wait_for(lambda: page.js("return !!document.getElementById('download')"), 10, "the answer")
    assert "1 of 2 rows found" in page.text("summary")
    _, content = downloads(page)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter="\t"))
    assert list(rows[0])[:3] == ["id", "Latitude", "x"]
    assert rows[0]["result_label"].startswith("34 Avenue de l'Opéra") and not rows[1]["result_label"]


def test_a_row_that_cannot_be_asked_fails_nothing(page, tmp_path):
    page.open()
    give(page, tmp_path, "long.csv", b"adresse\n" + b"rue " * 100 + b"\n8 rue Scribe 75009 Paris\n")
    page["start"].click()
    wait_for(lambda: page.js("return !!document.getElementById('download')"), 10, "the answer")
    assert "1 of 2 rows found" in page.text("summary")


def test_a_long_file_goes_in_pieces_and_each_row_comes_back_once(geocoder, front, browser, tmp_path, downloads):
    front.answer = csv_stub(geocoder)
    page = Page(browser, front.url).open()
    lines = [f'{n},"{n % 90 + 1} rue de\nVaugirard, {"x" * (n % 7)}"' for n in range(1200)]
    give(page, tmp_path, "long.csv", ("id,adresse\r\n" + "\r\n".join(lines)).encode())
    page["start"].click()
    wait_for(lambda: page.js("return !!document.getElementById('download')"), 60, "the answer")
    assert front.asked.count("/search/csv/") > 1
    _, content = downloads(page)
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert [r["id"] for r in rows] == [str(n) for n in range(1200)]
    assert rows[1199]["adresse"] == f'{1199 % 90 + 1} rue de\nVaugirard, {"x" * (1199 % 7)}'


def test_a_file_can_be_cancelled_and_what_is_done_kept(geocoder, front, browser, tmp_path):
    stub, going_on = csv_stub(geocoder), threading.Event()

    def hold_the_second(handler, path, body):
        if front.asked.count("/search/csv/") > 1 and path == "/search/csv/":
            going_on.wait(20)
        return stub(handler, path, body)

    front.answer = hold_the_second
    page = Page(browser, front.url).open()
    give(page, tmp_path, "c.csv", b"adresse\n" + b"8 rue Scribe 75009 Paris\n" * 1500)
    page["start"].click()
    page.wait_text("progress", "found")
    assert 0 < page.js("return document.querySelector('progress').value")
    page["cancel"].click()
    page.wait_text("status", "Cancelled.")
    assert "Download what is done" in page["download"].text
    going_on.set()


def test_what_is_wrong_with_a_file_is_said(geocoder, front, browser, tmp_path):
    page = Page(browser, front.url).open()
    refusal = json.dumps({"title": "Cannot found column 'x' in columns ['y']"}).encode()
    front.answer = lambda h, path, body: (400, {"Content-Type": "application/json"}, refusal) if "csv" in path else None
    give(page, tmp_path, "a.csv", b"adresse\n8 rue Scribe\n")
    page["start"].click()
    page.wait_text("status", "Stopped: Cannot found column 'x'")
    assert "Back to the columns" in page.text("file")
    give_again = [("open.csv", b'adresse,b\n"8 rue Scribe\n', "has no partner"), ("h.csv", b"adresse\n", "no rows")]
    for name, content, words in give_again:
        page.browser.find_element(By.XPATH, "//button[text()='Another file']").click()
        give(page, tmp_path, name, content)
        page["start"].click()
        page.wait_text("status", words)
    page.browser.find_element(By.XPATH, "//button[text()='Another file']").click()
    (tmp_path / "empty.csv").write_bytes(b"")
    page["csv"].send_keys(str(tmp_path / "empty.csv"))
    page.wait_text("status", "empty.csv is empty")


def test_a_busy_server_is_waited_for(geocoder, front, browser, tmp_path):
    stub = csv_stub(geocoder)

    def busy_once(handler, path, body):
        if path == "/search/csv/" and front.asked.count(path) == 1:
            return 429, {"Retry-After": "1"}, b""
        return stub(handler, path, body)

    front.answer = busy_once
    page = Page(browser, front.url).open()
    give(page, tmp_path, "a.csv", b"adresse\n8 rue Scribe 75009 Paris\n")
    page["start"].click()
    wait_for(lambda: "1 of 1 row found" in page.text("summary"), 10, "the answer after the wait")
