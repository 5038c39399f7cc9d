/* SPDX-License-Identifier: MIT */
/* sim.h - the simulated machine: what the files of this room share.
 *
 * libhank_sim is hank with base/os.h implemented here. One thread of the real system plays all
 * simulated ones in turn; whatever could go one way or another is drawn from one seed:
 *
 *     base/os.h                                the seam: hk_os_*
 *       clock.c  thread.c  futex.c  memory.c     time, threads, sleeping words, memory, chance
 *       desc.c   epoll.c   file.c   names.c      descriptors, readiness, files, host names
 *       socket.c connect.c stream.c              sockets
 *     schedule.c                               who goes on, and when time jumps
 *     seed.c  options.c  trace.c               what is drawn, how often, and what came of it
 *     explore.c  host.c                        many seeds; the only calls of the real system
 *
 * Nothing here is shared between real threads, so there are no locks and no atomics. A function of
 * the seam is a point where another thread may go on (hk_sim_call); apart from that, and from where
 * it says that it waits, this room runs undisturbed.
 *
 * Never an address, the real time or the real system's answer may decide anything: the same seed
 * makes the same trace in every process. */
#ifndef HK_SIM_SIM_H
#define HK_SIM_SIM_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hank/sim.h>

#include "base/compiler.h"
#include "base/list.h"
#include "fiber/fiber.h"

#define HK_SIM_NEVER INT64_MAX

/* --- the seed: seed.c ------------------------------------------------------------------------ */

void hk_sim_seed(uint64_t seed);
uint64_t hk_sim_draw(void);
uint32_t hk_sim_below(uint32_t n);      /* 0 .. n - 1; 0 for n == 0 */
bool hk_sim_chance(unsigned per_mille); /* draws nothing for 0 */
int64_t hk_sim_between(int64_t low, int64_t high);
int64_t hk_sim_skewed(int64_t low, int64_t high); /* each power of two as likely; low > 0 */

/* --- options: options.c ---------------------------------------------------------------------- */

/* What a seed leaves to chance and what is the same for a whole run: drawn once. */
typedef struct hk_sim_temper {
    bool by_priority;    /* else whoever can run is as likely as anyone */
    int64_t point_mean;  /* accesses between two points */
    unsigned stall;      /* of 1000 points: this thread loses its CPU for a while */
    int64_t late_max;    /* how late a timeout may end */
    unsigned interrupts; /* of 1000 waits: ended by a signal or by nothing */
} hk_sim_temper;

extern hank_sim_options hk_sim_options; /* no field is zero that has a default */
extern hk_sim_temper hk_sim_temper_now;

void hk_sim_options_set(const hank_sim_options *options); /* NULL: the environment's */
void hk_sim_options_draw(void);                           /* what follows from the seed in it */
uint64_t hk_sim_seed_of_environment(void);
unsigned hk_sim_workers(void);
bool hk_sim_options_parse(const char *text, hank_sim_options *options);
/* The digits at the beginning of a text; false: there are none, or too many. */
bool hk_sim_number(const char *text, const char **ret_end, uint64_t *ret_number);

/* --- the beginning: explore.c ---------------------------------------------------------------- */

void hk_sim_boot(void); /* before anything is simulated; again: nothing */

/* --- the trace: trace.c ---------------------------------------------------------------------- */

void hk_sim_note(const char *what, int64_t a, int64_t b);
uint64_t hk_sim_hash(void);
uint64_t hk_sim_steps(void);
void hk_sim_trace_reset(void);

/* --- time and turns: schedule.c -------------------------------------------------------------- */

/* Something that will happen. Zeroed is not planned; its memory is whose it is.
 * tie     orders those of the same time: drawn
 * place   in the heap, + 1; 0: not planned */
typedef struct hk_sim_event {
    int64_t at;
    uint64_t tie;
    size_t place;
    void (*happen)(struct hk_sim_event *e);
} hk_sim_event;

void hk_sim_plan(hk_sim_event *e, int64_t at, void (*happen)(hk_sim_event *e));
void hk_sim_unplan(hk_sim_event *e);

enum { HK_SIM_KEYS = 8 };

/* A simulated thread.
 * alarm      first: ends its wait
 * context    where it goes on: `saved`, or at first the top of its stack
 * waits_for  compared with what hk_sim_wake is told; NULL: it can run
 * place      among those that can run, + 1
 * locals     its copy of the section hk_thread while it does not run */
typedef struct hk_sim_thread {
    hk_sim_event alarm;
    hk_fiber *context;
    hk_fiber saved;
    char *locals;
    const void *waits_for;
    const char *why;
    size_t place;
    uint64_t priority;
    bool woken;
    unsigned index;
    char name[16];
    void *stack; /* NULL: the real thread's own */
    void *(*body)(void *arg);
    void *arg;
    bool used;
    bool ended;
    bool detached;
    void *values[HK_SIM_KEYS];
    stack_t signal_stack;
} hk_sim_thread;

int64_t hk_sim_now(void);
void hk_sim_pass(int64_t ns); /* time goes by, and what was planned for then happens */
hk_sim_thread *hk_sim_self(void);

/* The beginning of each simulated system call. */
void hk_sim_call(void);

/* Let others run first, if any can. */
void hk_sim_give_way(void);

/* Until somebody wakes those who wait for `what`, or the deadline. True: woken. */
bool hk_sim_wait(const void *what, const char *why, int64_t deadline);
int hk_sim_wake(const void *what, int n); /* in drawn order; how many */

/* While held, no thread but the caller's runs: for calls of hank from within this room. */
void hk_sim_hold(void);
void hk_sim_release(void);

void hk_sim_schedule_add(hk_sim_thread *t);
HK_NORETURN void hk_sim_schedule_end(void);      /* of the calling thread */
void hk_sim_schedule_reset(hk_sim_thread *only); /* the world begins, with one thread */

/* Memory of the simulation itself: panics when there is none. */
void *hk_sim_new(size_t bytes);
void hk_sim_free(void *memory, size_t bytes);

/* Room for one more in an array of `size`-byte elements. */
void *hk_sim_grow(void *array, size_t *capacity, size_t n, size_t size);

/* --- threads: thread.c ----------------------------------------------------------------------- */

void hk_sim_threads_init(void);

/* --- descriptors: desc.c --------------------------------------------------------------------- */

typedef struct hk_sim_file hk_sim_file;

/* NULL is -EINVAL, or never ready.
 * ready   EPOLL* bits that are true now
 * gone    the last descriptor was closed: frees it */
typedef struct hk_sim_kind {
    ssize_t (*read)(hk_sim_file *f, void *buffer, size_t n);
    ssize_t (*write)(hk_sim_file *f, const void *buffer, size_t n);
    unsigned (*ready)(hk_sim_file *f);
    void (*gone)(hk_sim_file *f);
} hk_sim_kind;

/* What descriptors name. Kinds begin with one.
 * uses      descriptors;  watches: of epolls */
struct hk_sim_file {
    const hk_sim_kind *kind;
    unsigned uses;
    hk_node watches;
};

int hk_sim_install(hk_sim_file *f);  /* a descriptor for it, or -EMFILE */
hk_sim_file *hk_sim_file_of(int fd); /* NULL: none of ours */

size_t hk_sim_open_count(void); /* descriptors that are open */

bool hk_sim_is_pipe(const hk_sim_file *f);

/* Some of these bits may have become true: tell who watches. */
void hk_sim_changed(hk_sim_file *f, unsigned bits);

/* --- epoll.c --------------------------------------------------------------------------------- */

void hk_sim_watches_drop(hk_sim_file *f); /* it is going */
void hk_sim_watches_tell(hk_sim_file *f, unsigned bits);

/* --- files: file.c --------------------------------------------------------------------------- */

typedef struct hk_sim_inode {
    struct hk_sim_inode *next;
    char *path; /* NULL: unlinked */
    size_t path_bytes;
    unsigned mode;
    unsigned uses;
    uint64_t number;
    char *bytes;
    size_t size;
    size_t capacity;
    void *listener; /* of a Unix socket: who is bound to it */
} hk_sim_inode;

hk_sim_inode *hk_sim_inode_find(const char *path);
hk_sim_inode *hk_sim_inode_new(const char *path, unsigned mode); /* one use: the caller's */
void hk_sim_inode_drop(hk_sim_inode *i);

/* --- the real system: host.c ----------------------------------------------------------------- */

enum { HK_SIM_TEXT_MAX = 4096 };

void hk_sim_host_write(int fd, const char *text, size_t n);
void hk_sim_host_say(const char *format, ...) HK_PRINTF(1, 2); /* to stderr */
int hk_sim_host_open_trace(const char *path);
uint64_t hk_sim_host_random(void);
size_t hk_sim_host_command(char *ret_text, size_t n); /* how this process was started */
void *hk_sim_host_shared(size_t bytes);
void hk_sim_host_unshare(void *memory, size_t bytes);
int hk_sim_host_fork(void);                        /* 0 in the child; after flushing stdio */
int hk_sim_host_wait(int pid, unsigned seconds);   /* its wait status; -1: it hung, killed */
HK_NORETURN void hk_sim_host_exit(int status);     /* of a child: nothing is run any more */
HK_NORETURN void hk_sim_host_exit_all(int status); /* of the whole process, as exit(3) */
void hk_sim_host_watch_ends(void (*say)(void));    /* call it when the process dies or fails */
void hk_sim_host_own_thread(void);     /* remember the one real thread; panics on any other */
void *hk_sim_host_map(size_t bytes);   /* at the same address in every process; NULL: no memory */
void *hk_sim_host_stack(size_t bytes); /* the same, its lowest page a guard */
int hk_sim_host_own_stack(void **ret_low, size_t *ret_bytes); /* the real thread's */
int hk_sim_host_signal_stack(const stack_t *stack, stack_t *ret_old);
int hk_sim_host_probe(const void *word, uint32_t expected); /* a futex's: -EFAULT, or 0 */

#endif
