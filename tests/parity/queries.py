"""Queries as people type them, made from the data: a seed gives the same ones again.

Each category is one function that takes a Maker and returns the query string's pairs. The mix is that
of the recorded queries; the data and the seed are the caller's."""
import gzip
import json
import random
import re
import unicodedata

SHORT = {"Rue": ["r", "r.", "R"], "Avenue": ["av", "av.", "ave"], "Boulevard": ["bd", "bld", "boul", "bvd"],
         "Place": ["pl", "pl."], "Impasse": ["imp", "imp."], "Allée": ["all", "all."], "Chemin": ["ch", "che", "chem"],
         "Square": ["sq", "sq."], "Passage": ["pass", "psg", "pass."], "Quai": ["qu", "quai"], "Villa": ["vla"],
         "Saint": ["st", "st."], "Sainte": ["ste"], "Docteur": ["dr", "dr."], "Général": ["gal", "gen"],
         "Faubourg": ["fg", "fbg"], "Cité": ["cite", "cit"], "Résidence": ["res"], "Colonel": ["col"],
         "Maréchal": ["mal"], "Capitaine": ["cpt"], "Commandant": ["cdt"], "Professeur": ["prof", "pr"]}
BESIDE = {a: b for row in ("azertyuiop", "qsdfghjklm", "wxcvbn") for a, b in zip(row, row[1:] + row[-2])}


def plain(text):
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def first(value):
    return value[0] if isinstance(value, list) and value else (value or "")


class Maker:
    def __init__(self, path, seed):
        self.r = random.Random(seed)
        self.streets, self.towns = [], []
        opener = gzip.open if str(path).endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                d = json.loads(line)
                if not isinstance(d.get("postcode"), str) and not d.get("postcode"):
                    continue  # Addok breaks on documents whose postcode is an empty list
                (self.streets if d.get("type") == "street" else self.towns).append(d)

    def case(self, text):
        return self.r.choice([text, text, text.lower(), text.lower(), text.upper(), plain(text.lower())])

    def address(self, postcode=True, city=True, number=None):
        d = self.r.choice(self.streets)
        words = [first(d["name"])]
        numbers = list(d.get("housenumbers") or {})
        if number is not False and numbers and (number or self.r.random() < 0.75):
            words.insert(0, self.r.choice(numbers))
        if postcode:
            words.append(first(d["postcode"]))
        if city:
            words.append(first(d["city"]))
        return d, words

    def town(self):
        d = self.r.choice(self.towns)
        return d, first(d["name"]), first(d["postcode"])

    def typo(self, text):
        places = [i for i, c in enumerate(text) if c.isalpha()]
        if len(places) < 3:
            return text
        i = self.r.choice(places)
        how = self.r.randrange(4)
        if how == 0:
            return text[:i] + text[i + 1:]
        if how == 1 and i + 1 < len(text):
            return text[:i] + text[i + 1] + text[i] + text[i + 2:]
        if how == 2:
            return text[:i] + text[i] + text[i:]
        return text[:i] + BESIDE.get(text[i].lower(), "e") + text[i + 1:]


def exact(m):
    return m.case(" ".join(m.address()[1]))


def abbreviation(m):
    words = " ".join(m.address(postcode=m.r.random() < 0.5)[1]).split()
    return m.case(" ".join(m.r.choice(SHORT[w]) if w in SHORT else w for w in words))


def missing_postcode(m):
    return m.case(" ".join(m.address(postcode=False)[1]))


def missing_city(m):
    return m.case(" ".join(m.address(city=False)[1]))


def street_only(m):
    return m.case(" ".join(m.address(postcode=False, city=False)[1]))


def wrong_postcode(m):
    _, words = m.address(number=True)
    words[-2] = m.r.choice(["75%03d" % m.r.randint(1, 20), "75000", "7501", "%05d" % m.r.randint(1000, 95999)])
    return m.case(" ".join(words))


def arrondissement(m):
    d, words = m.address(postcode=False, city=False)
    n = int(first(d["postcode"])[-2:]) or 1
    form = m.r.choice(["paris {n}", "paris {n}e", "paris {n}eme arrondissement", "{n}e arrondissement", "paris {p}"])
    return m.case(" ".join(words)) + " " + form.format(n=n, p=first(d["postcode"]))


def typo1(m):
    return m.typo(" ".join(m.address(postcode=m.r.random() < 0.5)[1]).lower())


def typo2(m):
    return m.typo(m.typo(" ".join(m.address(postcode=m.r.random() < 0.5)[1]).lower()))


def word_order(m):
    _, words = m.address()
    m.r.shuffle(words)
    return m.case(" ".join(words))


def autocomplete(m):
    text = " ".join(m.address(postcode=m.r.random() < 0.3)[1]) if m.r.random() < 0.7 else m.town()[1]
    text = m.case(text)
    return text[:m.r.randint(2, max(2, len(text)))].rstrip() or "ru"


def number_form(m):
    d, words = m.address(number=True)
    number = re.match(r"(\d+)(.*)", words[0])
    if not number:
        return m.case(" ".join(words))
    n, letter = number.groups()
    form = m.r.choice(["{n} {l}", "{n}{l}", "n°{n}{l}", "{n} bis", "{n}ter", "{n}, ", "{n}-{k}", "{n} et {k}", "0{n}"])
    return m.case(" ".join([form.format(n=n, l=letter, k=int(n) + 2)] + words[1:]))


def noise(m):
    text = m.case(" ".join(m.address()[1]))
    extra = m.r.choice(["bat b", "batiment 3", "appartement 12", "apt 4", "2eme etage", "esc 2", "code 45b12", "bp 1234",
                        "france", "fr", "tel 01 42 38 11 22", "hall 3", "residence les lilas", "chez m. martin"])
    return f"{extra} {text}" if m.r.random() < 0.4 else f"{text} {extra}"


def punctuation(m):
    text = " ".join(m.address()[1])
    return m.r.choice(["({})", "{}!", "« {} »", "{};", "...{}...", "\"{}\"", "{}, France", "<b>{}</b>"]).format(text)


def odd_spaces(m):
    return m.r.choice([" ", "\u00a0", "\u2003", " - ", ",", "/", "  "]).join(" ".join(m.address()[1]).split())


def cedex(m):
    _, name, postcode = m.town()
    return m.case(m.r.choice(["{p} {n} cedex", "bp 12 {p} {n} cedex", "{p} {n} cedex 08", "{n} cedex"]).format(n=name, p=postcode))


def municipality(m):
    _, name, postcode = m.town()
    return m.case(m.r.choice(["{n}", "{n}", "{p} {n}", "{n} {p}", "{n} France"]).format(n=name, p=postcode))


def municipality_typo(m):
    _, name, postcode = m.town()
    return m.typo(name.lower()) + (f" {postcode}" if m.r.random() < 0.3 else "")


def postcode_only(m):
    return m.r.choice(["{}", "cp {}", "{} France", " {} "]).format(m.town()[2])


def locality(m):
    _, name, postcode = m.town()
    place = m.r.choice(["la croix", "bel air", "le moulin", "la gare", "les granges", "l'étang", "le bourg", "la ville neuve"])
    return m.case(m.r.choice(["lieu dit {l} {n}", "{l} {p} {n}", "lieudit {l}, {n}", "{l} {n}"]).format(l=place, n=name, p=postcode))


def elsewhere(m):
    _, name, postcode = m.town()
    street = m.r.choice(["rue de la mairie", "place jules ferry", "avenue jean jaurès", "bd du 11 novembre 1918",
                         "impasse du moulin", "allée des tilleuls", "rue pasteur", "chemin de la fontaine"])
    return m.case(f"{m.r.randint(1, 150)} {street} {postcode} {name}")


def common_words(m):
    return m.r.choice(["rue", "rue de", "rue des", "rue du", "avenue", "place de la", "les", "saint", "sainte marie", "notre dame",
                       "paris", "paris de", "la", "e", "rue de paris", "rue saint", "place de l", "bd", "villa", "le moulin"])


def no_result(m):
    return "".join(m.r.choice("bcdfghjklmnpqrstvwxz") for _ in range(m.r.randint(3, 9)))


def filters(m):
    d, words = m.address(postcode=False, city=False, number=m.r.random() < 0.3)
    pairs = [["q", m.case(" ".join(words))]]
    for name, value in (("postcode", first(d["postcode"])), ("citycode", first(d.get("citycode"))),
                        ("type", m.r.choice(["street", "housenumber", "municipality", "street housenumber"]))):
        if value and m.r.random() < 0.5:
            pairs.append([name, value])
    return pairs


def near(m):
    d, words = m.address(postcode=False, city=False)
    far = m.r.choice([0.01, 0.1, 2])
    return [["q", m.case(" ".join(words))], ["lat", f"{d['lat'] + m.r.uniform(-far, far):.6f}"],
            ["lon", f"{d['lon'] + m.r.uniform(-far, far):.6f}"]]


def reverse(m):
    d = m.r.choice(m.streets if m.r.random() < 0.8 else m.towns)
    off = m.r.choice([0.0001, 0.001, 0.003])
    return [["lat", f"{d['lat'] + m.r.uniform(-off, off):.6f}"], ["lon", f"{d['lon'] + m.r.uniform(-off, off):.6f}"]]


# The weights are those of the recorded mix.
CATEGORIES = [
    (exact, 90), (abbreviation, 60), (missing_postcode, 37), (missing_city, 32), (street_only, 27), (wrong_postcode, 27),
    (arrondissement, 41), (typo1, 64), (typo2, 41), (word_order, 32), (autocomplete, 91), (number_form, 41), (noise, 28),
    (punctuation, 22), (odd_spaces, 14), (cedex, 14), (municipality, 54), (municipality_typo, 18), (postcode_only, 14),
    (locality, 14), (elsewhere, 28), (common_words, 11), (no_result, 12), (filters, 46), (near, 29), (reverse, 28),
]


def make(path, seed, count, only=None):
    """`count` of (category, path, pairs)."""
    m = Maker(path, seed)
    rows = [c for c in CATEGORIES if not only or c[0].__name__ in only]
    for _ in range(count):
        function = m.r.choices([c[0] for c in rows], [c[1] for c in rows])[0]
        made = function(m)
        pairs = [["q", made]] if isinstance(made, str) else made
        if m.r.random() < 0.15 and function is not reverse:
            pairs.append(["autocomplete", "0"])
        if m.r.random() < 0.33:
            pairs.append(["limit", str(m.r.randint(1, 20))])
        yield function.__name__, "/reverse/" if function is reverse else "/search/", pairs
