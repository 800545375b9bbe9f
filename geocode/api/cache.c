/* cache.c - see cache.h. Made of the kit's cache and its tiers; ours are keys, lifetimes and form. */
#include "geocode/api/cache.h"

#include <sextant/cache_stores.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

/* Of what is kept, beside the program's version: to be changed with GEO_CACHED_HEAD or the key. */
enum { FORM = 1, STORES_MAX = 2 };

static const double EXACT_SCORE = 0.8;

struct geo_cache {
    geo_cache_settings settings;
    sx_redis *redis;
    sx_cache_tier *stores[STORES_MAX];
    size_t store_count;
    sx_cache_tiers *tiers; /* NULL: memory alone */
    sx_cache *memory, *coded;
};

/* ---- life ---- */

static sx_status add_redis(geo_cache *c, const sx_kit *kit, sx_loop *loop, sx_error *err)
{
    const geo_cache_settings *set = &c->settings;
    if (set->redis_url.len == 0)
        return SX_OK;
    /* The breaker is the tier's, which sees slow answers as well as failed ones. */
    sx_redis_options options = {
        .url = set->redis_url.data,
        .client = {.name = "cache.redis", .breaker_off = true, .health_informative = true}};
    sx_status status = sx_redis_new(loop, kit, &options, &c->redis, err);
    if (status == SX_OK)
        status = sx_cache_redis_tier_new(c->redis, "redis", &c->stores[c->store_count], err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "cache.redis_url");
    c->store_count++;
    return SX_OK;
}

static sx_status add_sqlite(geo_cache *c, const sx_kit *kit, sx_error *err)
{
    const geo_cache_settings *set = &c->settings;
    if (set->sqlite_path.len == 0)
        return SX_OK;
    sx_cache_sqlite_options options = {.path = set->sqlite_path.data,
                                       .bytes_max = set->sqlite_bytes_max};
    sx_status status = sx_cache_sqlite_tier_new(kit, &options, &c->stores[c->store_count], err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "cache.sqlite_path");
    c->store_count++;
    return SX_OK;
}

static sx_status add_tiers(geo_cache *c, const sx_kit *kit, sx_error *err)
{
    if (c->store_count == 0)
        return SX_OK;
    sx_cache_tiers_options options = {.name = "geocode",
                                      .prefix = "geocode:",
                                      .count = c->store_count,
                                      .get_ms_max = c->settings.redis_ms_max,
                                      .kit = kit};
    for (size_t i = 0; i < c->store_count; i++)
        options.tiers[i] = c->stores[i];
    return sx_cache_tiers_new(&options, &c->tiers, err);
}

static sx_status make(geo_cache *c, const char *version, const sx_kit *kit, sx_loop *loop,
                      sx_error *err)
{
    const geo_cache_settings *set = &c->settings;
    sx_status status = add_redis(c, kit, loop, err);
    if (status == SX_OK)
        status = add_sqlite(c, kit, err);
    if (status == SX_OK)
        status = add_tiers(c, kit, err);
    if (status != SX_OK)
        return status;
    sx_cache_class answers = {.name = "answer",
                              .ttl_ms = set->fuzzy_ttl_ms,
                              .version = (uint32_t)sx_hash(sx_str_z(version), FORM)};
    sx_cache_options options = {.name = "geocode",
                                .bytes_max = set->bytes_max / 4 * 3,
                                .value_bytes_max = set->value_bytes_max,
                                .classes = &answers,
                                .class_count = 1,
                                .clock = kit->clock,
                                .metrics = kit->metrics,
                                .tiers = c->tiers};
    status = sx_cache_new(&options, &c->memory, err);
    if (status != SX_OK)
        return status;
    options.name = "geocode_coded";
    options.bytes_max = set->bytes_max / 4;
    options.tiers = NULL;
    return sx_cache_new(&options, &c->coded, err);
}

sx_status geo_cache_new(const geo_cache_settings *settings, const char *version, const sx_kit *kit,
                        sx_loop *loop, geo_cache **out, sx_error *err)
{
    geo_cache *c = sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "the cache of answers");
    c->settings = *settings;
    sx_status status = make(c, version, kit, loop, err);
    if (status != SX_OK) {
        geo_cache_free(c);
        return status;
    }
    if (loop)
        sx_cache_attach(c->memory, loop);
    *out = c;
    return SX_OK;
}

void geo_cache_free(geo_cache *c)
{
    if (!c)
        return;
    if (c->memory)
        sx_cache_detach(c->memory);
    sx_cache_free(c->memory);
    sx_cache_free(c->coded);
    sx_cache_tiers_free(c->tiers);
    for (size_t i = 0; i < c->store_count; i++)
        sx_cache_tier_free(c->stores[i]);
    sx_redis_free(c->redis);
    sx_free(c);
}

/* ---- keys ---- */

static void put_text(sx_buf *out, sx_str text)
{
    uint32_t len = (uint32_t)text.len; /* of a target, whose length is limited */
    sx_buf_bytes(out, &len, sizeof(len));
    sx_buf_str(out, text);
}

static void put_filter(sx_buf *out, const geo_param_filter *filter)
{
    uint8_t count = filter->given ? (uint8_t)(filter->count + 1) : 0;
    sx_buf_byte(out, (char)count);
    for (size_t i = 0; i < filter->count && filter->given; i++)
        put_text(out, filter->values[i]);
}

void geo_cache_key(const geo_cache_asked *asked, sx_buf *out)
{
    const geo_params *p = asked->params;
    uint8_t flags =
        (uint8_t)(p->autocomplete | p->has_lat << 1 | p->has_lon << 2 | (p->better != 0) << 3);
    double point[2] = {p->has_lat ? p->lat : 0, p->has_lon ? p->lon : 0};
    sx_buf_clear(out);
    sx_buf_bytes(out, &asked->generation, sizeof(asked->generation));
    sx_buf_byte(out, (char)asked->endpoint);
    sx_buf_byte(out, (char)flags);
    sx_buf_bytes(out, &asked->limit, sizeof(asked->limit));
    if (p->has_lat || p->has_lon)
        sx_buf_bytes(out, point, sizeof(point));
    if (p->better)
        sx_buf_byte(out, (char)p->better);
    for (size_t i = 0; asked->filters[i]; i++)
        put_filter(out, &p->filters[i]);
    sx_buf_str(out, p->q); /* last, so that its length need not be told */
}

/* ---- answers ---- */

typedef struct head {
    double top_score;
    uint32_t results, unused;
} head;
_Static_assert(sizeof(head) == GEO_CACHED_HEAD_BYTES, "the head's size is part of the form");

void geo_cached_begin(sx_buf *out)
{
    const head empty = {0};
    sx_buf_clear(out);
    sx_buf_bytes(out, &empty, sizeof(empty));
}

void geo_cached_finish(sx_buf *out, uint32_t results, double top_score)
{
    if (out->failed)
        return;
    head h = {top_score, results, 0};
    memcpy(out->data, &h, sizeof(h));
}

bool geo_cached_read(sx_str value, geo_cached *out)
{
    head h;
    if (value.len < sizeof(h))
        return false;
    memcpy(&h, value.data, sizeof(h));
    *out = (geo_cached){h.results, h.top_score, sx_str_from(value, sizeof(h))};
    return true;
}

geo_cache_worth geo_cache_worth_of(const geo_cached *answer, bool is_reverse)
{
    if (answer->results == 0)
        return GEO_WORTH_NOT_FOUND;
    return is_reverse || answer->top_score >= EXACT_SCORE ? GEO_WORTH_EXACT : GEO_WORTH_FUZZY;
}

/* ---- asking ---- */

sx_cache_result geo_cache_get(geo_cache *c, sx_str key, sx_loop *loop, sx_cache_answer_fn *answer,
                              void *ctx, sx_cache_view *view)
{
    /* A search takes less time than to wait for another loop's: without tiers nobody is told later. */
    const sx_cache_ask ask = {
        .answer = c->tiers ? answer : NULL, .ctx = ctx, .loop = c->tiers ? loop : NULL};
    return sx_cache_get(c->memory, key, 0, &ask, view);
}

bool geo_cache_has_tiers(const geo_cache *c)
{
    return c->tiers != NULL;
}

void geo_cache_fill(geo_cache *c, sx_cache_token token, const sx_buf *value, bool is_reverse)
{
    geo_cached answer;
    if (token.id == 0)
        return;
    if (value->failed || value->len > c->settings.value_bytes_max ||
        !geo_cached_read(sx_buf_view(value), &answer)) {
        geo_cache_give_up(c, token);
        return;
    }
    const uint32_t ttl_ms[GEO_WORTHS] = {[GEO_WORTH_EXACT] = c->settings.exact_ttl_ms,
                                         [GEO_WORTH_FUZZY] = c->settings.fuzzy_ttl_ms,
                                         [GEO_WORTH_NOT_FOUND] = c->settings.not_found_ttl_ms};
    sx_cache_how how = {.ttl_ms = ttl_ms[geo_cache_worth_of(&answer, is_reverse)]};
    /* Refused or without memory: it is computed again the next time. */
    (void)sx_cache_fill(c->memory, token, sx_buf_view(value), &how, NULL);
}

void geo_cache_give_up(geo_cache *c, sx_cache_token token)
{
    if (token.id)
        (void)sx_cache_fail(c->memory, token, SX_ECANCELED, NULL);
}

bool geo_cache_find_coded(geo_cache *c, sx_str key, sx_cache_view *view)
{
    return sx_cache_get(c->coded, key, 0, NULL, view) == SX_CACHE_HIT;
}

void geo_cache_keep_coded(geo_cache *c, sx_str key, sx_str coded)
{
    (void)sx_cache_put(c->coded, key, 0, coded, NULL, NULL); /* or it is compressed the next time */
}

const char *geo_cache_tier_name(const geo_cache *c, bool below)
{
    if (!below)
        return "memory";
    return c->store_count == 1 ? c->stores[0]->name : "below";
}

size_t geo_cache_rates(const geo_cache *c, geo_cache_rate out[GEO_CACHE_RATES])
{
    _Static_assert(STORES_MAX + 1 == GEO_CACHE_RATES, "room for each tier");
    sx_cache_stats memory = sx_cache_stats_of(c->memory);
    out[0] = (geo_cache_rate){"memory", memory.hits, memory.misses};
    for (size_t i = 0; i < c->store_count; i++) {
        sx_cache_tier_stats tier = sx_cache_tiers_stats_of(c->tiers, i);
        out[i + 1] = (geo_cache_rate){tier.name, tier.hits,
                                      tier.misses + tier.corrupt + tier.errors + tier.timeouts};
    }
    return c->store_count + 1;
}
