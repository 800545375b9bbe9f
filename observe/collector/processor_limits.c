/* processor_limits.c - memory_limiter: refuses spans while the process holds too much.
 *
 * Above limit - spike the pipeline drops what comes; without a store of our own the receiver refuses it,
 * so that the client comes again. What is measured is the resident size, looked at every check_interval.
 * Source: OpenTelemetry Collector, processor/memorylimiterprocessor/README.md. */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "observe/collector/processor.h"

typedef struct limiter_settings {
    int64_t check_ms;
    uint32_t limit_mib, spike_mib, limit_percent, spike_percent;
} limiter_settings;

typedef struct limiter_state {
    uint64_t soft_bytes;
    _Atomic int64_t next_ms;
    atomic_bool over;
    sx_counter *accepted, *refused;
} limiter_state;

#define L(member) offsetof(limiter_settings, member)

static sx_status check(bind *b, const sx_yaml_node *map, void *target)
{
    const limiter_settings *s = target;
    if (s->check_ms <= 0)
        return bind_fault(b, map, "'check_interval' must be greater than zero");
    if (s->limit_mib == 0 && s->limit_percent == 0)
        return bind_fault(b, map, "'limit_mib' or 'limit_percentage' must be greater than zero");
    if (s->limit_percent > 100 || s->spike_percent > 100 ||
        (s->limit_mib == 0 && s->spike_percent >= s->limit_percent && s->spike_percent))
        return bind_fault(b, map, "percentages must be at most 100, the spike's below the limit's");
    if (s->limit_mib && s->spike_mib >= s->limit_mib)
        return bind_fault(b, map, "'spike_limit_mib' must be smaller than 'limit_mib'");
    return SX_OK;
}

static const bind_field FIELDS[] = {
    {.key = "check_interval", .kind = BIND_CUSTOM, .read = settings_ms, .at = L(check_ms)},
    {.key = "limit_mib", .kind = BIND_U32, .at = L(limit_mib)},
    {.key = "spike_limit_mib", .kind = BIND_U32, .at = L(spike_mib)},
    {.key = "limit_percentage", .kind = BIND_U32, .at = L(limit_percent)},
    {.key = "spike_limit_percentage", .kind = BIND_U32, .at = L(spike_percent)},
    {.key = "min_gc_interval_when_soft_limited", .kind = BIND_NOTHING},
    {.key = "min_gc_interval_when_hard_limited", .kind = BIND_NOTHING},
    {0}};
static const bind_table SETTINGS = {
    .fields = FIELDS, .size = sizeof(limiter_settings), .check = check};

static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t total_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static sx_status create(processor *p, sx_error *err)
{
    const limiter_settings *c = p->settings;
    limiter_state *s = p->state;
    uint64_t limit = (uint64_t)c->limit_mib << 20, spike = (uint64_t)c->spike_mib << 20;
    (void)err;
    if (limit == 0) {
        uint64_t total = p->host->memory_total ? p->host->memory_total() : total_bytes();
        limit = total / 100 * c->limit_percent;
        spike = total / 100 * c->spike_percent;
    }
    s->soft_bytes = limit - (spike ? spike : limit / 5);
    s->accepted = processor_counter(p, "otelcol_processor_accepted_spans",
                                    "Spans that the limiter let through.");
    s->refused = processor_counter(p, "otelcol_processor_refused_spans",
                                   "Spans refused because memory was full.");
    return SX_OK;
}

/* Any thread: the pipeline's and receivers'. */
static bool refuses(processor *p)
{
    const limiter_settings *c = p->settings;
    limiter_state *s = p->state;
    int64_t now = sx_clock_mono_ms(p->host->clock);
    int64_t next = atomic_load(&s->next_ms);
    if (now >= next && atomic_compare_exchange_strong(&s->next_ms, &next, now + c->check_ms))
        atomic_store(&s->over, (p->host->memory_bytes ? p->host->memory_bytes()
                                                      : resident_bytes()) > s->soft_bytes);
    return atomic_load(&s->over);
}

static sx_status take(processor *p, span_batch *b, sx_error *err)
{
    limiter_state *s = p->state;
    (void)err;
    if (refuses(p)) {
        processor_count(s->refused, b->count);
        return SX_OK;
    }
    processor_count(s->accepted, b->count);
    processor_emit(p, b);
    return SX_OK;
}

const processor_kind PROCESSOR_MEMORY_LIMITER = {.name = "memory_limiter",
                                                 .settings = &SETTINGS,
                                                 .size = sizeof(limiter_state),
                                                 .create = create,
                                                 .take = take,
                                                 .refuses = refuses};
