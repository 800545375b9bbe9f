/* postings.h - the sorted series ids of one label pair, in a shard's region.
 *
 * Most lists are short: an array that grows by size classes. A long one is a directory of blocks of
 * at most 256 ids, so that adding costs a short move wherever it falls (ids are used again after a
 * series has gone) and growing copies only the directory. Ids are unique. The shard's lock guards
 * them. */
#ifndef OBSERVE_TSDB_POSTINGS_H
#define OBSERVE_TSDB_POSTINGS_H

#include "observe/tsdb/region.h"

typedef struct tsdb_postings {
    uint32_t count;
    tsdb_handle at;  /* the ids, or the directory */
    uint16_t blocks; /* 0: a plain array */
    uint16_t cap;    /* of the directory, blocks */
} tsdb_postings;

/* Adds an id; false if there is no memory (the list is as before). */
bool tsdb_postings_add(tsdb_region *r, tsdb_postings *p, uint32_t id) SX_MUST_USE;

/* Removes an id that is there. */
void tsdb_postings_remove(tsdb_region *r, tsdb_postings *p, uint32_t id);

/* Frees it all. */
void tsdb_postings_done(tsdb_region *r, tsdb_postings *p);

/* Writes all ids, p->count of them, to `out`, sorted. */
void tsdb_postings_copy(const tsdb_region *r, const tsdb_postings *p, uint32_t *out);

/* Whether `id` is in it: `hint` is 0 at first and belongs to one rising run of questions. */
bool tsdb_postings_has(const tsdb_region *r, const tsdb_postings *p, uint32_t id, uint32_t *hint);

#endif
