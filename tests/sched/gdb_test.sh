#!/bin/sh
# SPDX-License-Identifier: MIT
# gdb_test.sh PROGRAM - docs/tasks-gdb.py finds the tasks of a program, and where they wait, in the
# process and, as far as gdb writes one, in a core file of it.
#
# PROGRAM is waiting_program, built with -g and with a switch of its own (not the portable one).
# Prints one line a check; exits 77 (skipped) without a gdb that has Python, or on another CPU.
set -eu
program=$1
script=$(dirname "$0")/../../docs/tasks-gdb.py
command -v gdb >/dev/null 2>&1 || { echo "skipped: no gdb"; exit 77; }
python=$(gdb -nx -batch -ex 'python import gdb.unwinder' 2>&1) || true
[ -z "$python" ] || { echo "skipped: no Python"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "skipped: stacks are for x86-64"; exit 77; }
out=$(mktemp)
core=$(mktemp)
trap 'rm -f "$out" "$core"' EXIT

run_gdb() {
    gdb -nx -batch -ex 'set confirm off' -ex 'set width 0' -x "$script" "$@" >"$out" 2>&1
}
fail() { echo "failed: $1"; cat "$out"; exit 1; }

run_gdb -ex 'break stop_here' -ex run -ex 'hank tasks' -ex "generate-core-file $core" "$program" ||
    fail "gdb"
grep -q 'dormouse .*waiting for sleep .*child of 0x' "$out" || fail "what a task waits for"
grep -q ' locker .*waiting for mutex' "$out" || fail "a nameless one is called by its function"
grep -q ' main .*running' "$out" || fail "and one runs"
echo "passed: lists the tasks"

run_gdb -ex 'break stop_here' -ex run -ex 'hank bt' -ex bt -ex continue "$program" || fail "gdb"
sed -n '/dormouse/,/hk_fiber_start/p' "$out" >"$core.stack"
for function in hank_sleep wait_inside sleeper hk_fiber_start; do
    grep -q " $function (" "$core.stack" || { rm -f "$core.stack"; fail "its stack has $function"; }
done
rm -f "$core.stack"
grep -q ' hank_mutex_lock (' "$out" || fail "the stack of who waits for a mutex"
grep -Eq '^#1 .* app \(' "$out" || fail "afterwards the thread has its own stack"
grep -q 'exited normally' "$out" || fail "and the program goes on"
! grep -Eq '\?\? \(|corrupt|Exception|Cannot access' "$out" || fail "every frame has a name"
echo "passed: shows where they wait"

run_gdb -ex 'hank tasks' -ex 'hank bt' "$program" -c "$core" || fail "gdb"
grep -q 'dormouse .*waiting for sleep' "$out" || fail "a task in a core file"
! grep -q 'Exception' "$out" || fail "stacks that are not there"
echo "passed: reads a core file"

! run_gdb -ex 'hank tasks' /bin/true || fail "a failure that is none"
grep -q 'no hank here' "$out" || fail "a program without hank"
! run_gdb -ex 'break stop_here' -ex run -ex 'hank bt 1' "$program" || fail "a failure that is none"
grep -q '0x1 is no task' "$out" || fail "an address of nobody"
echo "passed: says what it cannot find"
