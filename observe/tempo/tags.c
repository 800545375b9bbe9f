/* tags.c - which attributes there are, and which values: what a query's editor offers. */
#include <stdlib.h>

#include "observe/tempo/tempo_internal.h"

static const struct {
    const char *name;
    filter_place place;
} SCOPES[] = {{"resource", FILTER_RESOURCE},
              {"span", FILTER_SPAN},
              {"event", FILTER_EVENT},
              {"link", FILTER_LINK},
              {"instrumentation", FILTER_SCOPE}};
enum { SCOPE_COUNT = 5 };

static const char *const INTRINSICS[] = {"duration",
                                         "event:name",
                                         "event:timeSinceStart",
                                         "instrumentation:name",
                                         "instrumentation:version",
                                         "kind",
                                         "link:spanID",
                                         "link:traceID",
                                         "name",
                                         "rootName",
                                         "rootServiceName",
                                         "span:childCount",
                                         "span:duration",
                                         "span:id",
                                         "span:kind",
                                         "span:name",
                                         "span:parentID",
                                         "span:status",
                                         "span:statusMessage",
                                         "status",
                                         "statusMessage",
                                         "trace:duration",
                                         "trace:id",
                                         "trace:rootName",
                                         "trace:rootService",
                                         "traceDuration"};

static void end_with_metrics(tempo_call *c, sx_json_writer *w, bool cut)
{
    sx_json_key(w, SX_STR("metrics"));
    sx_json_begin_object(w);
    sx_json_end_object(w);
    if (cut)
        tempo_put_str(w, "status", SX_STR("PARTIAL"));
    tempo_end_json(c, w);
}

/* Names of attributes; false: the call has failed. */
static bool read_keys(tempo_call *c, unsigned place, uint64_t min_ns, uint64_t max_ns,
                      tr_names *out)
{
    sx_error err = {0};
    uint64_t limit = TEMPO_NAMES_MAX;
    if (!tempo_number(c, "limit", UINT32_MAX, &limit))
        return false;
    if (!limit || limit > TEMPO_NAMES_MAX)
        limit = TEMPO_NAMES_MAX;
    if (tr_store_keys(c->store, place, min_ns, max_ns, (size_t)limit, c->arena, out, &err) == SX_OK)
        return true;
    tempo_fail_error(c, "", &err);
    return false;
}

void tempo_tags(tempo_call *c)
{
    uint64_t min_ns, max_ns;
    tr_names names = {0};
    sx_json_writer w;
    sx_str scope = tempo_get(c, "scope");
    unsigned place = FILTER_ANY;
    if (!tempo_seconds_range(c, &min_ns, &max_ns))
        return;
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if (sx_str_eq(scope, sx_str_z(SCOPES[i].name)))
            place = SCOPES[i].place;
    if (!sx_str_eq(scope, SX_STR("intrinsic")) && !read_keys(c, place, min_ns, max_ns, &names))
        return;
    tempo_begin_json(c, &w);
    sx_json_key(&w, SX_STR("tagNames"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < names.count; i++)
        sx_json_str(&w, names.items[i]);
    for (size_t i = 0; names.items == NULL && i < sizeof INTRINSICS / sizeof INTRINSICS[0]; i++)
        if (sx_str_eq(scope, SX_STR("intrinsic")))
            sx_json_str(&w, sx_str_z(INTRINSICS[i]));
    sx_json_end_array(&w);
    end_with_metrics(c, &w, names.cut);
}

static void begin_scope(sx_json_writer *w, const char *name)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("name"));
    sx_json_str(w, sx_str_z(name));
    sx_json_key(w, SX_STR("tags"));
    sx_json_begin_array(w);
}

static void end_scope(sx_json_writer *w)
{
    sx_json_end_array(w);
    sx_json_end_object(w);
}

void tempo_tags_v2(tempo_call *c)
{
    uint64_t min_ns, max_ns;
    tr_names names[SCOPE_COUNT] = {0};
    sx_str scope = tempo_get(c, "scope");
    bool all = !scope.len || sx_str_eq(scope, SX_STR("none")), cut = false;
    bool known = all || sx_str_eq(scope, SX_STR("intrinsic")) || sx_str_eq(scope, SX_STR("trace"));
    if (!tempo_seconds_range(c, &min_ns, &max_ns))
        return;
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if (all || sx_str_eq(scope, sx_str_z(SCOPES[i].name))) {
            known = true;
            if (!read_keys(c, SCOPES[i].place, min_ns, max_ns, &names[i]))
                return;
            cut |= names[i].cut;
        }
    if (!known) {
        tempo_fail(c, 400, "invalid scope: %.*s", (int)(scope.len < 100 ? scope.len : 100),
                   scope.data);
        return;
    }
    sx_json_writer w;
    tempo_begin_json(c, &w);
    sx_json_key(&w, SX_STR("scopes"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        if (!names[i].count)
            continue;
        begin_scope(&w, SCOPES[i].name);
        for (size_t k = 0; k < names[i].count; k++)
            sx_json_str(&w, names[i].items[k]);
        end_scope(&w);
    }
    if (all || sx_str_eq(scope, SX_STR("intrinsic"))) {
        begin_scope(&w, "intrinsic");
        for (size_t i = 0; i < sizeof INTRINSICS / sizeof INTRINSICS[0]; i++)
            sx_json_str(&w, sx_str_z(INTRINSICS[i]));
        end_scope(&w);
    }
    sx_json_end_array(&w);
    end_with_metrics(c, &w, cut);
}

/* --- Values. */

typedef struct values {
    tq_value *items;
    size_t count, cap;
    bool cut;
    /* of a scan: sorted set would cost; a small open table does */
    uint32_t *table;
    size_t mask, limit;
    const tq_field *field;
    const tq_node *filter; /* NULL: the store told exactly */
    sx_arena *arena, scratch;
    bool failed;
} values;

static int compare_values(const void *a, const void *b)
{
    return tq_compare(a, b);
}

/* Takes a value that is not there yet; true: enough. */
static bool keep_value(void *ctx, const tq_value *v)
{
    values *s = ctx;
    if (v->type == TQ_ANY || v->type == TQ_NIL)
        return false;
    uint64_t hash = 1469598103934665603u ^ (uint64_t)v->type;
    const unsigned char *bytes =
        v->type == TQ_STR ? (const unsigned char *)v->s.data : (const unsigned char *)&v->i;
    size_t len = v->type == TQ_STR ? v->s.len : 8;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    size_t at = hash & s->mask;
    for (; s->table[at]; at = (at + 1) & s->mask)
        if (s->items[s->table[at] - 1].type == v->type &&
            !tq_compare(&s->items[s->table[at] - 1], v))
            return false;
    if (s->count >= s->limit) {
        s->cut = true;
        return true;
    }
    tq_value copy = *v;
    if (v->type == TQ_STR)
        copy.s = sx_arena_copy(s->arena, v->s);
    if ((v->type == TQ_STR && !copy.s.data) ||
        !sx_arena_grow(s->arena, &s->items, &s->cap, s->count + 1, sizeof copy)) {
        s->failed = true;
        return true;
    }
    s->items[s->count++] = copy;
    s->table[at] = (uint32_t)s->count;
    return false;
}

static bool take_spans(void *ctx, const span_batch *b)
{
    values *s = ctx;
    tq_trace t = {.spans = b->spans, .count = (uint32_t)b->count};
    for (uint32_t i = 0; i < t.count; i++) {
        char hex[33];
        sx_arena_reset(&s->scratch);
        if (s->filter && !tq_holds(&s->scratch, s->filter, &t, i))
            continue;
        if (tq_values(&t, i, s->field, hex, keep_value, s))
            return false;
    }
    return true;
}

/* Where a query says which spans: all that the store finds are looked at. */
static sx_status scan_values(tempo_call *c, const traceql_query *q, uint64_t min_ns,
                             uint64_t max_ns, values *s, sx_error *err)
{
    bool partial = false, exact;
    tr_search question = {
        .filter = traceql_push(q, &exact), .min_ns = min_ns, .max_ns = max_ns, .limits = c->limits};
    if (!exact && q->root->kind == TQ_PIPELINE && q->root->items[0]->kind == TQ_FILTER)
        s->filter = q->root->items[0]->left;
    size_t room = 1;
    while (room < 2 * s->limit + 2)
        room *= 2;
    s->mask = room - 1;
    s->table = sx_arena_calloc(c->arena, room, sizeof *s->table);
    if (!s->table)
        return sx_fail_memory(err, "values");
    sx_arena_init(&s->scratch, 4096, 64 << 20);
    sx_status status =
        tr_store_scan(c->store, &question, TR_WANT_ALL, take_spans, s, &partial, err);
    sx_arena_done(&s->scratch);
    s->cut |= partial;
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, compare_values);
    return status == SX_OK && s->failed ? sx_fail_memory(err, "values") : status;
}

static sx_status stored_values(tempo_call *c, const tq_field *f, uint64_t min_ns, uint64_t max_ns,
                               values *s, sx_error *err)
{
    filter_field field;
    uint32_t place;
    tr_values found = {0};
    if (f->source ==
        TQ_TRACE_ROOT_SERVICE) /* a root's name is a service's, a root's an operation's */
        field = FILTER_SERVICE, place = 0;
    else if (f->source == TQ_TRACE_ROOT_NAME)
        field = FILTER_NAME, place = 0;
    else if (!traceql_field_stored(f, &field, &place))
        return SX_OK;
    bool text = field == FILTER_NAME || field == FILTER_SERVICE || field == FILTER_STATUS_MESSAGE ||
                field == FILTER_SCOPE_NAME || field == FILTER_SCOPE_VERSION ||
                field == FILTER_EVENT_NAME || field == FILTER_ATTRIBUTE;
    if (!text) /* ids and times: nothing to choose from */
        return SX_OK;
    sx_status status = tr_store_values(c->store, field, place, f->key, min_ns, max_ns, s->limit,
                                       c->arena, &found, err);
    s->cut = found.cut;
    for (size_t i = 0; status == SX_OK && i < found.count; i++) {
        const span_value *v = &found.items[i];
        tq_value out = {.type = TQ_NIL};
        if (v->type == SPAN_STR)
            out = (tq_value){.type = TQ_STR, .s = sx_str_of(v->data, v->len)};
        else if (v->type == SPAN_INT || v->type == SPAN_BOOL)
            out = (tq_value){.type = v->type == SPAN_INT ? TQ_INT : TQ_BOOL, .i = v->i};
        else if (v->type == SPAN_DOUBLE)
            out = (tq_value){.type = TQ_FLOAT, .d = v->d};
        if (out.type == TQ_NIL || (out.type == TQ_STR && !out.s.len))
            continue;
        if (!sx_arena_grow(c->arena, &s->items, &s->cap, s->count + 1, sizeof out))
            return sx_fail_memory(err, "values");
        s->items[s->count++] = out;
    }
    return status;
}

/* Words of a kind or status. */
static bool keyword_values(tempo_call *c, const tq_field *f, values *s)
{
    bool status = f->source == TQ_SPAN_STATUS, kind = f->source == TQ_SPAN_KIND;
    static const int64_t STATUSES[] = {SPAN_OK, SPAN_ERROR, SPAN_UNSET};
    static const int64_t KINDS[] = {SPAN_CLIENT,   SPAN_SERVER,   SPAN_PRODUCER,
                                    SPAN_CONSUMER, SPAN_INTERNAL, SPAN_UNSPECIFIED};
    if (!status && !kind)
        return false;
    size_t count = status ? 3 : 6;
    s->items = sx_arena_calloc(c->arena, count, sizeof *s->items);
    for (size_t i = 0; s->items && i < count; i++)
        s->items[s->count++] =
            (tq_value){.type = status ? TQ_STATUS : TQ_KIND, .i = status ? STATUSES[i] : KINDS[i]};
    return true;
}

/* A query that says no more than "all spans" is as none. */
static bool is_everything(const traceql_query *q)
{
    bool exact;
    return !traceql_push(q, &exact) && exact;
}

static bool read_values(tempo_call *c, const tq_field *f, values *s)
{
    uint64_t min_ns, max_ns, limit = TEMPO_NAMES_MAX;
    sx_error err = {0};
    sx_str text = tempo_get(c, "q");
    traceql_query *q = NULL;
    if (!tempo_seconds_range(c, &min_ns, &max_ns) || !tempo_number(c, "limit", UINT32_MAX, &limit))
        return false;
    *s = (values){.field = f, .arena = c->arena};
    s->limit = limit && limit < TEMPO_NAMES_MAX ? (size_t)limit : TEMPO_NAMES_MAX;
    if (keyword_values(c, f, s))
        return true;
    /* An editor asks with what has been written so far: a query that is not finished does not count. */
    if (text.len && traceql_parse(text, &q, NULL) == SX_OK && is_everything(q)) {
        traceql_free(q);
        q = NULL;
    }
    sx_status status = q ? scan_values(c, q, min_ns, max_ns, s, &err)
                         : stored_values(c, f, min_ns, max_ns, s, &err);
    traceql_free(q);
    if (status != SX_OK)
        tempo_fail_error(c, "", &err);
    return status == SX_OK;
}

static const char *type_name(const tq_value *v)
{
    switch (v->type) {
    case TQ_INT:
        return "int";
    case TQ_FLOAT:
        return "float";
    case TQ_BOOL:
        return "bool";
    case TQ_DURATION:
        return "duration";
    case TQ_STATUS:
    case TQ_KIND:
        return "keyword";
    default:
        return "string";
    }
}

static void put_text(sx_json_writer *w, const tq_value *v)
{
    sx_buf text;
    if (v->type == TQ_STR) {
        sx_json_str(w, v->s);
        return;
    }
    sx_buf_init(&text, 200);
    if (v->type == TQ_FLOAT) {
        span_value d = {.d = v->d, .type = SPAN_DOUBLE};
        span_value_text(&d, &text);
    } else {
        tq_print_value(v, &text);
    }
    sx_json_str(w, sx_buf_view(&text));
    sx_buf_done(&text);
}

static void put_values(tempo_call *c, const values *s, bool typed)
{
    sx_json_writer w;
    tempo_begin_json(c, &w);
    sx_json_key(&w, SX_STR("tagValues"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < s->count; i++) {
        if (!typed) {
            put_text(&w, &s->items[i]);
            continue;
        }
        sx_json_begin_object(&w);
        tempo_put_str(&w, "type", sx_str_z(type_name(&s->items[i])));
        sx_json_key(&w, SX_STR("value"));
        put_text(&w, &s->items[i]);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    end_with_metrics(c, &w, s->cut);
}

void tempo_tag_values_v2(tempo_call *c)
{
    tq_field f;
    values s;
    sx_error err = {0};
    if (traceql_field_parse(c->name, c->arena, &f, &err) != SX_OK) {
        tempo_fail(c, err.status == SX_ENOMEM ? 500 : 400,
                   "please provide a valid tagName: failed to parse identifier %.*s: %s",
                   (int)(c->name.len < 100 ? c->name.len : 100), c->name.data, err.message);
        return;
    }
    if (read_values(c, &f, &s))
        put_values(c, &s, true);
}

void tempo_tag_values(tempo_call *c)
{
    tq_field f = {.source = TQ_ATTR, .key = c->name};
    values s;
    static const struct {
        const char *tag;
        tq_source source;
    } FIELDS[] = {{"status.code", TQ_SPAN_STATUS},
                  {"name", TQ_SPAN_NAME},
                  {"root.name", TQ_TRACE_ROOT_NAME},
                  {"root.service.name", TQ_TRACE_ROOT_SERVICE}};
    if (!c->name.len) {
        tempo_fail(c, 400, "please provide a non-empty tagName");
        return;
    }
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        if (sx_str_eq(c->name, sx_str_z(FIELDS[i].tag)))
            f.source = FIELDS[i].source;
    if (read_values(c, &f, &s))
        put_values(c, &s, false);
}
