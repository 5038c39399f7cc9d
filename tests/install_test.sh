#!/bin/sh
# SPDX-License-Identifier: MIT
# install_test.sh - what a user does: install hank, static and shared, into a prefix of its own,
# then build and run docs/examples/hello.c against it, by find_package(hank) and by pkg-config.
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quietly() {
    "$@" >"$work/log" 2>&1 || {
        echo "failed: $*"
        cat "$work/log"
        exit 1
    }
}

says_hello() {
    LD_LIBRARY_PATH=$2/lib "$1" >"$work/said" || { echo "$1 failed"; exit 1; }
    grep -q '^hello, world' "$work/said" || { echo "$1 did not say hello"; exit 1; }
}

# TLS is there for who links it, and only then.
refuses_nonsense() {
    LD_LIBRARY_PATH=$2/lib "$1" tls://nonsense >"$work/said" 2>&1 && { echo "$1 worked"; exit 1; }
    grep -q '^Invalid argument' "$work/said" || { echo "$1 said:"; cat "$work/said"; exit 1; }
}

no_openssl() {
    if LD_LIBRARY_PATH=$2/lib ldd "$1" | grep -q libssl; then
        echo "$1 links OpenSSL"
        exit 1
    fi
}

mkdir "$work/user"
cat >"$work/user/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(hank REQUIRED)
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE hank::hank)
if(WITH_TLS)
    find_package(hank REQUIRED COMPONENTS tls)
    add_executable(https_get https_get.c)
    target_link_libraries(https_get PRIVATE hank::tls)
endif()
add_executable(hello_sim hello.c)
target_link_libraries(hello_sim PRIVATE hank::sim)
END
cp "$source/docs/examples/hello.c" "$source/docs/examples/https_get.c" "$work/user"

for shared in OFF ON; do
    prefix=$work/prefix-$shared
    # In one directory: both are made of the same objects.
    quietly cmake -G Ninja -S "$source" -B "$work/build" -DBUILD_SHARED_LIBS=$shared \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX="$prefix" \
        -DCMAKE_INSTALL_LIBDIR=lib -DHANK_BUILD_TESTS=OFF -DHANK_BUILD_BENCH=OFF \
        -DHANK_BUILD_EXAMPLES=OFF
    quietly cmake --build "$work/build"
    quietly cmake --install "$work/build"

    for header in $(cd "$source/include" && find . -name '*.h'); do
        [ -f "$prefix/include/$header" ] || { echo "not installed: $header"; exit 1; }
    done

    quietly cmake -G Ninja -S "$work/user" -B "$work/user-$shared" -DCMAKE_PREFIX_PATH="$prefix" \
        -DWITH_TLS=ON
    quietly cmake --build "$work/user-$shared"
    says_hello "$work/user-$shared/hello" "$prefix"
    refuses_nonsense "$work/user-$shared/https_get" "$prefix"
    no_openssl "$work/user-$shared/hello" "$prefix"
    HANK_SEED=7 says_hello "$work/user-$shared/hello_sim" "$prefix"
    echo "find_package, BUILD_SHARED_LIBS=$shared: hello"

    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    flags=$(pkg-config --cflags --libs hank)
    case $flags in
    *-fstack-clash-protection*) ;;
    *) echo "hank.pc does not pass on -fstack-clash-protection"; exit 1 ;;
    esac
    # shellcheck disable=SC2086 # a list of flags
    quietly cc -o "$work/hello-$shared" "$work/user/hello.c" $flags
    says_hello "$work/hello-$shared" "$prefix"
    # shellcheck disable=SC2046 # a list of flags
    quietly cc -o "$work/https_get-$shared" "$work/user/https_get.c" \
        $(pkg-config --cflags --libs hank_tls)
    refuses_nonsense "$work/https_get-$shared" "$prefix"
    quietly cc -o "$work/hello_sim-$shared" "$work/user/hello.c" \
        $(pkg-config --cflags --libs hank_sim)
    HANK_SEEDS=3 says_hello "$work/hello_sim-$shared" "$prefix"
    echo "pkg-config, BUILD_SHARED_LIBS=$shared: hello"
done

# A consumer that asks for another major version is told no; one that asks for LTO as well.
next=$(($(sed -n 's/^set(PACKAGE_VERSION "\([0-9]*\).*/\1/p' \
    "$prefix/lib/cmake/hank/hankConfigVersion.cmake") + 1))
sed -i "s/find_package(hank/& $next/" "$work/user/CMakeLists.txt"
if cmake -S "$work/user" -B "$work/user-next" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null 2>&1; then
    echo "hank $next was asked for and found"
    exit 1
fi
if cmake -S "$source" -B "$work/lto" -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON >"$work/log" 2>&1; then
    echo "link-time optimisation was not refused"
    exit 1
fi
