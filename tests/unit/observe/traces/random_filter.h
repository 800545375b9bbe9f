/* random_filter.h - filters that find some of the spans of make_spans.h, drawn at random. */
#ifndef SEXTANT_TESTS_RANDOM_FILTER_H
#define SEXTANT_TESTS_RANDOM_FILTER_H

#include "observe/traces/filter.h"
#include "tests/unit/observe/traces/make_spans.h"

/* Three patterns, compiled once. */
static inline const sx_regex *random_regex(unsigned which)
{
    static const char *const PATTERNS[] = {"/api/v1/op-1.*", "user-[0-9]*7", "(GET|PUT)"};
    static sx_regex *compiled[3];
    if (!compiled[which % 3] &&
        sx_regex_new(&compiled[which % 3], sx_str_z(PATTERNS[which % 3]), NULL, NULL) != SX_OK)
        abort();
    return compiled[which % 3];
}

static inline span_value random_text(make_spans *m, sx_arena *arena)
{
    static const char *const TEXTS[] = {"GET",      "PUT",     "200",      "500",
                                        "frontend", "IOError", "worker-3", "exception",
                                        "true",     "absent",  "go"};
    uint64_t dice = make_random(m);
    sx_str s = sx_str_z(TEXTS[dice % SX_COUNT_OF(TEXTS)]);
    if (dice % 5 == 0)
        s = sx_arena_printf(arena, "user-%u", (unsigned)((dice >> 8) % 10000));
    if (dice % 5 == 1)
        s = sx_arena_printf(arena, "/api/v1/op-%u", (unsigned)((dice >> 8) % 96));
    return (span_value){.data = s.data, .len = (uint32_t)s.len, .type = SPAN_STR};
}

static inline const span_filter *random_leaf(make_spans *m, sx_arena *arena)
{
    static const char *const KEYS[] = {"http.request.method",
                                       "http.response.status_code",
                                       "user.id",
                                       "net.bytes",
                                       "thread.name",
                                       "service.name",
                                       "telemetry.sdk.language",
                                       "ratio",
                                       "cached",
                                       "list",
                                       "exception.type",
                                       "link.order",
                                       "not.there"};
    static const unsigned PLACES[] = {FILTER_ANY,   FILTER_SPAN, FILTER_RESOURCE,
                                      FILTER_EVENT, FILTER_LINK, FILTER_SPAN_OR_RESOURCE};
    span_filter *f = sx_arena_calloc(arena, 1, sizeof *f);
    uint64_t dice = make_random(m);
    if (!f)
        abort();
    f->kind = FILTER_LEAF;
    f->field = (filter_field)(dice % 3 ? FILTER_ATTRIBUTE : (dice >> 8) % FILTER_FIELDS);
    f->place = PLACES[(dice >> 16) % SX_COUNT_OF(PLACES)];
    f->key = sx_str_z(KEYS[(dice >> 24) % SX_COUNT_OF(KEYS)]);
    f->op = (filter_op)((dice >> 32) % (FILTER_TEXT + 1));
    f->regex = random_regex((unsigned)(dice >> 48));
    switch ((dice >> 40) % 4) {
    case 0:
        f->value = (span_value){.i = (int64_t)(make_random(m) % 5000), .type = SPAN_INT};
        if (f->field == FILTER_DURATION)
            f->value.i *= 4000;
        if (f->field == FILTER_KIND || f->field == FILTER_STATUS)
            f->value.i %= 4;
        break;
    case 1:
        f->value = (span_value){.d = (double)(make_random(m) % 100) / 8, .type = SPAN_DOUBLE};
        break;
    default:
        f->value = random_text(m, arena);
    }
    if (f->op == FILTER_TEXT)
        f->value = random_text(m, arena);
    return f;
}

static inline const span_filter *random_filter(make_spans *m, sx_arena *arena, unsigned depth)
{
    uint64_t dice = make_random(m);
    if (depth == 0 || dice % 3 == 0)
        return random_leaf(m, arena);
    span_filter *f = sx_arena_calloc(arena, 1, sizeof *f);
    uint32_t count = 1 + (dice >> 8) % 3;
    const span_filter **children = sx_arena_calloc(arena, count, sizeof *children);
    if (!f || !children)
        abort();
    f->kind = (filter_kind)(FILTER_AND + (dice >> 16) % 3);
    if (f->kind == FILTER_NOT)
        count = 1;
    for (uint32_t i = 0; i < count; i++)
        children[i] = random_filter(m, arena, depth - 1);
    f->children = children;
    f->child_count = count;
    return f;
}

#endif
