"""Draws requests of Nominatim's API from an extract, of the kinds that the recorded ones have, by a seed.

The names come from the tables of a running peer (scripts/nominatim_peer.sh sql), in the order of OpenStreetMap
ids: the same extract and seed give the same requests, whatever the import numbered.
"""
import json
import random
import re
import unicodedata

# What the requests are drawn from, one object a row. `inside` are the names of its address, by rank.
ROWS = """
select json_build_object('t', p.osm_type, 'i', p.osm_id, 'c', p.class, 'y', p.type, 'n', hstore_to_json(p.name),
    'h', p.housenumber, 'p', p.postcode, 'r', p.rank_search, 'a', p.rank_address, 'x', st_x(p.centroid),
    'l', st_y(p.centroid), 'street', coalesce(s.name->'name', p.address->'street', p.address->'place'),
    'cc', p.country_code, 'inside', (
        select json_agg(distinct jsonb_build_array(q.rank_address, q.name->'name')) from place_addressline a
        join placex q on q.place_id = a.address_place_id
        where a.place_id = case when p.rank_search > 27 then p.parent_place_id else p.place_id end
        and a.isaddress and q.name->'name' is not null and q.rank_address between 5 and 25))
from placex p left join placex s on s.place_id = p.parent_place_id and s.rank_address in (26, 27)
where p.linked_place_id is null and p.indexed_status = 0
order by p.osm_type, p.osm_id, p.class, p.type
"""

# Weights as in the recorded requests; `more` are spellings and mixtures that those do not have.
KINDS = {"search-address": 60, "search-street": 35, "search-place": 30, "search-poi": 45, "search-category": 35,
         "search-postcode": 15, "search-coordinates": 20, "search-structured": 50, "search-details": 25,
         "search-format": 30, "search-language": 25, "search-options": 45, "search-polygon": 30, "header-language": 12,
         "search-more": 40, "reverse-point": 60, "reverse-zoom": 90, "reverse-layer": 40, "reverse-far": 12,
         "reverse-format": 25, "reverse-polygon": 20, "lookup": 30, "details": 35, "error": 10}

LANGUAGES = ["de", "en", "fr", "es", "ca", "it", "ru", "ja", "xx", "-", "", "en-US,en;q=0.5",
             "de-CH,de;q=0.9,en;q=0.7", "pt-BR,pt;q=0.8,en;q=0.5", "zh-Hant,zh;q=0.8"]
LAYERS = ["address", "poi", "natural", "railway,manmade", "poi,natural", "address,poi",
          "address,poi,railway,natural,manmade", "railway", "manmade"]
TAGS = ["amenity=restaurant", "amenity=school", "amenity=parking", "tourism=hotel", "shop=supermarket",
        "highway=bus_stop", "leisure=playground", "amenity=place_of_worship", "building=yes", "natural=peak"]
PHRASES = ["restaurant", "restaurants", "hotel", "bus stop", "Supermarkt", "pub", "cafe", "parking", "Tankstelle",
           "museum", "school", "Bäckerei", "castle", "bar", "playground", "pharmacy", "bank", "hotels"]
FORMATS = ["xml", "json", "jsonv2", "geojson", "geocodejson"]
LOOKED_UP = 25  # objects a request; Nominatim takes 50
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})
SHORT = [("strasse", "str."), ("straße", "str."), ("Strasse", "Str"), ("Straße", "Str"), ("Sankt ", "St. "),
         ("Avinguda ", "Av. "), ("Carrer ", "C. "), ("Plaça ", "Pl. "), ("Avenue ", "Av. "), ("Boulevard ", "Bd "),
         ("улица", "ул."), ("проспект", "пр."), ("Saint", "St")]


def plain(text):
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


class Extract:
    """The rows of an extract, by what they can be asked as."""

    def __init__(self, rows):
        self.rows = rows
        self.named = [r for r in rows if r["n"] and "name" in r["n"]]
        self.houses = [r for r in rows if r["h"] and r["street"]]
        self.streets = [r for r in self.named if r["a"] in (26, 27)]
        self.places = [r for r in self.named if 4 <= r["a"] <= 25]
        self.pois = [r for r in self.named if r["a"] >= 28 or r["a"] == 0]
        self.tongues = [(r, name) for r in self.named for key, name in sorted(r["n"].items()) if key != "name"]
        self.postcodes = sorted({r["p"] for r in rows if r["p"]})
        self.objects = [r for r in rows if r["r"] <= 30]
        self.classes = sorted({f"{r['c']}={r['y']}" for r in rows if r["a"] >= 28})

    @classmethod
    def read(cls, lines):
        return cls([json.loads(line) for line in lines if line.strip()])


class Generator:
    """One request after another: `draw()` gives {category, path, params, headers?}."""

    def __init__(self, extract, seed):
        self.of = extract
        self.random = random.Random(seed)

    def draw(self):
        kinds = list(KINDS)
        while True:
            category = self.random.choices(kinds, [KINDS[k] for k in kinds])[0]
            drawn = getattr(self, category.replace("-", "_"))()
            if drawn:
                path, params, *headers = drawn
                request = {"category": category, "path": path, "params": [[k, str(v)] for k, v in params]}
                if headers:
                    request["headers"] = headers[0]
                return request

    # Small choices

    def one(self, things):
        return self.random.choice(things) if things else None

    def chance(self, share):
        return self.random.random() < share

    def maybe(self, *pairs, share=0.3):
        return [pair for pair in pairs if self.chance(share)]

    def spelling(self, text):
        how = self.random.randrange(12)
        if how == 0:
            return text.lower()
        if how == 1:
            return text.upper()
        if how == 2:
            return plain(text)
        if how == 3:
            return text.translate(UMLAUTS)
        if how == 4:
            return "  " + text.replace(" ", "  ") + " "
        return text

    def area(self, row, share=1.0):
        """The name of an area around a row, or None."""
        inside = [name for rank, name in row["inside"] or [] if name and rank > 4]
        return self.one(inside) if inside and self.chance(share) else None

    def name(self, row):
        return row["n"]["name"]

    def point(self, row=None):
        row = row or self.one(self.of.objects)
        how = self.random.randrange(4)
        if how == 0:
            return f"{row['l']:.7f}".rstrip("0"), f"{row['x']:.7f}".rstrip("0")
        away = [0.0002, 0.001, 0.01][how - 1]
        digits = self.random.choice([4, 5, 6])
        return (f"{row['l'] + self.random.uniform(-away, away):.{digits}f}",
                f"{row['x'] + self.random.uniform(-away, away):.{digits}f}")

    def viewbox(self, row):
        half = self.one([0.01, 0.03, 0.05, 0.2])
        return ("viewbox", f"{row['x'] - half:.4f},{row['l'] + half:.4f},{row['x'] + half:.4f},{row['l'] - half:.4f}")

    def address(self, row):
        number, street, area = row["h"], row["street"], self.area(row)
        number = self.one(re.split(r"\s*[;,]\s*", number)) or number
        forms = [f"{street} {number}", f"{number} {street}"]
        if area:
            forms += [f"{street} {number}, {area}", f"{number} {street}, {area}", f"{area}, {street} {number}",
                      f"{street} {number} {area}"]
        if row["p"]:
            forms += [f"{street} {number}, {row['p']}"]
            if area:
                forms += [f"{street} {number}, {row['p']} {area}", f"{number}, {street}, {row['p']}, {area}"]
        return self.one(forms)

    def anything(self):
        """A query for something that exists, as one would type it."""
        how = self.random.randrange(5)
        if how == 0 and self.of.houses:
            return self.address(self.one(self.of.houses))
        row = self.one([self.of.streets, self.of.places, self.of.pois, self.of.named][self.random.randrange(4)])
        if not row:
            row = self.one(self.of.named)
        area = self.area(row, 0.4)
        return self.name(row) + (f", {area}" if area else "")

    def where(self):
        return self.name(self.one(self.of.places or self.of.named))

    # The kinds

    def search_address(self):
        if not self.of.houses:
            return None
        return "/search", [("q", self.spelling(self.address(self.one(self.of.houses)))),
                           *self.maybe(("addressdetails", 1))]

    def search_street(self):
        row = self.one(self.of.streets)
        if not row:
            return None
        area = self.area(row, 0.8)
        name = self.name(row)
        forms = [name] if not area else [f"{name}, {area}", f"{area} {name}", f"{name} {area}"]
        return "/search", [("q", self.spelling(self.one(forms))),
                           *self.maybe(("addressdetails", 1)), *self.maybe(("limit", 3), share=0.2)]

    def search_place(self):
        row = self.one(self.of.places)
        return row and ("/search", [("q", self.spelling(self.name(row))),
                                    *self.maybe(("addressdetails", 1), ("extratags", 1))])

    def search_poi(self):
        row = self.one(self.of.pois)
        if not row:
            return None
        area = self.area(row, 0.4)
        query = self.name(row) + (self.one([", ", " "]) + area if area else "")
        return "/search", [("q", self.spelling(query)), *self.maybe(("addressdetails", 1))]

    def search_category(self):
        tag = self.one(TAGS + self.of.classes) if self.chance(0.3) else self.one(TAGS)
        what = f"[{tag}]" if self.chance(0.5) else self.one(PHRASES)
        if self.chance(0.15):
            return "/search", [("q", what), self.viewbox(self.one(self.of.objects)), ("bounded", 1)]
        where = self.where()
        link = "" if what.startswith("[") else self.one(["", "in ", "near "])
        query = f"{what} {link}{where}" if self.chance(0.85) else f"{where} {what}"
        return "/search", [("q", query), *self.maybe(("limit", self.one([1, 3, 20, 40])))]

    def search_postcode(self):
        code = self.one(self.of.postcodes)
        if not code:
            return None
        row = self.one(self.of.places + self.of.streets)
        query = self.one([code, f"{code} {self.name(row)}", f"{self.name(row)}, {code}"])
        return "/search", [("q", query), *self.maybe(("addressdetails", 1))]

    def search_coordinates(self):
        row = self.one(self.of.objects)
        lat, lon = round(row["l"], 5), round(row["x"], 5)

        def parts(value):
            whole = int(abs(value))
            minutes = (abs(value) - whole) * 60
            return whole, minutes, int(minutes), (minutes - int(minutes)) * 60
        a, b = parts(lat), parts(lon)
        n, e = "NS"[lat < 0], "EW"[lon < 0]
        form = self.one([f"{lat},{lon}", f"{lat}, {lon}", f"[{lat},{lon}]", f"{abs(lat)}{n} {abs(lon)}{e}",
                         f"{a[0]}° {a[2]}' {a[3]:.2f}\" {n} {b[0]}° {b[2]}' {b[3]:.2f}\" {e}",
                         f"{n} {a[0]}° {a[1]:.3f}' {e} {b[0]}° {b[1]:.3f}'", f"{lat} {lon}",
                         f"{self.one(PHRASES)} {lat},{lon}", f"{lat}, {lon} {self.one(PHRASES)}"])
        return "/search", [("q", form), *self.maybe(("limit", 5), share=0.1)]

    def search_structured(self):
        how = self.random.randrange(6)
        params = []
        if how <= 1 and self.of.houses:
            row = self.one(self.of.houses)
            params = [("street", self.one([f"{row['h']} {row['street']}", f"{row['street']} {row['h']}"]))]
        elif how == 2 and self.of.streets:
            row = self.one(self.of.streets)
            params = [("street", self.name(row))]
        elif how == 3 and self.of.pois:
            row = self.one(self.of.pois)
            params = [("amenity", self.one([self.name(row), self.one(PHRASES)]))]
        elif how == 4 and self.of.postcodes:
            row = self.one(self.of.objects)
            params = [("postalcode", row["p"] or self.one(self.of.postcodes))]
        else:
            row = self.one(self.of.places)
            if not row:
                return None
            params = [(self.one(["city", "city", "county", "state", "country"]), self.name(row))]
        given = {name for name, _ in params}
        area = self.area(row, 0.5)
        if area and "city" not in given:
            params.append((self.one(["city", "city", "county"]) if "county" not in given else "city", area))
        if row["p"] and "postalcode" not in given and self.chance(0.2):
            params.append(("postalcode", row["p"]))
        if self.chance(0.1) and "country" not in given:
            params.append(("country", self.one(["Liechtenstein", "Andorra", "Monaco", "Germany", "Россия", "li", "ad"])))
        return "/search", params + self.maybe(("addressdetails", 1), ("limit", 2), ("format", self.one(FORMATS)))

    def search_details(self):
        return "/search", [("q", self.anything()), *self.maybe(
            ("addressdetails", 1), ("extratags", 1), ("namedetails", 1), ("entrances", 1), share=0.6),
            *self.maybe(("format", self.one(FORMATS)), share=0.6)]

    def search_format(self):
        return "/search", [("q", self.spelling(self.anything())), ("format", self.one(FORMATS)),
                           *self.maybe(("addressdetails", 1), ("extratags", 1), ("namedetails", 1)),
                           *self.maybe(("json_callback", "cb"), share=0.05)]

    def search_language(self):
        name = self.one(self.of.tongues)[1] if self.of.tongues and self.chance(0.6) else self.anything()
        return "/search", [("q", name), ("accept-language", self.one(LANGUAGES)),
                           *self.maybe(("addressdetails", 1), ("namedetails", 1))]

    def header_language(self):
        headers = {"Accept-Language": self.one([x for x in LANGUAGES if x])}
        if self.chance(0.5):
            return "/search", [("q", self.anything()), *self.maybe(("addressdetails", 1))], headers
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), ("format", "jsonv2")], headers

    def search_options(self):
        row = self.one(self.of.named)
        options = [("countrycodes", self.one([row["cc"] or "li", "li,ch", "ad", "zz", "LI", "de,fr,mc"])),
                   ("limit", self.one([1, 2, 5, 20, 40, 50])), ("dedupe", self.one([0, 1])),
                   ("layer", self.one(LAYERS)), ("featureType", self.one(["country", "state", "city", "settlement"])),
                   ("format", self.one(FORMATS))]
        params = [("q", self.anything() if self.chance(0.3) else self.name(row)), *self.maybe(*options, share=0.25)]
        if self.chance(0.5):
            params.append(self.viewbox(row if self.chance(0.7) else self.one(self.of.objects)))
            params += self.maybe(("bounded", self.one([0, 1])), share=0.6)
        if self.chance(0.1):
            params.append(("exclude_place_ids", f"{row['t']}{row['i']}"))
        return "/search", params

    def search_polygon(self):
        return "/search", [("q", self.anything()), ("limit", self.one([1, 2, 3])),
                           (self.one(["polygon_geojson", "polygon_kml", "polygon_svg", "polygon_text"]), 1),
                           *self.maybe(("polygon_threshold", self.one(["0.0001", "0.001", "0.01", "0.1"])), share=0.5),
                           *self.maybe(("format", self.one(FORMATS)), share=0.5)]

    def search_more(self):
        """Abbreviations, punctuation, parts left out or added, other orders, half words."""
        query = self.anything()
        how = self.random.randrange(9)
        if how == 0:
            for long, short in SHORT:
                query = query.replace(long, short)
        elif how == 1:
            words = query.replace(",", "").split()
            self.random.shuffle(words)
            query = " ".join(words)
        elif how == 2:
            query = query.replace(" ", self.one([", ", "-", ";", " / "]))
        elif how == 3:
            words = query.split()
            if len(words) > 1:
                words.pop(self.random.randrange(len(words)))
            query = " ".join(words)
        elif how == 4:
            query = f"{query}, {self.where()}"
        elif how == 5:
            query = f"{query}, {self.one(['Liechtenstein', 'Andorra', 'Monaco', 'Germany', 'Россия', 'FL', 'Schweiz'])}"
        elif how == 6:
            query = query[:max(3, len(query) - self.random.randrange(1, 4))]
        elif how == 7:
            query = query.replace(" ", "")
        else:
            row = self.one(self.of.named)
            key = self.one(sorted(row["n"]))
            query = row["n"][key]
        return "/search", [("q", self.spelling(query)), *self.maybe(("addressdetails", 1), share=0.3)]

    def reverse_point(self):
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), ("format", "jsonv2"),
                            *self.maybe(("addressdetails", 0), ("extratags", 1), ("namedetails", 1), share=0.15)]

    def reverse_zoom(self):
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), ("zoom", self.random.randrange(19)), ("format", "jsonv2")]

    def reverse_layer(self):
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), ("layer", self.one(LAYERS)), ("format", "jsonv2"),
                            *self.maybe(("zoom", self.random.randrange(8, 19)), share=0.4)]

    def reverse_far(self):
        if self.chance(0.5):
            row = self.one(self.of.objects)
            lat, lon = row["l"] + self.random.uniform(-1, 1), row["x"] + self.random.uniform(-1, 1)
        else:
            lat, lon = self.random.uniform(-90, 90), self.random.uniform(-180, 180)
        return "/reverse", [("lat", f"{lat:.5f}"), ("lon", f"{lon:.5f}"), ("format", self.one(FORMATS[1:])),
                            *self.maybe(("zoom", self.random.randrange(19)), share=0.6)]

    def reverse_format(self):
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), *self.maybe(("format", self.one(FORMATS)), share=0.8),
                            *self.maybe(("addressdetails", self.one([0, 1])), ("extratags", self.one([0, 1])),
                                        ("namedetails", self.one([0, 1])), ("entrances", self.one([0, 1])),
                                        ("accept-language", self.one(LANGUAGES)), share=0.4)]

    def reverse_polygon(self):
        lat, lon = self.point()
        return "/reverse", [("lat", lat), ("lon", lon), ("zoom", self.random.randrange(8, 19)),
                            (self.one(["polygon_geojson", "polygon_kml", "polygon_svg", "polygon_text"]), 1),
                            *self.maybe(("polygon_threshold", self.one(["0.0001", "0.001", "0.01"])), share=0.4),
                            *self.maybe(("format", self.one(FORMATS)), share=0.5)]

    def lookup(self):
        ids = [f"{r['t']}{r['i']}" for r in (self.one(self.of.objects) for _ in range(self.one([1, 1, 3, 8])))]
        if self.chance(0.2):
            ids.append(self.one(["R99999999", "X5", "Nabc", "W", ""]))
            self.random.shuffle(ids)
        return "/lookup", [("osm_ids", ",".join(ids)), *self.maybe(
            ("format", self.one(FORMATS)), ("addressdetails", self.one([0, 1])), ("extratags", 1), ("namedetails", 1),
            ("entrances", 1), ("accept-language", self.one(LANGUAGES)), ("polygon_geojson", 1), share=0.3)]

    def details(self):
        row = self.one(self.of.objects if self.chance(0.6) else self.of.named)
        return "/details", [("osmtype", row["t"]), ("osmid", row["i"]),
                            *self.maybe(("class", row["c"]), share=0.4), *self.maybe(
                                ("addressdetails", 1), ("keywords", 1), ("linkedplaces", self.one([0, 1])),
                                ("hierarchy", 1), ("group_hierarchy", self.one([0, 1])), ("polygon_geojson", 1),
                                ("entrances", 1), ("format", "json"), ("accept-language", self.one(LANGUAGES)))]

    def error(self):
        name = self.anything()
        lat, lon = self.point()
        return self.one([
            ("/search", []), ("/search", [("q", name), ("format", "html")]), ("/search", [("q", name), ("limit", "x")]),
            ("/search", [("q", name), ("layer", "nonsense")]), ("/search", [("q", name), ("featureType", "nonsense")]),
            ("/search", [("q", name), ("viewbox", "1,2,3")]), ("/search", [("q", name), ("city", name)]),
            ("/search", [("q", ",,,")]), ("/search", [("q", "?!")]), ("/search", [("street", ""), ("city", "")]),
            ("/search", [("q", name), ("limit", "-3")]), ("/search", [("q", name), ("limit", "1000")]),
            ("/search", [("q", name), ("countrycodes", "x,1,li")]), ("/search", [("q", name), ("limit", "0")]),
            ("/search", [("q", name), ("json_callback", "1+1")]), ("/search", [("q", name), ("polygon_text", 1), ("polygon_svg", 1)]),
            ("/reverse", [("lat", lat)]), ("/reverse", [("lat", "nan"), ("lon", lon)]), ("/reverse", [("lat", "inf"), ("lon", lon)]),
            ("/reverse", [("lat", lat), ("lon", lon), ("zoom", "99"), ("format", "jsonv2")]),
            ("/reverse", [("lat", lat), ("lon", lon), ("zoom", "1.5")]), ("/reverse", [("lat", "91"), ("lon", lon), ("format", "json")]),
            ("/reverse", [("lat", lat), ("lon", lon), ("layer", "nonsense"), ("format", "json")]),
            ("/reverse", [("lat", lat), ("lon", lon), ("format", "text")]),
            ("/reverse", [("lat", lat), ("lon", lon), ("polygon_text", 1), ("polygon_kml", 1), ("format", "geojson")]),
            ("/lookup", [("osm_ids", "N1,W2"), ("format", "text")]), ("/details", []), ("/details", [("osmtype", "X"), ("osmid", 1)]),
            ("/details", [("osmtype", "N"), ("osmid", "x")]), ("/details", [("osmtype", "W"), ("osmid", 5)]),
            ("/status", []), ("/status", [("format", "xml")]), ("/status", [("format", "json")])])


def every_object(extract):
    """Requests that together show all that was imported: each object's details, and all in lookups."""
    for row in extract.rows:
        yield {"category": "object-details", "path": "/details", "params": [
            ["osmtype", row["t"]], ["osmid", str(row["i"])], ["class", row["c"]], ["addressdetails", "1"], ["linkedplaces", "1"]]}
    ids = list(dict.fromkeys(f"{row['t']}{row['i']}" for row in extract.rows))
    for at in range(0, len(ids), LOOKED_UP):
        yield {"category": "object-lookup", "path": "/lookup", "params": [
            ["osm_ids", ",".join(ids[at:at + LOOKED_UP])], ["format", "jsonv2"], ["extratags", "1"], ["namedetails", "1"]]}
