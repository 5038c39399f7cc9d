#!/bin/sh
# SPDX-License-Identifier: MIT
# judge.sh - run one test and say whether it passed; ctest's view of every test.
#
#   judge.sh RESULTS [--criterion] COMMAND [ARGUMENT ...]
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
if [ "$1" = --criterion ]; then
    criterion=yes
    shift
fi
# Criterion's own jobs would compete with ctest's.
[ "$criterion" = yes ] && set -- "$@" -j1 "--tap=$results/tap"

log="log_path=$results/sanitizer:log_exe_name=1"
asan="$log:detect_stack_use_after_return=1:strict_string_checks=1"
ASAN_OPTIONS="$asan${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
# Faults are for hank to tell, and UBSan alone would be in its way.
ubsan="$log:print_stacktrace=1:handle_segv=0:handle_sigbus=0"
UBSAN_OPTIONS="$ubsan${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
TSAN_OPTIONS="$log:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

verdict=0
"$@" || verdict=$?
[ $verdict -eq 0 ] || echo "judge: exit status $verdict"

for report in "$results"/sanitizer.*; do
    [ -s "$report" ] || continue
    cat "$report"
    echo "judge: a sanitizer reported the above"
    verdict=1
done
[ $verdict -eq 77 ] && exit 77 # it said why it cannot run here
[ $verdict -eq 0 ]
