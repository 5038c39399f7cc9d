/* SPDX-License-Identifier: MIT */
/* stream.c - lanes: bytes on their way, in order, in pieces of any size.
 *
 * What is sent at once is cut into segments that arrive one by one, none before the one before it;
 * so a reader sees any part of a message, whenever it looks. A lane has room for so many bytes,
 * drawn for each: a writer that sends more is told how much went, and later that there is room.
 *
 * A short read of a far lane always means that nothing more has arrived, and that the next piece
 * will be news: that is what a TCP socket promises, and hank relies on it. A near lane (a Unix
 * socket) may stop short whenever it likes. */
#include "sim/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    ROOM_MIN = 32,
    ROOM_MAX = 256 * 1024,
    SEGMENTS_MAX = 3, /* of one send */
    SPIKE = 5,        /* of 1000 segments are sent again, after that time: */
    SPIKE_NS = 200 * 1000 * 1000,
};

int64_t hk_sim_lane_delay(bool far)
{
    if (!far)
        return 0;
    int64_t spike = hk_sim_chance(SPIKE) ? SPIKE_NS : 0;
    return spike + hk_sim_skewed(hk_sim_options.delay_min, hk_sim_options.delay_max);
}

hk_sim_lane *hk_sim_lane_new(hk_sim_file *writer, hk_sim_file *reader, bool far)
{
    hk_sim_lane *l = hk_sim_new(sizeof *l);
    l->writer = writer;
    l->reader = reader;
    l->far = far;
    l->size = ROOM_MAX;
    if (hk_sim_below(4) == 0) /* most are as roomy as real ones */
        l->size = (size_t)hk_sim_skewed(ROOM_MIN, ROOM_MAX);
    return l;
}

static void free_segment(hk_sim_segment *s)
{
    hk_sim_unplan(&s->arrival);
    hk_sim_free(s, sizeof *s + s->n);
}

static void drop_segments(hk_sim_lane *l, bool arrived_too)
{
    hk_sim_segment **at = &l->first;
    l->last = NULL;
    while (*at) {
        hk_sim_segment *s = *at;
        if (s->arrived && !arrived_too) {
            l->last = s;
            at = &s->next;
            continue;
        }
        *at = s->next;
        l->used -= s->n - s->taken;
        free_segment(s);
    }
}

/* --- arriving ------------------------------------------------------------------------------ */

static void cut(hk_sim_lane *l)
{
    l->cut = l->ended = true;
    drop_segments(l, false); /* what is on its way will not come any more */
    if (l->reader)
        hk_sim_socket_break(hk_sim_socket_of_file(l->reader), -ECONNRESET);
}

static void arrive(hk_sim_segment *s)
{
    hk_sim_lane *l = s->lane;
    s->arrived = true;
    if (s->mark == HK_SIM_RESET) {
        cut(l);
        return;
    }
    l->arrived += s->n;
    l->ended = l->ended || s->mark == HK_SIM_END;
    if (l->reader) {
        hk_sim_changed(l->reader, EPOLLIN | (l->ended ? EPOLLRDHUP | EPOLLHUP : 0u));
        return;
    }
    /* Nobody is there any more: the other side is told so. */
    if (s->mark == HK_SIM_BYTES && l->writer)
        hk_sim_socket_break(hk_sim_socket_of_file(l->writer), -ECONNRESET);
}

static void on_arrival(hk_sim_event *e)
{
    arrive((hk_sim_segment *)(void *)e);
}

static void post(hk_sim_lane *l, const char *bytes, size_t n, hk_sim_mark mark)
{
    hk_sim_segment *s = hk_sim_new(sizeof *s + n);
    s->lane = l;
    s->mark = mark;
    s->n = n;
    if (n > 0)
        memcpy(s->bytes, bytes, n);
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
    l->used += n;
    int64_t at = hk_sim_now() + hk_sim_lane_delay(l->far);
    l->last_at = at > l->last_at ? at : l->last_at + 1;
    if (l->far)
        hk_sim_plan(&s->arrival, l->last_at, on_arrival);
    else
        arrive(s);
}

/* --- what the writer does ------------------------------------------------------------------- */

ssize_t hk_sim_lane_put(hk_sim_lane *l, const char *bytes, size_t n)
{
    size_t room = l->size - l->used;
    if (n == 0)
        return 0;
    if (room == 0) {
        l->short_of_room = true;
        return -EAGAIN;
    }
    size_t put = n < room ? n : room;
    l->short_of_room = put < n;
    size_t pieces = 1 + hk_sim_below(SEGMENTS_MAX);
    for (size_t at = 0; at < put;) {
        size_t piece = put - at;
        if (--pieces > 0 && piece > 1)
            piece = (size_t)hk_sim_skewed(1, (int64_t)piece);
        post(l, bytes + at, piece, HK_SIM_BYTES);
        at += piece;
        pieces = pieces ? pieces : 1;
    }
    return (ssize_t)put;
}

void hk_sim_lane_end(hk_sim_lane *l)
{
    if (!l->end_sent && !l->cut)
        post(l, NULL, 0, HK_SIM_END);
    l->end_sent = true;
}

void hk_sim_lane_reset(hk_sim_lane *l)
{
    if (l->cut)
        return;
    if (l->far)
        post(l, NULL, 0, HK_SIM_RESET);
    else
        cut(l);
}

/* --- what the reader does ------------------------------------------------------------------- */

static void tell_of_room(hk_sim_event *e)
{
    hk_sim_lane *l = hk_container_of(e, hk_sim_lane, room);
    if (l->writer)
        hk_sim_changed(l->writer, EPOLLOUT);
}

static void free_room(hk_sim_lane *l)
{
    if (!l->short_of_room || l->room.place > 0)
        return;
    l->short_of_room = false;
    if (l->far)
        hk_sim_plan(&l->room, hk_sim_now() + hk_sim_lane_delay(true), tell_of_room);
    else
        tell_of_room(&l->room);
}

static void drop_taken(hk_sim_lane *l)
{
    while (l->first && l->first->arrived && l->first->taken == l->first->n &&
           l->first->mark == HK_SIM_BYTES) {
        hk_sim_segment *s = l->first;
        l->first = s->next;
        if (!l->first)
            l->last = NULL;
        free_segment(s);
    }
}

ssize_t hk_sim_lane_take(hk_sim_lane *l, char *ret_bytes, size_t n, bool peek)
{
    size_t wanted = n < l->arrived ? n : l->arrived;
    if (!l->far && wanted > 1 && hk_sim_below(4) == 0)
        wanted = (size_t)hk_sim_skewed(1, (int64_t)wanted);
    size_t done = 0;
    for (hk_sim_segment *s = l->first; s && done < wanted; s = s->next) {
        size_t left = s->n - s->taken;
        size_t part = left < wanted - done ? left : wanted - done;
        memcpy(ret_bytes + done, s->bytes + s->taken, part);
        done += part;
        if (!peek)
            s->taken += part;
    }
    if (peek || done == 0)
        return (ssize_t)done;
    l->arrived -= done;
    l->used -= done;
    drop_taken(l);
    free_room(l);
    return (ssize_t)done;
}

/* --- the end ------------------------------------------------------------------------------- */

void hk_sim_lane_leave(hk_sim_lane *l, const hk_sim_file *end)
{
    if (l->reader == end) {
        l->reader = NULL;
        l->unread_lost = l->used > 0;
    }
    if (l->writer == end)
        l->writer = NULL;
    if (l->reader || l->writer)
        return;
    drop_segments(l, true);
    hk_sim_unplan(&l->room);
    hk_sim_free(l, sizeof *l);
}
