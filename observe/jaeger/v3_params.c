/* v3_params.c - query.* of /api/v3 as a search, out of the address or a body in JSON. */
#include "codec/go_text.h"
#include "observe/jaeger/v3_params.h"

#include <stdio.h>

#include <sextant/json.h>

#include "observe/jaeger/proto_words.h"

enum { TAGS_MAX = 1024, SEARCH_DEPTH = 100 };

#define MALFORMED "malformed parameter %s: %s"

static sx_status malformed(const char *name, const sx_error *why, sx_error *err)
{
    char words[sizeof(why->message)];
    snprintf(words, sizeof(words), "%s", why->message); /* err may be `why` */
    return sx_fail(err, SX_EINVAL, MALFORMED, name, words);
}

/* ---- a body: {"query":{"serviceName":"x", ...}} ---- */

static bool is_member(sx_str key, const char *name)
{
    static const sx_str QUERY = SX_STR_INIT("query.");
    return sx_str_starts(sx_str_z(name), QUERY) &&
           sx_str_eq(key, sx_str_from(sx_str_z(name), QUERY.len));
}

/* Text as it is; null as if it were not there; anything else as its JSON. */
static bool read_member(sx_json *r, sx_str *out)
{
    if (sx_json_take_null(r))
        return false;
    return sx_json_peek(r) == SX_JSON_STRING ? sx_json_read_str(r, out) : sx_json_raw(r, out);
}

static bool find_in_query(sx_json *r, const char *name, sx_str *out)
{
    sx_str key;
    bool found = false;
    if (!sx_json_enter_object(r))
        return false;
    while (sx_json_next_key(r, &key)) {
        if (!is_member(key, name))
            sx_json_skip(r);
        else
            found = read_member(r, out);
    }
    return found;
}

static sx_str body_param(const jaeger_v3 *q, const char *name)
{
    sx_json r;
    sx_str key, value = sx_str_of("", 0);
    sx_json_init(&r, q->body, &(sx_json_options){.arena = q->arena});
    if (sx_json_enter_object(&r))
        while (sx_json_next_key(&r, &key)) {
            if (sx_str_eq(key, SX_STR("query")))
                find_in_query(&r, name, &value);
            else
                sx_json_skip(&r);
        }
    return sx_json_finish(&r, NULL) == SX_OK ? value : sx_str_of("", 0);
}

static sx_status check_body(const jaeger_v3 *q, sx_error *err)
{
    sx_json r;
    if (q->body.len == 0)
        return SX_OK;
    sx_json_init(&r, q->body, &(sx_json_options){.arena = q->arena});
    sx_json_skip(&r);
    return sx_json_finish(&r, err);
}

static sx_str param(const jaeger_v3 *q, const char *name)
{
    sx_str value = q->body.len ? body_param(q, name) : sx_str_of("", 0);
    return value.len ? value : q->param(q->ctx, name);
}

/* ---- single parameters ---- */

sx_str jaeger_v3_param(const jaeger_v3 *q, const char *canonical, const char *older,
                       const char **name)
{
    sx_str value = param(q, canonical);
    *name = canonical;
    if (value.len == 0 && older) {
        value = param(q, older);
        *name = older;
    }
    return value;
}

sx_status jaeger_v3_time(const jaeger_v3 *q, const char *canonical, const char *older,
                         jaeger_moment *out, sx_error *err)
{
    const char *name;
    int64_t ns;
    sx_error why = {0};
    sx_str text = jaeger_v3_param(q, canonical, older, &name);
    *out = (jaeger_moment){0};
    if (text.len == 0)
        return SX_OK;
    if (jaeger_time_read(text, &ns, &why) != SX_OK)
        return malformed(name, &why, err);
    *out = (jaeger_moment){ns > 0 ? (uint64_t)ns : 0, true};
    return SX_OK;
}

sx_status jaeger_v3_bool(const jaeger_v3 *q, const char *canonical, const char *older, bool *out,
                         sx_error *err)
{
    const char *name;
    sx_str text = jaeger_v3_param(q, canonical, older, &name);
    *out = false;
    if (text.len == 0 || jaeger_bool(text, out))
        return SX_OK;
    return sx_fail(err, SX_EINVAL,
                   "malformed parameter %s: strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                   name, SX_ARG(text));
}

static sx_status read_duration(const jaeger_v3 *q, const char *canonical, const char *older,
                               uint64_t *out, sx_error *err)
{
    const char *name;
    int64_t ns;
    sx_error why = {0};
    sx_str text = jaeger_v3_param(q, canonical, older, &name);
    *out = 0;
    if (text.len == 0)
        return SX_OK;
    if (go_duration_read(text, &ns, &why) != SX_OK)
        return malformed(name, &why, err);
    *out = ns > 0 ? (uint64_t)ns : 0;
    return SX_OK;
}

static sx_status read_depth(const jaeger_v3 *q, size_t *out, sx_error *err)
{
    const char *name;
    int64_t depth = SEARCH_DEPTH;
    sx_str text = jaeger_v3_param(q, "query.searchDepth", "query.search_depth", &name);
    if (text.len == 0)
        text = jaeger_v3_param(q, "query.num_traces", NULL, &name);
    if (text.len && !jaeger_int(text, &depth))
        return sx_fail(err, SX_EINVAL,
                       "malformed parameter %s: strconv.Atoi: parsing \"%.*s\": invalid syntax",
                       name, SX_ARG(text));
    *out = depth > 0 ? (size_t)depth : SEARCH_DEPTH;
    return SX_OK;
}

static sx_status read_times(const jaeger_v3 *q, jaeger_question *out, sx_error *err)
{
    static const char *const MIN[] = {"query.startTimeMin", "query.start_time_min"};
    static const char *const MAX[] = {"query.startTimeMax", "query.start_time_max"};
    const char *name;
    if (jaeger_v3_param(q, MIN[0], MIN[1], &name).len == 0 ||
        jaeger_v3_param(q, MAX[0], MAX[1], &name).len == 0)
        return sx_fail(err, SX_EINVAL, "%s and %s are required", MIN[0], MAX[0]);
    sx_status status = jaeger_v3_time(q, MIN[0], MIN[1], &out->min, err);
    if (status == SX_OK)
        status = jaeger_v3_time(q, MAX[0], MAX[1], &out->max, err);
    if (status == SX_OK && out->min.ns >= out->max.ns)
        status = sx_fail(err, SX_EINVAL, "%s must be before %s", MIN[0], MAX[0]);
    out->search.min_ns = out->min.ns;
    out->search.max_ns = out->max.ns;
    return status;
}

/* ---- attributes and filter ---- */

/* {"http.status_code":"200"}: all values are text. */
static sx_status read_attributes(const jaeger_v3 *q, jaeger_question *out, sx_error *err)
{
    const char *name;
    sx_json r;
    sx_str key;
    sx_error why = {0};
    size_t cap = 0;
    jaeger_tag *tags = NULL;
    sx_str text = jaeger_v3_param(q, "query.attributes", NULL, &name);
    if (text.len == 0)
        return SX_OK;
    sx_json_init(&r, text, &(sx_json_options){.arena = q->arena});
    if (!sx_json_take_null(&r) && sx_json_enter_object(&r))
        while (sx_json_next_key(&r, &key)) {
            size_t count = out->search.tag_count;
            if (count == TAGS_MAX)
                return sx_fail(err, SX_EINVAL, "%s has more than %d members", name, TAGS_MAX);
            if (!sx_arena_grow(q->arena, &tags, &cap, count + 1, sizeof(*tags)))
                return sx_fail_memory(err, "attributes");
            tags[count] = (jaeger_tag){.key = key, .value = SX_STR_INIT("")};
            if (!sx_json_read_str(&r, &tags[count].value))
                break;
            out->search.tag_count++;
        }
    out->search.tags = tags;
    return sx_json_finish(&r, &why) == SX_OK ? SX_OK : malformed(name, &why, err);
}

static sx_status read_filter(const jaeger_v3 *q, jaeger_question *out, sx_error *err)
{
    const char *name;
    sx_buf message;
    sx_error why = {0};
    sx_str text = jaeger_v3_param(q, "query.filter", NULL, &name);
    if (text.len == 0)
        return SX_OK;
    sx_buf_init(&message, 0);
    sx_status status = jaeger_filter_from_json(text, q->arena, &message, &why);
    if (status != SX_OK) {
        status = malformed(name, &why, err);
    } else {
        out->filter = sx_arena_copy(q->arena, sx_buf_view(&message));
        if (!out->filter.data)
            status = sx_fail_memory(err, "a filter");
        else if (out->filter.len == 0)
            status = sx_fail(err, SX_EINVAL, "malformed parameter %s: it holds no operator", name);
    }
    sx_buf_done(&message);
    return status;
}

sx_status jaeger_v3_question(jaeger_v3 *q, jaeger_question *out, sx_error *err)
{
    const char *name;
    *out = (jaeger_question){.asked = true};
    sx_status status = check_body(q, err);
    if (status != SX_OK)
        return SX_EINVAL;
    out->search.service = jaeger_v3_param(q, "query.serviceName", "query.service_name", &name);
    out->search.operation =
        jaeger_v3_param(q, "query.operationName", "query.operation_name", &name);
    status = read_attributes(q, out, err);
    if (status == SX_OK)
        status = read_filter(q, out, err);
    if (status == SX_OK)
        status = read_times(q, out, err);
    if (status == SX_OK)
        status = read_depth(q, &out->search.limit, err);
    if (status == SX_OK)
        status = read_duration(q, "query.durationMin", "query.duration_min",
                               &out->search.min_duration_ns, err);
    if (status == SX_OK)
        status = read_duration(q, "query.durationMax", "query.duration_max",
                               &out->search.max_duration_ns, err);
    if (status == SX_OK)
        status = jaeger_v3_bool(q, "query.rawTraces", "query.raw_traces", &out->raw, err);
    return status;
}
