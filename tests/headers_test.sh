#!/bin/sh
# SPDX-License-Identifier: MIT
# headers_test.sh - every public header compiles alone, warning-free, as C99 to C++20 with both
# compilers: a user's first line may be any of them, in either language.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=0
checked=0

# check COMPILER LANGUAGE STANDARD HEADER
check() {
    checked=$((checked + 1))
    if ! printf '#include <%s>\nint main(void);\n' "${4#include/}" |
        "$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wconversion -Werror \
            -fsyntax-only -Iinclude -; then
        echo "$4 does not compile alone: $1 -std=$3"
        failed=$((failed + 1))
    fi
}

for compiler in gcc g++ clang clang++; do
    if ! command -v "$compiler" >/dev/null; then
        echo "headers_test.sh needs $compiler: run ./dev setup"
        exit 1
    fi
done

for header in $(find include -name '*.h' | sort); do
    for standard in c99 c11; do
        check gcc c $standard "$header"
        check clang c $standard "$header"
    done
    for standard in c++11 c++20; do
        check g++ c++ $standard "$header"
        check clang++ c++ $standard "$header"
    done
done
echo "$checked combinations, $failed failed"
[ $failed -eq 0 ] && [ $checked -gt 0 ]
