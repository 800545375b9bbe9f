/* csv_rows.c - a plan from the header, an answer for each row. */
#include "geocode/api/csv_rows.h"

#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "geocode/api/params.h"
#include "geocode/reverse/reverse.h"

/* As /reverse/: Addok looks into the geohash cells around a point. */
static const double REVERSE_WITHIN_M = GEO_REVERSE_CELLS;
static const double MIN_SCORE_DEFAULT = 0.5;
enum { ANSWERS_WANTED = 10, RESULT_TEXT_MAX = 2048 };

/* ---- columns of the answer ---- */

/* Where a result's text comes from. */
typedef enum result_from {
    FROM_LAT,
    FROM_LON,
    FROM_SCORE,
    FROM_SCORE_NEXT,
    FROM_PROPERTY, /* as in the answers of /search/ */
    FROM_DOCUMENT, /* the document's own, although a house number was found */
} result_from;

typedef struct result_column {
    const char *name;
    result_from from;
    const char *property;
} result_column;

#define COMMON_COLUMNS                                                                             \
    {"result_type", FROM_PROPERTY, "type"}, {"result_id", FROM_PROPERTY, "id"},                    \
        {"result_housenumber", FROM_PROPERTY, "housenumber"},                                      \
        {"result_name", FROM_DOCUMENT, "name"}, {"result_street", FROM_DOCUMENT, "street"},        \
        {"result_postcode", FROM_PROPERTY, "postcode"}, {"result_city", FROM_PROPERTY, "city"},    \
        {"result_context", FROM_PROPERTY, "context"},                                              \
        {"result_citycode", FROM_PROPERTY, "citycode"},                                            \
        {"result_oldcitycode", FROM_PROPERTY, "oldcitycode"},                                      \
        {"result_oldcity", FROM_PROPERTY, "oldcity"},                                              \
        {"result_district", FROM_PROPERTY, "district"}

enum { RESULTS_MAX = 17 };
static const result_column RESULTS[][RESULTS_MAX] = {
    [GEO_CSV_SEARCH] = {{"latitude", FROM_LAT, NULL},
                        {"longitude", FROM_LON, NULL},
                        {"result_label", FROM_PROPERTY, "label"},
                        {"result_score", FROM_SCORE, NULL},
                        {"result_score_next", FROM_SCORE_NEXT, NULL},
                        COMMON_COLUMNS},
    [GEO_CSV_REVERSE] = {{"result_latitude", FROM_LAT, NULL},
                         {"result_longitude", FROM_LON, NULL},
                         {"result_label", FROM_PROPERTY, "label"},
                         {"result_distance", FROM_PROPERTY, "distance"},
                         COMMON_COLUMNS},
};
static const size_t RESULT_COUNTS[] = {17, 16};

/* ---- messages in Python's words ---- */

/* Characters that repr() shows by number: controls, blanks but the usual one, marks without width. */
static bool is_printable(uint32_t c)
{
    static const uint32_t NOT[][2] = {
        {0, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},     {0x600, 0x605},   {0x61c, 0x61c},
        {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
        {0x3000, 0x3000}, {0xe000, 0xf8ff}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}};
    for (size_t i = 0; i < SX_COUNT_OF(NOT); i++) {
        if (c >= NOT[i][0] && c <= NOT[i][1])
            return false;
    }
    return true;
}

static void put_escaped(sx_buf *out, uint32_t c)
{
    switch (c) {
    case '\t':
        sx_buf_str(out, SX_STR("\\t"));
        break;
    case '\n':
        sx_buf_str(out, SX_STR("\\n"));
        break;
    case '\r':
        sx_buf_str(out, SX_STR("\\r"));
        break;
    default:
        sx_buf_printf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    }
}

/* A text as Python's repr() writes it. */
static void put_repr(sx_buf *out, sx_str s)
{
    bool has_single = sx_str_find_byte(s, '\'') < s.len;
    bool has_double = sx_str_find_byte(s, '"') < s.len;
    char quote = has_single && !has_double ? '"' : '\'';
    sx_buf_byte(out, quote);
    while (s.len) {
        uint32_t c = 0xfffd;
        size_t len = sx_utf8_decode(s, &c);
        len = len ? len : 1;
        if (c == '\\' || c == (unsigned char)quote)
            sx_buf_byte(out, '\\');
        if (is_printable(c))
            sx_buf_str(out, sx_str_first(s, len));
        else
            put_escaped(out, c);
        s = sx_str_from(s, len);
    }
    sx_buf_byte(out, quote);
}

static sx_status no_column(sx_arena *arena, geo_csv_plan *plan, sx_str name,
                           const geo_csv_rows *header, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("Cannot found column '"));
    sx_buf_str(&text, name);
    sx_buf_str(&text, SX_STR("' in columns ["));
    for (size_t i = 0; i < header->rows[0].count; i++) {
        sx_buf_str(&text, i ? SX_STR(", ") : SX_STR(""));
        put_repr(&text, geo_csv_field(header, i));
    }
    sx_buf_byte(&text, ']');
    if (!text.failed)
        plan->refusal = sx_arena_copy(arena, sx_buf_view(&text));
    sx_buf_done(&text);
    if (!plan->refusal.data)
        return sx_fail_memory(err, "why a CSV file is refused");
    return sx_fail(err, SX_EINVAL, "%.*s", SX_ARG(plan->refusal));
}

/* ---- the plan ---- */

/* Of several columns of one name the last counts. */
static ptrdiff_t find_column(const geo_csv_rows *header, sx_str name)
{
    for (size_t i = header->rows[0].count; i > 0; i--) {
        if (sx_str_eq(geo_csv_field(header, i - 1), name))
            return (ptrdiff_t)i - 1;
    }
    return GEO_CSV_NO_COLUMN;
}

static ptrdiff_t find_first_of(const geo_csv_rows *header, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t at = find_column(header, sx_str_z(names[i]));
        if (at != GEO_CSV_NO_COLUMN)
            return at;
    }
    return GEO_CSV_NO_COLUMN;
}

static sx_status plan_query(sx_arena *arena, geo_csv_plan *plan, const geo_csv_rows *header,
                            sx_error *err)
{
    const geo_csv_options *o = plan->options;
    plan->query_count = o->column_count ? o->column_count : plan->header_count;
    for (size_t i = 0; i < plan->query_count; i++) {
        sx_str name = o->column_count ? o->columns[i] : geo_csv_field(header, i);
        plan->query[i] = find_column(header, name);
        if (plan->query[i] == GEO_CSV_NO_COLUMN)
            return no_column(arena, plan, name, header, err);
    }
    return SX_OK;
}

static void plan_point(geo_csv_plan *plan, const geo_csv_rows *header)
{
    static const char *const LAT[] = {"latitude", "lat"};
    static const char *const LON[] = {"longitude", "lon", "lng", "long"};
    const geo_csv_options *o = plan->options;
    plan->lat = plan->lon = GEO_CSV_NO_COLUMN;
    if (o->kind == GEO_CSV_REVERSE) {
        plan->lat = find_first_of(header, LAT, SX_COUNT_OF(LAT));
        plan->lon = find_first_of(header, LON, SX_COUNT_OF(LON));
    } else if (o->lat.len && o->lon.len) {
        plan->lat = find_column(header, o->lat);
        plan->lon = find_column(header, o->lon);
    }
}

static sx_status check_columns(sx_arena *arena, geo_csv_plan *plan, const geo_csv_rows *header,
                               sx_error *err)
{
    const geo_csv_options *o = plan->options;
    bool point = o->kind == GEO_CSV_SEARCH;
    if (point && o->lat.len && plan->lat == GEO_CSV_NO_COLUMN)
        return no_column(arena, plan, o->lat, header, err);
    if (point && o->lon.len && plan->lon == GEO_CSV_NO_COLUMN)
        return no_column(arena, plan, o->lon, header, err);
    for (size_t i = 0; i < o->filter_count; i++)
        if (plan->filters[i] == GEO_CSV_NO_COLUMN)
            return no_column(arena, plan, o->filter_columns[i], header, err);
    return SX_OK;
}

static void plan_results(geo_csv_plan *plan, const geo_csv_rows *header)
{
    const result_column *results = RESULTS[plan->options->kind];
    size_t count = RESULT_COUNTS[plan->options->kind];
    for (size_t i = 0; i < plan->header_count; i++) {
        sx_str name = geo_csv_field(header, i);
        plan->source[i] = find_column(header, name);
        plan->result[i] = GEO_CSV_NO_COLUMN;
        for (size_t k = 0; k < count; k++) {
            if (sx_str_eq(name, sx_str_z(results[k].name)))
                plan->result[i] = (ptrdiff_t)k;
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (find_column(header, sx_str_z(results[k].name)) == GEO_CSV_NO_COLUMN)
            plan->extra[plan->extra_count++] = (ptrdiff_t)k;
    }
}

static void write_header(const geo_csv_plan *plan, const geo_csv_rows *header, sx_buf *out)
{
    geo_csv_place place = GEO_CSV_FIRST;
    for (size_t i = 0; i < plan->header_count; i++, place = GEO_CSV_LATER)
        geo_csv_put(&plan->dialect, out, place, geo_csv_field(header, i));
    for (size_t i = 0; i < plan->extra_count; i++, place = GEO_CSV_LATER)
        geo_csv_put(&plan->dialect, out, place,
                    sx_str_z(RESULTS[plan->options->kind][plan->extra[i]].name));
    geo_csv_end(&plan->dialect, out);
}

sx_status geo_csv_plan_make(sx_arena *arena, const geo_csv_options *options,
                            const geo_csv_dialect *dialect, const geo_csv_charset *charset,
                            const geo_csv_rows *header, geo_csv_plan *out, sx_buf *answer,
                            sx_error *err)
{
    sx_assert(header->count == 1);
    size_t count = header->rows[0].count;
    size_t queries = options->column_count > count ? options->column_count : count;
    *out = (geo_csv_plan){
        .options = options, .dialect = *dialect, .charset = *charset, .header_count = count};
    out->source = sx_arena_calloc(arena, count + 1, sizeof(*out->source));
    out->result = sx_arena_calloc(arena, count + 1, sizeof(*out->result));
    out->query = sx_arena_calloc(arena, queries + 1, sizeof(*out->query));
    out->extra = sx_arena_calloc(arena, RESULTS_MAX, sizeof(*out->extra));
    if (!out->source || !out->result || !out->query || !out->extra)
        return sx_fail_memory(err, "the columns of a CSV file");
    sx_status status = plan_query(arena, out, header, err);
    if (status != SX_OK)
        return status;
    plan_point(out, header);
    plan_results(out, header);
    for (size_t i = 0; i < options->filter_count; i++)
        out->filters[i] = find_column(header, options->filter_columns[i]);
    status = options->strict ? check_columns(arena, out, header, err) : SX_OK;
    if (status != SX_OK)
        return status;
    write_header(out, header, answer);
    return sx_buf_status(answer, "the header of a CSV file", err);
}

/* ---- one row ---- */

geo_csv_worker *geo_csv_worker_new(sx_error *err)
{
    geo_csv_worker *w = sx_calloc(1, sizeof(*w));
    if (!w) {
        sx_fail_memory(err, "a worker of a CSV batch");
        return NULL;
    }
    w->searcher = geo_searcher_new(err);
    if (!w->searcher) {
        sx_free(w);
        return NULL;
    }
    return w;
}

void geo_csv_worker_free(geo_csv_worker *w)
{
    if (!w)
        return;
    geo_searcher_free(w->searcher);
    sx_buf_done(&w->query);
    sx_free(w);
}

/* A row shorter than the header has empty fields at its end. */
static sx_str row_field(const geo_csv_rows *rows, const geo_csv_row *row, ptrdiff_t column)
{
    if (column < 0 || (size_t)column >= row->count)
        return sx_str_of("", 0);
    return geo_csv_field(rows, row->first + (size_t)column);
}

/* What Python's \s matches. */
static bool is_blank(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Appends the words of `in`, one blank between any two, one before them if *out has some. */
static void add_words(sx_buf *out, sx_str in)
{
    bool blank = true;
    while (in.len) {
        uint32_t c = 0xfffd;
        size_t len = sx_utf8_decode(in, &c);
        len = len ? len : 1;
        if (is_blank(c)) {
            blank = true;
        } else {
            if (blank && out->len)
                sx_buf_byte(out, ' ');
            blank = false;
            sx_buf_str(out, sx_str_first(in, len));
        }
        in = sx_str_from(in, len);
    }
}

static bool read_point(const geo_csv_plan *plan, const geo_csv_rows *rows, const geo_csv_row *row,
                       double *lat, double *lon)
{
    return plan->lat != GEO_CSV_NO_COLUMN && plan->lon != GEO_CSV_NO_COLUMN &&
           geo_python_float(row_field(rows, row, plan->lat), lat) &&
           geo_python_float(row_field(rows, row, plan->lon), lon) && *lat >= -90 && *lat <= 90 &&
           *lon >= -180 && *lon <= 180;
}

/* The types whose documents may have house numbers, and the others, but not house numbers: what an
 * empty value of the filter on type lets through in Addok. */
static const char *const BARE_TYPES[] = {"street",  "locality", "municipality", "place",
                                         "village", "hamlet",   "town",         "city"};

enum { ROW_FILTERS_MAX = GEO_CSV_FILTERS_MAX + SX_COUNT_OF(BARE_TYPES) };

static size_t read_filters(const geo_csv_plan *plan, const geo_csv_rows *rows,
                           const geo_csv_row *row, geo_filter out[ROW_FILTERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < plan->options->filter_count; i++) {
        sx_str key = sx_str_z(plan->options->filter_keys[i]);
        sx_str value = row_field(rows, row, plan->filters[i]);
        if (plan->filters[i] == GEO_CSV_NO_COLUMN)
            continue;
        if (value.len)
            out[count++] = (geo_filter){key, value};
        else if (sx_str_eq(key, SX_STR("type")))
            for (size_t k = 0; k < SX_COUNT_OF(BARE_TYPES); k++)
                out[count++] = (geo_filter){key, sx_str_z(BARE_TYPES[k])};
    }
    return count;
}

/* Asks; w->results has the answers. SX_ELIMIT: the query is too long. */
static sx_status ask(const geo_csv_plan *plan, const geo_index *index, geo_csv_worker *w,
                     const geo_csv_rows *rows, const geo_csv_row *row, sx_error *err)
{
    double lat = 0, lon = 0;
    geo_filter filters[ROW_FILTERS_MAX];
    bool has_point = read_point(plan, rows, row, &lat, &lon);
    size_t filter_count = read_filters(plan, rows, row, filters);
    w->results.count = 0;
    if (plan->options->kind == GEO_CSV_REVERSE) {
        geo_reverse_query query = {.lat = lat,
                                   .lon = lon,
                                   .limit = 1,
                                   .within_m = plan->options->better & GEO_BETTER_ANY_DISTANCE
                                                   ? GEO_REVERSE_ANY
                                                   : REVERSE_WITHIN_M,
                                   .filters = filters,
                                   .filter_count = filter_count};
        return has_point ? geo_reverse(index, &query, &w->results, err) : SX_OK;
    }
    sx_buf_clear(&w->query);
    for (size_t i = 0; i < plan->query_count; i++)
        add_words(&w->query, row_field(rows, row, plan->query[i]));
    if (w->query.failed)
        return sx_fail_memory(err, "a row's query");
    if (!w->query.len)
        return SX_OK;
    geo_query query = {.text = sx_buf_view(&w->query),
                       .limit = ANSWERS_WANTED,
                       .better = plan->options->better,
                       .has_point = has_point,
                       .lat = lat,
                       .lon = lon,
                       .filters = filters,
                       .filter_count = filter_count};
    sx_status status = geo_search(index, w->searcher, &query, &w->results, err);
    double least = plan->options->has_min_score ? plan->options->min_score : MIN_SCORE_DEFAULT;
    if (status == SX_OK && w->results.count && !(w->results.items[0].score >= least))
        w->results.count = 0;
    return status;
}

/* A score as Python prints it, rounded to two places. */
static sx_str score_text(double score, char out[SX_DOUBLE_FIXED_BYTES])
{
    size_t len = sx_double_fixed(score, 2, out);
    if (out[len - 1] == '0')
        len--;
    return sx_str_of(out, len);
}

/* The results' texts for one row. */
typedef struct result_texts {
    const result_column *columns;
    size_t count;
    sx_str values[RESULTS_MAX];
    char space[RESULT_TEXT_MAX];
    size_t used;
} result_texts;

/* Texts that do not fit, which no address has, are left out. */
static sx_str keep(result_texts *t, sx_str text)
{
    if (text.len > sizeof(t->space) - t->used)
        return sx_str_of("", 0);
    memcpy(t->space + t->used, text.data, text.len);
    t->used += text.len;
    return sx_str_of(t->space + t->used - text.len, text.len);
}

static bool take_property(void *context, sx_str key, const geo_value *value)
{
    result_texts *t = context;
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].from != FROM_PROPERTY ||
            !sx_str_eq(key, sx_str_z(t->columns[i].property)))
            continue;
        if (value->text.len && !t->values[i].len)
            t->values[i] = keep(t, value->text);
    }
    return true;
}

static sx_status read_result(const geo_index *index, const geo_csv_worker *w, result_texts *t,
                             sx_error *err)
{
    const geo_result *best = &w->results.items[0];
    char number[SX_DOUBLE_FIXED_BYTES];
    for (size_t i = 0; i < t->count; i++) {
        geo_value value, item;
        switch (t->columns[i].from) {
        case FROM_LAT:
        case FROM_LON: {
            int32_t e7 = t->columns[i].from == FROM_LAT ? best->lat_e7 : best->lon_e7;
            t->values[i] =
                keep(t, sx_str_of(number, sx_double_format(e7 / 1e7, SX_DOUBLE_PYTHON, number)));
            break;
        }
        case FROM_SCORE:
            t->values[i] = keep(t, score_text(best->score, number));
            break;
        case FROM_SCORE_NEXT:
            t->values[i] = w->results.count > 1
                               ? keep(t, score_text(w->results.items[1].score, number))
                               : SX_STR("0");
            break;
        case FROM_DOCUMENT:
            if (geo_doc_property(index, best->doc, sx_str_z(t->columns[i].property), &value))
                t->values[i] = keep(t, geo_value_first(index, &value, &item));
            break;
        case FROM_PROPERTY:
            break; /* all of them at once, below */
        }
    }
    return geo_result_properties(index, best, take_property, t, err);
}

static void write_row(const geo_csv_plan *plan, const geo_csv_rows *rows, const geo_csv_row *row,
                      const result_texts *t, bool answered, sx_buf *out)
{
    geo_csv_place place = GEO_CSV_FIRST;
    for (size_t i = 0; i < plan->header_count; i++, place = GEO_CSV_LATER) {
        ptrdiff_t result = plan->result[i];
        sx_str text = answered && result != GEO_CSV_NO_COLUMN
                          ? t->values[result]
                          : row_field(rows, row, plan->source[i]);
        geo_csv_put(&plan->dialect, out, place, text);
    }
    for (size_t i = 0; i < plan->extra_count; i++, place = GEO_CSV_LATER)
        geo_csv_put(&plan->dialect, out, place, t->values[plan->extra[i]]);
    geo_csv_end(&plan->dialect, out);
}

sx_status geo_csv_answer(const geo_csv_plan *plan, const geo_index *index, geo_csv_worker *w,
                         const geo_csv_rows *rows, const geo_csv_row *row, sx_buf *out,
                         sx_error *err)
{
    result_texts t = {.columns = RESULTS[plan->options->kind],
                      .count = RESULT_COUNTS[plan->options->kind]};
    sx_error why = {0};
    sx_status status = row->is_cut ? SX_OK : ask(plan, index, w, rows, row, &why);
    if (row->is_cut)
        w->results.count = 0;
    if (status == SX_ELIMIT && !w->keep_going)
        return sx_fail(err, SX_ELIMIT, "%s (row number %llu)", why.message,
                       (unsigned long long)row->number);
    if (status == SX_ECORRUPT || status == SX_ENOMEM)
        return sx_fail(err, status, "%s", why.message);
    bool answered = status == SX_OK && w->results.count > 0;
    for (size_t i = 0; i < t.count; i++)
        t.values[i] = sx_str_of("", 0);
    if (answered) {
        status = read_result(index, w, &t, err);
        if (status != SX_OK)
            return status;
    }
    write_row(plan, rows, row, &t, answered, out);
    return SX_OK;
}
