#!/bin/sh
# SPDX-License-Identifier: MIT
# dev_test.sh - what ./dev says on a machine that lacks something: one sentence, and what to do.
#
# The machine is a directory as PATH: this one's programs, without some, and with others in their
# place. No package manager is run.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$(pwd)
machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT
failed=0
checked=0

# put NAME TEXT: a program of this machine that is a shell script.
put() {
    rm -f "$machine/$1"
    printf '#!/bin/sh\n%s\n' "$2" >"$machine/$1"
    chmod +x "$machine/$1"
}

# Everything that ./dev needs is there.
new_machine() {
    rm -rf "$machine"
    mkdir "$machine"
    for tool in sh dirname mktemp tail rm mkdir grep cat env gcc g++ clang cmake ninja pkg-config \
        python3; do
        ln -s "$(command -v "$tool")" "$machine/$tool" || exit 1
    done
    put dpkg-query 'echo "install ok installed"'
    put id 'echo 0'
    put apt-get 'echo "E: no network" >&2; exit 100'
}

# expect LINES TEXT COMMAND...: it fails, and says so many lines, TEXT among them.
expect() {
    lines=$1 text=$2
    shift 2
    checked=$((checked + 1))
    said=$(PATH=$machine "$here/dev" "$@" 2>&1)
    status=$?
    if [ "$status" -ne 1 ] || [ "$(printf '%s\n' "$said" | wc -l)" -ne "$lines" ] ||
        ! printf '%s\n' "$said" | grep -qF "$text"; then
        printf './dev %s: %s, status %s instead of "%s"\n' "$*" "$said" "$status" "$text"
        failed=$((failed + 1))
    fi
}

for absent in gcc clang cmake ninja; do
    new_machine
    rm "$machine/$absent"
    expect 1 "dev: there is no $absent on PATH" build
    expect 1 "dev: there is no $absent on PATH" test
done

new_machine
rm "$machine/dpkg-query"
expect 1 "dev: this is not Debian or Ubuntu: install the equivalents of gcc " build

new_machine
put dpkg-query 'case $* in *libhwloc-dev) exit 1 ;; esac; echo "install ok installed"'
put id 'echo 1000'
expect 1 "dev: not root and no sudo: have someone install libhwloc-dev" build

# Here it tries: what it tries, what apt-get said, and what came of it.
put id 'echo 0'
expect 3 "dev: apt-get could not install libhwloc-dev" build

new_machine
expect 1 "dev: CMakePresets.json has no preset 'nonsense'" build nonsense

echo "$checked machines, $failed of them ill served"
[ "$failed" -eq 0 ]
