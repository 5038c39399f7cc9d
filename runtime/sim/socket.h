/* SPDX-License-Identifier: MIT */
/* socket.h - what the files about sockets share.
 *
 * A *lane* carries bytes one way, from one end to another: what was sent stands in it until it has
 * been read, and can be read once it has arrived. A connection is two lanes, a pipe is one. */
#ifndef HK_SIM_SOCKET_H
#define HK_SIM_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sim/sim.h"

typedef union hk_sim_name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
} hk_sim_name;

typedef struct hk_sim_address {
    socklen_t length;
    hk_sim_name name;
} hk_sim_address;

/* --- lanes: stream.c ------------------------------------------------------------------------- */

/* What a lane ends in, or the wish for it. */
typedef enum hk_sim_mark { HK_SIM_BYTES, HK_SIM_END, HK_SIM_RESET } hk_sim_mark;

typedef struct hk_sim_segment {
    hk_sim_event arrival; /* first */
    struct hk_sim_segment *next;
    struct hk_sim_lane *lane;
    hk_sim_mark mark;
    bool arrived;
    size_t n;
    size_t taken;
    char bytes[];
} hk_sim_segment;

/* reader, writer   the file at that end; NULL: closed. Both NULL: the lane is freed
 * used             bytes in it, arrived or not, <= size
 * arrived          of these, bytes that can be read
 * last_at          nothing that is sent later arrives before that
 * ended            the end has arrived: nothing follows what can be read
 * cut              a reset has arrived: nothing can be sent any more
 * short_of_room    a writer was told that there is none, and waits to hear otherwise */
typedef struct hk_sim_lane {
    hk_sim_file *reader;
    hk_sim_file *writer;
    hk_sim_segment *first;
    hk_sim_segment *last;
    hk_sim_event room; /* news of it, on its way to the writer */
    size_t used;
    size_t arrived;
    size_t size;
    int64_t last_at;
    bool far; /* it takes time to arrive */
    bool end_sent;
    bool ended;
    bool cut;
    bool short_of_room;
    bool unread_lost; /* the reader left without reading everything */
} hk_sim_lane;

hk_sim_lane *hk_sim_lane_new(hk_sim_file *writer, hk_sim_file *reader, bool far);
ssize_t hk_sim_lane_put(hk_sim_lane *l, const char *bytes, size_t n); /* -EAGAIN: no room */
ssize_t hk_sim_lane_take(hk_sim_lane *l, char *ret_bytes, size_t n, bool peek); /* 0: nothing */
void hk_sim_lane_end(hk_sim_lane *l);   /* by the writer: no more comes */
void hk_sim_lane_reset(hk_sim_lane *l); /* by the writer: tell the reader that all is over */
void hk_sim_lane_leave(hk_sim_lane *l, const hk_sim_file *end); /* one end closes */
int64_t hk_sim_lane_delay(bool far);

/* --- sockets --------------------------------------------------------------------------------- */

typedef enum hk_sim_state {
    HK_SIM_FRESH,
    HK_SIM_LISTENING,
    HK_SIM_CONNECTING,
    HK_SIM_CONNECTED,
    HK_SIM_BROKEN, /* reset, or never connected */
} hk_sim_state;

/* A datagram that waits to be received. */
typedef struct hk_sim_datagram {
    hk_sim_event arrival; /* first */
    hk_node link;
    struct hk_sim_socket *to;
    hk_sim_address from;
    size_t n;
    char bytes[];
} hk_sim_datagram;

/* bound      local is an address that others can reach: in the list of bound ones
 * error      the next call that asks is told: a negative errno
 * in, out    of a connected one; NULL after its end
 * line       of a listener: connections that nobody has accepted, in order
 * in_line    of such a connection
 * step       of a connect that is under way, or the time at which the connection is cut
 * mail       datagrams that have arrived; mail_bytes of them
 * coming     datagrams on their way to it */
typedef struct hk_sim_socket {
    hk_sim_file file;
    int family;
    int type;
    hk_sim_state state;
    hk_sim_address local;
    hk_sim_address peer;
    bool bound;
    bool only6;
    bool reuse_port;
    bool read_ended;
    bool write_ended;
    int error;
    hk_node bound_link;
    hk_sim_inode *inode;
    hk_sim_lane *in;
    hk_sim_lane *out;
    hk_node line;
    unsigned line_n;
    unsigned backlog;
    hk_node in_line;
    struct hk_sim_socket *listener;
    hk_sim_event step;
    unsigned attempts;
    hk_node mail;
    size_t mail_bytes;
    hk_node coming;
    struct hk_sim_socket *partner; /* of a pair of datagram sockets */
    bool aborts;                   /* closing it is a reset */
} hk_sim_socket;

extern const hk_sim_kind hk_sim_sockets;

hk_sim_socket *hk_sim_socket_of(int fd, int *ret_error); /* -EBADF, -ENOTSOCK */
hk_sim_socket *hk_sim_socket_new(int family, int type);
hk_sim_socket *hk_sim_socket_of_file(hk_sim_file *f);
void hk_sim_socket_join(hk_sim_socket *a, hk_sim_socket *b); /* two lanes between them */
void hk_sim_socket_break(hk_sim_socket *s, int error);       /* its connection is over */
int hk_sim_socket_take_error(hk_sim_socket *s);

/* connect.c */
void hk_sim_unbind(hk_sim_socket *s);
void hk_sim_leave_line(hk_sim_socket *s);
void hk_sim_empty_line(hk_sim_socket *s);
int hk_sim_name_sender(hk_sim_socket *s, const hk_sim_address *peer);
hk_sim_socket *hk_sim_find_bound(const hk_sim_address *address, int type);
int hk_sim_address_read(int family, const struct sockaddr *from, socklen_t n, hk_sim_address *ret);

/* dgram.c */
typedef struct hk_sim_envelope {
    hk_sim_address from;
    bool cut; /* more was sent than there was room for */
} hk_sim_envelope;

ssize_t hk_sim_dgram_send(hk_sim_socket *s, const hk_sim_address *to, const struct iovec *parts,
                          size_t n);
ssize_t hk_sim_dgram_take(hk_sim_socket *s, const struct iovec *parts, size_t n, int flags,
                          hk_sim_envelope *ret);
void hk_sim_dgram_drop_all(hk_sim_socket *s);

#endif
