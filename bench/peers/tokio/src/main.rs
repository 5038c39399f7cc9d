// SPDX-License-Identifier: MIT

//! The Tokio peer.
//!
//!     tokio_peer BENCH WORKERS [ROUNDS]
//!     tokio_peer echo|http PORT WORKERS     prints where it listens
//!
//! Measured on the multi_thread runtime, also with one worker: its LIFO slot makes it the faster
//! of the two at fork and join. A server of one worker is faster on current_thread, and gets it.

mod serve;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex, Semaphore};
use tokio::task::yield_now;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_time().build().expect("a runtime")
}

fn server_runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().expect("a runtime")
}

fn per_op(d: Duration, n: usize) -> f64 {
    d.as_nanos() as f64 / n as f64
}

async fn yields(tasks: usize, all: usize) -> f64 {
    let each = all / tasks;
    let start = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|_| tokio::spawn(async move { for _ in 0..each { yield_now().await } }))
        .collect();
    for h in handles {
        h.await.unwrap();
    }
    per_op(start.elapsed(), all)
}

async fn spawn_join(n: usize, batch: usize) -> f64 {
    let start = Instant::now();
    let mut handles = Vec::with_capacity(batch);
    for _ in 0..n / batch {
        handles.extend((0..batch).map(|_| tokio::spawn(async {})));
        for h in handles.drain(..) {
            h.await.unwrap();
        }
    }
    per_op(start.elapsed(), n)
}

fn fib(n: u64) -> Boxed<u64> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let child = tokio::spawn(fib(n - 1));
        let here = fib(n - 2).await;
        child.await.unwrap() + here
    })
}

fn skynet(number: u64, leaves: u64) -> Boxed<u64> {
    Box::pin(async move {
        if leaves == 1 {
            return number;
        }
        let share = leaves / 10;
        let children: Vec<_> =
            (0..10).map(|i| tokio::spawn(skynet(number + i * share, share))).collect();
        let mut sum = 0;
        for c in children {
            sum += c.await.unwrap();
        }
        sum
    })
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

async fn parked(n: usize) -> f64 {
    let before = resident();
    let gate = Arc::new(Semaphore::new(0));
    let (here, mut all_here) = mpsc::channel::<()>(1);
    let handles: Vec<_> = (0..n)
        .map(|_| {
            let (gate, here) = (gate.clone(), here.clone());
            tokio::spawn(async move {
                drop(here);
                drop(gate.acquire().await.unwrap());
            })
        })
        .collect();
    drop(here);
    all_here.recv().await; // None, once every task has dropped its end
    let bytes = (resident() - before) / n as f64;
    gate.add_permits(1000);
    for h in handles {
        h.await.unwrap();
    }
    bytes
}

async fn sleepers(n: usize) -> f64 {
    let start = Instant::now();
    let handles: Vec<_> = (0..n)
        .map(|_| tokio::spawn(tokio::time::sleep(Duration::from_secs(1))))
        .collect();
    for h in handles {
        h.await.unwrap();
    }
    start.elapsed().as_secs_f64() - 1.0
}

/// Pairs of senders and receivers at one channel of 1024. Tokio's have one receiver: several share
/// it under a mutex.
async fn items(n: usize, pairs: usize) -> f64 {
    let (tx, mut rx) = mpsc::channel(1024);
    let each = n / pairs;
    let start = Instant::now();
    let senders: Vec<_> = (0..pairs)
        .map(|_| {
            let tx = tx.clone();
            tokio::spawn(async move {
                for i in 0..each {
                    tx.send(i).await.unwrap();
                }
            })
        })
        .collect();
    drop(tx);
    let mut receivers = Vec::new();
    if pairs == 1 {
        receivers.push(tokio::spawn(async move {
            let mut sum = 0;
            while let Some(i) = rx.recv().await {
                sum += i;
            }
            sum
        }));
    } else {
        let rx = Arc::new(Mutex::new(rx));
        for _ in 0..pairs {
            let rx = rx.clone();
            receivers.push(tokio::spawn(async move {
                let mut sum = 0;
                loop {
                    let item = rx.lock().await.recv().await;
                    match item {
                        Some(i) => sum += i,
                        None => return sum,
                    }
                }
            }));
        }
    }
    let mut sum = 0;
    for h in senders {
        h.await.unwrap();
    }
    for h in receivers {
        sum += h.await.unwrap();
    }
    assert_eq!(sum, pairs * (each * (each - 1) / 2));
    per_op(start.elapsed(), n)
}

/// A hundred tasks increment a counter under one mutex.
async fn count_up(n: usize, yields: bool) -> f64 {
    const TASKS: usize = 100;
    let count = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let handles: Vec<_> = (0..TASKS)
        .map(|_| {
            let count = count.clone();
            tokio::spawn(async move {
                for _ in 0..n / TASKS {
                    let mut held = count.lock().await;
                    *held += 1;
                    if yields {
                        yield_now().await;
                    }
                }
            })
        })
        .collect();
    for h in handles {
        h.await.unwrap();
    }
    let spent = per_op(start.elapsed(), n);
    assert_eq!(*count.lock().await, n);
    spent
}

async fn wake(n: usize) -> f64 {
    let (ring, mut rung) = mpsc::unbounded_channel::<Instant>();
    let (answer, answered) = std::sync::mpsc::channel();
    let caller = std::thread::spawn(move || {
        for _ in 0..n {
            std::thread::sleep(Duration::from_millis(1));
            ring.send(Instant::now()).unwrap();
            answered.recv().unwrap();
        }
    });
    let mut delays = Vec::with_capacity(n);
    while let Some(at) = rung.recv().await {
        delays.push(at.elapsed().as_nanos() as f64 / 1e3);
        answer.send(()).unwrap();
    }
    caller.join().unwrap();
    delays.sort_by(|a, b| a.partial_cmp(b).unwrap());
    delays[n / 2]
}

async fn pong(mut there: mpsc::Receiver<usize>, back: mpsc::Sender<usize>) {
    while let Some(v) = there.recv().await {
        if back.send(v).await.is_err() {
            return;
        }
    }
}

async fn ping(n: usize, there: mpsc::Sender<usize>, mut back: mpsc::Receiver<usize>) -> f64 {
    let start = Instant::now();
    for i in 0..n {
        there.send(i).await.unwrap();
        back.recv().await.unwrap();
    }
    per_op(start.elapsed(), n)
}

async fn pingpong(n: usize) -> f64 {
    let ((there, asked), (back, answered)) = (mpsc::channel(1), mpsc::channel(1));
    let other = tokio::spawn(pong(asked, back));
    let value = ping(n, there, answered).await;
    other.await.unwrap();
    value
}

/// Two runtimes of one thread each, so that neither task can move.
fn pingpong_cross(n: usize) -> f64 {
    let ((there, asked), (back, answered)) = (mpsc::channel(1), mpsc::channel(1));
    let other = std::thread::spawn(move || server_runtime(1).block_on(pong(asked, back)));
    let value = server_runtime(1).block_on(ping(n, there, answered));
    other.join().unwrap();
    value
}

async fn timer_churn(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        tokio::time::timeout(Duration::from_secs(3600), yield_now()).await.unwrap();
    }
    per_op(start.elapsed(), n)
}

/// A round trip as above, whose answer is waited for under a timeout.
async fn timer_armed(n: usize) -> f64 {
    let ((there, asked), (back, mut answered)) = (mpsc::channel(1), mpsc::channel(1));
    let other = tokio::spawn(pong(asked, back));
    let start = Instant::now();
    for i in 0..n {
        there.send(i).await.unwrap();
        let wait = tokio::time::timeout(Duration::from_secs(3600), answered.recv());
        wait.await.unwrap().unwrap();
    }
    let value = per_op(start.elapsed(), n);
    drop(there);
    other.await.unwrap();
    value
}

/// A task that would do something in an hour, taken back: Tokio has no timer that calls.
async fn timer_call(n: usize) -> f64 {
    let start = Instant::now();
    for i in 0..n {
        tokio::spawn(async { tokio::time::sleep(Duration::from_secs(3600)).await }).abort();
        if i % 64 == 0 {
            yield_now().await; // what was taken back ends
        }
    }
    per_op(start.elapsed(), n)
}

/// One round inside a task, as every benchmark of hank runs.
fn round(rt: &Runtime, name: &str) -> Option<(f64, &'static str)> {
    fn inside<F>(rt: &Runtime, f: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        rt.block_on(async { tokio::spawn(f).await.unwrap() })
    }
    Some(match name {
        "switch" => (inside(rt, yields(2, 4_000_000)), "ns"),
        "yield" => (inside(rt, yields(1000, 1_000_000)), "ns"),
        "spawn_join" => (inside(rt, spawn_join(1_000_000, 1_000_000)), "ns"),
        "spawn_batch" => (inside(rt, spawn_join(1_000_000, 1000)), "ns"),
        "fib" => {
            let start = Instant::now();
            assert_eq!(inside(rt, fib(29)), 514_229); // a second, not ten
            (per_op(start.elapsed(), 832_039), "ns")
        }
        "skynet" => {
            let start = Instant::now();
            assert_eq!(inside(rt, skynet(0, 1_000_000)), 499_999_500_000);
            (start.elapsed().as_secs_f64() * 1e3, "ms")
        }
        "pingpong" => (inside(rt, pingpong(1_000_000)), "ns"),
        "pingpong_cross" => (pingpong_cross(20_000), "ns"),
        "timer_churn" => (inside(rt, timer_churn(3_000_000)), "ns"),
        "timer_armed" => (inside(rt, timer_armed(1_000_000)), "ns"),
        "timer_call" => (inside(rt, timer_call(1_000_000)), "ns"),
        "chan_1p1c" => (inside(rt, items(4_000_000, 1)), "ns"),
        "chan_4p4c" => (inside(rt, items(4_000_000, 4)), "ns"),
        "mutex" => (inside(rt, count_up(1_000_000, false)), "ns"),
        "mutex_yield" => (inside(rt, count_up(1_000_000, true)), "ns"),
        "memory" => (inside(rt, parked(100_000)), "B"),
        "sleepers" => (inside(rt, sleepers(1_000_000)), "s"),
        "wake" => (inside(rt, wake(500)), "us"),
        _ => return None,
    })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, otherwise: usize| {
        args.get(i).and_then(|a| a.parse().ok()).unwrap_or(otherwise)
    };
    let name = args[1].as_str();
    if name == "echo" || name == "http" {
        let (port, http) = (number(2, 0) as u16, name == "http");
        let rt = server_runtime(number(3, 1));
        rt.block_on(async move { tokio::spawn(serve::serve(port, http)).await.unwrap() });
        return;
    }
    let (workers, rounds) = (number(2, 1), number(3, 3) as i64);
    let rt = runtime(workers);
    let first = if name == "memory" { 0 } else { -1 }; // round -1 does not count
    for r in first..rounds {
        let (value, unit) = round(&rt, name).unwrap_or_else(|| {
            eprintln!("unknown benchmark {name}");
            std::process::exit(2)
        });
        if r >= 0 || name == "sleepers" {
            let name = if r < 0 { "sleepers_cold" } else { name };
            println!("R {name} tokio {workers} {r} {value:.4} {unit}");
        }
    }
}
