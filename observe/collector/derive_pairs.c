/* derive_pairs.c - a hash table with chains in a vector, a list by age, and numbered texts. */
#include "observe/collector/derive_pairs.h"

#include <string.h>

#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/utf8.h>

enum { TEXT_LOST = 1, TEXT_BYTES_MAX = 512, ITEMS_LEAST = 256 };

static size_t slot_of(const pairs *p, const uint8_t trace_id[16], const uint8_t span_id[8])
{
    uint64_t a, b, c;
    memcpy(&a, trace_id, 8);
    memcpy(&b, trace_id + 8, 8);
    memcpy(&c, span_id, 8);
    return sx_hash_u64(a ^ sx_hash_u64(b ^ c, p->seed), p->seed) & p->mask;
}

static sx_status texts_init(pairs *p, sx_error *err)
{
    static const char *const FIRST[] = {"", "overflow"};
    sx_arena_init(&p->arena, 0, PAIRS_TEXT_BYTES_MAX);
    sx_map_init(&p->numbers, NULL);
    p->texts = NULL;
    p->text_count = p->text_cap = 0;
    if (!sx_grow(&p->texts, &p->text_cap, SX_COUNT_OF(FIRST), sizeof(*p->texts)))
        return sx_fail_memory(err, "texts of edges");
    for (size_t i = 0; i < SX_COUNT_OF(FIRST); i++)
        p->texts[p->text_count++] = sx_str_z(FIRST[i]);
    return SX_OK;
}

static void texts_done(pairs *p)
{
    sx_map_done(&p->numbers);
    sx_arena_done(&p->arena);
    sx_free(p->texts);
}

sx_status pairs_init(pairs *p, size_t items_max, int64_t ttl_ms, uint32_t dimension_count,
                     sx_error *err)
{
    *p = (pairs){.items_max = items_max < PAIRS_NONE ? items_max : PAIRS_NONE - 1,
                 .ttl_ms = ttl_ms,
                 .dimension_count = dimension_count,
                 .seed = sx_hash_seed(),
                 .free = PAIRS_NONE,
                 .oldest = PAIRS_NONE,
                 .newest = PAIRS_NONE};
    return texts_init(p, err);
}

void pairs_done(pairs *p)
{
    texts_done(p);
    sx_free(p->items);
    sx_free(p->dimensions);
    sx_free(p->heads);
    *p = (pairs){0};
}

/* --- Pairs. */

static void chain(pairs *p, uint32_t at)
{
    uint32_t *head = &p->heads[slot_of(p, p->items[at].trace_id, p->items[at].span_id)];
    p->items[at].chain = *head;
    *head = at;
}

static bool grow(pairs *p)
{
    size_t cap = p->cap ? p->cap * 2 : ITEMS_LEAST, slots = 1;
    if (cap > p->items_max)
        cap = p->items_max;
    if (cap <= p->cap)
        return false;
    pair *items = sx_realloc(p->items, cap * sizeof(*items));
    if (!items)
        return false;
    p->items = items;
    if (p->dimension_count) {
        uint32_t *more =
            sx_realloc(p->dimensions, cap * p->dimension_count * sizeof(*p->dimensions));
        if (!more)
            return false;
        p->dimensions = more;
    }
    while (slots < cap)
        slots *= 2;
    uint32_t *heads = sx_alloc(slots * sizeof(*heads));
    if (!heads)
        return false;
    memset(heads, 0xff, slots * sizeof(*heads)); /* PAIRS_NONE */
    sx_free(p->heads);
    p->heads = heads;
    p->mask = slots - 1;
    p->cap = cap;
    for (uint32_t i = p->oldest; i != PAIRS_NONE; i = p->items[i].after)
        chain(p, i);
    return true;
}

uint32_t pairs_find(const pairs *p, const uint8_t trace_id[16], const uint8_t span_id[8])
{
    if (!p->count)
        return PAIRS_NONE;
    uint32_t at = p->heads[slot_of(p, trace_id, span_id)];
    while (at != PAIRS_NONE && (memcmp(p->items[at].span_id, span_id, 8) != 0 ||
                                memcmp(p->items[at].trace_id, trace_id, 16) != 0))
        at = p->items[at].chain;
    return at;
}

uint32_t pairs_put(pairs *p, const uint8_t trace_id[16], const uint8_t span_id[8], int64_t now_ms,
                   bool *made)
{
    uint32_t at = pairs_find(p, trace_id, span_id);
    *made = at == PAIRS_NONE;
    if (!*made)
        return at;
    at = p->free;
    if (at != PAIRS_NONE)
        p->free = p->items[at].chain;
    else if (p->used < p->cap || grow(p))
        at = p->used++;
    else
        return PAIRS_NONE;
    pair *it = &p->items[at];
    *it = (pair){.until_ms = now_ms + p->ttl_ms, .before = p->newest, .after = PAIRS_NONE};
    memcpy(it->trace_id, trace_id, sizeof(it->trace_id));
    memcpy(it->span_id, span_id, sizeof(it->span_id));
    if (p->dimension_count)
        memset(pairs_dimensions(p, at), 0, p->dimension_count * sizeof(*p->dimensions));
    if (p->newest != PAIRS_NONE)
        p->items[p->newest].after = at;
    else
        p->oldest = at;
    p->newest = at;
    chain(p, at);
    p->count++;
    return at;
}

void pairs_remove(pairs *p, uint32_t at)
{
    pair *it = &p->items[at];
    uint32_t *link = &p->heads[slot_of(p, it->trace_id, it->span_id)];
    while (*link != at)
        link = &p->items[*link].chain;
    *link = it->chain;
    if (it->before != PAIRS_NONE)
        p->items[it->before].after = it->after;
    else
        p->oldest = it->after;
    if (it->after != PAIRS_NONE)
        p->items[it->after].before = it->before;
    else
        p->newest = it->before;
    it->chain = p->free;
    p->free = at;
    p->count--;
}

uint32_t pairs_expired(const pairs *p, int64_t now_ms)
{
    return p->oldest != PAIRS_NONE && p->items[p->oldest].until_ms <= now_ms ? p->oldest
                                                                             : PAIRS_NONE;
}

/* --- Texts. */

uint32_t pairs_text(pairs *p, sx_str text)
{
    if (!text.len)
        return PAIRS_NO_TEXT;
    if (text.len > TEXT_BYTES_MAX)
        text = sx_utf8_first(text, TEXT_BYTES_MAX);
    sx_map_entry *e = sx_map_find(&p->numbers, text);
    if (e)
        return (uint32_t)e->u64;
    if (p->text_count >= PAIRS_TEXTS_MAX ||
        !sx_grow(&p->texts, &p->text_cap, p->text_count + 1, sizeof(*p->texts)))
        return TEXT_LOST;
    sx_str own = sx_arena_copy(&p->arena, text);
    e = own.data ? sx_map_put(&p->numbers, own, NULL) : NULL;
    if (!e)
        return TEXT_LOST;
    e->u64 = p->text_count;
    p->texts[p->text_count] = own;
    return (uint32_t)p->text_count++;
}

void pairs_tidy(pairs *p)
{
    pairs old = *p;
    if (p->text_count < PAIRS_TEXTS_MAX / 2 && p->arena.used_bytes < PAIRS_TEXT_BYTES_MAX / 2)
        return;
    if (texts_init(p, NULL) != SX_OK) {
        texts_done(p);
        *p = old;
        return;
    }
    for (uint32_t i = p->oldest; i != PAIRS_NONE; i = p->items[i].after) {
        pair *it = &p->items[i];
        uint32_t *numbers[] = {&it->client, &it->server, &it->peer};
        for (size_t n = 0; n < SX_COUNT_OF(numbers); n++)
            *numbers[n] = pairs_text(p, old.texts[*numbers[n]]);
        for (uint32_t n = 0; n < p->dimension_count; n++)
            pairs_dimensions(p, i)[n] = pairs_text(p, old.texts[pairs_dimensions(p, i)[n]]);
    }
    texts_done(&old);
}
