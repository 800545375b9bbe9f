#!/usr/bin/env python3
"""Writes countries_table.h: names, languages, postcodes and borders of the countries of the world.

    pip install shapely pyyaml
    pip download --no-deps nominatim-db==5.3.3 && unzip nominatim_db-5.3.3-py3-none-any.whl
    countries_table.py nominatim_db/resources

All of it is data of OpenStreetMap (Open Database License 1.0), as Nominatim's package carries it:
names in settings/country-names, languages and postcodes in settings/country_settings.yaml, borders
in country_osm_grid.sql.gz (some 12,000 polygons). Run it again when those change; its output is
committed, so that a build needs neither Python nor the package.

Borders are thinned, those of small countries and near to them least, rounded to 1/32768 of a degree, and cut at
cells of two degrees; countries.c says how they lie in the table.
"""
import collections
import gzip
import math
import pathlib
import sys

import shapely
import yaml

UNITS = 32768  # of a degree
CELL = 65536   # units: two degrees
SMALL = 5e9    # square metres: extracts are often of such a country, and a little of its neighbours


class Loader(yaml.SafeLoader):
    """A loader that follows the package's !include, and does not take Norway's code for a no."""


Loader.add_constructor("!include", lambda loader, node: (
    yaml.load((RESOURCES / "settings" / node.value).read_text("utf-8"), Loader)))
Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rows if tag == "tag:yaml.org,2002:null"]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def flat_names(names):
    out = {}
    for prefix, rest in (names or {}).items():
        for suffix, name in ({"default": rest} if isinstance(rest, str) else rest).items():
            out[prefix if suffix == "default" else f"{prefix}:{suffix}"] = str(name)
    return out


def read_grid():
    cells = collections.defaultdict(list)
    area = {}
    with gzip.open(RESOURCES / "country_osm_grid.sql.gz", "rt") as lines:
        for line in lines:
            part = line.rstrip("\n").split("\t")
            if len(part) == 3 and len(part[0]) == 2:
                cells[part[0]].append(shapely.from_wkb(bytes.fromhex(part[2])))
                area[part[0]] = float(part[1])
    return cells, area


def without_overlaps(cells, area):
    """One area a country, smallest first; what two claim is the smaller one's."""
    codes = sorted(cells, key=lambda c: area[c])
    whole = [shapely.unary_union(cells[c]) for c in codes]
    tree, flat = shapely.STRtree(whole), []
    for i, shape in enumerate(whole):
        for j in tree.query(shape):
            if j < i:
                shape = shape.difference(whole[j])
        flat.append(shape)
    return codes, flat


def thinned(points, tolerance):
    line = shapely.simplify(shapely.linestrings(points), tolerance, preserve_topology=False)
    return shapely.get_coordinates(line)


def stretches(points, area):
    """The parts of a line inside and outside of an area, cut at points of the line."""
    inside = shapely.contains_xy(area, points[:, 0], points[:, 1])
    start = 0
    for at in range(1, len(points)):
        if inside[at] != inside[start] or at == len(points) - 1:
            yield bool(inside[start]), points[start:at + 1]
            start = at


def border_arcs(codes, flat, area):
    """Thinned lines, each with the countries on its left and right (-1: none)."""
    lines = shapely.unary_union([shapely.boundary(f) for f in flat], grid_size=1e-6)
    arcs, left, right = list(shapely.get_parts(shapely.line_merge(lines))), [], []
    for arc in arcs:
        c = shapely.get_coordinates(arc)
        step = c[1:] - c[:-1]
        i = int((step ** 2).sum(1).argmax())
        middle = (c[i] + c[i + 1]) / 2
        beside = step[i][::-1] * (-1, 1) / math.hypot(*step[i]) * 3e-6
        left.append(middle + beside)
        right.append(middle - beside)
    tree = shapely.STRtree(flat)

    def regions(points):
        found = [-1] * len(points)
        for at, region in zip(*tree.query(shapely.points(points), predicate="within")):
            found[at] = region if found[at] < 0 else min(found[at], region)
        return found

    small = shapely.union_all([shapely.buffer(shapely.simplify(f, 0.01), 0.7)
                               for c, f in zip(codes, flat) if area[c] < SMALL])
    shapely.prepare(small)
    for arc, a, b in zip(arcs, regions(left), regions(right)):
        across_km = min(math.sqrt(area[codes[x]]) / 1000 for x in (a, b) if x >= 0)
        tolerance = min(max(2e-5 * (across_km / 20) ** 2, 1e-5), 0.015)
        if min(a, b) < 0:
            yield thinned(shapely.get_coordinates(arc), 2 * tolerance), a + 1, b + 1
            continue
        for near, points in stretches(shapely.get_coordinates(arc), small):
            yield thinned(points, min(tolerance, 0.0002) if near else tolerance), a + 1, b + 1


def cut_at_cells(points):
    """Pieces of a line of units, each within one cell: (cell, points)."""
    cell, piece = None, []
    for (ax, ay), (bx, by) in zip(points, points[1:]):
        cuts = {0.0, 1.0}
        for low, high, a, b in ((ax, bx, ax, bx), (ay, by, ay, by)):
            for line in range(min(low, high) // CELL * CELL, max(low, high) + 1, CELL):
                if a != b and min(a, b) < line < max(a, b):
                    cuts.add((line - a) / (b - a))
        at = sorted(cuts)
        for f, t in zip(at, at[1:]):
            p = (round(ax + (bx - ax) * f), round(ay + (by - ay) * f))
            q = (round(ax + (bx - ax) * t), round(ay + (by - ay) * t))
            here = (int((ax + bx * 0 + (bx - ax) * (f + t) / 2) // CELL),
                    int((ay + (by - ay) * (f + t) / 2) // CELL))
            if here != cell:
                if len(piece) > 1:
                    yield cell, piece
                cell, piece = here, [p]
            if q != piece[-1]:
                piece.append(q)
    if len(piece) > 1:
        yield cell, piece


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return varint(value * 2 if value >= 0 else -value * 2 - 1)


def reference(cell, pieces, tree):
    """A point of the cell far from all borders, and its region."""
    near = shapely.union_all([shapely.linestrings(p) for _, _, p in pieces])
    best = None
    for gx in range(16, 256, 32):
        for gy in range(16, 256, 32):
            at = shapely.points(cell[0] * CELL + gx * 256, cell[1] * CELL + gy * 256)
            away = shapely.distance(at, near)
            if best is None or away > best[0]:
                best = (away, gx, gy)
    lon = (cell[0] * CELL + best[1] * 256) / UNITS - 180
    lat = (cell[1] * CELL + best[2] * 256) / UNITS - 90
    found = tree.query(shapely.points(lon, lat), predicate="within")
    return best[1], best[2], int(min(found)) + 1 if len(found) else 0


def borders(cells, area):
    codes, flat = without_overlaps(cells, area)
    tree = shapely.STRtree(flat)
    pieces = collections.defaultdict(list)
    for points, left, right in border_arcs(codes, flat, area):
        units = [(round((x + 180) * UNITS), round((y + 90) * UNITS)) for x, y in points]
        units = [p for i, p in enumerate(units) if i == 0 or p != units[i - 1]]
        if len(units) < 2:
            continue
        for cell, piece in cut_at_cells(units):
            pieces[cell].append((left, right, piece))
    index, offsets, blob = [], [], bytearray()
    for y in range(90):
        for x in range(180):
            if (x, y) not in pieces:
                found = tree.query(shapely.points(x * 2 - 179, y * 2 - 89), predicate="within")
                index.append(int(min(found)) + 1 if len(found) else 0)
                continue
            index.append(0x8000 + len(offsets))
            offsets.append(len(blob))
            blob += bytes(reference((x, y), pieces[x, y], tree)) + varint(len(pieces[x, y]))
            for left, right, piece in pieces[x, y]:
                blob += bytes((left, right)) + varint(len(piece))
                px, py = x * CELL, y * CELL
                for qx, qy in piece:
                    blob += zigzag(qx - px) + zigzag(qy - py)
                    px, py = qx, qy
    return codes, index, offsets, bytes(blob)


def c_string(data, indent="    "):
    out, line = [], ""
    for at, byte in enumerate(data):
        char = chr(byte)
        if char in '"\\':
            text = "\\" + char
        elif 32 <= byte < 127 and char != "?":
            text = char
        else:
            following = data[at + 1] if at + 1 < len(data) else 0
            text = "\\%o" % byte if not 48 <= following < 56 else "\\%03o" % byte
        if len(line) + len(text) > 92:
            out.append(f'{indent}"{line}"')
            line = ""
        line += text
    out.append(f'{indent}"{line}"')
    return "\n".join(out)


def names_blob(names):
    """value NUL keys NUL ...: the keys of a value joined by spaces, "name" itself left out of them."""
    by_value = collections.defaultdict(list)
    for key, value in names.items():
        by_value[value].append(key[4:] if key == "name" or key.startswith("name:") else key)
    return b"".join(value.encode() + b"\0" + " ".join(keys).encode() + b"\0"
                    for value, keys in sorted(by_value.items()))


def main():
    settings = yaml.load((RESOURCES / "settings/country_settings.yaml").read_text("utf-8"), Loader)
    settings = {code: row for code, row in settings.items() if row is not None}
    cells, area = read_grid()
    codes, index, offsets, blob = borders(cells, area)
    centers = {}
    for code, shapes in cells.items():
        shapes = [s for s in shapes if not s.is_empty]
        middles = [shapely.centroid(s) for s in shapes]
        box = shapely.total_bounds(shapes)
        centers[code] = [sum(m.x for m in middles) / len(middles),
                         sum(m.y for m in middles) / len(middles), *box]
    texts, rows, pool = bytearray(), [], bytearray(b"\0")

    def pooled(text):
        data = str(text).encode() + b"\0"
        at = pool.find(b"\0" + data) + 1
        if at == 0:
            at = len(pool)
            pool.extend(data)
        return at

    for code, row in sorted(settings.items()):
        postcode = row.get("postcode", {})
        none = not isinstance(postcode, dict)
        postcode = {} if none else postcode
        names = names_blob(flat_names(row.get("names")))
        numbers = [round(v * 1e7) for v in centers.get(code, [0] * 6)]
        languages = ",".join(s.strip() for s in str(row.get("languages", "")).split(","))
        rows.append('    {"%s", %d, %d, %d, %d, %d, %d, %d, %d, {%s}},' % (
            code, codes.index(code) + 1 if code in codes else 0, int(row.get("partition", 0)),
            pooled(languages), pooled(postcode.get("pattern", "")),
            pooled(postcode.get("output", "")), int(postcode.get("extent", 5000)), none,
            len(texts), ", ".join(map(str, numbers))))
        texts += names + b"\0"
    with open(pathlib.Path(__file__).with_name("countries_table.h"), "w", encoding="ascii") as out:
        out.write("/* countries_table.h - the countries of the world; made by countries_table.py out of\n"
                  " * data of OpenStreetMap (ODbL 1.0), included by countries.c alone. */\n"
                  "#ifndef GEOCODE_PLACES_COUNTRIES_TABLE_H\n"
                  "#define GEOCODE_PLACES_COUNTRIES_TABLE_H\n\n/* clang-format off */\n")
        out.write("static const country_row COUNTRIES[] = {\n" + "\n".join(rows) + "\n};\n\n")
        out.write("static const char TEXTS[] =\n" + c_string(bytes(pool)) + ";\n\n")
        out.write("static const char NAMES[] =\n" + c_string(bytes(texts)) + ";\n\n")
        out.write("/* Rows of REGIONS, by area: the smaller one counts. */\nstatic const char REGIONS[] =\n"
                  + c_string("".join(codes).encode()) + ";\n\n")
        for name, kind, values in (("CELLS", "uint16_t", index), ("CELL_BORDERS", "uint32_t", offsets)):
            out.write(f"static const {kind} {name}[] = {{\n")
            for i in range(0, len(values), 16):
                out.write("    " + ", ".join(map(str, values[i:i + 16])) + ",\n")
            out.write("};\n\n")
        out.write("static const char BORDERS[] =\n" + c_string(blob) + ";\n\n#endif\n")
    print(f"names {len(texts)}, borders {len(blob)} in {len(offsets)} cells", file=sys.stderr)


if len(sys.argv) != 2:
    sys.exit("usage: countries_table.py RESOURCES")
RESOURCES = pathlib.Path(sys.argv[1])
main()
