/* segment_impl.h - what the files of segment*.c share: the layout, the group builder, side tables.
 *
 * docs/formats/trace-segment.md is the layout in words; here are its numbers. Nobody else includes
 * this. */
#ifndef OBSERVE_TRACES_SEGMENT_IMPL_H
#define OBSERVE_TRACES_SEGMENT_IMPL_H

#include <stdatomic.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/traces/column.h"
#include "observe/traces/segment.h"

/* --- The file. */
#define TR_MAGIC "SXTRSEG1"
enum {
    TR_VERSION = 1,
    TR_HEADER_BYTES = 16,
    TR_TRAILER_BYTES = 128,
    TR_GROUPS_MAX = 1 << 24,
    TR_GROUP_CELLS = 1 << 20,     /* a group is closed when it has so many attributes ... */
    TR_GROUP_TEXT = 16 << 20,     /* ... or so many bytes of texts of its own */
    TR_GROUP_CELLS_MAX = 1 << 24, /* no reader takes more */
    TR_DICT_BYTES_MAX = 1 << 30,  /* of a segment's dictionary */
    TR_DICT_COUNT_MAX = 1 << 20,  /* texts in it */
    TR_DICT_TEXT_MAX = 4096,      /* longer ones stay with their group */
    TR_KEYS_LISTED = 1 << 16      /* keys by place and type; more are not listed */
};

typedef enum tr_section_kind {
    TR_SECTION_DICT = 1,
    TR_SECTION_GROUPS,
    TR_SECTION_TRACES,
    TR_SECTION_OPERATIONS,
    TR_SECTION_KEYS,
    TR_SECTION_EDGES,   /* there may be several */
    TR_SECTION_ORPHANS, /* the same */
    TR_SECTION_KINDS
} tr_section_kind;

typedef struct tr_section {
    uint32_t kind, crc;
    uint64_t offset, len;
} tr_section;

typedef struct tr_trailer {
    char magic[8];
    uint32_t version, section_count;
    uint64_t table_offset;
    uint64_t rows, traces, groups, min_ns, max_ns, sequence, errors;
    uint32_t level, table_crc;
    uint64_t reserved[4];
    uint32_t zero, crc; /* of all before */
} tr_trailer;
_Static_assert(sizeof(tr_trailer) == TR_TRAILER_BYTES, "the trailer's size is the format's");

/* One group in TR_SECTION_GROUPS. Its filter follows its bytes. */
typedef struct tr_summary {
    uint64_t offset, first_row;
    uint32_t len, crc, filter_len, filter_crc;
    uint64_t min_ns, max_ns, min_duration, max_duration;
    uint32_t rows, traces, errors;
    uint8_t kinds, statuses; /* a bit for each that occurs */
    uint8_t goes_on;         /* its first trace began in the group before */
    uint8_t zero;
} tr_summary;
_Static_assert(sizeof(tr_summary) == 80, "the summary's size is the format's");

/* --- A group. */
enum { TR_AT_SPAN, TR_AT_RESOURCE, TR_AT_SCOPE, TR_AT_EVENT, TR_AT_LINK, TR_PLACES };

typedef enum tr_chunk {
    TR_C_TRACE_IDS, /* 16 bytes a trace; never packed: lookups read them in place */
    TR_C_RUNS,      /* u16 a trace: its rows; the same */
    TR_C_TRACE_STARTS,
    TR_C_IDS,
    TR_C_PARENTS,     /* 0: none; 1: raw; else 2 + zigzag of the distance in rows */
    TR_C_PARENTS_RAW, /* 8 bytes each */
    TR_C_STARTS,
    TR_C_DURATIONS,
    TR_C_NAMES,
    TR_C_STATES,
    TR_C_MESSAGES,
    TR_C_MARKS, /* kind | status << 3 */
    TR_C_FLAGS,
    TR_C_RESOURCES,
    TR_C_SCOPES,
    TR_C_DROPPED_EVENTS,
    TR_C_DROPPED_LINKS,
    TR_C_EVENT_COUNTS,
    TR_C_LINK_COUNTS,
    TR_C_RESOURCE_SERVICES,
    TR_C_RESOURCE_SCHEMAS,
    TR_C_SCOPE_NAMES,
    TR_C_SCOPE_VERSIONS,
    TR_C_SCOPE_SCHEMAS,
    TR_C_EVENT_TIMES, /* since the span's start */
    TR_C_EVENT_NAMES,
    TR_C_LINK_TRACES,
    TR_C_LINK_SPANS,
    TR_C_LINK_STATES,
    TR_C_LINK_FLAGS,
    TR_C_KEYS,                             /* of the columns */
    TR_C_COLUMNS,                          /* place and type of each */
    TR_C_SHAPES,                           /* five: the lists of columns that occur, then */
    TR_C_SHAPE = TR_C_SHAPES + TR_PLACES,  /* which of them each list of attributes has, and */
    TR_C_DROPPED = TR_C_SHAPE + TR_PLACES, /* how many the client dropped */
    TR_CHUNKS = TR_C_DROPPED + TR_PLACES
} tr_chunk;

/* At the start of a group; then TR_CHUNKS + column_count lengths (u32), then the chunks. */
typedef struct tr_group_head {
    uint32_t rows, traces, column_count;
    uint32_t lists[TR_PLACES]; /* spans (= rows), resources, scopes, events, links */
} tr_group_head;

static inline bool tr_type_is_text(unsigned type)
{
    return type == SPAN_STR || type == SPAN_BYTES || type == SPAN_LIST || type == SPAN_MAP;
}

/* --- Filters over what a group has (segment_filter.c). */
enum { /* what an item is of, besides attributes */
       TR_ITEM_SERVICE = 1,
       TR_ITEM_NAME,
       TR_ITEM_EVENT,
       TR_ITEM_SCOPE,
       TR_ITEM_MESSAGE
};
static inline uint64_t tr_item(uint64_t of, uint64_t text_hash)
{
    return (of * 0x9e3779b97f4a7c15u) ^ ((text_hash << 32 | text_hash >> 32) + of);
}
uint64_t tr_item_text(unsigned of, sx_str text);         /* a field */
uint64_t tr_item_value(uint64_t key_hash, sx_str text);  /* an attribute of this text */
uint64_t tr_item_type(uint64_t key_hash, unsigned type); /* an attribute of this type */
uint64_t tr_text_hash(sx_str text);

typedef struct tr_items {
    uint64_t *list; /* in the order they came; equal ones are taken out if there are any */
    size_t count, list_cap;
    uint64_t *work; /* of the build */
    size_t work_cap;
    uint32_t *stack, *weights;
    size_t stack_cap, weights_cap;
} tr_items;
static inline bool tr_items_add(tr_items *s, uint64_t item)
{
    if (sx_unlikely(s->count == s->list_cap) &&
        !sx_grow(&s->list, &s->list_cap, s->count + 1, sizeof *s->list))
        return false;
    s->list[s->count++] = item;
    return true;
}
void tr_items_done(tr_items *s);
/* Appends the filter of the items. False without memory. */
bool tr_filter_build(tr_items *s, sx_buf *out);
/* False: the item is not in the set. A filter that is no filter has everything. */
bool tr_filter_has(const uint8_t *filter, size_t len, uint64_t item);

/* --- What is known of a segment besides its rows (segment_side.c). */
typedef struct tr_side tr_side;
tr_side *tr_side_new(void);
void tr_side_free(tr_side *s);
/* The number of a name; UINT32_MAX without memory. */
uint32_t tr_side_name(tr_side *s, sx_str name);
typedef struct tr_side_span {
    uint8_t id[8], parent[8];
    uint64_t start_ns, duration_ns;
    uint32_t service, peer; /* names; peer 0: none */
    uint8_t peer_kind;      /* tr_edge_kind */
    bool error;
    bool called;   /* tr_side's own: a span of another service has it as parent */
    uint32_t part; /* the same: tr_side_part's */
} tr_side_span;
bool tr_side_operation(tr_side *s, uint32_t service, sx_str name, unsigned kind, uint64_t count);
bool tr_side_key(tr_side *s, unsigned place, sx_str key, unsigned type);
bool tr_side_put(tr_side *s, const tr_side_span *one);
/* All spans of a trace have been put. */
bool tr_side_end_trace(tr_side *s, const uint8_t trace_id[16]);
/* Tables summed up: they are filled from those of a merge's inputs by the functions here, and rows add
 * only what the sums cannot have, the calls of traces whose parts come together, of which each part's
 * own are taken back. `part` numbers the input the next rows come from; 0: they are counted already. */
void tr_side_sum(tr_side *s, bool on);
void tr_side_part(tr_side *s, uint32_t part);
bool tr_side_counts(const tr_side *s); /* the calls of the rows that come */
bool tr_side_lists(const tr_side *s);  /* their operations */
bool tr_side_edge(tr_side *s, uint32_t parent, uint32_t child, const tr_edge *sum);
bool tr_side_orphan(tr_side *s, const uint8_t trace_id[16], const tr_side_span *of);
/* Edges and orphans take so much memory that they should be written. */
bool tr_side_is_full(const tr_side *s);
void tr_side_write_edges(tr_side *s, sx_buf *out);
void tr_side_write_orphans(tr_side *s, sx_buf *out);
void tr_side_write_operations(tr_side *s, sx_buf *out);
void tr_side_write_keys(tr_side *s, sx_buf *out);

/* --- The group being built (segment_build.c gathers, segment_encode.c writes). */
typedef struct tr_column {
    uint32_t key, place, type;
    uint64_t *values;
    size_t count, cap;
} tr_column;

typedef struct tr_shape {
    uint64_t hash;
    uint32_t first, count; /* in shape_cells and shape_columns */
    uint32_t peer;         /* place in the list of the attribute that names a peer, + 1 */
    uint8_t peer_kind;
} tr_shape;

/* The lists of attributes of one place. */
typedef struct tr_lists {
    uint32_t *shape_of, *dropped; /* of each list */
    size_t count, shape_of_cap, dropped_cap;
    tr_shape *shapes;
    size_t shape_count, shapes_cap;
    uint32_t *slots; /* shape + 1 */
    size_t slot_mask;
} tr_lists;

typedef struct tr_list_ref { /* resources and scopes in content order, to find equal ones */
    uint64_t hash;
    uint32_t index;
} tr_list_ref;

typedef struct tr_builder {
    tr_packer packer;
    uint32_t globals; /* texts of the segment's dictionary */
    const sx_str *global_texts;
    uint32_t round; /* counts groups: who maps into this one forgets at the next */

    sx_str *texts; /* behind the globals; fixed for a flush, of the group for a merge */
    size_t text_count, texts_cap;
    bool texts_fixed;
    bool texts_counted; /* fixed ones of which a group could have too many bytes */
    sx_arena text_arena;
    uint32_t *text_slots; /* index + 1 */
    size_t text_mask;

    tr_row *rows; /* cells.first is not used */
    size_t row_count, rows_cap;
    tr_event *events;
    size_t event_count, events_cap;
    tr_link *links;
    size_t link_count, links_cap;
    tr_resource *resources;
    uint32_t *resource_names; /* the service's, in the side tables */
    size_t resource_count, resources_cap, resource_names_cap;
    tr_scope *scopes;
    size_t scope_count, scopes_cap;
    tr_cell *kept; /* cells of resources and scopes */
    size_t kept_count, kept_cap;
    uint64_t *resource_hashes, *scope_hashes;
    size_t resource_hashes_cap, scope_hashes_cap;

    tr_lists lists[TR_PLACES];
    tr_column *columns;
    size_t column_count, columns_made, columns_cap;
    uint32_t *column_slots; /* column + 1 */
    size_t column_mask;
    uint64_t *shape_cells; /* key << 8 | type */
    uint32_t *shape_columns;
    size_t shape_cell_count, shape_cells_cap, shape_columns_cap;

    size_t cell_count, text_bytes;
    tr_items items;
    tr_side *side;

    /* Scratch of the encoder. */
    uint64_t *numbers;
    uint32_t *codes;
    uint8_t *raw;
    size_t numbers_cap, codes_cap, raw_cap;
} tr_builder;

sx_status tr_builder_init(tr_builder *b, int zstd_level, tr_side *side, sx_error *err);
void tr_builder_done(tr_builder *b);
/* The code of a text in the group being built. UINT32_MAX without memory. */
uint32_t tr_builder_text(tr_builder *b, sx_str text);
sx_str tr_builder_text_of(const tr_builder *b, uint32_t code);
bool tr_builder_full(const tr_builder *b);
/* Forgets the group. */
void tr_builder_clear(tr_builder *b);
/* The group as bytes and its filter; `sum` but its offsets and checksums. */
sx_status tr_builder_encode(tr_builder *b, sx_buf *group, sx_buf *filter, tr_summary *sum,
                            sx_error *err);
/* One list of attributes, cells already in codes of this group. */
bool tr_builder_list(tr_builder *b, unsigned place, const tr_cell *cells, uint32_t count,
                     uint32_t dropped);

/* Where rows come from: numbers of a memtable or of an input of a merge, and what they are here. */
enum { TR_UNMAPPED = UINT32_MAX };
typedef struct tr_feed {
    const tr_row *rows;
    const tr_cell *cells;
    const tr_event *events;
    const tr_link *links;
    const tr_resource *resources;
    const tr_scope *scopes;
    const uint32_t *map; /* of the source's first map_count texts; TR_UNMAPPED: look `get` up */
    uint32_t map_count;
    const sx_str *locals; /* texts behind those */
    sx_str (*get)(const void *ctx, uint32_t code);
    const void *get_ctx;
    uint32_t local_count, resource_count, scope_count;
    /* The feed's own: what was mapped into the group of `round`, + 1. */
    uint32_t *local_map, *resource_map, *scope_map;
    size_t local_cap, resource_cap, scope_cap;
    uint32_t round;
    tr_cell *cell_scratch;
    size_t cell_scratch_cap;
} tr_feed;
void tr_feed_done(tr_feed *f);
/* A new set of rows and texts is in the feed. */
void tr_feed_reset(tr_feed *f);
bool tr_feed_row(tr_feed *f, uint32_t row, tr_builder *b);

/* --- The file being written (segment_file.c). */
typedef struct tr_file {
    sx_writer writer;
    char *path, *making;
    const tr_write_options *options;
    tr_builder builder;
    tr_side *side;
    sx_buf group, filter;
    tr_summary *groups;
    size_t group_count, groups_cap;
    tr_section *sections;
    size_t section_count, sections_cap;
    uint64_t *traces; /* high bits of the hash, group */
    size_t trace_count, traces_cap;
    uint8_t trace[16]; /* of the last row */
    bool in_trace, group_goes_on;
    uint32_t rows_soft; /* a group of so many rows ends with the trace at hand */
    tr_segment_info info;
} tr_file;
sx_status tr_file_open(tr_file *f, const char *path, const tr_write_options *options,
                       sx_error *err);
/* The dictionary, sorted; the views stay good until the end. */
sx_status tr_file_dict(tr_file *f, const sx_str *texts, uint32_t count, sx_error *err);
/* The next row, in order. */
enum { TR_GROUP_SLACK = 256 }; /* rows below TR_GROUP_ROWS at which groups end with a trace */
sx_status tr_file_row(tr_file *f, tr_feed *feed, uint32_t row, sx_error *err);
/* A group of another segment as it is but for the numbers of its texts; `map` has those of all its
 * dictionary. It may come to stand before rows that were given before. */
sx_status tr_file_group(tr_file *f, const tr_segment *s, uint64_t group, const uint32_t *map,
                        tr_unpacker *unpacker, sx_error *err);
/* Writes edges and orphans if there are many. */
sx_status tr_file_sides(tr_file *f, sx_error *err);
sx_status tr_file_commit(tr_file *f, tr_segment_info *info, sx_error *err);
void tr_file_abandon(tr_file *f);

/* --- A segment open for reading (segment_read.c). */
struct tr_segment {
    _Atomic uint32_t refs;
    _Atomic bool dropped;
    tr_hot *hot; /* may be NULL */
    char *path;
    sx_mapping map;
    tr_segment_info info;
    const tr_section *sections;
    uint32_t section_count;
    _Atomic uint8_t *section_good; /* its checksum has been seen to be right */
    const tr_summary *groups;
    _Atomic uint8_t *group_good;  /* 1: the group's checksum, 2: the filter's */
    const uint32_t *dict_offsets; /* NULL until checked */
    const char *dict_bytes;
    uint32_t dict_count;
    const uint32_t *bucket_starts, *trace_entries;
    uint32_t bucket_bits, group_bits, print_bits;
};

sx_status tr_segment_damaged(const tr_segment *s, sx_error *err, const char *what, uint64_t where);
/* Bytes of a group or of its filter, their checksum checked once. */
sx_status tr_segment_group(const tr_segment *s, uint64_t group, const uint8_t **bytes,
                           sx_error *err);
sx_status tr_segment_filter(const tr_segment *s, uint64_t group, const uint8_t **bytes,
                            sx_error *err);
sx_status tr_segment_section(const tr_segment *s, size_t i, sx_str *out, sx_error *err);
/* A text of the dictionary; false: there is no such one. */
bool tr_segment_find_text(const tr_segment *s, sx_str text, uint32_t *code);
static inline sx_str tr_segment_text(const tr_segment *s, uint32_t code)
{
    uint32_t at = s->dict_offsets[code];
    return sx_str_of(s->dict_bytes + at, s->dict_offsets[code + 1] - at);
}
/* The group that has the row. */
uint64_t tr_segment_group_of(const tr_segment *s, uint64_t row);

/* --- A group being read (segment_decode.c). */

/* Of arenas that groups are unpacked into: most groups fit one chunk, which a reset keeps. */
enum { TR_ARENA_CHUNK = 6 << 20 };

typedef struct tr_group {
    const tr_segment *segment;
    uint64_t index;
    const tr_summary *sum;
    tr_group_head head;
    const uint8_t *lengths; /* of the chunks */
    const uint8_t *data;
    const uint32_t *offsets; /* of each chunk in data, one more than there are */
    sx_arena *arena;
    tr_unpacker *unpacker;
    tr_text_column keys; /* read by tr_group_columns */
    const uint8_t *column_marks;
    struct tr_group_shapes {
        bool read;
        uint32_t count;
        uint32_t *first; /* of each, in columns; one more than there are */
        uint32_t *columns;
        uint32_t *shape_of; /* of each list */
    } shapes[TR_PLACES];
    uint64_t *column_counts; /* values of each column; 0 until its place's shapes are read */
} tr_group;

/* Everything is put into the arena. */
sx_status tr_group_open(tr_group *g, const tr_segment *s, uint64_t index, sx_arena *arena,
                        tr_unpacker *unpacker, sx_error *err);
tr_cursor tr_group_chunk(const tr_group *g, unsigned chunk);
sx_status tr_group_fail(const tr_group *g, const tr_cursor *c, unsigned chunk, sx_error *err);
sx_status tr_group_ints(const tr_group *g, unsigned chunk, size_t count, uint64_t **out,
                        sx_error *err);
sx_status tr_group_codes(const tr_group *g, unsigned chunk, size_t count, uint64_t limit,
                         uint32_t **out, sx_error *err);
sx_status tr_group_texts(const tr_group *g, unsigned chunk, size_t count, bool want_codes,
                         tr_text_column *out, sx_error *err);
sx_status tr_group_columns(tr_group *g, sx_error *err);
sx_status tr_group_shapes_of(tr_group *g, unsigned place, sx_error *err);
static inline sx_str tr_column_text(const tr_segment *s, const tr_text_column *t, uint32_t code)
{
    return code < t->global_count ? tr_segment_text(s, t->globals[code])
                                  : t->locals[code - t->global_count];
}
static inline unsigned tr_column_place(const tr_group *g, uint32_t column)
{
    return g->column_marks[2 * (size_t)column];
}
static inline unsigned tr_column_type(const tr_group *g, uint32_t column)
{
    return g->column_marks[2 * (size_t)column + 1];
}
/* Starts of all rows of the group. */
sx_status tr_group_starts(const tr_group *g, uint64_t **out, sx_error *err);

/* Rows in the form of rows.h: texts below the dictionary's count are its, the others are in `texts`. */
typedef struct tr_decoded {
    sx_arena arena;
    tr_row *rows; /* row `first` of the group is rows[0] */
    tr_cell *cells;
    tr_event *events;
    tr_link *links;
    tr_resource *resources;
    tr_scope *scopes;
    sx_str *texts;
    uint32_t first, count;
    uint32_t resource_count, scope_count;
    size_t text_count;
    uint32_t trace_count; /* of the group */
    uint32_t *trace_rows; /* first row of each trace in the group, one more than there are */
} tr_decoded;
/* `want` as tr_want; attributes, events and links only with TR_WANT_ALL. */
sx_status tr_group_decode(const tr_segment *s, uint64_t group, uint32_t first, uint32_t count,
                          unsigned want, tr_unpacker *unpacker, tr_decoded *out, sx_error *err);

/* --- Groups of a merge that are taken over as they are (segment_copy.c). */

/* Marks the groups of each input that have traces which others may have, too. */
sx_status tr_copy_find_shared(tr_segment *const *inputs, size_t count, uint8_t *const *marks,
                              sx_error *err);
/* The group's bytes with texts renumbered by `map`, appended to `out`. */
sx_status tr_copy_group(const tr_segment *s, uint64_t group, const uint32_t *map, tr_packer *packer,
                        tr_unpacker *unpacker, sx_buf *out, sx_error *err);
/* The tables of the inputs into the file's side, which sums from here on. Orphans of traces that are in a marked
 * group and in another input, too, are left out. *fits false: there are too many calls, nothing has
 * happened. */
sx_status tr_copy_sides(tr_segment *const *inputs, size_t count, uint8_t *const *marks,
                        tr_file *file, bool *fits, sx_error *err);

/* --- Groups kept unpacked (segment_hot.c). */
typedef struct tr_hot_group tr_hot_group;
/* The group, if it is kept, or if it is asked for again soon: then it is unpacked and kept. NULL: read
 * what is needed of it. It is _release'd after reading. */
tr_hot_group *tr_hot_take(tr_hot *h, const tr_segment *s, uint64_t group);
const tr_decoded *tr_hot_rows(const tr_hot_group *g);
void tr_hot_release(tr_hot *h, tr_hot_group *g);
void tr_hot_forget(tr_hot *h, const tr_segment *s);

#endif
