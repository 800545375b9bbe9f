#!/usr/bin/python3
"""kit_names.py FOLDER MAP NAMES DEPFILE - what libsextant shows: the functions its headers declare.

Writes them as the linker's version script (MAP) and one a line (NAMES, for the static library), so
that a declaration is all it takes to export a function, and nothing else is exported: rooms call each
other by sx_ names, too. DEPFILE makes the build look again when a header changes or a new one comes.
"""
import os
import re
import sys


def declared(text):
    """Names of the functions that a header declares and does not define."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.M)
    before = None
    while text != before:  # bodies, from the inside out
        before, text = text, re.sub(r"\{[^{}]*\}", ";", text)
    for statement in text.split(";"):
        statement = re.sub(r"\bSX_(BEGIN|END)_DECLS\b", "", statement).strip()
        name = re.search(r"\b(sx_\w+)\s*\(", statement)
        if name and not re.match(r"(typedef|static)\b", statement):
            yield name.group(1)


def write(path, text):
    """Only what differs: else each change of a header's comment would link the library anew."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def main():
    folder, map_path, names_path, dep_path = sys.argv[1:]
    headers = [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".h")]
    names = set()
    for path in headers:
        with open(path, encoding="utf-8") as f:
            names.update(declared(f.read()))
    names = sorted(names)
    lines = "".join(f"        {name};\n" for name in names)
    write(map_path, "{\n    global:\n" + lines + "    local: *;\n};\n")
    write(names_path, "".join(f"{name}\n" for name in names))
    with open(dep_path, "w", encoding="utf-8") as out:
        out.write(f"{map_path} {names_path}: {' '.join([folder, *headers])}\n")


main()
