#!/usr/bin/env python3
"""Turns files into a C table of assets, plain and gzipped, so that the binary carries its pages.

    embed.py OUT.c NAME PATH=FILE:TYPE [PATH=FILE:TYPE ...]
    embed.py OUT.c NAME FILE ...            each as /NAME-OF-THE-FILE, its type by its extension

The output depends on the files' bytes alone: two builds of one commit are equal.
"""
import gzip
import hashlib
import os
import sys

TYPES = {".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml",
         ".txt": "text/plain; charset=utf-8"}


def array(name, data):
    rows = (data[i:i + 20] for i in range(0, len(data), 20))
    body = ",\n    ".join(",".join(str(b) for b in row) for row in rows)
    return f"static const unsigned char {name}[] = {{\n    {body}}};\n"


def whole(item):
    """An item as PATH=FILE:TYPE."""
    if "=" in item:
        return item
    return f"/{os.path.basename(item)}={item}:{TYPES[os.path.splitext(item)[1]]}"


def main():
    out, table, *items = sys.argv[1:]
    items = [whole(item) for item in items]
    parts, rows = [], []
    for n, item in enumerate(sorted(items)):
        path, _, rest = item.partition("=")
        file, _, kind = rest.rpartition(":")
        with open(file, "rb") as f:
            data = f.read()
        packed = gzip.compress(data, 9, mtime=0)
        etag = hashlib.sha256(data).hexdigest()[:20]
        parts += [array(f"plain_{n}", data), array(f"gzip_{n}", packed)]
        rows.append(f'    {{"{path}", "{kind}", "\\"{etag}\\"", plain_{n}, sizeof(plain_{n}), '
                    f"gzip_{n}, sizeof(gzip_{n})}},")
    with open(out, "w", encoding="utf-8") as f:
        f.write("/* Made by scripts/embed.py. */\n#include <sextant/static.h>\n\n")
        f.write("".join(parts))
        f.write(f"static const sx_asset items[] = {{\n" + "\n".join(rows) + "\n};\n\n")
        f.write(f"extern const sx_assets {table};\n")
        f.write(f"const sx_assets {table} = {{items, {len(items)}, NULL}};\n")


if __name__ == "__main__":
    main()
