/*
 * epoll: what the machine can do on one core: an echo server and a greeter with nothing around them;
 * and what stands behind the relays that are compared.
 *
 *   epoll PORT echo     everything comes back
 *   epoll PORT hello    greets and closes
 *   epoll PORT once     the first that is said comes back, and it closes
 *   epoll PORT source   the bytes of pattern.h without end
 *
 * One thread, one edge-triggered epoll, a reply sent at once when the socket takes it.  A client that
 * does not read stops being read from: one chunk per connection is all that is ever held.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../pattern.h"

enum { BATCH = 256, CHUNK = 64 << 10, BACKLOG = 1024 };

struct connection {
    int fd;
    size_t start, end; /* of what is still unsent in `held` */
    char *held;        /* only there while the client does not read */
    size_t place;      /* `source`: of the period, where the next byte is */
};

static int epollFd, listenFd;
static char chunk[CHUNK];
static char greeting[64];
static size_t greetingSize;
static bool isOnce, isSource;

static void check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static int listenOn(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    check(fd, "socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(fd, BACKLOG), "listen");
    return fd;
}

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->held);
    free(c);
}

static void greet(int fd)
{
    if (send(fd, greeting, greetingSize, MSG_NOSIGNAL) < 0)
        perror("send");
    close(fd);
}

static void openTalk(int fd)
{
    int one = 1;
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* A source is asked again and again, since it never comes to the end of what it has to send. */
    struct epoll_event event = {
        .events = isSource ? EPOLLOUT : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    check(epoll_ctl(epollFd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void acceptAll(void)
{
    int fd;
    while ((fd = accept4(listenFd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (greetingSize > 0)
            greet(fd);
        else
            openTalk(fd);
    }
}

/* Send the range; how much went out, or -1 when the connection is lost. */
static ssize_t sendSome(struct connection *c, const char *bytes, size_t count)
{
    ssize_t n = send(c->fd, bytes, count, MSG_NOSIGNAL);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

/* Keep what the socket did not take; false when there is no memory for it. */
static bool hold(struct connection *c, size_t from, size_t to)
{
    if (c->held == NULL && (c->held = malloc(CHUNK)) == NULL)
        return false;
    memcpy(c->held, chunk + from, to - from);
    c->start = 0;
    c->end = to - from;
    return true;
}

/* Send what is held; true when nothing is left. */
static bool flushed(struct connection *c, bool *lost)
{
    if (c->start == c->end)
        return true;
    ssize_t n = sendSome(c, c->held + c->start, c->end - c->start);
    *lost = n < 0;
    c->start += n > 0 ? (size_t)n : 0;
    return c->start == c->end;
}

/*
 * Echo until there is nothing to read or the client does not read; false when it is over.
 * A short read means that all is read, unless the end is there already: it makes no further event.
 */
static bool echo(struct connection *c, bool ending)
{
    bool lost = false;
    while (flushed(c, &lost)) {
        ssize_t got = recv(c->fd, chunk, CHUNK, 0);
        if (got < 0)
            return errno == EAGAIN;
        ssize_t sent = got == 0 ? -1 : sendSome(c, chunk, (size_t)got);
        if (sent < 0)
            return false;
        if (sent < got && !hold(c, (size_t)sent, (size_t)got))
            return false;
        if (sent == got && got < CHUNK && !ending)
            return true;
    }
    return !lost;
}

/* Send back what came and nothing more; true as long as nothing has come. */
static bool once(struct connection *c)
{
    ssize_t got = recv(c->fd, chunk, CHUNK, 0);
    if (got < 0)
        return errno == EAGAIN;
    sendSome(c, chunk, (size_t)got);
    return false;
}

/* Send what the socket takes; false when the client is gone. */
static bool pour(struct connection *c)
{
    ssize_t sent = sendSome(c, pattern + c->place, PIECE);
    if (sent < 0)
        return false;
    c->place = (c->place + (size_t)sent) % PERIOD;
    return true;
}

static bool talk(struct connection *c, uint32_t what)
{
    bool ending = what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (isSource)
        return pour(c);
    return isOnce ? once(c) : echo(c, ending);
}

static void run(void)
{
    struct epoll_event events[BATCH];
    for (;;) {
        int count = epoll_wait(epollFd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == NULL)
                acceptAll();
            else if (!talk(c, events[i].events))
                drop(c);
        }
    }
}

static void raiseDescriptorLimit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    bool isHello = argc == 3 && strcmp(argv[2], "hello") == 0;
    isOnce = argc == 3 && strcmp(argv[2], "once") == 0;
    isSource = argc == 3 && strcmp(argv[2], "source") == 0;
    if (!isHello && !isOnce && !isSource && (argc != 3 || strcmp(argv[2], "echo") != 0)) {
        fputs("usage: epoll PORT echo|hello|once|source\n", stderr);
        return 2;
    }
    int port = atoi(argv[1]);
    makePattern();
    if (isHello)
        greetingSize = (size_t)snprintf(
            greeting, sizeof greeting, "Hello from 127.0.0.1:%d!", port);
    raiseDescriptorLimit();
    listenFd = listenOn(port);
    epollFd = epoll_create1(EPOLL_CLOEXEC);
    check(epollFd, "epoll");
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    check(epoll_ctl(epollFd, EPOLL_CTL_ADD, listenFd, &event), "epoll_ctl");
    run();
}
