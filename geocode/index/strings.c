/* strings.c - see strings.h. */
#include "geocode/index/strings.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

static void half_init(geo_strings_half *h)
{
    *h = (geo_strings_half){0};
    geo_pool_init(&h->pool);
}

static void half_done(geo_strings_half *h)
{
    geo_pool_done(&h->pool);
    sx_free(h->refs);
    half_init(h);
}

void geo_strings_init(geo_strings *s, geo_temp *temp, size_t count_max, size_t bytes_max)
{
    *s = (geo_strings){.count_max = count_max, .bytes_max = bytes_max};
    geo_spool_init(&s->out, temp);
    half_init(&s->now);
    half_init(&s->before);
}

void geo_strings_close(geo_strings *s)
{
    half_done(&s->now);
    half_done(&s->before);
}

void geo_strings_done(geo_strings *s)
{
    geo_strings_close(s);
    geo_spool_done(&s->out);
}

static sx_status store(geo_strings *s, sx_str text, uint32_t *ref, sx_error *err)
{
    uint64_t at = geo_spool_bytes(&s->out);
    if (at + text.len + 10 > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT,
                       "the index's texts pass 4 GB, more than the format can name; import fewer "
                       "documents or properties");
    geo_put_varint(&s->out.tail, text.len);
    sx_buf_str(&s->out.tail, text);
    *ref = (uint32_t)at;
    return geo_spool_settle(&s->out, "the index's strings", err);
}

sx_status geo_strings_put(geo_strings *s, sx_str text, uint32_t *ref, sx_error *err)
{
    geo_strings_half *now = &s->now;
    uint64_t hash = sx_hash(text, 0);
    uint32_t id, old;
    bool is_new;
    if (now->pool.count >= s->count_max || now->pool.heap.len >= s->bytes_max) {
        half_done(&s->before);
        s->before = *now;
        half_init(now);
    }
    sx_status status = geo_pool_put_hashed(&now->pool, text, hash, &id, &is_new, err);
    if (status != SX_OK)
        return status;
    if (!is_new) {
        *ref = now->refs[id];
        return SX_OK;
    }
    if (!sx_grow(&now->refs, &now->ref_cap, now->pool.count, sizeof(*now->refs)))
        return sx_fail_memory(err, "the index's strings");
    if (geo_pool_find(&s->before.pool, text, hash, &old))
        *ref = s->before.refs[old];
    else
        status = store(s, text, ref, err);
    now->refs[id] = *ref;
    return status;
}
