/* SPDX-License-Identifier: MIT */
/* boost_echo.cc - echo on Boost.Fiber: a fiber a connection, over one epoll a thread.
 *
 * Boost.Fiber has no sockets of its own. Here the first fiber of a thread waits in epoll_wait,
 * makes the fibers of ready connections runnable and yields: when it runs again all of them are
 * waiting once more, so it may sleep. That is the least glue we could find. */
#include "../floor/server.h"

#include <boost/fiber/all.hpp>

#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <cstdio>

namespace fibers = boost::fibers;

namespace {

struct connection {
    int fd;
    fibers::context *waiting = nullptr; /* the fiber, while it has nothing to read */
};

void wait_readable(connection &c)
{
    c.waiting = fibers::context::active();
    c.waiting->suspend();
}

void echo(int epoll, int fd)
{
    connection c{fd};
    char buffer[1024];
    epoll_event e{};
    e.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    e.data.ptr = &c;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) {
            wait_readable(c);
            continue;
        }
        if (n > 0)
            server_hog(buffer);
        /* The socket buffer is far larger than a message in flight: a short send is an end. */
        if (n <= 0 || send(fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n)
            break;
    }
    close(fd);
}

void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        fibers::fiber(fibers::launch::post, std::allocator_arg, fibers::fixedsize_stack(16384),
                      echo, epoll, fd)
            .detach();
}

void loop(int listener)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event e{}, events[512];
    e.events = EPOLLIN | EPOLLET;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < n; i++) {
            auto *c = static_cast<connection *>(events[i].data.ptr);
            if (!c)
                accept_all(epoll, listener);
            else if (fibers::context *f = std::exchange(c->waiting, nullptr))
                fibers::context::active()->schedule(f);
        }
        boost::this_fiber::yield();
    }
}

} // namespace

int serve_echo(unsigned short port, int workers)
{
    std::vector<std::thread> threads;
    std::vector<int> listeners;
    for (int i = 0; i < workers; i++)
        listeners.push_back(server_listen(&port, true));
    if (listeners[0] < 0)
        return 1;
    std::printf("listening on tcp://127.0.0.1:%u\n", static_cast<unsigned>(port));
    std::fflush(stdout);
    for (int i = 1; i < workers; i++)
        threads.emplace_back(loop, listeners[static_cast<std::size_t>(i)]);
    loop(listeners[0]);
    return 0;
}
