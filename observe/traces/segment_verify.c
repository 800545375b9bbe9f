/* segment_verify.c - all of a segment looked at: checksums, codes, order, and that its indexes lead to
 * what is there. */
#include <sextant/mem.h>

#include "observe/spans/otlp.h"
#include "observe/traces/segment_impl.h"

typedef struct verifying {
    const tr_segment *s;
    tr_unpacker unpacker;
    tr_decoded rows;
    sx_arena scratch;
    uint64_t traces, errors;
    uint8_t last[16]; /* the trace before */
    sx_error *err;
} verifying;

/* What the summary says of the rows must be so. */
static sx_status check_summary(verifying *v, uint64_t group)
{
    const tr_summary *sum = &v->s->groups[group];
    bool fine = true;
    uint32_t errors = 0;
    for (uint32_t i = 0; i < v->rows.count && fine; i++) {
        const tr_row *r = &v->rows.rows[i];
        uint64_t d = r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0;
        fine = r->start_ns >= sum->min_ns && r->start_ns <= sum->max_ns && d >= sum->min_duration &&
               d <= sum->max_duration && (sum->kinds >> r->kind & 1) &&
               (sum->statuses >> r->status & 1);
        errors += r->status == SPAN_ERROR;
    }
    v->errors += errors;
    return fine && errors == sum->errors
               ? SX_OK
               : tr_segment_damaged(v->s, v->err, "summary of group", group);
}

/* Each trace is found where it stands, its spans in order of their start. */
static sx_status check_traces(verifying *v, uint64_t group)
{
    const tr_summary *sum = &v->s->groups[group];
    for (uint32_t t = 0; t < v->rows.trace_count; t++) {
        uint32_t at = v->rows.trace_rows[t], end = v->rows.trace_rows[t + 1];
        const tr_row *r = &v->rows.rows[at];
        uint64_t first, count;
        bool goes_on = t == 0 && sum->goes_on;
        if (goes_on != (v->traces > 0 && memcmp(v->last, r->trace_id, 16) == 0))
            return tr_segment_damaged(v->s, v->err, "order of traces in group", group);
        memcpy(v->last, r->trace_id, 16);
        v->traces += !goes_on;
        for (uint32_t i = at + 1; i < end; i++)
            if (v->rows.rows[i].start_ns < v->rows.rows[i - 1].start_ns)
                return tr_segment_damaged(v->s, v->err, "order of spans in group", group);
        sx_status status = tr_segment_find(v->s, r->trace_id, &first, &count, v->err);
        if (status != SX_OK)
            return status;
        if (count < end - at || first > sum->first_row + at ||
            first + count < sum->first_row + end || (!goes_on && first != sum->first_row + at))
            return tr_segment_damaged(v->s, v->err, "trace index, group", group);
    }
    return SX_OK;
}

/* A column that is looked for in the list of keys. */
typedef struct listing {
    sx_str key;
    unsigned type;
    uint32_t listed;
    bool found;
} listing;

static bool find_listed(void *ctx, unsigned place, sx_str key, unsigned type)
{
    listing *l = ctx;
    (void)place;
    l->listed++;
    l->found = type == l->type && sx_str_eq(key, l->key);
    return !l->found;
}

/* Searches trust the list to tell of which types a key's values are, unless it was cut. */
static bool is_listed(const verifying *v, sx_str key, unsigned type)
{
    listing l = {.key = key, .type = type};
    return tr_segment_keys(v->s, find_listed, &l, NULL) == SX_OK &&
           (l.found || l.listed >= TR_KEYS_LISTED);
}

/* Lists and maps are messages that must be readable; texts of keys must be in the filter. */
static sx_status check_columns(verifying *v, uint64_t group)
{
    tr_group g;
    const uint8_t *filter;
    sx_arena_reset(&v->scratch);
    sx_status status = tr_group_open(&g, v->s, group, &v->scratch, &v->unpacker, v->err);
    if (status == SX_OK)
        status = tr_segment_filter(v->s, group, &filter, v->err);
    if (status == SX_OK)
        status = tr_group_columns(&g, v->err);
    for (uint32_t c = 0; status == SX_OK && c < g.head.column_count; c++) {
        unsigned type = tr_column_type(&g, c);
        tr_text_column t = {0};
        uint64_t key = tr_text_hash(tr_column_text(v->s, &g.keys, g.keys.codes[c]));
        status = tr_group_shapes_of(&g, tr_column_place(&g, c), v->err);
        bool there = tr_filter_has(filter, g.sum->filter_len, tr_item_type(key, type));
        if (status == SX_OK && !is_listed(v, tr_column_text(v->s, &g.keys, g.keys.codes[c]), type))
            status = tr_segment_damaged(v->s, v->err, "list of keys, group", group);
        if (status == SX_OK && tr_type_is_text(type))
            status = tr_group_texts(&g, TR_CHUNKS + c, g.column_counts[c], false, &t, v->err);
        for (uint32_t i = 0; status == SX_OK && i < t.global_count + t.local_count; i++) {
            sx_str text = tr_column_text(v->s, &t, i);
            span_value value;
            if (type == SPAN_STR)
                there = there && tr_filter_has(filter, g.sum->filter_len, tr_item_value(key, text));
            if ((type == SPAN_LIST || type == SPAN_MAP) &&
                (span_read_any(text, &v->scratch, &value, v->err) != SX_OK || value.type != type))
                status = tr_segment_damaged(v->s, v->err, "a list in group", group);
        }
        if (status == SX_OK && !there)
            status = tr_segment_damaged(v->s, v->err, "filter of group", group);
    }
    return status;
}

static bool pass_operation(void *ctx, sx_str service, sx_str operation, unsigned kind,
                           uint64_t count)
{
    (void)ctx, (void)service, (void)operation, (void)kind, (void)count;
    return true;
}

static bool pass_key(void *ctx, unsigned place, sx_str key, unsigned type)
{
    (void)ctx, (void)place, (void)key, (void)type;
    return true;
}

static bool pass_edge(void *ctx, const tr_edge *e)
{
    (void)ctx, (void)e;
    return true;
}

static bool pass_orphan(void *ctx, const tr_orphan *o)
{
    (void)ctx, (void)o;
    return true;
}

static sx_status check_lists(verifying *v)
{
    sx_status status = tr_segment_operations(v->s, pass_operation, NULL, v->err);
    if (status == SX_OK)
        status = tr_segment_keys(v->s, pass_key, NULL, v->err);
    if (status == SX_OK)
        status = tr_segment_edges(v->s, 0, UINT64_MAX, pass_edge, NULL, v->err);
    if (status == SX_OK)
        status = tr_segment_orphans(v->s, pass_orphan, NULL, v->err);
    return status;
}

sx_status tr_segment_verify(const tr_segment *s, const _Atomic bool *canceled, sx_error *err)
{
    verifying v = {.s = s, .err = err};
    sx_status status = SX_OK;
    sx_arena_init(&v.scratch, 1 << 18, 0);
    sx_arena_init(&v.rows.arena, TR_ARENA_CHUNK, 0);
    for (uint32_t i = 0; i < s->section_count && status == SX_OK; i++) {
        sx_str bytes;
        status = tr_segment_section(s, i, &bytes, err);
    }
    for (uint64_t g = 0; g < s->info.groups && status == SX_OK; g++) {
        if (canceled && atomic_load_explicit(canceled, memory_order_relaxed))
            status = sx_fail(err, SX_ECANCELED, "checking %s was canceled", s->path);
        if (status == SX_OK)
            status =
                tr_group_decode(s, g, 0, s->groups[g].rows, TR_WANT_ALL, &v.unpacker, &v.rows, err);
        if (status == SX_OK)
            status = check_summary(&v, g);
        if (status == SX_OK)
            status = check_traces(&v, g);
        if (status == SX_OK)
            status = check_columns(&v, g);
    }
    if (status == SX_OK && (v.traces != s->info.traces || v.errors != s->info.errors))
        status = tr_segment_damaged(s, err, "count of traces or errors", v.traces);
    if (status == SX_OK)
        status = check_lists(&v);
    sx_arena_done(&v.scratch);
    sx_arena_done(&v.rows.arena);
    tr_unpacker_done(&v.unpacker);
    return status;
}
