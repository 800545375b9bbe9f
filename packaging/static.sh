#!/bin/sh
# static.sh - makes libsextant.a of the rooms' archives.
#
#   packaging/static.sh OUTPUT LD OBJCOPY AR ROOM.a...
#
# One object that shows the names libsextant.so shows (sx_*) and nothing else: the rooms' own names
# (client_new, http1_...) are plain words that a program may have, too. The price is that a program
# takes all of it. --force-group-allocation resolves the C++ shims' templates here; left open, the
# linker could drop them in favour of the program's own, which local names cannot follow.
set -eu
output=$1 ld=$2 objcopy=$3 ar=$4
shift 4
object=$output.o
trap 'rm -f "$object"' EXIT
"$ld" -r --force-group-allocation --whole-archive "$@" -o "$object"
"$objcopy" --strip-debug --wildcard --keep-global-symbol='sx_*' "$object"
rm -f "$output"
"$ar" rcsD "$output" "$object"
