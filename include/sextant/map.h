/* map.h - hash tables: by string view (sx_map) and by number (sx_map64).
 *
 * Open addressing in one block of memory. A find looks at eight one-byte tags at a time and
 * compares a whole key once, nearly always the right one. Each table is seeded from the process's
 * secret, so keys from outside cannot be chosen to collide; the order of iteration is therefore
 * nobody's business and differs between runs. One thread at a time; finds alone may be concurrent. */
#ifndef SEXTANT_MAP_H
#define SEXTANT_MAP_H

#include <sextant/arena.h>
#include <sextant/str.h>

SX_BEGIN_DECLS

/* What both kinds share; map.c's own but for `count` and `seed`. */
typedef struct sx_table {
    uint8_t *tags;   /* mask + 1 of them and a copy of the first 8; in the block of `slots` */
    void *slots;     /* NULL while nothing was ever put */
    size_t mask;     /* slots - 1; a power of two less one */
    size_t count;    /* entries */
    size_t room;     /* puts into never used slots until the table must be rebuilt */
    uint64_t seed;   /* may be set right after _init, by a test that wants a fixed order */
    sx_arena *arena; /* where blocks come from; NULL: the heap */
} sx_table;

typedef struct sx_map {
    sx_table table;
} sx_map;

typedef struct sx_map64 {
    sx_table table;
} sx_map64;

/* One key and its value. Pointers to entries are good until the next put. */
typedef struct sx_map_entry {
    sx_str key; /* borrowed: the owner of the table keeps the bytes as long as the entry */
    union {
        void *ptr;
        uint64_t u64;
    };
} sx_map_entry;

typedef struct sx_map64_entry {
    uint64_t key;
    union {
        void *ptr;
        uint64_t u64;
    };
} sx_map64_entry;

/* An empty table. Its memory comes from `arena` (which outlives it; blocks that it outgrows stay
 * there until the arena goes), or from the heap if `arena` is NULL. Takes nothing yet. */
void sx_map_init(sx_map *m, sx_arena *arena);
void sx_map64_init(sx_map64 *m, sx_arena *arena);

/* Frees the table, not what keys and values point to; leaves it empty. */
void sx_map_done(sx_map *m);
void sx_map64_done(sx_map64 *m);

/* Forgets all entries, keeps the memory. */
void sx_map_clear(sx_map *m);
void sx_map64_clear(sx_map64 *m);

/* Number of entries. */
static inline size_t sx_map_count(const sx_map *m)
{
    return m->table.count;
}

static inline size_t sx_map64_count(const sx_map64 *m)
{
    return m->table.count;
}

/* Makes room for `count` entries in all, so that puts up to there neither fail nor move entries.
 * False, nothing changed, if there is no memory. */
bool sx_map_reserve(sx_map *m, size_t count) SX_MUST_USE;
bool sx_map64_reserve(sx_map64 *m, size_t count) SX_MUST_USE;

/* The entry of `key`, or NULL. HOT. */
sx_map_entry *sx_map_find(const sx_map *m, sx_str key);
sx_map64_entry *sx_map64_find(const sx_map64 *m, uint64_t key);

/* The entry of `key`, made with a zero value if there is none; *added (may be NULL) tells. A new
 * entry holds `key` itself: to own the bytes, replace entry->key by a copy with the same bytes.
 * NULL, nothing changed, if there is no memory. */
sx_map_entry *sx_map_put(sx_map *m, sx_str key, bool *added) SX_MUST_USE;
sx_map64_entry *sx_map64_put(sx_map64 *m, uint64_t key, bool *added) SX_MUST_USE;

/* Removes the entry of `key`; false if there is none. Other entries do not move. */
bool sx_map_remove(sx_map *m, sx_str key);
bool sx_map64_remove(sx_map64 *m, uint64_t key);

/* Runs over all entries: starts with *cursor = 0, returns NULL at the end. Removing entries during
 * the run is allowed, putting is not. */
sx_map_entry *sx_map_next(const sx_map *m, size_t *cursor);
sx_map64_entry *sx_map64_next(const sx_map64 *m, size_t *cursor);

/* The pointer of `key`, or NULL. */
static inline void *sx_map_get(const sx_map *m, sx_str key)
{
    sx_map_entry *e = sx_map_find(m, key);
    return e ? e->ptr : NULL;
}

static inline void *sx_map64_get(const sx_map64 *m, uint64_t key)
{
    sx_map64_entry *e = sx_map64_find(m, key);
    return e ? e->ptr : NULL;
}

/* Asserts every invariant, in time proportional to the table. Returns true. */
bool sx_map_check(const sx_map *m);
bool sx_map64_check(const sx_map64 *m);

SX_END_DECLS

#endif
