#!/bin/sh
# SPDX-License-Identifier: MIT
# gdb_test.sh PROGRAM - a debugger's backtrace of a fiber ends where the fiber begins, and at every
# instruction of the switch it shows a whole stack, either the one left or the one arrived at.
#
# PROGRAM is backtrace_program, built with -g and with a switch of its own (not the portable one).
# Prints one line a check; exits 77 (skipped) without gdb.
set -eu
program=$1
command -v gdb >/dev/null 2>&1 || { echo "skipped: no gdb"; exit 77; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT

run_gdb() { gdb -nx -batch -ex 'set confirm off' -ex 'set width 0' "$@" "$program" >"$out" 2>&1; }
fail() { echo "failed: $1"; cat "$out"; exit 1; }

run_gdb -ex 'break stop_here' -ex run -ex bt -ex continue -ex bt || fail "gdb"
[ "$(grep -c ' inner (' "$out")" -ge 2 ] || fail "both stops are in inner"
[ "$(grep -c ' outer (' "$out")" -ge 2 ] || fail "called by outer"
[ "$(grep -c 'hk_fiber_start (' "$out")" -eq 2 ] || fail "at the bottom is hk_fiber_start"
! grep -Eq '\?\? \(|corrupt|Cannot access' "$out" || fail "nothing is below it"
echo "passed: a backtrace ends at the entry frame"

# The switch has some thirty instructions; the last steps are beyond it.
symbol=hk_fiber_swap
nm "$program" | grep -q ' hk_fiber_swap_entry$' && symbol=hk_fiber_swap_entry
set -- -ex 'tbreak stop_here' -ex run -ex "tbreak *$symbol" -ex continue
steps=0
while [ "$steps" -lt 26 ]; do
    set -- "$@" -ex bt -ex stepi
    steps=$((steps + 1))
done
run_gdb "$@" || fail "gdb"
whole=$(grep -Ec '^#[0-9]+ .*(hk_fiber_start|main) \(' "$out")
[ "$whole" -eq "$steps" ] || fail "$whole of $steps backtraces reach an end"
! grep -Eq '\?\? \(|corrupt|Cannot access' "$out" || fail "every frame has a name"
echo "passed: $steps backtraces inside the switch are whole"
