/* exporter_debug.c - spans into our own log, and nowhere.
 *
 * debug: basic is one line a batch, normal and detailed one a span besides. Of the batches the first
 * sampling_initial of each second are shown and then every sampling_thereafter-th. */
#include <string.h>

#include "observe/collector/exporter_internal.h"
#include "telemetry/otlp_json.h"

typedef enum debug_level { DEBUG_BASIC, DEBUG_NORMAL, DEBUG_DETAILED } debug_level;

enum { INITIAL_DEFAULT = 2, THEREAFTER_DEFAULT = 1 };

typedef struct debug_state {
    debug_level level;
    int64_t second; /* the one that `lines` counts in */
    int64_t lines;
    sx_buf text;
} debug_state;

static sx_status open_debug(span_exporter *e, sx_error *err)
{
    static const sx_str LEVELS[] = {SX_STR_INIT("basic"), SX_STR_INIT("normal"),
                                    SX_STR_INIT("detailed")};
    debug_state *d = e->state;
    exporter_settings *s = &e->settings;
    size_t level = 0;
    while (s->verbosity.len && level < SX_COUNT_OF(LEVELS) &&
           !sx_str_ieq(s->verbosity, LEVELS[level]))
        level++;
    if (level == SX_COUNT_OF(LEVELS))
        return export_bad(e, err, "verbosity is basic, normal or detailed, not '%.*s'",
                          SX_ARG(s->verbosity));
    d->level = (debug_level)level;
    s->sampling_initial = s->sampling_initial > 0 ? s->sampling_initial : INITIAL_DEFAULT;
    s->sampling_thereafter =
        s->sampling_thereafter > 0 ? s->sampling_thereafter : THEREAFTER_DEFAULT;
    sx_buf_init(&d->text, 0);
    return SX_OK;
}

static void done_debug(span_exporter *e)
{
    debug_state *d = e->state;
    sx_buf_done(&d->text);
}

static bool is_shown(span_exporter *e)
{
    debug_state *d = e->state;
    const exporter_settings *s = &e->settings;
    int64_t second = sx_clock_mono_ms(e->clock) / 1000;
    if (second != d->second)
        d->lines = 0;
    d->second = second;
    d->lines++;
    return d->lines <= s->sampling_initial ||
           (d->lines - s->sampling_initial) % s->sampling_thereafter == 0;
}

static void put_attrs(sx_buf *out, span_attrs attrs)
{
    sx_buf_clear(out);
    for (uint32_t i = 0; i < attrs.count; i++) {
        sx_buf_printf(out, "%s%.*s=", i ? " " : "", SX_ARG(span_attr_key(&attrs.items[i])));
        span_value_text(&attrs.items[i].value, out);
    }
}

static sx_str hex(const uint8_t *id, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[id[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    return sx_str_of(out, 2 * len);
}

static void show_normal(span_exporter *e, const span *s)
{
    debug_state *d = e->state;
    char trace[32], id[16];
    put_attrs(&d->text, s->attrs);
    SX_LOG_INFO(e->log, NULL, "span", sx_field_str("exporter", e->settings.id.name),
                sx_field_str("service", s->resource->service), sx_field_str("name", s->name),
                sx_field_str("trace", hex(s->trace_id, 16, trace)),
                sx_field_str("span", hex(s->id, 8, id)),
                sx_field_str("attributes", sx_buf_view(&d->text)));
}

/* All there is to know of it: a TracesData of its own. */
static void show_detailed(span_exporter *e, const span *s)
{
    debug_state *d = e->state;
    const span *one[] = {s};
    const span_batch b = {.spans = one, .count = 1};
    sx_buf_clear(&d->text);
    span_write_otlp_json(&b, &d->text);
    SX_LOG_INFO(e->log, NULL, "span", sx_field_str("exporter", e->settings.id.name),
                sx_field_str("otlp", sx_buf_view(&d->text)));
}

static void show(span_exporter *e, const span_batch *b)
{
    const debug_state *d = e->state;
    uint64_t resources = 0;
    for (size_t i = 0; i < b->count; i++)
        resources += i == 0 || b->spans[i]->resource != b->spans[i - 1]->resource;
    if (!is_shown(e))
        return;
    SX_LOG_INFO(e->log, NULL, "Traces", sx_field_str("exporter", e->settings.id.name),
                sx_field_u64("resource spans", resources), sx_field_u64("spans", b->count));
    for (size_t i = 0; i < b->count && d->level != DEBUG_BASIC; i++)
        if (d->level == DEBUG_NORMAL)
            show_normal(e, b->spans[i]);
        else
            show_detailed(e, b->spans[i]);
}

static sx_status send_debug(export_request *r, sx_error *err)
{
    (void)err;
    for (const export_entry *n = r->entries; n && r->e->log; n = n->next)
        show(r->e, n->batch);
    export_over(r, &(export_end){.kind = EXPORT_DONE});
    return SX_OK;
}

static sx_status send_nowhere(export_request *r, sx_error *err)
{
    (void)err;
    export_over(r, &(export_end){.kind = EXPORT_DONE});
    return SX_OK;
}

const export_driver export_debug_driver = {.name = "debug",
                                           .is_local = true,
                                           .state_bytes = sizeof(debug_state),
                                           .open = open_debug,
                                           .send = send_debug,
                                           .done = done_debug};
const export_driver export_nop_driver = {.name = "nop", .is_local = true, .send = send_nowhere};
