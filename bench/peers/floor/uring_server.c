/* SPDX-License-Identifier: MIT */
/* uring_server.c - the other floor: the least a program can do with io_uring.
 *
 * One ring a thread. One accept request and one receive request a connection stay armed for ever
 * (multishot); the kernel picks the buffers; an echo is sent out of the buffer it arrived in. A
 * batch costs one system call, which submits the sends and waits for what comes next.
 * A request must arrive whole: enough for a load generator, and all a floor needs. */
#include "server.h"

#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 8192, BUFFER_BYTES = 512, FILES = 16000, RING_ENTRIES = 4096 };
enum operation { ACCEPT, RECEIVE, SEND, OTHER };

struct server {
    struct io_uring ring;
    struct io_uring_buf_ring *free_buffers;
    char *buffers;
    int listener, returned; /* returned: buffers given back since the last advance */
    bool http;
};

static uint64_t label(enum operation what, int fd, unsigned buffer)
{
    return (uint64_t)what << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static struct io_uring_sqe *next_entry(struct server *s)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&s->ring);
    if (!entry) {
        (void)io_uring_submit(&s->ring);
        entry = io_uring_get_sqe(&s->ring);
    }
    return entry;
}

static void start_accept(struct server *s)
{
    struct io_uring_sqe *entry = next_entry(s);
    io_uring_prep_multishot_accept_direct(entry, s->listener, NULL, NULL, 0);
    entry->user_data = label(ACCEPT, 0, 0);
}

static void start_receive(struct server *s, int fd)
{
    struct io_uring_sqe *entry = next_entry(s);
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    entry->buf_group = 0;
    entry->user_data = label(RECEIVE, fd, 0);
}

static void start_send(struct server *s, int fd, const char *bytes, size_t n, uint64_t tag)
{
    struct io_uring_sqe *entry = next_entry(s);
    io_uring_prep_send(entry, fd, bytes, n, MSG_WAITALL | MSG_NOSIGNAL);
    entry->flags |= IOSQE_FIXED_FILE;
    entry->user_data = tag;
}

static void start_close(struct server *s, int fd)
{
    struct io_uring_sqe *entry = next_entry(s);
    io_uring_prep_close_direct(entry, (unsigned)fd);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = label(OTHER, fd, 0);
}

static void give_back(struct server *s, unsigned buffer)
{
    io_uring_buf_ring_add(s->free_buffers, s->buffers + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), s->returned++);
}

static void received(struct server *s, int fd, const struct io_uring_cqe *done)
{
    static const char answer[] = SERVER_ANSWER;
    if (done->res == -ENOBUFS) {
        start_receive(s, fd);
        return;
    }
    if (done->res <= 0) {
        start_close(s, fd);
        return;
    }
    unsigned buffer = done->flags >> IORING_CQE_BUFFER_SHIFT;
    const char *bytes = s->buffers + (size_t)buffer * BUFFER_BYTES;
    size_t n = (size_t)done->res;
    if (!s->http) {
        start_send(s, fd, bytes, n, label(SEND, fd, buffer));
    } else {
        if (n >= 4 && memcmp(bytes + n - 4, "\r\n\r\n", 4) == 0)
            start_send(s, fd, answer, sizeof answer - 1, label(OTHER, fd, 0));
        give_back(s, buffer);
    }
    if (!(done->flags & IORING_CQE_F_MORE))
        start_receive(s, fd);
}

static void completed(struct server *s, const struct io_uring_cqe *done)
{
    int fd = (int)(uint32_t)done->user_data;
    switch (done->user_data >> 56) {
    case ACCEPT:
        if (done->res >= 0)
            start_receive(s, done->res);
        if (!(done->flags & IORING_CQE_F_MORE))
            start_accept(s);
        break;
    case RECEIVE: received(s, fd, done); break;
    case SEND: give_back(s, done->user_data >> 32 & 0xffff); break;
    default: break;
    }
}

static int prepare(struct server *s)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_CQSIZE,
                                .cq_entries = 8 * RING_ENTRIES};
    int rc = io_uring_queue_init_params(RING_ENTRIES, &s->ring, &p);
    if (rc == 0)
        rc = io_uring_register_files_sparse(&s->ring, FILES);
    if (rc < 0)
        return rc;
    void *memory;
    if (posix_memalign(&memory, 4096, BUFFERS * (sizeof(struct io_uring_buf) + BUFFER_BYTES)) != 0)
        return -ENOMEM;
    s->free_buffers = memory;
    s->buffers = (char *)memory + BUFFERS * sizeof(struct io_uring_buf);
    struct io_uring_buf_reg group = {.ring_addr = (uintptr_t)memory, .ring_entries = BUFFERS};
    rc = io_uring_register_buf_ring(&s->ring, &group, 0);
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(s->free_buffers);
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(s, i);
    io_uring_buf_ring_advance(s->free_buffers, s->returned);
    return 0;
}

static void loop(int listener, bool http)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return;
    s->listener = listener;
    s->http = http;
    int rc = prepare(s);
    if (rc < 0) {
        fprintf(stderr, "io_uring: %s\n", strerror(-rc));
        return;
    }
    start_accept(s);
    for (;;) {
        struct io_uring_cqe *done;
        unsigned head, n = 0;
        (void)io_uring_submit_and_wait(&s->ring, 1); /* interrupted: the loop comes round again */
        s->returned = 0;
        io_uring_for_each_cqe(&s->ring, head, done)
        {
            completed(s, done);
            n++;
        }
        io_uring_cq_advance(&s->ring, n);
        io_uring_buf_ring_advance(s->free_buffers, s->returned);
    }
}

int main(int argc, char **argv)
{
    return server_main(argc, argv, false, loop);
}
