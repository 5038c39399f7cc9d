#!/bin/sh
# SPDX-License-Identifier: MIT
# elf_test.sh OBJECT... - what the assembled switches promise the loader: branch targets are marked
# (IBT, or BTI), returns are not made by the book (no SHSTK, no PAC), and no stack is executable.
set -eu
for object in "$@"; do
    notes=$(readelf -nW "$object")
    case $notes in
    *SHSTK* | *PAC*) echo "failed: $object claims a protected return"; exit 1 ;;
    *"x86 feature: IBT"* | *"AArch64 feature: BTI"*) ;;
    *) echo "failed: $object does not claim marked branch targets"; exit 1 ;;
    esac
    readelf -SW "$object" | grep -q '\.note\.GNU-stack' ||
        { echo "failed: $object leaves the stack executable"; exit 1; }
    ! readelf -SW "$object" | grep '\.note\.GNU-stack' | grep -q ' X ' ||
        { echo "failed: $object wants an executable stack"; exit 1; }
    echo "passed: $object"
done
