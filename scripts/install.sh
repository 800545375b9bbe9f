#!/bin/sh
# install.sh - builds what is installed, and nothing else, and installs it.
#
#   scripts/install.sh PREFIX DESTDIR      DESTDIR may be empty
#
# Not by meson's --strip: it takes the names of the kit's own functions, too, and profiles and crash
# reports would then show addresses. They are a tenth of the file; debug sections are most of it.
set -eu
cd "$(dirname "$0")/.."
prefix=$1 destdir=$2

scripts/build.sh -p "$prefix" build installed
DESTDIR=$destdir meson install -C build --no-rebuild --quiet
for file in "$destdir$prefix/bin/sextant" "$destdir$prefix"/lib/libsextant.so.*.*; do
    [ -L "$file" ] || strip --strip-debug "$file"
done

case $prefix in
/usr) next='now run ldconfig' ;;
/usr/local) next='now run ldconfig, as root, so that programs find libsextant.so' ;;
*) next="for programs with it: PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib" ;;
esac
printf 'installed below %s: bin/sextant, lib/libsextant.so, include/sextant; %s\n' "$destdir$prefix" "$next"
