#!/bin/sh
# SPDX-License-Identifier: MIT
# hardening_test.sh LIBRARY [--optimised] OBJECT ... - what SECURITY.md promises of a library.
#
# The objects are those that it is made of, but for the start files of the compiler: these need not
# keep the promises, and the linker drops a note that not all of its input has.
#
# In a build directory with compile_commands.json: a probe of the stack, or what FORTIFY checks, is
# to be seen only where there is something to check.
set -u
library=$1
shift
optimised=no
if [ "$1" = --optimised ]; then
    optimised=yes
    shift
fi
wrong=0

not_so() {
    echo "not so: $*"
    wrong=1
}

must() { # what, a pattern, and the command whose output must have it
    what=$1 pattern=$2
    shift 2
    "$@" "$library" | grep -q -E "$pattern" || not_so "$what"
}

must "relocations are read-only" GNU_RELRO readelf -lW
must "symbols are bound at the start" 'FLAGS_1.*NOW' readelf -dW
must "the stack is not executable" 'GNU_STACK.* RW ' readelf -lW
must "frames with arrays have canaries" __stack_chk_fail nm -D
if readelf -dW "$library" | grep -q TEXTREL; then
    not_so "code is not relocated"
fi

[ $# -gt 0 ] || not_so "there are objects"
if [ "$(uname -m)" = x86_64 ]; then
    for object in "$@"; do
        features=$(readelf -nW "$object" | sed -n 's/.*x86 feature: //p')
        [ "$features" = IBT ] || not_so "$object has landing pads and no shadow stack: '$features'"
    done
fi
flags="-fstack-protector-strong -fstack-clash-protection -Wvla -Wframe-larger-than=2048"
[ $optimised = no ] || flags="-D_FORTIFY_SOURCE=2 $flags"
for object in "$@"; do
    case $object in *.S.o) continue ;; esac # there is nothing to check
    name=$(echo "$object" | sed 's|.*CMakeFiles/||; s|/[.]/|/|')
    command=$(grep -F -- "$name -c " compile_commands.json)
    for flag in $flags; do
        case $command in
        *" $flag "*) ;;
        *) not_so "$object is compiled with $flag" ;;
        esac
    done
done
if [ $optimised = yes ]; then
    case $library in # which has such calls
    *libhank.so) must "a print is checked (FORTIFY)" '__v?snprintf_chk' nm -D ;;
    esac
fi
exit $wrong
