#!/usr/bin/env python3
"""abi.py - whether programs that were linked against an earlier libsextant still run with this one.

  scripts/abi.py LIBRARY            compares with packaging/libsextant.abi; exit status 1 if it broke
  scripts/abi.py --update LIBRARY   writes that file anew (after additions; a break needs a new
                                    soversion in packaging/meson.build, and this)

The file has one line for each exported function with its types and one for each public structure,
union and enum with the place of every member, so that a change shows in a review. They are read by
libabigail's abidw from the debugging information; what only this library sees is left out. Adding
lines is fine, and so is adding members where a structure is handed out by the library alone or ends
in reserved members; the reviewer of --update decides that. A line that is gone or differs is a break.
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNTYPED = " of unknown types"
KEPT = os.path.join(ROOT, "packaging", "libsextant.abi")


def fail(text):
    print(f"abi: {text}", file=sys.stderr)
    sys.exit(2)


def read(library):
    try:
        done = subprocess.run(
            ["abidw", "--headers-dir", os.path.join(ROOT, "include", "sextant"),
             "--drop-private-types", "--no-corpus-path", "--no-comp-dir-path", library],
            capture_output=True, text=True, check=False)
    except FileNotFoundError:
        fail("abidw is not installed. Try: scripts/setup.sh test")
    if done.returncode:
        fail(f"abidw cannot read {library}: {done.stderr.strip()}")
    return ElementTree.fromstring(done.stdout)


class Types:
    """Types of the corpus by id, as C would name them."""

    def __init__(self, corpus):
        self.by_id = {e.get("id"): e for e in corpus.iter() if e.get("id")}

    def name(self, type_id):
        e = self.by_id.get(type_id)
        if e is None:
            return "void"
        if e.tag == "pointer-type-def":
            return self.name(e.get("type-id")) + " *"
        if e.tag == "qualified-type-def":
            words = [w for w in ("const", "volatile", "restrict") if e.get(w) == "yes"]
            return " ".join(words + [self.name(e.get("type-id"))])
        if e.tag == "array-type-def":
            sizes = "".join(f"[{s.get('length')}]" for s in e.findall("subrange"))
            return self.name(e.get("type-id")) + sizes
        if e.tag == "function-type":
            given = ", ".join(self.name(p.get("type-id")) if p.get("is-variadic") != "yes" else "..."
                              for p in e.findall("parameter"))
            return f"{self.name(e.find('return').get('type-id'))} ({given})"
        kind = {"class-decl": "struct ", "union-decl": "union ", "enum-decl": "enum "}
        if e.get("is-anonymous") == "yes":
            return kind.get(e.tag, "") + "{" + "; ".join(self.members(e)) + "}"
        return kind.get(e.tag, "") + (e.get("name") or "?")

    def given(self, type_id):
        """Of a parameter: const on the value itself is the callee's affair."""
        e = self.by_id.get(type_id)
        while e is not None and e.tag == "qualified-type-def":
            type_id = e.get("type-id")
            e = self.by_id.get(type_id)
        return self.name(type_id)

    def members(self, e):
        if e.tag == "enum-decl":
            return [f"{m.get('name')}={m.get('value')}" for m in e.findall("enumerator")]
        lines = []
        for m in e.findall("data-member"):
            v = m.find("var-decl")
            bits = m.get("layout-offset-in-bits") or "0"
            lines.append(f"{int(bits) // 8}: {self.name(v.get('type-id'))} {v.get('name')}".rstrip())
        return lines


def lines_of(corpus):
    types = Types(corpus)
    lines = set()
    # A function is found by its symbol's name: where a file calls it before the one that defines it
    # was read, abidw keeps the declaration alone, which names no symbol.
    exported = {e.get("name") for e in corpus.iter("elf-symbol")}
    for e in corpus.iter("function-decl"):
        symbol = e.get("name")
        if symbol not in exported or not symbol.startswith("sx_"):
            continue
        given = ", ".join("..." if p.get("is-variadic") == "yes" else types.given(p.get("type-id"))
                          for p in e.findall("parameter"))
        back = e.find("return")
        back = types.name(back.get("type-id")) if back is not None else "void"
        lines.add(f"function {symbol}({given}) -> {back}")
    # Two functions with the same code may become one, which keeps the types of one of them.
    lines.update(f"function {name}{UNTYPED}" for name in exported - set(map(subject, lines)))
    for e in corpus.iter():
        name = e.get("name") or ""
        if e.get("is-anonymous") == "yes" or not re.match(r"sx_", name):
            continue
        if e.tag in ("class-decl", "union-decl", "enum-decl") and e.get("is-declaration-only") != "yes":
            kind = {"class-decl": "struct", "union-decl": "union", "enum-decl": "enum"}[e.tag]
            size = f" {int(e.get('size-in-bits', '0')) // 8} bytes" if kind != "enum" else ""
            lines.add(f"{kind} {name}{size} {{{'; '.join(types.members(e))}}}")
    return sorted(lines)


def subject(line):
    return re.split(r"[({ ]", line.split(" ", 1)[1], maxsplit=1)[0]


def main():
    given = [a for a in sys.argv[1:] if a != "--update"]
    if len(given) != 1:
        fail("usage: scripts/abi.py [--update] LIBRARY")
    now = lines_of(read(given[0]))
    if len(now) < 100:
        fail(f"{given[0]} shows {len(now)} public names; was it built without debugging information?")
    if "--update" in sys.argv:
        with open(KEPT, "w", encoding="utf-8") as out:
            out.write("\n".join(now) + "\n")
        print(f"abi: {len(now)} lines written to {os.path.relpath(KEPT, ROOT)}")
        return
    with open(KEPT, encoding="utf-8") as kept:
        before = kept.read().splitlines()
    present = {subject(line): line for line in now}
    broken = [line for line in before if line not in set(now) and not
              (subject(line) in present and (line + present[subject(line)]).count(UNTYPED))]
    for line in broken:
        print(f"abi: broken: {line}\n     is now: {present.get(subject(line), 'gone')}")
    added = len(set(now) - set(before))
    print(f"abi: {len(before)} lines, {len(broken)} broken, {added} added")
    if broken:
        print("abi: programs linked against the earlier library would break. Restore what they use, "
              "or raise soversion in packaging/meson.build and run scripts/abi.py --update")
    sys.exit(1 if broken else 0)


main()
