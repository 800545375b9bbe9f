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
subprocess.run(["meson", "configure", "build", f"-Dprefix={prefix}"], check=True)
subprocess.run(["ninja", "-C", "build", "--quiet", "build.ninja"], check=True)
files = json.loads(subprocess.check_output(["meson", "introspect", "build", "--installed"]))

removed, folders = 0, set()
for path in files.values():
    path = destdir + path
    if os.path.lexists(path) and not os.path.isdir(path):
        os.unlink(path)
        removed += 1
    folders.add(os.path.dirname(path))
for folder in sorted(folders, key=len, reverse=True):
    while folder.startswith(destdir + prefix + "/") and "sextant" in os.path.basename(folder):
        try:
            os.rmdir(folder)
        except OSError:
            break
        folder = os.path.dirname(folder)
print(f"uninstall: {removed} files removed from {destdir}{prefix}")
