/* rows.h - spans as rows of numbers: every text and value interned once, the form between the network
 * and a segment.
 *
 * The memtable is one of these for each shard: intake interns, searches compare 32-bit ids, and a
 * flush hands the whole to the segment writer, which sorts and encodes without hashing a byte again.
 * Ids are 32-bit indexes into the arrays here, valid until tr_rows_clear. One thread writes; readers
 * hold the shard's lock (memtable.h says how).
 *
 * Used by memtable.c, segment_write.c, segment_merge.c. */
#ifndef OBSERVE_TRACES_ROWS_H
#define OBSERVE_TRACES_ROWS_H

#include "observe/spans/span.h"

enum { TR_NONE = 0 }; /* id of the empty string, of the empty attribute list */

/* An array that grows at its end and never moves: address space is taken once, memory is put under
 * it from the front. So who has seen a count under the shard's lock reads what is before it without
 * the lock. */
typedef struct tr_array {
    char *base;
    uint64_t reserved, committed; /* bytes */
} tr_array;

/* Memory under the first `bytes`; false if there is none. */
bool tr_array_commit(tr_array *a, uint64_t bytes) SX_MUST_USE;

typedef struct tr_dict_entry {
    const char *data;
    uint32_t len;
    uint32_t hash;
} tr_dict_entry;

/* Interned byte strings. Id 0 is "". Lists and maps are interned as their OTLP AnyValue bytes. */
typedef struct tr_dict {
    tr_dict_entry *entries; /* never move, never change */
    uint32_t count;
    uint64_t *slots; /* open addressing over entries: hash << 32 | id + 1; 0: free */
    uint32_t slot_mask;
    uint64_t seed;
    sx_arena arena; /* the bytes */
    tr_array memory;
} tr_dict;

/* One attribute. `bits`: STR, BYTES, LIST, MAP: the dictionary's id; INT: the number; BOOL 0 or 1;
 * DOUBLE: its bits; EMPTY 0. */
typedef struct tr_cell {
    uint32_t key; /* in the dictionary */
    uint32_t type;
    uint64_t bits;
} tr_cell;

/* A run of cells; equal runs of resources and scopes are one. */
typedef struct tr_cells {
    uint32_t first, count, dropped;
} tr_cells;

typedef struct tr_resource {
    tr_cells cells;
    uint32_t schema_url;
    uint32_t service; /* dictionary id of service.name as text; 0: none */
} tr_resource;

typedef struct tr_scope {
    uint32_t name, version, schema_url;
    tr_cells cells;
} tr_scope;

typedef struct tr_event {
    uint64_t time_ns;
    uint32_t name;
    tr_cells cells;
} tr_event;

typedef struct tr_link {
    uint8_t trace_id[16], span_id[8];
    uint32_t trace_state, flags;
    tr_cells cells;
} tr_link;

typedef struct tr_row {
    uint8_t trace_id[16], id[8], parent[8];
    uint64_t start_ns, end_ns;
    uint32_t name, trace_state, status_message;
    uint32_t resource, scope; /* indexes */
    uint32_t flags;
    tr_cells cells;
    uint32_t first_event, event_count, dropped_events;
    uint32_t first_link, link_count, dropped_links;
    uint8_t kind, status;
} tr_row;

/* A key that was seen: the text is here, so that one line of the cache tells all. */
typedef struct tr_key {
    uint32_t id, len; /* 0: none */
    char text[56];
} tr_key;

enum { TR_KEY_CACHE = 512, TR_ARRAYS = 6 };

typedef struct tr_rows {
    tr_dict dict;
    tr_row *rows;
    tr_cell *cells;
    tr_event *events;
    tr_link *links;
    tr_resource *resources;
    tr_scope *scopes;
    uint32_t count, cell_count, event_count, link_count, resource_count, scope_count;
    uint64_t min_ns, max_ns; /* of start_ns; UINT64_MAX and 0 without rows */
    /* --- rows.c's own: the memory of the arrays above, in their order; what was interned last. */
    tr_array arrays[TR_ARRAYS];
    uint32_t *resource_slots, *scope_slots; /* open addressing: index + 1 */
    uint32_t resource_mask, scope_mask;
    const span_resource *last_resource; /* of the batch being added: interned once each */
    const span_scope *last_scope;
    uint32_t last_resource_id, last_scope_id;
    tr_key key_cache[TR_KEY_CACHE]; /* by length and ends of the key */
    sx_buf scratch;
} tr_rows;

sx_status tr_rows_init(tr_rows *r, sx_error *err);
void tr_rows_done(tr_rows *r);
void tr_rows_clear(tr_rows *r); /* keeps the memory of one usual memtable */

/* Which part of a batch is meant: the spans whose trace falls to a shard. {0, 0}: all. */
typedef struct tr_part {
    uint32_t mask, shard; /* mask: shards - 1 */
} tr_part;
uint64_t tr_trace_hash(const uint8_t trace_id[16]);
static inline bool tr_part_has(tr_part part, const uint8_t trace_id[16])
{
    return part.mask == 0 || (tr_trace_hash(trace_id) >> 32 & part.mask) == part.shard;
}

/* Adds all spans of a batch: 300 ns each with eight attributes. Either all or, without memory, none. */
sx_status tr_rows_add(tr_rows *r, const span_batch *b, sx_error *err);
sx_status tr_rows_add_part(tr_rows *r, const span_batch *b, tr_part part, sx_error *err);

/* Takes rows from `count` on away again, the newest first; what they interned stays. */
typedef struct tr_mark {
    uint32_t count, cell_count, event_count, link_count;
    uint64_t min_ns, max_ns;
} tr_mark;
tr_mark tr_rows_mark(const tr_rows *r);
void tr_rows_rewind(tr_rows *r, tr_mark mark);

/* Bytes of memory held, and of those the bytes in use. */
size_t tr_rows_bytes(const tr_rows *r);
size_t tr_rows_used(const tr_rows *r);

/* The id of a string that is there; false: it is not. */
bool tr_dict_find(const tr_dict *d, sx_str s, uint32_t *id);
static inline sx_str tr_dict_get(const tr_dict *d, uint32_t id)
{
    return sx_str_of(d->entries[id].data, d->entries[id].len);
}

/* Row `i` as a span, all in `arena` (text is copied: the rows may be cleared meanwhile). */
sx_status tr_rows_span(const tr_rows *r, uint32_t i, sx_arena *arena, const span **out,
                       sx_error *err);

/* Several rows, put at the end of a batch; those of one resource or scope share it. `want` as in
 * segment.h (tr_want): without its bit a part stays empty. */
sx_status tr_rows_read(const tr_rows *r, const uint32_t *ids, size_t count, unsigned want,
                       span_batch *out, sx_error *err);

/* A cell as a value; lists and maps are decoded into `arena`, text is a view into the rows. */
sx_status tr_rows_value(const tr_rows *r, const tr_cell *cell, sx_arena *arena, span_value *out,
                        sx_error *err);

#endif
