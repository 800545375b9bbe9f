/* redis.c - a Redis server's page: six questions in one round trip, and their answers as metrics.
 *
 * What a server refuses (an older version, a user without the right) leaves out its metrics; without
 * INFO the server is down. CONFIG is asked for four names alone: others hold passwords. */
#include <stdio.h>
#include <string.h>

#include <sextant/redis.h>
#include <sextant/url.h>

#include "observe/collect/redis_info.h"
#include "observe/collect/run.h"

enum { DATABASES_MAX = 4096, ROWS_MAX = 1000, INFO_BYTES_MAX = 16 << 20 };

typedef struct page {
    collector *c;
    collect_run run;
    sx_buf info;
    uint32_t databases, left;
    bool up;
    char failure[SX_ERROR_MESSAGE_BYTES];
} page;

typedef struct question question;

typedef struct asked {
    page *p;
    const question *q;
} asked;

struct question {
    const char *words[3];
    void (*answer)(page *p, const question *q, const sx_redis_reply *r);
    const char *name; /* of the metric that the answer is */
};

static double reply_number(const sx_redis_reply *r)
{
    return r->kind == SX_REDIS_INTEGER ? (double)r->integer : collect_number(r->str);
}

static void on_info(page *p, const question *q, const sx_redis_reply *r)
{
    (void)q;
    p->up = r->kind == SX_REDIS_STRING;
    sx_buf_str(&p->info, r->str);
}

/* [name, value] */
static void on_config(page *p, const question *q, const sx_redis_reply *r)
{
    if (r->kind != SX_REDIS_ARRAY || r->count < 2)
        return;
    double value = reply_number(&r->items[1]);
    if (!q->name)
        p->databases = value >= 0 && value <= DATABASES_MAX ? (uint32_t)value : DATABASES_MAX;
    else
        collect_one(p->c, q->name, "gauge", "As CONFIG says.", value);
}

static void on_slowlog_length(page *p, const question *q, const sx_redis_reply *r)
{
    if (r->kind == SX_REDIS_INTEGER)
        collect_one(p->c, q->name, "gauge", "Entries of the slow log.", (double)r->integer);
}

/* [[id, unix time, microseconds, ...]] */
static void on_slowlog(page *p, const question *q, const sx_redis_reply *r)
{
    (void)q;
    const sx_redis_reply *entry = r->kind == SX_REDIS_ARRAY && r->count ? &r->items[0] : NULL;
    bool good = entry && entry->kind == SX_REDIS_ARRAY && entry->count >= 3;
    if (r->kind != SX_REDIS_ARRAY)
        return;
    collect_one(p->c, "redis_slowlog_last_id", "gauge", "Number of the latest slow command.",
                good ? reply_number(&entry->items[0]) : 0);
    collect_one(p->c, "redis_last_slow_execution_duration_seconds", "gauge",
                "How long the latest slow command took.",
                good ? reply_number(&entry->items[2]) / 1e6 : 0);
}

/* [[event, unix time, milliseconds, greatest], ...] */
static void on_latency(page *p, const question *q, const sx_redis_reply *r)
{
    static const char *const NAMES[] = {"redis_latency_spike_last",
                                        "redis_latency_spike_duration_seconds"};
    (void)q;
    for (size_t k = 0; r->kind == SX_REDIS_ARRAY && r->count && k < SX_COUNT_OF(NAMES); k++) {
        collect_family(p->c, NAMES[k], "gauge",
                       k ? "How long the latest spike was." : "When it was, unix time.");
        for (size_t i = 0; i < r->count && i < ROWS_MAX; i++) {
            const sx_redis_reply *row = &r->items[i];
            if (row->kind == SX_REDIS_ARRAY && row->count >= 3)
                collect_sample(p->c, NAMES[k], &(collect_label){"event_name", row->items[0].str}, 1,
                               reply_number(&row->items[1 + k]) / (k ? 1e3 : 1));
        }
    }
}

/* The item behind the word `name` in [name, value, ...]; NULL if there is none. */
static const sx_redis_reply *item_of(const sx_redis_reply *r, const char *name)
{
    for (size_t i = 0; r->kind == SX_REDIS_ARRAY && i + 1 < r->count; i += 2)
        if (sx_str_eq(r->items[i].str, sx_str_z(name)))
            return &r->items[i + 1];
    return NULL;
}

static void put_histogram(page *p, sx_str command, const sx_redis_reply *calls,
                          const sx_redis_reply *buckets)
{
    static const char *const BUCKET = "redis_commands_latencies_usec_bucket";
    char field[96], bound[40];
    sx_str stat, rest, usec;
    for (size_t i = 0; i + 1 < buckets->count && i < ROWS_MAX; i += 2) {
        snprintf(bound, sizeof bound, "%.0f", reply_number(&buckets->items[i]));
        collect_sample(p->c, BUCKET, (collect_label[]){{"cmd", command}, {"le", sx_str_z(bound)}},
                       2, reply_number(&buckets->items[i + 1]));
    }
    collect_sample(p->c, BUCKET, (collect_label[]){{"cmd", command}, {"le", SX_STR("+Inf")}}, 2,
                   reply_number(calls));
    snprintf(field, sizeof field, "cmdstat_%.*s", SX_ARG(sx_str_first(command, 64)));
    stat = redis_info_get(sx_buf_view(&p->info), field);
    size_t at = sx_str_find(stat, SX_STR("usec="));
    sx_str_cut(sx_str_from(stat, at < stat.len ? at + 5 : stat.len), ',', &usec, &rest);
    collect_sample(p->c, "redis_commands_latencies_usec_sum", &(collect_label){"cmd", command}, 1,
                   collect_number(usec));
    collect_sample(p->c, "redis_commands_latencies_usec_count", &(collect_label){"cmd", command}, 1,
                   reply_number(calls));
}

/* [command, [calls, N, histogram_usec, [bound, count, ...]], ...] */
static void on_histogram(page *p, const question *q, const sx_redis_reply *r)
{
    if (r->kind != SX_REDIS_ARRAY || !r->count)
        return;
    collect_family(p->c, q->name, "histogram", "How long commands take, microseconds.");
    for (size_t i = 0; i + 1 < r->count && i < ROWS_MAX; i += 2) {
        const sx_redis_reply *calls = item_of(&r->items[i + 1], "calls");
        const sx_redis_reply *buckets = item_of(&r->items[i + 1], "histogram_usec");
        if (calls && buckets && buckets->kind == SX_REDIS_ARRAY)
            put_histogram(p, r->items[i].str, calls, buckets);
    }
}

static const question QUESTIONS[] = {
    {{"INFO", "all", NULL}, on_info, NULL},
    {{"CONFIG", "GET", "databases"}, on_config, NULL},
    {{"CONFIG", "GET", "maxclients"}, on_config, "redis_config_maxclients"},
    {{"CONFIG", "GET", "maxmemory"}, on_config, "redis_config_maxmemory"},
    {{"CONFIG", "GET", "io-threads"}, on_config, "redis_config_io_threads"},
    {{"SLOWLOG", "LEN", NULL}, on_slowlog_length, "redis_slowlog_length"},
    {{"SLOWLOG", "GET", "1"}, on_slowlog, NULL},
    {{"LATENCY", "LATEST", NULL}, on_latency, NULL},
    {{"LATENCY", "HISTOGRAM", NULL}, on_histogram, "redis_commands_latencies_usec"},
};

static void on_reply(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    const asked *a = ctx;
    page *p = a->p;
    if (status == SX_OK)
        a->q->answer(p, a->q, reply);
    else if (a->q == &QUESTIONS[0])
        snprintf(p->failure, sizeof p->failure, "%s", err->message);
    if (--p->left == 0)
        sx_loop_stop(p->run.loop);
}

/* redis://USER:PASSWORD@HOST from an address, with or without a scheme, and what the file says. */
static sx_status make_url(const collect_target *t, sx_buf *url, sx_error *err)
{
    sx_buf secret;
    size_t at = sx_str_find(t->address, SX_STR("://"));
    bool schemed = at < t->address.len;
    sx_str rest = schemed ? sx_str_from(t->address, at + 3) : t->address;
    sx_buf_init(&secret, 4096);
    sx_status st = prom_secret_read(&t->password, &secret, err);
    sx_buf_str(url, schemed ? sx_str_first(t->address, at + 3) : SX_STR("redis://"));
    if (st == SX_OK && (secret.len || t->username.len)) {
        sx_url_encode(t->username, url);
        sx_buf_byte(url, ':');
        sx_url_encode(sx_buf_view(&secret), url);
        sx_buf_byte(url, '@');
    }
    sx_buf_str(url, rest);
    sx_buf_byte(url, '\0');
    sx_buf_done(&secret);
    return st == SX_OK ? sx_buf_status(url, "a Redis URL", err) : st;
}

static sx_status ask(page *p, const char *url, sx_error *err)
{
    asked all[SX_COUNT_OF(QUESTIONS)];
    sx_redis *redis = NULL;
    const sx_redis_options options = {.url = url,
                                      .connect_ms_max = p->run.ms_max,
                                      .command_ms_max = p->run.ms_max,
                                      .reply_bytes_max = INFO_BYTES_MAX};
    sx_status st = sx_redis_new(p->run.loop, NULL, &options, &redis, err);
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < SX_COUNT_OF(QUESTIONS); i++) {
        sx_str words[3];
        size_t count = 0;
        while (count < 3 && QUESTIONS[i].words[count]) {
            words[count] = sx_str_z(QUESTIONS[i].words[count]);
            count++;
        }
        all[i] = (asked){p, &QUESTIONS[i]};
        st = sx_redis_send(redis, &(sx_redis_command){.words = words, .count = count}, on_reply,
                           &all[i], NULL, err);
        if (st != SX_OK)
            break;
        p->left++;
    }
    if (p->left)
        collect_run_wait(&p->run);
    sx_redis_free(redis); /* what was not answered is called now, and finds the page still there */
    return st;
}

static void put_state(page *p)
{
    collect_one(p->c, "redis_up", "gauge", "Whether the server has answered.", p->up);
    collect_family(p->c, "redis_exporter_last_scrape_error", "gauge",
                   "Whether it has not, and why.");
    collect_sample(p->c, "redis_exporter_last_scrape_error",
                   &(collect_label){"err", sx_str_z(p->up ? "" : p->failure)}, 1, !p->up);
    collect_one(p->c, "redis_exporter_last_scrape_duration_seconds", "gauge",
                "How long this page took.", collect_run_seconds(&p->run));
}

sx_status collect_redis(collect_site *s, sx_str target, int64_t ms_max, sx_buf *out, sx_error *err)
{
    const collect_target *t;
    sx_buf url;
    sx_error why = {0};
    collector c = {.out = out};
    page p = {.c = &c, .databases = 16};
    collect_settings *settings = collect_settings_get(s);
    sx_status st = collect_target_find(settings->redis, settings->redis_count, "Redis server",
                                       target, &t, err);
    if (st == SX_OK)
        st = collect_run_begin(&p.run, s, ms_max, err);
    if (st != SX_OK) {
        collect_settings_unref(settings);
        return st;
    }
    sx_buf_init(&url, 8192);
    sx_buf_init(&p.info, INFO_BYTES_MAX);
    if (make_url(t, &url, &why) != SX_OK || ask(&p, url.data, &why) != SX_OK)
        snprintf(p.failure, sizeof p.failure, "%s", why.message);
    if (p.run.late && !p.up)
        snprintf(p.failure, sizeof p.failure, "no answer within %u ms", p.run.ms_max);
    if (p.up)
        redis_info_put(&c, sx_buf_view(&p.info), p.databases);
    put_state(&p);
    collect_run_done(&p.run);
    sx_buf_done(&p.info);
    sx_buf_done(&url);
    collect_settings_unref(settings);
    return sx_buf_status(out, "a Redis server's metrics", err);
}
