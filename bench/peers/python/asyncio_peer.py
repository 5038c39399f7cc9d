#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""asyncio_peer.py - the asyncio and uvloop peers: one program, which of them is its own name.

    asyncio|uvloop BENCH 1 [ROUNDS]
    asyncio|uvloop echo PORT 1           prints where it listens

One thread: a loop is. Rounds are smaller than those of the compiled peers, and figures are for one
operation. The echo server is a Protocol, the fastest way of both; streams cost about twice that.
"""
import asyncio
import os
import resource
import socket
import sys
import threading
import time

SYSTEM = os.path.basename(sys.argv[0])
HOUR = 3600
now = time.perf_counter_ns


async def yields(tasks, n):
    async def yielder():
        for _ in range(n // tasks):
            await asyncio.sleep(0)
    start = now()
    await asyncio.gather(*[yielder() for _ in range(tasks)])
    return (now() - start) / n


async def spawn_join(n, batch):
    async def nothing():
        pass
    start = now()
    for _ in range(n // batch):
        await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(batch)])
    return (now() - start) / n


async def fib(n):
    if n < 2:
        return n
    child = asyncio.create_task(fib(n - 1))
    here = await fib(n - 2)
    return await child + here


async def fibs(n):
    a, b = 1, 1
    for _ in range(n - 1):
        a, b = b, a + b
    start = now()
    await fib(n)
    return (now() - start) / (b - 1)


async def pong(there, back, n):
    for _ in range(n):
        await back.put(await there.get())


async def pingpong(n, timeout):
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(pong(there, back, n))
    start = now()
    for i in range(n):
        await there.put(i)
        if timeout:
            async with asyncio.timeout(timeout):
                await back.get()
        else:
            await back.get()
    spent = (now() - start) / n
    await other
    return spent


async def items(n, pairs):
    queue = asyncio.Queue(1024)

    async def send():
        for i in range(n // pairs):
            await queue.put(i)

    async def recv():
        got = 0
        while (item := await queue.get()) is not None:
            got += item
        return got
    start = now()
    receivers = [asyncio.create_task(recv()) for _ in range(pairs)]
    await asyncio.gather(*[asyncio.create_task(send()) for _ in range(pairs)])
    for _ in range(pairs):
        await queue.put(None)
    got = sum(await asyncio.gather(*receivers))
    each = n // pairs
    assert got == pairs * (each * (each - 1) // 2)
    return (now() - start) / n


async def count_up(n, does_yield):
    tasks, count, mutex = 100, 0, asyncio.Lock()

    async def counter():
        nonlocal count
        for _ in range(n // tasks):
            async with mutex:
                count += 1
                if does_yield:
                    await asyncio.sleep(0)
    start = now()
    await asyncio.gather(*[asyncio.create_task(counter()) for _ in range(tasks)])
    assert count == n
    return (now() - start) / n


async def timer_churn(n):
    start = now()
    for _ in range(n):
        async with asyncio.timeout(HOUR):
            await asyncio.sleep(0)
    return (now() - start) / n


async def timer_call(n):
    loop = asyncio.get_running_loop()
    start = now()
    for i in range(n):
        loop.call_later(HOUR, id, None).cancel()
        if i % 64 == 0:
            await asyncio.sleep(0)
    return (now() - start) / n


async def wake(n):
    loop, rung, answered = asyncio.get_running_loop(), asyncio.Queue(), threading.Semaphore(0)

    def caller():
        for _ in range(n):
            time.sleep(0.001)
            loop.call_soon_threadsafe(rung.put_nowait, now())
            answered.acquire()
    thread = threading.Thread(target=caller)
    thread.start()
    delays = []
    for _ in range(n):
        at = await rung.get()
        delays.append((now() - at) / 1e3)
        answered.release()
    thread.join()
    return sorted(delays)[n // 2]


BENCHES = {
    "switch": ("ns", lambda: yields(2, 500_000)),
    "yield": ("ns", lambda: yields(1000, 500_000)),
    "spawn_join": ("ns", lambda: spawn_join(200_000, 200_000)),
    "spawn_batch": ("ns", lambda: spawn_join(200_000, 1000)),
    "fib": ("ns", lambda: fibs(22)),
    "pingpong": ("ns", lambda: pingpong(100_000, None)),
    "chan_1p1c": ("ns", lambda: items(400_000, 1)),
    "chan_4p4c": ("ns", lambda: items(400_000, 4)),
    "mutex": ("ns", lambda: count_up(500_000, False)),
    "mutex_yield": ("ns", lambda: count_up(100_000, True)),
    "timer_churn": ("ns", lambda: timer_churn(200_000)),
    "timer_armed": ("ns", lambda: pingpong(100_000, HOUR)),
    "timer_call": ("ns", lambda: timer_call(500_000)),
    "wake": ("us", lambda: wake(500)),
}


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data[0] == ord("H"):  # a message that asks for computing; see load.c
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
        self.transport.write(data)


async def serve(port):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    print(f"listening on tcp://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server = await asyncio.get_running_loop().create_server(Echo, sock=listener, backlog=4096)
    await server.serve_forever()


async def rounds(name, count):
    unit, measure = BENCHES[name]
    for number in range(-1, count):
        value = await measure()
        if number >= 0:
            print(f"R {name} {SYSTEM} 1 {number} {value:.4f} {unit}", flush=True)


def main():
    if SYSTEM == "uvloop":
        import uvloop
        uvloop.install()
    name = sys.argv[1]
    if name == "echo":
        asyncio.run(serve(int(sys.argv[2])))
    elif name in BENCHES and sys.argv[2] == "1":
        asyncio.run(rounds(name, int(sys.argv[3]) if len(sys.argv) > 3 else 3))
    else:
        sys.exit(f"unknown benchmark {name}, or more than one worker")


if __name__ == "__main__":
    main()
