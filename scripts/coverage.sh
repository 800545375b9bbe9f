#!/bin/sh
# coverage.sh - what the unit tests reach: a table here, line by line in
# build-coverage/coverage/index.html. Only our own code counts, not the tests.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh build-coverage
find build-coverage -name '*.gcda' -delete
meson test -C build-coverage --no-rebuild --print-errorlogs --quiet || failed=1
mkdir -p build-coverage/coverage
gcovr --root . --object-directory build-coverage --exclude-unreachable-branches \
    --exclude 'tests/' --exclude 'fuzz/' --exclude 'bench/' --exclude 'examples/' \
    --html-details build-coverage/coverage/index.html --xml build-coverage/coverage/coverage.xml \
    --txt build-coverage/coverage/summary.txt --print-summary
cat build-coverage/coverage/summary.txt
exit "${failed:-0}"
