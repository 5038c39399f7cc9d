#!/bin/sh
# SPDX-License-Identifier: MIT
# judge.sh - run one test and say whether it passed; ctest's view of every test.
#
#   judge.sh RESULTS [--criterion] [--prints REGEX] COMMAND [ARGUMENT ...]
#
# RESULTS is emptied and filled with what the test left: `tap` (Criterion's tests one by one, for
# run.py to count) and `sanitizer.*`. A report in one of the latter fails the test whatever it
# exited with: Criterion runs each test in a child and swallows what the sanitizer made of it.
set -u

results=$1
shift
rm -rf "$results"
mkdir -p "$results" || exit 1

criterion=no
prints=
while :; do
    case $1 in
    --criterion) criterion=yes; shift ;;
    --prints) prints=$2; shift 2 ;;
    *) break ;;
    esac
done
# Criterion's own jobs would compete with ctest's.
[ "$criterion" = yes ] && set -- "$@" -j1 "--tap=$results/tap"

log="log_path=$results/sanitizer:log_exe_name=1"
asan="$log:detect_stack_use_after_return=1:strict_string_checks=1"
ASAN_OPTIONS="$asan${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
UBSAN_OPTIONS="$log:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
TSAN_OPTIONS="$log:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

verdict=0
if [ -n "$prints" ]; then
    "$@" >"$results/output" 2>&1 || verdict=$?
    cat "$results/output"
    if ! grep -Eq -- "$prints" "$results/output"; then
        echo "judge: nothing it printed matches '$prints'"
        verdict=1
    fi
else
    "$@" || verdict=$?
fi
[ $verdict -eq 0 ] || echo "judge: exit status $verdict"

for report in "$results"/sanitizer.*; do
    [ -s "$report" ] || continue
    cat "$report"
    echo "judge: a sanitizer reported the above"
    verdict=1
done
[ $verdict -eq 0 ]
