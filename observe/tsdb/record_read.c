/* record_read.c - log records read, from this program or Prometheus, whole or damaged. */
#include "observe/tsdb/record.h"

enum { START_NONE, START_SAME };

static sx_status corrupt(const tsdb_record_reader *r, sx_error *err)
{
    return sx_fail(err, SX_ECORRUPT, "log record of kind %d ends early", (int)r->kind);
}

static inline bool get_uvarint(tsdb_record_reader *r, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static inline bool get_varint(tsdb_record_reader *r, int64_t *out)
{
    uint64_t u;
    if (!get_uvarint(r, &u))
        return false;
    *out = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return true;
}

static inline bool get_be64(tsdb_record_reader *r, uint64_t *out)
{
    if (r->end - r->at < 8)
        return false;
    memcpy(out, r->at, 8);
    *out = __builtin_bswap64(*out);
    r->at += 8;
    return true;
}

static inline bool get_double(tsdb_record_reader *r, double *out)
{
    uint64_t bits;
    if (!get_be64(r, &bits))
        return false;
    memcpy(out, &bits, sizeof bits);
    return true;
}

static bool get_text(tsdb_record_reader *r, sx_str *out)
{
    uint64_t len;
    if (!get_uvarint(r, &len) || len > (uint64_t)(r->end - r->at))
        return false;
    *out = sx_str_of(r->at, len);
    r->at += len;
    return true;
}

sx_status tsdb_record_open(tsdb_record_reader *r, sx_str record, sx_error *err)
{
    if (record.len == 0)
        return sx_fail(err, SX_ECORRUPT, "log record is empty");
    *r = (tsdb_record_reader){.at = (const uint8_t *)record.data + 1,
                              .end = (const uint8_t *)record.data + record.len,
                              .kind = (tsdb_record_kind)(uint8_t)record.data[0]};
    if (r->kind < TSDB_RECORD_SERIES || r->kind > TSDB_RECORD_FLOAT_HISTOGRAMS_V2)
        return sx_fail(err, SX_EUNSUPPORTED, "log record of kind %d", (int)r->kind);
    return SX_OK;
}

static sx_status get_labels(tsdb_record_reader *r, sx_arena *arena, tsdb_labels *labels,
                            sx_error *err)
{
    uint64_t count;
    /* A label takes two bytes and more: a lie is found before there is room for it. */
    if (!get_uvarint(r, &count) || count > (uint64_t)(r->end - r->at) / 2)
        return corrupt(r, err);
    tsdb_label *items = sx_arena_alloc(arena, (count + 1) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "labels of a log record");
    for (uint64_t i = 0; i < count; i++)
        if (!get_text(r, &items[i].name) || !get_text(r, &items[i].value))
            return corrupt(r, err);
    return tsdb_labels_sort(items, count, labels, err); /* other programs may order otherwise */
}

sx_status tsdb_record_next_series(tsdb_record_reader *r, sx_arena *arena, uint64_t *ref,
                                  tsdb_labels *labels, sx_error *err)
{
    if (r->at == r->end)
        return SX_END;
    if (!get_be64(r, ref))
        return corrupt(r, err);
    return get_labels(r, arena, labels, err);
}

/* The part in front of each sample, exemplar and histogram. */
static inline bool get_entry(tsdb_record_reader *r, bool v2, uint64_t *ref, int64_t *t,
                             int64_t *start)
{
    int64_t by_ref, by_t;
    if (sx_unlikely(!r->begun)) {
        r->begun = true;
        if (v2) {
            if (!get_varint(r, &by_ref) || !get_varint(r, &r->first_t) ||
                !get_varint(r, &r->first_start))
                return false;
            r->first_ref = r->last_ref = *ref = (uint64_t)by_ref;
            *t = r->first_t;
            *start = r->last_start = r->first_start;
            return true;
        }
        uint64_t first_t;
        if (!get_be64(r, &r->first_ref) || !get_be64(r, &first_t))
            return false;
        r->first_t = (int64_t)first_t;
    }
    if (!get_varint(r, &by_ref) || !get_varint(r, &by_t))
        return false;
    *ref = (v2 ? r->last_ref : r->first_ref) + (uint64_t)by_ref;
    *t = (int64_t)((uint64_t)r->first_t + (uint64_t)by_t);
    *start = 0;
    if (!v2)
        return true;
    r->last_ref = *ref;
    if (r->at == r->end)
        return false;
    uint8_t marker = *r->at++;
    if (marker == START_SAME) {
        *start = r->last_start;
    } else if (marker != START_NONE) {
        int64_t by_start;
        if (!get_varint(r, &by_start))
            return false;
        *start = (int64_t)((uint64_t)r->first_start + (uint64_t)by_start);
    }
    r->last_start = *start;
    return true;
}

/* A record of the first version with its head alone has no entry. */
static bool at_end(const tsdb_record_reader *r)
{
    return r->at == r->end ||
           (!r->begun && r->kind < TSDB_RECORD_SAMPLES_V2 && r->end - r->at == 16);
}

sx_status tsdb_record_next_sample(tsdb_record_reader *r, uint64_t *ref, int64_t *t, int64_t *start,
                                  double *v, sx_error *err)
{
    if (at_end(r))
        return SX_END;
    if (sx_unlikely(!get_entry(r, r->kind == TSDB_RECORD_SAMPLES_V2, ref, t, start) ||
                    !get_double(r, v)))
        return corrupt(r, err);
    return SX_OK;
}

sx_status tsdb_record_next_tombstone(tsdb_record_reader *r, uint64_t *ref, int64_t *min_t,
                                     int64_t *max_t, sx_error *err)
{
    if (r->at == r->end)
        return SX_END;
    if (!get_be64(r, ref) || !get_varint(r, min_t) || !get_varint(r, max_t))
        return corrupt(r, err);
    return SX_OK;
}

sx_status tsdb_record_next_exemplar(tsdb_record_reader *r, sx_arena *arena, uint64_t *ref,
                                    int64_t *t, double *v, tsdb_labels *labels, sx_error *err)
{
    int64_t start;
    if (at_end(r))
        return SX_END;
    if (!get_entry(r, false, ref, t, &start) || !get_double(r, v))
        return corrupt(r, err);
    return get_labels(r, arena, labels, err);
}

sx_status tsdb_record_next_metadata(tsdb_record_reader *r, uint64_t *ref, tsdb_metadata *m,
                                    sx_error *err)
{
    uint64_t fields;
    if (r->at == r->end)
        return SX_END;
    *m = (tsdb_metadata){0};
    if (!get_uvarint(r, ref) || r->at == r->end)
        return corrupt(r, err);
    m->type = tsdb_record_metric_type(*r->at++);
    if (!get_uvarint(r, &fields))
        return corrupt(r, err);
    for (uint64_t i = 0; i < fields; i++) {
        sx_str name, value;
        if (!get_text(r, &name) || !get_text(r, &value))
            return corrupt(r, err);
        if (sx_str_eq(name, SX_STR("UNIT")))
            m->unit = value;
        else if (sx_str_eq(name, SX_STR("HELP")))
            m->help = value;
    }
    return SX_OK;
}

/* --- Histograms. */

static bool skip(tsdb_record_reader *r, uint64_t bytes)
{
    if (bytes > (uint64_t)(r->end - r->at))
        return false;
    r->at += bytes;
    return true;
}

static bool skip_uvarints(tsdb_record_reader *r, uint64_t count)
{
    uint64_t ignored;
    if (count > (uint64_t)(r->end - r->at))
        return false;
    while (count-- > 0)
        if (!get_uvarint(r, &ignored))
            return false;
    return true;
}

static bool skip_doubles(tsdb_record_reader *r, uint64_t count)
{
    return count <= (uint64_t)(r->end - r->at) / 8 && skip(r, count * 8);
}

/* Walks over one histogram, to know where it ends. */
static bool skip_histogram(tsdb_record_reader *r, bool integer)
{
    int64_t schema;
    uint64_t n;
    if (!skip(r, 1) || !get_varint(r, &schema) || !skip(r, 8))
        return false;
    if (!(integer ? skip_uvarints(r, 2) : skip_doubles(r, 2)) || !skip(r, 8))
        return false;
    for (int side = 0; side < 2; side++)
        if (!get_uvarint(r, &n) || n > (uint64_t)(r->end - r->at) || !skip_uvarints(r, n * 2))
            return false;
    for (int side = 0; side < 2; side++)
        if (!get_uvarint(r, &n) || !(integer ? skip_uvarints(r, n) : skip_doubles(r, n)))
            return false;
    return schema != TSDB_SCHEMA_CUSTOM || (get_uvarint(r, &n) && skip_doubles(r, n));
}

sx_status tsdb_record_next_histogram(tsdb_record_reader *r, uint64_t *ref, int64_t *t,
                                     int64_t *start, bool *integer, sx_str *encoded, sx_error *err)
{
    if (at_end(r))
        return SX_END;
    *integer = r->kind == TSDB_RECORD_HISTOGRAMS || r->kind == TSDB_RECORD_CUSTOM_HISTOGRAMS ||
               r->kind == TSDB_RECORD_HISTOGRAMS_V2;
    if (!get_entry(r, r->kind >= TSDB_RECORD_HISTOGRAMS_V2, ref, t, start))
        return corrupt(r, err);
    const uint8_t *from = r->at;
    if (!skip_histogram(r, *integer))
        return corrupt(r, err);
    *encoded = sx_str_of(from, (size_t)(r->at - from));
    return SX_OK;
}

static sx_status get_spans(tsdb_record_reader *r, sx_arena *arena, const tsdb_span **out,
                           uint32_t *count, sx_error *err)
{
    uint64_t n, length;
    int64_t offset;
    if (!get_uvarint(r, &n) || n > (uint64_t)(r->end - r->at) / 2)
        return corrupt(r, err);
    tsdb_span *spans = sx_arena_alloc(arena, n * sizeof *spans);
    if (!spans)
        return sx_fail_memory(err, "histogram");
    for (uint64_t i = 0; i < n; i++) {
        if (!get_varint(r, &offset) || !get_uvarint(r, &length))
            return corrupt(r, err);
        spans[i] = (tsdb_span){(int32_t)offset, (uint32_t)length};
    }
    *out = spans;
    *count = (uint32_t)n;
    return SX_OK;
}

static sx_status get_buckets(tsdb_record_reader *r, bool integer, sx_arena *arena,
                             const double **out, uint32_t *count, sx_error *err)
{
    uint64_t n, last = 0;
    int64_t by;
    if (!get_uvarint(r, &n) || n > (uint64_t)(r->end - r->at) / (integer ? 1 : 8))
        return corrupt(r, err);
    double *buckets = sx_arena_alloc(arena, n * sizeof *buckets);
    if (!buckets)
        return sx_fail_memory(err, "histogram");
    for (uint64_t i = 0; i < n; i++) {
        if (!integer) {
            if (!get_double(r, &buckets[i]))
                return corrupt(r, err);
            continue;
        }
        if (!get_varint(r, &by))
            return corrupt(r, err);
        last += (uint64_t)by;
        buckets[i] = (double)(int64_t)last;
    }
    *out = buckets;
    *count = (uint32_t)n;
    return SX_OK;
}

static bool get_count(tsdb_record_reader *r, bool integer, double *out)
{
    uint64_t u;
    if (!integer)
        return get_double(r, out);
    if (!get_uvarint(r, &u))
        return false;
    *out = (double)u;
    return true;
}

sx_status tsdb_record_get_histogram(sx_str encoded, bool integer, sx_arena *arena,
                                    tsdb_histogram *out, sx_error *err)
{
    tsdb_record_reader r = {.at = (const uint8_t *)encoded.data,
                            .end = (const uint8_t *)encoded.data + encoded.len,
                            .kind =
                                integer ? TSDB_RECORD_HISTOGRAMS : TSDB_RECORD_FLOAT_HISTOGRAMS};
    int64_t schema;
    *out = (tsdb_histogram){.integer = integer};
    if (encoded.len == 0)
        return corrupt(&r, err);
    uint8_t reset = *r.at++;
    out->reset = reset <= TSDB_RESET_GAUGE ? (tsdb_reset_hint)reset : TSDB_RESET_UNKNOWN;
    if (!get_varint(&r, &schema) || !get_double(&r, &out->zero_threshold) ||
        !get_count(&r, integer, &out->zero_count) || !get_count(&r, integer, &out->count) ||
        !get_double(&r, &out->sum))
        return corrupt(&r, err);
    out->schema = (int32_t)schema;
    sx_status status = get_spans(&r, arena, &out->positive_spans, &out->positive_span_count, err);
    if (status == SX_OK)
        status = get_spans(&r, arena, &out->negative_spans, &out->negative_span_count, err);
    if (status == SX_OK)
        status = get_buckets(&r, integer, arena, &out->positive, &out->positive_count, err);
    if (status == SX_OK)
        status = get_buckets(&r, integer, arena, &out->negative, &out->negative_count, err);
    if (status == SX_OK && schema == TSDB_SCHEMA_CUSTOM)
        status = get_buckets(&r, false, arena, &out->bounds, &out->bound_count, err);
    return status;
}
