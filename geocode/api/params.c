/* params.c - reading Addok's parameters: one walk over the query string, then one check each. */
#include "geocode/api/params.h"

#include <math.h>

#include <sextant/http.h>

#include "geocode/search/search.h"

static sx_status refuse(geo_refusal *refusal, const char *title, sx_str description)
{
    if (!description.data)
        return SX_ENOMEM;
    *refusal = (geo_refusal){400, sx_str_z(title), description};
    return SX_EINVAL;
}

static sx_status missing(sx_arena *arena, const char *name, geo_refusal *refusal)
{
    return refuse(refusal, "Missing parameter",
                  sx_arena_printf(arena, "The \"%s\" parameter is required.", name));
}

static sx_status invalid(sx_arena *arena, const char *name, const char *why, geo_refusal *refusal)
{
    return refuse(refusal, "Invalid parameter",
                  sx_arena_printf(arena, "The \"%s\" parameter is invalid. %s", name, why));
}

/* Falcon's words for true and false; an empty value is true. */
static bool read_bool(sx_str text, bool *out)
{
    static const char *const TRUE_WORDS[] = {"true", "True", "t", "yes", "y", "1", "on", ""};
    static const char *const FALSE_WORDS[] = {"false", "False", "f", "no", "n", "0", "off"};
    for (size_t i = 0; i < SX_COUNT_OF(TRUE_WORDS); i++) {
        if (sx_str_eq(text, sx_str_z(TRUE_WORDS[i]))) {
            *out = true;
            return true;
        }
    }
    for (size_t i = 0; i < SX_COUNT_OF(FALSE_WORDS); i++) {
        if (sx_str_eq(text, sx_str_z(FALSE_WORDS[i]))) {
            *out = false;
            return true;
        }
    }
    return false;
}

/* better itself first: the parts override it. */
const geo_better_param GEO_BETTER_PARAM[GEO_BETTER_PARAMS] = {
    {"better", GEO_BETTER_ALL, 0},
    {"postcode_tolerance", GEO_BETTER_POSTCODE, 0},
    {"city_tolerance", GEO_BETTER_CITY, 0},
    {"typos", GEO_BETTER_TYPOS, GEO_BETTER_TYPOS_TWO},
    {"split_join", GEO_BETTER_SPLIT_JOIN, 0},
    {"word_order", GEO_BETTER_WORD_ORDER, 0},
    {"interpolate", GEO_BETTER_INTERPOLATE, 0},
    {"any_distance", GEO_BETTER_ANY_DISTANCE, 0},
};

bool geo_better_read(const geo_better_param *p, sx_str value, uint32_t *better)
{
    bool yes = false, two = false;
    if (p->second) {
        int64_t number;
        if (!geo_python_int(value, &number) || number < 0 || number > 2)
            return false;
        yes = number > 0;
        two = number > 1;
    } else if (!read_bool(value, &yes)) {
        return false;
    }
    *better &= ~(p->parts | p->second);
    *better |= (yes ? p->parts : 0) | (two ? p->second : 0);
    return true;
}

const char *geo_better_expected(const geo_better_param *p)
{
    return p->second ? "The value must be 0, 1 or 2."
                     : "The value of the parameter must be \"true\" or \"false\".";
}

/* Names under which a coordinate may come; an earlier one wins over a later. */
static const char *const LAT_NAMES[] = {"lat", "latitude"};
static const char *const LON_NAMES[] = {"lon", "lng", "long", "longitude"};

/* What the walk over the query found, still unchecked. data NULL: not given. */
typedef struct raw {
    sx_str q, limit, autocomplete, explain, better[GEO_BETTER_PARAMS];
    sx_str lat[SX_COUNT_OF(LAT_NAMES)], lon[SX_COUNT_OF(LON_NAMES)];
} raw;

static bool store_named(sx_str name, sx_str value, const char *const *names, size_t count,
                        sx_str *slots)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_eq(name, sx_str_z(names[i]))) {
            slots[i] = value;
            return true;
        }
    }
    return false;
}

/* Filters take several values: repeated, or separated by blanks in one. "" alone is one value. */
static sx_status add_filter(sx_arena *arena, geo_param_filter *filter, sx_str value,
                            geo_refusal *refusal, const char *name)
{
    filter->given = true;
    bool all = value.len == 0;
    for (sx_str rest = value; rest.len || all; all = false) {
        sx_str piece;
        sx_str_cut(rest, ' ', &piece, &rest);
        if (piece.len == 0 && !all)
            continue;
        if (filter->count == GEO_FILTER_VALUES_MAX)
            return invalid(arena, name, "more than 64 values", refusal);
        filter->values[filter->count++] = piece;
        if (all)
            break;
    }
    return SX_OK;
}

static sx_status sort_out(sx_arena *arena, sx_str name, sx_str value, const char *const *filters,
                          raw *found, geo_params *out, geo_refusal *refusal)
{
    static const char *const SINGLE[] = {"q", "limit", "autocomplete", "explain"};
    sx_str single[SX_COUNT_OF(SINGLE)] = {found->q, found->limit, found->autocomplete,
                                          found->explain};
    if (store_named(name, value, SINGLE, SX_COUNT_OF(SINGLE), single)) {
        found->q = single[0];
        found->limit = single[1];
        found->autocomplete = single[2];
        found->explain = single[3];
        return SX_OK;
    }
    if (store_named(name, value, LAT_NAMES, SX_COUNT_OF(LAT_NAMES), found->lat) ||
        store_named(name, value, LON_NAMES, SX_COUNT_OF(LON_NAMES), found->lon))
        return SX_OK;
    for (size_t i = 0; i < GEO_BETTER_PARAMS; i++) {
        if (sx_str_eq(name, sx_str_z(GEO_BETTER_PARAM[i].name))) {
            found->better[i] = value;
            return SX_OK;
        }
    }
    for (size_t i = 0; filters[i] && i < GEO_FILTERS_MAX; i++) {
        if (sx_str_eq(name, sx_str_z(filters[i])))
            return add_filter(arena, &out->filters[i], value, refusal, filters[i]);
    }
    return SX_OK; /* Addok ignores what it does not know */
}

/* Reads the first of the names that was given. */
static sx_status read_coordinate(sx_arena *arena, const sx_str *slots, const char *const *names,
                                 size_t count, bool *has, double *out, geo_refusal *refusal)
{
    for (size_t i = 0; i < count; i++) {
        if (!slots[i].data)
            continue;
        if (!geo_python_float(slots[i], out))
            return invalid(arena, names[0], "invalid value", refusal);
        *has = true;
        return SX_OK;
    }
    return SX_OK;
}

/* Addok reads the latitude first but checks the longitude first, and which error is told shows it. */
static sx_status read_point(sx_arena *arena, const raw *found, bool required, geo_params *out,
                            geo_refusal *refusal)
{
    sx_status status = read_coordinate(arena, found->lat, LAT_NAMES, SX_COUNT_OF(LAT_NAMES),
                                       &out->has_lat, &out->lat, refusal);
    if (status == SX_OK)
        status = read_coordinate(arena, found->lon, LON_NAMES, SX_COUNT_OF(LON_NAMES),
                                 &out->has_lon, &out->lon, refusal);
    if (status != SX_OK)
        return status;
    if (required && !out->has_lon)
        return missing(arena, LON_NAMES[0], refusal);
    if (required && !out->has_lat)
        return missing(arena, LAT_NAMES[0], refusal);
    if (out->has_lon && !(fabs(out->lon) <= 180)) /* NaN is refused too */
        return invalid(arena, LON_NAMES[0], "out of range", refusal);
    if (out->has_lat && !(fabs(out->lat) <= 90))
        return invalid(arena, LAT_NAMES[0], "out of range", refusal);
    return SX_OK;
}

/* What Addok does not know comes last, so that its own refusals stay as they are. */
static sx_status read_better(sx_arena *arena, const raw *found, geo_params *out,
                             geo_refusal *refusal)
{
    for (size_t i = 0; i < GEO_BETTER_PARAMS; i++) {
        const geo_better_param *p = &GEO_BETTER_PARAM[i];
        if (found->better[i].data && !geo_better_read(p, found->better[i], &out->better))
            return invalid(arena, p->name, geo_better_expected(p), refusal);
    }
    if (found->explain.data && !read_bool(found->explain, &out->explain))
        return invalid(arena, "explain", geo_better_expected(&GEO_BETTER_PARAM[0]), refusal);
    return SX_OK;
}

static sx_status check(sx_arena *arena, const raw *found, const geo_params_rules *rules,
                       geo_params *out, geo_refusal *refusal)
{
    out->q = found->q;
    out->has_q = found->q.len > 0;
    if (!rules->point_required && !out->has_q)
        return missing(arena, "q", refusal);
    if (found->limit.data && !geo_python_int(found->limit, &out->limit))
        return invalid(arena, "limit", "The value must be an integer.", refusal);
    if (rules->limit_most && (out->limit < 0 || out->limit > rules->limit_most)) {
        sx_str why = sx_arena_printf(arena, "out of range (1..%lld)", (long long)rules->limit_most);
        return why.data ? invalid(arena, "limit", why.data, refusal) : SX_ENOMEM;
    }
    out->autocomplete = true;
    if (found->autocomplete.data && !read_bool(found->autocomplete, &out->autocomplete))
        return invalid(arena, "autocomplete",
                       "The value of the parameter must be \"true\" or \"false\".", refusal);
    sx_status status = read_point(arena, found, rules->point_required, out, refusal);
    return status == SX_OK ? read_better(arena, found, out, refusal) : status;
}

sx_status geo_params_read(sx_arena *arena, sx_str query, const geo_params_rules *rules,
                          geo_params *out, geo_refusal *refusal)
{
    raw found = {0};
    memset(out, 0, sizeof(*out));
    sx_str name, value;
    while (sx_query_next(&query, &name, &value)) {
        name = geo_decode_lenient(arena, name);
        value = geo_decode_lenient(arena, value);
        if (!name.data || !value.data)
            return SX_ENOMEM;
        sx_status status = sort_out(arena, name, value, rules->filters, &found, out, refusal);
        if (status != SX_OK)
            return status;
    }
    return check(arena, &found, rules, out, refusal);
}
