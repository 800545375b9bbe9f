/* params.c - reads Photon's parameters: one row a parameter, which says where it is known and how its
 * value is read. */
#include "geocode/photon/params.h"

#include <math.h>
#include <string.h>

#include <sextant/number.h>

#include "geocode/geometry/measure.h"
#include "geocode/places/places.h"
#include "geocode/text/form.h"

enum {
    ON_API = 1 << PHOTON_API,
    ON_STRUCTURED = 1 << PHOTON_STRUCTURED,
    ON_REVERSE = 1 << PHOTON_REVERSE,
    ON_SEARCH = ON_API | ON_STRUCTURED,
    ON_ALL = ON_SEARCH | ON_REVERSE,
    LIMIT_DEFAULT = 15,
    REVERSE_LIMIT_DEFAULT = 1,
    ZOOM_DEFAULT = 12,
    ZOOM_MAX = 18,
};

#define BIAS_DEFAULT      0.4
#define RADIUS_KM_DEFAULT 1
#define RADIUS_KM_MAX     5000

/* A request whose parameters are being read. */
typedef struct reading {
    sx_arena *arena;
    photon_query *out;
    sx_str *message;
    photon_tag *tags;
    photon_categories *categories;
    uint16_t *countries;
    bool has_lat, has_lon;
} reading;

static sx_status refuse(reading *r, sx_str message)
{
    *r->message = message;
    return message.data ? SX_EINVAL : SX_ENOMEM;
}

static sx_status invalid(reading *r, const char *name)
{
    return refuse(r, sx_arena_printf(r->arena, "Invalid value for '%s' parameter.", name));
}

/* --- Values. Each takes the decoded value of parameter `name` into *at. */

static sx_status take_text(reading *r, const char *name, sx_str value, void *at)
{
    (void)r;
    (void)name;
    *(sx_str *)at = sx_str_trim(value);
    return SX_OK;
}

static sx_status take_flag(reading *r, const char *name, sx_str value, void *at)
{
    (void)r;
    (void)name;
    *(bool *)at = sx_str_eq(value, SX_STR("1")) || sx_str_ieq(value, SX_STR("yes")) ||
                  sx_str_ieq(value, SX_STR("true"));
    return SX_OK;
}

/* Photon offers houses of the streets found only if it is told to; here a house is found by its number
 * anyway. */
static sx_status take_nothing(reading *r, const char *name, sx_str value, void *at)
{
    (void)r;
    (void)name;
    (void)value;
    (void)at;
    return SX_OK;
}

static sx_status take_limit(reading *r, const char *name, sx_str value, void *at)
{
    int64_t limit;
    if (!sx_str_to_i64(value, &limit))
        return invalid(r, name);
    *(uint32_t *)at = limit < 1 ? 1 : limit > PHOTON_LIMIT_MAX ? PHOTON_LIMIT_MAX : (uint32_t)limit;
    return SX_OK;
}

static sx_status take_zoom(reading *r, const char *name, sx_str value, void *at)
{
    int64_t zoom;
    if (!sx_str_to_i64(value, &zoom))
        return invalid(r, name);
    *(int *)at = zoom < 0 ? 0 : zoom > ZOOM_MAX ? ZOOM_MAX : (int)zoom;
    return SX_OK;
}

static bool read_number(sx_str text, double *out)
{
    return sx_double_parse(sx_str_trim(text), out) && isfinite(*out);
}

static sx_status take_bias(reading *r, const char *name, sx_str value, void *at)
{
    double bias;
    if (!read_number(value, &bias))
        return invalid(r, name);
    *(double *)at = fmin(fmax(bias, 0), 1);
    return SX_OK;
}

static sx_status take_radius(reading *r, const char *name, sx_str value, void *at)
{
    double km;
    if (!read_number(value, &km) || km <= 0 || km > RADIUS_KM_MAX)
        return refuse(r, sx_arena_printf(r->arena,
                                         "Invalid value for '%s' parameter: it has to be more than "
                                         "0 and at most %d, in kilometers.",
                                         name, RADIUS_KM_MAX));
    *(double *)at = km;
    return SX_OK;
}

static sx_status take_lat(reading *r, const char *name, sx_str value, void *at)
{
    r->has_lat = true;
    return read_number(value, at) && fabs(*(double *)at) <= 90 ? SX_OK : invalid(r, name);
}

static sx_status take_lon(reading *r, const char *name, sx_str value, void *at)
{
    r->has_lon = true;
    return read_number(value, at) && fabs(*(double *)at) <= 180 ? SX_OK : invalid(r, name);
}

/* A language tag as BCP 47 has them, or "default". */
static sx_status take_language(reading *r, const char *name, sx_str value, void *at)
{
    (void)name;
    size_t letters = 0;
    bool valid = value.len >= 2 && value.len <= 35;
    for (size_t i = 0; i < value.len && valid; i++) {
        char c = value.data[i], lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        letters += letter && letters == i;
        valid = letter || (i >= 2 && (c == '-' || c == '_' || (c >= '0' && c <= '9')));
    }
    bool is_default = sx_str_eq(value, SX_STR("default"));
    if (!is_default && (!valid || letters < 2 || letters > 3))
        return refuse(r, SX_STR("Language is not supported. Supported are: default, and any "
                                "language by its code, such as de or pt-BR"));
    *(sx_str *)at = value;
    return SX_OK;
}

#define BBOX_NUMBERS                                                                               \
    "Invalid number of supplied coordinates for parameter 'bbox', expected format is: "            \
    "minLon,minLat,maxLon,maxLat"
#define BBOX_BOUNDS                                                                                \
    "Invalid bounds for parameter 'bbox', expected values minLat, maxLat element [-90,90], "       \
    "minLon, maxLon element [-180,180]"

static sx_status take_box(reading *r, const char *name, sx_str value, void *at)
{
    (void)name;
    double c[4];
    for (size_t i = 0; i < 4; i++) {
        sx_str part, rest = {0};
        bool more = sx_str_cut(value, ',', &part, &rest);
        if (!more)
            part = value;
        if (more != (i < 3) || !sx_double_parse(sx_str_trim(part), &c[i]))
            return refuse(r, SX_STR(BBOX_NUMBERS));
        if (!(fabs(c[i]) <= (i % 2 ? 90 : 180)))
            return refuse(r, SX_STR(BBOX_BOUNDS));
        value = rest;
    }
    photon_wanted *w = at;
    w->has_box = true;
    geo_at a = geo_at_of((geo_pt){c[0], c[1]}), b = geo_at_of((geo_pt){c[2], c[3]});
    w->box = geo_box_at(a);
    geo_box_add(&w->box, b);
    return SX_OK;
}

static sx_status take_tag(reading *r, const char *name, sx_str value, void *at)
{
    photon_wanted *w = at;
    if (w->tag_count == PHOTON_FILTERS_MAX)
        return refuse(r, SX_STR("Too many 'osm_tag' parameters."));
    if (!photon_tag_read(value, &r->tags[w->tag_count]))
        return invalid(r, name);
    w->tag_count++;
    return SX_OK;
}

static sx_status take_layer(reading *r, const char *name, sx_str value, void *at)
{
    (void)name;
    for (unsigned i = 0; i < PHOTON_LAYERS; i++) {
        if (sx_str_eq(value, photon_layer_name((photon_layer)i))) {
            ((photon_wanted *)at)->layers |= 1u << i;
            return SX_OK;
        }
    }
    return refuse(r, SX_STR("Unknown layer type. Available layers: [house, street, locality, "
                            "district, city, county, state, country, other]"));
}

static sx_status add_categories(reading *r, const char *name, sx_str value, bool exclude)
{
    photon_wanted *w = &r->out->wanted;
    if (!photon_categories_valid(value))
        return refuse(r, sx_arena_printf(r->arena, "Invalid category pattern in '%s'.", name));
    if (w->category_count == PHOTON_FILTERS_MAX)
        return refuse(r, sx_arena_printf(r->arena, "Too many '%s' parameters.", name));
    r->categories[w->category_count++] = (photon_categories){exclude, value};
    return SX_OK;
}

static sx_status take_include(reading *r, const char *name, sx_str value, void *at)
{
    (void)at;
    return add_categories(r, name, value, false);
}

static sx_status take_exclude(reading *r, const char *name, sx_str value, void *at)
{
    (void)at;
    return add_categories(r, name, value, true);
}

static sx_status take_country(reading *r, const char *name, sx_str value, void *at)
{
    photon_wanted *w = at;
    char code[2];
    value = sx_str_trim(value);
    for (size_t i = 0; i < 2 && value.len == 2; i++)
        code[i] = (char)(value.data[i] | 0x20);
    if (value.len != 2 || code[0] < 'a' || code[0] > 'z' || code[1] < 'a' || code[1] > 'z')
        return invalid(r, name);
    if (w->country_count == PHOTON_COUNTRIES_MAX)
        return refuse(r, SX_STR("Too many 'countrycode' parameters."));
    r->countries[w->country_count++] = plc_country_of(sx_str_of(code, 2));
    return SX_OK;
}

/* --- The parameters. */

#define AT(field) offsetof(photon_query, field)

static const struct parameter {
    const char *name;
    sx_status (*take)(reading *r, const char *name, sx_str value, void *at);
    size_t at;    /* in photon_query */
    uint8_t on;   /* ON_*: endpoints that know it */
    bool address; /* one of those of which /structured needs one */
} PARAMETERS[] = {
    {"q", take_text, AT(q), ON_API, false},
    {"lang", take_language, AT(language), ON_ALL, false},
    {"limit", take_limit, AT(limit), ON_ALL, false},
    {"lat", take_lat, AT(at.lat), ON_ALL, false},
    {"lon", take_lon, AT(at.lon), ON_ALL, false},
    {"zoom", take_zoom, AT(zoom), ON_SEARCH, false},
    {"location_bias_scale", take_bias, AT(bias), ON_SEARCH, false},
    {"bbox", take_box, AT(wanted), ON_SEARCH, false},
    {"osm_tag", take_tag, AT(wanted), ON_ALL, false},
    {"layer", take_layer, AT(wanted), ON_ALL, false},
    {"include", take_include, AT(wanted), ON_ALL, false},
    {"exclude", take_exclude, AT(wanted), ON_ALL, false},
    {"dedupe", take_flag, AT(dedupe), ON_ALL, false},
    {"geometry", take_flag, AT(geometry), ON_ALL, false},
    {"debug", take_flag, AT(debug), ON_ALL, false},
    {"suggest_addresses", take_nothing, 0, ON_SEARCH, false},
    {"fuzzy", take_flag, AT(fuzzy), ON_SEARCH, false},
    {"radius", take_radius, AT(radius_km), ON_REVERSE, false},
    {"query_string_filter", take_text, AT(words), ON_REVERSE, false},
    {"distance_sort", take_flag, AT(by_distance), ON_REVERSE, false},
    {"countrycode", take_country, AT(wanted), ON_SEARCH, true},
    {"state", take_text, AT(parts.state), ON_STRUCTURED, true},
    {"county", take_text, AT(parts.county), ON_STRUCTURED, true},
    {"city", take_text, AT(parts.city), ON_STRUCTURED, true},
    {"postcode", take_text, AT(parts.postcode), ON_STRUCTURED, true},
    {"district", take_text, AT(parts.district), ON_STRUCTURED, true},
    {"housenumber", take_text, AT(parts.housenumber), ON_STRUCTURED, true},
    {"street", take_text, AT(parts.street), ON_STRUCTURED, true},
};
#undef AT

static const struct parameter *find_parameter(photon_endpoint endpoint, sx_str name)
{
    for (size_t i = 0; i < SX_COUNT_OF(PARAMETERS); i++) {
        if ((PARAMETERS[i].on & 1u << endpoint) && sx_str_eq(name, sx_str_z(PARAMETERS[i].name)))
            return &PARAMETERS[i];
    }
    return NULL;
}

bool photon_knows(photon_endpoint endpoint, sx_str name)
{
    return find_parameter(endpoint, name) != NULL;
}

/* The names of an endpoint's parameters, or of those that are parts of an address: "[q, lang]". */
static sx_str list_names(sx_arena *arena, photon_endpoint endpoint, bool address)
{
    sx_str out = SX_STR("");
    for (size_t i = 0; i < SX_COUNT_OF(PARAMETERS) && out.data; i++) {
        const struct parameter *p = &PARAMETERS[i];
        if ((p->on & 1u << endpoint) && (!address || p->address))
            out = sx_arena_printf(arena, "%.*s%s%s", SX_ARG(out), out.len ? ", " : "", p->name);
    }
    return out.data ? sx_arena_printf(arena, "[%.*s]", SX_ARG(out)) : out;
}

static sx_status take_pair(reading *r, sx_str name, sx_str value, bool *address)
{
    photon_endpoint endpoint = r->out->endpoint;
    name = geo_decode_lenient(r->arena, name);
    value = geo_decode_lenient(r->arena, value);
    if (!name.data || !value.data)
        return SX_ENOMEM;
    const struct parameter *p = find_parameter(endpoint, name);
    if (!p) {
        sx_str known = list_names(r->arena, endpoint, false);
        return refuse(r, known.data ? sx_arena_printf(r->arena,
                                                      "Unknown query parameter '%.*s'.  Allowed "
                                                      "parameters are: %.*s",
                                                      SX_ARG(name), SX_ARG(known))
                                    : known);
    }
    *address = *address || p->address;
    return p->take(r, p->name, value, (char *)r->out + p->at);
}

/* What one parameter alone does not tell. */
static sx_status check_whole(reading *r, bool address)
{
    photon_query *q = r->out;
    bool includes = false;
    if (r->has_lat != r->has_lon)
        return refuse(
            r, sx_arena_printf(r->arena, "Missing parameter '%s'.", r->has_lat ? "lon" : "lat"));
    q->has_point = r->has_lat;
    if (q->endpoint == PHOTON_REVERSE)
        return q->has_point ? SX_OK : refuse(r, SX_STR("Missing parameters 'lat' and 'lon'."));
    if (q->endpoint == PHOTON_STRUCTURED && !address) {
        sx_str known = list_names(r->arena, q->endpoint, true);
        return refuse(r, known.data ? sx_arena_printf(r->arena,
                                                      "at least one of the parameters %.*s is "
                                                      "required.",
                                                      SX_ARG(known))
                                    : known);
    }
    for (uint32_t i = 0; i < q->wanted.category_count; i++)
        includes = includes || !q->wanted.categories[i].exclude;
    if (q->endpoint == PHOTON_API && q->q.len == 0 && !includes)
        return refuse(r, SX_STR("q parameter is required when no include categories are "
                                "specified"));
    return SX_OK;
}

sx_status photon_params_read(sx_arena *arena, sx_str query, photon_endpoint endpoint,
                             photon_query *out, sx_str *message)
{
    reading r = {.arena = arena, .out = out, .message = message};
    sx_str name, value;
    bool address = false;
    *message = sx_str_of(NULL, 0);
    *out =
        (photon_query){.endpoint = endpoint,
                       .sent = query,
                       .limit = endpoint == PHOTON_REVERSE ? REVERSE_LIMIT_DEFAULT : LIMIT_DEFAULT,
                       .dedupe = true,
                       .fuzzy = true,
                       .zoom = ZOOM_DEFAULT,
                       .bias = BIAS_DEFAULT,
                       .radius_km = RADIUS_KM_DEFAULT,
                       .by_distance = true};
    r.tags = sx_arena_calloc(arena, PHOTON_FILTERS_MAX, sizeof(*r.tags));
    r.categories = sx_arena_calloc(arena, PHOTON_FILTERS_MAX, sizeof(*r.categories));
    r.countries = sx_arena_calloc(arena, PHOTON_COUNTRIES_MAX, sizeof(*r.countries));
    if (!r.tags || !r.categories || !r.countries)
        return SX_ENOMEM;
    out->wanted.tags = r.tags;
    out->wanted.categories = r.categories;
    out->wanted.countries = r.countries;
    while (query.len) {
        sx_str pair = query, rest = {0};
        (void)sx_str_cut(query, '&', &pair, &rest);
        query = rest;
        if (pair.len == 0)
            continue;
        name = pair;
        value = SX_STR("");
        (void)sx_str_cut(pair, '=', &name, &value);
        sx_status status = take_pair(&r, name, value, &address);
        if (status != SX_OK)
            return status;
    }
    return check_whole(&r, address);
}
