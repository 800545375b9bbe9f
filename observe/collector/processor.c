/* processor.c - what all processors share: their life, their counters. */
#include "observe/collector/processor.h"

#include <sextant/mem.h>

const processor_kind *const PROCESSORS[] = {
    &PROCESSOR_ATTRIBUTES,     &PROCESSOR_BATCH,     &PROCESSOR_FILTER,
    &PROCESSOR_MEMORY_LIMITER, &PROCESSOR_RESOURCE,  &PROCESSOR_SAMPLER,
    &PROCESSOR_TAIL,           &PROCESSOR_TRANSFORM, NULL};

sx_counter *processor_counter(const processor *p, const char *name, const char *help)
{
    static const char *const LABELS[] = {"processor"};
    const sx_metric_options options = {
        .kind = SX_METRIC_COUNTER, .name = name, .help = help, .labels = LABELS, .label_count = 1};
    sx_metric *m;
    if (!p->host->kit || !p->host->kit->metrics ||
        sx_metric_new(p->host->kit->metrics, &options, &m, NULL) != SX_OK)
        return NULL;
    return sx_metric_counter(m, &p->id->name, 1);
}

void processor_count(sx_counter *c, uint64_t n)
{
    if (c)
        sx_counter_add(c, n);
}

void processor_emit(processor *p, span_batch *b)
{
    if (b->count == 0)
        return;
    processor_count(p->outgoing, b->count);
    p->emit(p->emit_ctx, b);
}

sx_status processor_new(const processor_settings *settings, const processor_host *host,
                        void (*emit)(void *ctx, span_batch *b), void *ctx, processor **out,
                        sx_error *err)
{
    processor *p = sx_calloc(1, sizeof(*p));
    if (!p)
        return sx_fail_memory(err, "a processor");
    *p = (processor){.kind = settings->kind,
                     .id = &settings->id,
                     .settings = settings->settings,
                     .host = host,
                     .emit = emit,
                     .emit_ctx = ctx};
    p->incoming =
        processor_counter(p, "otelcol_processor_incoming_items", "Spans given to the processor.");
    p->outgoing = processor_counter(p, "otelcol_processor_outgoing_items",
                                    "Spans that the processor gave on.");
    p->dropped = processor_counter(p, "otelcol_processor_dropped_spans",
                                   "Spans that the processor lost by an error.");
    p->state = sx_calloc(1, p->kind->size ? p->kind->size : 1);
    sx_status st = p->state ? SX_OK : sx_fail_memory(err, "a processor");
    if (st == SX_OK && p->kind->create)
        st = p->kind->create(p, err);
    if (st != SX_OK) {
        processor_free(p);
        return st;
    }
    *out = p;
    return SX_OK;
}

void processor_free(processor *p)
{
    if (!p)
        return;
    if (p->state && p->kind->destroy)
        p->kind->destroy(p);
    sx_free(p->state);
    sx_free(p);
}
