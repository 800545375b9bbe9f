"""Compares answers of Nominatim's API: a server against recorded ones, or against another server.

A record is one request with its answer, as tests/e2e/data/nominatim/README.md describes it. Both answers
are brought into one shape first, whatever their format (JSON, GeoJSON, GeocodeJSON, XML, JSONP): a list of
places, each cut into sections (display_name, address, kind...), and what is left, the envelope. Then each
section of each place that is in both answers counts once, for or against.

What no server can share with another is left out: place ids, clocks, versions, the licence's wording and
echoes of the request. Coordinates must agree to 1e-7 degrees, boxes to 1e-6, importance to 1e-4.
"""
import collections
import gzip
import http.client
import json
import re
import urllib.parse
import xml.etree.ElementTree as xml

# The order of a report. `share` says for which the project has agreed to one.
MEASURES = ["status", "content type", "error", "first", "list", "reverse", "display_name", "address", "kind",
            "importance", "position", "box", "geometry", "names", "tags", "entrances", "other", "envelope"]

IGNORED = {"place_id", "parent_place_id", "timestamp", "indexed_date", "licence", "attribution", "querystring",
           "more_url", "exclude_place_ids", "software_version", "database_version", "data_updated"}
# Below these lie names and tags that mappers wrote, of which none is ours to leave out.
VERBATIM = {"extratags", "namedetails", "names", "addresstags", "extra"}

SECTION = {}
for section, members in {
        "object": "osm_type osm_id",
        "kind": "place_rank address_rank rank_address rank_search category class type addresstype osm_key "
                "osm_value admin_level isarea country_code",
        "display_name": "display_name label localname",
        "address": "address housenumber calculated_postcode",
        "importance": "importance calculated_importance",
        "position": "lat lon centroid",
        "box": "boundingbox bbox",
        "geometry": "geometry geojson geotext geokml svg",
        "names": "name names namedetails ref",
        "tags": "extratags addresstags extra",
        "entrances": "entrances"}.items():
    SECTION.update({member: section for member in members.split()})

COORDINATE, BOX, IMPORTANCE = 1e-7, 1e-6, 1e-4
SLACK = 1.001  # two doubles that differ by 1e-7 may differ by a hair more

Answer = collections.namedtuple("Answer", "status type body")
Outcome = collections.namedtuple("Outcome", "measure right detail")
Place = collections.namedtuple("Place", "key sections")


# Asking

class Server:
    """A server by its URL (`http://127.0.0.1:18101`, or ours with `/nominatim` behind)."""

    def __init__(self, url, seconds=60):
        parts = urllib.parse.urlsplit(url)
        self.prefix = parts.path.rstrip("/")
        self.address = (parts.hostname, parts.port)
        self.seconds = seconds
        self.connection = None

    def ask(self, path, params, headers=None):
        """The answer; a connection that the other side has closed is opened once more. A server that does
        not answer has status 0, so that the others' answers are still compared."""
        target = self.prefix + path + ("?" + urllib.parse.urlencode([tuple(p) for p in params]) if params else "")
        for again in (True, False):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.address, timeout=self.seconds)
            try:
                self.connection.request("GET", target, headers=headers or {})
                response = self.connection.getresponse()
                text = response.read().decode("utf-8", "replace")
                return answer(response.status, response.headers.get("content-type", ""), text)
            except (http.client.HTTPException, OSError) as wrong:
                self.connection.close()
                self.connection = None
                if not again:
                    return Answer(0, "", f"no answer: {wrong!r}")
        return None


def answer(status, content_type, text):
    """An answer as it was received; JSON is parsed, and JSONP stays text, as in the records."""
    if content_type.startswith("application/json"):
        try:
            return Answer(status, content_type, json.loads(text))
        except ValueError:
            pass
    return Answer(status, content_type, text)


def load(path):
    """The records of a file."""
    opened = gzip.open(path, "rt", encoding="utf-8") if str(path).endswith(".gz") else open(path, encoding="utf-8")
    with opened as lines:
        return [json.loads(line) for line in lines]


def url_of(record):
    """The request as one would type it, for a report."""
    return record["path"] + "?" + "&".join(f"{name}={value}" for name, value in record["params"])


# One shape for all formats

def _xml_tags(element):
    return {(tag.get("key") or tag.get("desc")): tag.get("value", tag.text) for tag in element}


def _xml_place(element, beside=()):
    """A place of XML; a reverse answer has its parts beside the result, a search inside."""
    place = dict(element.attrib)
    if element.text and element.text.strip():
        place["display_name"] = element.text
    for child in [*element, *beside]:
        if child.tag == "addressparts":
            place["address"] = {part.tag: part.text for part in child}
        elif child.tag in ("extratags", "namedetails"):
            place[child.tag] = _xml_tags(child)
        elif child.tag == "entrances":
            place["entrances"] = [dict(e.attrib, extratags=_xml_tags(e)) for e in child]
        elif child.tag == "geokml":
            place["geokml"] = "".join(xml.tostring(part, encoding="unicode") for part in child)
        else:
            place.setdefault("address", {})[child.tag] = child.text
    if "boundingbox" in place:
        place["boundingbox"] = place["boundingbox"].split(",")
    return place


def _read_xml(text):
    root = xml.fromstring(text)
    envelope = {"root": root.tag, **root.attrib}
    if root.tag == "error":
        return None, {child.tag: child.text for child in root}
    if root.tag == "searchresults":
        return [_xml_place(place) for place in root], envelope
    error = root.find("error")
    if error is not None:
        return None, {"error": error.text}
    result = root.find("result")
    if result is None:
        return None, {"error": text}
    return [_xml_place(result, [child for child in root if child is not result])], envelope


def _geocodejson(feature):
    inner = dict(feature["properties"]["geocoding"])
    known = {"place_id", "osm_type", "osm_id", "osm_key", "osm_value", "type", "accuracy", "label", "name", "extra",
             "geohash"}
    place = {name: inner[name] for name in known & inner.keys()}
    place["address"] = {name: value for name, value in inner.items() if name not in known}
    return place


def read(body, path):
    """(places or None for an error, envelope) of a body."""
    if isinstance(body, str):
        text = body.lstrip()
        if text.startswith("<"):
            try:
                return _read_xml(body)
            except xml.ParseError as wrong:
                return None, {"text": body, "broken": str(wrong)}
        call = re.fullmatch(r"([\w.$\[\]]+)\((.*)\);?\s*", text, re.S)
        if call:
            try:
                places, envelope = read(json.loads(call.group(2)), path)
                return places, {**envelope, "json_callback": call.group(1)}
            except ValueError:
                pass
        return None, {"text": body}
    if isinstance(body, list) and all(isinstance(place, dict) for place in body):
        return body, {}
    if not isinstance(body, dict):
        return None, {"text": json.dumps(body)}
    if "error" in body:
        return None, body
    if body.get("type") == "FeatureCollection":
        places = []
        for feature in body["features"]:
            properties = feature.get("properties", {})
            place = _geocodejson(feature) if "geocoding" in properties else dict(properties)
            place.update({name: value for name, value in feature.items() if name not in ("properties", "type")})
            place["feature"] = feature.get("type")
            places.append(place)
        return places, {name: value for name, value in body.items() if name != "features"}
    return ([], body) if path.startswith("/status") else ([body], {})


def _sections(place):
    sections = collections.defaultdict(dict)
    for name, value in place.items():
        if name == "keywords" and isinstance(value, dict):
            # Nominatim lists its tokens in the order in which an import happened to number them.
            value = {part: sorted(word["token"] for word in words) for part, words in value.items()}
        if name not in IGNORED:
            sections[SECTION.get(name, "other")][name] = value
    return sections


def _places(found):
    """Places with their keys: the object, and how often it came before (it may carry several classes)."""
    seen = collections.Counter()
    places = []
    for place in found:
        key = (str(place.get("osm_type", "")), str(place.get("osm_id", "")))
        if not key[1]:
            # A postcode without an object, or a country: the name is all that it has.
            key = ("", str(place.get("display_name") or place.get("label") or place.get("localname") or ""))
        seen[key] += 1
        places.append(Place(key + (seen[key],), _sections(place)))
    return places


# What differs

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def _near(a, b, tolerance):
    return abs(float(a) - float(b)) <= tolerance * SLACK


def _text_near(a, b, tolerance):
    """Texts that hold coordinates: the same but for the digits, which must be near."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    return all(_near(x, y, tolerance) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)))


# Where house numbers stand. Nominatim keeps the parts of a list ("8;10;12") in the order of a hash, which
# is another one with every import.
NUMBERED = {"housenumber", "house_number", "display_name", "label", "localname"}


def _sorted_lists(text):
    return ", ".join(";".join(sorted(part.split(";"))) for part in text.split(", "))


def _decimals(text):
    return len(text.partition(".")[2])


def differences(want, got, name="", where="", tolerance=COORDINATE):
    """One line for each difference of two values of JSON."""
    tolerance = {"boundingbox": BOX, "bbox": BOX, "importance": IMPORTANCE,
                 "calculated_importance": IMPORTANCE}.get(name, tolerance)
    if isinstance(want, dict) and isinstance(got, dict):
        for member in {**want, **got}:
            if member in IGNORED and name not in VERBATIM:
                continue
            at = f"{where}.{member}" if where else member
            if member not in got:
                yield f"{at}: {_short(want[member])} is missing"
            elif member not in want:
                yield f"{at}: {_short(got[member])} is too much"
            else:
                yield from differences(want[member], got[member], member, at, tolerance)
        return
    if isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            yield f"{where}: {len(got)} items instead of {len(want)}: {_short(got)} instead of {_short(want)}"
            return
        for i, (w, g) in enumerate(zip(want, got)):
            yield from differences(w, g, name if name in ("boundingbox", "bbox") else "", f"{where}[{i}]", tolerance)
        return
    if not _same(want, got, name, where, tolerance):
        yield f"{where}: {_short(got)} instead of {_short(want)}"


def _same(want, got, name, where, tolerance):
    if want == got and isinstance(want, bool) == isinstance(got, bool):
        return True
    if isinstance(want, bool) or isinstance(got, bool):
        return False
    if isinstance(want, (int, float)) and isinstance(got, (int, float)):
        return (isinstance(want, float) or isinstance(got, float)) and _near(want, got, tolerance)
    if isinstance(want, str) and isinstance(got, str):
        if name in ("lat", "lon") or "boundingbox" in where:
            return (NUMBER.fullmatch(want) and NUMBER.fullmatch(got) and _decimals(want) == _decimals(got)
                    and _near(want, got, tolerance))
        if name in ("importance", "calculated_importance"):
            return bool(NUMBER.fullmatch(want) and NUMBER.fullmatch(got)) and _near(want, got, tolerance)
        if name in NUMBERED and ";" in want:
            return _sorted_lists(want) == _sorted_lists(got)
        if name in ("svg", "geotext", "geokml"):
            return _text_near(want, got, tolerance)
    return False


def _short(value, most=400):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text) if len(text) <= most else repr(text[:most]) + f"... ({len(text)})"


def _names(places):
    shown = []
    for place in places:
        display = place.sections.get("display_name", {})
        shown.append(f"{place.key[0][:1].upper()}{place.key[1]} {next(iter(display.values()), '')}")
    return shown


def compare(record, got, want=None):
    """The outcomes of one request: `want` is the record's own answer unless another is given."""
    if want is not None:
        return _compare(record, got, want)
    first = Answer(record["status"], record["type"], record["body"])
    wanted = [first] + [first._replace(body=body) for body in record.get("also", [])]
    return min((_compare(record, got, one) for one in wanted), key=lambda outcomes: sum(not o.right for o in outcomes))


def _compare(record, got, want):
    path = record["path"]
    outcomes = [Outcome("status", got.status == want.status, f"{got.status} instead of {want.status}")]

    def add(measure, found):
        found = list(found)
        outcomes.append(Outcome(measure, not found, "; ".join(found)))

    if want.status == 404 and not path.removesuffix(".php").startswith(("/details", "/search", "/reverse", "/lookup")):
        return outcomes  # the framework's own page
    add("content type", [] if got.type == want.type else [f"{got.type} instead of {want.type}"])
    want_found, want_envelope = read(want.body, path)
    got_found, got_envelope = read(got.body, path)
    if want_found is None:
        if want.status == 200 and path.startswith("/reverse"):
            add("reverse", [] if got_found is None else [f"{_short(got.body)} instead of nothing"])
        add("error", differences(want_envelope, got_envelope))
        return outcomes
    want_places = _places(want_found)
    got_places = _places(got_found or [])
    want_keys, got_keys = [p.key for p in want_places], [p.key for p in got_places]
    detail = [] if want_keys == got_keys else [f"{_names(got_places)} instead of {_names(want_places)}"]
    if got_found is None:
        detail = [f"{_short(got.body)} instead of {_names(want_places)}"]
    if path.startswith("/reverse"):
        add("reverse", detail)
    elif path.startswith(("/search", "/lookup")):
        add("first", [] if want_keys[:1] == got_keys[:1] and got_found is not None else detail)
        add("list", detail)
    elif detail:
        add("other", detail)
    if got_found is not None:
        add("envelope", differences(want_envelope, got_envelope))
    found = dict(zip(got_keys, got_places))
    for place in want_places:
        other = found.get(place.key)
        if other is None:
            continue
        for section in {**place.sections, **other.sections}:
            if section != "object":
                label = "/".join(place.key[:2])
                add(section, [f"{label} {line}" for line in
                              differences(place.sections.get(section, {}), other.sections.get(section, {}))])
    return outcomes


class Tally:
    """Outcomes of many requests, counted by measure."""

    def __init__(self):
        self.right = collections.Counter()
        self.all = collections.Counter()
        self.wrong = []  # (record, the outcomes that are not right)
        self.requests = collections.Counter()
        self.whole = collections.Counter()

    def add(self, record, outcomes):
        zoom = dict(map(tuple, record["params"])).get("zoom", "18") if record["path"].startswith("/reverse") else None
        for outcome in outcomes:
            names = [outcome.measure]
            if outcome.measure == "reverse":
                names.append(f"reverse zoom {zoom}")
            for name in names:
                self.all[name] += 1
                self.right[name] += outcome.right
        wrong = [o for o in outcomes if not o.right]
        self.requests[record["category"]] += 1
        self.whole[record["category"]] += not wrong
        if wrong:
            self.wrong.append((record, wrong))

    def share(self, measure):
        """Between 0 and 1; 1 if nothing was measured."""
        return self.right[measure] / self.all[measure] if self.all[measure] else 1.0

    def table(self, zooms=True, categories=True):
        """Lines for a human."""
        lines = [f"{'measure':24} {'right':>7} {'of':>7} {'share':>9}"]
        names = [m for m in MEASURES if self.all[m]]
        if zooms:
            names += sorted((n for n in self.all if n.startswith("reverse zoom")), key=lambda n: (len(n), n))
        lines += [f"{n:24} {self.right[n]:7} {self.all[n]:7} {100 * self.share(n):8.2f}%" for n in names]
        if categories:
            lines += ["", f"{'nothing differs':24} {'whole':>7} {'of':>7}"]
            lines += [f"{c:24} {self.whole[c]:7} {n:7} {100 * self.whole[c] / n:8.2f}%"
                      for c, n in sorted(self.requests.items())]
        whole, requests = sum(self.whole.values()), sum(self.requests.values())
        lines.append(f"{'all requests':24} {whole:7} {requests:7} {100 * whole / max(1, requests):8.2f}%")
        return lines


def run(records, servers, tally=None, limit=None):
    """Asks each record of the server of its extract (`servers` maps names to Server)."""
    tally = tally or Tally()
    for record in records[:limit]:
        server = servers.get(record["data"])
        if server is not None:
            tally.add(record, compare(record, server.ask(record["path"], record["params"], record.get("headers"))))
    return tally
