/* own_loop.c - a program with a main loop of its own, in which the kit's clients have their turns.
 *
 *     printf 'http://127.0.0.1:8080/\nhttp://127.0.0.1:8080/nothing\n' | own_loop
 *
 * Fetches each URL that it reads from its input and says how it went. The main loop is the program's:
 * here poll(2), which also waits for the kit's loop (sx_loop_fd, sx_loop_wait_ms) and gives it a turn
 * (sx_loop_turn). GLib, Qt, libevent and epoll do it the same way. The calls are traced, measured and
 * broken as everywhere; a program that wants telemetry alone needs no loop at all (worker.c). */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/client_http.h>
#include <sextant/mem.h>
#include <sextant/telemetry.h>

typedef struct program {
    sx_loop *loop;
    sx_http_client *client;
    sx_buf input; /* read, and not yet a whole line */
    bool input_ended;
    size_t under_way;
} program;

typedef struct fetch {
    program *of;
    int http_status;
    uint64_t bytes;
    char url[200];
} fetch;

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    (void)call;
    ((fetch *)ctx)->http_status = response->status;
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call;
    ((fetch *)ctx)->bytes += piece.len;
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    fetch *f = ctx;
    (void)call, (void)trailers, (void)trailer_count;
    if (status == SX_OK)
        printf("%s: %d, %llu bytes\n", f->url, f->http_status, (unsigned long long)f->bytes);
    else
        printf("%s: %s\n", f->url, err->message);
    fflush(stdout);
    f->of->under_way--;
    sx_free(f);
}

static void start_fetch(program *p, sx_str url)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_done};
    sx_error err;
    fetch *f = sx_calloc(1, sizeof(*f));
    if (!f) {
        printf("%.*s: out of memory\n", SX_ARG(url));
        return;
    }
    f->of = p;
    snprintf(f->url, sizeof(f->url), "%.*s", SX_ARG(url));
    p->under_way++;
    sx_status status =
        sx_http_call(p->client, &(sx_call_request){.url = url}, &EVENTS, f, NULL, &err);
    if (status != SX_OK) /* it did not begin: `done` will not come */
        on_done(NULL, f, status, &err, NULL, 0);
}

/* The program's own descriptor. */
static void read_input(program *p)
{
    char *to = sx_buf_reserve(&p->input, 4096);
    ssize_t got = to ? read(STDIN_FILENO, to, 4096) : 0;
    p->input_ended = got <= 0;
    p->input.len += got > 0 ? (size_t)got : 0;
    for (;;) {
        sx_str text = sx_buf_view(&p->input), line, rest;
        bool is_whole = sx_str_cut(text, '\n', &line, &rest);
        if (!is_whole && !p->input_ended)
            return;
        if (sx_str_trim(line).len)
            start_fetch(p, sx_str_trim(line));
        sx_buf_consume(&p->input, text.len - rest.len);
        if (!is_whole)
            return;
    }
}

static void main_loop(program *p)
{
    while (!p->input_ended || p->under_way) {
        struct pollfd from[] = {
            {.fd = sx_loop_fd(p->loop), .events = POLLIN},
            {.fd = p->input_ended ? -1 : STDIN_FILENO, .events = POLLIN},
        };
        if (poll(from, SX_COUNT_OF(from), sx_loop_wait_ms(p->loop)) < 0)
            continue;          /* a signal */
        sx_loop_turn(p->loop); /* even if only its time has come */
        if (from[1].revents)
            read_input(p);
    }
}

int main(void)
{
    program p = {0};
    sx_telemetry *t = NULL;
    sx_breakers *breakers = NULL;
    sx_error err;
    sx_buf_init(&p.input, 1 << 20);
    sx_status status = sx_telemetry_new(&(sx_telemetry_options){.service = "own-loop"}, &t, &err);
    if (status == SX_OK)
        status = sx_breakers_new(
            &(sx_breakers_options){.metrics = sx_telemetry_metrics(t), .log = sx_telemetry_log(t)},
            &breakers, &err);
    if (status == SX_OK)
        status = sx_loop_new(NULL, 0, &p.loop, &err);
    if (status == SX_OK) {
        const sx_kit kit = {.metrics = sx_telemetry_metrics(t),
                            .tracer = sx_telemetry_tracer(t),
                            .log = sx_telemetry_log(t),
                            .breakers = breakers};
        status = sx_kit_http_client_new(p.loop, &kit, NULL, &p.client, &err);
    }
    if (status == SX_OK)
        main_loop(&p);
    else
        fprintf(stderr, "own_loop: %s\n", err.message);
    if (p.client)
        sx_http_client_free(p.client);
    sx_loop_free(p.loop);
    sx_telemetry_free(t, 2000);
    sx_breakers_free(breakers);
    sx_buf_done(&p.input);
    return status == SX_OK ? 0 : 1;
}
