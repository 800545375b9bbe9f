/* read.c - remote read: a Prometheus (or promtool) asks for series and gets their samples, in one
 * message or as a stream of chunks.
 *
 * The stream holds one series in memory at a time; its chunks are packed anew from the samples that
 * the querier gives, so that blocks, head and samples out of order look the same to the reader.
 * Source: Prometheus, docs/querying/remote_read_api.md; prompb/remote.proto, types.proto. */
#include <sextant/compress.h>
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/remote/remote.h"
#include "observe/remote/wire_histogram.h"
#include "observe/tsdb/chunk.h"

enum {
    REQUEST_BYTES_MAX = 32 << 20,
    SAMPLES_MAX = 50000000,
    FRAME_BYTES_MAX = 1 << 20,
    QUERIES_MAX = 10000,
};

typedef struct read_query {
    int64_t min_t, max_t;
    tsdb_matcher *matchers;
    size_t matcher_count, matcher_cap;
    bool no_samples; /* the hint that only labels are wanted */
} read_query;

typedef struct reading {
    const remote_read_options *options;
    uint64_t samples_left, samples_max;
    size_t frame_bytes_max;
    read_query *queries;
    size_t query_count, query_cap;
    bool streamed;
    bool (*write)(void *ctx, sx_str piece);
    void *ctx;
    sx_arena request, query, series; /* what lives as long as each */
    sx_buf plain, out, frame;
    tsdb_columns columns;
    tsdb_label *labels; /* of the series under way, external ones merged in */
    size_t label_count, label_cap;
} reading;

/* --- The request. */

static sx_status read_matcher(reading *g, read_query *q, sx_pb_reader *r, sx_error *err)
{
    static const tsdb_match_kind KINDS[] = {TSDB_MATCH_EQUAL, TSDB_MATCH_NOT_EQUAL,
                                            TSDB_MATCH_REGEX, TSDB_MATCH_NOT_REGEX};
    uint64_t kind = 0;
    sx_str name = SX_STR(""), value = SX_STR("");
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            kind = sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            name = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            value = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (r->fault)
        return SX_OK;
    if (kind >= sizeof KINDS / sizeof *KINDS)
        return sx_fail(err, SX_EINVAL, "invalid matcher type");
    if (!sx_arena_grow(&g->request, &q->matchers, &q->matcher_cap, q->matcher_count + 1,
                       sizeof *q->matchers))
        return sx_fail_memory(err, "matchers");
    /* What all our series have by being ours is not in the store. */
    sx_str external = tsdb_labels_get(g->options->external_labels, name);
    if (KINDS[kind] == TSDB_MATCH_EQUAL && sx_str_eq(external, value))
        value = SX_STR("");
    sx_status status =
        tsdb_matcher_init(&q->matchers[q->matcher_count], KINDS[kind], name, value, err);
    if (status == SX_OK)
        q->matcher_count++;
    return status;
}

/* Of the hints only one says something that the range does not. */
static void read_hints(read_query *q, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (r->tag == SX_PB_TAG(2, SX_PB_BYTES))
            q->no_samples = sx_str_eq(sx_pb_bytes(r), SX_STR("series"));
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
}

static sx_status read_query_message(reading *g, sx_pb_reader *r, sx_error *err)
{
    sx_status status = SX_OK;
    if (g->query_count == QUERIES_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d queries in one request", QUERIES_MAX);
    if (!sx_arena_grow(&g->request, &g->queries, &g->query_cap, g->query_count + 1,
                       sizeof *g->queries))
        return sx_fail_memory(err, "queries");
    read_query *q = &g->queries[g->query_count++];
    *q = (read_query){0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (status == SX_OK && sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            q->min_t = sx_pb_i64(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            q->max_t = sx_pb_i64(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            status = read_matcher(g, q, r, err);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            read_hints(q, r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return status;
}

/* The first response type of the list that we know; an empty list wants samples. */
typedef struct accepted_types {
    bool any, chosen, streamed;
} accepted_types;

static void accept_type(accepted_types *a, uint64_t type)
{
    a->any = true;
    if (a->chosen || type > 1)
        return;
    a->chosen = true;
    a->streamed = type == 1;
}

static sx_status read_request(reading *g, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    accepted_types accepted = {0};
    sx_pb_init(&r, sx_buf_view(&g->plain));
    while (status == SX_OK && sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            status = read_query_message(g, &r, err);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            accept_type(&accepted, sx_pb_varint(&r));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES): {
            sx_pb_outer outer = sx_pb_enter(&r);
            while (sx_pb_more(&r))
                accept_type(&accepted, sx_pb_varint(&r));
            sx_pb_leave(&r, outer);
            break;
        }
        default:
            sx_pb_skip(&r);
        }
    }
    if (status == SX_OK)
        status = sx_pb_status(&r, "remote read request", err);
    if (status == SX_OK && accepted.any && !accepted.chosen)
        status = sx_fail(err, SX_EINVAL,
                         "server does not support any of the requested response "
                         "types; supported: SAMPLES, STREAMED_XOR_CHUNKS");
    g->streamed = accepted.streamed;
    return status;
}

/* --- Series. */

/* The series' labels with the external ones that it has not itself; both are sorted. */
static sx_status merge_labels(reading *g, tsdb_labels own, sx_error *err)
{
    tsdb_labels more = g->options->external_labels;
    uint32_t i = 0, k = 0;
    if (!sx_grow(&g->labels, &g->label_cap, (size_t)own.count + more.count + 1, sizeof *g->labels))
        return sx_fail_memory(err, "a series' labels");
    g->label_count = 0;
    while (i < own.count || k < more.count) {
        int order = i == own.count    ? 1
                    : k == more.count ? -1
                                      : sx_str_cmp(own.items[i].name, more.items[k].name);
        g->labels[g->label_count++] = order <= 0 ? own.items[i] : more.items[k];
        i += order <= 0;
        k += order >= 0;
    }
    return SX_OK;
}

static void put_labels(const reading *g, sx_buf *out)
{
    for (size_t i = 0; i < g->label_count; i++) {
        size_t mark = sx_pb_begin(out, 1);
        sx_pb_put_str(out, 1, g->labels[i].name);
        sx_pb_put_str(out, 2, g->labels[i].value);
        sx_pb_end(out, mark);
    }
}

static sx_status put_samples(reading *g, sx_error *err)
{
    const tsdb_columns *c = &g->columns;
    if (c->count > g->samples_left)
        return sx_fail(err, SX_ELIMIT, "exceeded sample limit (%llu)",
                       (unsigned long long)g->samples_max);
    g->samples_left -= c->count;
    size_t mark = sx_pb_begin(&g->out, 1);
    put_labels(g, &g->out);
    for (size_t i = 0; i < c->count; i++) {
        if (c->h && c->h[i])
            continue;
        size_t sample = sx_pb_begin(&g->out, 2);
        sx_pb_put_double(&g->out, 1, c->v[i]);
        sx_pb_put_i64(&g->out, 2, c->t[i]);
        sx_pb_end(&g->out, sample);
    }
    for (size_t i = 0; c->h && i < c->count; i++)
        if (c->h[i])
            wire_histogram_write(&g->out, 4, c->h[i], c->t[i], 0);
    sx_pb_end(&g->out, mark);
    return sx_buf_status(&g->out, "remote read response", err);
}

/* A frame: length, checksum, message. */
static sx_status send_frame(reading *g, sx_error *err)
{
    char head[SX_PB_VARINT_BYTES_MAX + 4];
    sx_status status = sx_buf_status(&g->frame, "remote read response", err);
    if (status != SX_OK)
        return status;
    char *at = sx_pb_put_varint(head, g->frame.len);
    uint32_t crc = sx_crc32c(0, g->frame.data, g->frame.len);
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (char)(crc >> shift);
    sx_buf_clear(&g->out);
    sx_buf_bytes(&g->out, head, (size_t)(at - head));
    sx_buf_str(&g->out, sx_buf_view(&g->frame));
    status = sx_buf_status(&g->out, "remote read response", err);
    if (status == SX_OK && !g->write(g->ctx, sx_buf_view(&g->out)))
        return sx_fail(err, SX_ECANCELED, "the client has gone");
    return status;
}

static void put_chunk(sx_buf *out, const tsdb_packed *p)
{
    size_t mark = sx_pb_begin(out, 2);
    sx_pb_put_i64(out, 1, p->min_t);
    sx_pb_put_i64(out, 2, p->max_t);
    sx_pb_put_u64(out, 3, p->encoding);
    sx_pb_put_str(out, 4, p->bytes);
    sx_pb_end(out, mark);
}

/* The series' samples as frames of about the limit each. */
static sx_status stream_series(reading *g, size_t query, sx_error *err)
{
    static const tsdb_pack_options PACK = {0};
    sx_status status = SX_OK;
    size_t at = 0;
    bool bare = g->queries[query].no_samples; /* one frame, without chunks */
    while ((at < g->columns.count || bare) && status == SX_OK) {
        sx_buf_clear(&g->frame);
        size_t series = sx_pb_begin(&g->frame, 1);
        put_labels(g, &g->frame);
        while (at < g->columns.count && status == SX_OK &&
               (g->frame.len < g->frame_bytes_max || at == 0)) {
            tsdb_packed chunk;
            status = tsdb_chunk_pack(&g->columns, &at, &PACK, &g->series, &chunk, err);
            if (status == SX_OK)
                put_chunk(&g->frame, &chunk);
        }
        bare = false;
        sx_pb_end(&g->frame, series);
        if (query)
            sx_pb_put_u64(&g->frame, 2, query);
        if (status == SX_OK)
            status = send_frame(g, err);
    }
    return status;
}

static sx_status answer_series(reading *g, tsdb_querier *q, const tsdb_series *s, size_t query,
                               sx_error *err)
{
    const read_query *asked = &g->queries[query];
    sx_arena_reset(&g->series);
    g->columns.count = 0;
    if (g->columns.h || g->columns.st)
        tsdb_columns_done(&g->columns); /* most series lack these columns */
    sx_status status = merge_labels(g, s->labels, err);
    if (status == SX_OK && !asked->no_samples)
        status = q->ops->read(q, s, asked->min_t, asked->max_t, &g->columns, err);
    if (status != SX_OK)
        return status;
    if (g->columns.count == 0 && !asked->no_samples)
        return SX_OK; /* none in the range after all */
    return g->streamed ? stream_series(g, query, err) : put_samples(g, err);
}

static sx_status answer_query(reading *g, tsdb_queryable *store, size_t number, sx_error *err)
{
    const read_query *asked = &g->queries[number];
    tsdb_querier *q;
    tsdb_selection found = {0};
    tsdb_hints hints = {.min_t = asked->min_t,
                        .max_t = asked->max_t,
                        .sorted = true,
                        .no_samples = asked->no_samples};
    sx_arena_reset(&g->query);
    sx_status status = store->querier(store, asked->min_t, asked->max_t, &q, err);
    if (status != SX_OK)
        return status;
    status = q->ops->select(q, &hints, asked->matchers, asked->matcher_count, &g->query, &found,
                            g->options->canceled, err);
    for (size_t i = 0; i < found.count && status == SX_OK; i++) {
        if (g->options->canceled && *g->options->canceled)
            status = sx_fail(err, SX_ECANCELED, "the client has gone");
        else
            status = answer_series(g, q, &found.items[i], number, err);
    }
    q->ops->free(q);
    return status;
}

static sx_status answer(reading *g, tsdb_queryable *store, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < g->query_count && status == SX_OK; i++) {
        size_t mark = g->streamed ? 0 : sx_pb_begin(&g->out, 1);
        status = answer_query(g, store, i, err);
        if (status == SX_OK && !g->streamed)
            sx_pb_end(&g->out, mark);
    }
    if (status != SX_OK || g->streamed)
        return status;
    status = sx_buf_status(&g->out, "remote read response", err);
    sx_buf_clear(&g->plain);
    if (status == SX_OK)
        status =
            sx_compress(SX_CODEC_SNAPPY, sx_buf_view(&g->out), SX_LEVEL_DEFAULT, &g->plain, err);
    if (status == SX_OK && !g->write(g->ctx, sx_buf_view(&g->plain)))
        return sx_fail(err, SX_ECANCELED, "the client has gone");
    return status;
}

static void done(reading *g)
{
    for (size_t i = 0; i < g->query_count; i++)
        for (size_t k = 0; k < g->queries[i].matcher_count; k++)
            tsdb_matcher_done(&g->queries[i].matchers[k]);
    tsdb_columns_done(&g->columns);
    sx_buf_done(&g->plain);
    sx_buf_done(&g->out);
    sx_buf_done(&g->frame);
    sx_free(g->labels);
    sx_arena_done(&g->series);
    sx_arena_done(&g->query);
    sx_arena_done(&g->request);
}

sx_status remote_read(tsdb_queryable *store, const remote_read_options *options, sx_str body,
                      bool *streamed, bool (*write)(void *ctx, sx_str piece), void *ctx,
                      sx_error *err)
{
    reading g = {
        .options = options,
        .samples_max = options->samples_max ? options->samples_max : SAMPLES_MAX,
        .frame_bytes_max =
            options->frame_bytes_max ? (size_t)options->frame_bytes_max : FRAME_BYTES_MAX,
        .write = write,
        .ctx = ctx,
    };
    g.samples_left = g.samples_max;
    sx_arena_init(&g.request, 0, 0);
    sx_arena_init(&g.query, 0, 0);
    sx_arena_init(&g.series, 0, 0);
    sx_buf_init(&g.plain, 0);
    sx_buf_init(&g.out, 0);
    sx_buf_init(&g.frame, 0);
    tsdb_columns_init(&g.columns, &g.series);
    sx_status status = sx_decompress(
        SX_CODEC_SNAPPY, body,
        options->decoded_bytes_max ? options->decoded_bytes_max : REQUEST_BYTES_MAX, &g.plain, err);
    if (status == SX_OK)
        status = read_request(&g, err);
    if (status == SX_OK) {
        *streamed = g.streamed;
        status = answer(&g, store, err);
    }
    done(&g);
    return status;
}
