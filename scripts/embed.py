#!/usr/bin/env python3
"""Turns files into a C table of assets, plain and compressed, so that the binary carries its pages.

    embed.py OUT.c NAME PATH=FILE:TYPE [PATH=FILE:TYPE ...]
    embed.py OUT.c NAME FILE ...            each as /NAME-OF-THE-FILE, its type by its extension

Compressed both as brotli and as gzip: browsers accept brotli from https and localhost only, and from any
other http just gzip. What would not be smaller is left out. Brotli is the library that the binary itself
links (Python has none of its own). The output depends on the files' bytes alone: two builds of one commit
are equal.
"""
import ctypes
import gzip
import hashlib
import os
import sys

TYPES = {".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml",
         ".txt": "text/plain; charset=utf-8"}


BROTLI_QUALITY, BROTLI_WINDOW, BROTLI_TEXT = 11, 22, 1


def brotli(data):
    encoder = ctypes.CDLL("libbrotlienc.so.1")
    size = ctypes.c_size_t(len(data) + 1024)
    out = ctypes.create_string_buffer(size.value)
    kept = encoder.BrotliEncoderCompress(BROTLI_QUALITY, BROTLI_WINDOW, BROTLI_TEXT, ctypes.c_size_t(len(data)), data, ctypes.byref(size), out)
    return out.raw[:size.value] if kept else data


def packed(name, data, plain):
    """A compressed form as (its declaration, where it is and its size); none if it is not smaller."""
    if len(data) >= len(plain):
        return "", "NULL, 0"
    return array(name, data), f"{name}, sizeof({name})"


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
    parts, rows, brotli_rows = [], [], []
    for n, item in enumerate(sorted(items)):
        path, _, rest = item.partition("=")
        file, _, kind = rest.rpartition(":")
        with open(file, "rb") as f:
            data = f.read()
        zipped, zipped_row = packed(f"gzip_{n}", gzip.compress(data, 9, mtime=0), data)
        squeezed, squeezed_row = packed(f"brotli_{n}", brotli(data), data)
        etag = hashlib.sha256(data).hexdigest()[:20]
        parts += [array(f"plain_{n}", data), zipped, squeezed]
        rows.append(f'    {{"{path}", "{kind}", "\\"{etag}\\"", plain_{n}, sizeof(plain_{n}), '
                    f"{zipped_row}}},")
        brotli_rows.append(f"    {{(const char *){squeezed_row}}},")
    with open(out, "w", encoding="utf-8") as f:
        f.write("/* Made by scripts/embed.py. */\n#include <sextant/static.h>\n\n")
        f.write("".join(parts))
        f.write(f"static const sx_asset items[] = {{\n" + "\n".join(rows) + "\n};\n\n")
        f.write(f"extern const sx_str {table}_BROTLI[];\n")
        f.write(f"const sx_str {table}_BROTLI[] = {{\n" + "\n".join(brotli_rows) + "\n};\n\n")
        f.write(f"extern const sx_assets {table};\n")
        f.write(f"const sx_assets {table} = {{items, {len(items)}, NULL}};\n")


if __name__ == "__main__":
    main()
