/* sampling_file.c - Jaeger's file of sampling strategies.
 *
 *     {"default_strategy": {"type": "probabilistic", "param": 0.5,
 *                           "operation_strategies": [{"operation": "op1", "type": "probabilistic",
 *                                                     "param": 0.2}]},
 *      "service_strategies": [{"service": "foo", "type": "ratelimiting", "param": 5}]}
 *
 * Operations of the default strategy hold for services, too, where these do not say otherwise. An
 * operation can only be sampled by probability: a limit is left out with a warning, as in Jaeger. */
#include <sextant/json.h>
#include <sextant/mem.h>

#include "observe/collector/sampling_impl.h"

enum { OPERATIONS_MAX = 100000 };

/* A strategy as it is written. */
typedef struct written {
    sx_str name, type; /* of the service or operation */
    double param;
    struct written *operations; /* vector */
    size_t count, cap;
} written;

typedef struct reader {
    sx_json json;
    sampling_file *file;
    double default_rate;
    sx_buf *warnings;
    written fallback;
    bool has_fallback, no_memory;
    written *services;
    size_t count, cap;
} reader;

static sx_str keep(reader *r, sx_str s)
{
    sx_str own = sx_arena_copy(&r->file->arena, s);
    r->no_memory |= !own.data;
    return own;
}

static bool read_text(reader *r, sx_str *out)
{
    sx_str text;
    if (sx_json_take_null(&r->json) || !sx_json_read_str(&r->json, &text))
        return false;
    *out = keep(r, text);
    return true;
}

static void read_type(reader *r, written *w)
{
    if (!read_text(r, &w->type) || !w->type.len || sx_str_eq(w->type, SX_STR("probabilistic")) ||
        sx_str_eq(w->type, SX_STR("ratelimiting")))
        return;
    sx_json_fail(&r->json, SX_EFORMAT, "a strategy is probabilistic or ratelimiting, not '%.*s'",
                 SX_ARG(w->type));
}

static void read_strategy(reader *r, written *w, const char *name, bool nested);

static written *more(reader *r, written **items, size_t *count, size_t *cap)
{
    if (*count >= OPERATIONS_MAX) {
        sx_json_fail(&r->json, SX_ELIMIT, "more than %d strategies", OPERATIONS_MAX);
        return NULL;
    }
    if (!sx_arena_grow(&r->file->arena, items, cap, *count + 1, sizeof(**items))) {
        r->no_memory = true;
        return NULL;
    }
    written *w = &(*items)[(*count)++];
    *w = (written){0};
    return w;
}

static void read_operations(reader *r, written *w)
{
    if (sx_json_take_null(&r->json) || !sx_json_enter_array(&r->json))
        return;
    while (!r->no_memory && sx_json_next_item(&r->json)) {
        written *one = more(r, &w->operations, &w->count, &w->cap);
        if (one)
            read_strategy(r, one, "operation", false);
    }
}

static void check_param(reader *r, const written *w)
{
    bool limiting = sx_str_eq(w->type, SX_STR("ratelimiting"));
    if (limiting && !(w->param >= 0 && w->param <= INT32_MAX))
        sx_json_fail(&r->json, SX_EFORMAT, "a limit of %g traces a second; give 0 to %d", w->param,
                     INT32_MAX);
    else if (!limiting && !(w->param >= 0 && w->param <= 1))
        sx_json_fail(&r->json, SX_EFORMAT, "a probability of %g; give 0 to 1", w->param);
}

static void read_strategy(reader *r, written *w, const char *name, bool nested)
{
    sx_str key;
    if (!sx_json_enter_object(&r->json))
        return;
    while (!r->no_memory && sx_json_next_key(&r->json, &key)) {
        if (sx_str_eq(key, SX_STR("type")))
            read_type(r, w);
        else if (sx_str_eq(key, SX_STR("param"))) {
            if (!sx_json_take_null(&r->json))
                sx_json_read_double(&r->json, &w->param);
        } else if (*name && sx_str_eq(key, sx_str_z(name)))
            read_text(r, &w->name);
        else if (nested && sx_str_eq(key, SX_STR("operation_strategies")))
            read_operations(r, w);
        else
            sx_json_skip(&r->json);
    }
    check_param(r, w);
}

static void read_all(reader *r)
{
    sx_str key;
    if (sx_json_take_null(&r->json) || !sx_json_enter_object(&r->json))
        return;
    while (!r->no_memory && sx_json_next_key(&r->json, &key)) {
        if (sx_str_eq(key, SX_STR("default_strategy")) && !sx_json_take_null(&r->json)) {
            r->has_fallback = true;
            r->fallback = (written){0};
            read_strategy(r, &r->fallback, "", true);
        } else if (sx_str_eq(key, SX_STR("service_strategies")) && !sx_json_take_null(&r->json)) {
            if (!sx_json_enter_array(&r->json))
                return;
            while (!r->no_memory && sx_json_next_item(&r->json)) {
                written *one = more(r, &r->services, &r->count, &r->cap);
                if (one)
                    read_strategy(r, one, "service", true);
            }
        } else {
            sx_json_skip(&r->json);
        }
    }
}

/* --- From what is written to what is answered. */

static sampling_strategy plain_of(const reader *r, const written *w)
{
    sampling_strategy s = {.plain = true, .rate = w->param};
    if (sx_str_eq(w->type, SX_STR("ratelimiting"))) {
        s.limiting = true;
        s.per_second = (int32_t)w->param;
    } else if (!w->type.len) {
        s.rate = r->default_rate;
    }
    return s;
}

static bool has_operation(const sampling_operation *all, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++)
        if (sx_str_eq(all[i].name, name))
            return true;
    return false;
}

/* The service's own operations, then those of the default that it does not have. */
static bool put_operations(reader *r, const written *w, const sampling_strategy *fallback,
                           sampling_strategy *s)
{
    size_t room = w->count + (fallback ? fallback->operation_count : 0), count = 0;
    sampling_operation *all = sx_arena_calloc(&r->file->arena, room + 1, sizeof(*all));
    if (!all)
        return false;
    for (size_t i = 0; i < w->count; i++) {
        sampling_strategy one = plain_of(r, &w->operations[i]);
        if (!one.limiting)
            all[count++] = (sampling_operation){w->operations[i].name, one.rate};
        else if (r->warnings)
            sx_buf_printf(r->warnings,
                          "operation '%.*s': only probabilistic sampling is possible; it takes "
                          "the probability of its service\n",
                          SX_ARG(w->operations[i].name));
    }
    size_t own = count;
    for (size_t i = 0; fallback && i < fallback->operation_count; i++)
        if (!has_operation(all, own, fallback->operations[i].name))
            all[count++] = fallback->operations[i];
    s->by_operation = true;
    s->operations = all;
    s->operation_count = count;
    return true;
}

static bool strategy_of(reader *r, const written *w, const sampling_strategy *fallback,
                        sampling_strategy *out)
{
    *out = plain_of(r, w);
    bool inherits = fallback && fallback->by_operation;
    if (!w->count && !inherits)
        return true;
    out->default_rate = !out->limiting ? out->rate
                        : w->count     ? r->default_rate
                                       : fallback->default_rate;
    return put_operations(r, w, inherits ? fallback : NULL, out);
}

static bool put_services(reader *r)
{
    sampling_file *f = r->file;
    written none = {0};
    if (!strategy_of(r, r->has_fallback ? &r->fallback : &none, NULL, &f->fallback))
        return false;
    for (size_t i = 0; i < r->count; i++) {
        sampling_strategy *s = sx_arena_calloc(&f->arena, 1, sizeof(*s));
        sx_map_entry *e = s ? sx_map_put(&f->services, r->services[i].name, NULL) : NULL;
        if (!e || !strategy_of(r, &r->services[i], &f->fallback, s))
            return false;
        e->ptr = s;
    }
    return true;
}

sx_status sampling_file_parse(sx_str text, double default_probability, sampling_file **out,
                              sx_buf *warnings, sx_error *err)
{
    reader r = {.default_rate = default_probability, .warnings = warnings};
    *out = NULL;
    sampling_file *f = r.file = sx_calloc(1, sizeof(*f));
    if (!f)
        return sx_fail_memory(err, "sampling strategies");
    sx_arena_init(&f->arena, 0, 64 << 20);
    sx_map_init(&f->services, &f->arena);
    sx_json_init(&r.json, text, &(sx_json_options){.arena = &f->arena});
    read_all(&r);
    sx_status st =
        r.no_memory ? sx_fail_memory(err, "sampling strategies") : sx_json_finish(&r.json, err);
    if (st == SX_OK && !put_services(&r))
        st = sx_fail_memory(err, "sampling strategies");
    if (st != SX_OK) {
        sampling_file_free(f);
        return st;
    }
    *out = f;
    return SX_OK;
}

sx_status sampling_check(sx_str text, sx_buf *warnings, sx_error *err)
{
    sampling_file *f = NULL;
    sx_status st = sampling_file_parse(text, 0, &f, warnings, err);
    sampling_file_free(f);
    return st;
}

void sampling_file_free(sampling_file *f)
{
    if (!f)
        return;
    sx_arena_done(&f->arena);
    sx_free(f);
}

const sampling_strategy *sampling_file_find(const sampling_file *f, sx_str service)
{
    const sampling_strategy *s = sx_map_get(&f->services, service);
    return s ? s : &f->fallback;
}
