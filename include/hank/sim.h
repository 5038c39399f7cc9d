/* SPDX-License-Identifier: MIT */
/* sim.h - run a program in a simulated world, and replay what went wrong from its seed.
 *
 * Link libhank_sim instead of libhank, and the same program runs on simulated threads, time,
 * sockets and files: see docs/simulation.md. No program needs this header for that; it is for tests
 * that try many seeds, choose how hostile the world is, or draw their own choices from the seed.
 * Without it, the environment says what to do: HANK_SEED, HANK_SEEDS, HANK_SIM, HANK_TRACE.
 *
 *     static int program(void *arg) { return hank_run(app, arg); }
 *
 *     hank_sim_report report;
 *     if (hank_sim_explore(program, NULL, &(hank_sim_options){.reset = 20}, 500, &report) < 0)
 *         ...                        the seed and the command to replay it are on stderr
 *
 * These functions are in libhank_sim only. */
#ifndef HANK_SIM_H
#define HANK_SIM_H

#include <hank/base.h>
#include <hank/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero is the default of each, or what HANK_SIM in the environment says. Chances are of 1000; those
 * for failures are 0 by default. */
typedef struct hank_sim_options {
    uint64_t seed;        /* 0: HANK_SEED, else one drawn for the process */
    unsigned workers;     /* for hank_run() that does not say; 0: drawn, 1 to 8 */
    unsigned reset;       /* chance of a connection to be cut at some time */
    unsigned accept;      /* chance of an accept to fail, or to find its connection gone */
    unsigned resolve;     /* chance of a name lookup to fail */
    unsigned loss;        /* chance of a datagram to be lost */
    unsigned duplicate;   /* chance of a datagram to come twice */
    unsigned descriptors; /* most open at once; 0: 65536 */
    hank_ns delay_min;    /* on the way between two sockets; 0: 10 us */
    hank_ns delay_max;    /* 0: 1 ms; delay_min at least */
    uint64_t disk_bytes;  /* room for files; 0: 64 MiB */
    hank_ns time_limit;   /* panic at that time: something goes on for ever; 0: none */
    uint64_t step_limit;  /* the same, in events of the trace; 0: none */
    uint64_t reserved_[8];
} hank_sim_options;

/* How one run went. */
typedef struct hank_sim_report {
    uint64_t seed;
    int result;    /* what the function returned; -ENOTRECOVERABLE: the process died */
    int died_of;   /* signal; 0: it did not die of one */
    uint64_t hash; /* of the trace: equal traces, equal hashes; 0: the process died */
    uint64_t steps;
    hank_ns elapsed; /* of virtual time */
    uint64_t reserved_[4];
} hank_sim_report;

/* Run fn(arg) from a seed, in a child process, so that each run begins with the same world.
 *
 * fn is a program: it calls hank_run() itself. Not to be called in a task.
 *
 *   options     NULL: all defaults
 *   ret         how it went, or NULL
 *   result      what fn returned, as one byte would: 0 .. 255 or a negative errno;
 *               -ENOTRECOVERABLE the child died or hung for minutes; -EINVAL fn is NULL; -EAGAIN
 *               no process to be had
 *   waits       until the child has ended, blocking the process
 *   threads     one thread, outside tasks
 *   since       0.1 */
HANK_API int hank_sim_run(hank_fn fn, void *arg, const hank_sim_options *options,
                          hank_sim_report *ret);

/* Run fn(arg) from n seeds in a row, beginning with options->seed; stop at the first that fails.
 *
 * A failing seed is written to stderr with the command that replays it. With HANK_SEED in the
 * environment only that seed is run.
 *
 *   options     NULL: all defaults
 *   ret         the run that failed, or the last; or NULL
 *   result      0 every run returned 0; else what the first other one returned, as hank_sim_run()
 *   waits       until all have run, blocking the process
 *   threads     one thread, outside tasks
 *   since       0.1 */
HANK_API int hank_sim_explore(hank_fn fn, void *arg, const hank_sim_options *options, size_t n,
                              hank_sim_report *ret);

/* Start a simulated thread that is no worker: what pthread_create(3) makes cannot take part.
 *
 *   arg         kept until fn has returned
 *   ret_thread  for hank_sim_thread_join()
 *   result      0; -EINVAL fn is NULL; -EAGAIN no memory
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API int hank_sim_thread_start(void *(*fn)(void *arg), void *arg, uint64_t *ret_thread);

/* Wait until that thread has ended; each once.
 *
 *   result      0; -EINVAL there is no such thread
 *   waits       until it has ended, blocking the calling simulated thread
 *   threads     any thread; a task would hold up its worker
 *   since       0.1 */
HANK_API int hank_sim_thread_join(uint64_t thread);

/* Draw a number from the seed: for a test's own choices.
 *
 *   result      0 .. n - 1; 0 for n == 0
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API uint32_t hank_sim_choose(uint32_t n);

/* A point where another thread may go on, as there is one in every call of hank.
 *
 * The simulator does not interrupt code between two calls of hank: put this where your own code
 * shares memory without them.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API void hank_sim_point(void);

/* Put a line into the trace, and into its hash.
 *
 *   result      none
 *   waits       never
 *   threads     any task or thread
 *   since       0.1 */
HANK_API void hank_sim_note(const char *text, int64_t value);

#ifdef __cplusplus
}
#endif
#endif
