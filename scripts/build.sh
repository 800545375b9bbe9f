#!/bin/sh
# build.sh - configures a build folder once and builds targets in it.
#
#   scripts/build.sh [-p PREFIX] DIR [TARGET...]      no target: everything
#
# The folder's name chooses its kind, so that every script means the same thing by it:
#   build            what is shipped: -O2 with debug information
#   build-asan       AddressSanitizer and UBSan, structures checked after each change
#   build-tsan       ThreadSanitizer
#   build-coverage   gcov counters
#   build-fuzz       libFuzzer with ASan and UBSan; needs clang
set -eu
cd "$(dirname "$0")/.."

prefix=
if [ "$1" = -p ]; then
    prefix=$2
    shift 2
fi
dir=$1
shift

# gcc guesses at uninitialised variables and at the range of printed numbers once a sanitizer has
# rewritten the code; the plain build, where its guesses are good, keeps the warnings as errors.
quiet="['-Wno-maybe-uninitialized','-Wno-format-truncation']"
# ThreadSanitizer does not model fences; ours stand between atomic accesses, which it does check.
tsan_quiet="['-Wno-maybe-uninitialized','-Wno-format-truncation','-Wno-tsan']"
case $dir in
build) set -- "$@" -- ;;
build-asan)
    set -- "$@" -- -Db_sanitize=address,undefined -Db_lundef=false -Ddebug_checks=true \
        -Dbuildtype=debug -Doptimization=1 "-Dc_args=$quiet" "-Dcpp_args=$quiet"
    ;;
build-tsan)
    set -- "$@" -- -Db_sanitize=thread -Db_lundef=false -Ddebug_checks=true \
        -Dbuildtype=debug -Doptimization=1 "-Dc_args=$tsan_quiet" "-Dcpp_args=$tsan_quiet"
    ;;
build-coverage) set -- "$@" -- -Db_coverage=true -Dbuildtype=debug ;;
build-fuzz)
    CC=clang-19 CXX=clang++-19
    export CC CXX
    set -- "$@" -- -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Ddebug_checks=true
    ;;
*)
    printf "build.sh: unknown kind of build folder '%s'; the kinds are listed in %s\n" "$dir" "$0" >&2
    exit 1
    ;;
esac

targets=
while [ "$1" != -- ]; do
    targets="$targets $1"
    shift
done
shift

# build.ninja is written last, so a setup that was interrupted is done again.
if [ ! -f "$dir/build.ninja" ]; then
    rm -rf "$dir/meson-private"
    mkdir -p "$dir"
    printf 'build: configuring %s\n' "$dir"
    # Debian's own libdir is a triplet that neither ld.so nor pkg-config looks into below /usr/local.
    meson setup "$dir" -Dlibdir=lib ${prefix:+"-Dprefix=$prefix"} "$@" >"$dir/setup.log" 2>&1 || {
        tail -n 15 "$dir/setup.log" >&2
        printf 'build.sh: meson setup failed; the whole log is in %s/setup.log\n' "$dir" >&2
        exit 1
    }
elif [ -n "$prefix" ]; then
    # ninja would configure anew as its first step, and show all of it.
    { meson configure "$dir" "-Dprefix=$prefix" && ninja -C "$dir" build.ninja; } \
        >"$dir/setup.log" 2>&1 || {
        tail -n 15 "$dir/setup.log" >&2
        printf 'build.sh: meson configure failed; the whole log is in %s/setup.log\n' "$dir" >&2
        exit 1
    }
fi
# Says how much there is to do before it is silent about it.
steps=$(ninja -C "$dir" -n $targets | sed -n 's#^\[[0-9]*/\([0-9]*\)\].*#\1#p' | tail -n 1)
if [ "${steps:-0}" -gt 20 ]; then
    printf 'build: %s steps in %s, about %s s\n' "$steps" "$dir" $((steps / 4 + 1))
fi
exec ninja -C "$dir" --quiet $targets
