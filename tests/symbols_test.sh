#!/bin/sh
# SPDX-License-Identifier: MIT
# symbols_test.sh - the shared library libNAME.so exports exactly runtime/NAME.symbols, all of it
# hank_*, and no data anyone could write to.
#
#   symbols_test.sh LIBRARY            compare
#   symbols_test.sh LIBRARY --update   write the list anew; the diff is what a reviewer looks at
#   symbols_test.sh LIBRARY --sim      compare the simulator: it has what include/hank/sim.h has too
set -u

library=$1
name=$(basename "$library")
name=${name#lib}
list=$(dirname "$0")/../runtime/${name%%.*}.symbols
exported=$(nm -D --defined-only --format=posix "$library") || exit 1
failed=0

names() {
    echo "$exported" | awk '$1 != "" { print $1 }' | LC_ALL=C sort
}

if [ "${2:-}" = --update ]; then
    names >"$list"
    exit 0
fi

wanted() {
    cat "$list"
    [ "${1:-}" != --sim ] || sed -n 's/^HANK_API .*\(hank_sim_[a-z_]*\)(.*/\1/p' \
        "$(dirname "$0")/../include/hank/sim.h"
}

strangers=$(echo "$exported" | awk '$1 != "" && $1 !~ /^hank_/ { print $1 }')
if [ -n "$strangers" ]; then
    echo "exported, but not named hank_*: $strangers"
    failed=1
fi
writable=$(echo "$exported" | awk '$2 ~ /^[BbDdCcGgSsVvu]$/ { print $1 }')
if [ -n "$writable" ]; then
    echo "exported data that can be written to: $writable"
    failed=1
fi

if ! changes=$(wanted "${2:-}" | LC_ALL=C sort | { names | diff -U0 /dev/fd/3 -; } 3<&0); then
    echo "what the library exports is not what ${list##*/} says (- list, + library):"
    echo "$changes" | grep '^[-+][^-+]'
    echo "If it is meant: tests/symbols_test.sh $library --update"
    failed=1
fi

# Section permissions and flags that are promised to users.
headers=$(readelf -lWd "$library")
for promise in GNU_RELRO 'BIND_NOW|NOW'; do
    if ! echo "$headers" | grep -Eq "$promise"; then
        echo "the library lacks $promise"
        failed=1
    fi
done
if echo "$headers" | grep 'GNU_STACK' | grep -q 'RWE'; then
    echo "the library asks for an executable stack"
    failed=1
fi
[ $failed -eq 0 ]
