"""Screenshots compared with reference pictures, so that a real defect fails and another rasterizer passes.

A picture is judged by the means of its blocks of 8 x 8 pixels: letters that are drawn a little bolder, or a
pixel to the side, hardly change a mean; a line that has gone, a wrong colour or a shifted legend do. A block
is off if it differs from the reference at every shift of a pixel; a picture is wrong if blocks that are off
lie together, or are too many. Beside it stands the structure: where headings, panels, legends and tables are.
Both lie in tests/e2e/screens: NAME-WIDTH-SCHEME.png and NAME-WIDTH.json.

    make_still(browser, at_ms)  # once: the page's clock stands
    open_still(browser, url, 1200, 800, "light", words)
    Screen("home", 1200, "light").faults(*shoot(browser), same_fonts=not other_fonts(browser))  # text, or nothing

A failure leaves reference, actual picture and difference beside each other in build/e2e/screens.
SEXTANT_SCREENS=accept takes what is shown as the new reference (`make screens`).
"""
import io
import json
import os

from PIL import Image, ImageChops, ImageDraw, ImageOps

from .wait import SLOWER

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
REFERENCES = os.path.join(ROOT, "tests", "e2e", "screens")
FAILURES = os.path.join(ROOT, "build", "e2e", "screens")
ACCEPT = os.environ.get("SEXTANT_SCREENS") == "accept"

BLOCK = 8  # pixels
SHIFT = 1  # pixels to every side at which a block may agree
LUMA_OFF = 12  # of 255: a block's mean light
CHROMA_OFF = 7  # of 255: its mean colour, which hardly depends on how letters are drawn
TOGETHER_MAX = 4  # blocks that are off and touch
SHARE_MAX = 0.004  # of all blocks
BOX_OFF = 5  # pixels: where a part of the page may be
BOX_OFF_FONTS = 40  # the same with other fonts, for parts whose width letters do not make
FONTS_OFF = 0.004  # of a text's width: beyond it the fonts are others
COLOURS = 255  # of a reference's palette
COLOURS_KEPT = 150  # of them the picture's commonest, as they are; the rest stand for all others


# Letters as they are measured, not as a screen's pixels would have them, and plain colours.
FLAGS = ("--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb", "--hide-scrollbars")


# ---- two pictures

def widened(image):
    """The picture with its edge repeated outside, so that it can be looked at a little beside itself."""
    w, h = image.size
    wide = ImageOps.expand(image, SHIFT)
    wide.paste(image.crop((0, 0, w, 1)), (SHIFT, 0))
    wide.paste(image.crop((0, h - 1, w, h)), (SHIFT, h + SHIFT))
    wide.paste(wide.crop((SHIFT, 0, SHIFT + 1, h + 2)), (0, 0))
    wide.paste(wide.crop((w, 0, w + 1, h + 2)), (w + SHIFT, 0))
    return wide


def unlike(reference, actual):
    """A picture of a pixel a block: how much of what is allowed its mean is off, 100 being all of it."""
    w, h = reference.size
    means = reference.convert("RGB").convert("YCbCr").reduce(BLOCK)
    wide = widened(actual.convert("RGB").convert("YCbCr"))
    scales = [[min(255, v * 100 // most) for v in range(256)] for most in (LUMA_OFF, CHROMA_OFF, CHROMA_OFF)]
    least = None
    for dx in range(2 * SHIFT + 1):
        for dy in range(2 * SHIFT + 1):
            off = ImageChops.difference(means, wide.reduce(BLOCK, (dx, dy, dx + w, dy + h))).point(sum(scales, []))
            y, cb, cr = off.split()
            worst = ImageChops.lighter(y, ImageChops.lighter(cb, cr))
            least = worst if least is None else ImageChops.darker(least, worst)
    return least


def groups(off):
    """Blocks that are off, as lists of (x, y) that touch each other, the largest first."""
    w, h = off.size
    left = {(i % w, i // w) for i, v in enumerate(off.tobytes()) if v > 100}
    out = []
    while left:
        group, edge = [], [left.pop()]
        while edge:
            x, y = edge.pop()
            group.append((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            edge += near
        out.append(group)
    return sorted(out, key=len, reverse=True)


def box_of(group):
    xs, ys = zip(*group)
    return (min(xs) * BLOCK, min(ys) * BLOCK, (max(xs) + 1) * BLOCK, (max(ys) + 1) * BLOCK)


def picture_faults(reference, actual):
    """What is wrong with a picture, as (text, groups of blocks)."""
    if reference.size != actual.size:
        return [f"the picture is {actual.size}, its reference {reference.size}"], []
    found = groups(unlike(reference, actual))
    blocks = sum(map(len, found))
    whole = (actual.size[0] // BLOCK) * (actual.size[1] // BLOCK)
    faults = [f"{len(g)} blocks differ within {box_of(g)}" for g in found if len(g) > TOGETHER_MAX][:5]
    if blocks > SHARE_MAX * whole:
        faults.append(f"{blocks} of {whole} blocks differ, {int(SHARE_MAX * whole)} may")
    return faults, found


def beside(reference, actual, found):
    """Reference, actual picture, and where they differ."""
    marked = Image.blend(actual.convert("RGB"), Image.new("RGB", actual.size, "white"), 0.6)
    draw = ImageDraw.Draw(marked)
    for group in found:
        for x, y in group:
            draw.rectangle((x * BLOCK, y * BLOCK, (x + 1) * BLOCK - 1, (y + 1) * BLOCK - 1), outline="red", fill="#ffb0a0")
        if len(group) > TOGETHER_MAX:
            a, b, c, d = box_of(group)
            draw.rectangle((a - 4, b - 4, c + 3, d + 3), outline="red", width=2)
    pictures = [reference.convert("RGB"), actual.convert("RGB"), marked]
    out = Image.new("RGB", (sum(p.size[0] for p in pictures) + 20, max(p.size[1] for p in pictures)), "magenta")
    x = 0
    for p in pictures:
        out.paste(p, (x, 0))
        x += p.size[0] + 10
    return out


# ---- two structures: [[what, x, y, width, height]...] in the page's order

# Headings and links are as wide as their letters: with other fonts only their places count.
OF_LETTERS = ("h1", "h2", "h3", "legend")


def structure_faults(reference, actual, same_fonts=True):
    """What is where it should not be. With other fonts the order must be the same, and sizes about."""
    before, now = [p[0] for p in reference], [p[0] for p in actual]
    if before != now:
        gone = [n for n in before if n not in now]
        new = [n for n in now if n not in before]
        return [f"parts of the page have gone: {gone}, are new: {new}" if gone or new else "parts of the page stand in another order"]
    most = BOX_OFF if same_fonts else BOX_OFF_FONTS
    faults = []
    for (what, *old), (_, *new) in zip(reference, actual):
        pairs = list(zip("xywh", old, new))
        if not same_fonts and what.split(" ")[0] in OF_LETTERS:
            pairs = pairs[:2]
        faults += [f"{what}: {name} is {b}, was {a}" for name, a, b in pairs if abs(a - b) > most]
    return faults[:8]


# ---- the browser

# Its clock stands at the moment given, requests under way are counted, nothing blinks.
STILL = """
const At = %d, Own = Date;
Date = class extends Own { constructor(...a) { if (a.length) super(...a); else super(At); } static now() { return At; } };
let asked = 0;
const ask = window.fetch;
window.fetch = (...a) => { asked++; return ask(...a).then((r) => {
  const read = (name) => { const own = r[name].bind(r); r[name] = () => { asked++; return own().finally(() => asked--); }; };
  ['json', 'text', 'arrayBuffer', 'blob'].forEach(read);
  return r; }).finally(() => setTimeout(() => asked--)); };
window.underWay = () => asked;
window.changes = 0;
document.addEventListener('DOMContentLoaded', () => {
  new MutationObserver(() => window.changes++).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('* { caret-color: transparent !important; scrollbar-width: none !important; } .facts .loaded, .figures { visibility: hidden !important; }');
  document.adoptedStyleSheets.push(sheet);
});
"""

# Until nothing is under way, everything is drawn, and some frames have come and gone without a change.
READY = """
const done = arguments[arguments.length - 1], words = arguments[0], frames = 4;
let before = -1, calm = 0;
const shown = (e) => { const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; };
const why = () => {
  if (document.fonts.status !== 'loaded') return 'fonts';
  if (window.underWay() > 0) return `${window.underWay()} requests under way`;
  if ([...document.querySelectorAll('.loading, [data-panel-state=loading], .plot[data-drawn=no], .plot:not([data-drawn])')].some(shown)) return 'something loads';
  if (document.querySelector('[data-editor=loading]')) return 'the editor loads';
  const text = document.querySelector('#app').innerText;
  const missing = words.filter((w) => !text.includes(w));
  return missing.length ? `without ${missing}` : '';
};
const end = performance.now() + arguments[1] * 1000;
const look = () => {
  const reason = why();
  calm = !reason && window.changes === before ? calm + 1 : 0;
  before = window.changes;
  if (calm >= frames) return done('');
  if (performance.now() > end) return done(reason || 'it goes on changing');
  requestAnimationFrame(look);
};
look();
"""

STRUCTURE = """
const out = [], seen = {};
const name = (e) => {
  if (e.dataset.panelKey) return `panel ${e.dataset.panelType} ${e.dataset.panelKey} ${e.dataset.panelState}`;
  const kind = e.classList.contains('plot') ? 'plot' : e.classList.contains('legend') ? 'legend' : e.localName;
  return /^h\\d/.test(kind) ? `${kind} ${e.innerText.trim().slice(0, 40)}` : kind;
};
for (const e of document.querySelectorAll('nav, header, h1, h2, h3, table, form, [data-panel-key], .plot, .legend, [role=tablist], .card')) {
  const r = e.getBoundingClientRect();
  if (!e.checkVisibility({visibilityProperty: true, opacityProperty: true}) || r.width < 4 || r.bottom <= 0 || r.top >= innerHeight || r.right <= 0) continue;
  out.push([name(e), Math.round(r.x), Math.round(r.y), Math.round(r.width), Math.round(r.height)]);
}
return out;
"""

FONTS = """
const c = document.createElement('canvas').getContext('2d'), out = {};
const mono = getComputedStyle(document.documentElement).getPropertyValue('--mono');
for (const [name, font] of Object.entries({text: getComputedStyle(document.body).font, bold: getComputedStyle(document.body).font.replace(/^/, '650 '), mono: `12.5px ${mono}`})) {
  c.font = font;
  out[name] = Math.round(c.measureText('Sphinx of black quartz, judge my vow: 0123456789 ÄÖ – %/()').width * 100) / 100;
}
return out;
"""


def make_still(browser, at_ms):
    """From the next page on: a clock that stands, and no motion."""
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": STILL % at_ms})
    browser.set_script_timeout(60 * SLOWER)


def open_still(browser, url, width, height, scheme, words, seconds=50):
    """The page when it has come to rest."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]})
    browser.get(url)
    reason = browser.execute_async_script(READY, list(words), seconds * SLOWER)
    assert not reason, f"{url} did not come to rest: {reason}"


def shoot(browser):
    """(picture, structure)"""
    structure = browser.execute_script(STRUCTURE)
    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB"), structure


def fonts_path():
    return os.path.join(REFERENCES, "fonts.json")


def other_fonts(browser):
    """What is different about the fonts here, as text; empty if the references can be compared as pictures."""
    now = browser.execute_script(FONTS)
    if ACCEPT:
        write_json(fonts_path(), now)
    with open(fonts_path(), encoding="utf-8") as f:
        before = json.load(f)
    off = {k: (v, now[k]) for k, v in before.items() if abs(now[k] - v) > FONTS_OFF * v}
    return ", ".join(f"a line of {k} is {b} px wide, was {a}" for k, (a, b) in off.items())


def write_json(path, what):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = json.dumps(what, ensure_ascii=False)
    if isinstance(what, list):  # a part a line: differences can be read
        text = "[\n" + ",\n".join(json.dumps(p, ensure_ascii=False) for p in what) + "\n]"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")


def with_palette(picture):
    """The picture in few colours, so that it is a small file: backgrounds keep theirs exactly."""
    colours = [c for _, c in sorted(picture.getcolors(2 ** 24), reverse=True)]
    own, rest = colours[:COLOURS_KEPT], colours[COLOURS_KEPT:]
    if rest:
        strip = Image.new("RGB", (len(rest), 1))
        strip.putdata(rest)
        more = strip.quantize(COLOURS - COLOURS_KEPT, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
        own = own + [tuple(more[i:i + 3]) for i in range(0, len(more), 3)][:COLOURS - COLOURS_KEPT]
    palette = Image.new("P", (1, 1))
    palette.putpalette([v for c in own + own[:1] * (256 - len(own)) for v in c])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


class Screen:
    def __init__(self, name, width, scheme):
        self.name = f"{name}-{width}-{scheme}"
        self.png = os.path.join(REFERENCES, f"{self.name}.png")
        self.json = os.path.join(REFERENCES, f"{name}-{width}.json")

    def accept(self, picture, structure):
        os.makedirs(REFERENCES, exist_ok=True)
        # What is as it was stays, byte for byte.
        if not os.path.exists(self.png) or picture_faults(Image.open(self.png), picture)[1] or Image.open(self.png).size != picture.size:
            with_palette(picture).save(self.png, optimize=True)
        write_json(self.json, structure)

    def faults(self, picture, structure, same_fonts=True):
        """What is wrong, as text; pictures of it are left behind. Empty: nothing."""
        if ACCEPT:
            self.accept(picture, structure)
        if not os.path.exists(self.png):
            return f"{self.name} has no reference: SEXTANT_SCREENS=accept makes one (make screens)"
        with open(self.json, encoding="utf-8") as f:
            faults = structure_faults(json.load(f), structure, same_fonts)
        reference, found = Image.open(self.png), []
        if same_fonts:
            more, found = picture_faults(reference, picture)
            faults += more
        if not faults:
            return ""
        os.makedirs(FAILURES, exist_ok=True)
        path = os.path.join(FAILURES, f"{self.name}.png")
        beside(reference, picture, found).save(path)
        picture.save(os.path.join(FAILURES, f"{self.name}.actual.png"))
        return f"{self.name}: " + "; ".join(faults) + f"\n  reference, actual, difference: {path}; if it should be so: make screens"
