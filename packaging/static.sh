#!/bin/sh
# static.sh - makes libsextant.a of the rooms' archives.
#
#   packaging/static.sh LD OBJCOPY AR OUTPUT NAMES ROOM.a...
#
# One object that shows the names libsextant.so shows (a line each in NAMES) and nothing else: the
# rooms' own names (client_new, http1_...) are plain words that a program may have, too. The price is
# that a program takes all of it. --force-group-allocation resolves the C++ shims' templates here; left
# open, the linker could drop them in favour of the program's own, which local names cannot follow.
set -eu
ld=$1 objcopy=$2 ar=$3 output=$4 names=$5
shift 5
object=$output.o
trap 'rm -f "$object"' EXIT
"$ld" -r --force-group-allocation --whole-archive "$@" -o "$object"
"$objcopy" --strip-debug --keep-global-symbols="$names" "$object"
rm -f "$output"
"$ar" rcsD "$output" "$object"
