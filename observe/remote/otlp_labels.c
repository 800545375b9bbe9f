/* otlp_labels.c - the labels of a data point: its attributes, its resource's and its scope's.
 *
 * They are made once for a series: after that it is known by a hash of what they would be made of.
 * Source: OpenTelemetry, compatibility/prometheus_and_openmetrics.md; what collides is joined as
 * Prometheus does. */
#include <math.h>
#include <stdlib.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "codec/base64.h"
#include "observe/remote/otlp.h"

/* --- Attribute values as text: as Go's JSON writes them, strings bare at the top. */

static void put_double(sx_buf *out, double v)
{
    char text[SX_DOUBLE_BYTES];
    if (v == 0 && signbit(v)) {
        sx_buf_str(out, SX_STR("-0"));
        return;
    }
    sx_double_format(v, isfinite(v) ? SX_DOUBLE_JS : SX_DOUBLE_GO, text);
    if (!isfinite(v))
        sx_buf_str(out, SX_STR("json: unsupported value: "));
    sx_buf_str(out, sx_str_z(text));
}

static void put_json_string(sx_buf *out, sx_str s)
{
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < s.len;) {
        uint32_t code = 0;
        size_t len = sx_utf8_decode(sx_str_from(s, i), &code);
        if (len == 0) {
            sx_buf_str(out, SX_STR("\\ufffd"));
            len = 1;
        } else if (code == '"' || code == '\\') {
            sx_buf_printf(out, "\\%c", (char)code);
        } else if (code == '\n' || code == '\r' || code == '\t' || code == '\b' || code == '\f') {
            sx_buf_printf(out, "\\%c",
                          code == '\n'   ? 'n'
                          : code == '\r' ? 'r'
                          : code == '\t' ? 't'
                          : code == '\b' ? 'b'
                                         : 'f');
        } else if (code < 0x20 || code == 0x2028 || code == 0x2029) {
            sx_buf_printf(out, "\\u%04x", code);
        } else {
            sx_buf_bytes(out, s.data + i, len);
        }
        i += len;
    }
    sx_buf_byte(out, '"');
}

static void put_value(sx_buf *out, sx_pb_reader *r, bool nested);

static void put_array(sx_buf *out, sx_pb_reader *r)
{
    bool any = false;
    sx_buf_byte(out, '[');
    while (sx_pb_next(r)) {
        if (r->tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(r);
            continue;
        }
        if (any)
            sx_buf_byte(out, ',');
        any = true;
        put_value(out, r, true);
    }
    sx_buf_byte(out, ']');
}

typedef struct map_entry {
    sx_str key, value; /* value: a KeyValue message */
} map_entry;

static int compare_entries(const void *a, const void *b)
{
    return sx_str_cmp(((const map_entry *)a)->key, ((const map_entry *)b)->key);
}

static sx_str key_of(sx_str message)
{
    sx_pb_reader r;
    sx_str key = SX_STR("");
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(1, SX_PB_BYTES))
            key = sx_pb_bytes(&r);
        else
            sx_pb_skip(&r);
    }
    return key;
}

/* The value of a KeyValue message. */
static void put_pair_value(sx_buf *out, sx_str message, uint16_t depth_left, bool nested)
{
    sx_pb_reader r;
    size_t before = out->len;
    sx_pb_init(&r, message);
    r.depth_left = depth_left;
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(2, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        out->len = before; /* the last one counts */
        put_value(out, &r, nested);
    }
    if (nested && out->len == before)
        sx_buf_str(out, SX_STR("null"));
}

/* Members by their keys, as Go writes maps; of a key given twice the last. */
static void put_map(sx_buf *out, sx_pb_reader *r)
{
    map_entry *items = NULL;
    size_t count = 0, cap = 0;
    while (sx_pb_next(r)) {
        if (r->tag != SX_PB_TAG(1, SX_PB_BYTES)) {
            sx_pb_skip(r);
            continue;
        }
        sx_str message = sx_pb_bytes(r);
        if (!sx_grow(&items, &cap, count + 1, sizeof *items)) {
            out->failed = true;
            break;
        }
        items[count++] = (map_entry){key_of(message), message};
    }
    if (count > 1)
        qsort(items, count, sizeof *items, compare_entries);
    sx_buf_byte(out, '{');
    for (size_t i = 0; i < count && r->depth_left > 1; i++) {
        if (i)
            sx_buf_byte(out, ',');
        put_json_string(out, items[i].key);
        sx_buf_byte(out, ':');
        put_pair_value(out, items[i].value, (uint16_t)(r->depth_left - 1), true);
    }
    sx_buf_byte(out, '}');
    sx_free(items);
}

/* The AnyValue that is the reader's current field. */
static void put_value(sx_buf *out, sx_pb_reader *r, bool nested)
{
    size_t before = out->len;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        out->len = before; /* the last one counts */
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            if (nested)
                put_json_string(out, sx_pb_bytes(r));
            else
                sx_buf_str(out, sx_pb_bytes(r));
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            sx_buf_str(out, sx_pb_bool(r) ? SX_STR("true") : SX_STR("false"));
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            sx_buf_i64(out, sx_pb_i64(r));
            break;
        case SX_PB_TAG(4, SX_PB_FIXED64):
            put_double(out, sx_pb_double(r));
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
        case SX_PB_TAG(6, SX_PB_BYTES): {
            bool array = sx_pb_field(r) == 5;
            sx_pb_outer inner = sx_pb_enter(r);
            if (array)
                put_array(out, r);
            else
                put_map(out, r);
            sx_pb_leave(r, inner);
            break;
        }
        case SX_PB_TAG(7, SX_PB_BYTES):
            if (nested)
                sx_buf_byte(out, '"');
            sx_base64_encode(sx_pb_bytes(r), out);
            if (nested)
                sx_buf_byte(out, '"');
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (nested && out->len == before)
        sx_buf_str(out, SX_STR("null"));
}

/* Most values are strings, which need no copy. */
static bool string_value(sx_str message, tsdb_label *out)
{
    sx_pb_reader r;
    sx_pb_init(&r, message);
    if (!sx_pb_next(&r) || r.tag != SX_PB_TAG(1, SX_PB_BYTES))
        return false;
    out->name = sx_pb_bytes(&r);
    if (!sx_pb_next(&r) || r.tag != SX_PB_TAG(2, SX_PB_BYTES))
        return false;
    sx_pb_enter(&r);
    if (!sx_pb_next(&r) || r.tag != SX_PB_TAG(1, SX_PB_BYTES))
        return false;
    out->value = sx_pb_bytes(&r);
    const uint8_t *end = (const uint8_t *)message.data + message.len;
    return r.fault == SX_PB_FINE && r.at == end;
}

sx_status otlp_read_pair(sx_arena *arena, sx_str message, tsdb_label *out, sx_error *err)
{
    if (string_value(message, out))
        return SX_OK;
    sx_buf text;
    sx_buf_init(&text, 0);
    out->name = key_of(message);
    put_pair_value(&text, message, SX_PB_DEPTH_MAX, false);
    sx_status status = sx_buf_status(&text, "an attribute", err);
    if (status == SX_OK) {
        out->value = sx_arena_copy(arena, sx_buf_view(&text));
        if (!out->value.data)
            status = sx_fail_memory(err, "an attribute");
    }
    sx_buf_done(&text);
    return status;
}

/* --- Labels of a point, or of target_info. */

static int compare_labels(const void *a, const void *b)
{
    return sx_str_cmp(((const tsdb_label *)a)->name, ((const tsdb_label *)b)->name);
}

static bool is_identifying(sx_str name)
{
    return sx_str_eq(name, SX_STR("service.name")) ||
           sx_str_eq(name, SX_STR("service.namespace")) ||
           sx_str_eq(name, SX_STR("service.instance.id"));
}

/* Reads the attributes, sorted by their keys, so that what collides is always joined in one order. */
static sx_status sort_attributes(remote_writer *w, const otlp_list *from, bool target,
                                 size_t *count, sx_error *err)
{
    otlp_state *s = w->otlp;
    *count = 0;
    if (!sx_grow(&s->sorted, &s->sorted_cap, from->count + 1, sizeof *s->sorted))
        return sx_fail_memory(err, "attributes");
    for (size_t i = 0; i < from->count; i++) {
        tsdb_label *l = &s->sorted[*count];
        sx_status status = otlp_read_pair(&w->arena, from->items[i], l, err);
        if (status != SX_OK)
            return status;
        bool leave_out = target ? !s->config->keep_identifying && is_identifying(l->name)
                                : sx_str_eq(l->name, TSDB_METRIC_NAME);
        *count += !leave_out;
    }
    if (*count > 1)
        qsort(s->sorted, *count, sizeof *s->sorted, compare_labels);
    return SX_OK;
}

static sx_status put_attributes(remote_writer *w, size_t count, sx_error *err)
{
    otlp_state *s = w->otlp;
    for (size_t i = 0; i < count; i++) {
        sx_str name;
        tsdb_label *l = &s->sorted[i];
        bool utf8 =
            s->config->strategy == PROM_OTLP_UTF8_SUFFIXES || s->config->strategy == PROM_OTLP_NONE;
        sx_status status = SX_OK;
        if (utf8)
            name = l->name;
        else
            status = otlp_label_name(s->config, &w->arena, l->name, &name, err);
        if (status != SX_OK)
            return status;
        sx_str value = l->value, before = tsdb_labels_builder_get(&s->builder, name);
        if (before.len && !utf8) {
            s->out->warnings++;
            value = sx_arena_printf(&w->arena, "%.*s;%.*s", SX_ARG(before), SX_ARG(value));
            if (!value.data)
                return sx_fail_memory(err, "an attribute");
        }
        status = tsdb_labels_builder_set(&s->builder, name, value, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

static sx_status put_context(otlp_state *s, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < s->promoted.count && s->part != OTLP_PART_TARGET && status == SX_OK; i++)
        if (tsdb_labels_builder_get(&s->builder, s->promoted.labels[i].name).len == 0)
            status = tsdb_labels_builder_set(&s->builder, s->promoted.labels[i].name,
                                             s->promoted.labels[i].value, err);
    if (status == SX_OK && s->job.len)
        status = tsdb_labels_builder_set(&s->builder, SX_STR("job"), s->job, err);
    if (status == SX_OK && s->instance.len)
        status = tsdb_labels_builder_set(&s->builder, SX_STR("instance"), s->instance, err);
    for (size_t i = 0; i < s->scope.count && s->part != OTLP_PART_TARGET && status == SX_OK; i++)
        status = tsdb_labels_builder_set(&s->builder, s->scope.labels[i].name,
                                         s->scope.labels[i].value, err);
    return status;
}

/* The feature type-and-unit-labels. */
static sx_status put_type_and_unit(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    sx_str type = otlp_type(s), unit = otlp_unit_name(&w->arena, s->unit);
    if (!w->limits.otlp_type_unit_labels || s->part == OTLP_PART_TARGET)
        return SX_OK;
    if (!unit.data)
        return sx_fail_memory(err, "a unit");
    sx_status status = SX_OK;
    if (!sx_str_eq(type, SX_STR("unknown")))
        status = tsdb_labels_builder_set(&s->builder, SX_STR("__type__"), type, err);
    return status == SX_OK && unit.len
               ? tsdb_labels_builder_set(&s->builder, SX_STR("__unit__"), unit, err)
               : status;
}

static sx_status put_name(remote_writer *w, sx_error *err)
{
    static const sx_str SUFFIXES[] = {
        [OTLP_PART_ITSELF] = SX_STR_INIT(""),      [OTLP_PART_SUM] = SX_STR_INIT("_sum"),
        [OTLP_PART_COUNT] = SX_STR_INIT("_count"), [OTLP_PART_BUCKET] = SX_STR_INIT("_bucket"),
        [OTLP_PART_QUANTILE] = SX_STR_INIT(""),    [OTLP_PART_TARGET] = SX_STR_INIT(""),
    };
    otlp_state *s = w->otlp;
    sx_str suffix = SUFFIXES[s->part];
    sx_str name = s->part == OTLP_PART_TARGET
                      ? SX_STR("target_info")
                      : sx_arena_printf(&w->arena, "%.*s%.*s", SX_ARG(s->family), SX_ARG(suffix));
    if (!name.data)
        return sx_fail_memory(err, "a metric's name");
    sx_status status = SX_OK;
    if (s->part == OTLP_PART_BUCKET || s->part == OTLP_PART_QUANTILE) {
        char text[SX_DOUBLE_FIXED_BYTES];
        size_t len = sx_double_plain(s->bound, text);
        sx_str bound = sx_arena_copy(&w->arena, sx_str_of(text, len));
        status = !bound.data ? sx_fail_memory(err, "a bucket's bound")
                             : tsdb_labels_builder_set(
                                   &s->builder,
                                   s->part == OTLP_PART_BUCKET ? SX_STR("le") : SX_STR("quantile"),
                                   bound, err);
    }
    return status == SX_OK ? tsdb_labels_builder_set(&s->builder, TSDB_METRIC_NAME, name, err)
                           : status;
}

/* Makes w->labels of the point's part: also when a message names the series. */
static sx_status read_labels(remote_writer *w, sx_str raw, sx_error *err)
{
    otlp_state *s = w->otlp;
    size_t count;
    bool target = s->part == OTLP_PART_TARGET;
    (void)raw;
    sx_status status = tsdb_labels_builder_reset(&s->builder, (tsdb_labels){0}, err);
    if (status == SX_OK)
        status =
            sort_attributes(w, target ? &s->resource : &s->point.attributes, target, &count, err);
    if (status == SX_OK)
        status = put_attributes(w, count, err);
    if (status == SX_OK)
        status = put_context(s, err);
    if (status == SX_OK)
        status = put_type_and_unit(w, err);
    if (status == SX_OK)
        status = put_name(w, err);
    if (status != SX_OK)
        return status;
    tsdb_labels made = tsdb_labels_builder_take(&s->builder);
    w->label_count = 0;
    for (uint32_t i = 0; i < made.count; i++)
        if (!remote_label(w, made.items[i].name, made.items[i].value))
            return sx_fail_memory(err, "a series' labels");
    return SX_OK;
}

sx_status otlp_find_series(remote_writer *w, otlp_part part, double bound, bool *known,
                           sx_error *err)
{
    enum {
        KEY_BYTES = 7
    }; /* tells our keys from those of remote write, whose number is even or long */
    otlp_state *s = w->otlp;
    s->part = part;
    s->bound = bound;
    uint64_t key[7] = {s->config_hash,
                       s->resource_hash,
                       s->scope.hash,
                       part == OTLP_PART_TARGET ? 0 : s->metric_hash,
                       part,
                       part == OTLP_PART_TARGET ? 0 : s->point.attributes_hash,
                       0};
    memcpy(&key[6], &bound, sizeof bound);
    if (part == OTLP_PART_TARGET)
        key[2] = 0;
    remote_series *series = &w->series;
    series->read_labels = read_labels;
    series->raw = sx_str_of(NULL, 0);
    series->key_bytes = KEY_BYTES;
    series->hash = sx_hash_bytes(key, sizeof key, w->seed);
    *known = true;
    series_entry *e = series_cache_guess(&w->cache);
    if (sx_unlikely(!e || e->hash != series->hash || e->key_bytes != KEY_BYTES))
        e = series_cache_find(&w->cache, series->hash, KEY_BYTES);
    if (sx_likely(e != NULL)) {
        series->ref = e->ref;
        series_cache_use(&w->cache, e);
        return SX_OK;
    }
    *known = false;
    sx_error bad;
    sx_status status = read_labels(w, series->raw, &bad);
    if (status == SX_EINVAL) {
        otlp_reject(w, 1, "%s", bad.message);
        return SX_OK;
    }
    if (status != SX_OK)
        return sx_fail(err, status, "%s", bad.message);
    status = remote_resolve(w, known, err);
    if (status == SX_OK && *known)
        remote_remember(w);
    else if (status == SX_OK)
        s->out->rejected++;
    return status;
}

/* --- Resource and scope. */

/* Of names that became the same the last one counts. */
static sx_status add_context(remote_writer *w, otlp_context *c, sx_str name, sx_str value,
                             sx_error *err)
{
    for (size_t i = 0; i < c->count; i++)
        if (sx_str_eq(c->labels[i].name, name)) {
            c->labels[i].value = value;
            return SX_OK;
        }
    if (!sx_arena_grow(&w->arena, &c->labels, &c->cap, c->count + 1, sizeof *c->labels))
        return sx_fail_memory(err, "labels of a resource");
    c->labels[c->count++] = (tsdb_label){name, value};
    return SX_OK;
}

static bool listed(const sx_str *names, uint32_t count, sx_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (sx_str_eq(names[i], name))
            return true;
    return false;
}

sx_status otlp_resource_labels(remote_writer *w, sx_error *err)
{
    otlp_state *s = w->otlp;
    const prom_otlp_config *config = s->config;
    sx_str name = SX_STR(""), space = SX_STR("");
    bool has_space = false, has_name = false;
    s->job = s->instance = SX_STR("");
    s->promoted = (otlp_context){0};
    for (size_t i = 0; i < s->resource.count; i++) {
        tsdb_label l;
        sx_status status = otlp_read_pair(&w->arena, s->resource.items[i], &l, err);
        if (status != SX_OK)
            return status;
        if (sx_str_eq(l.name, SX_STR("service.name"))) {
            name = l.value;
            has_name = true;
        } else if (sx_str_eq(l.name, SX_STR("service.namespace"))) {
            space = l.value;
            has_space = true;
        } else if (sx_str_eq(l.name, SX_STR("service.instance.id"))) {
            s->instance = l.value;
        }
        bool promote = config->promote_all ? !listed(config->ignore, config->ignore_count, l.name)
                                           : listed(config->promote, config->promote_count, l.name);
        sx_str label;
        if (!promote)
            continue;
        status = otlp_label_name(config, &w->arena, l.name, &label, err);
        if (status == SX_OK)
            status = add_context(w, &s->promoted, label, l.value, err);
        if (status != SX_OK)
            return status;
    }
    s->job = name;
    if (has_space && has_name) {
        s->job = sx_arena_printf(&w->arena, "%.*s/%.*s", SX_ARG(space), SX_ARG(name));
        if (!s->job.data)
            return sx_fail_memory(err, "labels of a resource");
    }
    return SX_OK;
}

/* Adds the attributes of an InstrumentationScope message as otel_scope_NAME. */
static sx_status scope_attributes(remote_writer *w, sx_str scope, sx_error *err)
{
    otlp_state *s = w->otlp;
    sx_pb_reader r;
    sx_pb_init(&r, scope);
    while (sx_pb_next(&r)) {
        tsdb_label l;
        sx_str name;
        if (r.tag != SX_PB_TAG(3, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        sx_status status = otlp_read_pair(&w->arena, sx_pb_bytes(&r), &l, err);
        if (status != SX_OK)
            return status;
        l.name = sx_arena_printf(&w->arena, "otel_scope_%.*s", SX_ARG(l.name));
        status = !l.name.data ? sx_fail_memory(err, "labels of a scope")
                              : otlp_label_name(s->config, &w->arena, l.name, &name, err);
        if (status == SX_OK)
            status = add_context(w, &s->scope, name, l.value, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

sx_status otlp_scope_labels(remote_writer *w, sx_str scope, sx_str schema_url, sx_error *err)
{
    otlp_state *s = w->otlp;
    sx_str name = SX_STR(""), version = SX_STR("");
    sx_pb_reader r;
    s->scope = (otlp_context){0};
    if (!s->config->promote_scope)
        return SX_OK;
    sx_pb_init(&r, scope);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            name = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            version = sx_pb_bytes(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    if (name.len == 0)
        return SX_OK;
    s->scope.hash = sx_hash(schema_url, sx_hash(scope, w->seed)) | 1;
    sx_status status = scope_attributes(w, scope, err);
    if (status == SX_OK)
        status = add_context(w, &s->scope, SX_STR("otel_scope_name"), name, err);
    if (status == SX_OK)
        status = add_context(w, &s->scope, SX_STR("otel_scope_version"), version, err);
    if (status == SX_OK)
        status = add_context(w, &s->scope, SX_STR("otel_scope_schema_url"), schema_url, err);
    return status;
}
