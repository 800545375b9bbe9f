"""The geocoder's page in a browser, and a server that stands between the two."""
import http.server
import threading
import urllib.error
import urllib.parse
import urllib.request

from .wait import wait_for


class Front:
    """A server before the geocoder that passes everything on, unless `answer` (a function of the
    request handler, its path and its body) gives (status, headers, body) itself."""

    def __init__(self, behind):
        front = self
        self.behind = behind
        self.answer = lambda handler, path, body: None
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                front.asked.append(self.path)
                status, headers, reply = front.answer(self, self.path, body) or front.forward(self, body)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply)))
                    self.end_headers()
                    self.wfile.write(reply)
                except OSError:
                    pass  # the page has given the request up

            do_GET = do_POST = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def forward(self, handler, body):
        keep = ("accept", "content-type")
        headers = {k: v for k, v in handler.headers.items() if k.lower() in keep}
        request = urllib.request.Request(self.behind + handler.path, body or None, headers, method=handler.command)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, {"Content-Type": reply.headers.get("content-type", "")}, reply.read()
        except urllib.error.HTTPError as e:
            return e.code, {"Content-Type": e.headers.get("content-type", "")}, e.read()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Page:
    """The page in a browser, with its parts by their ids."""

    def __init__(self, browser, url):
        self.browser, self.url = browser, url

    def open(self, hash_="", width=1280, height=800, scheme="light"):
        b = self.browser
        b.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                          {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700})
        b.execute_cdp_cmd("Emulation.setEmulatedMedia",
                          {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        b.get("about:blank")
        b.get(self.url + hash_)
        return self

    def __getitem__(self, id_):
        return self.browser.find_element("id", id_)

    def js(self, code, *args):
        return self.browser.execute_script(code, *args)

    def text(self, id_):
        return self.js("return document.getElementById(arguments[0])?.textContent ?? ''", id_)

    def options(self):
        return self.js("return [...document.querySelectorAll('#options:not([hidden]) li')].map(x => x.textContent)")

    def type(self, text):
        self["q"].send_keys(text)
        return wait_for(self.options, 10, f"suggestions for {text!r}")

    def wait_text(self, id_, part):
        wait_for(lambda: part in self.text(id_), 10, f"{part!r} in #{id_}, which has {self.text(id_)!r}")

    def drawn(self):
        """How many pixels of the map are painted. Read from a copy: to be read often would turn the
        map's own canvas into another kind of canvas."""
        return self.js("const c = document.getElementById('map'); if (!c.width) return 0;"
                       "const g = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});"
                       "g.drawImage(c, 0, 0); const d = g.getImageData(0, 0, c.width, c.height).data;"
                       "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n")

    def wait_drawn(self, least=3000):
        wait_for(lambda: self.drawn() > least, 10, "the map to be drawn")

    def state(self):
        fragment = self.js("return location.hash").lstrip("#")
        return {k: v[0] for k, v in urllib.parse.parse_qs(fragment).items()}

    def quiet(self):
        lines = self.browser.console()
        assert not lines, lines


# What is hard to read, and what has no name for a screen reader: lists, empty if all is well.
CONTRAST = """
const lum = c => { const v = c.map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
                   return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const rgb = s => (s.match(/[\\d.]+/g) || []).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                        if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
const bad = [];
for (const e of document.querySelectorAll('body *')) {
  if (!e.offsetParent || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  const a = lum(rgb(getComputedStyle(e).color)), b = lum(ground(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) bad.push([e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
}
return bad;"""

NAMES = """
const bad = [], ids = new Set();
for (const e of document.querySelectorAll('[id]')) { if (ids.has(e.id)) bad.push('twice: ' + e.id); ids.add(e.id); }
for (const e of document.querySelectorAll('input, select, textarea'))
  if (!e.labels.length && !e.getAttribute('aria-label')) bad.push('no label: ' + e.outerHTML.slice(0, 80));
for (const e of document.querySelectorAll('button, a[href]'))
  if (!(e.textContent.trim() || e.getAttribute('aria-label'))) bad.push('no name: ' + e.outerHTML.slice(0, 80));
for (const name of ['aria-controls', 'aria-labelledby', 'aria-activedescendant'])
  for (const e of document.querySelectorAll(`[${name}]`))
    for (const id of e.getAttribute(name).split(' ')) if (!document.getElementById(id)) bad.push(`${name}: ${id}`);
for (const e of document.querySelectorAll('[role=listbox] > *')) if (e.getAttribute('role') !== 'option') bad.push('option');
if (document.querySelectorAll('h1').length !== 1) bad.push('h1');
if (!document.querySelector('main') || !document.documentElement.lang) bad.push('main, lang');
return bad;"""
