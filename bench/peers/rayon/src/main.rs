// SPDX-License-Identifier: MIT

//! The Rayon peer: fork and join where a task can never wait for anything but its children.
//!
//!     rayon_peer BENCH WORKERS [ROUNDS]

use std::time::Instant;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn skynet(number: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return number;
    }
    let share = leaves / 10;
    let mut sums = [0u64; 10];
    rayon::scope(|s| {
        for (i, sum) in sums.iter_mut().enumerate() {
            s.spawn(move |_| *sum = skynet(number + i as u64 * share, share));
        }
    });
    sums.iter().sum()
}

fn spawn_join(n: usize, batch: usize) {
    for _ in 0..n / batch {
        rayon::scope(|s| (0..batch).for_each(|_| s.spawn(|_| ())));
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, otherwise: usize| {
        args.get(i).and_then(|a| a.parse().ok()).unwrap_or(otherwise)
    };
    let (name, workers, rounds) = (args[1].as_str(), number(2, 1), number(3, 3) as i64);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    for r in -1..rounds {
        let start = Instant::now();
        let (divisor, unit) = match name {
            "fib" => {
                assert_eq!(pool.install(|| fib(32)), 2_178_309);
                (3_524_577.0, "ns")
            }
            "skynet" => {
                assert_eq!(pool.install(|| skynet(0, 1_000_000)), 499_999_500_000);
                (1e6, "ms")
            }
            "spawn_join" => {
                pool.install(|| spawn_join(1_000_000, 1_000_000));
                (1e6, "ns")
            }
            "spawn_batch" => {
                pool.install(|| spawn_join(1_000_000, 1000));
                (1e6, "ns")
            }
            _ => {
                eprintln!("unknown benchmark {name}");
                std::process::exit(2);
            }
        };
        let value = start.elapsed().as_nanos() as f64 / divisor;
        if r >= 0 {
            println!("R {name} rayon {workers} {r} {value:.4} {unit}");
        }
    }
}
