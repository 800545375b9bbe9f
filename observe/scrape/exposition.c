/* exposition.c - which format a target speaks, and the reader that goes with it. */
#include "observe/scrape/exposition.h"

#include <sextant/mem.h>

#include "observe/scrape/exposition_internal.h"

/* A media type, and what a scraper says in Accept: the row's order is the enum's. */
static const struct {
    sx_str accept;
    bool escaping; /* the format knows the parameter */
} PROTOCOLS[PROM_PROTOCOLS] = {
    [PROM_PROTOCOL_PROTOBUF] = {SX_STR_INIT("application/vnd.google.protobuf;proto=io.prometheus."
                                            "client.MetricFamily;encoding=delimited"),
                                false},
    [PROM_PROTOCOL_OPENMETRICS_0_0_1] = {SX_STR_INIT("application/openmetrics-text;version=0.0.1"),
                                         false},
    [PROM_PROTOCOL_OPENMETRICS_1_0_0] = {SX_STR_INIT("application/openmetrics-text;version=1.0.0"),
                                         true},
    [PROM_PROTOCOL_TEXT_0_0_4] = {SX_STR_INIT("text/plain;version=0.0.4"), false},
    [PROM_PROTOCOL_TEXT_1_0_0] = {SX_STR_INIT("text/plain;version=1.0.0"), true},
};

static const char *const ESCAPINGS[] = {
    [PROM_ESCAPE_ALLOW_UTF8] = "allow-utf-8",
    [PROM_ESCAPE_UNDERSCORES] = "underscores",
    [PROM_ESCAPE_DOTS] = "dots",
    [PROM_ESCAPE_VALUES] = "values",
};

sx_status prom_exposition_accept(const prom_scrape_config *job, sx_buf *out, sx_error *err)
{
    int weight = PROM_PROTOCOLS; /* as Prometheus weighs them: 6, 5, ... and the rest below */
    for (uint32_t i = 0; i < job->protocol_count; i++, weight--) {
        prom_scrape_protocol p = job->protocols[i];
        sx_buf_str(out, PROTOCOLS[p].accept);
        if (PROTOCOLS[p].escaping)
            sx_buf_printf(out, ";escaping=%s", ESCAPINGS[job->escaping]);
        sx_buf_printf(out, ";q=0.%d,", weight);
    }
    sx_buf_printf(out, "*/*;q=0.%d", weight);
    return sx_buf_status(out, "an Accept field", err);
}

static bool is_token(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?=", c))
            return false;
    }
    return s.len > 0;
}

/* type "/" subtype, both tokens. */
static bool is_media_type(sx_str s)
{
    sx_str type, subtype;
    return sx_str_cut(s, '/', &type, &subtype) && is_token(type) && is_token(subtype);
}

static const struct {
    sx_str type;
    prom_scrape_protocol protocol;
} TYPES[] = {
    {SX_STR_INIT("application/openmetrics-text"), PROM_PROTOCOL_OPENMETRICS_1_0_0},
    {SX_STR_INIT("application/vnd.google.protobuf"), PROM_PROTOCOL_PROTOBUF},
    {SX_STR_INIT("text/plain"), PROM_PROTOCOL_TEXT_0_0_4},
};

sx_status prom_exposition_protocol(sx_str content_type, prom_scrape_protocol fallback,
                                   prom_scrape_protocol *out, sx_error *err)
{
    sx_str type, rest, shown = sx_str_first(content_type, 200);
    sx_str_cut(content_type, ';', &type, &rest);
    type = sx_str_trim(type);
    for (size_t i = 0; i < SX_COUNT_OF(TYPES); i++) {
        if (sx_str_ieq(TYPES[i].type, type)) {
            *out = TYPES[i].protocol;
            return SX_OK;
        }
    }
    *out = fallback;
    if (fallback != PROM_PROTOCOL_NONE)
        return SX_OK;
    if (content_type.len == 0)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "non-compliant scrape target sending blank Content-Type and no "
                       "fallback_scrape_protocol specified for target");
    if (!is_media_type(type))
        return sx_fail(err, SX_EUNSUPPORTED,
                       "cannot parse Content-Type \"%.*s\" and no fallback_scrape_protocol for "
                       "target",
                       SX_ARG(shown));
    return sx_fail(err, SX_EUNSUPPORTED,
                   "received unsupported Content-Type \"%.*s\" and no fallback_scrape_protocol "
                   "specified for target",
                   SX_ARG(shown));
}

sx_status expo_sort_labels(tsdb_label *items, size_t count, tsdb_labels *out, sx_error *err)
{
    sx_status st = tsdb_labels_sort(items, count, out, err);
    for (size_t i = 1; st == SX_EINVAL && i < count; i++) { /* they are sorted by now */
        if (sx_str_eq(items[i - 1].name, items[i].name))
            return sx_fail(err, SX_EINVAL, "label name \"%.*s\" is not unique: invalid sample",
                           SX_ARG(sx_str_first(items[i].name, 100)));
    }
    return st;
}

/* --- The reader. */

sx_status prom_exposition_new(const prom_exposition_options *options, prom_exposition **out,
                              sx_error *err)
{
    prom_exposition *x = sx_calloc(1, sizeof *x);
    if (!x)
        return sx_fail_memory(err, "an exposition reader");
    sx_arena_init(&x->scratch, 0, 0);
    prom_exposition_reset(x, options, (sx_str){0});
    *out = x;
    return SX_OK;
}

void prom_exposition_reset(prom_exposition *x, const prom_exposition_options *options, sx_str body)
{
    x->options = *options;
    x->body = sx_str_first(body, UINT32_MAX - 1); /* the scraper's limit is far below */
    x->expected = (sx_str){0};
    x->open_metrics = options->protocol == PROM_PROTOCOL_OPENMETRICS_0_0_1 ||
                      options->protocol == PROM_PROTOCOL_OPENMETRICS_1_0_0;
    x->at = x->entry = x->series = x->series_end = 0;
    x->split = x->peeking = false;
    x->type = EXPO_UNKNOWN;
    x->unit = (sx_str){0};
    x->created_for = 0;
    x->begun = false;
    expo_nhcb_begin(x);
}

void prom_exposition_free(prom_exposition *x)
{
    if (!x)
        return;
    expo_text_done(x);
    expo_nhcb_done(x);
    expo_protobuf_done(x);
    sx_free(x);
}

void prom_exposition_expect(prom_exposition *x, sx_str series)
{
    x->expected = series;
}

static bool is_protobuf(const prom_exposition *x)
{
    return x->options.protocol == PROM_PROTOCOL_PROTOBUF;
}

sx_status prom_exposition_next(prom_exposition *x, prom_entry *out, sx_error *err)
{
    if (!is_protobuf(x))
        return x->options.classic_to_nhcb ? expo_nhcb_next(x, out, err)
                                          : expo_text_next(x, out, err);
    sx_status st = x->begun ? SX_OK : expo_protobuf_begin(x, err);
    x->begun = st == SX_OK;
    return st == SX_OK ? expo_protobuf_next(x, out, err) : st;
}

sx_status prom_exposition_labels(prom_exposition *x, const prom_entry *e, sx_arena *arena,
                                 tsdb_labels *out, sx_error *err)
{
    if (is_protobuf(x))
        return expo_protobuf_labels(x, arena, out, err);
    return e->kind == PROM_ENTRY_HISTOGRAM ? expo_nhcb_labels(x, arena, out, err)
                                           : expo_text_labels(x, e, arena, out, err);
}
