/* traces_import.c - `sextant traces import`: files of spans into a store or a running server.
 *
 * What a file is, is told by its content. Spans come in batches of some thousands: each goes into the
 * store of a directory at once, or to a server as one OTLP request, again while it asks for time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/json.h>
#include <sextant/loop.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "cmd/fetch.h"
#include "cmd/traces.h"
#include "observe/spans/jaeger.h"
#include "observe/spans/otlp.h"
#include "observe/spans/zipkin.h"

#define CENTURY_MS (100ll * 365 * 24 * 3600 * 1000)

enum {
    REQUEST_SPANS = 5000,
    TRIES = 30,
    TRY_WAIT_MS = 1000,
    HTTP_TOO_MANY = 429,
    HTTP_UNAVAILABLE = 503
};

/* --- Files. */

typedef sx_status read_fn(sx_str body, const span_limits *limits, span_batch *out,
                          span_refused *refused, sx_error *err);

/* What was exported comes in again whole, however big. */
static const span_limits LIMITS = {.spans_max = UINT32_MAX,
                                   .attributes_max = 1 << 20,
                                   .value_bytes_max = 1 << 30,
                                   .events_max = 1 << 20,
                                   .links_max = 1 << 20};

static sx_status take_text(sx_str text, read_fn *read, traces_take *take, void *ctx, sx_error *err)
{
    span_refused refused = {0};
    span_batch *b = span_batch_new(SIZE_MAX / 4);
    if (!b)
        return sx_fail_memory(err, "a batch of spans");
    sx_status status = read(text, &LIMITS, b, &refused, err);
    if (status == SX_OK && refused.spans)
        status = sx_fail(err, SX_EFORMAT, "%" PRIu64 " spans cannot be taken; the first, %s",
                         refused.spans, refused.why);
    if (status == SX_OK)
        status = take(ctx, b, err);
    span_batch_unref(b);
    return status;
}

/* The first key of an object that tells what it is: data and spans are Jaeger's. */
static read_fn *reader_of(sx_str text)
{
    sx_json r;
    sx_str key;
    char space[256];
    if (text.len && text.data[0] == '[')
        return span_read_zipkin_json;
    sx_json_init(&r, text,
                 &(sx_json_options){
                     .space = space, .space_bytes = sizeof space, .depth_max = SX_JSON_DEPTH_MOST});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key))
        if (sx_str_eq(key, SX_STR("data")) || sx_str_eq(key, SX_STR("traceID")))
            return span_read_jaeger_json;
        else if (sx_str_eq(key, SX_STR("resourceSpans")))
            return span_read_otlp_json;
    return span_read_otlp_json;
}

/* {"result":{...}}, as Jaeger's API v3 answers: the inner object; else the text itself. */
static sx_str inner_of(sx_str text)
{
    sx_json r;
    sx_str key, raw;
    char space[256];
    sx_json_init(&r, text,
                 &(sx_json_options){
                     .space = space, .space_bytes = sizeof space, .depth_max = SX_JSON_DEPTH_MOST});
    if (text.len == 0 || text.data[0] != '{' || !sx_json_enter_object(&r) ||
        !sx_json_next_key(&r, &key) || !sx_str_eq(key, SX_STR("result")) ||
        !sx_json_raw(&r, &raw) || sx_json_next_key(&r, &key) || sx_json_finish(&r, NULL) != SX_OK)
        return text;
    return raw;
}

static sx_status take_json(sx_str text, traces_take *take, void *ctx, sx_error *err)
{
    text = inner_of(sx_str_trim(text));
    return take_text(text, reader_of(text), take, ctx, err);
}

/* A first line that is a whole value begins a file of lines; else the file is one value. */
static bool is_lines(sx_str text)
{
    sx_json r;
    sx_str line = sx_str_first(text, sx_str_find_byte(text, '\n'));
    sx_json_init(&r, line, &(sx_json_options){.depth_max = SX_JSON_DEPTH_MOST});
    return line.len < text.len && sx_json_skip(&r) && sx_json_finish(&r, NULL) == SX_OK;
}

static sx_status take_lines(sx_str text, traces_take *take, void *ctx, sx_error *err)
{
    uint64_t number = 0;
    sx_str line;
    sx_status status = SX_OK;
    while (text.len && status == SX_OK) {
        size_t end = sx_str_find_byte(text, '\n');
        number++;
        line = sx_str_trim(sx_str_first(text, end));
        text = sx_str_from(text, end < text.len ? end + 1 : end);
        if (line.len)
            status = take_json(line, take, ctx, err);
    }
    if (status == SX_OK)
        return status;
    sx_str inner = sx_str_z(err->message), first = SX_STR("line 1, "); /* the reader saw one line */
    if (sx_str_starts(inner, first))
        memmove(err->message, inner.data + first.len, inner.len - first.len + 1);
    return sx_error_prefix(err, status, "line %" PRIu64, number);
}

/* Protobuf begins with 0x0a, which is white space to JSON: what JSON begins with decides. */
static sx_status take_any(sx_str text, traces_take *take, void *ctx, sx_error *err)
{
    sx_str body = sx_str_trim(text);
    bool json = body.len && (body.data[0] == '{' || body.data[0] == '[');
    if (json && text.data[0] == '\n') {
        span_batch *b = span_batch_new(SIZE_MAX / 4);
        json = !b || span_read_otlp(text, &LIMITS, b, NULL, NULL) != SX_OK;
        if (b)
            span_batch_unref(b);
    }
    if (!json)
        return take_text(text, span_read_otlp, take, ctx, err);
    text = body;
    return is_lines(text) ? take_lines(text, take, ctx, err) : take_json(text, take, ctx, err);
}

sx_status traces_read_file(const char *path, traces_take *take, void *ctx, sx_error *err)
{
    sx_mapping file = {0};
    sx_buf plain;
    sx_buf_init(&plain, 0);
    sx_status status = sx_mapping_open(&file, path, SX_MAP_SEQUENTIAL, err);
    if (status != SX_OK)
        return status;
    sx_str text = sx_str_of(file.data, file.len);
    sx_codec codec = sx_codec_detect(sx_str_first(text, SX_CODEC_DETECT_BYTES));
    if (codec != SX_CODEC_IDENTITY) {
        status = sx_decompress(codec, text, SX_OUTPUT_UNLIMITED, &plain, err);
        if (status == SX_OK)
            status = sx_buf_status(&plain, path, err);
        text = sx_buf_view(&plain);
    }
    if (status == SX_OK)
        status = take_any(text, take, ctx, err);
    if (status == SX_OK)
        status = take(ctx, NULL, err);
    if (status != SX_OK)
        sx_error_prefix(err, status, "%s", path);
    sx_buf_done(&plain);
    sx_mapping_close(&file);
    return status;
}

/* --- Where they go. */

typedef struct importing {
    span_batch *waiting; /* spans of several lines, until they are enough for one request */
    tr_store *store;     /* --dir */
    sx_str url;          /* --url, with its path */
    uint64_t taken, refused;
    char why[256]; /* of the first that the server refused */
} importing;

/* ExportTraceServiceResponse: partial_success {rejected_spans, error_message}. */
static void read_refused(importing *m, sx_str response)
{
    sx_pb_reader r;
    sx_str why = sx_str_of(NULL, 0);
    uint64_t refused = 0;
    sx_pb_init(&r, response);
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r)) {
            if (r.tag == SX_PB_TAG(1, SX_PB_VARINT))
                refused = sx_pb_varint(&r);
            else if (r.tag == SX_PB_TAG(2, SX_PB_BYTES))
                why = sx_pb_bytes(&r);
            else
                sx_pb_skip(&r);
        }
        sx_pb_leave(&r, outer);
    }
    if (refused && !m->refused)
        snprintf(m->why, sizeof m->why, "%.*s", (int)(why.len < 200 ? why.len : 200), why.data);
    m->refused += refused;
}

static void stop_waiting(sx_timer *timer, void *loop)
{
    (void)timer;
    sx_loop_stop(loop);
}

/* Between two tries at a server that has no room. */
static sx_status wait_ms(int64_t ms, sx_error *err)
{
    sx_loop *loop;
    sx_status status = sx_loop_new(NULL, 0, &loop, err);
    if (status != SX_OK)
        return status;
    sx_timer timer = {.fn = stop_waiting, .arg = loop};
    sx_timer_start(sx_loop_timers(loop), &timer, ms);
    sx_loop_run(loop);
    sx_loop_free(loop);
    return SX_OK;
}

static sx_status post(importing *m, const span_batch *b, sx_error *err)
{
    sx_buf body, response;
    int http = 0;
    sx_buf_init(&body, 0);
    sx_buf_init(&response, 0);
    span_write_otlp(b, &body);
    sx_status status = sx_buf_status(&body, "a request", err);
    for (int left = TRIES; status == SX_OK && left > 0; left--) {
        sx_buf_clear(&response);
        status = cmd_post(m->url, SX_STR("application/x-protobuf"), sx_buf_view(&body), &response,
                          &http, err);
        if (status != SX_OK || (http != HTTP_TOO_MANY && http != HTTP_UNAVAILABLE))
            break;
        status = wait_ms(TRY_WAIT_MS, err);
    }
    if (status == SX_OK && http == 200)
        read_refused(m, sx_buf_view(&response));
    else if (status == SX_OK)
        status = sx_fail(err, SX_EPROTOCOL,
                         "%.*s answers with status %d: is it the OTLP port of an observatory?",
                         SX_ARG(m->url), http);
    sx_buf_done(&response);
    sx_buf_done(&body);
    return status;
}

static sx_status flush(importing *m, sx_error *err)
{
    if (!m->waiting->count)
        return SX_OK;
    size_t count = m->waiting->count;
    sx_status status =
        m->store ? tr_store_append(m->store, m->waiting, err) : post(m, m->waiting, err);
    m->taken += status == SX_OK ? count : 0;
    span_batch_unref(m->waiting);
    m->waiting = span_batch_new(SIZE_MAX / 4);
    if (!m->waiting && status == SX_OK)
        status = sx_fail_memory(err, "a batch of spans");
    return status;
}

static sx_status take_batch(void *ctx, span_batch *b, sx_error *err)
{
    importing *m = ctx;
    if (!b)
        return flush(m, err);
    sx_status status = span_batch_hold(m->waiting, b, err);
    for (size_t i = 0; status == SX_OK && i < b->count; i++) {
        status = span_batch_put(m->waiting, b->spans[i], err);
        if (status == SX_OK && m->waiting->count == REQUEST_SPANS)
            status = flush(m, err);
        if (status == SX_OK && m->waiting->count == 0)
            status = span_batch_hold(m->waiting, b, err);
    }
    return status;
}

/* The OTLP endpoint: a path that is given stays. */
static sx_str endpoint_of(const char *url, sx_arena *arena)
{
    sx_str typed = sx_str_z(url);
    return sx_str_ends(typed, SX_STR("/v1/traces")) ? typed
                                                    : cmd_endpoint(url, "/v1/traces", arena);
}

static sx_status open_target(const cmd_args *args, importing *m, traces_folder *folder,
                             sx_arena *arena, sx_error *err)
{
    const char *dir = cmd_value(args, "dir"), *url = cmd_value(args, "url");
    if ((dir != NULL) == (url != NULL))
        return sx_fail(err, SX_EINVAL,
                       "say where to: --url http://127.0.0.1:4318 of a server, or --dir DIR of one "
                       "that does not run");
    m->waiting = span_batch_new(SIZE_MAX / 4);
    if (!m->waiting)
        return sx_fail_memory(err, "a batch of spans");
    if (url) {
        m->url = endpoint_of(url, arena);
        return m->url.data ? SX_OK : sx_fail_memory(err, "the import");
    }
    if (traces_folder_find(folder, dir, err) != SX_OK &&
        snprintf(folder->path, sizeof folder->path, "%s/sextant/traces", dir) >=
            (int)sizeof folder->path)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    tr_store_options options = {.dir = folder->path,
                                .clock = sx_clock_system(),
                                .retention_ms = CENTURY_MS,
                                .append_wait_ms = INT64_MAX / 4};
    return tr_store_open(&options, &m->store, err);
}

int cmd_traces_import(const cmd_args *args)
{
    importing m = {0};
    traces_folder folder = {.lock = {-1}};
    sx_arena arena;
    sx_error err;
    sx_arena_init(&arena, 0, 0);
    sx_status status = open_target(args, &m, &folder, &arena, &err);
    for (int i = 0; status == SX_OK && i < args->rest_count; i++)
        status = traces_read_file(args->rest[i], take_batch, &m, &err);
    if (m.waiting)
        span_batch_unref(m.waiting);
    tr_store_close(m.store);
    sx_arena_done(&arena);
    printf("%" PRIu64 " spans taken\n", m.taken - m.refused);
    if (status != SX_OK)
        return cmd_failed(&err);
    if (m.refused)
        fprintf(stderr, "sextant: %" PRIu64 " spans refused; the first: %s\n", m.refused, m.why);
    return m.refused ? 1 : 0;
}
