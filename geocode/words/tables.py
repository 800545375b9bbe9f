#!/usr/bin/env python3
"""Writes letters.h, abbreviations.h and countries.h: the facts that the words of Nominatim's tokenizer
rest on.

    tables.py SETTINGS [--no-letters]

SETTINGS is the folder `settings` of the Python package nominatim-db. letters.h says what becomes of every
character when it is normalised and when it is written in ASCII, as ICU does with those settings; it
also finds, by trying all pairs, which scripts may be written letter by letter. abbreviations.h has the
abbreviations of each language, countries.h each country's languages and the shape of its postcodes.
The output is committed so that a build needs neither Python nor ICU. Needs PyICU (ICU 72) and PyYAML.
"""
import itertools
import re
import sys
from pathlib import Path

import icu
import yaml

SETTINGS = Path(sys.argv[1])
HERE = Path(__file__).resolve().parent
LAST = 0x1FFFF
BLOCK = 64

# Codes below 16 of a character's two forms; more are offsets in the pool of strings.
KEEP, DROP, DASH, HYPHEN, SPACE, MARK, SIGMA, DEGREE, HAN = range(9)
NOTHING, SELF, BLANK = range(3)
ASK = 0x8000  # and what becomes of the letter if ICU gives it back


class Loader(yaml.SafeLoader):
    pass


def include(_, node):
    return yaml.load((SETTINGS / node.value).read_text("utf-8"), Loader=Loader)


Loader.add_constructor("!include", include)


def flat(rules):
    for rule in rules:
        if isinstance(rule, list):
            yield from flat(rule)
        else:
            yield rule


def c_string(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


class Letters:
    """What ICU makes of single characters, and where that is all there is to know."""

    def __init__(self, config):
        normal = ";".join(flat(config["normalization"])) + ";"
        ascii_rules = ";".join(flat(config["transliteration"])) + ";"
        self.normal = icu.Transliterator.createFromRules("n", normal).transliterate
        named = normal + ";[[:Space:][-:]]+ > ' ';"
        self.normal_name = icu.Transliterator.createFromRules("m", named).transliterate
        self.ascii = icu.Transliterator.createFromRules("a", ascii_rules).transliterate
        after = ascii_rules.split(":: Latin ();", 1)[1]
        self.rest = icu.Transliterator.createFromRules("r", after).transliterate
        self.dashes = icu.UnicodeSet("[[:Punctuation:][:Symbol:][\u02bc] - [-:]]")
        self.spaces = icu.UnicodeSet("[:Space:]")
        self.marks = icu.UnicodeSet("[[:Nonspacing Mark:][:Cf:]]")
        self.alive = icu.UnicodeSet("[[:alnum:][:Canonical_Combining_Class=Virama:]]")
        self.scripts = {}

    def normal_form(self, char):
        if char in "-:":
            return HYPHEN
        if self.spaces.contains(char):
            return SPACE
        if char == "Σ":
            return SIGMA
        if char in "°º":
            return DEGREE
        form = self.normal("x" + char + "x")[1:-1]
        if self.dashes.contains(char):
            # The sign of a number is a word in the middle of a run of signs, too.
            return DASH if form == "-" else form
        if self.marks.contains(char) and self.alive.contains(char):
            return MARK
        if form == char:
            return KEEP
        return form if form else DROP

    def learn_scripts(self, kept):
        """Letters of which some neighbour changes something: at least one of every such pair."""
        by_script = {}
        for char in kept:
            name = icu.Script.getScript(char).getShortName()
            by_script.setdefault(name, []).append(char)
        asked = set()
        for name, chars in by_script.items():
            if name in ("Hani", "Hang", "Hira", "Kana", "Bopo", "Thai"):
                asked.update(chars)
            elif name not in ("Grek", "Armn"):
                asked.update(self.pairs(name, chars))
        return asked

    def pairs(self, name, chars):
        alone = {char: self.ascii(char) for char in chars}
        if len(chars) > 800 and name != "Arab":  # scripts of syllables and pictures: a sample
            chars = chars[:: len(chars) // 150]
        odd = [(a, b) for a in chars for b in chars if self.ascii(a + b) != alone[a] + alone[b]]
        often = {}
        for char in itertools.chain.from_iterable(odd):
            often[char] = often.get(char, 0) + 1
        asked = set()
        for a, b in odd:
            if a not in asked and b not in asked:
                asked.add(a if often[a] >= often[b] else b)
        if asked:
            print("%s: %d of %d letters are asked of ICU" % (name, len(asked), len(chars)))
        return asked

    def greek(self, kept):
        """Letters whose neighbours matter: vowels before upsilons, gammas before gutturals."""
        chars = [c for c in kept if icu.Script.getScript(c).getShortName() == "Grek"]
        alone = {char: self.ascii(char) for char in chars}
        roles = {"vowel": set(), "upsilon": set(), "gamma": set(), "guttural": set()}
        odd = {}
        for a, b in itertools.product(chars, chars):
            both = self.ascii(a + b)
            if both == alone[a] + alone[b]:
                continue
            if both == alone[a] + "u":
                roles["vowel"].add(a)
                roles["upsilon"].add(b)
            elif both == "n" + alone[b]:
                roles["gamma"].add(a)
                roles["guttural"].add(b)
            else:
                odd[a + b] = (both, alone[a], alone[b])
        return roles, odd


class Pool:
    def __init__(self, first):
        self.text = b"\0" * first
        self.at = {}

    def put(self, text):
        if text not in self.at:
            self.at[text] = len(self.text)
            raw = text.encode("utf-8")
            self.text += bytes([len(raw)]) + raw
        return self.at[text]


def write_numbers(out, name, kind, values):
    out.append("static const %s %s[%d] = {" % (kind, name, len(values)))
    line = "   "
    for value in values:
        item = " %d," % value
        if len(line) + len(item) > 99:
            out.append(line)
            line = "   "
        line += item
    out.append(line)
    out.append("};\n")


def write_bytes(out, name, raw):
    out.append("static const unsigned char %s[%d] = {" % (name, len(raw)))
    line = "   "
    for value in raw:
        item = " %d," % value
        if len(line) + len(item) > 99:
            out.append(line)
            line = "   "
        line += item
    out.append(line)
    out.append("};\n")


def letters(config):
    icu_letters = Letters(config)
    pool = Pool(16)
    forms = {}
    kept = []
    for code in range(LAST + 1):
        if 0xD800 <= code < 0xE000:
            continue
        char = chr(code)
        forms[code] = icu_letters.normal_form(char)
        if forms[code] == KEEP:
            kept.append(char)
        elif isinstance(forms[code], str):
            kept += [c for c in forms[code] if c not in "- "]
    kept = sorted(set(kept))
    asked = icu_letters.learn_scripts(kept)
    roles, odd = icu_letters.greek(kept)
    asked.update(pair[1] for pair in odd)
    print("asked of ICU: %d letters; Greek: %s; other pairs: %d"
          % (len(asked), {k: len(v) for k, v in roles.items()}, len(odd)))
    latin = {}
    for char in kept:
        if char in asked:
            latin[ord(char)] = (ASK, icu_letters.rest(char))
            continue
        text = icu_letters.ascii(char)
        latin[ord(char)] = NOTHING if text == "" else SELF if text == char else text
    pairs, rows = {}, []
    blocks, index, stage = {}, [], []
    for first in range(0, LAST + 1, BLOCK):
        block = []
        for code in range(first, first + BLOCK):
            if 0xD800 <= code < 0xE000:
                pair = (DROP, NOTHING)
            else:
                form, ascii_form = forms[code], latin.get(code, NOTHING)
                if isinstance(form, str):
                    form = pool.put(form)
                elif form == KEEP and chr(code) in asked and \
                        icu.Script.getScript(chr(code)).getShortName() == "Hani":
                    form = HAN
                if form == SPACE or form == HYPHEN:
                    ascii_form = BLANK
                if isinstance(ascii_form, tuple):
                    ascii_form = ASK | (pool.put(ascii_form[1]) if ascii_form[1] else NOTHING)
                elif isinstance(ascii_form, str):
                    ascii_form = pool.put(ascii_form)
                pair = (form, ascii_form)
            if pair not in pairs:
                pairs[pair] = len(pairs)
                rows.append(pair)
            block.append(pairs[pair])
        key = tuple(block)
        if key not in blocks:
            blocks[key] = len(blocks)
            stage += block
        index.append(blocks[key])
    out = ["/* letters.h - made by tables.py: what becomes of each character. See normal.c. */",
           "#ifndef GEOCODE_WORDS_LETTERS_H", "#define GEOCODE_WORDS_LETTERS_H\n",
           "#include <stdint.h>\n", "/* clang-format off */",
           "enum { LETTER_LAST = 0x%X, LETTER_BLOCK = %d };\n" % (LAST, BLOCK)]
    write_numbers(out, "LETTER_BLOCKS", "uint16_t", index)
    write_numbers(out, "LETTER_ROWS", "uint16_t", stage)
    write_numbers(out, "LETTER_FORMS", "uint16_t", [v for row in rows for v in row])
    write_bytes(out, "LETTER_TEXTS", pool.text)
    out.append("/* Greek letters by their part in digraphs: 1 vowel, 2 upsilon, 4 gamma, 8 guttural. */")
    greek = []
    for code in list(range(0x370, 0x400)) + list(range(0x1F00, 0x2000)):
        greek.append(sum(bit for bit, role in ((1, "vowel"), (2, "upsilon"), (4, "gamma"),
                                               (8, "guttural")) if chr(code) in roles[role]))
    write_numbers(out, "LETTER_GREEK", "uint8_t", greek)
    out.append("#endif")
    (HERE / "letters.h").write_text("\n".join(out) + "\n")
    known(icu_letters, forms, asked)
    print("letters.h: %d pairs, %d blocks, %d bytes of text"
          % (len(rows), len(blocks), len(pool.text)))


class Abbreviations:
    """One string a language: "word,word>short,short" by semicolons. '~', '^' and '$' at a word's ends
    as in the settings; '|' before '>' keeps a suffix attached, '=' gives up the word itself."""

    def __init__(self, config):
        normal = ";".join(flat(config["normalization"])) + ";"
        self.normal = icu.Transliterator.createFromRules("n", normal).transliterate

    def word(self, text):
        match = re.fullmatch(r"([~^]?)([^~$^]*)([~$]?)", text.strip())
        middle = self.normal(match[2]).strip()
        return match[1] + middle + match[3] if middle else None

    def facts(self, sections):
        shorts = {}
        for section in sections:
            for rule in section.get("words") or []:
                left, bar, arrow, right = re.split(r"(\|)?([=-])>", rule)
                mark = (bar or "") + ("=" if arrow == "=" else "")
                for word in filter(None, map(self.word, left.split(","))):
                    known = shorts.setdefault((word, mark), [])
                    for short in right.split(","):
                        short = self.normal(short).strip()
                        if short and short not in known:
                            known.append(short)
        by_shorts = {}
        for (word, mark), known in sorted(shorts.items()):
            by_shorts.setdefault((mark, tuple(sorted(known))), []).append(word)
        return sorted(",".join(words) + mark + ">" + ",".join(known)
                      for (mark, known), words in by_shorts.items())


def write_text(out, text):
    """A string constant over several lines, cut between characters."""
    line, lines = "", []
    for char in text:
        piece = c_string(char)
        if len(line) + len(piece) > 90:
            lines.append(line)
            line = ""
        line += piece
    lines.append(line)
    out.append("\n".join('     "%s"' % line for line in lines) + "},")


def abbreviations(config):
    maker = Abbreviations(config)
    out = ["/* abbreviations.h - made by tables.py: short forms of words. See variants.c. */",
           "#ifndef GEOCODE_WORDS_ABBREVIATIONS_H", "#define GEOCODE_WORDS_ABBREVIATIONS_H\n",
           "#include <sextant/str.h>\n",
           "/* clang-format off */",
           "typedef struct abbreviations {\n    const char *language;\n    sx_str words;"
           "\n} abbreviations;\n",
           "static const abbreviations ABBREVIATIONS[] = {"]
    count = 0
    for section in sorted(config["token-analysis"], key=lambda s: s.get("id") or ""):
        name = section.get("id") or ""
        if not name or name[0] == "@":
            continue
        facts = maker.facts(flat(section["variants"]))
        count += len(facts)
        text = ";".join(facts)
        lines = []
        write_text(lines, text)
        out.append('    {"%s",\n     SX_STR_INIT(\n%s' % (name, lines[0].replace("},", ")},")))
    out.append("};\n\n#endif")
    (HERE / "abbreviations.h").write_text("\n".join(out) + "\n")
    print("abbreviations.h: %d facts" % count)


def countries(config):
    tag = next(s for s in config["sanitizers"] if s["step"] == "tag-analyzer-by-language")
    known = yaml.load((SETTINGS / "country_settings.yaml").read_text("utf-8"), Loader=Loader)
    out = ["/* countries.h - made by tables.py: languages and postcodes of countries. See countries.c.",
           " *",
           " * A postcode's pattern: d a digit, l a letter, else as regular expressions have it; empty if",
           " * the country has none, \"*\" if nothing is known. Its output: how it is written. */",
           "#ifndef GEOCODE_WORDS_COUNTRIES_H", "#define GEOCODE_WORDS_COUNTRIES_H\n",
           "#include <stdint.h>\n",
           "/* clang-format off */", "typedef struct country_facts {", "    char code[3];",
           "    const char *languages; /* those with rules of their own */",
           "    const char *postcode, *output;",
           "    uint32_t extent_m; /* of a postcode; 0: as usual */", "} country_facts;\n",
           "static const country_facts COUNTRIES[] = {"]
    for code, facts in sorted(known.items()):
        languages = facts.get("languages") or ""
        if not isinstance(languages, list):
            languages = [part.strip() for part in languages.split(",")]
        languages = " ".join(lang for lang in languages if lang in tag["whitelist"])
        postcode = facts.get("postcode")
        if postcode is False:
            pattern, output, extent = "", "", 0
        elif postcode is None:
            pattern, output, extent = "*", "", 0
        else:
            pattern, output = postcode["pattern"], postcode.get("output", "")
            extent = postcode.get("extent", 0)
        out.append('    {"%s", "%s", "%s", "%s", %d},'
                   % (code, languages, c_string(pattern), c_string(output), int(extent)))
    out.append("};\n")
    out += ["/* The same by pattern, as queries are looked through: countries in capitals. */",
            "typedef struct postcode_shape {", "    const char *pattern, *output, *countries;",
            "} postcode_shape;\n", "static const postcode_shape POSTCODE_SHAPES[] = {"]
    shapes = {}
    for code, facts in sorted(known.items()):
        if facts.get("postcode"):
            key = (facts["postcode"]["pattern"], facts["postcode"].get("output", ""))
            shapes.setdefault(key, []).append(code.upper())
    for (pattern, output), codes in sorted(shapes.items()):
        out.append('    {"%s", "%s",\n     "%s"},' % (c_string(pattern), c_string(output),
                   '"\n     "'.join(" ".join(codes[i:i + 28]) + (" " if i + 28 < len(codes) else "")
                                    for i in range(0, len(codes), 28))))
    out.append("};\n\n#endif")
    (HERE / "countries.h").write_text("\n".join(out) + "\n")
    print("countries.h: %d countries" % len(known))


def texts_of(value):
    """A name, and what is made of it: see names.c."""
    for piece in re.split(r"\s*;+\s*", value.strip()):
        yield piece
        yield piece.split("(")[0].strip()


def known(icu_letters, forms, asked):
    """What ICU says of the names of countries, so that an import needs not ask it for all of them."""
    hant = icu.Transliterator.createInstance("Hans-Hant").transliterate
    latin = icu.Transliterator.createInstance("Any-Latin").transliterate
    settings = yaml.load((SETTINGS / "country_settings.yaml").read_text("utf-8"), Loader=Loader)
    values = set()

    def gather(names):
        for name in (names or {}).values():
            if isinstance(name, dict):
                gather(name)
            else:
                values.update(filter(None, texts_of(name)))

    for facts in settings.values():
        gather(facts.get("names"))
    pairs = {"HANT": {}, "LATIN": {}}
    for value in values:
        if any(forms[ord(c)] == KEEP and c in asked and
               icu.Script.getScript(c).getShortName() == "Hani" for c in value):
            pairs["HANT"][value] = hant(value)
        normal = icu_letters.normal_name(value).strip(" ")
        if any(c in asked for c in normal):
            pairs["LATIN"][normal] = latin(normal)
    out = ["/* known_texts.h - made by tables.py: names of countries as ICU writes them. See icu.c. */",
           "#ifndef GEOCODE_WORDS_KNOWN_TEXTS_H", "#define GEOCODE_WORDS_KNOWN_TEXTS_H\n",
           "#include <sextant/str.h>\n", "/* clang-format off */",
           "typedef struct known_text {\n    sx_str in, out; /* sorted by in; an empty out is the same */"
           "\n} known_text;\n"]
    for kind, table in pairs.items():
        out.append("static const known_text KNOWN_%s[] = {" % kind)
        for text, form in sorted(table.items(), key=lambda p: p[0].encode("utf-8")):
            out.append('    {SX_STR_INIT("%s"), SX_STR_INIT("%s")},'
                       % (c_string(text), c_string(form) if form != text else ""))
        out.append("};\n")
    out.append("#endif")
    (HERE / "known_texts.h").write_text("\n".join(out) + "\n")
    print("known_texts.h: %s" % {kind: len(table) for kind, table in pairs.items()})


def main():
    config = yaml.load((SETTINGS / "icu_tokenizer.yaml").read_text("utf-8"), Loader=Loader)
    abbreviations(config)
    countries(config)
    if "--no-letters" not in sys.argv:
        letters(config)


if __name__ == "__main__":
    main()
