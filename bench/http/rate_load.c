/* rate_load.c - sends HTTP/1.1 requests at a fixed rate and measures from the intended send time.
 *
 * A closed loop (wrk, ab) waits for a slow server and so hides its pauses; here request n is due at
 * start + n / rate, whatever the server does, and its latency counts from then. One thread, epoll,
 * keep-alive connections; a request that finds no free connection waits in line, and its waiting
 * counts.
 *
 *     rate_load HOST PORT RATE SECONDS CONNECTIONS TARGETS_FILE
 *
 * TARGETS_FILE has one request target a line ("/search/?q=paris"), taken in turn. Prints
 * name value unit, one a line. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/buf.h>
#include <sextant/clock.h>
#include <sextant/mem.h>
#include <sextant/str.h>

enum { CONNECTIONS_MAX = 4096, READ_BYTES = 65536, HEAD_BYTES_MAX = 8192 };

typedef struct connection {
    int fd;
    bool busy;
    int64_t due_ns;    /* when its request should have been sent */
    size_t head_len;   /* of the response's head gathered so far */
    int64_t body_left; /* -1 while the head is not whole */
    int status;
    char head[HEAD_BYTES_MAX];
} connection;

typedef struct load {
    const sx_clock *clock;
    int epoll_fd;
    struct sockaddr_in address;
    char host[64];
    connection *connections;
    int *idle; /* stack of the places of free connections */
    size_t connection_count, idle_count;
    sx_str *targets;
    size_t target_count;
    int64_t start_ns, gap_ns;
    uint64_t planned, sent, answered, failed, not_200;
    uint32_t *latency_us; /* of every answer */
} load;

static void die(const char *what)
{
    fprintf(stderr, "rate_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_connection(load *l, size_t i)
{
    connection *c = &l->connections[i];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->address, sizeof(l->address)) != 0)
        die("cannot connect");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("cannot watch a connection");
    c->busy = false;
    l->idle[l->idle_count++] = (int)i;
}

static void send_due(load *l, int64_t now_ns)
{
    while (l->sent < l->planned && l->idle_count) {
        int64_t due = l->start_ns + (int64_t)l->sent * l->gap_ns;
        if (due > now_ns)
            return;
        connection *c = &l->connections[l->idle[--l->idle_count]];
        char text[4096];
        int len = snprintf(text, sizeof(text), "GET %.*s HTTP/1.1\r\nHost: %s\r\n\r\n",
                           SX_ARG(l->targets[l->sent % l->target_count]), l->host);
        c->busy = true;
        c->due_ns = due;
        c->head_len = 0;
        c->body_left = -1;
        l->sent++;
        if (write(c->fd, text, (size_t)len) != len)
            die("a request could not be written");
    }
}

/* Reads status and Content-Length of a whole head. */
static void read_head(connection *c, sx_str head)
{
    c->status = head.len > 12 ? (head.data[9] - '0') * 100 + (head.data[10] - '0') * 10 +
                                    (head.data[11] - '0')
                              : 0;
    c->body_left = 0;
    for (sx_str rest = head, line; rest.len;) {
        sx_str name, value;
        uint64_t bytes;
        sx_str_cut(rest, '\n', &line, &rest);
        if (sx_str_cut(line, ':', &name, &value) && sx_str_ieq(name, SX_STR("content-length")) &&
            sx_str_to_u64(sx_str_trim_all(value), &bytes))
            c->body_left = (int64_t)bytes;
    }
}

static void answered(load *l, size_t i)
{
    connection *c = &l->connections[i];
    int64_t took = sx_clock_mono_ns(l->clock) - c->due_ns;
    l->latency_us[l->answered++] = (uint32_t)(took / 1000);
    l->not_200 += c->status != 200;
    c->busy = false;
    l->idle[l->idle_count++] = (int)i;
}

static void take_bytes(load *l, size_t i, sx_str bytes)
{
    connection *c = &l->connections[i];
    if (c->body_left < 0) {
        size_t room = HEAD_BYTES_MAX - c->head_len;
        size_t take = bytes.len < room ? bytes.len : room;
        memcpy(c->head + c->head_len, bytes.data, take);
        sx_str head = sx_str_of(c->head, c->head_len + take);
        size_t end = sx_str_find(head, SX_STR("\r\n\r\n"));
        if (end == head.len) {
            c->head_len += take;
            if (c->head_len == HEAD_BYTES_MAX)
                die("a response's head is too long");
            return;
        }
        read_head(c, sx_str_first(head, end));
        bytes = sx_str_from(bytes, end + 4 - c->head_len);
    }
    c->body_left -= (int64_t)bytes.len;
    if (c->body_left <= 0)
        answered(l, i);
}

static void serve(load *l, size_t i)
{
    static char bytes[READ_BYTES];
    connection *c = &l->connections[i];
    ssize_t n = read(c->fd, bytes, sizeof(bytes));
    if (n > 0) {
        take_bytes(l, i, sx_str_of(bytes, (size_t)n));
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    l->failed += c->busy;
    close(c->fd);
    bool was_idle = !c->busy;
    for (size_t k = 0; was_idle && k < l->idle_count; k++) {
        if (l->idle[k] == (int)i)
            l->idle[k] = l->idle[--l->idle_count];
    }
    open_connection(l, i);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(load *l, double seconds)
{
    qsort(l->latency_us, l->answered, sizeof(*l->latency_us), by_value);
    printf("sent_per_second %.0f 1/s\n", (double)l->sent / seconds);
    printf("answered %llu requests\nfailed %llu requests\nnot_200 %llu requests\n",
           (unsigned long long)l->answered, (unsigned long long)l->failed,
           (unsigned long long)l->not_200);
    static const struct {
        const char *name;
        double share;
    } ROWS[] = {{"p50", .5}, {"p90", .9}, {"p95", .95}, {"p99", .99}, {"p999", .999}, {"max", 1}};
    for (size_t i = 0; i < SX_COUNT_OF(ROWS) && l->answered; i++) {
        size_t at = (size_t)((double)(l->answered - 1) * ROWS[i].share);
        printf("%s %u us\n", ROWS[i].name, l->latency_us[at]);
    }
}

static void read_targets(load *l, const char *path)
{
    static sx_buf text;
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    for (size_t n = 1; n;) {
        char *at = sx_buf_reserve(&text, 65536);
        n = at ? fread(at, 1, 65536, f) : 0;
        text.len += n;
    }
    fclose(f);
    size_t cap = 0;
    for (sx_str rest = sx_buf_view(&text), line; rest.len;) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (line.len == 0 || line.len > 3900)
            continue;
        if (!sx_grow(&l->targets, &cap, l->target_count + 1, sizeof(*l->targets)))
            die("no memory for the targets");
        l->targets[l->target_count++] = line;
    }
    if (!l->target_count) {
        fprintf(stderr, "rate_load: %s has no targets; write one a line, as /search/?q=paris\n",
                path);
        exit(1);
    }
}

/* How long nothing will be due: a generator that spun instead would take a core from the server, and
 * on two cores be what is measured. Never so long that giving up would be late. */
static int64_t pause_ns(const load *l)
{
    int64_t due_ns = l->start_ns + (int64_t)l->sent * l->gap_ns,
            now_ns = sx_clock_mono_ns(l->clock);
    if (l->sent == l->planned || l->idle_count == 0 || due_ns - now_ns > 100000000)
        return 100000000;
    return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void run(load *l, double seconds)
{
    l->start_ns = sx_clock_mono_ns(l->clock);
    int64_t give_up_ns = l->start_ns + (int64_t)((seconds + 10) * 1e9);
    while (l->answered + l->failed < l->planned) {
        int64_t now = sx_clock_mono_ns(l->clock);
        if (now > give_up_ns)
            break;
        send_due(l, now);
        struct epoll_event events[64];
        int n =
            epoll_pwait2(l->epoll_fd, events, 64, &(struct timespec){.tv_nsec = pause_ns(l)}, NULL);
        for (int i = 0; i < n; i++)
            serve(l, events[i].data.u64);
    }
}

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_TIMERSLACK, 1ul); /* without it a pause is 50 us longer than asked */
    if (argc != 7) {
        fprintf(stderr, "usage: rate_load HOST PORT RATE SECONDS CONNECTIONS TARGETS_FILE\n");
        return 2;
    }
    load l = {.clock = sx_clock_system(), .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    double rate = strtod(argv[3], NULL), seconds = strtod(argv[4], NULL);
    l.connection_count = (size_t)strtoul(argv[5], NULL, 10);
    if (rate < 1 || seconds <= 0 || !l.connection_count || l.connection_count > CONNECTIONS_MAX) {
        fprintf(stderr, "rate_load: RATE and SECONDS must be above 0, CONNECTIONS 1 to 4096\n");
        return 2;
    }
    l.address = (struct sockaddr_in){.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
    if (inet_pton(AF_INET, argv[1], &l.address.sin_addr) != 1) {
        fprintf(stderr, "rate_load: HOST must be a numeric IPv4 address, not %s\n", argv[1]);
        return 2;
    }
    snprintf(l.host, sizeof(l.host), "%s:%s", argv[1], argv[2]);
    read_targets(&l, argv[6]);
    l.planned = (uint64_t)(rate * seconds);
    l.gap_ns = (int64_t)(1e9 / rate);
    l.connections = sx_calloc(l.connection_count, sizeof(*l.connections));
    l.idle = sx_calloc(l.connection_count, sizeof(*l.idle));
    l.latency_us = sx_calloc(l.planned + 1, sizeof(*l.latency_us));
    if (!l.connections || !l.idle || !l.latency_us)
        die("no memory");
    for (size_t i = 0; i < l.connection_count; i++)
        open_connection(&l, i);
    run(&l, seconds);
    report(&l, seconds);
    return l.failed ? 1 : 0;
}
