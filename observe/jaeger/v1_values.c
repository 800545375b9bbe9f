/* v1_values.c - single parameters of the HTTP API v1, in Go's words. */
#include "observe/jaeger/v1_values.h"

#include "codec/go_text.h"
#include "observe/jaeger/proto_words.h"

sx_str jaeger_param_get(const jaeger_params *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (sx_str_eq(p->items[i].name, sx_str_z(name)))
            return p->items[i].value;
    return sx_str_of("", 0);
}

sx_status jaeger_param_all(const jaeger_params *p, const char *name, sx_arena *arena, sx_str **out,
                           size_t *count, sx_error *err)
{
    *count = 0;
    *out = sx_arena_calloc(arena, p->count + 1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "parameters");
    for (size_t i = 0; i < p->count; i++)
        if (sx_str_eq(p->items[i].name, sx_str_z(name)))
            (*out)[(*count)++] = p->items[i].value;
    return SX_OK;
}

bool jaeger_v1_pretty(const jaeger_params *p)
{
    sx_str value = jaeger_param_get(p, "prettyPrint");
    return value.len && !sx_str_eq(value, SX_STR("false"));
}

sx_status v1_fail_param(const char *name, sx_error *err)
{
    sx_error inner = *err;
    return sx_fail(err, SX_EINVAL, "unable to parse param '%s': %s", name, inner.message);
}

sx_status v1_int(sx_str text, int bits, int64_t *out, sx_error *err)
{
    sx_str digits = text;
    bool minus = text.len && text.data[0] == '-';
    uint64_t value = 0, most = (UINT64_C(1) << (bits - 1)) - !minus;
    bool range = false;
    if (text.len && (minus || text.data[0] == '+'))
        digits = sx_str_of(text.data + 1, text.len - 1);
    bool good = digits.len > 0;
    for (size_t i = 0; i < digits.len && good; i++) {
        good = digits.data[i] >= '0' && digits.data[i] <= '9';
        unsigned digit = (unsigned)(digits.data[i] - '0');
        range |= good && value > (most - (good ? digit : 0)) / 10;
        if (!range)
            value = value * 10 + digit;
    }
    if (good && !range) {
        *out = minus ? (int64_t)(0 - value) : (int64_t)value;
        return SX_OK;
    }
    sx_buf quoted;
    sx_buf_init(&quoted, 1024);
    go_quote(text, &quoted);
    sx_status status =
        sx_fail(err, SX_EINVAL, "strconv.ParseInt: parsing %.*s: %s", SX_ARG(sx_buf_view(&quoted)),
                good ? "value out of range" : "invalid syntax");
    sx_buf_done(&quoted);
    return status;
}

sx_status v1_bool(const jaeger_params *p, const char *name, bool *out, sx_error *err)
{
    sx_str text = jaeger_param_get(p, name);
    *out = false;
    if (text.len == 0 || jaeger_bool(text, out))
        return SX_OK;
    sx_buf quoted;
    sx_buf_init(&quoted, 1024);
    go_quote(text, &quoted);
    (void)sx_fail(err, SX_EINVAL, "strconv.ParseBool: parsing %.*s: invalid syntax",
                  SX_ARG(sx_buf_view(&quoted)));
    sx_buf_done(&quoted);
    return v1_fail_param(name, err);
}

sx_status v1_time(const jaeger_params *p, const char *name, uint64_t unit, uint64_t *ns,
                  bool *given, sx_error *err)
{
    int64_t value;
    sx_str text = jaeger_param_get(p, name);
    *given = text.len > 0;
    if (!*given)
        return SX_OK;
    if (v1_int(text, 64, &value, err) != SX_OK)
        return v1_fail_param(name, err);
    *ns = value <= 0                            ? 1
          : (uint64_t)value > UINT64_MAX / unit ? UINT64_MAX
                                                : (uint64_t)value * unit;
    return SX_OK;
}

sx_status v1_ms(const jaeger_params *p, const char *name, int64_t fallback, int64_t *out,
                sx_error *err)
{
    sx_str text = jaeger_param_get(p, name);
    *out = fallback;
    if (text.len && v1_int(text, 64, out, err) != SX_OK)
        return v1_fail_param(name, err);
    return SX_OK;
}

sx_status v1_duration(const jaeger_params *p, const char *name, int64_t *ns, sx_error *err)
{
    sx_str text = jaeger_param_get(p, name);
    *ns = 0;
    if (text.len && go_duration_read(text, ns, err) != SX_OK)
        return v1_fail_param(name, err);
    return SX_OK;
}
