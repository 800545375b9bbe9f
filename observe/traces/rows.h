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

/* Interned byte strings. Id 0 is "". Lists and maps are interned as their OTLP AnyValue bytes. */
typedef struct tr_dict {
    char *bytes; /* one behind the other, in blocks; see rows.c */
    struct tr_dict_entry *entries;
    uint32_t count;
    uint32_t *slots; /* open addressing over entries */
    uint32_t slot_mask;
    sx_arena arena;
} tr_dict;

typedef struct tr_dict_entry {
    const char *data;
    uint32_t len;
    uint32_t hash;
} tr_dict_entry;

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

typedef struct tr_rows {
    tr_dict dict;
    tr_row *rows;
    tr_cell *cells;
    tr_event *events;
    tr_link *links;
    tr_resource *resources;
    tr_scope *scopes;
    uint32_t count, cell_count, event_count, link_count, resource_count, scope_count;
    uint32_t cap, cell_cap, event_cap, link_cap, resource_cap, scope_cap;
    uint64_t min_ns, max_ns;            /* of start_ns */
    const span_resource *last_resource; /* of the batch being added: interned once each */
    const span_scope *last_scope;
    uint32_t last_resource_id, last_scope_id;
} tr_rows;

sx_status tr_rows_init(tr_rows *r, sx_error *err);
void tr_rows_done(tr_rows *r);
void tr_rows_clear(tr_rows *r); /* keeps the memory of one usual memtable */

/* Adds all spans of a batch: 300 ns each with eight attributes. Either all or, without memory, none. */
sx_status tr_rows_add(tr_rows *r, const span_batch *b, sx_error *err);

/* Bytes of memory held. */
size_t tr_rows_bytes(const tr_rows *r);

/* The id of a string that is there; false: it is not. */
bool tr_dict_find(const tr_dict *d, sx_str s, uint32_t *id);
static inline sx_str tr_dict_get(const tr_dict *d, uint32_t id)
{
    return sx_str_of(d->entries[id].data, d->entries[id].len);
}

/* Row `i` as a span, all in `arena` (text is copied: the rows may be cleared meanwhile). */
sx_status tr_rows_span(const tr_rows *r, uint32_t i, sx_arena *arena, const span **out,
                       sx_error *err);

#endif
