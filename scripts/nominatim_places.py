#!/usr/bin/env python3
"""Compares the places that we make of an extract with the tables of a Nominatim that imported it.

    nominatim_places.py [--show COLUMN] [--limit N] NAME FILE...

NAME is a database of scripts/nominatim_peer.sh (liechtenstein), FILE the extract. Prints the share of
places for which each column agrees; --show lists differences of one column. Needs psql, and
build/bench/geocode/plc_dump (ninja -C build bench/geocode/plc_dump).
"""
import argparse
import collections
import json
import subprocess

PLACES = """
select p.place_id, p.osm_type||p.osm_id, p.class, p.type, p.rank_search, p.rank_address,
  coalesce(p.admin_level, 15), p.importance, round(st_x(p.centroid)*1e7), round(st_y(p.centroid)*1e7),
  coalesce(p.country_code, ''), coalesce(p.postcode, ''), coalesce(p.housenumber, ''),
  (select q.osm_type||q.osm_id from placex q where q.place_id = p.parent_place_id),
  (select q.osm_type||q.osm_id from placex q where q.place_id = p.linked_place_id),
  hstore_to_json(p.name), hstore_to_json(p.address), hstore_to_json(p.extratags),
  st_geometrytype(p.geometry) in ('ST_Polygon','ST_MultiPolygon'),
  round(st_xmin(p.geometry)*1e7), round(st_ymin(p.geometry)*1e7),
  round(st_xmax(p.geometry)*1e7), round(st_ymax(p.geometry)*1e7)
from placex p"""
LINES = """
select a.place_id, q.osm_type||q.osm_id, a.distance, a.cached_rank_address, a.isaddress, a.fromarea
from place_addressline a join placex q on q.place_id = a.address_place_id"""
POSTCODES = """
select country_code, postcode, coalesce('R'||osm_id, ''), round(st_x(centroid)*1e7),
  round(st_y(centroid)*1e7), rank_search,
  round(st_xmin(geometry)*1e7), round(st_ymin(geometry)*1e7), round(st_xmax(geometry)*1e7),
  round(st_ymax(geometry)*1e7),
  (select q.osm_type||q.osm_id from placex q where q.place_id = c.parent_place_id)
from location_postcodes c"""
INTERPOLATIONS = """
select 'W'||osm_id, startnumber, endnumber, step, coalesce(country_code, ''), coalesce(postcode, ''),
  (select q.osm_type||q.osm_id from placex q where q.place_id = c.parent_place_id)
from location_property_osmline c where startnumber is not null"""
ENTRANCES = """
select 'N'||e.osm_id, e.type, p.osm_type||p.osm_id from placex_entrance e join placex p using (place_id)"""


def query(name, sql):
    sql = f"select row_to_json(x) from ({sql}) x"
    out = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", "15433", "-U", "postgres", "-At",
                          "-c", sql, f"nominatim_{name.replace('-', '_')}"], check=True,
                         capture_output=True, text=True).stdout
    return [list(json.loads(line).values()) for line in out.splitlines()]


def without_empty(pairs):
    return {k: v for k, v in (pairs or {}).items() if k}


def load_peer(name):
    places, by_id = {}, {}
    # row_to_json gives columns of one name only once: unnamed ones are named.
    sql = PLACES
    names = ("id osm class type rank_search rank_address admin_level importance lon lat country "
             "postcode housenumber parent linked names address extratags area x0 y0 x1 y1").split()
    for row in query(name, f"select * from ({sql}) t({', '.join(names)})"):
        p = dict(zip(names, row))
        p["box"] = [p.pop(k) for k in ("x0", "y0", "x1", "y1")]
        for k in ("names", "address", "extratags"):
            p[k] = p[k] or {}
        p["lines"] = []
        places[p["osm"], p["class"]] = by_id[p["id"]] = p
    for place, osm, distance, rank, is_address, from_area in query(
            name, f"select * from ({LINES}) t(a, b, c, d, e, f)"):
        by_id[place]["lines"].append((osm, rank, int(is_address), int(from_area), distance))
    return places


def load_ours(files):
    out = subprocess.run(["build/bench/geocode/plc_dump", *files], check=True, capture_output=True,
                         text=True).stdout
    places, others = {}, collections.defaultdict(list)
    for line in out.splitlines():
        p = json.loads(line)
        if "kind" in p:
            others[p["kind"]].append(p)
            continue
        if (p["class"], p["type"]) == ("boundary", "postal_code"):
            continue
        for k in ("names", "address", "extratags"):
            p[k] = without_empty(p[k])
        p["area"] = bool(p["area"])
        p["lines"] = [(l.get("osm"), l["r"], l["is"], l["from"], l["d"]) for l in p["lines"]]
        places[p["osm"], p["class"]] = p
    return places, others


def close(a, b, most):
    return abs(a - b) <= most


def lines_of(p, fields):
    return sorted(line[:fields] for line in p["lines"])


def same_distances(a, b):
    mine, theirs = sorted(a["lines"]), sorted(b["lines"])
    return len(mine) == len(theirs) and all(
        x[0] == y[0] and close(x[4], y[4], 1e-5) for x, y in zip(mine, theirs))


def equal(key):
    return lambda a, b: (a.get(key) or "") == (b.get(key) or "")


COLUMNS = {
    **{k: equal(k) for k in ("type", "rank_search", "rank_address", "admin_level", "country",
                             "linked", "area", "parent", "postcode", "names", "address",
                             "extratags")},
    "importance": lambda a, b: close(a["importance"], b["importance"], 1e-4),
    "housenumber": lambda a, b: sorted(a["housenumber"].split(";")) ==
    sorted(b["housenumber"].split(";")),
    "centroid": lambda a, b: close(a["lon"], b["lon"], 1) and close(a["lat"], b["lat"], 1),
    "box": lambda a, b: all(close(x, y, 1) for x, y in zip(a["box"], b["box"])),
    "lines": lambda a, b: lines_of(a, 4) == lines_of(b, 4),
    "lines printed": lambda a, b: sorted(x[:2] for x in a["lines"] if x[2]) ==
    sorted(x[:2] for x in b["lines"] if x[2]),
    "distances": same_distances,
}


def share(good, count):
    return f"{100 * good / count if count else 100:7.2f} % of {count}"


def compare_rows(what, mine, theirs):
    mine, theirs = collections.Counter(mine), collections.Counter(theirs)
    good = sum((mine & theirs).values())
    print(f"{what:16} {share(good, max(sum(theirs.values()), sum(mine.values())))}")
    for row in list((mine - theirs))[:LIMIT] if what == SHOW else []:
        print("   ours only", row)
    for row in list((theirs - mine))[:LIMIT] if what == SHOW else []:
        print("   peer only", row)


parser = argparse.ArgumentParser()
parser.add_argument("--show", default="")
parser.add_argument("--limit", type=int, default=20)
parser.add_argument("name")
parser.add_argument("files", nargs="+")
args = parser.parse_args()
SHOW, LIMIT = args.show, args.limit
peer = load_peer(args.name)
ours, other = load_ours(args.files)
both = [k for k in peer if k in ours]
print(f"{'places':16} {share(len(both), max(len(peer), len(ours)))}")
if SHOW == "places":
    for k in list(set(ours) - set(peer))[:LIMIT]:
        print("   ours only", k, ours[k]["type"], ours[k]["names"])
    for k in list(set(peer) - set(ours))[:LIMIT]:
        print("   peer only", k, peer[k]["type"], peer[k]["names"], peer[k]["extratags"])
for column, test in COLUMNS.items():
    wrong = [k for k in both if not test(ours[k], peer[k])]
    print(f"{column:16} {share(len(both) - len(wrong), len(both))}")
    for k in wrong[:LIMIT] if column == SHOW else []:
        what = column.split()[0].replace("distances", "lines")
        if what in ours[k]:
            a, b = ours[k].get(what), peer[k].get(what)
        else:
            a, b = [(p["lon"], p["lat"]) for p in (ours[k], peer[k])]
        if isinstance(a, dict):
            a, b = ({x: y for x, y in a.items() if b.get(x) != y},
                    {x: y for x, y in b.items() if a.get(x) != y})
        print("  ", k, peer[k]["type"], peer[k]["names"].get("name"), peer[k]["rank_search"],
              peer[k]["rank_address"], "\n      ours", a, "\n      peer", b)
compare_rows("postcodes", [(p["country"], p["postcode"], p.get("osm", ""), p["rank_search"])
                           for p in other["postcode"]],
             [(r[0], r[1], r[2], r[5]) for r in query(args.name, f"select * from ({POSTCODES}) t(a,b,c,d,e,f,g,h,i,j,k)")])
rows = query(args.name, f"select * from ({POSTCODES}) t(a,b,c,d,e,f,g,h,i,j,k)")
theirs_by = {(r[0], r[1], r[2]): r for r in rows}
for what, test in (("postcode middle", lambda p, r: close(p["lon"], r[3], 1) and close(p["lat"], r[4], 1)),
                   ("postcode box", lambda p, r: all(close(x, y, 2) for x, y in zip(p["box"], r[6:10]))),
                   ("postcode parent", lambda p, r: p.get("parent") == r[10])):
    pairs = [(p, theirs_by[p["country"], p["postcode"], p.get("osm", "")]) for p in other["postcode"]
             if (p["country"], p["postcode"], p.get("osm", "")) in theirs_by]
    wrong = [x for x in pairs if not test(*x)]
    print(f"{what:16} {share(len(pairs) - len(wrong), len(pairs))}")
    for x in wrong[:LIMIT] if what == SHOW else []:
        print("  ", x)
compare_rows("interpolations", [(p["osm"], p["first"], p["last"], p["step"], p["country"],
                                 p["postcode"], p.get("parent")) for p in other["interpolation"]],
             [tuple(r) for r in query(args.name, f"select * from ({INTERPOLATIONS}) t(a,b,c,d,e,f,g)")])
compare_rows("entrances", [(p["osm"], p["type"], p.get("place")) for p in other["entrance"]],
             [tuple(r) for r in query(args.name, f"select * from ({ENTRANCES}) t(a,b,c)")])
