/* pbf.c - a PBF file: its blobs, unpacked and decoded by several threads.
 *
 *     4 bytes      length of the header, big-endian
 *     BlobHeader   what the blob is ("OSMHeader", "OSMData") and how long
 *     Blob         its contents, plain or compressed
 *
 * Workers take turns to read the next blob from the file, which is short work under a lock, and unpack
 * and decode it outside. Lengths are judged before there is memory for them. Source: fileformat.proto
 * and osmformat.proto as the OSM wiki has them. */
#include <inttypes.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "geocode/osm/impl.h"

enum { TYPE_BYTES_MAX = 32, LENGTH_BYTES = 4 };

/* A blob as it was read. */
typedef struct blob {
    uint64_t number, at; /* which of the file, and at which byte it begins */
    char type[TYPE_BYTES_MAX];
    sx_buf bytes;
} blob;

typedef struct worker {
    osm_run *run;
    pthread_t thread;
    bool started;
    blob blob;
    sx_buf plain;
    sx_decoder *decoders[SX_CODECS];
    osm_block block;
    osm_builder builder;
} worker;

static sx_status cut_short(uint64_t at, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EFORMAT, "the file ends at byte %" PRIu64 ", inside %s; fetch it again",
                   at, what);
}

/* The blob's header, whose `len` bytes come next; *blob_bytes is what the blob claims to have. */
static sx_status read_blob_header(osm_run *run, blob *b, uint32_t len, int64_t *blob_bytes,
                                  sx_error *err)
{
    size_t got;
    sx_buf_clear(&b->bytes);
    char *to = sx_buf_reserve(&b->bytes, len);
    if (!to)
        return sx_fail_memory(err, "a blob's header");
    sx_status status = osm_run_take(run, to, len, &got, err);
    if (status != SX_OK)
        return status;
    if (got < len)
        return cut_short(run->at, "a blob's header", err);
    sx_pb_reader r;
    sx_str type = {0};
    sx_pb_init(&r, sx_str_of(to, len));
    *blob_bytes = -1;
    while (sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            type = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            *blob_bytes = sx_pb_i64(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    status = sx_pb_status(&r, "a blob's header", err);
    if (status != SX_OK)
        return status;
    if (!type.len || *blob_bytes < 0)
        return sx_fail(err, SX_EFORMAT, "a blob's header without a type or a length");
    (void)snprintf(b->type, sizeof(b->type), "%.*s", SX_ARG(type));
    return SX_OK;
}

/* The next blob; SX_END after the last. Under the lock. */
static sx_status read_blob(osm_run *run, blob *b, sx_error *err)
{
    uint8_t length[LENGTH_BYTES];
    size_t got;
    b->number = run->next_block;
    b->at = run->at;
    sx_status status = osm_run_take(run, length, LENGTH_BYTES, &got, err);
    if (status != SX_OK)
        return status;
    if (got == 0)
        return SX_END;
    if (got < LENGTH_BYTES)
        return cut_short(run->at, "the length of a blob's header", err);
    uint32_t len = (uint32_t)length[0] << 24 | (uint32_t)length[1] << 16 |
                   (uint32_t)length[2] << 8 | length[3];
    if (len == 0 || len > run->limits.header_bytes_max)
        return sx_fail(err, SX_ELIMIT, "a blob's header of %u bytes; 1 to %u are allowed", len,
                       run->limits.header_bytes_max);
    int64_t bytes = 0;
    status = read_blob_header(run, b, len, &bytes, err);
    if (status != SX_OK)
        return status;
    if (bytes > run->limits.blob_bytes_max)
        return sx_fail(err, SX_ELIMIT, "a blob of %" PRId64 " bytes; at most %u are allowed", bytes,
                       run->limits.blob_bytes_max);
    sx_buf_clear(&b->bytes);
    char *to = sx_buf_reserve(&b->bytes, (size_t)bytes + 1);
    if (!to)
        return sx_fail_memory(err, "a blob");
    status = osm_run_take(run, to, (size_t)bytes, &got, err);
    if (status == SX_OK && got < (size_t)bytes)
        status = cut_short(run->at, "a blob", err);
    b->bytes.len = got;
    run->next_block++;
    return status;
}

/* Where it happened, for every error of a blob. */
static sx_status blame(const blob *b, sx_status status, sx_error *err)
{
    return status == SX_OK || status == SX_END || status == SX_ECANCELED
               ? status
               : sx_error_prefix(err, status, "block %" PRIu64 " at byte %" PRIu64, b->number,
                                 b->at);
}

/* ---- Unpacking ---- */

/* Fields of a Blob that hold contents, and how they are compressed. */
static const struct packing {
    uint32_t field;
    sx_codec codec; /* SX_CODECS: not one of ours */
    const char *name;
} PACKINGS[] = {
    {1, SX_CODEC_IDENTITY, "raw"}, {3, SX_CODEC_ZLIB, "zlib"}, {4, SX_CODECS, "LZMA"},
    {5, SX_CODECS, "bzip2"},       {6, SX_CODECS, "LZ4"},      {7, SX_CODEC_ZSTD, "zstd"},
};

static sx_status unpack_with(worker *w, sx_codec codec, sx_str packed, int64_t plain_bytes,
                             sx_error *err)
{
    sx_decoder **d = &w->decoders[codec];
    if (!*d) {
        sx_decoder_options options = {.output_bytes_max = w->run->limits.blob_bytes_max,
                                      .window_log_max = 27};
        *d = sx_decoder_new(codec, &options, err);
        if (!*d)
            return err->status;
    } else if (sx_decoder_reset(*d, err) != SX_OK) {
        return err->status;
    }
    sx_buf_clear(&w->plain);
    if (plain_bytes > 0 && !sx_buf_reserve(&w->plain, (size_t)plain_bytes))
        return sx_fail_memory(err, "an unpacked block");
    sx_status status = sx_decoder_feed(*d, &packed, &w->plain, 0, err);
    if (status == SX_OK)
        status = sx_decoder_finish(*d, &w->plain, 0, err);
    if (status == SX_OK && plain_bytes >= 0 && w->plain.len != (size_t)plain_bytes)
        status = sx_fail(err, SX_EFORMAT, "a blob that claims %" PRId64 " bytes unpacks to %zu",
                         plain_bytes, w->plain.len);
    return status;
}

static sx_status unpack(worker *w, sx_str *plain, sx_error *err)
{
    sx_pb_reader r;
    sx_str packed = {0};
    const struct packing *how = NULL;
    int64_t plain_bytes = -1;
    sx_pb_init(&r, sx_buf_view(&w->blob.bytes));
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(2, SX_PB_VARINT)) {
            plain_bytes = sx_pb_i64(&r);
            continue;
        }
        const struct packing *found = NULL;
        for (size_t i = 0; i < SX_COUNT_OF(PACKINGS); i++)
            if (r.tag == SX_PB_TAG(PACKINGS[i].field, SX_PB_BYTES))
                found = &PACKINGS[i];
        if (found) {
            how = found;
            packed = sx_pb_bytes(&r);
        } else {
            sx_pb_skip(&r);
        }
    }
    sx_status status = sx_pb_status(&r, "blob", err);
    if (status != SX_OK)
        return status;
    if (!how)
        return sx_fail(err, SX_EFORMAT, "a blob without contents");
    if (how->codec == SX_CODECS)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "a blob packed with %s; we read raw, zlib and zstd: convert it with osmium",
                       how->name);
    if (plain_bytes > w->run->limits.blob_bytes_max || plain_bytes < -1)
        return sx_fail(err, SX_ELIMIT,
                       "a blob that unpacks to %" PRId64 " bytes; at most %u are allowed",
                       plain_bytes, w->run->limits.blob_bytes_max);
    *plain = packed;
    if (how->codec == SX_CODEC_IDENTITY)
        return SX_OK;
    status = unpack_with(w, how->codec, packed, plain_bytes, err);
    *plain = sx_buf_view(&w->plain);
    return status;
}

/* ---- The header block ---- */

static void read_box(sx_pb_reader *r, osm_header *h)
{
    int64_t sides[4] = {0}; /* left, right, top, bottom: fields 1 to 4, in 1e-9 degrees */
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (sx_pb_wire_of(r) == SX_PB_VARINT && sx_pb_field(r) <= 4)
            sides[sx_pb_field(r) - 1] = sx_pb_zigzag(r) / 100;
        else
            sx_pb_skip(r);
    }
    sx_pb_leave(r, outer);
    h->has_box = osm_in_world(sides[0], sides[3]) && osm_in_world(sides[1], sides[2]);
    if (h->has_box) {
        h->box_e7[0] = (int32_t)sides[0];
        h->box_e7[1] = (int32_t)sides[3];
        h->box_e7[2] = (int32_t)sides[1];
        h->box_e7[3] = (int32_t)sides[2];
    }
}

static sx_status check_feature(osm_header *h, sx_str name, sx_error *err)
{
    if (sx_str_eq(name, SX_STR("HistoricalInformation"))) {
        h->history = true;
        return SX_OK;
    }
    if (sx_str_eq(name, SX_STR("OsmSchema-V0.6")) || sx_str_eq(name, SX_STR("DenseNodes")) ||
        sx_str_eq(name, SX_STR("LocationsOnWays")))
        return SX_OK;
    return sx_fail(err, SX_EUNSUPPORTED, "the file requires \"%.*s\", which we have not",
                   SX_ARG(sx_str_first(name, 64)));
}

static sx_status read_header_block(osm_header *h, sx_str bytes, sx_error *err)
{
    sx_pb_reader r;
    sx_str text;
    sx_status status = SX_OK;
    sx_pb_init(&r, bytes);
    while (status == SX_OK && sx_pb_next(&r))
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_box(&r, h);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            status = check_feature(h, sx_pb_bytes(&r), err);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            if (sx_str_eq(sx_pb_bytes(&r), SX_STR("Sort.Type_then_ID")))
                h->sorted = true;
            break;
        case SX_PB_TAG(16, SX_PB_BYTES):
            text = sx_pb_bytes(&r);
            (void)snprintf(h->program, sizeof(h->program), "%.*s", SX_ARG(text));
            break;
        case SX_PB_TAG(32, SX_PB_VARINT):
            if (__builtin_mul_overflow(sx_pb_i64(&r), 1000, &h->replication_ms))
                h->replication_ms = 0;
            break;
        case SX_PB_TAG(33, SX_PB_VARINT):
            h->sequence = sx_pb_i64(&r);
            break;
        case SX_PB_TAG(34, SX_PB_BYTES):
            text = sx_pb_bytes(&r);
            (void)snprintf(h->replication_url, sizeof(h->replication_url), "%.*s", SX_ARG(text));
            break;
        default:
            sx_pb_skip(&r);
        }
    return status == SX_OK ? sx_pb_status(&r, "header", err) : status;
}

/* ---- Workers ---- */

static sx_status worker_init(worker *w, osm_run *run, uint32_t number, sx_error *err)
{
    w->run = run;
    sx_buf_init(&w->blob.bytes, 0);
    sx_buf_init(&w->plain, 0);
    return osm_builder_init(&w->builder, run, number, err);
}

static void worker_done(worker *w)
{
    for (int i = 0; i < SX_CODECS; i++)
        sx_decoder_free(w->decoders[i]);
    sx_buf_done(&w->blob.bytes);
    sx_buf_done(&w->plain);
    sx_free(w->block.strings);
    osm_builder_done(&w->builder);
}

/* Keeps the failure of the earliest block: that is the one that a single thread would have met. Under
 * the lock. */
static void note_failure(worker *w, sx_status status, const sx_error *err)
{
    osm_run *run = w->run;
    if (!run->failed || w->blob.number < run->failed_block) {
        run->failed_block = w->blob.number;
        run->failure = *err;
        run->failure.status = status;
    }
    run->failed = true;
    (void)pthread_cond_broadcast(&run->moved);
}

static sx_status next_blob(worker *w, sx_error *err)
{
    osm_run *run = w->run;
    (void)pthread_mutex_lock(&run->lock);
    sx_status status = run->failed ? SX_END : osm_run_progress(run, err);
    if (status == SX_OK)
        status = blame(&w->blob, read_blob(run, &w->blob, err), err);
    if (status != SX_OK && status != SX_END)
        note_failure(w, status, err); /* before another reads on where this one got stuck */
    (void)pthread_mutex_unlock(&run->lock);
    return status;
}

static sx_status do_blob(worker *w, sx_error *err)
{
    sx_str plain, type = sx_str_z(w->blob.type);
    osm_header later = {0};
    w->builder.block = w->blob.number;
    w->builder.my_turn = false;
    bool is_data = sx_str_eq(type, SX_STR("OSMData"));
    if (!is_data && !sx_str_eq(type, SX_STR("OSMHeader")))
        return SX_OK; /* as the format asks: what is not known is passed over */
    sx_status status = unpack(w, &plain, err);
    if (status != SX_OK)
        return status;
    return is_data ? osm_block_read(&w->block, &w->builder, plain, err)
                   : read_header_block(&later, plain, err); /* files that were put together */
}

/* Lets the next block hand over, in ordered reading, once all before it have. */
static void end_turn(worker *w)
{
    osm_run *run = w->run;
    if (!run->options->ordered)
        return;
    (void)pthread_mutex_lock(&run->lock);
    while (run->turn != w->blob.number && !(run->failed && run->failed_block < w->blob.number))
        (void)pthread_cond_wait(&run->moved, &run->lock);
    if (run->turn == w->blob.number)
        run->turn++;
    (void)pthread_cond_broadcast(&run->moved);
    (void)pthread_mutex_unlock(&run->lock);
}

static void *work(void *arg)
{
    worker *w = arg;
    sx_error err = {0};
    sx_status status = SX_OK;
    while (status == SX_OK && next_blob(w, &err) == SX_OK) {
        status = blame(&w->blob, do_blob(w, &err), &err);
        if (status == SX_OK)
            end_turn(w);
    }
    (void)pthread_mutex_lock(&w->run->lock);
    if (status != SX_OK)
        note_failure(w, status, &err);
    osm_report_merge(&w->run->report, &w->builder.report);
    (void)pthread_mutex_unlock(&w->run->lock);
    return NULL;
}

/* The first blob, which must be the header. */
static sx_status read_first(worker *w, sx_error *err)
{
    osm_run *run = w->run;
    sx_str plain;
    sx_status status = read_blob(run, &w->blob, err);
    if (status == SX_OK && !sx_str_eq(sx_str_z(w->blob.type), SX_STR("OSMHeader")))
        status = sx_fail(err, SX_EFORMAT, "the first block is \"%s\", not OSMHeader", w->blob.type);
    if (status == SX_OK)
        status = unpack(w, &plain, err);
    if (status == SX_OK)
        status = read_header_block(&run->header, plain, err);
    run->turn = run->next_block;
    if (status == SX_OK && run->options->header)
        *run->options->header = run->header;
    return blame(&w->blob, status, err);
}

sx_status osm_read_pbf(osm_run *run, sx_error *err)
{
    uint32_t count = osm_threads(run->options->threads);
    worker *workers = sx_calloc(count, sizeof(*workers));
    if (!workers)
        return sx_fail_memory(err, "threads");
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < count && status == SX_OK; i++)
        status = worker_init(&workers[i], run, i, err);
    if (status == SX_OK)
        status = read_first(&workers[0], err);
    if (status == SX_OK) {
        /* A thread that cannot be had is done without: the caller's is always there. */
        for (uint32_t i = 1; i < count; i++)
            workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
        (void)work(&workers[0]);
        for (uint32_t i = 1; i < count; i++)
            if (workers[i].started)
                (void)pthread_join(workers[i].thread, NULL);
        if (run->failed) {
            *err = run->failure;
            status = err->status;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        worker_done(&workers[i]);
    sx_free(workers);
    return status;
}
