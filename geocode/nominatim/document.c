/* document.c - see document.h. */
#include "geocode/nominatim/document.h"

#include <math.h>
#include <string.h>

#include "geocode/places/countries.h"
#include "geocode/text/rules.h"

/* How far a street or house may be from the point that is asked for, as among OpenStreetMap's: degrees. */
#define REACH 0.006

/* Addok's score of a document whose label is the query. */
#define SCORE_SURE 0.9

enum {
    NEAREST = 20, /* looked at, of which some are made of places */
    FOUND = 50,
    WITHIN_M = 700,         /* REACH, on the safe side */
    MUNICIPALITY_M = 10000, /* from its middle to its border */
    RANK_STREET = 26,
    RANK_HOUSE = 30,
    RANK_MUNICIPALITY = 16,
};

/* What each type of documents is in OpenStreetMap's words. */
typedef struct kind {
    sx_str class_name, type;
    uint8_t rank;
} kind;

static const kind HOUSE = {SX_STR_INIT("place"), SX_STR_INIT("house"), RANK_HOUSE};
static const kind KINDS[] = {
    [GEO_TYPE_OTHER] = {SX_STR_INIT("place"), SX_STR_INIT("locality"), 25},
    [GEO_TYPE_HOUSENUMBER] = {SX_STR_INIT("place"), SX_STR_INIT("house"), RANK_HOUSE},
    [GEO_TYPE_STREET] = {SX_STR_INIT("highway"), SX_STR_INIT("road"), RANK_STREET},
    [GEO_TYPE_LOCALITY] = {SX_STR_INIT("place"), SX_STR_INIT("locality"), 25},
    [GEO_TYPE_MUNICIPALITY] = {SX_STR_INIT("place"), SX_STR_INIT("city"), RANK_MUNICIPALITY},
};

static const kind *kind_of(const geo_disk_doc *doc, uint32_t number)
{
    if (number != GEO_NO_NUMBER)
        return &HOUSE;
    return &KINDS[doc->type < SX_COUNT_OF(KINDS) ? doc->type : GEO_TYPE_OTHER];
}

static bool is_ours(const geo_disk_doc *doc)
{
    return doc && !(doc->flags & GEO_DOC_OF_PLACES);
}

bool nom_documents_any(const geo_index *documents)
{
    geo_stat stat;
    geo_index_stat(documents, &stat);
    for (uint32_t i = 0; i < stat.documents; i++) {
        if (is_ours(geo_doc(documents, i)))
            return true;
    }
    return false;
}

/* By the borders; beyond them (at sea, on an island too small for them) by the source's language. */
static uint16_t country_of(const geo_index *documents, const geo_disk_doc *doc, geo_at at)
{
    geo_source source;
    uint16_t country = plc_country_at(at.lon_e7, at.lat_e7);
    if (country || !geo_index_source(documents, doc->source, &source))
        return country;
    return source.language == GEO_LANGUAGE_FRENCH    ? plc_country_of(SX_STR("fr"))
           : source.language == GEO_LANGUAGE_SPANISH ? plc_country_of(SX_STR("es"))
                                                     : 0;
}

bool nom_document_hit(const geo_index *documents, uint32_t doc, uint32_t number, nom_hit *out)
{
    const geo_disk_doc *d = geo_doc(documents, doc);
    geo_housenumber n;
    if (!is_ours(d))
        return false;
    *out = (nom_hit){
        .source = NOM_DOCUMENT, .id = doc, .number = number, .at = {d->lon_e7, d->lat_e7}};
    out->importance = nom_rank_importance(kind_of(d, number)->rank);
    if (number != GEO_NO_NUMBER && geo_number_at(documents, doc, number, &n))
        out->at = (geo_at){n.lon_e7, n.lat_e7};
    return true;
}

/* --- Search. */

static bool is_in(geo_box box, geo_at at)
{
    return at.lon_e7 >= box.lon_min && at.lon_e7 <= box.lon_max && at.lat_e7 >= box.lat_min &&
           at.lat_e7 <= box.lat_max;
}

static bool is_wanted(const geo_index *documents, const nom_document_query *q, const nom_hit *hit)
{
    const geo_disk_doc *doc = geo_doc(documents, hit->id);
    unsigned rank = kind_of(doc, hit->number)->rank;
    if (rank < q->rank_min || (q->rank_max && rank > q->rank_max) ||
        (q->bounded && !is_in(q->viewbox, hit->at)))
        return false;
    for (uint32_t i = 0; i < q->excluded_count; i++) {
        if (q->excluded[i] == nom_place_id(hit))
            return false;
    }
    uint16_t country = q->country_count ? country_of(documents, doc, hit->at) : 0;
    bool in_country = q->country_count == 0;
    for (uint32_t i = 0; i < q->country_count; i++)
        in_country = in_country || q->countries[i] == country;
    return in_country;
}

/* Puts a hit before the first that is less important than it; `sure`: else, behind all. */
static void insert(nom_hits *hits, nom_hit hit, bool sure)
{
    uint32_t at = 0;
    while (at < hits->count && !(sure && hits->items[at].importance < hit.importance))
        at++;
    memmove(hits->items + at + 1, hits->items + at, (hits->count - at) * sizeof(hit));
    hits->items[at] = hit;
    hits->count++;
}

static sx_status add_hits(const geo_index *documents, const geo_results *results,
                          const nom_document_query *q, sx_arena *arena, nom_hits *hits,
                          sx_error *err)
{
    size_t cap = hits->cap;
    for (uint32_t i = 0; i < results->count; i++) {
        const geo_result *r = &results->items[i];
        nom_hit hit;
        if (r->score < q->score_min || !nom_document_hit(documents, r->doc, r->number, &hit) ||
            !is_wanted(documents, q, &hit))
            continue;
        if (!sx_arena_grow(arena, &hits->items, &cap, hits->count + 1, sizeof(hit)))
            return sx_fail_memory(err, "the hits of a search");
        insert(hits, hit, r->score >= SCORE_SURE);
    }
    if (hits->count > q->limit)
        hits->count = q->limit;
    hits->cap = (uint32_t)cap;
    return SX_OK;
}

sx_status nom_documents_search(const geo_index *documents, geo_searcher *s, geo_results *results,
                               const nom_document_query *q, sx_arena *arena, nom_hits *hits,
                               sx_error *err)
{
    geo_query query = {.text = q->text, .limit = FOUND};
    if (q->text.len == 0)
        return SX_OK;
    sx_status status = geo_search(documents, s, &query, results, err);
    if (status == SX_ELIMIT)
        return SX_OK; /* no address is so long */
    return status == SX_OK ? add_hits(documents, results, q, arena, hits, err) : status;
}

/* --- Reverse. */

static double degrees_to(geo_pt from, geo_at to)
{
    geo_pt p = geo_pt_of(to);
    return hypot(p.lon - from.lon, p.lat - from.lat);
}

/* The first of `results` that no place stands behind. */
static bool first_of(const geo_index *documents, const geo_results *results, bool numbers,
                     nom_hit *out)
{
    for (uint32_t i = 0; i < results->count; i++) {
        const geo_result *r = &results->items[i];
        if (nom_document_hit(documents, r->doc, numbers ? r->number : GEO_NO_NUMBER, out))
            return true;
    }
    return false;
}

/* Where no other source has more than the country: the municipality around. */
static sx_status find_municipality(const geo_index *documents, geo_results *results, geo_pt at,
                                   nom_hit *hit, bool *found, sx_error *err)
{
    const geo_filter filter = {SX_STR("type"), SX_STR("municipality")};
    const geo_reverse_query query = {.lat = at.lat,
                                     .lon = at.lon,
                                     .limit = NEAREST,
                                     .within_m = MUNICIPALITY_M,
                                     .filters = &filter,
                                     .filter_count = 1};
    sx_status status = geo_reverse(documents, &query, results, err);
    nom_hit near;
    if (status != SX_OK || !first_of(documents, results, false, &near))
        return status;
    near.distance = degrees_to(at, near.at);
    *hit = near;
    *found = true;
    return SX_OK;
}

sx_status nom_documents_reverse(const geo_index *documents, geo_results *results, geo_pt at,
                                uint8_t rank_max, nom_hit *hit, bool *found, sx_error *err)
{
    bool vague = !*found || hit->source == NOM_COUNTRY;
    if (rank_max < RANK_MUNICIPALITY)
        return SX_OK;
    if (rank_max >= RANK_STREET) {
        const geo_reverse_query query = {
            .lat = at.lat, .lon = at.lon, .limit = NEAREST, .within_m = WITHIN_M};
        nom_hit near;
        sx_status status = geo_reverse(documents, &query, results, err);
        if (status != SX_OK)
            return status;
        if (first_of(documents, results, rank_max == RANK_HOUSE, &near)) {
            /* The nearest number tells how far its street is, also where only the street is wanted. */
            near.distance = rank_max == RANK_HOUSE ? degrees_to(at, near.at) : 0;
            if (near.distance < REACH && (vague || near.distance < hit->distance)) {
                *hit = near;
                *found = true;
                return SX_OK;
            }
        }
    }
    return vague ? find_municipality(documents, results, at, hit, found, err) : SX_OK;
}

/* --- Answers. */

typedef struct writer {
    const geo_index *documents;
    geo_result result;
    sx_arena *arena;
    nom_answer *out;
    nom_row rows[10];
    bool failed;
} writer;

/* A property's text, in the arena. */
static sx_str text_of(writer *w, const char *key)
{
    char room[GEO_LABEL_BYTES_MAX];
    sx_str text = geo_result_text(w->documents, &w->result, sx_str_z(key), room, sizeof(room));
    sx_str copy = sx_arena_copy(w->arena, text);
    w->failed = w->failed || !copy.data;
    return copy;
}

static void add_row(writer *w, const kind *k, sx_str name)
{
    nom_address *a = &w->out->address;
    if (name.len == 0 || a->count == SX_COUNT_OF(w->rows))
        return;
    w->rows[a->count++] = (nom_row){.place = PLC_NONE,
                                    .class_name = k->class_name,
                                    .type = k->type,
                                    .tags = NOM_NO_TAGS,
                                    .name = name,
                                    .rank_address = k->rank,
                                    .admin_level = 15,
                                    .is_address = true};
}

/* "75, Paris, Île-de-France": a number, the department, the region; of two, only the last is a region. */
static void add_context(writer *w)
{
    static const kind COUNTY = {SX_STR_INIT("place"), SX_STR_INIT("county"), 12};
    static const kind STATE = {SX_STR_INIT("place"), SX_STR_INIT("state"), 8};
    sx_str rest = text_of(w, "context"), parts[4];
    uint32_t count = 0;
    for (bool more = rest.len > 0; more && count < SX_COUNT_OF(parts); count++) {
        more = sx_str_cut(rest, ',', &parts[count], &rest);
        parts[count] = sx_str_trim_all(parts[count]);
    }
    if (count > 2)
        add_row(w, &COUNTY, parts[1]);
    if (count > 1)
        add_row(w, &STATE, parts[count - 1]);
}

static void add_rows(writer *w, const geo_disk_doc *doc, const nom_locale *locale)
{
    static const kind NUMBER = {SX_STR_INIT("place"), SX_STR_INIT("house_number"), 28};
    static const kind POSTCODE = {SX_STR_INIT("place"), SX_STR_INIT("postcode"), 5};
    static const kind COUNTRY = {SX_STR_INIT("place"), SX_STR_INIT("country"), 4};
    static const kind CODE = {SX_STR_INIT("place"), SX_STR_INIT("country_code"), 4};
    nom_object *o = &w->out->object;
    nom_address *a = &w->out->address;
    w->result.number = GEO_NO_NUMBER; /* its name, not the house's */
    sx_str name = text_of(w, "name");
    add_row(w, &NUMBER, o->housenumber);
    add_row(w, kind_of(doc, GEO_NO_NUMBER), name);
    if (o->housenumber.len == 0)
        o->only_name = w->out->name = name;
    if (doc->type != GEO_TYPE_MUNICIPALITY)
        add_row(w, &KINDS[GEO_TYPE_MUNICIPALITY], text_of(w, "city"));
    add_context(w);
    o->postcode = text_of(w, "postcode");
    add_row(w, &POSTCODE, o->postcode);
    a->country = o->country;
    add_row(w, &COUNTRY, nom_country_name(locale, o->country));
    uint32_t before = a->count;
    add_row(w, &CODE, plc_country_code(o->country));
    if (a->count > before)
        w->rows[before].is_address = false;
}

static sx_str housenumber_of(writer *w, const nom_hit *hit)
{
    geo_housenumber n;
    char text[GEO_NUMBER_TEXT_MAX + 16];
    if (hit->number == GEO_NO_NUMBER || !geo_number_at(w->documents, hit->id, hit->number, &n))
        return sx_str_of("", 0);
    sx_str number = sx_arena_copy(w->arena, sx_str_of(text, geo_number_text(&n, text)));
    w->failed = w->failed || !number.data;
    return number;
}

sx_status nom_document_answer(const nom_index *ix, const nom_hit *hit, const nom_locale *locale,
                              sx_arena *arena, nom_answer *out, sx_error *err)
{
    const geo_disk_doc *doc = geo_doc(ix->documents, hit->id);
    geo_source source;
    if (!doc)
        return sx_fail(err, SX_ECORRUPT, "the index has no document %u", hit->id);
    const kind *k = kind_of(doc, hit->number);
    writer w = {.documents = ix->documents,
                .result = {.doc = hit->id, .number = hit->number, .distance_m = -1},
                .arena = arena,
                .out = out};
    *out = (nom_answer){.distance = hit->distance};
    out->object = (nom_object){.source = NOM_DOCUMENT,
                               .id = hit->id,
                               .place = PLC_NONE,
                               .parent = PLC_NONE,
                               .linked = PLC_NONE,
                               .osm_kind = NOM_OSM_NONE,
                               .class_name = k->class_name,
                               .type = k->type,
                               .tags = NOM_NO_TAGS,
                               .rank_search = k->rank,
                               .rank_address = k->rank,
                               .admin_level = 15,
                               .importance = nom_rank_importance(k->rank),
                               .at = hit->at};
    out->object.housenumber = housenumber_of(&w, hit);
    out->object.country = country_of(ix->documents, doc, hit->at);
    add_rows(&w, doc, locale);
    if (geo_index_source(ix->documents, doc->source, &source))
        out->attribution = source.attribution;
    out->address.rows = sx_arena_alloc(arena, sizeof(w.rows));
    if (w.failed || !out->address.rows)
        return sx_fail_memory(err, "an address");
    memcpy(out->address.rows, w.rows, sizeof(w.rows));
    return nom_display_name(&out->address, arena, &out->display_name, err);
}
