#!/usr/bin/python3
"""uninstall.py PREFIX DESTDIR - removes what `make install` put there.

The list comes from meson's own description of the build, so it also works when the folder was
configured anew after the installation. Folders that are empty afterwards go too; others stay.
"""
import json
import os
import subprocess
import sys

prefix, destdir = sys.argv[1], sys.argv[2]
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
if not os.path.exists("build/build.ninja"):
    sys.exit("uninstall: there is no build folder to take the list from; run `make build` first")
for step in (["meson", "configure", "build", f"-Dprefix={prefix}"],
             ["ninja", "-C", "build", "--quiet", "build.ninja"]):
    subprocess.run(step, check=True, stdout=subprocess.DEVNULL)
described = json.loads(subprocess.check_output(["meson", "introspect", "build", "--installed"]))


def installed_files():
    """Each file's place; a folder that was installed whole is listed by its source's files."""
    for source, place in described.items():
        if not os.path.isdir(source):
            yield place
        for folder, _, names in os.walk(source):
            for name in names:
                yield os.path.join(place, os.path.relpath(os.path.join(folder, name), source))


removed, folders = 0, set()
for path in installed_files():
    path = os.path.normpath(destdir + path)
    if os.path.lexists(path):
        os.unlink(path)
        removed += 1
    folders.add(os.path.dirname(path))
for folder in sorted(folders, key=len, reverse=True):
    # Only folders that are ours by name: an empty share/man/man1 may be someone else's.
    while "sextant" in folder[len(destdir + prefix):]:
        try:
            os.rmdir(folder)
        except OSError:
            break
        folder = os.path.dirname(folder)
print(f"uninstall: {removed} files removed from {destdir}{prefix}")
