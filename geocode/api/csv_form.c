/* csv_form.c - fields in, options out. */
#include "geocode/api/csv_form.h"

#include <sextant/http.h>
#include <sextant/utf8.h>

static sx_status add(geo_csv_form *form, sx_str name, sx_str value)
{
    if (!name.data || !value.data)
        return SX_ENOMEM;
    if (form->count == GEO_CSV_FIELDS_MAX ||
        name.len + value.len > GEO_CSV_FIELD_BYTES_MAX - form->bytes)
        return SX_ELIMIT;
    form->bytes += name.len + value.len;
    form->names[form->count] = name;
    form->values[form->count++] = value;
    return SX_OK;
}

/* A copy in the arena, each byte that is no part of valid UTF-8 as U+FFFD. */
static sx_str mended(sx_arena *arena, sx_str in)
{
    if (sx_utf8_valid(in))
        return sx_arena_copy(arena, in);
    char *out = sx_arena_alloc(arena, in.len * 3 + 1);
    size_t len = 0;
    while (out && in.len) {
        size_t good = sx_utf8_valid_len(in);
        memcpy(out + len, in.data, good);
        len += good;
        in = sx_str_from(in, good);
        if (in.len)
            len += sx_utf8_encode(0xfffd, out + len);
        in = sx_str_from(in, 1);
    }
    return sx_str_of(out, len);
}

sx_status geo_csv_form_add(geo_csv_form *form, sx_arena *arena, sx_str name, sx_str value)
{
    if (name.len + value.len > GEO_CSV_FIELD_BYTES_MAX)
        return SX_ELIMIT;
    return add(form, mended(arena, name), mended(arena, value));
}

static bool has(const geo_csv_form *form, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_eq(form->names[i], name))
            return true;
    }
    return false;
}

sx_status geo_csv_form_query(geo_csv_form *form, sx_arena *arena, sx_str query)
{
    size_t from_form = form->count;
    sx_str name, value, piece;
    while (sx_query_next(&query, &name, &value)) {
        name = geo_decode_lenient(arena, name);
        value = geo_decode_lenient(arena, value);
        if (name.data && has(form, from_form, name))
            continue;
        bool is_list = name.data && sx_str_eq(name, SX_STR("columns"));
        do {
            piece = value;
            if (is_list)
                sx_str_cut(value, ',', &piece, &value);
            sx_status status = add(form, name, piece);
            if (status != SX_OK)
                return status;
        } while (is_list && value.len);
    }
    return SX_OK;
}

/* The last one given; data NULL if there is none. */
static sx_str get(const geo_csv_form *form, sx_str name)
{
    for (size_t i = form->count; i > 0; i--) {
        if (sx_str_eq(form->names[i - 1], name))
            return form->values[i - 1];
    }
    return sx_str_of(NULL, 0);
}

bool geo_csv_form_yes(const geo_csv_form *form, sx_str name)
{
    static const char *const WORDS[] = {"1", "true", "True", "t", "yes", "y", "on"};
    sx_str value = get(form, name);
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_eq(value, sx_str_z(WORDS[i])))
            return true;
    }
    return false;
}

static sx_status read_columns(const geo_csv_form *form, sx_arena *arena, geo_csv_options *out)
{
    sx_str *columns = sx_arena_calloc(arena, form->count + 1, sizeof(*columns));
    if (!columns)
        return SX_ENOMEM;
    for (size_t i = 0; i < form->count; i++) {
        if (sx_str_eq(form->names[i], SX_STR("columns")))
            columns[out->column_count++] = form->values[i];
    }
    out->columns = columns;
    return SX_OK;
}

static sx_status read_filters(const geo_csv_form *form, sx_arena *arena, const char *const *filters,
                              geo_csv_options *out)
{
    const char **keys = sx_arena_calloc(arena, GEO_CSV_FILTERS_MAX, sizeof(*keys));
    sx_str *columns = sx_arena_calloc(arena, GEO_CSV_FILTERS_MAX, sizeof(*columns));
    if (!keys || !columns)
        return SX_ENOMEM;
    for (size_t i = 0; filters[i] && out->filter_count < GEO_CSV_FILTERS_MAX; i++) {
        sx_str column = get(form, sx_str_z(filters[i]));
        if (!column.len)
            continue;
        keys[out->filter_count] = filters[i];
        columns[out->filter_count++] = column;
    }
    out->filter_keys = keys;
    out->filter_columns = columns;
    return SX_OK;
}

/* All parts at once, and each, as in a query string. */
static sx_status read_better(const geo_csv_form *form, sx_arena *arena, geo_csv_options *out,
                             geo_refusal *refusal)
{
    for (size_t i = 0; i < GEO_BETTER_PARAMS; i++) {
        const geo_better_param *p = &GEO_BETTER_PARAM[i];
        sx_str value = get(form, sx_str_z(p->name));
        if (!value.data || geo_better_read(p, value, &out->better))
            continue;
        sx_str why = sx_arena_printf(arena, "The \"%s\" parameter is invalid. %s", p->name,
                                     geo_better_expected(p));
        if (!why.data)
            return SX_ENOMEM;
        *refusal = (geo_refusal){400, SX_STR("Invalid parameter"), why};
        return SX_EINVAL;
    }
    return SX_OK;
}

sx_status geo_csv_form_read(const geo_csv_form *form, sx_arena *arena, const char *const *filters,
                            geo_csv_options *out, geo_refusal *refusal)
{
    sx_str least = get(form, SX_STR("min_score"));
    out->encoding = get(form, SX_STR("encoding"));
    out->delimiter = get(form, SX_STR("delimiter"));
    out->quote = get(form, SX_STR("quote"));
    out->lat = get(form, SX_STR("lat"));
    out->lon = get(form, SX_STR("lon"));
    out->with_bom = geo_csv_form_yes(form, SX_STR("with_bom"));
    out->keep_going = geo_csv_form_yes(form, SX_STR("better"));
    out->has_min_score = least.data != NULL;
    if (out->has_min_score && !geo_python_float(least, &out->min_score)) {
        *refusal = (geo_refusal){
            400, SX_STR("Invalid parameter"),
            SX_STR("The \"min_score\" parameter is invalid. The value must be a float.")};
        return SX_EINVAL;
    }
    sx_status status = read_better(form, arena, out, refusal);
    if (status == SX_OK)
        status = read_columns(form, arena, out);
    return status == SX_OK ? read_filters(form, arena, filters, out) : status;
}
