/*
 * load: the client side of every benchmark.
 *
 *   load PORT echo CONNECTIONS SIZE SECONDS   each connection sends SIZE bytes, waits for all of
 *                                             them to come back, compares them, and starts again
 *   load PORT websocket CONNECTIONS SIZE SECONDS
 *                                             the same as messages of a WebSocket at
 *                                             /websocket/echo, of 1 to 125 bytes
 *   load PORT connect CONNECTIONS SECONDS     each slot connects, reads to the end, checks that the
 *                                             answer starts with "Hello from ", and starts again
 *   load PORT exchange CONNECTIONS SECONDS    each slot connects, sends 64 bytes, reads to the end,
 *                                             checks that just these came back, and starts again
 *   load PORT bulk CONNECTIONS SECONDS        each connection reads the bytes of pattern.h as fast as
 *                                             they come, and looks at the beginning of every piece
 *   load PORT idle CONNECTIONS                opens the connections, has one byte echoed on each,
 *                                             prints "ready" and keeps them until stdin ends
 *
 * It only ever connects to 127.0.0.1:PORT.  A result is one line of JSON on stdout.  Anything a
 * server may not do (wrong bytes, too many bytes, an early end, five seconds of silence) is one line
 * on stderr and exit code 1.
 *
 * Local ports: in `connect` and `exchange` the server closes first, so TIME_WAIT stays on the server's side and the
 * kernel lets a newer SYN take such a pair over at once: no reset and no further source addresses
 * are needed.  The number of connections of one run is bounded all the same (MOST_CONNECTS).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

enum {
    MOST_CONNECTIONS = 100000,
    MOST_SIZE = 16 << 20,
    MOST_SECONDS = 60,
    MOST_CONNECTS = 2000000, /* in one run of `connect` or `exchange` */
    BATCH = 256,             /* events taken from epoll at once */
    PATIENCE = 5,            /* seconds without any progress before a run is a failure */
    IDLE_SECONDS = 120,      /* `idle` ends by itself after this long */
    EXCHANGED = 64,          /* bytes each way in `exchange` */
    LOOKED_AT = 256,         /* bytes of each piece that `bulk` compares */
};
static const double SLOW = 0.9; /* a connect this slow was dropped and sent again by the kernel */
static const char GREETING[] = "Hello from ";

struct connection {
    int fd;
    uint32_t number;
    uint64_t messages; /* echoed completely */
    size_t sent, echoed;
    char *message; /* what must come back */
    char *frame;   /* what is sent: the same, but for a WebSocket */
    double since; /* `connect`: when this attempt began */
    char answer[EXCHANGED + 1];
    bool waiting; /* an answer is outstanding */
};

static struct sockaddr_in server;
static int epollFd;
static struct epoll_event events[BATCH];
static struct connection *connections;
static size_t connectionCount;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpuSeconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec
        + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double number(const char *text, double least, double most, const char *what)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= least && value <= most))
        fail("%s: '%s' is not a number from %g to %g", what, text, least, most);
    return value;
}

static void allocateConnections(size_t count)
{
    connectionCount = count;
    connections = calloc(count, sizeof *connections);
    if (connections == NULL)
        fail("no memory for %zu connections", count);
    for (size_t i = 0; i < count; i++) {
        connections[i].fd = -1;
        connections[i].number = (uint32_t)i;
    }
}

static void startEpoll(void)
{
    epollFd = epoll_create1(EPOLL_CLOEXEC);
    if (epollFd < 0)
        fail("epoll: %s", strerror(errno));
}

static void watch(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epollFd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll: %s", strerror(errno));
}

/* Events, or none once `until` has come; an overlong silence ends the run. */
static int nextEvents(double until, double lastProgress)
{
    double left = until - now();
    int milliseconds = left <= 0 ? 0 : (int)(left * 1000) + 1;
    int count = epoll_wait(epollFd, events, BATCH, milliseconds < 100 ? milliseconds : 100);
    if (count < 0 && errno != EINTR)
        fail("epoll: %s", strerror(errno));
    if (count <= 0 && now() - lastProgress > PATIENCE)
        fail("stalled: nothing came for %d seconds", PATIENCE);
    return count < 0 ? 0 : count;
}

/* A connected, blocking socket that gives up after PATIENCE seconds. */
static int connectNow(void)
{
    struct timeval patience = {.tv_sec = PATIENCE};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        fail("connect: %s", strerror(errno));
    return fd;
}

/* ---- echo ---- */

static size_t messageSize, frameSize;
static bool isWebSocket;
static char *incoming;

enum { SERVER_HEAD = 2, CLIENT_HEAD = 6, MOST_FRAME = 125 }; /* bytes before a payload */
static uint64_t messageTotal;
static size_t outstanding;

static void sendMore(struct connection *c)
{
    ssize_t n = send(c->fd, c->frame + c->sent, frameSize - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
        c->sent += (size_t)n;
    else if (errno != EAGAIN)
        fail("connection %u: send: %s", c->number, strerror(errno));
}

/* Every message differs from the one before and from its neighbours': stale bytes are noticed. */
static void stamp(struct connection *c)
{
    uint64_t mark = (c->messages << 20 ^ c->number) * 0x9E3779B97F4A7C15u;
    size_t head = isWebSocket ? SERVER_HEAD : 0, size = messageSize - head;
    memcpy(c->message + head, &mark, size < sizeof mark ? size : sizeof mark);
    if (isWebSocket)
        memcpy(c->frame + CLIENT_HEAD, c->message + head, size);
}

static void sendNext(struct connection *c)
{
    stamp(c);
    c->sent = c->echoed = 0;
    c->waiting = true;
    outstanding++;
    sendMore(c);
}

/* Read what there is; true once the whole message is back. */
static bool echoArrived(struct connection *c)
{
    /* One byte more than is due, so that a server that says too much is caught. */
    ssize_t n = recv(c->fd, incoming, messageSize - c->echoed + 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n < 0)
        fail("connection %u: recv: %s", c->number, strerror(errno));
    if (n == 0)
        fail("connection %u: the server closed it after %llu messages", c->number,
            (unsigned long long)c->messages);
    size_t due = isWebSocket ? (c->sent == frameSize ? messageSize : 0) : c->sent;
    if (c->echoed + (size_t)n > due)
        fail("connection %u: more came back than was sent", c->number);
    if (memcmp(incoming, c->message + c->echoed, (size_t)n) != 0)
        fail("connection %u: message %llu came back changed", c->number,
            (unsigned long long)c->messages);
    c->echoed += (size_t)n;
    return c->echoed == messageSize;
}

/* RFC 6455 section 1.3, with its own example of a key. */
static void openWebSocket(struct connection *c)
{
    static const char ask[] = "GET /websocket/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n";
    char answer[2048];
    size_t got = 0;
    if (send(c->fd, ask, sizeof ask - 1, MSG_NOSIGNAL) != sizeof ask - 1)
        fail("connection %u: send: %s", c->number, strerror(errno));
    do {
        ssize_t n = got + 1 < sizeof answer ? recv(c->fd, answer + got, 1, 0) : 0;
        if (n <= 0)
            fail("connection %u: the answer to the WebSocket's request has no end", c->number);
        answer[++got] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL);
    if (strncmp(answer, "HTTP/1.1 101 ", 13) != 0
        || strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
        fail("connection %u: no WebSocket: %.*s", c->number, (int)strcspn(answer, "\r"), answer);
}

static void prepareEcho(struct connection *c)
{
    c->message = malloc(messageSize);
    c->frame = isWebSocket ? calloc(1, frameSize) : c->message;
    if (c->message == NULL || c->frame == NULL)
        fail("no memory for messages");
    for (size_t i = 0; i < messageSize; i++)
        c->message[i] = (char)(i * 31 + c->number);
    c->fd = connectNow();
    if (isWebSocket) {
        /* One binary message in a frame; masked with noughts, so that both payloads are the same. */
        c->message[0] = c->frame[0] = (char)0x82;
        c->message[1] = (char)(messageSize - SERVER_HEAD);
        c->frame[1] = (char)(0x80 | (messageSize - SERVER_HEAD));
        memcpy(c->frame + CLIENT_HEAD, c->message + SERVER_HEAD, messageSize - SERVER_HEAD);
        openWebSocket(c);
    }
    watch(c);
}

static void echoEvent(struct connection *c, uint32_t what, bool goOn)
{
    if (c->sent < frameSize && c->waiting)
        sendMore(c);
    if (!(what & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !echoArrived(c))
        return;
    c->messages++;
    messageTotal++;
    c->waiting = false;
    outstanding--;
    if (goOn)
        sendNext(c);
}

/* Ping-pong until `until`; with goOn false only take in what is outstanding. */
static void echoUntil(double until, bool goOn)
{
    double time = now(), lastProgress = time;
    uint64_t seen = messageTotal;
    while (goOn ? time < until : outstanding > 0) {
        int count = nextEvents(goOn ? until : time + 1, lastProgress);
        for (int i = 0; i < count; i++)
            echoEvent(events[i].data.ptr, events[i].events, goOn);
        time = now();
        if (messageTotal != seen) {
            seen = messageTotal;
            lastProgress = time;
        }
    }
}

static uint64_t fewestMessages(void)
{
    uint64_t fewest = UINT64_MAX;
    for (size_t i = 0; i < connectionCount; i++)
        if (connections[i].messages < fewest)
            fewest = connections[i].messages;
    return fewest;
}

/* Until every connection has echoed once and the server is warm. */
static void warmUp(double seconds)
{
    double start = now();
    for (size_t i = 0; i < connectionCount; i++)
        sendNext(&connections[i]);
    do
        echoUntil(now() + seconds, true);
    while (fewestMessages() == 0 && now() - start < 2 * PATIENCE);
    if (fewestMessages() == 0)
        fail("stalled: a connection never echoed anything");
}

static void runEcho(size_t count, size_t size, double seconds)
{
    messageSize = isWebSocket ? size + SERVER_HEAD : size;
    frameSize = isWebSocket ? size + CLIENT_HEAD : size;
    incoming = malloc(messageSize + 1);
    if (incoming == NULL)
        fail("no memory for messages");
    allocateConnections(count);
    startEpoll();
    for (size_t i = 0; i < count; i++)
        prepareEcho(&connections[i]);
    warmUp(seconds / 10);

    uint64_t before = messageTotal;
    double start = now(), cpu = cpuSeconds();
    echoUntil(start + seconds, true);
    double took = now() - start, rate = (messageTotal - before) / took;
    cpu = cpuSeconds() - cpu;
    echoUntil(0, false);
    printf("{\"messages_per_second\": %.1f, \"megabytes_per_second\": %.3f, \"in_all\": %llu, "
           "\"seconds\": %.3f, \"generator_cpu\": %.3f}\n",
        rate, rate * size / 1e6, (unsigned long long)messageTotal, took, cpu / took);
}

/* ---- connect, exchange ---- */

static uint64_t connectTotal, slowTotal;
static double slowest;
static bool isExchange;
static char question[EXCHANGED];

/* Every question differs from the one before. */
static void sendQuestion(struct connection *c)
{
    memcpy(question, &connectTotal, sizeof connectTotal);
    memcpy(question + sizeof connectTotal, &c->number, sizeof c->number);
    c->messages = connectTotal;
    if (send(c->fd, question, EXCHANGED, MSG_NOSIGNAL) != EXCHANGED)
        fail("send: %s", strerror(errno));
    c->sent = EXCHANGED;
}

static void startConnect(struct connection *c)
{
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail("socket: %s", strerror(errno));
    c->echoed = c->sent = 0;
    c->waiting = true;
    outstanding++;
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    /* Only reading: one event says that the answer is there, and often that it has ended. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (isExchange)
        event.events |= EPOLLOUT;
    if (epoll_ctl(epollFd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll: %s", strerror(errno));
}

static void checkAnswer(struct connection *c)
{
    if (isExchange) {
        memcpy(question, &c->messages, sizeof c->messages);
        memcpy(question + sizeof c->messages, &c->number, sizeof c->number);
        if (c->echoed != EXCHANGED || memcmp(c->answer, question, EXCHANGED) != 0)
            fail("%zu bytes came back, not the %d that were sent", c->echoed, EXCHANGED);
        return;
    }
    if (c->echoed < sizeof GREETING - 1)
        fail("the answer ended after %zu bytes", c->echoed);
    if (memcmp(c->answer, GREETING, sizeof GREETING - 1) != 0)
        fail("the answer does not start with \"%s\"", GREETING);
}

static void keepStart(struct connection *c, const char *bytes, size_t count)
{
    size_t room = c->echoed < sizeof c->answer ? sizeof c->answer - c->echoed : 0;
    memcpy(c->answer + (sizeof c->answer - room), bytes, count < room ? count : room);
    c->echoed += count;
}

/* Read what there is; true at the end, which a short read is when the FIN was seen before it. */
static bool ended(struct connection *c, bool finSeen)
{
    char bytes[4096];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n == 0)
            return true;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0)
            fail("recv: %s", strerror(errno));
        keepStart(c, bytes, (size_t)n);
        if (finSeen && (size_t)n < sizeof bytes)
            return true;
    }
}

static void connectEvent(struct connection *c, uint32_t what, double time, bool goOn)
{
    if (isExchange && c->sent == 0 && what & EPOLLOUT && !(what & EPOLLERR))
        sendQuestion(c);
    if (!ended(c, (what & (EPOLLRDHUP | EPOLLERR)) == EPOLLRDHUP))
        return;
    checkAnswer(c);
    close(c->fd);
    c->waiting = false;
    outstanding--;
    connectTotal++;
    if (time - c->since > SLOW)
        slowTotal++;
    if (time - c->since > slowest)
        slowest = time - c->since;
    if (goOn && connectTotal < MOST_CONNECTS) {
        c->since = time;
        startConnect(c);
    }
}

static void connectUntil(double until, bool goOn)
{
    double time = now(), lastProgress = time;
    while (time < until && outstanding > 0) {
        int count = nextEvents(until, lastProgress);
        time = now();
        for (int i = 0; i < count; i++)
            connectEvent(events[i].data.ptr, events[i].events, time, goOn);
        if (count > 0)
            lastProgress = time;
    }
}

static void runConnect(size_t slots, double seconds)
{
    allocateConnections(slots);
    startEpoll();
    double start = now(), cpu = cpuSeconds();
    for (size_t i = 0; i < slots; i++) {
        connections[i].since = start;
        startConnect(&connections[i]);
    }
    connectUntil(start + seconds, true);
    double took = now() - start, rate = connectTotal / took;
    cpu = cpuSeconds() - cpu;
    connectUntil(now() + 3, false); /* what is under way may end properly */
    if (connectTotal == 0)
        fail("stalled: no connection was answered");
    printf("{\"connections_per_second\": %.1f, \"in_all\": %llu, \"slow\": %llu, "
           "\"unanswered\": %zu, \"slowest_seconds\": %.4f, \"seconds\": %.3f, \"generator_cpu\": %.3f}\n",
        rate, (unsigned long long)connectTotal, (unsigned long long)slowTotal, outstanding,
        slowest, took, cpu / took);
}

/* ---- bulk ---- */

static uint64_t byteTotal;

static void bulkEvent(struct connection *c)
{
    ssize_t n = recv(c->fd, incoming, PIECE, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("connection %u: %s", c->number, n == 0 ? "the stream has ended" : strerror(errno));
    size_t look = (size_t)n < LOOKED_AT ? (size_t)n : LOOKED_AT;
    if (memcmp(incoming, pattern + c->echoed, look) != 0)
        fail("connection %u: something else came than was sent", c->number);
    c->echoed = (c->echoed + (size_t)n) % PERIOD;
    byteTotal += (size_t)n;
}

static void bulkUntil(double until)
{
    double time = now(), lastProgress = time;
    while (time < until) {
        int count = nextEvents(until, lastProgress);
        for (int i = 0; i < count; i++)
            bulkEvent(events[i].data.ptr);
        time = now();
        if (count > 0)
            lastProgress = time;
    }
}

static void runBulk(size_t count, double seconds)
{
    makePattern();
    incoming = malloc(PIECE);
    if (incoming == NULL)
        fail("no memory for a piece");
    allocateConnections(count);
    startEpoll();
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connections[i].fd = connectNow();
        if (epoll_ctl(epollFd, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
            fail("epoll: %s", strerror(errno));
    }
    bulkUntil(now() + seconds / 10);
    uint64_t before = byteTotal;
    double start = now(), cpu = cpuSeconds();
    bulkUntil(start + seconds);
    double took = now() - start;
    cpu = cpuSeconds() - cpu;
    if (byteTotal == before)
        fail("stalled: nothing came");
    printf("{\"megabytes_per_second\": %.3f, \"in_all\": %.3f, \"seconds\": %.3f, "
           "\"generator_cpu\": %.3f}\n",
        (byteTotal - before) / 1e6 / took, byteTotal / 1e6, took, cpu / took);
}

/* ---- idle ---- */

/* The byte that comes back proves that the server has accepted and set the connection up. */
static void openIdle(struct connection *c)
{
    char byte = (char)('a' + c->number % 26), back = 0;
    c->fd = connectNow();
    if (send(c->fd, &byte, 1, MSG_NOSIGNAL) != 1)
        fail("connection %u: send: %s", c->number, strerror(errno));
    ssize_t n = recv(c->fd, &back, 1, 0);
    if (n < 0 && errno == EAGAIN)
        fail("stalled: connection %u: nothing came for %d seconds", c->number, PATIENCE);
    if (n < 0)
        fail("connection %u: recv: %s", c->number, strerror(errno));
    if (n == 0 || back != byte)
        fail("connection %u: its byte did not come back", c->number);
}

static void runIdle(size_t count)
{
    char rest[256];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    allocateConnections(count);
    for (size_t i = 0; i < count; i++)
        openIdle(&connections[i]);
    puts("ready");
    fflush(stdout);
    double until = now() + IDLE_SECONDS;
    while (now() < until)
        if (poll(&input, 1, 1000) > 0 && read(STDIN_FILENO, rest, sizeof rest) <= 0)
            return;
}

static void raiseDescriptorLimit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool asks(int argc, char **argv, const char *mode, int count)
{
    return argc == count && strcmp(argv[2], mode) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fputs("usage: load PORT echo CONNECTIONS SIZE SECONDS | websocket CONNECTIONS SIZE SECONDS"
              " | connect CONNECTIONS SECONDS | exchange CONNECTIONS SECONDS"
              " | bulk CONNECTIONS SECONDS | idle CONNECTIONS\n", stderr);
        return 2;
    }
    raiseDescriptorLimit();
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((uint16_t)number(argv[1], 1, 65535, "PORT"));
    size_t count = (size_t)number(argv[3], 1, MOST_CONNECTIONS, "CONNECTIONS");
    if (asks(argc, argv, "echo", 6))
        runEcho(count, (size_t)number(argv[4], 1, MOST_SIZE, "SIZE"),
            number(argv[5], 0.01, MOST_SECONDS, "SECONDS"));
    else if (asks(argc, argv, "websocket", 6)) {
        isWebSocket = true;
        runEcho(count, (size_t)number(argv[4], 1, MOST_FRAME, "SIZE"),
            number(argv[5], 0.01, MOST_SECONDS, "SECONDS"));
    } else if ((isExchange = asks(argc, argv, "exchange", 5)) || asks(argc, argv, "connect", 5))
        runConnect(count, number(argv[4], 0.01, MOST_SECONDS, "SECONDS"));
    else if (asks(argc, argv, "bulk", 5))
        runBulk(count, number(argv[4], 0.01, MOST_SECONDS, "SECONDS"));
    else if (asks(argc, argv, "idle", 4))
        runIdle(count);
    else
        fail("unknown mode '%s', or the wrong number of arguments for it", argv[2]);
    return 0;
}
