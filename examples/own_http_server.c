/* own_http_server.c - a program that has its own HTTP server and takes telemetry and resilience alone.
 *
 *     own_http_server 8080 BACKEND_HOST BACKEND_PORT
 *     curl localhost:8080/           asks the backend, in the caller's trace
 *     curl localhost:8080/metrics
 *
 * The server is as small as one can be: one thread, one request a connection, blocking sockets. What
 * the kit adds needs no event loop: the caller's traceparent is read and ours is sent on, requests are
 * counted and timed, ten a second from one client are let through, and a breaker spares a backend that
 * does not answer. Stops at SIGTERM. */
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/breaker.h>
#include <sextant/context.h>
#include <sextant/limiter.h>
#include <sextant/telemetry.h>

enum { HEAD_BYTES_MAX = 8192, WAIT_S = 2 };

typedef struct server {
    sx_telemetry *telemetry;
    sx_logger *logger;
    sx_tracer *tracer;
    sx_breakers *breakers;
    sx_breaker *backend;
    sx_limiter *limiter;
    sx_metric *requests; /* http_requests_total{path,code} */
    sx_histogram *seconds;
    const char *backend_host, *backend_port;
} server;

static volatile sig_atomic_t stopping; /* set by a signal, the one thing that it can tell main */

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

/* ---- the little server: nothing of the kit's ---- */

/* Silence of a peer is an error after WAIT_S, so that one of them cannot hold the thread. */
static void set_patience(int fd)
{
    struct timeval wait = {.tv_sec = WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static int dial(const char *host, const char *port)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int fd = -1;
    if (getaddrinfo(host, port, &want, &found) != 0)
        return -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd < 0)
            continue;
        set_patience(fd);
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, sx_str bytes)
{
    while (bytes.len) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes = sx_str_from(bytes, (size_t)sent);
    }
    return true;
}

/* Reads until the blank line behind a head, or as much as there is room for. */
static sx_str read_head(int fd, char room[HEAD_BYTES_MAX])
{
    size_t len = 0;
    while (len < HEAD_BYTES_MAX && sx_str_find(sx_str_of(room, len), SX_STR("\r\n\r\n")) == len) {
        ssize_t got = recv(fd, room + len, HEAD_BYTES_MAX - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return sx_str_of(room, len);
}

static void reply(int fd, int code, const char *headers, sx_str type, sx_str body)
{
    char head[1024];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 %d -\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n%s\r\n",
                       code, SX_ARG(type), body.len, headers);
    if (send_all(fd, sx_str_of(head, (size_t)len)))
        send_all(fd, body);
}

/* ---- the kit's part ---- */

/* What sx_trace_extract asks of a head: the value of a field, by its lower-case name. */
static sx_str header_get(const void *carrier, sx_str name)
{
    sx_str rest = *(const sx_str *)carrier, line, key, value;
    while (rest.len) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (sx_str_cut(line, ':', &key, &value) && sx_str_ieq(key, name))
            return sx_str_trim_all(value);
    }
    return sx_str_of(NULL, 0);
}

/* The request to the backend, with what makes its span a child of ours. */
static void write_request(const server *s, const sx_span *span, sx_buf *out)
{
    sx_inject_field fields[SX_INJECT_FIELDS];
    char room[SX_INJECT_BYTES];
    size_t count = sx_trace_inject(sx_tracer_propagators(s->tracer), &span->context,
                                   sx_context_current()->baggage, fields, room);
    sx_buf_printf(out, "GET / HTTP/1.0\r\nHost: %s\r\n", s->backend_host);
    for (size_t i = 0; i < count; i++)
        sx_buf_printf(out, "%.*s: %.*s\r\n", SX_ARG(fields[i].name), SX_ARG(fields[i].value));
    sx_buf_str(out, SX_STR("\r\n"));
}

/* One call of the backend; the code of its answer, 0 if there was none. */
static int call_backend(const server *s)
{
    char room[HEAD_BYTES_MAX];
    int code = 0;
    sx_span span;
    sx_span_start(&span, s->tracer,
                  &(sx_span_options){
                      .name = SX_STR("GET"), .kind = SX_SPAN_CLIENT, .parent = sx_context_span()});
    SX_SPAN_SET(&span, sx_field_z("server.address", s->backend_host));
    int fd = dial(s->backend_host, s->backend_port);
    if (fd >= 0) {
        sx_buf request;
        sx_buf_init(&request, 0);
        write_request(s, &span, &request);
        if (!request.failed && send_all(fd, sx_buf_view(&request))) {
            sx_str line = sx_str_from(read_head(fd, room), sizeof("HTTP/1.1 ") - 1);
            uint64_t number;
            if (sx_str_to_u64(sx_str_first(line, 3), &number))
                code = (int)number;
        }
        sx_buf_done(&request);
        close(fd);
    }
    if (code)
        SX_SPAN_SET(&span, sx_field_i64("http.response.status_code", code));
    else
        sx_span_error(&span, SX_STR("no_answer"), SX_STR("the backend does not answer"));
    sx_span_end(&span);
    return code;
}

static int serve_backend(const server *s, int fd)
{
    sx_breaker_pass pass;
    if (!sx_breaker_allow(s->backend, &pass)) { /* it failed too often: not even asked */
        reply(fd, 503, "", SX_STR("text/plain"), SX_STR("the backend is not well\n"));
        return 503;
    }
    int code = call_backend(s);
    sx_breaker_done(s->backend, &pass, code != 0 && code < 500);
    if (code == 0) {
        SX_LOG_WARN(s->logger, NULL, "no answer", sx_field_z("backend", s->backend_host));
        reply(fd, 502, "", SX_STR("text/plain"), SX_STR("the backend does not answer\n"));
        return 502;
    }
    reply(fd, 200, "", SX_STR("text/plain"), SX_STR("the backend answers\n"));
    return 200;
}

static int serve_metrics(const server *s, int fd, sx_str accept)
{
    sx_metrics_encoding encoding = sx_metrics_negotiate(accept);
    sx_buf text;
    sx_buf_init(&text, 0);
    int code = sx_metrics_encode(sx_telemetry_metrics(s->telemetry), encoding, &text, NULL) == SX_OK
                   ? 200
                   : 500;
    reply(fd, code, "", sx_metrics_content_type(encoding), sx_buf_view(&text));
    sx_buf_done(&text);
    return code;
}

static int refuse(const server *s, int fd, const sx_limit_answer *answer)
{
    sx_limit_field fields[SX_LIMIT_FIELDS];
    char room[SX_LIMIT_BYTES], headers[512];
    int len = 0;
    size_t count = sx_limit_headers(s->limiter, answer, fields, room);
    for (size_t i = 0; i < count; i++)
        len += snprintf(headers + len, sizeof(headers) - (size_t)len, "%.*s: %.*s\r\n",
                        SX_ARG(fields[i].name), SX_ARG(fields[i].value));
    reply(fd, 429, headers, SX_STR("text/plain"), SX_STR("too many requests\n"));
    return 429;
}

/* One request, in the trace of whoever asks. */
static void serve(const server *s, int fd, sx_str client)
{
    char room[HEAD_BYTES_MAX];
    sx_str head = read_head(fd, room), method, path, rest;
    if (!sx_str_cut(head, ' ', &method, &rest) || !sx_str_cut(rest, ' ', &path, &rest))
        return; /* not HTTP */
    sx_span_context caller;
    sx_span span;
    sx_limit_answer limit;
    unsigned propagators = sx_tracer_propagators(s->tracer);
    int64_t begin_ns = sx_clock_mono_ns(sx_clock_system());
    sx_trace_extract(propagators, header_get, &head, &caller);
    sx_span_start(
        &span, s->tracer,
        &(sx_span_options){.name = SX_STR("GET"), .kind = SX_SPAN_SERVER, .parent = &caller});
    sx_context here = {.span = span.context,
                       .baggage = sx_baggage_extract(propagators, header_get, &head)};
    const sx_context *outer = sx_context_enter(&here);

    int code = 404;
    bool is_metrics = sx_str_eq(path, SX_STR("/metrics"));
    if (is_metrics)
        code = serve_metrics(s, fd, header_get(&head, SX_STR("accept")));
    else if (!sx_limiter_take(s->limiter, client, 1, &limit))
        code = refuse(s, fd, &limit);
    else if (sx_str_eq(path, SX_STR("/")))
        code = serve_backend(s, fd);
    else
        reply(fd, code, "", SX_STR("text/plain"), SX_STR("not here\n"));

    sx_context_leave(outer);
    SX_SPAN_SET(&span, sx_field_str("url.path", path),
                sx_field_i64("http.response.status_code", code));
    if (code >= 500)
        sx_span_outcome_set(&span, SX_SPAN_ERROR, SX_STR(""));
    sx_span_end(&span);
    /* Labels must not be what strangers choose: a path that is not ours is "other". */
    char digits[12];
    sx_str labels[] = {code == 404 ? SX_STR("other") : path,
                       sx_str_of(digits, (size_t)snprintf(digits, sizeof(digits), "%d", code))};
    sx_counter_add(sx_metric_counter(s->requests, labels, 2), 1);
    sx_histogram_observe(s->seconds,
                         (double)(sx_clock_mono_ns(sx_clock_system()) - begin_ns) * 1e-9);
}

static sx_status make_parts(server *s, sx_error *err)
{
    static const char *const LABELS[] = {"path", "code"};
    const sx_telemetry_options options = {.service = "own-http-server", .version = "1.0.0"};
    sx_status status = sx_telemetry_new(&options, &s->telemetry, err);
    if (status != SX_OK)
        return status;
    sx_metrics *metrics = sx_telemetry_metrics(s->telemetry);
    s->tracer = sx_telemetry_tracer(s->telemetry);
    s->logger = sx_log_logger(sx_telemetry_log(s->telemetry), "http");
    sx_breakers_options breakers = {.metrics = metrics, .log = sx_telemetry_log(s->telemetry)};
    status = sx_breakers_new(&breakers, &s->breakers, err);
    if (status != SX_OK)
        return status;
    s->backend = sx_breakers_get(s->breakers, SX_STR("backend"), NULL);
    sx_limiter_options limits = {.name = "clients", .metrics = metrics};
    status = sx_rates_parse(SX_STR("10/second burst 20"), limits.rates, &limits.rate_count, err);
    if (status == SX_OK)
        status = sx_limiter_new(&limits, &s->limiter, err);
    sx_metric *seconds = NULL;
    if (status == SX_OK)
        status = sx_metric_new(metrics,
                               &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                    .name = "http_requests_total",
                                                    .help = "Requests answered.",
                                                    .labels = LABELS,
                                                    .label_count = 2},
                               &s->requests, err);
    if (status == SX_OK)
        status = sx_metric_new(metrics,
                               &(sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                    .name = "http_request_duration_seconds",
                                                    .help = "Time that requests took."},
                               &seconds, err);
    if (status == SX_OK)
        s->seconds = sx_metric_histogram(seconds, NULL, 0);
    return status;
}

static void free_parts(server *s)
{
    sx_telemetry_free(s->telemetry, 2000); /* first: it shows the others' numbers until its end */
    sx_limiter_free(s->limiter);
    sx_breakers_free(s->breakers);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_open = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                   bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 64) == 0 &&
                   getsockname(fd, (struct sockaddr *)&at, &len) == 0;
    if (!is_open) {
        perror("own_http_server");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    fprintf(stderr, "ready own_http_server http=127.0.0.1:%d\n", ntohs(at.sin_port));
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: own_http_server PORT BACKEND_HOST BACKEND_PORT\n");
        return 2;
    }
    /* Before there are threads, which inherit it: the signal is for this one. */
    sigset_t stop_signal, usual;
    sigemptyset(&stop_signal);
    sigaddset(&stop_signal, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop_signal, &usual);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);

    server s = {.backend_host = argv[2], .backend_port = argv[3]};
    sx_error err;
    if (make_parts(&s, &err) != SX_OK) {
        fprintf(stderr, "own_http_server: %s\n", err.message);
        free_parts(&s);
        return 1;
    }
    sx_telemetry_thread_join();
    int listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
    while (listener >= 0 && !stopping) {
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(listener, &ready);
        if (pselect(listener + 1, &ready, NULL, NULL, NULL, &usual) < 0) /* the signal comes here */
            continue;
        int fd = accept(listener, (struct sockaddr *)&from, &len);
        if (fd < 0)
            continue;
        char client[INET_ADDRSTRLEN];
        set_patience(fd);
        serve(&s, fd, sx_str_z(inet_ntop(AF_INET, &from.sin_addr, client, sizeof(client))));
        close(fd);
    }
    if (listener >= 0)
        close(listener);
    sx_telemetry_thread_leave();
    free_parts(&s);
    return listener >= 0 ? 0 : 1;
}
