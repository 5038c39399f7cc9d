// SPDX-License-Identifier: MIT

// The Go peer: the benchmarks that Go has an idiom for, and two servers.
//
//	gopeer BENCH WORKERS [ROUNDS]
//	gopeer echo|http PORT WORKERS     prints where it listens
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

func perOp(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / float64(n) }

func yields(tasks, all int) float64 {
	var wg sync.WaitGroup
	wg.Add(tasks)
	start := time.Now()
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < all/tasks; j++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return perOp(time.Since(start), all)
}

func spawnJoin(n, batch int) float64 {
	start := time.Now()
	for done := 0; done < n; done += batch {
		var wg sync.WaitGroup
		for i := 0; i < batch; i++ {
			wg.Add(1)
			go func() { wg.Done() }()
		}
		wg.Wait()
	}
	return perOp(time.Since(start), n)
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	var a int
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { a = fib(n - 1); wg.Done() }()
	b := fib(n - 2)
	wg.Wait()
	return a + b
}

func skynet(number, leaves int) int {
	if leaves == 1 {
		return number
	}
	var sums [10]int
	var wg sync.WaitGroup
	wg.Add(10)
	share := leaves / 10
	for i := 0; i < 10; i++ {
		go func(i int) { sums[i] = skynet(number+i*share, share); wg.Done() }(i)
	}
	wg.Wait()
	sum := 0
	for _, s := range sums {
		sum += s
	}
	return sum
}

func parked(n int) float64 {
	resident := func() int {
		var total, pages int
		data, _ := os.ReadFile("/proc/self/statm")
		fmt.Sscan(string(data), &total, &pages)
		return pages * os.Getpagesize()
	}
	before := resident()
	var all, here sync.WaitGroup
	release := make(chan struct{})
	all.Add(n)
	here.Add(n)
	for i := 0; i < n; i++ {
		go func() { here.Done(); <-release; all.Done() }()
	}
	here.Wait()
	bytes := float64(resident()-before) / float64(n)
	close(release)
	all.Wait()
	return bytes
}

func sleepers(n int) float64 {
	var wg sync.WaitGroup
	wg.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		go func() { time.Sleep(time.Second); wg.Done() }()
	}
	wg.Wait()
	return time.Since(start).Seconds() - 1
}

func wake(n int) float64 {
	ring, answered := make(chan time.Time), make(chan bool)
	go func() {
		runtime.LockOSThread()
		for i := 0; i < n; i++ {
			time.Sleep(time.Millisecond)
			ring <- time.Now()
			<-answered
		}
	}()
	delays := make([]float64, n)
	for i := range delays {
		delays[i] = float64(time.Since(<-ring).Nanoseconds()) / 1e3
		answered <- true
	}
	sort.Float64s(delays)
	return delays[n/2]
}

func pong(there, back chan int) {
	for v := range there {
		back <- v
	}
}

// A round trip over two channels of one; `held` keeps each goroutine on a thread of its own.
func pingpong(n int, held bool) float64 {
	there, back, spent := make(chan int, 1), make(chan int, 1), make(chan time.Duration)
	hold := func() {
		if held {
			runtime.LockOSThread()
		}
	}
	go func() { hold(); pong(there, back) }()
	go func() {
		hold()
		spent <- timed(func() {
			for i := 0; i < n; i++ {
				there <- i
				<-back
			}
		})
	}()
	d := <-spent
	close(there)
	return perOp(d, n)
}

// A round trip as above, whose answer is waited for with a timer in a select: cheaper than a context
// with a deadline.
func timerArmed(n int) float64 {
	there, back := make(chan int, 1), make(chan int, 1)
	go pong(there, back)
	d := timed(func() {
		for i := 0; i < n; i++ {
			there <- i
			timeout := time.NewTimer(time.Hour)
			select {
			case <-back:
			case <-timeout.C:
				panic("an hour is over")
			}
			timeout.Stop()
		}
	})
	close(there)
	return perOp(d, n)
}

func timerCall(n int) float64 {
	return perOp(timed(func() {
		for i := 0; i < n; i++ {
			time.AfterFunc(time.Hour, func() {}).Stop()
		}
	}), n)
}

func timerChurn(n int) float64 {
	return perOp(timed(func() {
		for i := 0; i < n; i++ {
			time.NewTimer(time.Hour).Stop()
		}
	}), n)
}

// Pairs of senders and receivers at one channel of 1024.
func items(n, pairs int) float64 {
	ch := make(chan int, 1024)
	sums := make([]int, pairs)
	var senders, receivers sync.WaitGroup
	senders.Add(pairs)
	receivers.Add(pairs)
	start := time.Now()
	for i := 0; i < pairs; i++ {
		go func() {
			for j := 0; j < n/pairs; j++ {
				ch <- j
			}
			senders.Done()
		}()
		go func(sum *int) {
			for j := range ch {
				*sum += j
			}
			receivers.Done()
		}(&sums[i])
	}
	senders.Wait()
	close(ch)
	receivers.Wait()
	spent := perOp(time.Since(start), n)
	sum := 0
	for _, s := range sums {
		sum += s
	}
	check(sum, pairs*(n/pairs*(n/pairs-1)/2))
	return spent
}

// A hundred goroutines increment a counter under one mutex.
func countUp(n int, yields bool) float64 {
	const tasks = 100
	var mu sync.Mutex
	var wg sync.WaitGroup
	count := 0
	wg.Add(tasks)
	start := time.Now()
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < n/tasks; j++ {
				mu.Lock()
				count++
				if yields {
					runtime.Gosched()
				}
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	check(count, n)
	return perOp(time.Since(start), n)
}

func check(value, expected int) {
	if value != expected {
		panic(fmt.Sprint(value, " is not ", expected))
	}
}

func timed(work func()) time.Duration {
	start := time.Now()
	work()
	return time.Since(start)
}

var benches = map[string]struct {
	unit  string
	round func() float64
}{
	"switch":      {"ns", func() float64 { return yields(2, 4000000) }},
	"yield":       {"ns", func() float64 { return yields(1000, 1000000) }},
	"spawn_join":  {"ns", func() float64 { return spawnJoin(1000000, 1000000) }},
	"spawn_batch": {"ns", func() float64 { return spawnJoin(1000000, 1000) }},
	"fib": {"ns", func() float64 {
		return perOp(timed(func() { check(fib(27), 196418) }), 317810) // a second, not ten
	}},
	"skynet": {"ms", func() float64 {
		return timed(func() { check(skynet(0, 1000000), 499999500000) }).Seconds() * 1e3
	}},
	"pingpong":       {"ns", func() float64 { return pingpong(1000000, false) }},
	"pingpong_cross": {"ns", func() float64 { return pingpong(20000, true) }},
	"timer_churn":    {"ns", func() float64 { return timerChurn(3000000) }},
	"timer_armed":    {"ns", func() float64 { return timerArmed(1000000) }},
	"timer_call":     {"ns", func() float64 { return timerCall(1000000) }},
	"memory":         {"B", func() float64 { return parked(100000) }},
	"sleepers":       {"s", func() float64 { return sleepers(1000000) }},
	"wake":           {"us", func() float64 { return wake(500) }},
	"chan_1p1c":      {"ns", func() float64 { return items(4000000, 1) }},
	"chan_4p4c":      {"ns", func() float64 { return items(4000000, 4) }},
	"mutex":          {"ns", func() float64 { return countUp(1000000, false) }},
	"mutex_yield":    {"ns", func() float64 { return countUp(1000000, true) }},
}

func argument(i, otherwise int) int {
	if i < len(os.Args) {
		if n, err := strconv.Atoi(os.Args[i]); err == nil {
			return n
		}
	}
	return otherwise
}

func main() {
	name := os.Args[1]
	if name == "echo" || name == "http" {
		runtime.GOMAXPROCS(argument(3, 1))
		serve(name, argument(2, 0))
		return
	}
	bench, known := benches[name]
	if !known {
		fmt.Fprintln(os.Stderr, "unknown benchmark", name)
		os.Exit(2)
	}
	workers := argument(2, 1)
	runtime.GOMAXPROCS(workers)
	first := -1 // does not count
	if name == "memory" {
		first = 0 // only fresh memory can be counted
	}
	for round := first; round < argument(3, 3); round++ {
		value := bench.round()
		label := name
		if round < 0 && name == "sleepers" {
			label = "sleepers_cold"
		}
		if round >= 0 || label != name {
			fmt.Printf("R %s go %d %d %.4f %s\n", label, workers, round, value, bench.unit)
		}
	}
}
