/* processor_batch.c - many small batches become few large ones.
 *
 * What came is kept by reference until there are send_batch_size spans or the oldest has waited
 * `timeout`. A batch above send_batch_max_size is handed on in parts. Spans are not copied.
 * Source: OpenTelemetry Collector, processor/batchprocessor/README.md. */
#include "observe/collector/processor.h"

typedef struct batch_settings {
    int64_t timeout_ms;      /* 200 ms; 0: as soon as there is something */
    uint32_t size, size_max; /* 8192; 0: any */
} batch_settings;

typedef struct batch_state {
    span_batch *open; /* NULL: empty */
    int64_t due_ms;
    sx_counter *by_size, *by_time;
} batch_state;

#define B(member) offsetof(batch_settings, member)

static void set_defaults(void *target)
{
    *(batch_settings *)target = (batch_settings){.timeout_ms = 200, .size = 8192};
}

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    const batch_settings *s = target;
    if (s->size_max && s->size_max < s->size)
        return bind_fault(b, map,
                          "send_batch_max_size must be greater or equal to send_batch_size");
    return SX_OK;
}

static const bind_field FIELDS[] = {
    {.key = "timeout", .kind = BIND_CUSTOM, .read = settings_ms, .at = B(timeout_ms)},
    {.key = "send_batch_size", .kind = BIND_U32, .at = B(size)},
    {.key = "send_batch_max_size", .kind = BIND_U32, .at = B(size_max)},
    {.key = "metadata_keys",
     .kind = BIND_REFUSED,
     .note = "a client's headers are not kept with its spans; leave it out"},
    {.key = "metadata_cardinality_limit", .kind = BIND_NOTHING},
    {0}};
static const bind_table SETTINGS = {
    .fields = FIELDS, .size = sizeof(batch_settings), .defaults = set_defaults, .check = check};

static sx_status create(processor *p, sx_error *err)
{
    batch_state *s = p->state;
    (void)err;
    s->by_size = processor_counter(p, "otelcol_processor_batch_batch_size_trigger_send",
                                   "Batches sent because they were full.");
    s->by_time = processor_counter(p, "otelcol_processor_batch_timeout_trigger_send",
                                   "Batches sent because they had waited long enough.");
    return SX_OK;
}

static void send(processor *p, sx_counter *why)
{
    batch_state *s = p->state;
    span_batch *b = s->open;
    s->open = NULL;
    processor_count(why, 1);
    processor_emit(p, b);
    span_batch_unref(b);
}

/* At which number of spans a batch is sent. */
static uint64_t full_at(const batch_settings *c)
{
    return c->size ? c->size : c->size_max ? c->size_max : 1;
}

static sx_status take(processor *p, span_batch *b, sx_error *err)
{
    const batch_settings *c = p->settings;
    batch_state *s = p->state;
    for (size_t i = 0; i < b->count;) {
        if (!s->open) {
            s->open = span_batch_new(0);
            if (!s->open)
                return sx_fail_memory(err, "a batch of spans");
            s->due_ms = sx_clock_mono_ms(p->host->clock) + c->timeout_ms;
        }
        sx_status st = span_batch_hold(s->open, b, err);
        while (st == SX_OK && i < b->count && (c->size_max == 0 || s->open->count < c->size_max)) {
            st = span_batch_put(s->open, b->spans[i], err);
            i += st == SX_OK;
        }
        if (st != SX_OK)
            return st;
        if (c->size_max && s->open->count >= c->size_max)
            send(p, s->by_size);
    }
    if (s->open && (s->open->count >= full_at(c) || c->timeout_ms == 0))
        send(p, s->by_size);
    return SX_OK;
}

static int64_t tick(processor *p, int64_t mono_ms, bool all)
{
    batch_state *s = p->state;
    if (s->open && (all || mono_ms >= s->due_ms))
        send(p, s->by_time);
    return s->open ? s->due_ms : INT64_MAX;
}

static void destroy(processor *p)
{
    batch_state *s = p->state;
    span_batch_unref(s->open);
}

const processor_kind PROCESSOR_BATCH = {.name = "batch",
                                        .settings = &SETTINGS,
                                        .size = sizeof(batch_state),
                                        .create = create,
                                        .take = take,
                                        .tick = tick,
                                        .destroy = destroy};
