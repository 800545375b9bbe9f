#!/usr/bin/env python3
"""quality.py - how often the first answer is the right one: us, us with better=1, and Addok.

  tests/quality/quality.py [--queries 200] [--seed 1] [--no-addok] [--show 0] [--sextant FILE]

Makes queries from data/france.ndjson.gz whose right answer is known, `--queries` of each kind, and damages
them the way people do; a seed gives the same ones again. An answer is right if it is the street (or
commune) that the query was made from, by its id, with the house number if the query has one; where
the number was chosen so that the street has none of that kind, an interpolated point between its two
neighbours is right, and so is the street itself without one ("house number not there: street"
counts the street, "placed" the interpolated number). Streets that have a namesake with the same number in
the parts that the query names are not asked for. Prints the share of right first answers by kind,
and the mean time of a request (over HTTP for us, inside Python for Addok, neither with a cache).
"""
import argparse
import collections
import re
import tempfile
import time

import both
from both import queries

Asked = collections.namedtuple("Asked", "kind text id number params")


def first_number(d, r):
    return r.choice([n for n in d["housenumbers"]])


class Damage(queries.Maker):
    """Queries with what they should find: each kind is a method that gives (text, document, number)."""

    def __init__(self, path, seed):
        super().__init__(path, seed)
        self.names = collections.Counter(queries.plain(queries.first(d["name"])).lower() for d in self.streets)
        self.streets = [d for d in self.streets if d.get("housenumbers") and not re.match(r"\d", queries.first(d["name"]))]
        self.alone = [d for d in self.streets if self.names[queries.plain(queries.first(d["name"])).lower()] == 1]

    def parts(self, alone=True):
        d = self.r.choice(self.alone if alone else self.streets)
        return d, first_number(d, self.r), queries.first(d["name"]), queries.first(d["postcode"]), queries.first(d["city"])

    def word_typo(self, name, least, times=1):
        words = name.split()
        long = [i for i, w in enumerate(words) if len(w) >= least and w.isalpha() and w not in queries.SHORT]
        if not long:
            return None
        i = self.r.choice(long)
        was = words[i]
        for _ in range(times):
            words[i] = self.typo(words[i].lower())
        return " ".join(words) if words[i] != was.lower() else None

    def exact(self):
        d, n, name, code, city = self.parts(alone=False)
        return f"{n} {name} {code} {city}", d, n

    def missing_postcode(self):
        d, n, name, _, city = self.parts()
        return f"{n} {name} {city}", d, n

    def missing_city(self):
        d, n, name, code, _ = self.parts()
        return f"{n} {name} {code}", d, n

    def street_alone(self):
        d, n, name, _, _ = self.parts()
        return f"{n} {name}", d, n

    def wrong_postcode(self):
        d, n, name, code, city = self.parts()
        wrong = self.r.choice(["75%03d" % self.r.randint(1, 20), "75000", "%05d" % self.r.randint(1000, 95999)])
        return (f"{n} {name} {wrong} {city}", d, n) if wrong != code else None

    def wrong_city(self):
        d, n, name, code, _ = self.parts()
        return f"{n} {name} {code} {self.r.choice(['lyon', 'marseille', 'boulogne', 'saint denis', 'nice'])}", d, n

    def one_error(self):
        d, n, name, code, city = self.parts()
        name = self.word_typo(name, 5)
        return name and (f"{n} {name} {self.r.choice([code, city, f'{code} {city}'])}", d, n)

    def two_errors_in_a_long_word(self):
        d, n, name, code, city = self.parts()
        name = self.word_typo(name, 8, 2)
        return name and (f"{n} {name} {self.r.choice([code, city, f'{code} {city}'])}", d, n)

    def errors_in_two_words(self):
        d, n, name, code, city = self.parts()
        name = self.word_typo(name, 5)
        name = name and self.word_typo(name, 5)
        return name and (f"{n} {name} {self.typo(city.lower())}", d, n)

    def swapped_words(self):
        d, n, name, code, city = self.parts()
        words = [f"{n}", *name.split(), self.r.choice([code, city])]
        self.r.shuffle(words)
        return " ".join(words), d, n

    def number_behind(self):
        d, n, name, _, city = self.parts()
        return f"{city} {name} {n}", d, n

    def run_together(self):
        d, n, name, code, city = self.parts()
        words = re.split(r"[ '’-]+", name)
        if len(words) < 2:
            return None
        i = self.r.randrange(len(words) - 1)
        words[i:i + 2] = [words[i] + words[i + 1]]
        return f"{n} {' '.join(words)} {city}".lower(), d, n

    def torn_apart(self):
        d, n, name, code, city = self.parts()
        words = name.split()
        long = [i for i, w in enumerate(words) if len(w) >= 7 and w.isalpha() and w not in queries.SHORT]
        if not long:
            return None
        i = self.r.choice(long)
        at = self.r.randint(3, len(words[i]) - 3)
        words[i] = words[i][:at] + " " + words[i][at:]
        return f"{n} {' '.join(words)} {city}".lower(), d, n

    def number_stuck(self):
        d, n, name, code, city = self.parts()
        return self.r.choice([f"{n}{name} {code} {city}", f"{n} {name} {code}{city}", f"{n} {name}{code}"]).lower(), d, n

    def commune_error(self):
        d = self.r.choice(self.towns)
        name = self.word_typo(queries.first(d["name"]), 6)
        return name and (f"{name} {queries.first(d['postcode'])}", d, None)

    def commune_wrong_postcode(self):
        d = self.r.choice([t for t in self.towns if len(queries.first(t["name"])) > 7])
        code = queries.first(d["postcode"])
        return f"{queries.first(d['name'])} {code[:2]}{self.r.randint(0, 999):03}", d, None

    def number_not_there(self):
        d, _, name, code, city = self.parts()
        have = sorted({int(re.match(r"\d+", n).group()) for n in d["housenumbers"] if re.match(r"\d+", n)})
        gaps = [n for n in range(have[0] + 2, have[-1] - 1) if n not in have and any(x < n and x % 2 == n % 2 for x in have)
                and any(x > n and x % 2 == n % 2 for x in have)] if len(have) > 4 else []
        if not gaps:
            return None
        n = self.r.choice(gaps)
        return f"{n} {name} {code} {city}", d, f"+{n}"


KINDS = [
    ("exact", "exact"), ("missing_postcode", "without postcode"), ("missing_city", "without city"),
    ("street_alone", "number and street alone"), ("wrong_postcode", "wrong postcode"), ("wrong_city", "wrong city"),
    ("one_error", "one error"), ("two_errors_in_a_long_word", "two errors in a long word"),
    ("errors_in_two_words", "errors in two or three words"), ("swapped_words", "words shuffled"),
    ("number_behind", "city, street, number"), ("run_together", "two words run together"), ("torn_apart", "a word torn apart"),
    ("number_stuck", "number stuck to a word"), ("commune_error", "commune, one error"),
    ("commune_wrong_postcode", "commune, wrong postcode"), ("number_not_there", "house number not there: street"),
]


def make(seed, count):
    maker = Damage(both.DATA, seed)
    for method, kind in KINDS:
        left = count
        while left:
            made = getattr(maker, method)()
            if not made:
                continue
            text, d, number = made
            left -= 1
            yield Asked(kind, text, d["id"], number, [["q", maker.case(text)], ["limit", "5"], ["autocomplete", "0"]])


def verdicts(asked, status, body):
    """(kind, right) of one answer; a number that is not there counts twice."""
    features = body["features"] if status == 200 else []
    p = features[0]["properties"] if features else {}
    is_doc = p.get("id") == asked.id or str(p.get("id", "")).startswith(asked.id + "_")
    if asked.number and asked.number.startswith("+"):
        yield asked.kind, is_doc
        yield "house number not there: placed", is_doc and p.get("interpolated") is True and p["housenumber"] == asked.number[1:]
    else:
        yield asked.kind, is_doc and p.get("housenumber", "").lower() == (asked.number or "").lower()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="wrong answers to print for each kind and each of us")
    both.add_arguments(parser)
    args = parser.parse_args()
    asked = list(make(args.seed, args.queries))
    right, took = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    total = collections.Counter(a.kind for a in asked)
    with tempfile.TemporaryDirectory() as folder:
        for who, ask in both.everybody(args, folder):
            shown = collections.Counter()
            began = time.perf_counter()
            for a, (status, body) in zip(asked, ask([("/search/", a.params) for a in asked])):
                now = time.perf_counter()
                took[who][a.kind] += now - began
                for kind, ok in verdicts(a, status, body):
                    right[who][kind] += ok
                    if not ok and shown[kind] < args.show:
                        shown[kind] += 1
                        got = [(f["properties"]["label"], round(f["properties"]["score"], 3)) for f in body["features"][:2]]
                        print(f"{who} | {kind} | {a.params[0][1]} | {a.id} {a.number} | {got}")
                began = time.perf_counter()
    who = list(right)
    print(f"first answer right, of {args.queries} queries of each kind (seed {args.seed}); mean time of a request\n")
    print(f"| {'queries':34} | " + " | ".join(f"{w:>16}" for w in who) + " | " + " | ".join(f"{w + ', ms':>20}" for w in who) + " |")
    print("|---" + "|---:" * 2 * len(who) + "|")
    for kind in [k for _, k in KINDS] + ["house number not there: placed"]:
        times = " | ".join(f"{1000 * took[w][kind] / total[kind]:20.2f}" if total[kind] else " " * 20 for w in who)
        print(f"| {kind:34} | " + " | ".join(f"{100 * right[w][kind] / args.queries:15.1f}%" for w in who) + f" | {times} |")
    kinds = [k for _, k in KINDS]
    print(f"| {'all':34} | " + " | ".join(f"{100 * sum(right[w][k] for k in kinds) / len(asked):15.1f}%" for w in who) + " | "
          + " | ".join(f"{1000 * sum(took[w].values()) / len(asked):20.2f}" for w in who) + " |")


if __name__ == "__main__":
    main()
