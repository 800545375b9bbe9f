/* cache_record.h - a value as a tier keeps it: docs/formats/cache-record.md.
 *
 * Read back from places that others write to as well, so nothing in it is trusted before its checksum,
 * which covers the key too: a record under another key does not pass. */
#ifndef SEXTANT_RESILIENCE_CACHE_RECORD_H
#define SEXTANT_RESILIENCE_CACHE_RECORD_H

#include <sextant/str.h>

enum { CACHE_RECORD_HEAD = 56 };

typedef struct cache_record {
    bool is_absent;         /* known not to exist; `value` is a note */
    uint32_t class_version; /* sx_cache_class.version */
    uint64_t class_hash;    /* XXH3 of the class's name, seed 0 */
    int64_t stored_ms;      /* wall; of the first load, not of this copy */
    int64_t fresh_until_ms; /* wall; after stored_ms by at most 2^32 - 1 */
    uint64_t tag;
    sx_str value;
} cache_record;

/* Writes CACHE_RECORD_HEAD + value.len bytes (of at most UINT32_MAX) for `key`. */
void cache_record_write(const cache_record *r, sx_str key, char *out);

/* Reads one that was written for `key`; out->value points into `bytes`. False, *out untouched, for
 * anything else. */
bool cache_record_read(sx_str bytes, sx_str key, cache_record *out);

#endif
