/* clients_zoo.c - a server that does what it is asked with the kit's clients, for test_clients.py:
 *
 *     clients_zoo REDIS_URL CONNINFO SQLITE_PATH       ("-": without that client)
 *
 *     POST /redis       words, one a line
 *     POST /pg          a statement; ?repeat: it may be run twice; ?stream: row by row
 *     POST /pg-tx       statements, one a line, in one transaction
 *     POST /sqlite      a statement
 *     POST /http        a URL
 *     POST /limit       a key, of 5 a minute shared through Redis
 *     GET  /metrics /health /breakers /counts /spans
 *
 * ?ms=N is the time that a call may have. An answer is one line: "SX_STATUS<TAB>text". Prints `ready`
 * as a service does; breakers open after 5 failures, for 300 ms. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sextant/client_http.h>
#include <sextant/mem.h>
#include <sextant/postgres.h>
#include <sextant/redis.h>
#include <sextant/sqlite.h>
#include <sextant/watch.h>

#include "telemetry/tracer.h"

typedef struct zoo {
    sx_loop *loop;
    sx_kit kit;
    sx_redis *redis;
    sx_pg *pg;
    sx_sqlite *db;
    sx_http_client *http;
    sx_redis_limiter *shared;
    sx_limiter *limiter;
    sx_http_server *server;
} zoo;

/* What is under way for one request. */
typedef struct job {
    zoo *z;
    sx_request *request;
    sx_buf text;
    sx_str rest; /* statements to come */
    sx_pg_tx *tx;
    sx_limiter_wait wait;
    int status;
    unsigned long rows;
} job;

/* Names of the spans that have ended, without their attributes: one program's own, in its one thread. */
static char span_room[65536];
static unsigned long span_count;

static char *room(void *to, size_t bytes)
{
    (void)to;
    return bytes < sizeof(span_room) ? span_room : NULL;
}

static void commit(void *to, size_t bytes)
{
    (void)to, (void)bytes;
    span_count++;
}

static job *job_new(zoo *z, sx_request *r)
{
    job *j = sx_calloc(1, sizeof(*j));
    sx_assert(j);
    j->z = z;
    j->request = r;
    sx_buf_init(&j->text, 0);
    sx_request_hold(r);
    return j;
}

static void answer(job *j, sx_status status, const char *message)
{
    sx_buf line;
    sx_buf_init(&line, 0);
    sx_buf_printf(&line, "%s\t", sx_status_name(status));
    if (status == SX_OK)
        sx_buf_str(&line, sx_buf_view(&j->text));
    else
        sx_buf_printf(&line, "%s", message);
    sx_reply(j->request, 200, SX_STR("text/plain"), sx_buf_view(&line));
    sx_buf_done(&line);
    sx_buf_done(&j->text);
    sx_request_release(j->request);
    sx_free(j);
}

static void write_reply(sx_buf *out, const sx_redis_reply *r)
{
    if (r->kind == SX_REDIS_NIL)
        sx_buf_str(out, SX_STR("(nil)"));
    else if (r->kind == SX_REDIS_INTEGER)
        sx_buf_i64(out, r->integer);
    else
        sx_buf_str(out, r->str);
    for (size_t i = 0; i < r->count; i++) {
        sx_buf_byte(out, i ? ' ' : '[');
        write_reply(out, &r->items[i]);
    }
    if (r->kind == SX_REDIS_ARRAY)
        sx_buf_str(out, r->count ? SX_STR("]") : SX_STR("[]"));
}

static void on_redis(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    job *j = ctx;
    if (status == SX_OK)
        write_reply(&j->text, reply);
    answer(j, status, err->message);
}

static void on_pg(void *ctx, sx_status status, const sx_pg_result *result, const sx_error *err)
{
    job *j = ctx;
    for (size_t i = 0; status == SX_OK && i < result->row_count * result->column_count; i++) {
        sx_buf_str(&j->text, i ? SX_STR(" ") : SX_STR(""));
        sx_buf_str(&j->text, result->values[i].data ? result->values[i] : SX_STR("NULL"));
    }
    if (j->rows)
        sx_buf_printf(&j->text, "%lu rows", j->rows);
    answer(j, status, err->message);
}

static void on_row(void *ctx, const sx_pg_result *row)
{
    job *j = ctx;
    j->rows += row->row_count;
}

static void next_statement(job *j);

static void on_statement(void *ctx, sx_status status, const sx_pg_result *result,
                         const sx_error *err)
{
    job *j = ctx;
    (void)result;
    if (status == SX_OK) {
        next_statement(j);
        return;
    }
    sx_pg_tx_rollback(j->tx);
    answer(j, status, err->message);
}

static void next_statement(job *j)
{
    sx_str sql;
    sx_error err;
    sx_str_cut(j->rest, '\n', &sql, &j->rest);
    sx_status st =
        sql.len ? sx_pg_tx_query(j->tx, &(sx_pg_statement){.sql = sql}, on_statement, j, NULL, &err)
                : sx_pg_tx_commit(j->tx, on_pg, j, &err);
    if (st != SX_OK) {
        if (sql.len)
            sx_pg_tx_rollback(j->tx);
        answer(j, st, err.message);
    }
}

static void on_begin(void *ctx, sx_status status, sx_pg_tx *tx, const sx_error *err)
{
    job *j = ctx;
    j->tx = tx;
    if (status == SX_OK)
        next_statement(j);
    else
        answer(j, status, err->message);
}

static void on_sqlite(void *ctx, sx_status status, const sx_sqlite_result *result,
                      const sx_error *err)
{
    job *j = ctx;
    for (size_t i = 0; status == SX_OK && i < result->row_count * result->column_count; i++) {
        const sx_sqlite_value *v = &result->values[i];
        sx_buf_str(&j->text, i ? SX_STR(" ") : SX_STR(""));
        if (v->kind == SX_SQLITE_INTEGER)
            sx_buf_i64(&j->text, v->i64);
        else
            sx_buf_str(&j->text, v->str);
    }
    answer(j, status, err->message);
}

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    (void)call;
    ((job *)ctx)->status = response->status;
}

static void on_call_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                         const sx_header *trailers, size_t trailer_count)
{
    job *j = ctx;
    (void)call, (void)trailers, (void)trailer_count;
    sx_buf_printf(&j->text, "%d", j->status);
    answer(j, status, err->message);
}

static void answer_limit(job *j, const sx_limit_answer *a, sx_limit_source source)
{
    static const char *const SOURCES[] = {"local", "shared", "fallback"};
    sx_buf_printf(&j->text, "%s %s %llu", SOURCES[source], a->allowed ? "allowed" : "refused",
                  (unsigned long long)a->remaining);
    answer(j, SX_OK, "");
}

static void on_limit(sx_limiter_wait *w, const sx_limit_answer *a, sx_limit_source source)
{
    answer_limit(w->arg, a, source);
}

static uint32_t parameter(const sx_request *r, const char *name)
{
    sx_str rest = r->query, pair, key, value;
    uint64_t n = 0;
    while (rest.len) {
        sx_str_cut(rest, '&', &pair, &rest);
        sx_str_cut(pair, '=', &key, &value);
        if (sx_str_eq(key, sx_str_z(name)))
            return sx_str_to_u64(value, &n) ? (uint32_t)n : 1;
    }
    return 0;
}

static sx_status start(job *j, sx_request *r, sx_error *err)
{
    static const sx_call_events CALL = {.head = on_head, .done = on_call_done};
    zoo *z = j->z;
    uint32_t ms = parameter(r, "ms");
    if (sx_str_eq(r->path, SX_STR("/redis"))) {
        sx_str words[64], rest = r->body;
        size_t n = 0;
        while (n < 64 && rest.len)
            sx_str_cut(rest, '\n', &words[n++], &rest);
        return sx_redis_send(z->redis, &(sx_redis_command){words, n, ms}, on_redis, j, NULL, err);
    }
    if (sx_str_eq(r->path, SX_STR("/pg")))
        return sx_pg_query(z->pg,
                           &(sx_pg_statement){.sql = r->body,
                                              .ms_max = ms,
                                              .repeatable = parameter(r, "repeat"),
                                              .row = parameter(r, "stream") ? on_row : NULL},
                           on_pg, j, NULL, err);
    if (sx_str_eq(r->path, SX_STR("/pg-tx"))) {
        j->rest = r->body;
        return sx_pg_begin(z->pg, NULL, on_begin, j, err);
    }
    if (sx_str_eq(r->path, SX_STR("/sqlite")))
        return sx_sqlite_start(z->db, z->loop, &(sx_sqlite_query){.sql = r->body, .ms_max = ms},
                               on_sqlite, j, NULL, err);
    if (sx_str_eq(r->path, SX_STR("/http")))
        return sx_http_call(z->http, &(sx_call_request){.url = r->body, .total_ms_max = ms}, &CALL,
                            j, NULL, err);
    sx_limit_answer a;
    sx_limit_source source;
    j->wait = (sx_limiter_wait){.done = on_limit, .arg = j};
    if (sx_limiter_take_async(z->limiter, r->body, 1, &j->wait, &a, &source))
        answer_limit(j, &a, source);
    return SX_OK;
}

static void on_body(sx_request *r, void *ctx)
{
    job *j = job_new(ctx, r);
    sx_error err;
    sx_status st = start(j, r, &err);
    if (st != SX_OK)
        answer(j, st, err.message);
}

static void write_check(void *ctx, const sx_health_info *info)
{
    sx_buf_printf(ctx, "%s %s %s\n", info->name, info->well ? "well" : "unwell", info->message);
}

static void write_breaker(void *ctx, const sx_breaker_info *info)
{
    sx_buf_printf(ctx, "%.*s %s\n", SX_ARG(info->name), sx_breaker_state_name(info->state));
}

static void show(zoo *z, sx_request *r)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    if (sx_str_eq(r->path, SX_STR("/metrics")))
        sx_metrics_write(z->kit.metrics, SX_METRICS_TEXT_004, &out, NULL);
    else if (sx_str_eq(r->path, SX_STR("/health")))
        sx_health_each(z->kit.health, write_check, &out);
    else if (sx_str_eq(r->path, SX_STR("/breakers")))
        sx_breakers_each(z->kit.breakers, write_breaker, &out);
    else
        sx_buf_printf(&out, "%lu\n", span_count);
    sx_reply(r, 200, SX_STR("text/plain"), sx_buf_view(&out));
    sx_buf_done(&out);
}

static void handle(sx_request *r, void *ctx)
{
    if (r->method == SX_GET)
        show(ctx, r);
    else
        sx_request_read_body(r, 1 << 20, on_body, ctx);
}

static void on_signal(sx_watch *watch, void *ctx, unsigned events)
{
    (void)watch, (void)events;
    sx_loop_stop(((zoo *)ctx)->loop);
}

static void must(sx_status st, const sx_error *err)
{
    if (st == SX_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void make_kit(zoo *z)
{
    static const sx_span_sink SINK = {room, commit};
    sx_error err;
    sx_telemetry_thread_join();
    must(sx_metrics_new(NULL, &z->kit.metrics, &err), &err);
    must(sx_health_new(&(sx_health_options){.metrics = z->kit.metrics}, &z->kit.health, &err),
         &err);
    must(sx_breakers_new(&(sx_breakers_options){.metrics = z->kit.metrics}, &z->kit.breakers, &err),
         &err);
    must(sx_tracer_new_to(&(sx_tracer_options){0}, &SINK, NULL, &z->kit.tracer, &err), &err);
}

static void make_clients(zoo *z, char **argv)
{
    sx_error err;
    sx_client_options client = {.breaker = {.open_ms = 300, .successes_min = 1}, .probe_ms = 200};
    if (strcmp(argv[1], "-") != 0) {
        must(sx_redis_new(z->loop, &z->kit, &(sx_redis_options){.url = argv[1], .client = client},
                          &z->redis, &err),
             &err);
        must(sx_redis_limiter_new(NULL, &z->shared, &err), &err);
        must(sx_redis_limiter_join(z->shared, z->redis, &err), &err);
        must(sx_limiter_new(&(sx_limiter_options){.name = "zoo",
                                                  .rates = {{.count = 5, .period_ms = 60000}},
                                                  .rate_count = 1,
                                                  .share = sx_redis_limiter_share(z->shared)},
                            &z->limiter, &err),
             &err);
    }
    if (strcmp(argv[2], "-") != 0)
        must(sx_pg_new(z->loop, &z->kit,
                       &(sx_pg_options){.conninfo = argv[2],
                                        .connections_max = 4,
                                        .connect_ms_max = 1500,
                                        .query_ms_max = 5000,
                                        .cancel_ms_max = 500,
                                        .client = client},
                       &z->pg, &err),
             &err);
    if (strcmp(argv[3], "-") != 0)
        must(sx_sqlite_open(&z->kit, &(sx_sqlite_options){.path = argv[3], .client = client},
                            &z->db, &err),
             &err);
    must(sx_kit_http_client_new(z->loop, &z->kit, &(sx_kit_http_options){.client = client},
                                &z->http, &err),
         &err);
}

int main(int argc, char **argv)
{
    zoo z = {0};
    sx_error err;
    sx_bound bound;
    sx_watch *watch;
    sigset_t set;
    if (argc != 4)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    make_kit(&z);
    must(sx_loop_new(NULL, 0, &z.loop, &err), &err);
    must(sx_watch_start(z.loop, fd, SX_WATCH_READ, on_signal, &z, &watch, &err), &err);
    make_clients(&z, argv);
    must(sx_http_server_new(z.loop, &(sx_http_server_options){.handler = handle, .ctx = &z},
                            &z.server, &err),
         &err);
    must(sx_http_server_listen(z.server, &(sx_listen_options){.address = SX_STR("127.0.0.1:0")},
                               &bound, &err),
         &err);
    fprintf(stderr, "ready clients_zoo http=%s\n", bound.text);
    sx_loop_run(z.loop);
    sx_watch_stop(watch);
    if (z.shared)
        sx_redis_limiter_leave(z.shared);
    sx_redis_free(z.redis);
    sx_pg_free(z.pg);
    sx_http_client_free(z.http);
    sx_sqlite_close(z.db);
    sx_http_server_free(z.server);
    sx_loop_free(z.loop);
    sx_limiter_free(z.limiter);
    sx_redis_limiter_free(z.shared);
    sx_tracer_free(z.kit.tracer);
    sx_breakers_free(z.kit.breakers);
    sx_health_free(z.kit.health);
    sx_metrics_free(z.kit.metrics);
    sx_telemetry_thread_leave();
    close(fd);
    return 0;
}
