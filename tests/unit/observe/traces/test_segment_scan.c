/* test_segment_scan.c - searches over columns find exactly what span_filter_match says, whatever the
 * filter: thousands of random ones over rich spans. */
#include "tests/unit/observe/traces/segment_help.h"

/* --- Random filters. */

typedef struct filters {
    sx_arena arena;
    make_spans dice;
    const span_batch *spans; /* literals come from these */
    sx_regex *regexes[64];
    size_t regex_count;
} filters;

static uint64_t roll(filters *f, uint64_t sides)
{
    return make_random(&f->dice) % sides;
}

static void regex_leaf(filters *f, span_filter *leaf)
{
    static const char *const PATTERNS[] = {"user-.*", ".*op-1.*", "GET|POST", "",
                                           "two",     ".*0",      "frontend", "up.*no"};
    sx_error err = {0};
    sx_regex *re;
    assert_int_equal(sx_regex_new(&re, sx_str_z(PATTERNS[roll(f, 8)]), NULL, &err), SX_OK);
    f->regexes[f->regex_count++] = re;
    leaf->op = roll(f, 2) ? FILTER_MATCH : FILTER_NOT_MATCH;
    leaf->regex = re;
}

static sx_str hex_of(filters *f, const uint8_t *id, size_t len)
{
    char *text = sx_arena_alloc(&f->arena, 40);
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    return sx_str_of(text, 2 * len);
}

static span_value str_value(sx_str s)
{
    return (span_value){.data = s.data, .len = (uint32_t)s.len, .type = SPAN_STR};
}

static span_value literal(filters *f, const span_filter *leaf)
{
    const span *s = f->spans->spans[roll(f, f->spans->count)];
    switch (leaf->field) {
    case FILTER_ATTRIBUTE: {
        span_attrs lists[] = {s->attrs, s->resource->attrs,
                              s->event_count ? s->events[0].attrs : s->attrs,
                              s->link_count ? s->links[0].attrs : s->attrs};
        for (unsigned i = 0; i < 4; i++) {
            const span_value *v = span_attrs_find(lists[i], leaf->key);
            if (v)
                return *v;
        }
        return str_value(SX_STR("nothing has this"));
    }
    case FILTER_NAME:
        return str_value(s->name);
    case FILTER_SERVICE:
        return str_value(s->resource->service);
    case FILTER_STATUS_MESSAGE:
        return str_value(s->status_message);
    case FILTER_TRACE_STATE:
        return str_value(s->trace_state);
    case FILTER_SCOPE_NAME:
        return str_value(s->scope->name);
    case FILTER_SCOPE_VERSION:
        return str_value(s->scope->version);
    case FILTER_EVENT_NAME:
        return str_value(roll(f, 2) ? SX_STR("exception") : SX_STR("retry"));
    case FILTER_TRACE_ID:
        return str_value(hex_of(f, s->trace_id, 16));
    case FILTER_SPAN_ID:
        return str_value(hex_of(f, s->id, 8));
    case FILTER_PARENT_ID:
        return str_value(hex_of(f, s->parent, roll(f, 2) ? 8 : 0));
    case FILTER_LINK_TRACE_ID:
        return str_value(s->link_count ? hex_of(f, s->links[0].trace_id, 16) : SX_STR("x"));
    case FILTER_LINK_SPAN_ID:
        return str_value(s->link_count ? hex_of(f, s->links[0].span_id, 8) : SX_STR("x"));
    case FILTER_DURATION:
        return (span_value){.i = (int64_t)(s->end_ns - s->start_ns), .type = SPAN_INT};
    case FILTER_START:
        return (span_value){.i = (int64_t)s->start_ns, .type = SPAN_INT};
    case FILTER_EVENT_SINCE_START:
        return (span_value){.i = roll(f, 2) ? 500 : 900, .type = SPAN_INT};
    default:
        return (span_value){.i = (int64_t)roll(f, 6), .type = SPAN_INT};
    }
}

static const span_filter *random_leaf(filters *f)
{
    static const char *const KEYS[] = {"http.request.method",
                                       "http.response.status_code",
                                       "url.path",
                                       "user.id",
                                       "request.id",
                                       "net.bytes",
                                       "list",
                                       "ratio",
                                       "cached",
                                       "blob",
                                       "service.name",
                                       "host.name",
                                       "exception.type",
                                       "link.order",
                                       "absent"};
    static const uint32_t PLACES[] = {
        FILTER_ANY,   FILTER_SPAN, FILTER_RESOURCE,         FILTER_SCOPE,
        FILTER_EVENT, FILTER_LINK, FILTER_SPAN_OR_RESOURCE, FILTER_SPAN | FILTER_EVENT};
    span_filter *leaf = sx_arena_calloc(&f->arena, 1, sizeof *leaf);
    leaf->kind = FILTER_LEAF;
    leaf->field = roll(f, 2) ? FILTER_ATTRIBUTE : (filter_field)roll(f, FILTER_FIELDS);
    leaf->place = PLACES[roll(f, 8)];
    leaf->key = sx_str_z(KEYS[roll(f, 15)]);
    leaf->op = (filter_op)roll(f, FILTER_TEXT + 1);
    leaf->value = literal(f, leaf);
    if (leaf->op == FILTER_MATCH || leaf->op == FILTER_NOT_MATCH)
        regex_leaf(f, leaf);
    if (leaf->op == FILTER_TEXT) {
        sx_buf text;
        sx_buf_init(&text, 0);
        span_value_text(&leaf->value, &text);
        leaf->value = str_value(sx_arena_copy(&f->arena, sx_buf_view(&text)));
        sx_buf_done(&text);
    } else if (leaf->value.type == SPAN_INT && roll(f, 4) == 0) {
        leaf->value =
            (span_value){.d = (double)leaf->value.i + (roll(f, 2) ? 0.5 : 0), .type = SPAN_DOUBLE};
    }
    return leaf;
}

static const span_filter *random_filter(filters *f, unsigned depth)
{
    if (depth == 0 || roll(f, 3) == 0)
        return random_leaf(f);
    span_filter *node = sx_arena_calloc(&f->arena, 1, sizeof *node);
    const span_filter **children = sx_arena_calloc(&f->arena, 3, sizeof *children);
    node->kind = (filter_kind)(FILTER_AND + roll(f, 3));
    node->child_count = node->kind == FILTER_NOT ? 1 : (uint32_t)roll(f, 4);
    node->children = children;
    for (uint32_t i = 0; i < node->child_count; i++)
        children[i] = random_filter(f, depth - 1);
    return node;
}

/* --- The scan against the plain way. */

static void check_filter(const tr_segment *s, const span_batch *rows, const span_filter *filter,
                         uint64_t min_ns, uint64_t max_ns, size_t cap)
{
    sx_error err = {0};
    tr_scan *scan;
    uint64_t got[64], newest;
    size_t count, hits = 0, want = 0;
    uint8_t *seen = calloc(rows->count + 1, 1);
    assert_int_equal(tr_scan_new(s, filter, min_ns, max_ns, &scan, &err), SX_OK);
    do {
        newest = tr_scan_newest(scan);
        if (tr_scan_next(scan, got, cap, &count, &err) != SX_OK)
            fail_msg("%s", err.message);
        for (size_t i = 0; i < count; i++) {
            assert_true(got[i] < rows->count);
            assert_false(seen[got[i]]);
            seen[got[i]] = 1;
            (void)newest;
        }
        hits += count;
    } while (count);
    for (size_t i = 0; i < rows->count; i++) {
        const span *one = rows->spans[i];
        bool match =
            one->start_ns >= min_ns && one->start_ns <= max_ns && span_filter_match(filter, one);
        want += match;
        if (match != seen[i])
            fail_msg("row %zu: %s, field %d op %d place %u key %.*s", i,
                     match ? "missed" : "wrongly found", filter ? (int)filter->field : -1,
                     filter ? (int)filter->op : -1, filter ? filter->place : 0,
                     filter ? (int)filter->key.len : 0, filter ? filter->key.data : "");
    }
    assert_int_equal(hits, want);
    tr_scan_free(scan);
    free(seen);
}

static void random_filters_agree(void **state)
{
    (void)state;
    segment_place p;
    place_make(&p);
    make_spans m = {.seed = 11,
                    .start_ns = 1700000000000000000,
                    .step_ns = 100000,
                    .per_trace = 10,
                    .rich = true};
    span_batch *batch = make_batch(&m, 1100); /* two groups */
    tr_segment *s = segment_of(p.path, batch);
    span_batch *rows = segment_rows(s);
    uint64_t first = rows->spans[0]->start_ns, last = rows->spans[rows->count - 1]->start_ns;
    check_filter(s, rows, NULL, 0, UINT64_MAX, 64);
    check_filter(s, rows, NULL, first + 1000, last - 50000000, 7);
    filters f = {.dice = {.seed = 3}, .spans = batch};
    for (int round = 0; round < 1500; round++) {
        sx_arena_init(&f.arena, 0, 0);
        f.regex_count = 0;
        const span_filter *filter = random_filter(&f, (unsigned)(round % 3));
        bool bounded = round % 4 == 0;
        check_filter(s, rows, filter, bounded ? first + roll(&f, last - first) : 0,
                     bounded ? last : UINT64_MAX, 64);
        for (size_t i = 0; i < f.regex_count; i++)
            sx_regex_free(f.regexes[i]);
        sx_arena_done(&f.arena);
    }
    tr_segment_unref(s);
    span_batch_unref(rows);
    span_batch_unref(batch);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_filters_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
