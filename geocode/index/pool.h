/* pool.h - strings held once each, named by dense ids, their bytes in one growing heap.
 *
 * The heap is already in the form of the file's STRINGS section: varint length, bytes. A hash table
 * of ids finds a string again; it compares in the heap, so nothing is held twice. Used by the
 * builder for strings, keys and terms. */
#ifndef GEOCODE_INDEX_POOL_H
#define GEOCODE_INDEX_POOL_H

#include <sextant/buf.h>

typedef struct geo_pool {
    sx_buf heap;
    uint32_t *offsets; /* by id: where the string begins in the heap */
    size_t count, offset_cap;
    uint32_t *slots; /* id + 1; 0: free */
    size_t slot_mask;
} geo_pool;

void geo_pool_init(geo_pool *p);
void geo_pool_done(geo_pool *p);

/* The id of `s`, which is added if it is new. Errors: SX_ENOMEM; SX_ELIMIT beyond 4 GB of text. */
sx_status geo_pool_put(geo_pool *p, sx_str s, uint32_t *id, sx_error *err);

/* The same, giving the offset in the heap: what the file calls a string reference. */
sx_status geo_pool_ref(geo_pool *p, sx_str s, uint32_t *ref, sx_error *err);

/* The string with this id; good until the next put. */
sx_str geo_pool_get(const geo_pool *p, uint32_t id);

/* Appends a varint: the builder's streams are all made of them. */
void geo_put_varint(sx_buf *b, uint64_t value);
void geo_put_zigzag(sx_buf *b, int64_t value);

#endif
