#!/usr/bin/env python3
"""Writes fold_table.h: what each letter beyond ASCII becomes when a name is folded.

Latin letters come from the Unicode decompositions of Python's unicodedata, plus the few that do not
decompose; Greek and Cyrillic are written in Latin letters as road signs and passports commonly do.
Run it again only when a script is added; the output is committed so that a build needs no Python.
"""
import unicodedata

SPECIAL = {
    "ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o",
    "đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "þ": "th", "Þ": "th", "ł": "l", "Ł": "l", "ı": "i",
    "ħ": "h", "Ħ": "h", "ŋ": "ng", "Ŋ": "ng", "ŧ": "t", "Ŧ": "t", "ĸ": "q", "ŉ": "n", "ſ": "s",
    "ƀ": "b", "ƒ": "f", "ƶ": "z", "Ƶ": "z", "ǝ": "e", "Ǝ": "e", "ɇ": "e", "ə": "e",
    "°": "deg", "º": "o", "ª": "a", "µ": "u", "²": "2", "³": "3", "¹": "1", "¼": "1 4",
    "½": "1 2", "¾": "3 4", "\u00ad": "\1",
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i",
    "κ": "k", "λ": "l", "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s",
    "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i",
    "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s",
    "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch",
    "ъ": "\1", "ы": "y", "ь": "\1", "э": "e", "ю": "iu", "я": "ia", "ѐ": "e", "ё": "e", "ђ": "dj",
    "ѓ": "g", "є": "ie", "ѕ": "dz", "і": "i", "ї": "i", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c",
    "ќ": "k", "ѝ": "i", "ў": "u", "џ": "dz",
}
RANGES = [(0x00A0, 0x024F), (0x0370, 0x03FF), (0x0400, 0x045F), (0x1E00, 0x1EFF),
          (0x2000, 0x209F), (0x2460, 0x2473), (0xFB00, 0xFB06), (0xFF00, 0xFF5E)]


def folded(char, depth=0):
    """ASCII text; a space for what separates words; \\1 for what vanishes; \\2 for 'keep'."""
    if char in SPECIAL:
        return SPECIAL[char]
    low = char.lower()
    if low in SPECIAL:
        return SPECIAL[low]
    if 0x200B <= ord(char) <= 0x200F or ord(char) in (0x2060, 0xFEFF):
        return "\1"
    apart = unicodedata.normalize("NFKD", char)
    if apart != char and depth < 3:
        out = "".join(p if p == "\1" else folded(p, depth + 1) if ord(p) > 127 else p.lower()
                      for p in apart if not unicodedata.combining(p))
        out = "".join(c if c.isalnum() or c == "\1" else " " for c in out)
        return out if len(out) <= 7 and out else " "
    if unicodedata.category(char)[0] in "LN":
        return "\2"
    return " "


def quoted(text):
    return '"' + text.replace("\1", "\\1").replace("\2", "\\2") + '"'


with open("fold_table.h", "w", encoding="ascii") as out:
    out.write("/* fold_table.h - what each letter beyond ASCII becomes when folded; written by\n"
              " * fold_table.py, included by fold.c alone.\n"
              " * \" \" separates words, \"\\1\" vanishes, \"\\2\" is kept as it is. */\n"
              "#ifndef GEOCODE_TEXT_FOLD_TABLE_H\n#define GEOCODE_TEXT_FOLD_TABLE_H\n\n"
              "/* clang-format off */\n")
    for first, last in RANGES:
        out.write(f"static const char FOLD_{first:04X}[{last - first + 1}][8] = {{\n")
        row = [quoted(folded(chr(c))) for c in range(first, last + 1)]
        for at in range(0, len(row), 12):
            out.write("    " + ", ".join(row[at:at + 12]) + ",\n")
        out.write("};\n\n")
    out.write("static const struct {\n    unsigned first, last;\n    const char (*text)[8];\n"
              "} FOLD_RANGES[] = {\n")
    for first, last in RANGES:
        out.write(f"    {{0x{first:04X}, 0x{last:04X}, FOLD_{first:04X}}},\n")
    out.write("};\n/* clang-format on */\n\n#endif\n")
