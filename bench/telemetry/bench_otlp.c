/* bench_otlp.c - what an exported record costs: its thread (room and commit), and the exporter's thread
 * (from the lane to the bytes of a request, as protobuf, as JSON, and compressed). Budget: span start to
 * exported bytes 500 ns, of which this is the second half. */
#include <stdio.h>

#include <sextant/compress.h>
#include <sextant/protobuf.h>

#include "telemetry/otlp_internal.h"
#include "telemetry/otlp_json.h"

enum { RECORDS = 512, ROUNDS = 2000, CODED_ROUNDS = 40 };

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

static void print(const char *name, int64_t ns, int64_t records)
{
    printf("%s %.1f ns\n", name, (double)ns / (double)records);
}

/* Takes each request at once, before the next turn. */
typedef struct taker {
    sx_otlp_sender base;
    sx_otlp_answered *done;
    void *ctx;
    sx_buf last;
} taker;

static sx_status take(sx_otlp_sender *base, sx_str request, sx_otlp_answered *done, void *ctx,
                      sx_error *err)
{
    taker *t = (taker *)base;
    (void)err;
    sx_buf_clear(&t->last);
    sx_buf_str(&t->last, request);
    t->done = done;
    t->ctx = ctx;
    return SX_OK;
}

static void forget(sx_otlp_sender *base)
{
    (void)base;
}

/* A span of a usual size, 330 bytes. */
static void make_span(sx_buf *b)
{
    static const char *const KEYS[] = {"http.request.method", "url.path", "http.route",
                                       "network.protocol.version", "server.address"};
    sx_pb_put_str(b, 1, SX_STR("0123456789abcdef"));
    sx_pb_put_str(b, 2, SX_STR("01234567"));
    sx_pb_put_str(b, 5, SX_STR("GET /api/v1/orders/{id}"));
    sx_pb_put_u64(b, 6, 2);
    sx_pb_put_fixed64(b, 7, 1705314600000000000);
    sx_pb_put_fixed64(b, 8, 1705314600001234567);
    for (size_t i = 0; i < SX_COUNT_OF(KEYS); i++) {
        size_t pair = sx_pb_begin(b, 9);
        sx_pb_put_str(b, 1, sx_str_z(KEYS[i]));
        size_t any = sx_pb_begin(b, 2);
        sx_pb_put_str(b, 1, SX_STR("a value of usual length"));
        sx_pb_end(b, any);
        sx_pb_end(b, pair);
    }
}

static void coded(const taker *t)
{
    sx_buf json, packed;
    sx_json_writer w;
    sx_buf_init(&json, 0);
    sx_buf_init(&packed, 0);
    int64_t json_ns = 0, gzip_ns = 0;
    for (int i = 0; i < CODED_ROUNDS; i++) {
        int64_t start = now_ns();
        sx_buf_clear(&json);
        sx_json_writer_init(&w, &json, NULL);
        sx_assert(sx_otlp_json_write(&sx_otlp_traces_data, sx_buf_view(&t->last), &w, NULL) ==
                  SX_OK);
        json_ns += now_ns() - start;
        start = now_ns();
        sx_buf_clear(&packed);
        sx_assert(sx_compress(SX_CODEC_GZIP, sx_buf_view(&t->last), SX_OTLP_GZIP_LEVEL, &packed,
                              NULL) == SX_OK);
        gzip_ns += now_ns() - start;
    }
    print("otlp_span_as_json", json_ns, (int64_t)RECORDS * CODED_ROUNDS);
    print("otlp_span_gzip", gzip_ns, (int64_t)RECORDS * CODED_ROUNDS);
    printf("otlp_span_bytes %zu bytes\n", t->last.len / RECORDS);
    printf("otlp_span_json_bytes %zu bytes\n", json.len / RECORDS);
    printf("otlp_span_gzip_bytes %zu bytes\n", packed.len / RECORDS);
    sx_buf_done(&json);
    sx_buf_done(&packed);
}

int main(void)
{
    sx_loop *loop;
    sx_otlp *otlp;
    sx_error err = {0};
    sx_otlp_options options = {.targets = {{.endpoint = SX_STR("http://127.0.0.1:1/")}}};
    sx_assert(sx_loop_new(NULL, 0, &loop, &err) == SX_OK);
    sx_assert(sx_otlp_core_new(&options, loop, &otlp, &err) == SX_OK);
    sx_otlp_pipe *p = &otlp->pipes[SX_OTLP_SPANS];
    taker t = {.base = {take, forget, SX_STR("bench")}};
    sx_buf_init(&t.last, 0);
    p->sender->free(p->sender);
    p->sender = &t.base;
    sx_telemetry_thread_join();
    sx_buf span;
    sx_buf_init(&span, 0);
    make_span(&span);

    int64_t give_ns = 0, take_ns = 0;
    uint64_t ids = 1;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = now_ns();
        for (int k = 0; k < RECORDS; k++) {
            char *room = sx_otlp_room(otlp, SX_OTLP_SPANS, span.len);
            sx_assert(room);
            memcpy(room, span.data, span.len);
            memcpy(room + 2, &ids, sizeof(ids)); /* else gzip sees one span again and again */
            memcpy(room + 20, &ids, sizeof(ids));
            ids = ids * 6364136223846793005u + 1442695040888963407u;
            sx_otlp_commit(otlp, SX_OTLP_SPANS, span.len);
        }
        int64_t given = now_ns();
        give_ns += given - start;
        sx_otlp_pipe_poll(p); /* 512 are a batch: it is made and sent */
        take_ns += now_ns() - given;
        sx_assert(t.done);
        t.done(t.ctx, &(sx_otlp_answer){.verdict = SX_OTLP_TAKEN});
    }
    print("otlp_room_and_commit", give_ns, (int64_t)RECORDS * ROUNDS);
    print("otlp_lane_to_request", take_ns, (int64_t)RECORDS * ROUNDS);
    sx_assert(sx_otlp_counts_of(otlp, SX_OTLP_SPANS).exported == (uint64_t)RECORDS * ROUNDS);
    coded(&t);
    sx_buf_done(&t.last);
    sx_buf_done(&span);
    sx_otlp_core_free(otlp);
    sx_loop_free(loop);
    return 0;
}
