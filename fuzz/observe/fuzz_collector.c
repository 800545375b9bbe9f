/* fuzz_collector.c - a Collector's configuration and its OTTL: refused with a place, or read whole.
 *
 * What begins with ! is a statement of transform, what begins with ? a condition of filter; all else is a
 * file. What is read is run on a span, too. */
#include "observe/collector/collector.h"
#include "observe/collector/ottl.h"

static sx_status parse_one(const uint8_t *data, size_t size, collector_settings **out)
{
    sx_buf text;
    sx_error err = {0};
    sx_buf_init(&text, 0);
    if (size && (*data == '!' || *data == '?')) {
        sx_buf_str(&text, SX_STR("receivers: {zipkin: }\nexporters: {nop: }\nprocessors:\n"));
        sx_buf_str(&text, *data == '!' ? SX_STR("  transform: {trace_statements: ['")
                                       : SX_STR("  filter: {traces: {span: ['"));
        for (size_t i = 1; i < size; i++) {
            if (data[i] == '\'')
                sx_buf_byte(&text, '\'');
            sx_buf_byte(&text, (char)data[i]);
        }
        sx_buf_str(&text, *data == '!' ? SX_STR("']}\n") : SX_STR("']}}\n"));
        sx_buf_printf(&text,
                      "service: {pipelines: {traces: {receivers: [zipkin], processors: [%s], "
                      "exporters: [nop]}}}\n",
                      *data == '!' ? "transform" : "filter");
    } else {
        sx_buf_bytes(&text, data, size);
    }
    sx_status st = collector_settings_parse(sx_buf_view(&text), SX_STR("f"), NULL, out, NULL, &err);
    sx_assert(st == SX_OK || err.message[0] != '\0');
    sx_buf_done(&text);
    return st;
}

static void emit(void *ctx, span_batch *b)
{
    (void)ctx;
    for (size_t i = 0; i < b->count; i++)
        sx_assert(b->spans[i]->resource && b->spans[i]->scope);
}

static void run(const collector_settings *s)
{
    static const span_attr ATTRS[] = {
        {.key = "a", .key_len = 1, .value = {.data = "text", .len = 4, .type = SPAN_STR}},
        {.key = "b", .key_len = 1, .value = {.i = 7, .type = SPAN_INT}}};
    static const span_resource RESOURCE = {.attrs = {.items = ATTRS, .count = 2}};
    static const span_scope SCOPE = {.name = SX_STR_INIT("s")};
    sx_fake_clock clock;
    sx_fake_clock_init(&clock, 1700000000000);
    const processor_host host = {.clock = &clock.clock};
    for (uint32_t i = 0; i < s->processor_count && i < 4; i++) {
        processor *p;
        sx_error err = {0};
        if (processor_new(&s->processors[i], &host, emit, NULL, &p, &err) != SX_OK)
            continue;
        span_batch *b = span_batch_new(0);
        span *one = b ? span_batch_add(b) : NULL;
        if (one) {
            *one = (span){.trace_id = {1},
                          .id = {2},
                          .name = SX_STR("GET /"),
                          .kind = SPAN_SERVER,
                          .attrs = {.items = ATTRS, .count = 2},
                          .resource = &RESOURCE,
                          .scope = &SCOPE};
            p->kind->take(p, b, &err);
            if (p->kind->tick)
                p->kind->tick(p, INT64_MAX - 1, true);
        }
        span_batch_unref(b);
        processor_free(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    collector_settings *s = NULL;
    if (parse_one(data, size, &s) != SX_OK)
        return 0;
    run(s);
    collector_settings_unref(s);
    return 0;
}
