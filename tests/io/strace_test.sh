#!/bin/sh
# SPDX-License-Identifier: MIT
# strace_test.sh PROGRAM - the kernel's answers, changed from outside: the unmodified program, with
# the n-th call of each kind of each thread failing until there is no n-th. It may say what failed,
# but for an interruption, which nobody hears of; it may not hang, crash or lie. Cross-checks
# base/fault.c, which fails the same calls from inside.
set -u
program=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

command -v strace >/dev/null || { echo "skipped: there is no strace"; exit 77; }
strace -f -o "$log" true 2>/dev/null || { echo "skipped: ptrace is not allowed here"; exit 77; }

runs=0 hits=0
for plan in socket:EMFILE bind:EADDRINUSE listen:EADDRINUSE accept4:EMFILE accept4:ECONNABORTED \
    connect:ECONNREFUSED recvfrom:ECONNRESET recvfrom:EINTR sendto:EPIPE sendto:EINTR \
    setsockopt:EINVAL getsockname:ENOBUFS eventfd2:EMFILE epoll_create1:EMFILE \
    epoll_ctl:ENOMEM epoll_ctl:ENOSPC epoll_pwait2:EINTR shutdown:ENOTCONN; do
    call=${plan%:*} error=${plan#*:} n=1 well=
    [ $error != EINTR ] || well=well # nobody hears of that
    while [ $n -le 12 ]; do
        strace -f --seccomp-bpf -o "$log" -e trace="$call" -e inject="$call:error=$error:when=$n" \
            "$program" $well >/dev/null 2>&1
        verdict=$?
        runs=$((runs + 1))
        if [ $verdict -ne 0 ]; then
            echo "$call fails with $error the ${n}th time: exit $verdict"
            tail -5 "$log"
            exit 1
        fi
        grep -q INJECTED "$log" || break
        hits=$((hits + 1)) n=$((n + 1))
    done
done
echo "$runs runs, $hits failed calls, each survived"
[ $hits -gt 20 ]
