/* test_otlp.c - the exporter's states on a fake clock, with a receiver that does as it is told. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "base/fault.h"
#include "telemetry/otlp_internal.h"

enum { START_MS = 1700000000 };

typedef struct receiver {
    sx_otlp_sender base;
    int requests;
    uint64_t records; /* of the last request */
    size_t bytes;
    sx_otlp_answered *done; /* of the one under way */
    void *ctx;
    sx_status refuses_with; /* send() itself fails */
} receiver;

typedef struct fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    sx_metrics *metrics;
    sx_otlp *otlp;
    receiver at[SX_OTLP_SIGNALS];
} fixture;

/* Reads back what is in an export request; every record of the tests is one 'r' or more. */
static uint64_t count_records(sx_str request)
{
    sx_pb_reader r;
    uint64_t count = 0;
    int resources = 0, scopes = 0;
    sx_pb_init(&r, request);
    while (sx_pb_next(&r)) {
        assert_int_equal(r.tag, SX_PB_TAG(1, SX_PB_BYTES));
        sx_pb_outer outer = sx_pb_enter(&r);
        while (sx_pb_next(&r)) {
            if (r.tag == SX_PB_TAG(1, SX_PB_BYTES)) {
                resources += sx_pb_bytes(&r).len > 0;
                continue;
            }
            assert_int_equal(r.tag, SX_PB_TAG(2, SX_PB_BYTES));
            sx_pb_outer middle = sx_pb_enter(&r);
            while (sx_pb_next(&r)) {
                if (sx_pb_field(&r) == 1)
                    scopes += sx_pb_bytes(&r).len > 0;
                else
                    count += sx_pb_bytes(&r).len > 0;
            }
            sx_pb_leave(&r, middle);
        }
        sx_pb_leave(&r, outer);
    }
    assert_int_equal(sx_pb_status(&r, "request", NULL), SX_OK);
    assert_int_equal(resources, 1);
    assert_int_equal(scopes, 1);
    return count;
}

static sx_status receive(sx_otlp_sender *base, sx_str request, sx_otlp_answered *done, void *ctx,
                         sx_error *err)
{
    receiver *r = (receiver *)base;
    assert_null(r->done); /* one request at a time */
    if (r->refuses_with != SX_OK)
        return sx_fail(err, r->refuses_with, "the test says no");
    r->requests++;
    r->records = count_records(request);
    r->bytes = request.len;
    r->done = done;
    r->ctx = ctx;
    return SX_OK;
}

static void forget(sx_otlp_sender *base)
{
    (void)base;
}

static void open_with(fixture *f, sx_otlp_options options)
{
    sx_error err;
    *f = (fixture){0};
    sx_fake_clock_init(&f->clock, START_MS);
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, &err), SX_OK);
    assert_int_equal(sx_metrics_new(NULL, &f->metrics, &err), SX_OK);
    options.metrics = f->metrics;
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        options.targets[i].endpoint = SX_STR("http://127.0.0.1:1/");
    assert_int_equal(sx_otlp_core_new(&options, f->loop, &f->otlp, &err), SX_OK);
    for (int i = 0; i < SX_OTLP_SIGNALS; i++) {
        sx_otlp_pipe *p = &f->otlp->pipes[i];
        p->sender->free(p->sender);
        f->at[i].base = (sx_otlp_sender){receive, forget, SX_STR("http://test")};
        p->sender = &f->at[i].base;
    }
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        f->otlp->pipes[i].complain_ms = INT64_MAX; /* says nothing */
}

static int open_plain(void **state)
{
    fixture *f = sx_calloc(1, sizeof(*f));
    open_with(f, (sx_otlp_options){.batch_max = 10, .queue_max = 25});
    *state = f;
    return 0;
}

static int close_all(void **state)
{
    fixture *f = *state;
    sx_otlp_core_free(f->otlp);
    sx_metrics_free(f->metrics);
    sx_loop_free(f->loop);
    sx_free(f);
    return 0;
}

/* Lets `ms` pass in steps small enough for every timer. */
static void pass(fixture *f, int64_t ms)
{
    sx_loop_turn(f->loop);
    for (; ms > 0; ms -= 10) {
        sx_fake_clock_advance(&f->clock, ms < 10 ? ms : 10);
        sx_loop_turn(f->loop);
    }
}

static void give(fixture *f, sx_otlp_signal signal, int count, size_t bytes)
{
    for (int i = 0; i < count; i++) {
        char *room = sx_otlp_room(f->otlp, signal, bytes + 20);
        assert_non_null(room);
        memset(room, 'r', bytes);
        sx_otlp_commit(f->otlp, signal, bytes);
    }
}

static void answer(receiver *r, sx_otlp_answer a)
{
    sx_otlp_answered *done = r->done;
    assert_non_null(done);
    r->done = NULL;
    done(r->ctx, &a);
}

static sx_otlp_counts spans(const fixture *f)
{
    return sx_otlp_counts_of(f->otlp, SX_OTLP_SPANS);
}

static double metric(fixture *f, const char *name, const char *signal, const char *outcome)
{
    char line[128];
    sx_buf text;
    double value = -1;
    sx_buf_init(&text, 0);
    assert_int_equal(sx_metrics_write(f->metrics, SX_METRICS_TEXT_004, &text, NULL), SX_OK);
    int len = outcome ? snprintf(line, sizeof(line), "\n%s{signal=\"%s\",outcome=\"%s\"} ", name,
                                 signal, outcome)
                      : snprintf(line, sizeof(line), "\n%s{signal=\"%s\"} ", name, signal);
    sx_str all = sx_buf_view(&text);
    size_t at = sx_str_find(all, sx_str_of(line, (size_t)len));
    if (at < all.len) {
        sx_str rest = sx_str_from(all, at + (size_t)len), number, after;
        uint64_t whole;
        sx_str_cut(rest, '\n', &number, &after);
        assert_true(sx_str_to_u64(number, &whole));
        value = (double)whole;
    }
    sx_buf_done(&text);
    return value;
}

/* ---- batches ---- */

static void test_few_records_wait_for_the_delay(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    give(f, SX_OTLP_SPANS, 3, 100);
    pass(f, 4900);
    assert_int_equal(r->requests, 0);
    assert_int_equal(spans(f).queued, 3);
    pass(f, 300);
    assert_int_equal(r->requests, 1);
    assert_int_equal(r->records, 3);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(spans(f).exported, 3);
    assert_int_equal(spans(f).queued, 0);
    assert_true(metric(f, "sextant_otlp_records_total", "spans", "exported") == 3);
    assert_true(metric(f, "sextant_otlp_requests_total", "spans", "success") == 1);
    assert_true(metric(f, "sextant_otlp_queue_records", "spans", NULL) == 0);
}

static void test_log_records_wait_one_second(void **state)
{
    fixture *f = *state;
    give(f, SX_OTLP_LOGS, 1, 5);
    pass(f, 900);
    assert_int_equal(f->at[SX_OTLP_LOGS].requests, 0);
    pass(f, 300);
    assert_int_equal(f->at[SX_OTLP_LOGS].requests, 1);
}

static void test_a_full_batch_goes_at_once_and_the_rest_waits(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    give(f, SX_OTLP_SPANS, 23, 50);
    pass(f, 120);
    assert_int_equal(r->records, 10);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(r->requests, 2);
    assert_int_equal(r->records, 10);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(r->requests, 2); /* 3 are not a batch */
    assert_int_equal(spans(f).queued, 3);
    pass(f, 5100);
    assert_int_equal(r->records, 3);
}

static void test_a_batch_is_bounded_in_bytes(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    sx_otlp_pipe *p = &f->otlp->pipes[SX_OTLP_SPANS];
    p->batch_max = 1000;
    p->queue.count_max = 1000;
    give(f, SX_OTLP_SPANS, 20, 60000);
    pass(f, 120); /* the lane's 2 MiB */
    give(f, SX_OTLP_SPANS, 30, 60000);
    pass(f, 120);
    give(f, SX_OTLP_SPANS, 20, 60000);
    sx_otlp_core_flush(f->otlp);
    assert_in_range(r->bytes, 2 << 20, SX_OTLP_BATCH_BYTES_MAX + 4096);
    assert_in_range(r->records, 40, 60);
}

static void test_above_the_queue_records_are_dropped_and_counted(void **state)
{
    fixture *f = *state;
    give(f, SX_OTLP_SPANS, 60, 50); /* 25 wait, and 10 more once these are sent */
    pass(f, 120);
    assert_int_equal(spans(f).queued, 25);
    assert_int_equal(spans(f).dropped, 35);
    assert_int_equal(spans(f).taken, 60);
    assert_true(metric(f, "sextant_otlp_records_total", "spans", "dropped") == 35);
    assert_true(metric(f, "sextant_otlp_queue_records", "spans", NULL) == 25);
}

static void test_a_full_lane_drops_and_counts(void **state)
{
    fixture *f = *state;
    int refused = 0;
    for (int i = 0; i < 60; i++) {
        char *room = sx_otlp_room(f->otlp, SX_OTLP_SPANS, 60000);
        if (room) {
            memset(room, 'r', 60000);
            sx_otlp_commit(f->otlp, SX_OTLP_SPANS, 60000);
        }
        refused += room == NULL;
    }
    assert_int_equal(refused, 60 - SX_OTLP_LANE_CHUNKS);
    assert_null(sx_otlp_room(f->otlp, SX_OTLP_SPANS, SX_OTLP_RECORD_MAX + 1));
    pass(f, 120);
    assert_int_equal(spans(f).dropped, (uint64_t)refused + 1 + SX_OTLP_LANE_CHUNKS - 25);
}

static void test_nothing_is_committed_by_zero_bytes(void **state)
{
    fixture *f = *state;
    assert_non_null(sx_otlp_room(f->otlp, SX_OTLP_SPANS, 10));
    sx_otlp_commit(f->otlp, SX_OTLP_SPANS, 0);
    pass(f, 6000);
    assert_int_equal(f->at[SX_OTLP_SPANS].requests, 0);
    assert_int_equal(spans(f).taken, 0);
}

/* ---- retries ---- */

static void send_three(fixture *f)
{
    give(f, SX_OTLP_SPANS, 3, 100);
    pass(f, 5200);
    assert_int_equal(f->at[SX_OTLP_SPANS].requests, 1);
}

static void test_pauses_grow_until_the_batch_is_given_up(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    send_three(f);
    int64_t waited = 0, least = SX_OTLP_PAUSE_MS_FIRST / 2;
    while (waited < 400000 && spans(f).dropped == 0) {
        int64_t pause = 0;
        int before = r->requests;
        answer(r, (sx_otlp_answer){.verdict = SX_OTLP_LATER, .text = "not now"});
        assert_int_equal(spans(f).queued, 3);
        for (; r->requests == before && spans(f).dropped == 0; pause += 10)
            pass(f, 10);
        waited += pause;
        if (spans(f).dropped == 0)
            assert_in_range(pause, least, 3 * least + 20);
        least = least * 2 < SX_OTLP_PAUSE_MS_MOST / 2 ? least * 2 : SX_OTLP_PAUSE_MS_MOST / 2;
    }
    assert_in_range(waited, 299000, 301000);
    assert_int_equal(spans(f).dropped, 3);
    assert_int_equal(spans(f).exported, 0);
    assert_true(r->requests > 8 && r->requests < 25);
    assert_int_equal(spans(f).failures, r->requests + 1); /* and that it was given up */
    give(f, SX_OTLP_SPANS, 1, 1);                         /* life goes on */
    pass(f, 5200);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(spans(f).exported, 1);
}

static void test_the_receivers_own_pause_is_kept(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    send_three(f);
    answer(r, (sx_otlp_answer){.verdict = SX_OTLP_LATER, .wait_ms = 20000});
    pass(f, 19990);
    sx_otlp_core_flush(f->otlp); /* not even for a flush */
    assert_int_equal(r->requests, 1);
    pass(f, 2100);
    assert_int_equal(r->requests, 2);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(spans(f).exported, 3);
}

static void test_a_pause_beyond_all_patience_ends_with_it(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    send_three(f);
    answer(r, (sx_otlp_answer){.verdict = SX_OTLP_LATER, .wait_ms = 86400000});
    pass(f, 299000);
    assert_int_equal(spans(f).dropped, 0);
    pass(f, 1100);
    assert_int_equal(spans(f).dropped, 3);
    assert_int_equal(r->requests, 1);
}

static void test_a_refusal_drops_the_batch_and_the_next_goes(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    give(f, SX_OTLP_SPANS, 20, 10);
    pass(f, 120);
    answer(r, (sx_otlp_answer){.verdict = SX_OTLP_REFUSED, .text = "no"});
    assert_int_equal(r->requests, 2);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(spans(f).dropped, 10);
    assert_int_equal(spans(f).exported, 10);
    assert_true(metric(f, "sextant_otlp_requests_total", "spans", "failure") == 1);
}

static void test_partial_success_counts_what_was_rejected(void **state)
{
    fixture *f = *state;
    send_three(f);
    answer(&f->at[SX_OTLP_SPANS],
           (sx_otlp_answer){.verdict = SX_OTLP_TAKEN, .rejected = 2, .text = "two"});
    assert_int_equal(spans(f).exported, 1);
    assert_int_equal(spans(f).rejected, 2);
}

static void test_a_lying_count_of_rejected_is_bounded(void **state)
{
    fixture *f = *state;
    send_three(f);
    answer(&f->at[SX_OTLP_SPANS],
           (sx_otlp_answer){.verdict = SX_OTLP_TAKEN, .rejected = UINT64_MAX});
    assert_int_equal(spans(f).exported, 0);
    assert_int_equal(spans(f).rejected, 3);
}

static void test_without_memory_to_send_it_tries_again(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_SPANS];
    r->refuses_with = SX_ENOMEM;
    give(f, SX_OTLP_SPANS, 10, 10);
    pass(f, 200);
    assert_int_equal(spans(f).queued, 10);
    r->refuses_with = SX_OK;
    pass(f, 2000);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_int_equal(spans(f).exported, 10);
}

static void test_what_can_never_be_sent_is_given_up_batch_by_batch(void **state)
{
    fixture *f = *state;
    f->at[SX_OTLP_SPANS].refuses_with = SX_EINVAL;
    give(f, SX_OTLP_SPANS, 25, 10);
    pass(f, 6000);
    assert_int_equal(spans(f).dropped, 25);
    assert_int_equal(spans(f).queued, 0);
}

/* ---- flush ---- */

static void test_a_flush_sends_everything_and_says_so(void **state)
{
    fixture *f = *state;
    bool whole;
    give(f, SX_OTLP_SPANS, 12, 10);
    give(f, SX_OTLP_LOGS, 1, 10);
    sx_otlp_core_flush(f->otlp);
    assert_true(sx_otlp_core_flushing(f->otlp, &whole));
    answer(&f->at[SX_OTLP_SPANS], (sx_otlp_answer){SX_OTLP_TAKEN});
    answer(&f->at[SX_OTLP_SPANS], (sx_otlp_answer){SX_OTLP_TAKEN});
    answer(&f->at[SX_OTLP_METRICS], (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_true(sx_otlp_core_flushing(f->otlp, &whole));
    answer(&f->at[SX_OTLP_LOGS], (sx_otlp_answer){SX_OTLP_TAKEN});
    assert_false(sx_otlp_core_flushing(f->otlp, &whole));
    assert_true(whole);
    assert_int_equal(spans(f).exported, 12);
}

static void test_a_flush_ends_when_nobody_is_there(void **state)
{
    fixture *f = *state;
    bool whole;
    give(f, SX_OTLP_SPANS, 12, 10);
    sx_otlp_core_flush(f->otlp);
    answer(&f->at[SX_OTLP_METRICS], (sx_otlp_answer){SX_OTLP_TAKEN});
    answer(&f->at[SX_OTLP_SPANS], (sx_otlp_answer){.verdict = SX_OTLP_LATER, .text = "refused"});
    assert_false(sx_otlp_core_flushing(f->otlp, &whole));
    assert_false(whole);
    assert_int_equal(spans(f).queued, 12); /* they are tried again later */
    int before = f->at[SX_OTLP_SPANS].requests;
    sx_otlp_core_flush(f->otlp); /* at once, not when the pause is over */
    assert_int_equal(f->at[SX_OTLP_SPANS].requests, before + 1);
}

/* ---- metrics ---- */

static void test_metrics_go_every_minute(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_METRICS];
    pass(f, 59900);
    assert_int_equal(r->requests, 0);
    pass(f, 200);
    assert_int_equal(r->requests, 1);
    assert_true(r->records > 2);
    pass(f, 60000); /* no answer: not a second one beside it */
    assert_int_equal(r->requests, 1);
    answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
    pass(f, 60000);
    assert_int_equal(r->requests, 2);
}

static void test_newer_metrics_replace_those_that_wait(void **state)
{
    fixture *f = *state;
    receiver *r = &f->at[SX_OTLP_METRICS];
    pass(f, 60100);
    uint64_t first = r->records;
    answer(r, (sx_otlp_answer){.verdict = SX_OTLP_LATER, .wait_ms = 200000});
    pass(f, 60000);
    assert_int_equal(r->requests, 2);
    assert_int_equal(sx_otlp_counts_of(f->otlp, SX_OTLP_METRICS).dropped, first);
}

/* ---- memory ---- */

static void test_whatever_allocation_fails_nothing_is_lost_uncounted(void **state)
{
    (void)state;
    for (int64_t nth = 1; nth < 60; nth++) {
        fixture f;
        open_with(&f, (sx_otlp_options){.batch_max = 4, .queue_max = 25});
        receiver *r = &f.at[SX_OTLP_SPANS];
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        for (int i = 0; i < 11; i++) {
            char *room = sx_otlp_room(f.otlp, SX_OTLP_SPANS, 100);
            if (room) {
                memset(room, 'r', 100);
                sx_otlp_commit(f.otlp, SX_OTLP_SPANS, 100);
            }
        }
        pass(&f, 200);
        sx_otlp_core_flush(f.otlp);
        sx_fault_alloc_set((sx_fault_alloc){0});
        for (int i = 0; i < 20 && (r->done || spans(&f).queued); i++) {
            if (r->done)
                answer(r, (sx_otlp_answer){SX_OTLP_TAKEN});
            pass(&f, 1600);
        }
        assert_int_equal(spans(&f).taken, 11);
        assert_int_equal(spans(&f).exported + spans(&f).dropped, 11);
        sx_otlp_core_free(f.otlp);
        sx_metrics_free(f.metrics);
        sx_loop_free(f.loop);
    }
}

#define ON_FAKE_CLOCK(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FAKE_CLOCK(test_few_records_wait_for_the_delay),
        ON_FAKE_CLOCK(test_log_records_wait_one_second),
        ON_FAKE_CLOCK(test_a_full_batch_goes_at_once_and_the_rest_waits),
        ON_FAKE_CLOCK(test_a_batch_is_bounded_in_bytes),
        ON_FAKE_CLOCK(test_above_the_queue_records_are_dropped_and_counted),
        ON_FAKE_CLOCK(test_a_full_lane_drops_and_counts),
        ON_FAKE_CLOCK(test_nothing_is_committed_by_zero_bytes),
        ON_FAKE_CLOCK(test_pauses_grow_until_the_batch_is_given_up),
        ON_FAKE_CLOCK(test_the_receivers_own_pause_is_kept),
        ON_FAKE_CLOCK(test_a_pause_beyond_all_patience_ends_with_it),
        ON_FAKE_CLOCK(test_a_refusal_drops_the_batch_and_the_next_goes),
        ON_FAKE_CLOCK(test_partial_success_counts_what_was_rejected),
        ON_FAKE_CLOCK(test_a_lying_count_of_rejected_is_bounded),
        ON_FAKE_CLOCK(test_without_memory_to_send_it_tries_again),
        ON_FAKE_CLOCK(test_what_can_never_be_sent_is_given_up_batch_by_batch),
        ON_FAKE_CLOCK(test_a_flush_sends_everything_and_says_so),
        ON_FAKE_CLOCK(test_a_flush_ends_when_nobody_is_there),
        ON_FAKE_CLOCK(test_metrics_go_every_minute),
        ON_FAKE_CLOCK(test_newer_metrics_replace_those_that_wait),
        cmocka_unit_test(test_whatever_allocation_fails_nothing_is_lost_uncounted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
