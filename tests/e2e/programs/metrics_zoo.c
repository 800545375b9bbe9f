/* metrics_zoo.c - one metric of every kind, with fixed values, for scrapers to look at.
 *
 * It has an HTTP server of its own, of a few lines, as a program has that links the telemetry alone:
 * whatever is asked for, the answer is the metrics in the encoding that its Accept asks for. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/metrics.h>

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static sx_metric *add(sx_metrics *m, sx_metric_options o)
{
    sx_metric *out;
    sx_error err = {0};
    o.help = "Of the zoo: \"quotes\", a \\ and\na line's end.";
    if (sx_metric_new(m, &o, &out, &err) != SX_OK) {
        fprintf(stderr, "metrics_zoo: %s\n", err.message);
        _exit(1);
    }
    return out;
}

static const uint8_t TRACE[16] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                  0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};
static const uint8_t SPAN[8] = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};

static void add_numbers(sx_metrics *m)
{
    static const char *const LABELS[] = {"method", "route"};
    static const char *const VALUE[] = {"value"};
    sx_metric *requests = add(m, (sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                     .name = "zoo_requests_total",
                                                     .labels = LABELS,
                                                     .label_count = 2});
    sx_str values[] = {SX_STR("GET"), SX_STR("/a")};
    sx_counter_add_exemplar(sx_metric_counter(requests, values, 2), 3, TRACE, SPAN);
    values[0] = SX_STR("POST");
    sx_counter_add(sx_metric_counter(requests, values, 2), 9007199254740993u);
    sx_metric *bytes =
        add(m, (sx_metric_options){
                   .kind = SX_METRIC_COUNTER, .name = "zoo_sent_bytes_total", .unit = "bytes"});
    sx_counter_add_float(sx_metric_counter(bytes, NULL, 0), 12.5);
    sx_metric *heat = add(m, (sx_metric_options){.kind = SX_METRIC_GAUGE,
                                                 .name = "zoo_heat_celsius",
                                                 .unit = "celsius",
                                                 .labels = VALUE,
                                                 .label_count = 1});
    static const struct {
        sx_str label;
        double value;
    } ODD[] = {
        {SX_STR_INIT("plain"), -2.5},
        {SX_STR_INIT("quote \" backslash \\ line\nend"), 1e300},
        {SX_STR_INIT("\xc3\xa9t\xc3\xa9 \xf0\x9f\x8c\x9e"), 0},
        {SX_STR_INIT("not \xff utf-8"), 5e-324},
        {SX_STR_INIT("# {} = , } \t"), 0.1},
        {SX_STR_INIT("endless"), (double)INFINITY},
    };
    for (size_t i = 0; i < SX_COUNT_OF(ODD); i++)
        sx_gauge_set(sx_metric_gauge(heat, &ODD[i].label, 1), ODD[i].value);
}

static void add_histograms(sx_metrics *m)
{
    static const char *const LABELS[] = {"route"};
    static const double BOUNDS[] = {0.1, 1, 10};
    static const struct {
        const char *name;
        bool native, bounds;
    } KINDS[] = {{"zoo_classic_seconds", false, true},
                 {"zoo_native_seconds", true, false},
                 {"zoo_both_seconds", true, true}};
    for (size_t i = 0; i < SX_COUNT_OF(KINDS); i++) {
        sx_metric *h = add(m, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                  .name = KINDS[i].name,
                                                  .unit = "seconds",
                                                  .labels = LABELS,
                                                  .label_count = 1,
                                                  .native = KINDS[i].native,
                                                  .bounds = KINDS[i].bounds ? BOUNDS : NULL,
                                                  .bound_count = KINDS[i].bounds ? 3 : 0});
        sx_histogram *series = sx_metric_histogram(h, &SX_STR("/a"), 1);
        for (int k = 0; k < 1000; k++)
            sx_histogram_observe(series, 0.001 * k); /* one of them 0 */
        sx_histogram_observe(series, -4);
        sx_histogram_observe_exemplar(series, 5, TRACE, SPAN);
        sx_histogram_observe_exemplar(series, 100, TRACE, SPAN);
    }
}

static void add_summary(sx_metrics *m)
{
    static const char *const LABELS[] = {"route"};
    sx_metric *metric = add(m, (sx_metric_options){.kind = SX_METRIC_SUMMARY,
                                                   .name = "zoo_pause_seconds",
                                                   .unit = "seconds",
                                                   .labels = LABELS,
                                                   .label_count = 1});
    sx_summary *s = sx_metric_summary(metric, &SX_STR("/a"), 1);
    for (int i = 1; i <= 100; i++)
        sx_summary_observe(s, 0.01 * i);
}

static void add_states(sx_metrics *m)
{
    static const char *const STATES[] = {"open", "ajar", "shut"};
    static const char *const LABELS[] = {"version", "colour"};
    static const char *const ROOM[] = {"room"};
    sx_metric *door = add(m, (sx_metric_options){.kind = SX_METRIC_STATESET,
                                                 .name = "zoo_door",
                                                 .labels = ROOM,
                                                 .label_count = 1,
                                                 .states = STATES,
                                                 .state_count = 3});
    sx_stateset_enter(sx_metric_stateset(door, &SX_STR("lions"), 1), 2);
    sx_metric *info = add(m, (sx_metric_options){.kind = SX_METRIC_INFO,
                                                 .name = "zoo_build_info",
                                                 .labels = LABELS,
                                                 .label_count = 2});
    sx_str values[] = {SX_STR("1.2.3"), SX_STR("green")};
    sx_metric_info(info, values, 2);
}

static void add_utf8(sx_metrics *m)
{
    static const char *const LABELS[] = {"\xc3\xa9tage.niveau", "plain"};
    sx_str values[] = {SX_STR("un \"deux\""), SX_STR("x")};
    sx_metric *gauge = add(m, (sx_metric_options){.kind = SX_METRIC_GAUGE,
                                                  .name = "zoo.temp\xc3\xa9rature",
                                                  .labels = LABELS,
                                                  .label_count = 2});
    sx_gauge_set(sx_metric_gauge(gauge, values, 2), 21);
    sx_metric *counter =
        add(m, (sx_metric_options){.kind = SX_METRIC_COUNTER, .name = "zoo.fed_total"});
    sx_counter_add(sx_metric_counter(counter, NULL, 0), 4);
    sx_metric *histogram = add(m, (sx_metric_options){.kind = SX_METRIC_HISTOGRAM,
                                                      .name = "zoo.wait.seconds",
                                                      .labels = LABELS,
                                                      .label_count = 2});
    sx_histogram_observe(sx_metric_histogram(histogram, values, 2), 0.3);
}

/* ---- the server ---- */

/* The value of Accept in a request's head. */
static sx_str accept_of(sx_str head)
{
    sx_str line, name, value;
    while (head.len > 0) {
        sx_str_cut(head, '\n', &line, &head);
        if (!sx_str_cut(line, ':', &name, &value) || !sx_str_ieq(name, SX_STR("accept")))
            continue;
        sx_str_cut(value, '\r', &value, &line);
        return sx_str_trim(value);
    }
    return SX_STR("");
}

static void send_all(int fd, sx_str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes = sx_str_from(bytes, (size_t)sent);
    }
}

static void answer(int fd, sx_metrics *m)
{
    char request[8192];
    size_t len = 0;
    while (len < sizeof(request)) {
        ssize_t got = recv(fd, request + len, sizeof(request) - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
        sx_str seen = sx_str_of(request, len);
        if (sx_str_find(seen, SX_STR("\r\n\r\n")) < len)
            break;
    }
    sx_metrics_encoding encoding = sx_metrics_negotiate(accept_of(sx_str_of(request, len)));
    sx_str type = sx_metrics_content_type(encoding);
    sx_buf body, head;
    sx_buf_init(&body, 0);
    sx_buf_init(&head, 0);
    if (sx_metrics_encode(m, encoding, &body, NULL) == SX_OK) {
        sx_buf_printf(&head,
                      "HTTP/1.1 200 OK\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n"
                      "Connection: close\r\n\r\n",
                      SX_ARG(type), body.len);
        send_all(fd, sx_buf_view(&head));
        send_all(fd, sx_buf_view(&body));
    }
    sx_buf_done(&head);
    sx_buf_done(&body);
}

int main(void)
{
    sx_metrics *m;
    if (sx_metrics_new(&(sx_metrics_options){.created_series = true}, &m, NULL) != SX_OK ||
        sx_metrics_add_process(m, NULL) != SX_OK ||
        sx_metrics_add_build_info(m, SX_STR("zoo"), SX_STR("1.0.0"), NULL) != SX_OK)
        return 1;
    sx_telemetry_thread_join();
    add_numbers(m);
    add_histograms(m);
    add_summary(m);
    add_states(m);
    add_utf8(m);
    struct sigaction action = {.sa_handler = stop}; /* without SA_RESTART: accept returns */
    sigaction(SIGTERM, &action, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    fprintf(stderr, "ready metrics_zoo http=127.0.0.1:%d\n", ntohs(address.sin_port));
    while (!stopping) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        answer(fd, m);
        close(fd);
    }
    close(listener);
    sx_metrics_free(m);
    return 0;
}
