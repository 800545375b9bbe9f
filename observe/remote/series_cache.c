/* series_cache.c - the table behind series_cache.h: entries in order of arrival, so that a run of
 * guesses walks through memory in order, and slots that hold their numbers. */
#include "observe/remote/series_cache.h"

#include <sextant/mem.h>

enum { SLOTS_FIRST = 1024 };

void series_cache_init(series_cache *c, uint32_t max)
{
    *c = (series_cache){.max = max};
}

void series_cache_done(series_cache *c)
{
    sx_free(c->entries);
    sx_free(c->slots);
    *c = (series_cache){.max = c->max};
}

void series_cache_at(series_cache *c, int64_t now_ms)
{
    c->hour = (uint32_t)(now_ms / 3600000);
}

series_entry *series_cache_find(series_cache *c, uint64_t hash, uint32_t key_bytes)
{
    if (c->count == 0)
        return NULL;
    for (uint32_t i = (uint32_t)hash & c->slot_mask;; i = (i + 1) & c->slot_mask) {
        uint32_t number = c->slots[i];
        if (number == 0)
            return NULL;
        series_entry *e = &c->entries[number];
        if (e->hash == hash && e->key_bytes == key_bytes)
            return c->hour - e->hour <= SERIES_CACHE_HOURS ? e : NULL;
    }
}

static void put_slot(uint32_t *slots, uint32_t mask, uint64_t hash, uint32_t number)
{
    uint32_t i = (uint32_t)hash & mask;
    while (slots[i])
        i = (i + 1) & mask;
    slots[i] = number;
}

/* Keeps the slots at most two thirds full. */
static bool grow_slots(series_cache *c)
{
    uint64_t have = c->slots ? (uint64_t)c->slot_mask + 1 : 0;
    if (((uint64_t)c->count + 1) * 3 <= have * 2)
        return true;
    uint64_t want = have ? have * 2 : SLOTS_FIRST;
    if (want > UINT32_MAX)
        return false;
    uint32_t *slots = sx_calloc((size_t)want, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 1; i < c->count; i++)
        put_slot(slots, (uint32_t)want - 1, c->entries[i].hash, i);
    sx_free(c->slots);
    c->slots = slots;
    c->slot_mask = (uint32_t)want - 1;
    return true;
}

static void forget_all(series_cache *c)
{
    memset(c->slots, 0, ((size_t)c->slot_mask + 1) * sizeof *c->slots);
    c->count = 1;
    c->entries[0].next = 0;
    c->last = 0;
}

series_entry *series_cache_put(series_cache *c, uint64_t hash, uint32_t key_bytes, tsdb_ref ref)
{
    if (c->count > 1)
        for (uint32_t i = (uint32_t)hash & c->slot_mask; c->slots[i]; i = (i + 1) & c->slot_mask) {
            series_entry *e = &c->entries[c->slots[i]];
            if (e->hash != hash || e->key_bytes != key_bytes)
                continue;
            e->ref = ref; /* one that was not believed any more, or whose series had left */
            e->metadata = 0;
            e->hour = c->hour;
            return e;
        }
    if (c->count > c->max)
        forget_all(c);
    if (!sx_grow(&c->entries, &c->cap, (size_t)c->count + 2, sizeof *c->entries) || !grow_slots(c))
        return NULL;
    if (c->count == 0) {
        c->entries[0] = (series_entry){0};
        c->count = 1;
    }
    uint32_t number = c->count++;
    c->entries[number] = (series_entry){hash, ref, key_bytes, 0, 0, c->hour};
    put_slot(c->slots, c->slot_mask, hash, number);
    return &c->entries[number];
}
