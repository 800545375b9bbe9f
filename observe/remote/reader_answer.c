/* reader_answer.c - the messages of remote read from the reader's side.
 *
 * An answer is kept as it came; its series are found once, their samples are decoded when a query
 * reads them, which several threads may do at a time.
 * Source: Prometheus, docs/querying/remote_read_api.md; prompb/remote.proto, types.proto. */
#include <sextant/compress.h>
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/remote/reader_internal.h"
#include "observe/remote/wire_histogram.h"
#include "observe/tsdb/chunk.h"

enum { LABELS_MAX = 2048 };

/* --- The request. */

static void put_matcher(sx_buf *out, tsdb_match_kind kind, sx_str name, sx_str value)
{
    static const uint8_t KINDS[] = {[TSDB_MATCH_EQUAL] = 0,
                                    [TSDB_MATCH_NOT_EQUAL] = 1,
                                    [TSDB_MATCH_REGEX] = 2,
                                    [TSDB_MATCH_NOT_REGEX] = 3};
    size_t mark = sx_pb_begin(out, 3);
    if (KINDS[kind])
        sx_pb_put_u64(out, 1, KINDS[kind]);
    sx_pb_put_str(out, 2, name);
    sx_pb_put_str(out, 3, value);
    sx_pb_end(out, mark);
}

sx_status read_question_write(const read_question *q, sx_buf *out, sx_error *err)
{
    sx_buf plain;
    sx_buf_init(&plain, 0);
    size_t query = sx_pb_begin(&plain, 1);
    sx_pb_put_i64(&plain, 1, q->min_t);
    sx_pb_put_i64(&plain, 2, q->max_t);
    for (size_t i = 0; i < q->matcher_count; i++)
        put_matcher(&plain, q->matchers[i].kind, q->matchers[i].name, q->matchers[i].value);
    for (uint32_t i = 0; i < q->external.count; i++)
        put_matcher(&plain, TSDB_MATCH_EQUAL, q->external.items[i].name,
                    q->external.items[i].value);
    size_t hints = sx_pb_begin(&plain, 4);
    if (q->no_samples)
        sx_pb_put_str(&plain, 2, SX_STR("series"));
    sx_pb_put_i64(&plain, 3, q->min_t);
    sx_pb_put_i64(&plain, 4, q->max_t);
    sx_pb_end(&plain, hints);
    sx_pb_end(&plain, query);
    size_t accepted = sx_pb_begin(&plain, 2); /* streamed chunks before samples */
    sx_pb_add_varint(&plain, 1);
    sx_pb_add_varint(&plain, 0);
    sx_pb_end(&plain, accepted);
    sx_status status = sx_buf_status(&plain, "a remote read", err);
    if (status == SX_OK)
        status = sx_compress(SX_CODEC_SNAPPY, sx_buf_view(&plain), SX_LEVEL_DEFAULT, out, err);
    sx_buf_done(&plain);
    return status;
}

/* --- Series of an answer. */

static bool is_added(const read_question *q, sx_str name)
{
    for (uint32_t i = 0; i < q->external.count; i++)
        if (sx_str_eq(q->external.items[i].name, name))
            return true;
    return false;
}

static void read_label(sx_pb_reader *r, tsdb_label *out)
{
    *out = (tsdb_label){SX_STR(""), SX_STR("")};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_BYTES))
            out->name = sx_pb_bytes(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            out->value = sx_pb_bytes(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
}

/* Both messages have their labels in field 1. */
static sx_status read_labels(const read_question *q, sx_str message, sx_arena *arena,
                             tsdb_labels *out, sx_error *err)
{
    sx_pb_reader r;
    tsdb_label *labels = NULL;
    size_t count = 0, cap = 0;
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        if (count == LABELS_MAX)
            return sx_fail(err, SX_ELIMIT, "a series with more than %d labels", LABELS_MAX);
        if (!sx_arena_grow(arena, &labels, &cap, count + 1, sizeof *labels))
            return sx_fail_memory(err, "a remote series");
        read_label(&r, &labels[count]);
        if (!is_added(q, labels[count].name))
            count++;
    }
    sx_status status = sx_pb_status(&r, "a remote series", err);
    if (status != SX_OK || count == 0) {
        *out = (tsdb_labels){0};
        return status;
    }
    sx_error bad;
    status = tsdb_labels_sort(labels, count, out, &bad);
    return status == SX_OK ? SX_OK
                           : sx_fail(err, status == SX_EINVAL ? SX_EFORMAT : status,
                                     "a remote series: %s", bad.message);
}

static sx_status add_series(read_answer *a, const read_question *q, sx_str message, bool is_chunks,
                            sx_arena *arena, sx_error *err)
{
    if (!sx_arena_grow(arena, &a->items, &a->cap, a->count + 1, sizeof *a->items))
        return sx_fail_memory(err, "remote series");
    read_series *s = &a->items[a->count];
    *s = (read_series){
        .message = message, .is_chunks = is_chunks, .min_t = q->min_t, .max_t = q->max_t};
    sx_status status = read_labels(q, message, arena, &s->labels, err);
    if (status == SX_OK)
        a->count++;
    return status;
}

/* Fields `field` of a message: series. */
static sx_status add_all(read_answer *a, const read_question *q, sx_str message, bool is_chunks,
                         sx_arena *arena, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, message);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            status = add_series(a, q, sx_pb_bytes(&r), is_chunks, arena, err);
        else
            sx_pb_skip(&r);
    }
    return status == SX_OK ? sx_pb_status(&r, "an answer of remote read", err) : status;
}

static sx_status parse_samples(read_answer *a, const read_question *q, const read_limits *limits,
                               sx_arena *arena, sx_error *err)
{
    size_t results = 0;
    sx_pb_reader r;
    sx_status status = sx_decompress(SX_CODEC_SNAPPY, sx_buf_view(&a->body),
                                     limits->plain_bytes_max, &a->plain, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "error reading response");
    sx_pb_init(&r, sx_buf_view(&a->plain));
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES)) {
            results++;
            status = add_all(a, q, sx_pb_bytes(&r), false, arena, err);
        } else {
            sx_pb_skip(&r);
        }
    }
    if (status == SX_OK)
        status = sx_pb_status(&r, "an answer of remote read", err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "unable to unmarshal response body");
    if (results != 1)
        return sx_fail(err, SX_EFORMAT, "responses: want 1, got %zu", results);
    return SX_OK;
}

/* Takes a frame off the front: its length, the checksum of its message, the message. */
static sx_status take_frame(sx_str *rest, uint64_t bytes_max, sx_str *message, sx_error *err)
{
    sx_pb_reader r;
    sx_pb_init(&r, *rest);
    uint64_t len = sx_pb_varint(&r);
    size_t head = r.fault ? 0 : (size_t)((const char *)r.at - rest->data);
    if (r.fault || rest->len - head < 4)
        return sx_fail(err, SX_EFORMAT, "chunkedReader: unexpected end of the stream");
    if (len > bytes_max)
        return sx_fail(err, SX_ELIMIT,
                       "chunkedReader: message size exceeded the limit %llu bytes; got: %llu bytes",
                       (unsigned long long)bytes_max, (unsigned long long)len);
    const unsigned char *sum = (const unsigned char *)rest->data + head;
    uint32_t crc = (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
    if (rest->len - head - 4 < len)
        return sx_fail(err, SX_EFORMAT, "chunkedReader: unexpected end of the stream");
    *message = sx_str_of(rest->data + head + 4, (size_t)len);
    *rest = sx_str_from(*rest, head + 4 + (size_t)len);
    if (sx_crc32c(0, message->data, message->len) != crc)
        return sx_fail(err, SX_EFORMAT, "chunkedReader: corrupted frame; checksum mismatch");
    return SX_OK;
}

sx_status read_answer_parse(read_answer *a, const read_question *q, bool streamed,
                            const read_limits *limits, sx_arena *arena, sx_error *err)
{
    if (!streamed)
        return parse_samples(a, q, limits, arena, err);
    sx_str rest = sx_buf_view(&a->body), message;
    sx_status status = SX_OK;
    while (rest.len && status == SX_OK) {
        status = take_frame(&rest, limits->frame_bytes_max, &message, err);
        if (status == SX_OK)
            status = add_all(a, q, message, true, arena, err);
    }
    return status;
}

/* --- Samples of a series. */

typedef struct reading_range {
    int64_t min_t, max_t;
    tsdb_columns *out;
} reading_range;

static sx_status read_sample(const reading_range *g, sx_pb_reader *r, sx_error *err)
{
    int64_t t = 0;
    double v = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(1, SX_PB_FIXED64))
            v = sx_pb_double(r);
        else if (r->tag == SX_PB_TAG(2, SX_PB_VARINT))
            t = sx_pb_i64(r);
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    if (r->fault || t < g->min_t || t > g->max_t)
        return SX_OK;
    tsdb_columns *c = g->out;
    sx_status status = tsdb_columns_reserve(c, 1, err);
    if (status != SX_OK)
        return status;
    c->t[c->count] = t;
    c->v[c->count] = v;
    if (c->h)
        c->h[c->count] = NULL;
    if (c->st)
        c->st[c->count] = 0;
    c->count++;
    return SX_OK;
}

static sx_status read_histogram(const reading_range *g, sx_pb_reader *r, wire_histogram *w,
                                sx_error *err)
{
    tsdb_columns *c = g->out;
    tsdb_histogram h;
    sx_status status = wire_histogram_read(w, r, c->arena, &h, err);
    if (status != SX_OK || r->fault || w->t < g->min_t || w->t > g->max_t)
        return status;
    status = tsdb_histogram_check(&h, err);
    tsdb_histogram *copy = sx_arena_alloc(c->arena, sizeof *copy);
    if (status == SX_OK && !copy)
        status = sx_fail_memory(err, "a remote histogram");
    if (status == SX_OK)
        status = tsdb_histogram_copy(&h, c->arena, copy, err);
    if (status == SX_OK)
        status = tsdb_columns_reserve(c, 1, err);
    if (status == SX_OK)
        status = tsdb_columns_want_h(c, err);
    if (status != SX_OK)
        return status;
    c->t[c->count] = w->t;
    c->v[c->count] = 0;
    c->h[c->count] = copy;
    if (c->st)
        c->st[c->count] = 0;
    c->count++;
    return SX_OK;
}

static sx_status read_chunk(const reading_range *g, sx_pb_reader *r, sx_error *err)
{
    int64_t from = 0, to = 0;
    uint64_t encoding = 0;
    sx_str bytes = SX_STR("");
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            from = sx_pb_i64(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            to = sx_pb_i64(r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            encoding = sx_pb_varint(r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            bytes = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (r->fault || from > g->max_t || to < g->min_t)
        return SX_OK;
    if (encoding > UINT8_MAX)
        return sx_fail(err, SX_EFORMAT, "a chunk of an unknown encoding");
    return tsdb_chunk_read((tsdb_encoding)encoding, bytes, g->min_t, g->max_t, g->out, err);
}

sx_status read_series_samples(const read_series *s, int64_t min_t, int64_t max_t, tsdb_columns *out,
                              sx_error *err)
{
    const reading_range range = {.min_t = min_t > s->min_t ? min_t : s->min_t,
                                 .max_t = max_t < s->max_t ? max_t : s->max_t,
                                 .out = out};
    wire_histogram histogram = {0};
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, s->message);
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
            status = s->is_chunks ? read_chunk(&range, &r, err) : read_sample(&range, &r, err);
        else if (r.tag == SX_PB_TAG(4, SX_PB_BYTES) && !s->is_chunks)
            status = read_histogram(&range, &r, &histogram, err);
        else
            sx_pb_skip(&r);
    }
    wire_histogram_done(&histogram);
    return status == SX_OK ? sx_pb_status(&r, "a remote series", err) : status;
}
