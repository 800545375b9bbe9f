/* scrape_cache.c - the series of one target by position and by bytes. */
#include "observe/scrape/scrape_cache.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

enum { KEY_CHUNK_BYTES = 8192, TABLE_LEAST = 16 };

void scrape_cache_init(scrape_cache *c)
{
    *c = (scrape_cache){0};
    sx_arena_init(&c->keys, KEY_CHUNK_BYTES, 0);
}

void scrape_cache_done(scrape_cache *c)
{
    sx_free(c->entries);
    sx_free(c->table);
    sx_free(c->free_list);
    sx_free(c->order);
    sx_free(c->next_order);
    sx_arena_done(&c->keys);
    *c = (scrape_cache){0};
}

/* Numbers of scrapes begin at 1 and skip 0, which means "never". After 2^32 scrapes an entry that has
 * not come since would look fresh; by then it has long been removed. */
void scrape_cache_begin(scrape_cache *c)
{
    c->scrape = c->scrape == UINT32_MAX ? 1 : c->scrape + 1;
    c->cursor = c->next_count = 0;
    c->known_seen = c->tracked_now = c->tracked_again = 0;
    c->live_before = c->live;
    c->open = true;
}

/* --- The table. */

static uint32_t hash_of(sx_str key)
{
    return (uint32_t)sx_hash(key, sx_hash_seed());
}

static size_t table_find(const scrape_cache *c, sx_str key, uint32_t hash)
{
    size_t mask = c->table_size - 1, at = hash & mask;
    for (; c->table[at]; at = (at + 1) & mask) {
        const cache_entry *e = &c->entries[c->table[at] - 1];
        if (e->hash == hash && e->key_len == key.len && memcmp(e->key, key.data, key.len) == 0)
            break;
    }
    return at;
}

static void table_put(scrape_cache *c, uint32_t number)
{
    size_t mask = c->table_size - 1, at = c->entries[number].hash & mask;
    while (c->table[at])
        at = (at + 1) & mask;
    c->table[at] = number + 1;
}

static bool table_resize(scrape_cache *c, size_t size)
{
    uint32_t *table = sx_calloc(size, sizeof *table);
    if (!table)
        return false;
    sx_free(c->table);
    c->table = table;
    c->table_size = size;
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].born)
            table_put(c, (uint32_t)i);
    }
    return true;
}

/* Knuth's deletion for linear probing: what could not be found past the gap moves into it. */
static void table_remove(scrape_cache *c, uint32_t number)
{
    size_t mask = c->table_size - 1, gap = c->entries[number].hash & mask;
    while (c->table[gap] != number + 1)
        gap = (gap + 1) & mask;
    for (size_t at = (gap + 1) & mask; c->table[at]; at = (at + 1) & mask) {
        size_t home = c->entries[c->table[at] - 1].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            c->table[gap] = c->table[at];
            gap = at;
        }
    }
    c->table[gap] = 0;
}

/* --- Entries. */

cache_entry *scrape_cache_find(scrape_cache *c, sx_str key)
{
    sx_str expected = scrape_cache_expected(c); /* formats that are not compared by the reader */
    if (expected.len && sx_str_eq(expected, key))
        return scrape_cache_take(c);
    if (c->live == 0)
        return NULL;
    size_t at = table_find(c, key, hash_of(key));
    if (!c->table[at])
        return NULL;
    uint32_t number = c->table[at] - 1;
    cache_entry *e = &c->entries[number];
    if (e->place < c->order_count && c->order[e->place] == number)
        c->cursor = (size_t)e->place + 1;
    return e;
}

cache_entry *scrape_cache_add(scrape_cache *c, sx_str key, tsdb_ref ref)
{
    if (c->live + 1 > c->table_size / 4 * 3 &&
        !table_resize(c, c->table_size ? c->table_size * 2 : TABLE_LEAST))
        return NULL;
    uint32_t number = c->free_count ? c->free_list[c->free_count - 1] : (uint32_t)c->count;
    if (number == c->count && (c->count >= CACHE_NONE - 1 ||
                               !sx_grow(&c->entries, &c->cap, c->count + 1, sizeof *c->entries)))
        return NULL;
    sx_str copy = sx_arena_copy(&c->keys, key);
    if (!copy.data)
        return NULL;
    c->free_count -= c->free_count > 0;
    c->count += number == c->count;
    c->live++;
    c->key_bytes += key.len;
    cache_entry *e = &c->entries[number];
    *e = (cache_entry){.key = copy.data,
                       .key_len = (uint32_t)key.len,
                       .hash = hash_of(key),
                       .ref = ref,
                       .born = c->scrape};
    table_put(c, number);
    return e;
}

bool scrape_cache_note_slow(scrape_cache *c, cache_entry *e)
{
    if (!sx_grow(&c->next_order, &c->next_cap, c->next_count + 1, sizeof *c->next_order))
        return false;
    c->next_order[c->next_count++] = (uint32_t)(e - c->entries);
    return true;
}

/* Without memory for the free list the number is lost until the cache is packed. */
static void remove_entry(scrape_cache *c, uint32_t number)
{
    cache_entry *e = &c->entries[number];
    table_remove(c, number);
    c->key_bytes -= e->key_len;
    c->dead_bytes += e->key_len;
    c->live--;
    *e = (cache_entry){0};
    if (sx_grow(&c->free_list, &c->free_cap, c->free_count + 1, sizeof *c->free_list))
        c->free_list[c->free_count++] = number;
}

static void remove_unseen(scrape_cache *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].born && c->entries[i].seen != c->scrape)
            remove_entry(c, (uint32_t)i);
    }
}

/* Copies what lives, in the order of the last scrape, so that reading by position walks memory in
 * one direction. All entries are in `order` then. Without memory nothing changes. */
static void pack(scrape_cache *c)
{
    sx_arena keys;
    cache_entry *entries = sx_alloc(c->live * sizeof *entries);
    sx_arena_init(&keys, KEY_CHUNK_BYTES, 0);
    size_t n = 0;
    for (; entries && n < c->order_count; n++) {
        entries[n] = c->entries[c->order[n]];
        sx_str copy = sx_arena_copy(&keys, sx_str_of(entries[n].key, entries[n].key_len));
        if (!copy.data)
            break;
        entries[n].key = copy.data;
    }
    if (!entries || n < c->order_count) {
        sx_free(entries);
        sx_arena_done(&keys);
        return;
    }
    sx_arena_done(&c->keys);
    sx_free(c->entries);
    c->keys = keys;
    c->entries = entries;
    c->count = c->cap = n;
    c->free_count = 0;
    c->dead_bytes = 0;
    for (size_t i = 0; i < n; i++)
        c->order[i] = (uint32_t)i;
    memset(c->table, 0, c->table_size * sizeof *c->table);
    for (size_t i = 0; i < n; i++)
        table_put(c, (uint32_t)i);
}

/* --- The end of a scrape. */

sx_status scrape_cache_each_stale(scrape_cache *c, bool all, scrape_cache_stale *fn, void *ctx,
                                  sx_error *err)
{
    if (c->tracked_before == 0 || (!all && c->tracked_again == c->tracked_before))
        return SX_OK;
    for (size_t i = 0; i < c->order_count; i++) {
        const cache_entry *e = &c->entries[c->order[i]];
        if (e->tracked != c->last && !(all && e->tracked == c->scrape))
            continue;
        sx_status st = fn(ctx, e->ref, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

void scrape_cache_commit(scrape_cache *c)
{
    bool same = c->next_count == c->order_count && c->next_count > 0 &&
                memcmp(c->order, c->next_order, c->next_count * sizeof *c->order) == 0;
    if (c->known_seen != c->live_before)
        remove_unseen(c);
    uint32_t *order = c->order;
    size_t cap = c->order_cap;
    c->order = c->next_order;
    c->order_count = c->next_count;
    c->order_cap = c->next_cap;
    c->next_order = order;
    c->next_cap = cap;
    for (size_t i = 0; !same && i < c->order_count; i++)
        c->entries[c->order[i]].place = (uint32_t)i;
    c->tracked_before = c->tracked_now;
    c->last = c->scrape;
    c->open = false;
    if (c->dead_bytes > c->key_bytes + KEY_CHUNK_BYTES && c->order_count == c->live && c->live)
        pack(c);
}

void scrape_cache_fail(scrape_cache *c)
{
    if (!c->open)
        scrape_cache_begin(c);
    for (size_t i = 0; c->live != c->live_before && i < c->count; i++) {
        if (c->entries[i].born == c->scrape)
            remove_entry(c, (uint32_t)i);
    }
    c->tracked_before = 0;
    c->last = 0;
    c->open = false;
}

bool scrape_cache_check(const scrape_cache *c)
{
    size_t live = 0, bytes = 0, filled = 0;
    for (size_t i = 0; i < c->count; i++) {
        const cache_entry *e = &c->entries[i];
        if (!e->born)
            continue;
        sx_str key = sx_str_of(e->key, e->key_len);
        sx_assert(c->table[table_find(c, key, e->hash)] == i + 1);
        live++;
        bytes += e->key_len;
    }
    for (size_t i = 0; i < c->table_size; i++)
        filled += c->table[i] != 0;
    sx_assert(live == c->live && filled == live && bytes == c->key_bytes);
    for (size_t i = 0; i < c->order_count; i++)
        sx_assert(c->order[i] < c->count && c->entries[c->order[i]].born);
    return true;
}
