/* geonames.c - tables of GeoNames (https://download.geonames.org/export/dump/readme.txt): places with
 * their other names (allCountries.txt and its like, 19 columns), postcodes (12 columns), and, read
 * before them, the names of countries (countryInfo.txt) and regions (admin1CodesASCII.txt,
 * admin2Codes.txt). Columns are apart by tabs; nothing is quoted. What becomes of a place is in the
 * table KINDS, which docs/howto/geocode.md repeats. */
#include <math.h>
#include <string.h>

#include <sextant/json.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "geocode/import/grouper.h"
#include "geocode/import/intake.h"
#include "geocode/import/props.h"
#include "geocode/text/fold.h"

enum { COLUMNS_MAX = 19, NAMES_MAX = 32, POSTCODES_MAX = 64, NAME_BYTES_MAX = 1024 };

typedef struct reader {
    geo_intake *in;
    sx_json_lines lines;
    bool begun;
    geo_grouper *rows; /* postcodes, by place */
    sx_str columns[COLUMNS_MAX];
    size_t count;
} reader;

/* Which places are searched, by class and the beginning of their code; the first row that fits holds,
 * and a type of NULL leaves the place out. */
static const struct {
    char class;
    sx_str code;
    const char *type;
} KINDS[] = {
    {'P', SX_STR_INIT("PPLX"), "locality"}, /* part of a place */
    {'P', SX_STR_INIT("PPLL"), "locality"}, /* scattered houses */
    {'P', SX_STR_INIT("PPLF"), "locality"}, /* a farm village */
    {'P', SX_STR_INIT("PPLH"), NULL},       /* gone */
    {'P', SX_STR_INIT("PPLQ"), NULL},       /* abandoned */
    {'P', SX_STR_INIT("PPLW"), NULL},       /* destroyed */
    {'P', SX_STR_INIT(""), "municipality"}, {'A', SX_STR_INIT("PCL"), "country"},
    {'A', SX_STR_INIT("ADM1"), "region"},   {'A', SX_STR_INIT("ADM2"), "county"},
    {'R', SX_STR_INIT("ST"), "street"},     {'R', SX_STR_INIT("RD"), "street"},
    {'L', SX_STR_INIT(""), "locality"},
};

static void *open_table(geo_intake *in, sx_error *err)
{
    reader *r = sx_calloc(1, sizeof(*r));
    if (!r) {
        sx_fail_memory(err, "a reader");
        return NULL;
    }
    r->in = in;
    sx_json_lines_init(&r->lines, in->limits.line_bytes_max);
    return r;
}

static void close_table(void *p)
{
    reader *r = p;
    sx_json_lines_done(&r->lines);
    geo_grouper_free(r->rows);
    sx_free(r);
}

/* Cuts a line into exactly `want` columns. */
static sx_status cut(reader *r, sx_str line, size_t want, sx_error *err)
{
    bool more = true;
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    if (!sx_utf8_valid(line))
        return sx_fail(err, SX_EFORMAT, "byte %zu is no UTF-8", sx_utf8_valid_len(line) + 1);
    for (r->count = 0; more; r->count++) {
        sx_str column;
        more = sx_str_cut(line, '\t', &column, &line);
        if (r->count < COLUMNS_MAX)
            r->columns[r->count] = column;
    }
    if (r->count == want)
        return SX_OK;
    return sx_fail(err, SX_EFORMAT, "the row has %zu columns, not %zu; it may be cut short",
                   r->count, want);
}

static sx_status flaw(const reader *r, size_t column, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EFORMAT, "byte %zu: column %zu %s",
                   (size_t)(r->columns[column].data - r->columns[0].data) + 1, column + 1, what);
}

static sx_status read_point(const reader *r, size_t column, geo_in_doc *doc, sx_error *err)
{
    if (!sx_double_parse(r->columns[column], &doc->lat) || !(fabs(doc->lat) <= 90))
        return flaw(r, column, "is no latitude", err);
    if (!sx_double_parse(r->columns[column + 1], &doc->lon) || !(fabs(doc->lon) <= 180))
        return flaw(r, column + 1, "is no longitude", err);
    return SX_OK;
}

static sx_status finish(geo_intake *in, geo_props *p, geo_in_doc *doc, sx_error *err)
{
    doc->properties = p->items;
    doc->property_count = p->count;
    return p->failed ? sx_fail_memory(err, "a document") : geo_intake_add(in, doc, err);
}

/* --- Places. */

/* The place's type; NULL: it is left out. */
static const char *type_of(sx_str class, sx_str code)
{
    for (size_t i = 0; class.len == 1 && i < SX_COUNT_OF(KINDS); i++) {
        if (class.data[0] == KINDS[i].class && sx_str_starts(code, KINDS[i].code))
            return KINDS[i].type;
    }
    return NULL;
}

/* The names that differ when folded, the main one first. Names in letters that the fold leaves as they
 * are count as different. */
typedef struct names {
    sx_str list[NAMES_MAX], folded[NAMES_MAX];
    uint32_t count;
} names;

static bool add_name(sx_arena *arena, names *n, sx_str name)
{
    char room[NAME_BYTES_MAX * GEO_FOLD_GROWTH + 1];
    if (name.len == 0 || name.len > NAME_BYTES_MAX || n->count == NAMES_MAX)
        return true;
    sx_str folded = geo_fold(name, room, sizeof(room));
    if (folded.len == 0)
        return true;
    for (uint32_t i = 0; i < n->count; i++) {
        if (sx_str_eq(n->folded[i], folded))
            return true;
    }
    n->folded[n->count] = sx_arena_copy(arena, folded);
    n->list[n->count] = name;
    return n->folded[n->count++].data != NULL;
}

/* "Comunidad de Madrid, Spain": names where a table gave them, else codes. */
static sx_str context_of(geo_intake *in, sx_str country, sx_str region)
{
    char code[16];
    sx_str land = geo_intake_place(in, country), area = {"", 0};
    in->coded = true;
    if (region.len && country.len + 1 + region.len <= sizeof(code)) {
        memcpy(code, country.data, country.len);
        code[country.len] = '.';
        memcpy(code + country.len + 1, region.data, region.len);
        area = geo_intake_place(in, sx_str_of(code, country.len + 1 + region.len));
    }
    if (land.len == 0)
        land = country;
    if (area.len == 0)
        area = sx_str_eq(region, SX_STR("00")) ? sx_str_of("", 0) : region;
    return area.len ? sx_arena_printf(&in->arena, "%.*s, %.*s", SX_ARG(area), SX_ARG(land)) : land;
}

static sx_status add_place(reader *r, sx_error *err)
{
    enum { ID, NAME, ASCII, OTHERS, LAT, LON, CLASS, CODE, COUNTRY, REGION = 10, POPULATION = 14 };
    geo_intake *in = r->in;
    const sx_str *c = r->columns;
    uint64_t id, population = 0;
    geo_in_doc doc = {.id = c[ID]};
    names n = {.count = 0};
    sx_status status = read_point(r, LAT, &doc, err);
    if (status != SX_OK)
        return status;
    if (!sx_str_to_u64(c[ID], &id))
        return flaw(r, ID, "is no number", err);
    if (c[POPULATION].len && !sx_str_to_u64(c[POPULATION], &population))
        return flaw(r, POPULATION, "is no population", err);
    const char *type = type_of(c[CLASS], c[CODE]);
    if (!type) {
        in->left_out++;
        return SX_OK;
    }
    bool good = add_name(&in->arena, &n, c[NAME]);
    for (sx_str rest = c[OTHERS], name; good && rest.len;) {
        (void)sx_str_cut(rest, ',', &name, &rest);
        good = add_name(&in->arena, &n, sx_str_trim_all(name));
    }
    if (n.count == 0)
        return flaw(r, NAME, "is no name", err);
    doc.type = sx_str_z(type);
    doc.importance = geo_importance((double)population / 3);
    geo_props p = {.arena = &in->arena, .failed = !good};
    geo_props_text(&p, SX_STR("id"), c[ID]);
    geo_props_text(&p, SX_STR("type"), doc.type);
    geo_props_texts(&p, SX_STR("name"), n.list, n.count);
    if (sx_str_eq(doc.type, SX_STR("municipality")))
        geo_props_text(&p, SX_STR("city"), n.list[0]);
    geo_props_text(&p, SX_STR("context"), context_of(in, c[COUNTRY], c[REGION]));
    geo_props_text(&p, SX_STR("country"), c[COUNTRY]);
    if (c[CODE].len)
        geo_props_text(&p, SX_STR("feature"),
                       sx_arena_printf(&in->arena, "%.*s.%.*s", SX_ARG(c[CLASS]), SX_ARG(c[CODE])));
    if (population)
        geo_props_count(&p, SX_STR("population"), population);
    geo_props_number(&p, SX_STR("lon"), doc.lon, 9);
    geo_props_number(&p, SX_STR("lat"), doc.lat, 9);
    geo_props_number(&p, SX_STR("importance"), doc.importance, 5);
    return finish(in, &p, &doc, err);
}

/* --- Postcodes: the rows of one place become one document with all its postcodes. */

enum {
    P_COUNTRY,
    P_CODE,
    P_NAME,
    P_AREA,
    P_AREA_CODE,
    P_COUNTY,
    P_COUNTY_CODE,
    P_TOWN,
    P_TOWN_CODE,
    P_LAT,
    P_LON
};

static sx_status take_postcode(reader *r, sx_error *err)
{
    const sx_str *c = r->columns;
    geo_in_doc doc;
    sx_status status = read_point(r, P_LAT, &doc, err);
    if (status != SX_OK)
        return status;
    if (c[P_CODE].len == 0)
        return flaw(r, P_CODE, "is no postcode", err);
    if (c[P_NAME].len == 0)
        return flaw(r, P_NAME, "is no name", err);
    sx_str key = sx_arena_printf(&r->in->arena, "%.*s-%.*s-%.*s-%.*s-%.*s", SX_ARG(c[P_COUNTRY]),
                                 SX_ARG(c[P_AREA_CODE]), SX_ARG(c[P_COUNTY_CODE]),
                                 SX_ARG(c[P_TOWN_CODE]), SX_ARG(c[P_NAME]));
    sx_str row = sx_str_of(c[0].data, (size_t)(c[P_LON].data + c[P_LON].len - c[0].data));
    return key.data ? geo_grouper_add(r->rows, key, row, err) : sx_fail_memory(err, "a row");
}

/* A place of the postcode table being put together; `row` is its first. */
typedef struct place {
    sx_str key, row, postcodes[POSTCODES_MAX];
    uint32_t count;
    double lon_sum, lat_sum, rows;
} place;

static sx_status add_postal_place(reader *r, place *at, sx_error *err)
{
    geo_intake *in = r->in;
    sx_str line = at->row, c[P_LON + 1];
    for (size_t i = 0; i <= P_LON; i++)
        (void)sx_str_cut(line, '\t', &c[i], &line);
    geo_in_doc doc = {.id = at->key,
                      .type = SX_STR("municipality"),
                      .lon = geo_round(at->lon_sum / at->rows, 6),
                      .lat = geo_round(at->lat_sum / at->rows, 6),
                      .importance = geo_importance(at->rows)};
    sx_str land = geo_intake_place(in, c[P_COUNTRY]);
    geo_props p = {.arena = &in->arena};
    geo_props_text(&p, SX_STR("id"), doc.id);
    geo_props_text(&p, SX_STR("type"), doc.type);
    geo_props_text(&p, SX_STR("name"), c[P_NAME]);
    geo_props_texts(&p, SX_STR("postcode"), at->postcodes, at->count);
    geo_props_text(&p, SX_STR("citycode"), c[P_TOWN_CODE]);
    geo_props_text(&p, SX_STR("city"), c[P_NAME]);
    geo_props_text(&p, SX_STR("context"),
                   sx_arena_printf(&in->arena, "%.*s%s%.*s%s%.*s", SX_ARG(c[P_COUNTY]),
                                   c[P_COUNTY].len ? ", " : "", SX_ARG(c[P_AREA]),
                                   c[P_AREA].len ? ", " : "",
                                   SX_ARG(land.len ? land : c[P_COUNTRY])));
    geo_props_text(&p, SX_STR("country"), c[P_COUNTRY]);
    geo_props_number(&p, SX_STR("lon"), doc.lon, 6);
    geo_props_number(&p, SX_STR("lat"), doc.lat, 6);
    geo_props_number(&p, SX_STR("importance"), doc.importance, 5);
    sx_status status = geo_intake_row(in, 0, finish(in, &p, &doc, err), err);
    sx_arena_reset(&in->arena);
    *at = (place){.count = 0};
    return status == SX_OK ? geo_intake_look(in, err) : status;
}

static sx_status take_place_row(reader *r, place *at, sx_str key, sx_str row, sx_error *err)
{
    geo_in_doc point;
    sx_str copy = sx_arena_copy(&r->in->arena, row), line = copy;
    for (size_t i = 0; i <= P_LON; i++)
        (void)sx_str_cut(line, '\t', &r->columns[i], &line);
    sx_status status = copy.data ? read_point(r, P_LAT, &point, err) : sx_fail_memory(err, "a row");
    if (status != SX_OK)
        return status;
    if (at->rows == 0) {
        at->row = copy;
        at->key = sx_arena_copy(&r->in->arena, key);
        if (!at->key.data)
            return sx_fail_memory(err, "a row");
    }
    at->rows++;
    at->lon_sum += point.lon;
    at->lat_sum += point.lat;
    for (uint32_t i = 0; i < at->count; i++) {
        if (sx_str_eq(at->postcodes[i], r->columns[P_CODE]))
            return SX_OK;
    }
    at->postcodes[at->count++] = r->columns[P_CODE];
    return SX_OK;
}

/* A place with more postcodes than a document may have becomes several. */
static sx_status add_postal_places(reader *r, sx_error *err)
{
    sx_str key, row;
    place at = {.count = 0};
    sx_arena_reset(&r->in->arena);
    sx_status status = geo_grouper_finish(r->rows, err);
    while (status == SX_OK) {
        sx_status got = geo_grouper_next(r->rows, &key, &row, err);
        if (got != SX_OK && got != SX_END)
            return got;
        if (at.rows > 0 && (got == SX_END || !sx_str_eq(key, at.key) || at.count == POSTCODES_MAX))
            status = add_postal_place(r, &at, err);
        if (got == SX_END)
            break;
        if (status == SX_OK)
            status = take_place_row(r, &at, key, row, err);
    }
    return status;
}

/* --- Names for codes. */

static sx_status take_code(reader *r, sx_error *err)
{
    return geo_intake_name_place(r->in, r->columns[0], r->columns[1], err);
}

static sx_status take_country(reader *r, sx_error *err)
{
    enum { ISO = 0, COUNTRY_NAME = 4 };
    return geo_intake_name_place(r->in, r->columns[ISO], r->columns[COUNTRY_NAME], err);
}

/* --- Lines. */

typedef struct shape {
    size_t columns;
    sx_status (*take)(reader *r, sx_error *err);
    bool remarks; /* lines that begin with # are none */
} shape;

static sx_status take_line(reader *r, const shape *s, sx_str line, sx_error *err)
{
    if (s->remarks && line.len && line.data[0] == '#')
        return SX_OK;
    sx_arena_reset(&r->in->arena);
    sx_status status = cut(r, line, s->columns, err);
    if (status == SX_OK)
        status = s->take(r, err);
    status = geo_intake_row(r->in, r->lines.line, status, err);
    return status == SX_OK ? geo_intake_look(r->in, err) : status;
}

static sx_status feed(reader *r, const shape *s, sx_str chunk, sx_error *err)
{
    sx_str line, text = chunk;
    if (!r->begun && sx_str_starts(chunk, SX_STR("\xEF\xBB\xBF")))
        text = sx_str_from(chunk, 3);
    r->begun = true;
    if (chunk.len && text.len == 0)
        return SX_OK;
    sx_json_lines_feed(&r->lines, text);
    for (;;) {
        sx_status status = sx_json_lines_next(&r->lines, &line, err);
        if (status == SX_AGAIN || status == SX_END)
            return SX_OK;
        status = status == SX_OK ? take_line(r, s, line, err)
                                 : geo_intake_row(r->in, r->lines.line, status, err);
        if (status != SX_OK)
            return status;
    }
}

static sx_status feed_places(void *p, sx_str chunk, sx_error *err)
{
    static const shape PLACES = {19, add_place, false};
    return feed(p, &PLACES, chunk, err);
}

static sx_status feed_postcodes(void *p, sx_str chunk, sx_error *err)
{
    static const shape POSTCODES = {12, take_postcode, false};
    sx_status status = feed(p, &POSTCODES, chunk, err);
    return status == SX_OK && chunk.len == 0 ? add_postal_places(p, err) : status;
}

/* Names that come after the places they are for would change nothing, which nobody wants. */
static sx_status feed_names(reader *r, const shape *s, sx_str chunk, sx_error *err)
{
    if (r->in->coded)
        return sx_fail(err, SX_EINVAL,
                       "%s: names of countries and regions must be read before the places: put "
                       "this file first",
                       r->in->input->path);
    return feed(r, s, chunk, err);
}

static sx_status feed_codes(void *p, sx_str chunk, sx_error *err)
{
    static const shape CODES = {4, take_code, true};
    return feed_names(p, &CODES, chunk, err);
}

static sx_status feed_countries(void *p, sx_str chunk, sx_error *err)
{
    static const shape COUNTRIES = {19, take_country, true};
    return feed_names(p, &COUNTRIES, chunk, err);
}

static void *open_postcodes(geo_intake *in, sx_error *err)
{
    reader *r = open_table(in, err);
    if (r)
        r->rows = geo_grouper_new(in->folder, in->limits.rows_bytes_max, err);
    if (r && !r->rows) {
        close_table(r);
        r = NULL;
    }
    return r;
}

#define GEONAMES .attribution = "GeoNames", .licence = "CC BY 4.0", .close = close_table

const geo_reader GEO_READER_GEONAMES = {
    .name = "a dump of GeoNames", .open = open_table, .feed = feed_places, GEONAMES};
const geo_reader GEO_READER_GEONAMES_POSTAL = {
    .name = "postcodes of GeoNames", .open = open_postcodes, .feed = feed_postcodes, GEONAMES};
const geo_reader GEO_READER_ADMIN_CODES = {.name = "regions of GeoNames",
                                           .is_table = true,
                                           .open = open_table,
                                           .feed = feed_codes,
                                           GEONAMES};
const geo_reader GEO_READER_COUNTRIES = {.name = "countries of GeoNames",
                                         .is_table = true,
                                         .open = open_table,
                                         .feed = feed_countries,
                                         GEONAMES};
