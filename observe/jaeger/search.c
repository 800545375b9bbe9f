/* search.c - a Jaeger search as a filter over spans, and the traces that it finds. See search.h. */
#include "observe/jaeger/search.h"

#include <sextant/mem.h>

#include "base/mem_account.h"

enum { LIMIT_DEFAULT = 100 };

/* --- Words. */

static const sx_str KINDS[] = {
    [SPAN_UNSPECIFIED] = SX_STR_INIT("unspecified"), [SPAN_INTERNAL] = SX_STR_INIT("internal"),
    [SPAN_SERVER] = SX_STR_INIT("server"),           [SPAN_CLIENT] = SX_STR_INIT("client"),
    [SPAN_PRODUCER] = SX_STR_INIT("producer"),       [SPAN_CONSUMER] = SX_STR_INIT("consumer"),
};

sx_str jaeger_kind_name(unsigned kind)
{
    return kind > SPAN_UNSPECIFIED && kind < SX_COUNT_OF(KINDS) ? KINDS[kind] : sx_str_of(NULL, 0);
}

int jaeger_kind(sx_str name)
{
    for (size_t i = 0; i < SX_COUNT_OF(KINDS); i++)
        if (sx_str_ieq(name, KINDS[i]))
            return (int)i;
    return -1;
}

bool jaeger_bool(sx_str text, bool *out)
{
    static const struct {
        sx_str word;
        bool value;
    } WORDS[] = {
        {SX_STR_INIT("1"), true},      {SX_STR_INIT("t"), true},      {SX_STR_INIT("T"), true},
        {SX_STR_INIT("true"), true},   {SX_STR_INIT("TRUE"), true},   {SX_STR_INIT("True"), true},
        {SX_STR_INIT("0"), false},     {SX_STR_INIT("f"), false},     {SX_STR_INIT("F"), false},
        {SX_STR_INIT("false"), false}, {SX_STR_INIT("FALSE"), false}, {SX_STR_INIT("False"), false},
    };
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++)
        if (sx_str_eq(text, WORDS[i].word)) {
            *out = WORDS[i].value;
            return true;
        }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The two halves are read one after the other, and the error names the half, as the peer's does. */
sx_status jaeger_trace_id(sx_str text, uint8_t out[16], sx_error *err)
{
    enum { DIGITS = 32, HALF = 16 };
    memset(out, 0, 16);
    if (text.len > DIGITS)
        return sx_fail(err, SX_EINVAL, "TraceID cannot be longer than 32 hex characters: %.*s",
                       SX_ARG(text));
    size_t skip = DIGITS - text.len, cut = text.len > HALF ? text.len - HALF : 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0) {
            sx_str half =
                i < cut ? sx_str_of(text.data, cut) : sx_str_of(text.data + cut, text.len - cut);
            return sx_fail(err, SX_EINVAL, "strconv.ParseUint: parsing \"%.*s\": invalid syntax",
                           SX_ARG(half));
        }
        out[(skip + i) / 2] |= (uint8_t)(digit << ((skip + i) % 2 ? 0 : 4));
    }
    if (text.len == 0)
        return sx_fail(err, SX_EINVAL, "strconv.ParseUint: parsing \"\": invalid syntax");
    return SX_OK;
}

/* --- Filters: nodes in an arena; the first failure sticks. */

typedef struct builder {
    sx_arena *arena;
    bool failed;
} builder;

enum { PARTS_MAX = 4 }; /* of what add() makes at a time */

static span_filter *node(builder *b, filter_kind kind)
{
    span_filter *f = sx_arena_calloc(b->arena, 1, sizeof *f);
    b->failed |= !f;
    if (f)
        f->kind = kind;
    return f;
}

static const span_filter *join(builder *b, filter_kind kind, const span_filter *const *parts,
                               size_t count)
{
    if (count == 1 && kind != FILTER_NOT)
        return parts[0];
    span_filter *f = node(b, kind);
    const span_filter **children =
        sx_arena_calloc(b->arena, count + 1, sizeof(const span_filter *));
    b->failed |= !children;
    if (b->failed)
        return NULL;
    memcpy(children, parts, count * sizeof(const span_filter *));
    f->children = children;
    f->child_count = (uint32_t)count;
    return f;
}

static const span_filter *leaf_int(builder *b, filter_field field, filter_op op, uint64_t i)
{
    span_filter *f = node(b, FILTER_LEAF);
    if (!f)
        return NULL;
    f->field = field;
    f->op = op;
    f->value = (span_value){.i = i > INT64_MAX ? INT64_MAX : (int64_t)i, .type = SPAN_INT};
    return f;
}

static const span_filter *leaf_text(builder *b, filter_field field, sx_str text)
{
    span_filter *f = node(b, FILTER_LEAF);
    if (!f)
        return NULL;
    f->field = field;
    f->op = FILTER_EQ;
    f->value = (span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
    return f;
}

static const span_filter *attribute(builder *b, unsigned place, sx_str key, sx_str text)
{
    span_filter *f = node(b, FILTER_LEAF);
    if (!f)
        return NULL;
    f->field = FILTER_ATTRIBUTE;
    f->place = place;
    f->key = key;
    f->op = FILTER_TEXT;
    f->value = (span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
    return f;
}

/* --- Tags. Whatever a name stands for, an attribute that a client sent under it is found as well. */

typedef const span_filter *made_up_fn(builder *b, filter_field field, sx_str value);

static const span_filter *by_text(builder *b, filter_field field, sx_str value)
{
    return value.len ? leaf_text(b, field, value) : NULL; /* nobody sees it where it is empty */
}

static const span_filter *by_kind(builder *b, filter_field field, sx_str value)
{
    int kind = jaeger_kind(value);
    return kind < 0 ? NULL : leaf_int(b, field, FILTER_EQ, (uint64_t)kind);
}

/* `false` is what has no error: status OK and, the usual case, none at all. */
static const span_filter *by_error(builder *b, filter_field field, sx_str value)
{
    bool error;
    if (!jaeger_bool(value, &error))
        return NULL;
    return leaf_int(b, field, error ? FILTER_EQ : FILTER_NE, SPAN_ERROR);
}

static const span_filter *by_status(builder *b, filter_field field, sx_str value)
{
    static const struct {
        sx_str word;
        span_status status;
    } WORDS[] = {{SX_STR_INIT("unset"), SPAN_UNSET},
                 {SX_STR_INIT("ok"), SPAN_OK},
                 {SX_STR_INIT("error"), SPAN_ERROR}};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++)
        if (sx_str_ieq(value, WORDS[i].word))
            return leaf_int(b, field, FILTER_EQ, WORDS[i].status);
    return NULL;
}

static const struct {
    sx_str key;
    filter_field field;
    made_up_fn *make;
} MADE_UP[] = {
    {SX_STR_INIT("error"), FILTER_STATUS, by_error},
    {SX_STR_INIT("span.kind"), FILTER_KIND, by_kind},
    {SX_STR_INIT("span.status"), FILTER_STATUS, by_status},
    {SX_STR_INIT("otel.status_code"), FILTER_STATUS, by_status},
    {SX_STR_INIT("otel.status_description"), FILTER_STATUS_MESSAGE, by_text},
    {SX_STR_INIT("otel.scope.name"), FILTER_SCOPE_NAME, by_text},
    {SX_STR_INIT("otel.scope.version"), FILTER_SCOPE_VERSION, by_text},
    {SX_STR_INIT("otel.library.name"), FILTER_SCOPE_NAME, by_text},
    {SX_STR_INIT("otel.library.version"), FILTER_SCOPE_VERSION, by_text},
    {SX_STR_INIT("scope.name"), FILTER_SCOPE_NAME, by_text},
    {SX_STR_INIT("scope.version"), FILTER_SCOPE_VERSION, by_text},
    {SX_STR_INIT("w3c.tracestate"), FILTER_TRACE_STATE, by_text},
    {SX_STR_INIT("event"), FILTER_EVENT_NAME, by_text},
};

static const span_filter *tag_filter(builder *b, const jaeger_tag *tag)
{
    static const sx_str RESOURCE = SX_STR_INIT("resource.");
    const span_filter *parts[2] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < SX_COUNT_OF(MADE_UP) && count == 0; i++)
        if (sx_str_eq(tag->key, MADE_UP[i].key)) {
            parts[0] = MADE_UP[i].make(b, MADE_UP[i].field, tag->value);
            count = parts[0] != NULL;
            break;
        }
    if (sx_str_starts(tag->key, RESOURCE) && tag->key.len > RESOURCE.len)
        parts[count++] = attribute(
            b, FILTER_RESOURCE,
            sx_str_of(tag->key.data + RESOURCE.len, tag->key.len - RESOURCE.len), tag->value);
    parts[count++] = attribute(b, FILTER_ANY, tag->key, tag->value);
    return b->failed ? NULL : join(b, FILTER_OR, parts, count);
}

/* --- Names. */

static const span_filter *service_filter(builder *b, sx_str name)
{
    bool none = sx_str_eq(name, JAEGER_NO_SERVICE) || sx_str_eq(name, JAEGER_EMPTY_SERVICE);
    const span_filter *parts[2] = {leaf_text(b, FILTER_SERVICE, name)};
    if (none)
        parts[1] = leaf_text(b, FILTER_SERVICE, sx_str_of("", 0));
    return b->failed ? NULL : join(b, FILTER_OR, parts, none ? 2 : 1);
}

static const span_filter *services_filter(builder *b, const jaeger_search *q)
{
    size_t count = 0;
    const span_filter **parts =
        sx_arena_calloc(b->arena, q->service_count + 1, sizeof(const span_filter *));
    b->failed |= !parts;
    if (!b->failed && q->service.len)
        parts[count++] = service_filter(b, q->service);
    for (size_t i = 0; i < q->service_count && !b->failed; i++)
        if (q->services[i].len)
            parts[count++] = service_filter(b, q->services[i]);
    return b->failed || count == 0 ? NULL : join(b, FILTER_OR, parts, count);
}

static const span_filter *operation_filter(builder *b, sx_str name)
{
    bool none = sx_str_eq(name, JAEGER_EMPTY_OPERATION);
    const span_filter *parts[2] = {leaf_text(b, FILTER_NAME, name)};
    if (none)
        parts[1] = leaf_text(b, FILTER_NAME, sx_str_of("", 0));
    return b->failed ? NULL : join(b, FILTER_OR, parts, none ? 2 : 1);
}

sx_status jaeger_filter(const jaeger_search *q, sx_arena *arena, const span_filter **out,
                        sx_error *err)
{
    builder b = {.arena = arena};
    size_t count = 0;
    *out = NULL;
    if (q->tag_count + q->service_count > SPAN_FILTER_NODES_MAX / PARTS_MAX)
        return sx_fail(err, SX_ELIMIT, "at most %d tags and services may be asked for at once",
                       SPAN_FILTER_NODES_MAX / PARTS_MAX);
    const span_filter **parts =
        sx_arena_calloc(arena, q->tag_count + 5, sizeof(const span_filter *));
    if (!parts)
        return sx_fail_memory(err, "search");
    parts[count] = services_filter(&b, q);
    count += parts[count] != NULL;
    if (q->operation.len)
        parts[count++] = operation_filter(&b, q->operation);
    for (size_t i = 0; i < q->tag_count && !b.failed; i++)
        parts[count++] = tag_filter(&b, &q->tags[i]);
    if (q->min_duration_ns)
        parts[count++] = leaf_int(&b, FILTER_DURATION, FILTER_GE, q->min_duration_ns);
    if (q->max_duration_ns)
        parts[count++] = leaf_int(&b, FILTER_DURATION, FILTER_LE, q->max_duration_ns);
    if (q->also)
        parts[count++] = q->also;
    if (!b.failed && count)
        *out = join(&b, FILTER_AND, parts, count);
    return b.failed ? sx_fail_memory(err, "search") : SX_OK;
}

/* --- Finding. */

typedef struct finding {
    tr_hit *hits;
    size_t count, cap, limit;
    bool no_memory;
} finding;

static bool on_hit(void *ctx, const tr_hit *hit)
{
    finding *f = ctx;
    if (!sx_grow(&f->hits, &f->cap, f->count + 1, sizeof *f->hits)) {
        f->no_memory = true;
        return false;
    }
    f->hits[f->count++] = *hit;
    return f->count < f->limit;
}

static sx_status find(tr_store *store, const jaeger_search *q, const tr_limits *limits, finding *f,
                      bool *partial, sx_error *err)
{
    sx_arena arena;
    sx_arena_init(&arena, 4096, 0);
    tr_search search = {.min_ns = q->min_ns, .max_ns = q->max_ns, .after = q->after};
    if (limits)
        search.limits = *limits;
    f->limit = q->limit == 0                 ? LIMIT_DEFAULT
               : q->limit > JAEGER_LIMIT_MAX ? JAEGER_LIMIT_MAX
                                             : q->limit;
    sx_status status = jaeger_filter(q, &arena, &search.filter, err);
    if (status == SX_OK)
        status = tr_store_search(store, &search, on_hit, f, partial, err);
    if (status == SX_OK && f->no_memory)
        status = sx_fail_memory(err, "search");
    if (status == SX_ETIMEOUT && f->count) { /* what was found in time is right as far as it goes */
        status = SX_OK;
        *partial = true;
    }
    sx_arena_done(&arena);
    return status;
}

static void set_last(const finding *f, size_t given, bool cut, tr_hit *last)
{
    if (last && given && (cut || given < f->count || f->count == f->limit))
        *last = f->hits[given - 1];
}

sx_status jaeger_find_ids(tr_store *store, const jaeger_search *q, const tr_limits *limits,
                          tr_hit_fn *fn, void *ctx, tr_hit *last, bool *partial, sx_error *err)
{
    finding f = {0};
    bool cut = false, more = true;
    size_t given = 0;
    if (last)
        memset(last, 0, sizeof *last);
    sx_status status = find(store, q, limits, &f, &cut, err);
    while (status == SX_OK && more && given < f.count)
        more = fn(ctx, &f.hits[given++]);
    set_last(&f, given, cut, last);
    if (partial)
        *partial = cut;
    sx_free(f.hits);
    return status;
}

sx_status jaeger_find(tr_store *store, const jaeger_search *q, const tr_limits *limits,
                      jaeger_trace_fn *fn, void *ctx, tr_hit *last, bool *partial, sx_error *err)
{
    finding f = {0};
    bool cut = false, more = true;
    size_t given = 0;
    if (last)
        memset(last, 0, sizeof *last);
    sx_status status = find(store, q, limits, &f, &cut, err);
    span_batch *trace = status == SX_OK ? span_batch_new(0) : NULL;
    if (status == SX_OK && !trace)
        status = sx_fail_memory(err, "search");
    tr_limits reading = limits ? *limits : (tr_limits){0};
    reading.deadline_ms = 0; /* what was found is shown */
    while (status == SX_OK && more && given < f.count) {
        const tr_hit *hit = &f.hits[given++];
        bool one_cut = false;
        span_batch_reset(trace);
        status = tr_store_trace(store, hit->trace_id, 0, 0, &reading, trace, &one_cut, err);
        if (status == SX_ENOMEM && given > 1 && sx_mem_account_over(sx_mem_account_current())) {
            status = SX_OK; /* what came before it was whole: the answer ends here, and says so */
            cut = true;
            given--;
            break;
        }
        cut |= one_cut;
        if (status == SX_OK && trace->count) /* none: retention was faster */
            more = fn(ctx, hit->trace_id, trace);
    }
    set_last(&f, given, cut, last);
    if (partial)
        *partial = cut;
    span_batch_unref(trace);
    sx_free(f.hits);
    return status;
}
