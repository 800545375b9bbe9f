#!/usr/bin/env python3
"""Writes features.osm.gz: invented towns in several countries, with what real extracts have seldom.

    features.py > features.osm

Each town has boundaries of several levels (closed, with holes, in two parts, with a label, with a place tag, with
wikidata), places of every kind, streets of every class and with every kind of name, house numbers in every way
that OpenStreetMap knows them (nodes, buildings, entrances, interpolation lines of each type, associatedStreet,
addr:place, lists, suffixes, house names, numbers without a street), postcodes good and bad, and objects of each
class that a geocoder lists. Nothing in it is real but the countries that the coordinates lie in. The same bytes
every time.
"""
import random
import sys
from xml.sax.saxutils import quoteattr

TOWNS = [  # country, latitude, longitude, language, town, streets, postcodes: good ones, then one that is none
    ("de", 52.10, 11.20, "de", "Ährenfeld", ["Lindenstraße", "Große Gasse", "Am Markt", "Straße des Friedens", "Sankt-Anna-Weg"],
     ["39167", "39171", "D-39167"]),
    ("fr", 46.60, 2.40, "fr", "Sainte-Épine", ["Rue de l'Église", "Avenue du Général Leclerc", "Place d'Armes", "Bd Voltaire", "Chemin vert"],
     ["18200", "18210", "182000"]),
    ("es", 40.90, -4.00, "es", "Villanueva del Pinar", ["Calle Mayor", "Avenida de la Constitución", "Plaza de España", "C/ Río Duero", "Paseo Bajo"],
     ["40200", "40210", "E40200"]),
    ("gb", 52.60, -1.70, "en", "Little Thornbury", ["High Street", "St. Mary's Road", "The Green", "Queen's Ave", "North Lane"],
     ["B79 0AA", "B790AB", "B79"]),
    ("us", 39.90, -98.50, "en", "Maple Creek", ["Main Street", "North 2nd Avenue", "Martin Luther King Jr Blvd", "County Road 12", "Elm St"],
     ["67002", "67003-1234", "6700"]),
    ("nl", 52.40, 6.20, "nl", "Oudebrug", ["Kerkstraat", "Burgemeester van der Laanlaan", "'t Zand", "Dorpsplein", "Nieuwe Weg"],
     ["7411 AB", "7412CD", "74110"]),
    ("ch", 46.90, 7.10, "de", "Bärenwil", ["Hauptstrasse", "Rue du Lac", "Dorfplatz", "Alte Landstrasse", "Bahnhofstr."],
     ["3210", "3211", "CH-3210"]),
    ("jp", 36.20, 138.20, "ja", "桜町", ["中央通り", "さくら通り", "駅前通り", "一番街", "川沿い道"], ["390-0001", "3900002", "39"]),
    ("ru", 55.20, 38.50, "ru", "Берёзовка", ["улица Ленина", "проспект Мира", "Садовый переулок", "Большая Лесная улица", "площадь Победы"],
     ["140300", "140301", "14030"]),
    ("pl", 52.20, 20.50, "pl", "Zielona Łąka", ["ulica Długa", "aleja Jana Pawła II", "Rynek", "ul. Święta", "osiedle Słoneczne"],
     ["05-800", "05-801", "5800"]),
]
STEP = 0.0005  # 50 m or so


class Writer:
    def __init__(self):
        self.nodes, self.ways, self.relations = [], [], []
        self.next = 1000

    def tags(self, tags):
        return "".join(f"<tag k={quoteattr(k)} v={quoteattr(str(v))}/>" for k, v in tags.items())

    def node(self, lat, lon, **tags):
        self.next += 1
        self.nodes.append((self.next, f'<node id="{self.next}" version="1" lat="{lat:.7f}" lon="{lon:.7f}">{self.tags(named(tags))}</node>'))
        return self.next

    def way(self, nodes, **tags):
        self.next += 1
        refs = "".join(f'<nd ref="{n}"/>' for n in nodes)
        self.ways.append((self.next, f'<way id="{self.next}" version="1">{refs}{self.tags(named(tags))}</way>'))
        return self.next

    def relation(self, members, **tags):
        self.next += 1
        text = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in members)
        self.relations.append((self.next, f'<relation id="{self.next}" version="1">{text}{self.tags(named(tags))}</relation>'))
        return self.next

    def write(self, out):
        out.write("<?xml version='1.0' encoding='UTF-8'?>\n<osm version=\"0.6\" generator=\"features.py\">\n")
        for group in (self.nodes, self.ways, self.relations):
            for _, text in sorted(group):
                out.write(text + "\n")
        out.write("</osm>\n")


def named(tags):
    """addr__street is addr:street."""
    return {k.rstrip("_").replace("__", ":"): v for k, v in tags.items() if v is not None}


class Town:
    def __init__(self, w, n, country, lat, lon, language, name, streets, postcodes):
        self.w, self.n, self.country, self.lat, self.lon, self.language = w, n, country, lat, lon, language
        self.name, self.streets, self.postcodes = name, streets, postcodes
        self.random = random.Random(n)

    def at(self, x, y):
        """A point of the town's grid, (0, 0) in its middle."""
        return self.lat + y * STEP, self.lon + x * STEP * 1.5

    def point(self, x, y, **tags):
        return self.w.node(*self.at(x, y), **tags)

    def line(self, points, **tags):
        return self.w.way([self.point(*p) for p in points], **tags)

    def box(self, x0, y0, x1, y1, **tags):
        corners = [self.point(x, y) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        return self.w.way(corners + corners[:1], **tags)

    def boundary(self, way, level, name, *more, **tags):
        return self.w.relation([("way", way, "outer"), *more], type="boundary", boundary="administrative", admin_level=level,
                               name=name, **tags)

    def make(self):
        self.areas()
        self.places()
        self.roads()
        self.houses()
        self.lines()
        self.related()
        self.objects()
        self.waters()

    def areas(self):
        w, name = self.w, self.name
        self.boundary(self.box(-400, -400, 400, 400), 4, f"{name} State", wikidata=f"Q9{self.n}01", ISO3166_2=None,
                      name__en=f"State of {name}", short_name=f"{name[:3]}ST")
        self.boundary(self.box(-300, -300, 300, 300), 6, f"{name} County", alt_name=f"{name} Shire;Old {name}")
        town = self.point(2, 2, place="town", name=name, name__en=f"{name} (en)", wikidata=f"Q9{self.n}02", population=12000,
                          capital=4 if self.n % 2 else None)
        self.boundary(self.box(-120, -120, 120, 120), 8, name, ("node", town, "admin_centre"), wikidata=f"Q9{self.n}02",
                      name__en=f"{name} (en)", old_name=f"{name} vetus", official_name=f"Free Town of {name}")
        # A neighbour whose label is named, and one that carries its kind itself and has two parts.
        label = self.point(200, 200, place="village", name=f"{name} Nord", name__fr=f"{name} du Nord")
        self.boundary(self.box(130, 130, 290, 290), 8, f"{name} Nord", ("node", label, "label"))
        self.boundary(self.box(-290, -290, -130, -130), 8, f"Gmina {name}", ("way", self.box(-290, 130, -250, 170), "outer"),
                      place="municipality")
        # A suburb with a hole, in which lies another area; a place node of the same name without a role.
        hole = self.box(40, 40, 60, 60)
        self.w.relation([("way", self.box(10, 10, 100, 100), "outer"), ("way", hole, "inner")], type="boundary",
                        boundary="administrative", admin_level=9, name=f"{name} East")
        self.point(80, 80, place="suburb", name=f"{name} East")
        self.boundary(hole, 10, f"{name} Enclave")
        self.boundary(self.box(-100, 10, -10, 100), 10, f"{name} West", place="quarter")
        w.relation([("way", self.box(-120, -120, 0, 120), "outer")], type="boundary", boundary="postal_code",
                   postal_code=self.postcodes[0])
        w.relation([("way", self.box(20, -100, 60, -60), "outer")], type="boundary", boundary="protected_area", protect_class=5,
                   name=f"{name} Heath")
        # Places as areas, without a boundary.
        self.box(-60, -60, -40, -40, place="neighbourhood", name=f"{name} Garden Quarter")
        self.box(-160, -60, -130, -30, place="village", name=f"Upper {name}")
        self.box(-30, -110, -10, -90, landuse="residential", name=f"{name} Estate")
        self.box(65, -30, 80, -15, landuse="industrial", name=f"{name} Works")
        self.box(85, -30, 100, -15, landuse="farmland")

    def places(self):
        for i, kind in enumerate(["suburb", "quarter", "neighbourhood", "hamlet", "isolated_dwelling", "farm", "locality", "square",
                                  "island", "islet", "allotments", "city_block", "borough", "village", "region", "county", "plot"]):
            self.point(-110 + 13 * i, -125 + 9 * (i % 5), place=kind, name=f"{self.name} {kind.replace('_', ' ').title()}",
                       name__de=f"{self.name} auf Deutsch {i}" if i % 3 == 0 else None,
                       loc_name=f"Loc{i}" if i % 4 == 1 else None)
        self.point(0, -140, place="hamlet", name=f"A;B {self.name}", alt_name="C;D")
        self.point(10, -140, place="locality")
        self.point(20, -140, place="village", **{"name:ru": "Только по-русски", "name:en": "Only in English"})

    def roads(self):
        for s, street in enumerate(self.streets):
            y = 8 * s - 16
            # Two pieces of one street, and a third that is far off.
            self.line([(-50, y), (-20, y), (0, y)], highway="residential", name=street, **self.also(s, street))
            self.line([(0, y), (30, y), (50, y)], highway="residential" if s % 2 else "tertiary", name=street)
            self.line([(150, 150 + y), (180, 150 + y)], highway="living_street", name=street)
        for i, kind in enumerate(["motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "service", "pedestrian",
                                  "track", "footway", "cycleway", "path", "steps", "bridleway", "road", "motorway_link",
                                  "construction", "proposed", "corridor", "busway"]):
            x = 60 + 3 * i
            self.line([(x, -10), (x, 0), (x + 1, 10)], highway=kind, name=f"{self.name} {kind} {i}" if i % 4 else None,
                      ref=f"{kind[0].upper()}{self.n}{i}" if i < 6 else None, bridge="yes" if i % 5 == 1 else None)
        self.box(-8, 26, 4, 32, highway="pedestrian", area="yes", name=f"{self.streets[2]} Platz")
        self.line([(70, 20), (80, 20)], highway="residential", noname="yes")
        self.line([(70, 24), (80, 24)], highway="residential", **{"name:en": f"English {self.n} Road", "alt_name": f"Other {self.n} Road"})
        self.line([(70, 28), (80, 28)], railway="rail", name=f"{self.name} Line")
        self.line([(82, 28), (90, 28)], aerialway="gondola", name=f"{self.name} Bahn")
        self.line([(82, 32), (90, 32)], bridge="yes", man_made="bridge", name=f"{self.name} Bridge")
        self.line([(82, 36), (90, 36)], highway="service", service="driveway", name=f"{self.name} Drive")

    def also(self, s, street):
        return [{"alt_name": f"{street} alt"}, {"old_name": f"{street} old", "name:en": f"{street} English"}, {"ref": f"X{self.n}"},
                {"short_name": street[:4], "name:left": "L", "name:right": "R"}, {"official_name": f"Official {street}", "int_name": "Intl"}][s]

    def houses(self):
        first, second, third, fourth, fifth = self.streets
        code, other, bad = self.postcodes
        for i, number in enumerate(["1", "2", "2a", "2 B", "4-6", "8;10;12", "14,16", "18/3", "20 bis", "21 1/2", "№ 22", "23A-23C", "０24", "25..27"]):
            self.point(-48 + 5 * i, -15, addr__housenumber=number, addr__street=first, addr__postcode=code if i % 2 else None,
                       addr__city=self.name if i % 3 else f"{self.name} West")
        for i in range(6):
            self.building(-40 + 6 * i, -6, addr__housenumber=str(3 + 2 * i), addr__street=second, addr__postcode=[code, other, bad][i % 3])
        self.building(-40, 2, addr__housenumber="7", addr__street=third, addr__city="Elsewhere", addr__country=self.country.upper())
        self.building(-34, 2, addr__housenumber="9", addr__street="No Such Street", addr__city=self.name)
        self.building(-28, 2, addr__housenumber="11", addr__place=f"{self.name} Hamlet")
        self.building(-22, 2, addr__housenumber="13", addr__place="No Such Place", addr__postcode=f"{code};{other}")
        self.building(-16, 2, addr__housenumber="15")
        self.building(-10, 2, addr__housename="Rose Cottage", addr__street=third)
        self.building(-4, 2, addr__conscriptionnumber="115", addr__streetnumber="17", addr__street=third)
        self.building(2, 2, addr__conscriptionnumber="116", addr__place=self.name)
        self.building(8, 2, addr__housenumber="19", addr__street=third, addr__unit="3", addr__flats="1-4", addr__floor="2")
        self.building(14, 2, addr__housenumber="21", addr__street=third, addr__suburb=f"{self.name} East", addr__state="Somewhere",
                      addr__district="Nowhere")
        self.building(20, 2, addr__street=third, name="Town Hall", amenity="townhall", addr__housenumber="23")
        self.building(26, 2, building__levels="3", name="Only a Name")
        self.building(32, 2, addr__full=f"25 {third}, {self.name}")
        # A house whose number is at its door, and a shop and a POI inside of it.
        corners = [self.point(x, y) for x, y in ((40, 1), (43, 1), (43, 4))]
        door = self.point(40, 4, entrance="main", addr__housenumber="27", addr__street=third)
        self.w.way([*corners, door, corners[0]], building="apartments", name=f"{self.name} Towers")
        self.point(41, 2, shop="bakery", name=f"Bakery {self.name}", brand="Crumbs", opening_hours="Mo-Sa 07:00-18:00")
        self.point(42, 3, amenity="atm", operator="First Bank")
        corners = [self.point(x, y) for x, y in ((48, 1), (51, 1), (51, 4), (48, 4))]
        side = self.point(49.5, 1, entrance="yes", ref="B")
        self.w.way([corners[0], side, *corners[1:], corners[0]], building="yes", addr__housenumber="29", addr__street=third)
        # The same address several times, and neighbours across the boundary's edge.
        for i in range(3):
            self.point(-45 + i, 10, addr__housenumber="5", addr__street=fourth, shop=["florist", "hairdresser", None][i],
                       name=["Flora", None, None][i])
        self.building(118, -8, addr__housenumber="99", addr__street=fifth)
        self.building(121, -8, addr__housenumber="101", addr__street=fifth)
        self.w.relation([("way", self.box(-40, 20, -36, 24), "outer"), ("way", self.box(-39, 21, -37, 23), "inner")], type="multipolygon",
                        building="yes", addr__housenumber="30", addr__street=fifth)
        self.point(-30, 18, place="house", addr__housenumber="31", addr__street=fifth, name="House by Place")
        self.point(-25, 18, addr__housenumber="32", addr__street=fifth.upper())
        self.point(-20, 18, addr__housenumber="33", addr__street=f"{fifth}  ")

    def building(self, x, y, **tags):
        return self.box(x, y, x + 3, y + 2, building=tags.pop("building", "yes"), **tags)

    def lines(self):
        """Interpolation lines of each type, beside the first piece of each street."""
        for i, (kind, numbers, more) in enumerate([
                ("odd", ["51", "61"], {}), ("even", ["52", "60"], {}), ("all", ["71", "75"], {}), ("alphabetic", ["80a", "80e"], {}),
                ("4", ["90", "102"], {}), ("odd", ["111", "115", "121"], {}), ("even", ["131", "139"], {}), ("odd", ["150", "140"], {}),
                ("all", ["160", "160"], {}), ("all", ["170", "170b"], {}), ("even", ["200", "4000"], {}), ("odd", ["181", None, "191"], {}),
                ("all", ["1", "3"], {"addr:place": f"{self.name} Farm"}), ("odd", ["211", "215"], {"addr:postcode": "00000"})]):
            y, street = 8 * (i % 5) - 15.5, self.streets[i % 5]
            place = more.get("addr:place")
            ends = [self.point(-18 + 14 * (i // 5) + 6 * k, y, addr__housenumber=number, addr__place=place if number else None,
                               addr__street=None if place or not number or i in (6, 7) else street)
                    for k, number in enumerate(numbers)]
            self.w.way(ends, addr__interpolation=kind, addr__street=street if i in (6, 7) else None,
                       **{k: v for k, v in more.items()}, addr__inclusion="actual" if i == 2 else None)

    def related(self):
        street = self.line([(-50, 60), (-20, 60)], highway="residential", name=f"Relation {self.streets[0]}")
        houses = [self.point(-45 + 4 * i, 64, addr__housenumber=str(i + 1), addr__street="Wrong Street" if i == 2 else None) for i in range(4)]
        self.w.relation([("way", street, "street"), *(("node", h, "house") for h in houses)], type="associatedStreet",
                        name=f"Relation {self.streets[0]}")
        road = self.line([(-50, 70), (-20, 70)], highway="residential")
        house = self.building(-40, 72, addr__housenumber="3")
        self.w.relation([("way", road, "street"), ("way", house, "address")], type="street", name=f"Street of {self.name}")
        self.w.relation([("way", street, ""), ("way", road, "")], type="route", route="bus", ref=str(self.n), name=f"Bus {self.n}")
        self.w.relation([("way", street, ""), ("node", houses[0], "")], type="site", site="park", name=f"Site {self.name}", leisure="park")
        self.w.relation([("way", road, "outline")], type="bridge", name=f"Bridge relation {self.name}")

    def objects(self):
        kinds = """amenity=restaurant amenity=cafe amenity=pub amenity=school amenity=parking amenity=place_of_worship amenity=bench
            amenity=post_box amenity=pharmacy amenity=fuel amenity=bank amenity=hospital amenity=post_office amenity=toilets
            amenity=recycling amenity=vending_machine amenity=charging_station shop=supermarket shop=bakery shop=vacant shop=yes
            tourism=hotel tourism=information tourism=museum tourism=viewpoint tourism=artwork historic=castle historic=memorial
            historic=yes leisure=playground leisure=park leisure=pitch leisure=garden leisure=swimming_pool office=company
            office=government craft=carpenter club=sport emergency=fire_hydrant emergency=phone healthcare=doctor natural=peak
            natural=tree natural=spring natural=cave_entrance natural=saddle man_made=tower man_made=windmill man_made=water_tower
            man_made=survey_point military=bunker railway=station railway=halt railway=tram_stop railway=level_crossing railway=switch
            aeroway=aerodrome aeroway=gate highway=bus_stop highway=traffic_signals highway=milestone highway=crossing
            highway=speed_camera aerialway=station public_transport=platform waterway=weir power=generator power=pole barrier=gate
            landuse=cemetery boundary=marker mountain_pass=yes junction=yes bridge=yes tunnel=yes entrance=yes building=church
            telecom=exchange advertising=column geological=outcrop playground=slide indoor=room""".split()
        for i, kind in enumerate(kinds):
            key, _, value = kind.partition("=")
            x, y = -100 + 3 * (i % 30), 80 + 6 * (i // 30)
            tags = {key: value, "name": f"{value.replace('_', ' ').title()} {self.name}" if i % 5 else None,
                    "brand": "Brand Only" if i % 10 == 0 else None, "ref": f"R{i}" if i % 7 == 0 else None,
                    "operator": "Op Ltd" if i % 6 == 0 else None, "wikipedia": f"en:{value}" if i % 9 == 1 else None,
                    "addr:housenumber": str(i) if i % 8 == 3 else None, "addr:street": self.streets[i % 5] if i % 8 == 3 else None}
            if i % 3 == 2:
                self.box(x, y, x + 1, y + 1, **tags)
            else:
                self.point(x, y, **tags)
        # Several classes in one object, names in many languages, names of many words.
        self.point(30, 70, tourism="hotel", amenity="restaurant", historic="castle", name=f"Castle Hotel {self.name}")
        self.point(34, 70, amenity="library", name="Bibliothek", name__en="Library", name__fr="Bibliothèque", name__ru="Библиотека",
                   name__ja="図書館", name__ar="مكتبة", name__el="Βιβλιοθήκη", name__zh="图书馆", alt_name__de="Bücherei")
        self.point(38, 70, amenity="theatre", name="The very long name of a theatre that was named by a committee of many people " * 2)
        self.point(42, 70, shop="books", name="1984 & Co. – «Bücher» / Livres (2nd floor)")
        self.point(46, 70, shop="clothes", brand="H&M", brand__en="HM", operator="Hennes")
        self.point(50, 70, amenity="cafe", name="Café Ñandú", name__es="Café Ñandú", sorting_name="Nandu")
        self.point(54, 70, amenity="school", name="Grundschule Nr. 12", official_name="12. Grundschule", disused="yes")
        self.point(58, 70, disused__amenity="pub", name="Gone Pub")
        self.point(62, 70, amenity="bar", name="🍺 Bar", note="emoji")
        self.point(66, 70, name="Name and Nothing Else")
        self.point(70, 70, aeroway="aerodrome", iata=f"{self.name[:1]}XQ", icao=f"EX{self.n:02d}", name=f"{self.name} Airport")

    def waters(self):
        self.line([(-110, -70), (-50, -75), (0, -80), (60, -75), (110, -70)], waterway="river", name=f"{self.name} River")
        self.line([(-110, -60), (-50, -62)], waterway="stream", name=f"{self.name} Brook", name__en="The Brook")
        self.line([(-100, -50), (-90, -50)], waterway="ditch")
        self.box(-90, -100, -70, -85, natural="water", water="lake", name=f"{self.name} Lake")
        self.box(-60, -100, -50, -95, natural="wood", name=f"{self.name} Wood")
        self.line([(-40, -100), (-35, -100), (-30, -95)], natural="ridge", name=f"{self.name} Ridge")
        self.box(70, -60, 80, -50, leisure="nature_reserve", name=f"{self.name} Reserve")
        self.box(85, -60, 95, -50, natural="bay", name=f"{self.name} Bay")


def main():
    w = Writer()
    for n, town in enumerate(TOWNS):
        Town(w, n, *town).make()
    w.write(sys.stdout)


if __name__ == "__main__":
    main()
