#!/bin/sh
# SPDX-License-Identifier: MIT
# hardening_test.sh LIBRARY [--optimised] - what SECURITY.md promises of the library that is built.
set -u
library=$1
wrong=0

must() { # what, a pattern, and the command whose output must have it
    what=$1 pattern=$2
    shift 2
    "$@" "$library" | grep -q -E "$pattern" || { echo "not so: $what"; wrong=1; }
}

must "relocations are read-only" GNU_RELRO readelf -lW
must "symbols are bound at the start" 'FLAGS_1.*NOW' readelf -dW
must "the stack is not executable" 'GNU_STACK.* RW ' readelf -lW
must "frames with arrays have canaries" __stack_chk_fail nm -D
if [ "$(uname -m)" = x86_64 ]; then
    must "what is called through a pointer begins with a landing pad" endbr64 \
        objdump -d --no-show-raw-insn
fi
if [ "${2:-}" = --optimised ]; then
    must "copies and prints are checked (FORTIFY)" '__(mem|str|v?sn|read|poll)[a-z]*_chk' nm -D
fi
if readelf -dW "$library" | grep -q TEXTREL; then
    echo "not so: code is not relocated"
    wrong=1
fi
exit $wrong
