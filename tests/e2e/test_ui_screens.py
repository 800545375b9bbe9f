"""The main pages in Chromium, compared with reference pictures (lib/screens.py says how): the same hour of a
made-up shop, in both themes, wide and narrow. That the comparison fails for defects and for nothing else
is tested first, on doctored pictures."""
import json
import os
import re
import subprocess
import warnings

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from lib import screens
from lib.observe import NO_TRACES
from lib.screen_data import AT, PANELS, RANGE, TRACE, World
from lib.screens import Screen
from lib.service import Service

# name: (address, words that are there when it is shown, height when wide, height when narrow: 0 for not at all)
PAGES = {
    "home": (f"/?{RANGE}", ("stock", "1 alert firing", "moor"), 800, 800),
    "explore": (f"/explore?g0.expr=sum by (route) (rate(http_requests_total[5m]))&{RANGE}", ("/charge", "Mean"), 800, 900),
    "explore-table": (f"/explore?g0.expr=up&g0.tab=table&{RANGE}", ("job=stock",), 600, 0),
    "every-panel": (f"/d/every/every-panel?{RANGE}", ("Annotations", "Candles"), 2080, 2400),
    "node-exporter": (f"NODE?{RANGE}&refresh=off", ("CPU Basic", "Memory Basic", "moor"), 900, 900),
    "traces": (f"/traces?service=shop&{RANGE}", ("POST /order",), 900, 900),
    "trace": (f"/trace/{TRACE}?timezone=utc", ("stock/Reserve", "Charge"), 800, 800),
    "flame": (f"/trace/{TRACE}?view=flame&timezone=utc", ("Show its first span",), 700, 0),
    "alerts": (f"/alerts?{RANGE}", ("PaymentsFail", "StockDown", "DiskFull"), 800, 900),
    "targets": (f"/targets?{RANGE}", ("Connection refused",), 700, 700),
    "status": (f"/status?{RANGE}", ("Runtime", "observatory"), 600, 0),
}
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def world(sextant_bin, tmp_path_factory):
    made = World(sextant_bin, tmp_path_factory.mktemp("screens"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    from lib.browser import open_browser
    driver = open_browser(str(tmp_path_factory.mktemp("chromium")), *screens.FLAGS)
    screens.make_still(driver, AT * 1000)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def same_fonts(world, chromium):
    """Whether pictures can be compared; if not, it is said why and only structures are."""
    chromium.get(world.url + "/status")
    other = screens.other_fonts(chromium)
    if other:
        warnings.warn(f"screens: other fonts than the references', only the structure is compared: {other}")
    return not other


def compare(driver, url, name, width, height, words, same_fonts):
    faults = []
    for scheme in ("light", "dark"):
        screens.open_still(driver, url, width, height, scheme, words)
        faults.append(Screen(name, width, scheme).faults(*screens.shoot(driver), same_fonts))
    assert not any(faults), "\n".join(filter(None, faults))
    lines = driver.console()
    assert not lines, lines


# ---- the comparison itself: what it must find, and what it must not mind

def original(name="every-panel-1200-light"):
    path = os.path.join(screens.REFERENCES, f"{name}.png")
    return Image.open(path).convert("RGB")


def panel_box(title, name="every-panel-1200"):
    """Where a panel of the reference is, by its number in the dashboard."""
    number = 1 + [p[1] for p in PANELS].index(title)
    with open(os.path.join(screens.REFERENCES, f"{name}.json"), encoding="utf-8") as f:
        x, y, w, h = next(p[1:] for p in json.load(f) if re.match(rf"panel \S+ panel-{number} ", p[0]))
    return x, y, x + w, y + h


def inside(title, left, top, right, bottom):
    """A part of a panel, in pixels from its edges."""
    x, y, z, w = panel_box(title)
    return x + left, y + top, z - right, w - bottom


def replaced(image, box, colour, near, by, wide=90):
    """What has about that colour within the box gets another."""
    part = image.crop(box)
    pixels = [by if sum(abs(a - b) for a, b in zip(p, near)) < wide else p for p in part.get_flattened_data()]
    part.putdata(pixels)
    image.paste(part, box)
    assert colour in pixels
    return image


def blue_line_gone(image):
    box = inside("Requests", 70, 30, 8, 100)
    part = image.crop(box)
    white = (255, 255, 255)
    part.putdata([white if b > r + 12 else (r, g, b) for r, g, b in part.get_flattened_data()])
    image.paste(part, box)
    return image


def gauge_of_another_colour(image):
    return replaced(image, inside("Load", 8, 130, 160, 60), (55, 135, 45), (255, 120, 10), (55, 135, 45))


def stat_of_another_colour(image):
    return replaced(image, inside("Rates", 8, 130, 160, 8), (224, 47, 68), (255, 130, 20), (224, 47, 68), 120)


def painted(box, colour="white"):
    def paint(image):
        ImageDraw.Draw(image).rectangle(box(), fill=colour)
        return image
    return paint


def moved(box, dx, dy):
    def move(image):
        where = box()
        part = image.crop(where)
        ImageDraw.Draw(image).rectangle(where, fill="white")
        image.paste(part, (where[0] + dx, where[1] + dy))
        return image
    return move


def text_over_the_edge(image):
    x, y, z, w = panel_box("Notes")
    ImageDraw.Draw(image).text((z - 60, y + 90), "and so on without an end", fill="black", font_size=14)
    return image


def legend_row(title="Stacked bars"):
    x, y, z, w = panel_box(title)
    return x + 10, w - 34, z - 10, w - 8


DEFECTS = {
    "a panel is missing": painted(lambda: panel_box("Durations")),
    "a series is gone": blue_line_gone,
    "the value axis is gone": painted(lambda: inside("Requests", 2, 30, 248, 100)),
    "the time axis is gone": painted(lambda: inside("Candles", 50, 228, 4, 4)),
    "a legend is shifted": moved(legend_row, 14, 0),
    "a legend lies over the plot": moved(legend_row, 0, -24),
    "the legend is gone": painted(legend_row),
    "a threshold has another colour": gauge_of_another_colour,
    "a stat has another colour": stat_of_another_colour,
    "text runs over the edge": text_over_the_edge,
    "a badge is gone": painted(lambda: inside("Alerts", 6, 35, 230, 200)),
    "the other theme": lambda image: ImageOps.invert(image),
}


def letters_moved(image):
    """Every other line of what stands in the legends and titles is a pixel to the side."""
    for k, title in enumerate(("Requests", "Stacked bars", "Rates", "By route", "Notes", "Alerts")):
        x, y, z, w = panel_box(title)
        image = moved(lambda b=(x + 8, y + 8, z - 60, y + 30): b, 1 if k % 2 else -1, 0)(image)
    return image


NOISE = {
    "gamma": lambda image: image.point([round(255 * (v / 255) ** 1.06) for v in range(256)] * 3),
    "a profile of colours": lambda image: image.point([v for v in range(256)] + [max(0, v - 4) for v in range(256)] + [min(255, v + 4) for v in range(256)]),
    "softer letters": lambda image: image.filter(ImageFilter.GaussianBlur(0.6)),
    "harder letters": lambda image: image.filter(ImageFilter.UnsharpMask(radius=1, percent=60, threshold=0)),
    "letters a pixel aside": letters_moved,
    "everything a pixel lower": lambda image: ImageChops.offset(image, 0, 1),
    "a few wrong pixels": lambda image: painted(lambda: (400, 400, 407, 411), "red")(image),
}


@pytest.mark.parametrize("what", DEFECTS)
def test_a_defect_is_found(what):
    faults, _ = screens.picture_faults(original(), DEFECTS[what](original()))
    assert faults, what


@pytest.mark.parametrize("what", NOISE)
def test_another_rasterizer_is_not_minded(what):
    faults, _ = screens.picture_faults(original(), NOISE[what](original()))
    assert not faults, faults


def test_parts_of_the_page_must_be_where_they_were():
    before = [["h1 Home", 216, 10, 60, 26], ["legend", 20, 300, 400, 24], ["panel stat panel-2 ok", 20, 350, 400, 200]]

    def now(at, **new):
        return [[p[0] if i != at else new.get("name", p[0]), *(v + (new.get(k, 0) if i == at else 0) for k, v in zip("xywh", p[1:]))] for i, p in enumerate(before)]
    assert not screens.structure_faults(before, now(0, x=3, w=4))
    assert "panel stat panel-2 ok: h is 220, was 200" in screens.structure_faults(before, now(2, h=20))
    assert screens.structure_faults(before, now(1, y=9)) and screens.structure_faults(before, before[:2])
    assert screens.structure_faults(before, now(2, name="panel stat panel-2 error"))[0].startswith("parts of the page have gone")
    # With other fonts: what letters make wide may be wider, what they push down lower, and no panel may go.
    assert not screens.structure_faults(before, now(1, y=12, w=150), same_fonts=False)
    assert screens.structure_faults(before, now(2, w=60), same_fonts=False) and screens.structure_faults(before, before[1:], same_fonts=False)


# ---- the pages

@pytest.mark.parametrize("width", (1200, 360))
@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(world, chromium, same_fonts, name, width):
    path, words, wide, narrow = PAGES[name]
    height = wide if width == 1200 else narrow
    if height:
        compare(chromium, world.url + path.replace("NODE", world.node), name, width, height, words, same_fonts)


def test_sign_in_looks_as_it_did(sextant_bin, tmp_path, processes, chromium, same_fonts):
    folder = str(tmp_path)
    subprocess.run([sextant_bin, "observe", "users", "add", "ann", "--role", "admin", "--storage.tsdb.path", f"{folder}/data"],
                   input=PASSWORD + "\n", text=True, capture_output=True, timeout=20, check=True)
    for name, text in (("auth.yml", ""), ("none.yml", "scrape_configs: []\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    server = Service([sextant_bin, "observe", f"--config.file={folder}/none.yml", f"--storage.tsdb.path={folder}/data", f"--auth.config={folder}/auth.yml",
                      "--web.listen-address=127.0.0.1:0", *NO_TRACES], folder, name="observe")
    processes.append(server)
    server.start(10)
    for width in (1200, 360):
        compare(chromium, server.url("/login"), "login", width, 600, ("Sign in",), same_fonts)
