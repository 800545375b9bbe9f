/* feed.c - load for a metrics server: what a fleet of node_exporters would send or expose.
 *
 *   feed write HOST:PORT/PATH SERIES STEPS START_MS STEP_MS [CONNECTIONS]
 *       remote write 1.0: STEPS samples of each of SERIES series, 2,000 samples a request. Prints
 *       samples, seconds and the refusals seen.
 *   feed serve PORT TARGETS SERIES
 *       serves /metrics/0 ... /metrics/TARGETS-1 with SERIES series each in the text format, values
 *       moving at each request, until it is ended.
 *
 * Of the series seven in ten are counters that grow by a random step, two gauges that wander, one never
 * changes. Requests are made before they are timed, in turns of one step, so that the generator's own
 * work is small beside the server's. Plain sockets: the peer measures itself by its own CPU time. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/protobuf.h>

enum { PER_INSTANCE = 100, PER_REQUEST = 2000, CONNECTIONS_MAX = 16, HEAD_BYTES = 512 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- Series and values. */

typedef struct source {
    double *values;
    uint64_t random;
    size_t count;
} source;

static uint64_t draw(source *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static void source_init(source *s, size_t count, uint64_t seed)
{
    *s = (source){.values = calloc(count, sizeof(double)),
                  .random = seed * 2654435761u + 88172645463325252u,
                  .count = count};
    if (!s->values)
        die("values");
    for (size_t i = 0; i < count; i++)
        s->values[i] = (double)(draw(s) % 100000);
}

static void move(source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        uint64_t r = draw(s);
        switch (i % 10) {
        case 0:
            break;
        case 1:
        case 2:
            s->values[i] += (double)(int64_t)(r % 2001 - 1000) / 16;
            break;
        default:
            s->values[i] += (double)(r % 1000);
        }
    }
}

typedef struct names {
    char metric[64], instance[64], device[16], mode[16];
} names;

static const char *const MODES[] = {"idle",    "iowait", "irq",    "nice",
                                    "softirq", "steal",  "system", "user"};

static void name(size_t i, names *n)
{
    size_t k = i % PER_INSTANCE;
    snprintf(n->metric, sizeof n->metric, "node_feed_%zu_%s", k / 10,
             i % 10 < 3 ? "value" : "total");
    snprintf(n->instance, sizeof n->instance, "host-%zu:9100", i / PER_INSTANCE);
    snprintf(n->device, sizeof n->device, "dev%zu", k % 10);
    snprintf(n->mode, sizeof n->mode, "%s", MODES[k % 8]);
}

/* --- Remote write. */

static void put_label(sx_buf *b, const char *label, const char *value)
{
    size_t mark = sx_pb_begin(b, 1);
    sx_pb_put_str(b, 1, sx_str_z(label));
    sx_pb_put_str(b, 2, sx_str_z(value));
    sx_pb_end(b, mark);
}

static void put_series(sx_buf *b, size_t i, double value, int64_t t)
{
    names n;
    name(i, &n);
    size_t series = sx_pb_begin(b, 1);
    put_label(b, "__name__", n.metric);
    put_label(b, "cluster", "eu-west-1");
    put_label(b, "device", n.device);
    put_label(b, "instance", n.instance);
    put_label(b, "job", "node");
    put_label(b, "mode", n.mode);
    size_t sample = sx_pb_begin(b, 2);
    sx_pb_put_double(b, 1, value);
    sx_pb_put_i64(b, 2, t);
    sx_pb_end(b, sample);
    sx_pb_end(b, series);
}

typedef struct writer {
    struct sockaddr_in address;
    const char *host, *path;
    sx_buf *bodies; /* of this step */
    size_t count;
    _Atomic size_t next;
    _Atomic long refused;
} writer;

static int dial(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            die("send");
        data += n;
        len -= (size_t)n;
    }
}

/* Reads one answer of few bytes, and gives its status. */
static int answer(int fd)
{
    char text[65536];
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            die("recv");
        len += (size_t)n;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (!end)
            continue;
        char *declared = strcasestr(text, "content-length:");
        size_t body = declared && declared < end ? (size_t)strtoul(declared + 15, NULL, 10) : 0;
        if (len >= (size_t)(end - text) + 4 + body)
            return (int)strtol(text + 9, NULL, 10);
    }
}

static void *write_loop(void *arg)
{
    writer *w = arg;
    int fd = dial(&w->address);
    for (;;) {
        size_t i = w->next++;
        if (i >= w->count)
            break;
        char head[HEAD_BYTES];
        int len =
            snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-protobuf\r\n"
                     "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
                     "User-Agent: feed\r\nContent-Length: %zu\r\n\r\n",
                     w->path, w->host, w->bodies[i].len);
        send_all(fd, head, (size_t)len);
        send_all(fd, w->bodies[i].data, w->bodies[i].len);
        int status = answer(fd);
        if (status / 100 != 2)
            w->refused++;
    }
    close(fd);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_bodies(writer *w, const source *s, int64_t t)
{
    sx_buf raw;
    sx_error err;
    sx_buf_init(&raw, 0);
    for (size_t r = 0; r < w->count; r++) {
        sx_buf_clear(&raw);
        sx_buf_clear(&w->bodies[r]);
        for (size_t i = r * PER_REQUEST; i < s->count && i < (r + 1) * PER_REQUEST; i++)
            put_series(&raw, i, s->values[i], t);
        if (sx_compress(SX_CODEC_SNAPPY, sx_buf_view(&raw), 0, &w->bodies[r], &err) != SX_OK)
            die(err.message);
    }
    sx_buf_done(&raw);
}

/* HOST:PORT/PATH taken apart. */
static void parse_address(char *text, writer *w)
{
    char *slash = strchr(text, '/'), *colon = strchr(text, ':');
    if (!slash || !colon)
        die("HOST:PORT/PATH");
    w->path = strdup(slash);
    *slash = '\0';
    w->host = strdup(text);
    *colon = '\0';
    w->address = (struct sockaddr_in){.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    inet_pton(AF_INET, text, &w->address.sin_addr);
}

static int feed_write(char **argv, int argc)
{
    writer w = {0};
    source s;
    parse_address(argv[0], &w);
    source_init(&s, strtoul(argv[1], NULL, 10), 1);
    long steps = strtol(argv[2], NULL, 10), connections = argc > 5 ? strtol(argv[5], NULL, 10) : 4;
    int64_t t = strtoll(argv[3], NULL, 10), step_ms = strtoll(argv[4], NULL, 10);
    w.count = (s.count + PER_REQUEST - 1) / PER_REQUEST;
    w.bodies = calloc(w.count, sizeof *w.bodies);
    double sending = 0;
    for (long i = 0; i < steps; i++) {
        pthread_t threads[CONNECTIONS_MAX];
        make_bodies(&w, &s, t + i * step_ms);
        w.next = 0;
        double before = now();
        for (long c = 0; c < connections && c < CONNECTIONS_MAX; c++)
            pthread_create(&threads[c], NULL, write_loop, &w);
        for (long c = 0; c < connections && c < CONNECTIONS_MAX; c++)
            pthread_join(threads[c], NULL);
        sending += now() - before;
        move(&s);
    }
    printf("samples %zu\nseconds %.3f\nrefused %ld\n", s.count * (size_t)steps, sending,
           (long)w.refused);
    return w.refused != 0;
}

/* --- Targets. */

typedef struct target {
    source source;
    sx_buf body;
    pthread_mutex_t lock;
} target;

typedef struct server {
    target *targets;
    size_t count;
    int fd;
} server;

static void make_page(target *t, size_t index)
{
    sx_buf_clear(&t->body);
    for (size_t i = 0; i < t->source.count; i++) {
        names n;
        char value[SX_DOUBLE_BYTES];
        name(index * t->source.count + i, &n);
        sx_double_format(t->source.values[i], SX_DOUBLE_GO, value);
        if (i % 10 == 0 || i % 10 == 3)
            sx_buf_printf(&t->body, "# TYPE %s %s\n", n.metric, i % 10 < 3 ? "gauge" : "counter");
        sx_buf_printf(&t->body,
                      "%s{cluster=\"eu-west-1\",device=\"%s\",mode=\"%s\",unit=\"%zu\"} %s\n",
                      n.metric, n.device, n.mode, i / PER_INSTANCE, value);
    }
}

typedef struct connection {
    server *server;
    int fd;
} connection;

static void *serve_loop(void *arg)
{
    connection c = *(connection *)arg;
    char text[8192];
    size_t len = 0;
    free(arg);
    for (;;) {
        ssize_t n = recv(c.fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
        if (!strstr(text, "\r\n\r\n"))
            continue;
        const char *path = strstr(text, "/metrics/");
        size_t index = path ? strtoul(path + 9, NULL, 10) : 0;
        target *t = &c.server->targets[index < c.server->count ? index : 0];
        char head[HEAD_BYTES];
        len = 0;
        pthread_mutex_lock(&t->lock);
        int head_len = snprintf(head, sizeof head,
                                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                                "Content-Length: %zu\r\n\r\n",
                                t->body.len);
        send_all(c.fd, head, (size_t)head_len);
        send_all(c.fd, t->body.data, t->body.len);
        move(&t->source);
        make_page(t, (size_t)(t - c.server->targets));
        pthread_mutex_unlock(&t->lock);
    }
    close(c.fd);
    return NULL;
}

static void __attribute__((noreturn)) feed_serve(char **argv)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(argv[0], NULL, 10)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    server s = {.count = strtoul(argv[1], NULL, 10)};
    size_t series = strtoul(argv[2], NULL, 10);
    s.targets = calloc(s.count, sizeof *s.targets);
    for (size_t i = 0; i < s.count; i++) {
        source_init(&s.targets[i].source, series, i + 1);
        pthread_mutex_init(&s.targets[i].lock, NULL);
        sx_buf_init(&s.targets[i].body, 0);
        make_page(&s.targets[i], i);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0)
        die("listen");
    socklen_t len = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &len);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        connection *c = malloc(sizeof *c);
        pthread_t thread;
        *c = (connection){&s, accept(fd, NULL, NULL)};
        if (c->fd < 0)
            die("accept");
        pthread_create(&thread, NULL, serve_loop, c);
        pthread_detach(thread);
    }
}

int main(int argc, char **argv)
{
    if (argc >= 7 && strcmp(argv[1], "write") == 0)
        return feed_write(argv + 2, argc - 2);
    if (argc == 5 && strcmp(argv[1], "serve") == 0)
        feed_serve(argv + 2);
    fprintf(stderr, "feed write HOST:PORT/PATH SERIES STEPS START_MS STEP_MS [CONNECTIONS]\n"
                    "feed serve PORT TARGETS SERIES\n");
    return 2;
}
