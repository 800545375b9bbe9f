/* exposition_dump.c - an exposition as text. */
#include "tests/unit/observe/scrape/exposition_dump.h"

sx_status exposition_dump(sx_str body, const prom_exposition_options *options, sx_str expected,
                          sx_buf *out, sx_error *err)
{
    prom_exposition *x;
    sx_arena arena;
    prom_entry e;
    sx_status st = prom_exposition_new(options, &x, err);
    if (st != SX_OK)
        return st;
    sx_arena_init(&arena, 0, 0);
    prom_exposition_reset(x, options, body);
    for (;;) {
        prom_exposition_expect(x, expected);
        st = prom_exposition_next(x, &e, err);
        if (st != SX_OK)
            break;
        switch (e.kind) {
        case PROM_ENTRY_TYPE:
        case PROM_ENTRY_HELP:
        case PROM_ENTRY_UNIT:
            sx_buf_printf(out, "%c %.*s [%.*s]\n", "..THU"[e.kind], SX_ARG(e.metric),
                          SX_ARG(e.text));
            continue;
        default:
            break;
        }
        tsdb_labels l;
        st = prom_exposition_labels(x, &e, &arena, &l, err);
        if (st != SX_OK)
            break;
        tsdb_labels_print(l, out, NULL);
        if (e.kind == PROM_ENTRY_HISTOGRAM) {
            sx_buf_printf(out, " s%d%s ", e.histogram->schema, e.histogram->integer ? "" : "f");
            tsdb_histogram_print(e.histogram, out, NULL);
        } else {
            sx_buf_printf(out, " %g", e.value);
        }
        if (e.has_t)
            sx_buf_printf(out, " @%lld", (long long)e.t);
        if (e.start_t)
            sx_buf_printf(out, " since %lld", (long long)e.start_t);
        if (e.expected)
            sx_buf_printf(out, " expected");
        for (uint32_t i = 0; i < e.exemplar_count; i++) {
            sx_buf_printf(out, " # ");
            tsdb_labels_print(e.exemplars[i].labels, out, NULL);
            sx_buf_printf(out, " %g", e.exemplars[i].value);
            if (e.exemplars[i].has_t)
                sx_buf_printf(out, " @%lld", (long long)e.exemplars[i].t);
        }
        sx_buf_byte(out, '\n');
    }
    sx_arena_done(&arena);
    prom_exposition_free(x);
    if (st == SX_END)
        return sx_buf_status(out, "a dump", err);
    return st;
}
