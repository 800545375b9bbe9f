/* record.c - log records written; record_read.c reads them. See record.h. */
#include "observe/tsdb/record.h"

static inline uint8_t *write_uvarint(uint8_t *p, uint64_t u)
{
    while (u >= 0x80) {
        *p++ = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    *p++ = (uint8_t)u;
    return p;
}

static inline uint8_t *write_varint(uint8_t *p, int64_t v)
{
    return write_uvarint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static inline uint8_t *write_be64(uint8_t *p, uint64_t u)
{
    u = __builtin_bswap64(u);
    memcpy(p, &u, 8);
    return p + 8;
}

static inline uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void put_uvarint(sx_buf *out, uint64_t u)
{
    uint8_t *p = (uint8_t *)sx_buf_reserve(out, 10);
    if (p)
        out->len += (size_t)(write_uvarint(p, u) - p);
}

static void put_varint(sx_buf *out, int64_t v)
{
    put_uvarint(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_be64(sx_buf *out, uint64_t u)
{
    uint8_t *p = (uint8_t *)sx_buf_reserve(out, 8);
    if (p)
        out->len += (size_t)(write_be64(p, u) - p);
}

static void put_text(sx_buf *out, sx_str s)
{
    put_uvarint(out, s.len);
    sx_buf_str(out, s);
}

static void put_labels(sx_buf *out, tsdb_labels labels)
{
    put_uvarint(out, labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        put_text(out, labels.items[i].name);
        put_text(out, labels.items[i].value);
    }
}

void tsdb_record_begin(tsdb_record_writer *w, tsdb_record_kind kind, sx_buf *out)
{
    *w = (tsdb_record_writer){.out = out, .v2 = kind >= TSDB_RECORD_SAMPLES_V2};
    sx_buf_byte(out, (char)kind);
}

void tsdb_record_series(tsdb_record_writer *w, uint64_t ref, tsdb_labels labels)
{
    put_be64(w->out, ref);
    put_labels(w->out, labels);
}

enum { START_NONE, START_SAME, START_GIVEN };

/* What stands before each entry of a record of samples; at most 63 bytes. The first version has the
 * first reference and time once, then differences to them; the second has no fixed-width field, and
 * its references are differences to the one before. */
static inline uint8_t *write_entry(tsdb_record_writer *w, uint8_t *p, uint64_t ref, int64_t t,
                                   int64_t start)
{
    if (sx_unlikely(!w->begun)) {
        w->begun = true;
        w->first_ref = ref;
        w->first_t = t;
        w->first_start = start;
        if (w->v2) {
            p = write_varint(p, (int64_t)ref);
            p = write_varint(p, t);
            p = write_varint(p, start);
            w->last_ref = ref;
            w->last_start = start;
            return p;
        }
        p = write_be64(p, ref);
        p = write_be64(p, (uint64_t)t);
    }
    if (!w->v2) {
        p = write_varint(p, (int64_t)(ref - w->first_ref));
        return write_varint(p, (int64_t)((uint64_t)t - (uint64_t)w->first_t));
    }
    p = write_varint(p, (int64_t)(ref - w->last_ref));
    p = write_varint(p, (int64_t)((uint64_t)t - (uint64_t)w->first_t));
    if (start == 0) {
        *p++ = START_NONE;
    } else if (start == w->last_start) {
        *p++ = START_SAME;
    } else {
        *p++ = START_GIVEN;
        p = write_varint(p, (int64_t)((uint64_t)start - (uint64_t)w->first_start));
    }
    w->last_ref = ref;
    w->last_start = start;
    return p;
}

enum { ENTRY_BYTES_MAX = 64 };

void tsdb_record_sample(tsdb_record_writer *w, uint64_t ref, int64_t t, int64_t start, double v)
{
    uint8_t *to = (uint8_t *)sx_buf_reserve(w->out, ENTRY_BYTES_MAX + 8);
    if (sx_unlikely(!to))
        return;
    uint8_t *p = write_entry(w, to, ref, t, start);
    p = write_be64(p, bits_of(v));
    w->out->len += (size_t)(p - to);
}

void tsdb_record_histogram(tsdb_record_writer *w, uint64_t ref, int64_t t, int64_t start,
                           sx_str encoded)
{
    uint8_t *to = (uint8_t *)sx_buf_reserve(w->out, ENTRY_BYTES_MAX);
    if (!to)
        return;
    w->out->len += (size_t)(write_entry(w, to, ref, t, start) - to);
    sx_buf_str(w->out, encoded);
}

void tsdb_record_tombstone(tsdb_record_writer *w, uint64_t ref, int64_t min_t, int64_t max_t)
{
    put_be64(w->out, ref);
    put_varint(w->out, min_t);
    put_varint(w->out, max_t);
}

void tsdb_record_exemplar(tsdb_record_writer *w, uint64_t ref, int64_t t, double v,
                          tsdb_labels labels)
{
    uint8_t *to = (uint8_t *)sx_buf_reserve(w->out, ENTRY_BYTES_MAX + 8);
    if (!to)
        return;
    uint8_t *p = write_be64(write_entry(w, to, ref, t, 0), bits_of(v));
    w->out->len += (size_t)(p - to);
    put_labels(w->out, labels);
}

/* The order is the number on disk. */
static const sx_str METRIC_TYPES[] = {
    SX_STR_INIT("unknown"),   SX_STR_INIT("counter"),        SX_STR_INIT("gauge"),
    SX_STR_INIT("histogram"), SX_STR_INIT("gaugehistogram"), SX_STR_INIT("summary"),
    SX_STR_INIT("info"),      SX_STR_INIT("stateset"),
};
enum { METRIC_TYPE_COUNT = sizeof METRIC_TYPES / sizeof *METRIC_TYPES };

sx_str tsdb_record_metric_type(uint8_t number)
{
    return METRIC_TYPES[number < METRIC_TYPE_COUNT ? number : 0];
}

void tsdb_record_metadata(tsdb_record_writer *w, uint64_t ref, const tsdb_metadata *m)
{
    uint8_t type = 0;
    for (uint8_t i = 0; i < METRIC_TYPE_COUNT; i++)
        if (sx_str_eq(METRIC_TYPES[i], m->type))
            type = i;
    put_uvarint(w->out, ref);
    sx_buf_byte(w->out, (char)type);
    put_uvarint(w->out, 2);
    put_text(w->out, SX_STR("UNIT"));
    put_text(w->out, m->unit);
    put_text(w->out, SX_STR("HELP"));
    put_text(w->out, m->help);
}

static void put_spans(sx_buf *out, const tsdb_span *spans, uint32_t count)
{
    put_uvarint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        put_varint(out, spans[i].offset);
        put_uvarint(out, spans[i].length);
    }
}

/* A count that is no whole number of 64 bits, which only a broken caller has, becomes the nearest. */
static uint64_t whole(double count)
{
    static const double TOO_BIG = 18446744073709551616.0;
    return count >= TOO_BIG ? UINT64_MAX : count > 0 ? (uint64_t)count : 0;
}

/* Integer buckets are written as differences, each to the one before. */
static void put_buckets(sx_buf *out, const double *buckets, uint32_t count, bool integer)
{
    uint64_t last = 0;
    put_uvarint(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (integer) {
            put_varint(out, (int64_t)(whole(buckets[i]) - last));
            last = whole(buckets[i]);
        } else {
            put_be64(out, bits_of(buckets[i]));
        }
    }
}

static void put_count(sx_buf *out, double count, bool integer)
{
    if (integer)
        put_uvarint(out, whole(count));
    else
        put_be64(out, bits_of(count));
}

void tsdb_record_put_histogram(sx_buf *out, const tsdb_histogram *h)
{
    sx_buf_byte(out, (char)h->reset);
    put_varint(out, h->schema);
    put_be64(out, bits_of(h->zero_threshold));
    put_count(out, h->zero_count, h->integer);
    put_count(out, h->count, h->integer);
    put_be64(out, bits_of(h->sum));
    put_spans(out, h->positive_spans, h->positive_span_count);
    put_spans(out, h->negative_spans, h->negative_span_count);
    put_buckets(out, h->positive, h->positive_count, h->integer);
    put_buckets(out, h->negative, h->negative_count, h->integer);
    if (h->schema != TSDB_SCHEMA_CUSTOM)
        return;
    put_uvarint(out, h->bound_count);
    for (uint32_t i = 0; i < h->bound_count; i++)
        put_be64(out, bits_of(h->bounds[i]));
}
