/* SPDX-License-Identifier: MIT */
/* terminal_test.c - terminals: two ends that are not alike, which of them can be opened again, and
 * how each learns that the other is gone. */
#include "io/net_support.h"

/* The two of a terminal that passes bytes as they are, and blocks. */
typedef struct terminal {
    int master;
    int slave;
    char name[64];
} terminal;

static int open_both(terminal *t)
{
    struct termios raw;
    t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(t->master >= 0 && grantpt(t->master) == 0 && unlockpt(t->master) == 0);
    MUST(ptsname_r(t->master, t->name, sizeof t->name) == 0);
    t->slave = open(t->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(t->slave >= 0 && tcgetattr(t->slave, &raw) == 0);
    cfmakeraw(&raw);
    return tcsetattr(t->slave, TCSANOW, &raw);
}

ALONE(kept, the_master_of_a_terminal_is_refused_and_stays_the_callers)
{
    terminal t;
    hank_stream *s;
    char byte;
    (void)arg;
    MUST(open_both(&t) == 0);
    MUST(hank_stream_from_fd(t.master, HANK_KEEP_FD, &s) == -ENOTSUP);
    MUST(!(fcntl(t.master, F_GETFL) & O_NONBLOCK));
    MUST(write(t.slave, "x", 1) == 1 && read(t.master, &byte, 1) == 1 && byte == 'x');
    MUST(hank_stream_from_fd(t.master, 0, &s) == 0); /* it can be given away */
    MUST(write(t.slave, "y", 1) == 1 && hank_read(s, &byte, 1) == 1 && byte == 'y');
    hank_close(s);
    return close(t.slave);
}

ALONE(kept, the_slave_of_a_terminal_is_the_same_and_stays_as_it_was)
{
    terminal t;
    hank_stream *s;
    char buf[4];
    (void)arg;
    MUST(open_both(&t) == 0);
    MUST(hank_stream_from_fd(t.slave, HANK_KEEP_FD, &s) == 0);
    MUST(!(fcntl(t.slave, F_GETFL) & O_NONBLOCK));
    MUST(fcntl(hank_stream_fd(s), F_GETFL) & O_NONBLOCK);
    MUST(write(t.master, "in", 2) == 2);
    MUST(hank_read_exact(s, buf, 2) == 0 && memcmp(buf, "in", 2) == 0);
    MUST(hank_write(s, "out", 3) == 0);
    MUST(read(t.master, buf, 3) == 3 && memcmp(buf, "out", 3) == 0);
    hank_close(s);
    MUST(write(t.slave, "z", 1) == 1);
    return close(t.slave) | close(t.master);
}

static int read_one(void *s)
{
    char byte;
    RETURN_WHEN_LET_IN(hank_read(s, &byte, 1));
}

ALONE(end, of_a_terminal_is_eio_for_its_master)
{
    terminal t;
    hank_stream *s;
    char byte;
    (void)arg;
    MUST(open_both(&t) == 0);
    MUST(hank_stream_from_fd(t.master, 0, &s) == 0);
    MUST(write(t.slave, "x", 1) == 1 && close(t.slave) == 0);
    MUST(hank_read(s, &byte, 1) == 1 && byte == 'x');
    for (int i = 0; i < 2; i++)
        MUST(hank_read(s, &byte, 1) == -EIO);
    MUST(hank_write(s, "y", 1) == 0);
    t.slave = open(t.name, O_RDWR | O_NOCTTY | O_CLOEXEC); /* there is somebody again */
    MUST(t.slave >= 0);
    hank_task reader = hank_spawn(read_one, s);
    UNTIL_TAKEN(hank_read(s, &byte, 0));
    MUST(write(t.slave, "z", 1) == 1 && hank_await(reader) == 1);
    reader = hank_spawn(read_one, s);
    UNTIL_TAKEN(hank_read(s, &byte, 0));
    MUST(close(t.slave) == 0 && hank_await(reader) == -EIO);
    hank_close(s);
    return 0;
}

ALONE(end, of_a_terminal_is_0_for_its_slave)
{
    terminal t;
    hank_stream *s;
    char byte;
    (void)arg;
    MUST(open_both(&t) == 0);
    MUST(hank_stream_from_fd(t.slave, 0, &s) == 0);
    hank_task reader = hank_spawn(read_one, s);
    UNTIL_TAKEN(hank_read(s, &byte, 0));
    MUST(close(t.master) == 0 && hank_await(reader) == 0);
    for (int i = 0; i < 2; i++)
        MUST(hank_read(s, &byte, 1) == 0 && hank_write(s, "x", 1) == -EIO);
    hank_close(s);
    return 0;
}
