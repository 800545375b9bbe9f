/* v1.c - the searches of the HTTP API v1. See v1.h. */
#include <sextant/json.h>

#include "codec/go_text.h"
#include "observe/jaeger/proto_words.h"
#include "observe/jaeger/ui.h"
#include "observe/jaeger/v1_values.h"

#define HOUR_NS         (UINT64_C(3600) * 1000000000)
#define DAY_NS          (24 * HOUR_NS)
#define LOOKBACK_NS     (48 * HOUR_NS) /* of a search without a start */
#define DEPENDENCIES_MS (24 * 3600000) /* of dependencies without a lookback */

/* --- Tags. A key that is there twice: the last one counts. */

static void put_tag(jaeger_tag *tags, size_t *count, sx_str key, sx_str value)
{
    size_t i = 0;
    while (i < *count && !sx_str_eq(tags[i].key, key))
        i++;
    tags[i] = (jaeger_tag){key, value};
    *count += i == *count;
}

static sx_status bad_json(sx_str text, const sx_error *inner, sx_error *err)
{
    sx_json r;
    sx_json_token t;
    sx_str start = sx_str_trim(text);
    static const char MALFORMED[] = "malformed 'tags' parameter, cannot unmarshal JSON: ";
    if (start.len && !strchr("{[\"-0123456789tfn", start.data[0]))
        return sx_fail(err, SX_EINVAL, "%sinvalid character '%c' looking for beginning of value",
                       MALFORMED, start.data[0]);
    sx_json_init(&r, text, &(sx_json_options){.partial = true});
    do
        t = sx_json_next(&r);
    while (t != SX_JSON_ERROR && t != SX_JSON_DONE && t != SX_JSON_MORE);
    return sx_fail(err, SX_EINVAL, "%s%s", MALFORMED,
                   t == SX_JSON_MORE ? "unexpected end of JSON input" : inner->message);
}

static sx_status bad_type(sx_json_token t, const char *wanted, sx_error *err)
{
    const char *is = t == SX_JSON_ARRAY    ? "array"
                     : t == SX_JSON_OBJECT ? "object"
                     : t == SX_JSON_NUMBER ? "number"
                     : t == SX_JSON_STRING ? "string"
                                           : "bool";
    return sx_fail(err, SX_EINVAL,
                   "malformed 'tags' parameter, cannot unmarshal JSON: json: cannot unmarshal %s "
                   "into Go value of type %s",
                   is, wanted);
}

static size_t count_keys(sx_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == ':';
    return n;
}

static sx_status read_json_tags(sx_str text, sx_arena *arena, jaeger_tag *tags, size_t *count,
                                sx_error *err)
{
    sx_json r;
    sx_error inner = {0};
    sx_str key, value;
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    (void)sx_json_skip(&r);
    if (sx_json_finish(&r, &inner) != SX_OK)
        return bad_json(text, &inner, err);
    sx_json_init(&r, text, &(sx_json_options){.arena = arena});
    sx_json_token t = sx_json_peek(&r);
    if (t == SX_JSON_NULL)
        return SX_OK;
    if (t != SX_JSON_OBJECT)
        return bad_type(t, "map[string]string", err);
    (void)sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        t = sx_json_peek(&r);
        value = sx_str_of("", 0);
        if (t == SX_JSON_NULL)
            (void)sx_json_skip(&r);
        else if (t != SX_JSON_STRING)
            return bad_type(t, "string", err);
        else
            (void)sx_json_read_str(&r, &value);
        if (sx_json_status(&r, NULL) == SX_OK)
            put_tag(tags, count, key, value);
    }
    return sx_json_finish(&r, err);
}

static sx_status read_tags(const jaeger_params *p, sx_arena *arena, jaeger_search *q, sx_error *err)
{
    enum { TAGS_MAX = 1000 };
    sx_str *simple, *json;
    size_t simple_count, json_count, cap = 1, count = 0;
    sx_status status = jaeger_param_all(p, "tag", arena, &simple, &simple_count, err);
    if (status == SX_OK)
        status = jaeger_param_all(p, "tags", arena, &json, &json_count, err);
    if (status != SX_OK)
        return status;
    cap += simple_count;
    for (size_t i = 0; i < json_count; i++)
        cap += count_keys(json[i]);
    if (cap > TAGS_MAX)
        return sx_fail(err, SX_EINVAL, "at most %d tags may be searched for at once", TAGS_MAX);
    jaeger_tag *tags = sx_arena_calloc(arena, cap, sizeof *tags);
    if (!tags)
        return sx_fail_memory(err, "tags");
    for (size_t i = 0; i < simple_count; i++) {
        sx_str key, value;
        if (!sx_str_cut(simple[i], ':', &key, &value))
            return sx_fail(err, SX_EINVAL,
                           "malformed 'tag' parameter, expecting key:value, received: %.*s",
                           SX_ARG(simple[i]));
        put_tag(tags, &count, key, value);
    }
    for (size_t i = 0; i < json_count && status == SX_OK; i++)
        status = read_json_tags(json[i], arena, tags, &count, err);
    q->tags = tags;
    q->tag_count = count;
    return status;
}

/* --- Searches. */

static sx_status read_span_of_time(const jaeger_params *p, uint64_t now_ns, jaeger_v1_search *out,
                                   sx_error *err)
{
    bool start, end;
    int64_t lookback;
    sx_error ignored = {0};
    jaeger_search *q = &out->search;
    q->max_ns = now_ns;
    sx_status status = v1_time(p, "start", 1000, &q->min_ns, &start, err);
    if (status == SX_OK)
        status = v1_time(p, "end", 1000, &q->max_ns, &end, err);
    if (status != SX_OK)
        return status;
    if (end && q->max_ns < UINT64_MAX - 999)
        q->max_ns += 999; /* the microsecond belongs to it */
    out->bounded = start || end;
    if (start)
        return SX_OK;
    /* The UI sends lookback=1h or 2d beside start; alone it stands for it. */
    uint64_t back = LOOKBACK_NS;
    sx_str text = jaeger_param_get(p, "lookback");
    if (text.len > 1 && text.data[text.len - 1] == 'd' &&
        v1_int(sx_str_of(text.data, text.len - 1), 32, &lookback, &ignored) == SX_OK &&
        lookback > 0)
        back = (uint64_t)lookback > UINT64_MAX / DAY_NS ? UINT64_MAX : (uint64_t)lookback * DAY_NS;
    else if (text.len && go_duration_read(text, &lookback, &ignored) == SX_OK && lookback > 0)
        back = (uint64_t)lookback;
    q->min_ns = now_ns > back ? now_ns - back : 1;
    return SX_OK;
}

static sx_status read_limit(const jaeger_params *p, jaeger_search *q, sx_error *err)
{
    int64_t limit;
    sx_str text = jaeger_param_get(p, "limit");
    if (text.len == 0)
        return SX_OK;
    sx_status status = v1_int(text, 32, &limit, err);
    if (status != SX_OK)
        return status;
    if (limit <= 0)
        return sx_fail(err, SX_EINVAL, "search depth must be greater than 0");
    q->limit = (size_t)limit;
    return SX_OK;
}

static sx_status read_durations(const jaeger_params *p, jaeger_v1_search *out, sx_error *err)
{
    int64_t min, max;
    sx_status status = v1_duration(p, "minDuration", &min, err);
    if (status == SX_OK)
        status = v1_duration(p, "maxDuration", &max, err);
    if (status != SX_OK)
        return status;
    out->search.min_duration_ns = min > 0 ? (uint64_t)min : 0;
    out->search.max_duration_ns = max > 0 ? (uint64_t)max : 0;
    out->nothing = max < 0;
    return SX_OK;
}

static sx_status read_trace_ids(const jaeger_params *p, sx_arena *arena, jaeger_v1_search *out,
                                sx_error *err)
{
    sx_str *texts;
    sx_status status = jaeger_param_all(p, "traceID", arena, &texts, &out->trace_id_count, err);
    if (status != SX_OK)
        return status;
    out->trace_ids = sx_arena_calloc(arena, out->trace_id_count + 1, sizeof *out->trace_ids);
    if (!out->trace_ids)
        return sx_fail_memory(err, "trace ids");
    for (size_t i = 0; i < out->trace_id_count; i++)
        if (jaeger_trace_id(texts[i], out->trace_ids[i], err) != SX_OK) {
            sx_error inner = *err;
            return sx_fail(err, SX_EINVAL, "cannot parse traceID param: %s", inner.message);
        }
    return SX_OK;
}

/* What the peer has not: maxClockSkew and page. */
static sx_status read_ours(const jaeger_params *p, jaeger_v1_search *out, sx_error *err)
{
    int64_t skew;
    sx_str page = jaeger_param_get(p, "page");
    sx_status status = v1_duration(p, "maxClockSkew", &skew, err);
    if (status != SX_OK)
        return status;
    out->skew_ns = skew > 0 ? (uint64_t)skew : 0;
    if (page.len == 0)
        return SX_OK;
    if (!jaeger_cursor_read(page, &out->after))
        return sx_fail(err, SX_EINVAL,
                       "unable to parse param 'page': it is no cursor; give nextPage of the answer "
                       "before");
    out->search.after = &out->after;
    return SX_OK;
}

sx_status jaeger_v1_search_read(const jaeger_params *p, uint64_t now_ns, sx_arena *arena,
                                jaeger_v1_search *out, sx_error *err)
{
    jaeger_search *q = &out->search;
    sx_str *services;
    *out = (jaeger_v1_search){0};
    q->operation = jaeger_param_get(p, "operation");
    sx_status status = jaeger_param_all(p, "service", arena, &services, &q->service_count, err);
    q->services = services;
    if (status == SX_OK)
        status = read_span_of_time(p, now_ns, out, err);
    if (status == SX_OK)
        status = read_tags(p, arena, q, err);
    if (status == SX_OK)
        status = read_limit(p, q, err);
    if (status == SX_OK)
        status = read_durations(p, out, err);
    if (status == SX_OK)
        status = read_trace_ids(p, arena, out, err);
    if (status == SX_OK)
        status = v1_bool(p, "raw", &out->raw, err);
    if (status == SX_OK)
        status = read_ours(p, out, err);
    if (status == SX_OK && q->min_duration_ns && q->max_duration_ns &&
        q->max_duration_ns < q->min_duration_ns)
        status = sx_fail(err, SX_EINVAL, "'maxDuration' should be greater than 'minDuration'");
    return status;
}

sx_status jaeger_v1_get_read(sx_str id, const jaeger_params *p, jaeger_v1_get *out, sx_error *err)
{
    bool given;
    int64_t skew = 0;
    *out = (jaeger_v1_get){0};
    sx_status status = jaeger_trace_id(id, out->trace_id, err);
    if (status == SX_OK)
        status = v1_time(p, "start", 1000, &out->min_ns, &given, err);
    if (status == SX_OK)
        status = v1_time(p, "end", 1000, &out->max_ns, &given, err);
    if (status == SX_OK && given && out->max_ns < UINT64_MAX - 999)
        out->max_ns += 999;
    if (status == SX_OK)
        status = v1_bool(p, "raw", &out->raw, err);
    if (status == SX_OK)
        status = v1_duration(p, "maxClockSkew", &skew, err);
    out->skew_ns = skew > 0 ? (uint64_t)skew : 0;
    return status;
}

sx_status jaeger_v1_range_read(const jaeger_params *p, uint64_t now_ns, uint64_t *min_ns,
                               uint64_t *max_ns, sx_error *err)
{
    bool given;
    int64_t lookback;
    *max_ns = now_ns;
    sx_status status = v1_time(p, "endTs", 1000000, max_ns, &given, err);
    if (status == SX_OK)
        status = v1_ms(p, "lookback", DEPENDENCIES_MS, &lookback, err);
    if (status != SX_OK)
        return status;
    uint64_t back = lookback <= 0                               ? 0
                    : (uint64_t)lookback > UINT64_MAX / 1000000 ? UINT64_MAX
                                                                : (uint64_t)lookback * 1000000;
    *min_ns = *max_ns > back ? *max_ns - back : 0;
    return SX_OK;
}
