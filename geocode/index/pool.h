/* pool.h - strings held once each, named by dense ids, their bytes in one growing heap.
 *
 * A string lies there as varint length, bytes. A hash table of ids finds it again; it compares in the
 * heap, so nothing is held twice. Used by the builder for strings, keys and terms. */
#ifndef GEOCODE_INDEX_POOL_H
#define GEOCODE_INDEX_POOL_H

#include <sextant/buf.h>

/* One place of the table. The hash spares most looks into the heap. */
typedef struct geo_pool_slot {
    uint32_t hash; /* its upper half */
    uint32_t id;   /* + 1; 0: free */
} geo_pool_slot;

typedef struct geo_pool {
    sx_buf heap;
    uint32_t *offsets; /* by id: where the string begins in the heap */
    size_t count, offset_cap;
    geo_pool_slot *slots;
    size_t slot_mask;
} geo_pool;

void geo_pool_init(geo_pool *p);
void geo_pool_done(geo_pool *p);

/* The id of `s`, which is added if it is new. Errors: SX_ENOMEM; SX_ELIMIT beyond 4 GB of text. */
sx_status geo_pool_put(geo_pool *p, sx_str s, uint32_t *id, sx_error *err);

/* The same, with sx_hash(s, 0) known; *is_new tells whether it was added. */
sx_status geo_pool_put_hashed(geo_pool *p, sx_str s, uint64_t hash, uint32_t *id, bool *is_new,
                              sx_error *err);

/* Whether `s` is there, and its id. */
bool geo_pool_find(const geo_pool *p, sx_str s, uint64_t hash, uint32_t *id);

/* The string with this id; good until the next put. */
sx_str geo_pool_get(const geo_pool *p, uint32_t id);

/* Appends a varint: the builder's streams are all made of them. */
void geo_put_varint(sx_buf *b, uint64_t value);
void geo_put_zigzag(sx_buf *b, int64_t value);

#endif
