/* cached_client.c - an HTTP client behind a cache in memory and Redis, with a breaker and retries.
 *
 *     cached_client redis://127.0.0.1:6379 URL URL...
 *
 * Gets each URL in turn and says how much came and how long it took: the same one twice is fetched
 * once, and another process that asks within a minute finds it in Redis. A fetch that fails is tried
 * three times with growing pauses; a server that fails five times running is left alone for a minute,
 * and what was there before stands in for it. Redis may be away: then there is memory alone.
 *
 * The questions are asked one after the other here, so that the example is short; in a server they
 * come from its requests, and all that ask for the same URL wait for one fetch. */
#include <inttypes.h>
#include <stdio.h>

#include <sextant/cache_stores.h>
#include <sextant/client_http.h>
#include <sextant/mem.h>
#include <sextant/retry.h>
#include <sextant/telemetry.h>

enum { LAST_WRITES_MS_MAX = 1000 };

static const sx_cache_class CLASSES[] = {
    {.name = "page",
     .ttl_ms = 60000,          /* fresh for a minute, */
     .stale_ms = 10000,        /* then served for ten seconds while one asker fetches it anew, */
     .stale_error_ms = 600000, /* and for ten minutes while fetching fails */
     .negative_ttl_ms = 5000}, /* a 404 is remembered for five seconds */
};

typedef struct program {
    const sx_clock *clock;
    sx_loop *loop;
    sx_telemetry *telemetry;
    sx_breakers *breakers;
    sx_http_client *http;
    sx_retry *retry;
    sx_redis *redis;
    sx_cache_tier *shared;
    sx_cache_tiers *tiers;
    sx_cache *cache;

    char **urls; /* the next one; NULL at the end */
    int64_t begin_ns;
    unsigned fetches, failures;
    sx_timer last_writes;
    int64_t give_up_ms;
} program;

/* ---- loading what the cache has not got ---- */

typedef struct fetch {
    program *of;
    sx_cache_token token; /* the duty to fill the cache */
    sx_retry_call retry;
    sx_call *call;
    sx_buf body;
    int http_status;
    uint32_t retry_after_ms;
    sx_str url; /* of this fetch's own memory, behind it */
} fetch;

static void on_head(sx_call *call, void *ctx, const sx_response *response)
{
    fetch *f = ctx;
    (void)call;
    sx_str wait = sx_response_header(response, SX_STR("retry-after"));
    f->http_status = response->status;
    f->retry_after_ms = sx_retry_after_parse(wait, sx_clock_ns(f->of->clock) / 1000000);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call;
    sx_buf_str(&((fetch *)ctx)->body, piece);
}

static void on_fetched(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                       const sx_header *trailers, size_t trailer_count)
{
    fetch *f = ctx;
    (void)call, (void)err, (void)trailers, (void)trailer_count;
    f->call = NULL;
    if (status == SX_OK && f->http_status == 404)
        status = SX_ENOTFOUND;
    else if (status == SX_OK && f->http_status != 200)
        status = SX_EIO;
    /* Worth another try is what may pass. The breaker's refusal will not pass so soon. */
    bool may_pass = status != SX_OK && status != SX_ENOTFOUND && status != SX_REFUSED &&
                    (f->http_status == 0 || f->http_status == 429 || f->http_status >= 500);
    sx_retry_call_result(&f->retry, status, may_pass, f->retry_after_ms);
}

static void start_try(sx_retry_call *c, void *ctx, uint32_t attempt, uint32_t timeout_ms)
{
    static const sx_call_events EVENTS = {.head = on_head, .body = on_body, .done = on_fetched};
    fetch *f = ctx;
    sx_error err;
    (void)c, (void)attempt;
    sx_buf_clear(&f->body);
    f->http_status = 0;
    f->retry_after_ms = 0;
    f->of->fetches++;
    sx_call_request request = {.url = f->url, .total_ms_max = timeout_ms};
    sx_status status = sx_http_call(f->of->http, &request, &EVENTS, f, &f->call, &err);
    if (status != SX_OK)
        on_fetched(NULL, f, status, &err, NULL, 0);
}

static void cancel_try(sx_retry_call *c, void *ctx)
{
    fetch *f = ctx;
    (void)c;
    if (f->call)
        sx_call_cancel(f->call);
}

static void end_load(sx_retry_call *c, void *ctx, sx_status status)
{
    fetch *f = ctx;
    (void)c;
    if (status == SX_OK && f->body.failed)
        status = SX_ENOMEM;
    if (status == SX_OK)
        sx_cache_fill(f->of->cache, f->token, sx_buf_view(&f->body), NULL, NULL);
    else if (status == SX_ENOTFOUND)
        sx_cache_absent(f->of->cache, f->token, SX_STR(""), NULL);
    else
        sx_cache_fail(f->of->cache, f->token, status, NULL);
    sx_buf_done(&f->body);
    sx_free(f);
}

static void load(void *load_ctx, sx_cache *cache, sx_str url, sx_cache_token token)
{
    program *p = load_ctx;
    fetch *f = sx_calloc(1, sizeof(*f) + url.len);
    if (!f) {
        sx_cache_fail(cache, token, SX_ENOMEM, NULL);
        return;
    }
    memcpy(f + 1, url.data, url.len); /* the key is lent for this call only */
    f->url = sx_str_of(f + 1, url.len);
    f->of = p;
    f->token = token;
    sx_buf_init(&f->body, 16 << 20);
    sx_retry_call_start(&f->retry, &(sx_retry_call_options){.policy = p->retry,
                                                            .timers = sx_loop_timers(p->loop),
                                                            .start = start_try,
                                                            .cancel = cancel_try,
                                                            .done = end_load,
                                                            .ctx = f});
}

/* ---- asking ---- */

static void ask_next(sx_loop *loop, void *arg);

static void answered(program *p, sx_cache_result result, sx_cache_view *view)
{
    int64_t took_us = (sx_clock_mono_ns(p->clock) - p->begin_ns) / 1000;
    if (result == SX_CACHE_HIT || result == SX_CACHE_STALE)
        printf("%s: %zu bytes in %" PRId64 " us%s\n", *p->urls, view->value.len, took_us,
               result == SX_CACHE_STALE ? ", not the newest" : "");
    else
        printf("%s: %s\n", *p->urls, sx_status_name(view->status));
    p->failures += result != SX_CACHE_HIT && result != SX_CACHE_STALE;
    sx_cache_release(view);
    p->urls++;
    sx_loop_post(p->loop, ask_next, p, NULL);
}

static void on_answer(void *ctx, sx_cache_result result, sx_cache_view *view)
{
    answered(ctx, result, view);
}

/* What was loaded goes to Redis behind our back: it is given a moment to get there. */
static void wait_for_writes(sx_timer *timer, void *arg)
{
    program *p = arg;
    sx_cache_tier_stats redis = sx_cache_tiers_stats_of(p->tiers, 0);
    if ((redis.queued || redis.writing) && sx_loop_now_ms(p->loop) < p->give_up_ms) {
        sx_timer_start(sx_loop_timers(p->loop), timer, 5);
        return;
    }
    sx_cache_stats memory = sx_cache_stats_of(p->cache);
    printf("%" PRIu64 " from memory, %" PRIu64 " from Redis, %u fetched\n", memory.hits, redis.hits,
           p->fetches);
    sx_loop_stop(p->loop);
}

static void ask_next(sx_loop *loop, void *arg)
{
    program *p = arg;
    if (!*p->urls) {
        p->give_up_ms = sx_loop_now_ms(loop) + LAST_WRITES_MS_MAX;
        p->last_writes = (sx_timer){.fn = wait_for_writes, .arg = p};
        sx_timer_start(sx_loop_timers(loop), &p->last_writes, 0);
        return;
    }
    sx_cache_ask ask = {.answer = on_answer, .ctx = p, .loop = loop, .load = load, .load_ctx = p};
    sx_cache_view view;
    p->begin_ns = sx_clock_mono_ns(p->clock);
    sx_cache_result result = sx_cache_get(p->cache, sx_str_z(*p->urls), 0, &ask, &view);
    if (result != SX_CACHE_WAIT) /* else on_answer will be called, exactly once */
        answered(p, result, &view);
}

/* ---- life ---- */

static sx_status open_clients(program *p, const sx_kit *kit, const char *redis, sx_error *err)
{
    /* Without it we are slower, not unwell. */
    const sx_redis_options redis_options = {.url = redis, .client.health_informative = true};
    const sx_retry_options retry = {
        .name = "pages", .attempts_max = 3, .try_ms = 5000, .metrics = kit->metrics};
    sx_status status = sx_kit_http_client_new(p->loop, kit, NULL, &p->http, err);
    if (status == SX_OK)
        status = sx_retry_new(&retry, &p->retry, err);
    if (status == SX_OK)
        status = sx_redis_new(p->loop, kit, &redis_options, &p->redis, err);
    if (status == SX_OK)
        status = sx_cache_redis_tier_new(p->redis, NULL, &p->shared, err);
    return status;
}

static sx_status open_all(program *p, const char *redis, sx_error *err)
{
    const sx_telemetry_options options = {.service = "cached-client", .version = "1.0.0"};
    sx_status status = sx_telemetry_new(&options, &p->telemetry, err);
    if (status != SX_OK)
        return status;
    sx_kit kit = {.metrics = sx_telemetry_metrics(p->telemetry),
                  .tracer = sx_telemetry_tracer(p->telemetry),
                  .log = sx_telemetry_log(p->telemetry)};
    status = sx_breakers_new(&(sx_breakers_options){.metrics = kit.metrics, .log = kit.log},
                             &p->breakers, err);
    kit.breakers = p->breakers;
    if (status == SX_OK)
        status = sx_loop_new(NULL, 0, &p->loop, err);
    if (status == SX_OK)
        status = open_clients(p, &kit, redis, err);
    const sx_cache_tiers_options tiers = {
        .name = "pages", .prefix = "pages:", .tiers = {p->shared}, .count = 1, .kit = &kit};
    if (status == SX_OK)
        status = sx_cache_tiers_new(&tiers, &p->tiers, err);
    const sx_cache_options cache = {.name = "pages",
                                    .bytes_max = 32 << 20,
                                    .classes = CLASSES,
                                    .class_count = SX_COUNT_OF(CLASSES),
                                    .metrics = kit.metrics,
                                    .tiers = p->tiers};
    return status == SX_OK ? sx_cache_new(&cache, &p->cache, err) : status;
}

/* Whatever uses another part goes before it. */
static void close_all(program *p)
{
    if (p->http)
        sx_http_client_free(p->http);
    if (p->cache)
        sx_cache_free(p->cache);
    sx_cache_tiers_free(p->tiers);
    sx_cache_tier_free(p->shared);
    sx_redis_free(p->redis);
    sx_loop_free(p->loop);
    sx_telemetry_free(p->telemetry, 2000);
    if (p->retry)
        sx_retry_free(p->retry);
    if (p->breakers)
        sx_breakers_free(p->breakers);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: cached_client redis://HOST:PORT URL...\n");
        return 2;
    }
    program p = {.urls = argv + 2, .clock = sx_clock_system()};
    sx_error err;
    sx_status status = open_all(&p, argv[1], &err);
    if (status == SX_OK)
        status = sx_loop_post(p.loop, ask_next, &p, &err);
    if (status == SX_OK) {
        sx_cache_attach(p.cache, p.loop); /* it gives up what takes too long */
        sx_loop_run(p.loop);
        sx_cache_detach(p.cache);
    } else {
        fprintf(stderr, "cached_client: %s\n", err.message);
    }
    close_all(&p);
    return status == SX_OK && p.failures == 0 ? 0 : 1;
}
