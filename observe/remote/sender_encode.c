/* sender_encode.c - a batch as a message of remote write 1.0 or 2.0.
 *
 * Items of one series that follow each other share a TimeSeries.
 * Source: Prometheus remote write 1.0 and 2.0 specifications. */
#include <sextant/map.h>
#include <sextant/protobuf.h>

#include "observe/remote/sender_internal.h"
#include "observe/remote/wire_histogram.h"

uint8_t send_meta_type(sx_str name)
{
    static const char *const TYPES[] = {"unknown",        "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info",  "stateset"};
    for (uint8_t i = 0; i < SX_COUNT_OF(TYPES); i++)
        if (sx_str_eq(name, sx_str_z(TYPES[i])))
            return i;
    return 0;
}

/* --- 1.0 */

static void put_labels(sx_buf *out, tsdb_labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        size_t mark = sx_pb_begin(out, 1);
        sx_pb_put_str(out, 1, labels.items[i].name);
        sx_pb_put_str(out, 2, labels.items[i].value);
        sx_pb_end(out, mark);
    }
}

static void put_item_v1(sx_buf *out, const send_item *item)
{
    if (item->kind == SEND_HISTOGRAM) {
        wire_histogram_write(out, 4, item->h, item->t, 0);
        return;
    }
    bool exemplar = item->kind == SEND_EXEMPLAR;
    size_t mark = sx_pb_begin(out, exemplar ? 3 : 2);
    put_labels(out, item->exemplar);
    sx_pb_put_double(out, exemplar ? 2 : 1, item->v);
    sx_pb_put_i64(out, exemplar ? 3 : 2, item->t);
    sx_pb_end(out, mark);
}

sx_status send_encode_v1(const send_batch *b, sx_buf *out, sx_error *err)
{
    for (size_t i = 0; i < b->count;) {
        const send_series *series = b->items[i].series;
        size_t mark = sx_pb_begin(out, 1);
        put_labels(out, series->labels);
        for (; i < b->count && b->items[i].series == series; i++)
            put_item_v1(out, &b->items[i]);
        sx_pb_end(out, mark);
    }
    return sx_buf_status(out, "a remote write", err);
}

void send_encode_family(sx_buf *out, sx_str family, const send_meta *m)
{
    size_t mark = sx_pb_begin(out, 3);
    sx_pb_put_u64(out, 1, m->type);
    sx_pb_put_str(out, 2, family);
    sx_pb_put_str(out, 4, m->help);
    sx_pb_put_str(out, 5, m->unit);
    sx_pb_end(out, mark);
}

/* --- 2.0 */

typedef struct symbols {
    sx_map numbers;
    sx_buf out; /* the field of each, in order */
    bool failed;
} symbols;

static uint64_t symbol(symbols *s, sx_str text)
{
    bool added;
    size_t next = sx_map_count(&s->numbers);
    sx_map_entry *e = sx_map_put(&s->numbers, text, &added);
    if (!e) {
        s->failed = true;
        return 0;
    }
    if (added) {
        e->u64 = next;
        sx_pb_put_str(&s->out, 4, text);
    }
    return e->u64;
}

static void put_refs(sx_buf *out, symbols *s, tsdb_labels labels)
{
    size_t mark = sx_pb_begin(out, 1);
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_pb_add_varint(out, symbol(s, labels.items[i].name));
        sx_pb_add_varint(out, symbol(s, labels.items[i].value));
    }
    sx_pb_end(out, mark);
}

static void put_item_v2(sx_buf *out, symbols *s, const send_item *item)
{
    if (item->kind == SEND_HISTOGRAM) {
        wire_histogram_write(out, 3, item->h, item->t, item->start);
        return;
    }
    bool exemplar = item->kind == SEND_EXEMPLAR;
    size_t mark = sx_pb_begin(out, exemplar ? 4 : 2);
    if (exemplar)
        put_refs(out, s, item->exemplar);
    sx_pb_put_double(out, exemplar ? 2 : 1, item->v);
    sx_pb_put_i64(out, exemplar ? 3 : 2, item->t);
    if (!exemplar && item->start)
        sx_pb_put_i64(out, 3, item->start);
    sx_pb_end(out, mark);
}

static void put_metadata(sx_buf *out, symbols *s, const send_meta *m)
{
    size_t mark = sx_pb_begin(out, 5);
    sx_pb_put_u64(out, 1, m->type);
    sx_pb_put_u64(out, 3, symbol(s, m->help));
    sx_pb_put_u64(out, 4, symbol(s, m->unit));
    sx_pb_end(out, mark);
}

sx_status send_encode_v2(const send_batch *b, sx_buf *out, sx_error *err)
{
    symbols s = {0};
    sx_buf rest;
    sx_map_init(&s.numbers, NULL);
    sx_buf_init(&s.out, 0);
    sx_buf_init(&rest, 0);
    symbol(&s, SX_STR("")); /* the first one is empty: "none" */
    for (size_t i = 0; i < b->count;) {
        const send_series *series = b->items[i].series;
        size_t mark = sx_pb_begin(&rest, 5);
        put_refs(&rest, &s, series->labels);
        for (; i < b->count && b->items[i].series == series; i++)
            put_item_v2(&rest, &s, &b->items[i]);
        if (series->meta)
            put_metadata(&rest, &s, series->meta);
        sx_pb_end(&rest, mark);
    }
    sx_buf_str(out, sx_buf_view(&s.out));
    sx_buf_str(out, sx_buf_view(&rest));
    bool failed = s.failed || s.out.failed || rest.failed;
    sx_map_done(&s.numbers);
    sx_buf_done(&s.out);
    sx_buf_done(&rest);
    return failed ? sx_fail_memory(err, "a remote write")
                  : sx_buf_status(out, "a remote write", err);
}
