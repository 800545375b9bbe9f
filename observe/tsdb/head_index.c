/* head_index.c - a shard's label pairs: found by hash, listed by name. Called by the head's files
 * under the shard's lock. */
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/head.h"

void *head_list_add(tsdb_region *r, head_list *l, size_t size)
{
    size_t have = l->count * size;
    if (!l->at || tsdb_region_size(have) < have + size) {
        tsdb_handle grown = tsdb_region_alloc(r, have + size);
        if (!grown)
            return NULL;
        if (l->at)
            memcpy(tsdb_region_at(r, grown), tsdb_region_at(r, l->at), have);
        tsdb_region_free(r, l->at, have);
        l->at = grown;
    }
    return (uint8_t *)tsdb_region_at(r, l->at) + l->count++ * size;
}

void head_list_done(tsdb_region *r, head_list *l, size_t size)
{
    tsdb_region_free(r, l->at, l->count * size);
    *l = (head_list){0};
}

head_extra *head_extra_of(head_shard *s, const head_series *series)
{
    return series->extra ? tsdb_region_at(&s->memory, series->extra) : NULL;
}

/* A name is a pair with an empty value, which no series has. */
static uint32_t hash_pair(sx_str name, sx_str value)
{
    uint64_t h = sx_hash(value, sx_hash(name, 0));
    return (uint32_t)(h >> 32);
}

static bool is_pair(const head_shard *s, const head_pair *p, sx_str name, sx_str value)
{
    if (!p->name)
        return value.len == 0 && sx_str_eq(head_pair_text(p), name);
    return sx_str_eq(head_pair_text(p), value) &&
           sx_str_eq(head_pair_text(head_pair_at(s, p->name)), name);
}

static tsdb_handle find_hashed(const head_shard *s, sx_str name, sx_str value, uint32_t hash)
{
    if (s->pairs_cap == 0)
        return 0;
    for (uint32_t i = hash & (s->pairs_cap - 1);; i = (i + 1) & (s->pairs_cap - 1)) {
        tsdb_handle h = s->pairs[i];
        if (h == 0)
            return 0;
        const head_pair *p = head_pair_at(s, h);
        if (p->hash == hash && is_pair(s, p, name, value))
            return h;
    }
}

tsdb_handle head_pair_find(const head_shard *s, sx_str name, sx_str value)
{
    return find_hashed(s, name, value, hash_pair(name, value));
}

static void put_slot(const head_shard *s, uint32_t *slots, uint32_t cap, tsdb_handle h)
{
    uint32_t i = head_pair_at(s, h)->hash & (cap - 1);
    while (slots[i])
        i = (i + 1) & (cap - 1);
    slots[i] = h;
}

/* A table of `cap` slots with the pairs that there are. */
static bool rebuild_table(head_shard *s, uint32_t cap)
{
    uint32_t *slots = sx_calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < s->pairs_cap; i++)
        if (s->pairs[i])
            put_slot(s, slots, cap, s->pairs[i]);
    sx_free(s->pairs);
    s->pairs = slots;
    s->pairs_cap = cap;
    return true;
}

static tsdb_handle make_pair(head_shard *s, sx_str text, tsdb_handle name, uint32_t hash)
{
    if ((uint64_t)s->pairs_count * 4 >= (uint64_t)s->pairs_cap * 3 &&
        !rebuild_table(s, s->pairs_cap ? s->pairs_cap * 2 : 64))
        return 0;
    tsdb_handle h = tsdb_region_alloc(&s->memory, sizeof(head_pair) + text.len);
    if (!h)
        return 0;
    head_pair *p = head_pair_at(s, h);
    *p = (head_pair){.name = name, .hash = hash, .len = (uint32_t)text.len};
    memcpy(p->bytes, text.data, text.len);
    put_slot(s, s->pairs, s->pairs_cap, h);
    s->pairs_count++;
    return h;
}

tsdb_handle head_pair_intern(head_shard *s, sx_str name, sx_str value)
{
    uint32_t hash = hash_pair(name, value);
    tsdb_handle h = find_hashed(s, name, value, hash);
    if (sx_likely(h))
        return h;
    if (name.len > UINT32_MAX / 2 || value.len > UINT32_MAX / 2)
        return 0;
    uint32_t name_hash = hash_pair(name, SX_STR(""));
    tsdb_handle name_at = find_hashed(s, name, SX_STR(""), name_hash);
    if (!name_at) {
        name_at = make_pair(s, name, 0, name_hash);
        if (!name_at)
            return 0;
        head_pair_at(s, name_at)->next = s->names;
        s->names = name_at;
    }
    h = make_pair(s, value, name_at, hash);
    if (!h)
        return 0; /* a name without values is swept at the next truncation */
    head_pair *of = head_pair_at(s, name_at);
    head_pair_at(s, h)->next = of->series.at;
    of->series.at = h;
    of->series.count++;
    return h;
}

/* Takes a pair out of the table by moving up what was displaced by it. */
static void remove_slot(head_shard *s, tsdb_handle h)
{
    uint32_t mask = s->pairs_cap - 1, i = head_pair_at(s, h)->hash & mask;
    while (s->pairs[i] != h)
        i = (i + 1) & mask;
    for (uint32_t next = (i + 1) & mask; s->pairs[next]; next = (next + 1) & mask) {
        uint32_t home = head_pair_at(s, s->pairs[next])->hash & mask;
        if (((next - home) & mask) >= ((next - i) & mask)) {
            s->pairs[i] = s->pairs[next];
            i = next;
        }
    }
    s->pairs[i] = 0;
    s->pairs_count--;
}

static void free_pair(head_shard *s, tsdb_handle h)
{
    head_pair *p = head_pair_at(s, h);
    remove_slot(s, h);
    if (p->name)
        tsdb_postings_done(&s->memory, &p->series);
    tsdb_region_free(&s->memory, h, sizeof *p + p->len);
}

void head_pairs_sweep(head_shard *s)
{
    tsdb_handle *name_link = &s->names;
    while (*name_link) {
        tsdb_handle name_at = *name_link;
        head_pair *name = head_pair_at(s, name_at);
        tsdb_handle *link = &name->series.at;
        while (*link) {
            tsdb_handle at = *link;
            head_pair *p = head_pair_at(s, at);
            if (p->refs) {
                link = &p->next;
                continue;
            }
            *link = p->next;
            name->series.count--;
            free_pair(s, at);
        }
        if (name->series.count) {
            name_link = &name->next;
            continue;
        }
        *name_link = name->next;
        free_pair(s, name_at);
    }
}
