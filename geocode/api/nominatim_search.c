/* nominatim_search.c - Nominatim's /search: words or fields in, places out. See nominatim.h. */
#include <stdio.h>

#include "geocode/api/nominatim.h"
#include "geocode/api/nominatim_ask.h"
#include "geocode/nominatim/document.h"
#include "geocode/nominatim/search.h"

/* --- What XML repeats: the question, and a link to more answers. */

typedef struct link {
    sx_buf *out;
    bool any;
} link;

/* Appends "name=value", the value as a form's: letters, digits and "_.-~" as they are, blanks as "+". */
static void put_pair(link *l, const char *name, sx_str value)
{
    static const char HEX[] = "0123456789ABCDEF";
    sx_buf_byte(l->out, l->any ? '&' : '?');
    sx_buf_str(l->out, sx_str_z(name));
    sx_buf_byte(l->out, '=');
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = (uint8_t)value.data[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     c == '_' || c == '.' || c == '-' || c == '~';
        if (plain)
            sx_buf_byte(l->out, (char)c);
        else if (c == ' ')
            sx_buf_byte(l->out, '+');
        else {
            sx_buf_byte(l->out, '%');
            sx_buf_byte(l->out, HEX[c >> 4]);
            sx_buf_byte(l->out, HEX[c & 15]);
        }
    }
    l->any = true;
}

static void put_flag(link *l, const char *name, bool on)
{
    if (on)
        put_pair(l, name, SX_STR("1"));
}

/* "N123,W5": what was found, then what had been left out already. */
static void put_excluded(sx_buf *out, const nom_search_params *p, const nom_answer *const *answers,
                         uint32_t count)
{
    static const char KINDS[] = "NWR";
    for (uint32_t i = 0; i < count; i++) {
        const nom_object *o = &answers[i]->object;
        if (o->osm_kind == NOM_OSM_NONE && o->source == NOM_COUNTRY)
            continue;
        if (out->len)
            sx_buf_byte(out, ',');
        if (o->osm_kind == NOM_OSM_NONE)
            sx_buf_printf(out, "%llu", (unsigned long long)nom_object_place_id(o));
        else
            sx_buf_printf(out, "%c%lld", KINDS[o->osm_kind], (long long)o->osm_id);
    }
    for (uint32_t i = 0; i < p->excluded_count; i++) {
        const nom_ref *ref = &p->excluded[i];
        if (out->len)
            sx_buf_byte(out, ',');
        if (!ref->by_place_id)
            sx_buf_byte(out, KINDS[ref->osm_kind]);
        sx_buf_printf(out, "%lld", (long long)ref->id);
    }
}

static sx_str viewbox_text(const nom_search_query *q, char *out, size_t cap)
{
    const double E7 = GEO_E7;
    if (!q->has_viewbox)
        return sx_str_of("", 0);
    int len = snprintf(out, cap, "%.7g,%.7g,%.7g,%.7g", q->viewbox.lon_min / E7,
                       q->viewbox.lat_min / E7, q->viewbox.lon_max / E7, q->viewbox.lat_max / E7);
    return sx_str_of(out, (size_t)len);
}

static void put_question(link *l, const nom_request *q)
{
    static const nom_param PARTS[] = {NOM_P_AMENITY, NOM_P_STREET,     NOM_P_CITY,    NOM_P_COUNTY,
                                      NOM_P_STATE,   NOM_P_POSTALCODE, NOM_P_COUNTRY, NOM_P_Q};
    for (size_t i = 0; i < SX_COUNT_OF(PARTS); i++) {
        if (q->values[PARTS[i]].len)
            put_pair(l, nom_param_name(PARTS[i]).data, q->values[PARTS[i]]);
    }
}

static void put_more_url(const nom_asking *a, sx_str excluded, sx_str viewbox, sx_buf *out)
{
    const nom_search_params *p = &a->task->search;
    const nom_search_query *q = &p->query;
    const nom_output *o = &p->output;
    char number[32];
    link l = {out, false};
    uint32_t more = q->limit < 10 ? q->limit : 10, limit = q->limit + (q->dedupe ? more : 0);
    sx_buf_str(out, a->task->base);
    sx_buf_str(out, SX_STR("/search"));
    put_question(&l, &a->task->query);
    put_flag(&l, "polygon_geojson", o->polygons & NOM_POLYGON_GEOJSON);
    put_flag(&l, "polygon_kml", o->polygons & NOM_POLYGON_KML);
    put_flag(&l, "polygon_svg", o->polygons & NOM_POLYGON_SVG);
    put_flag(&l, "polygon_text", o->polygons & NOM_POLYGON_TEXT);
    put_flag(&l, "addressdetails", true);
    put_flag(&l, "entrances", o->entrances);
    put_flag(&l, "namedetails", o->names);
    put_flag(&l, "extratags", o->extratags);
    if (o->threshold > 0) {
        int len = snprintf(number, sizeof(number), "%.6g", o->threshold);
        put_pair(&l, "polygon_threshold", sx_str_of(number, (size_t)len));
    }
    if (limit != 10) {
        int len = snprintf(number, sizeof(number), "%u", limit);
        put_pair(&l, "limit", sx_str_of(number, (size_t)len));
    }
    if (p->countries.len)
        put_pair(&l, "countrycodes", p->countries);
    put_pair(&l, "exclude_place_ids", excluded);
    if (viewbox.len)
        put_pair(&l, "viewbox", viewbox);
    put_flag(&l, "bounded", q->bounded);
    if (!q->dedupe)
        put_pair(&l, "dedupe", SX_STR("0"));
    if (p->feature_type.len)
        put_pair(&l, "featureType", p->feature_type);
    put_pair(&l, "format", SX_STR("xml"));
}

/* --- The answer. */

/* Makes what XML's head needs; its texts are in the three buffers' places. */
typedef struct head {
    sx_buf excluded, more_url;
    char viewbox[128];
} head;

static sx_status print_xml(const nom_asking *a, const nom_answer *const *answers, uint32_t count,
                           nom_print *print, sx_error *err)
{
    head h;
    const nom_search_params *p = &a->task->search;
    sx_buf_init(&h.excluded, 0);
    sx_buf_init(&h.more_url, 0);
    print->viewbox = viewbox_text(&p->query, h.viewbox, sizeof(h.viewbox));
    put_excluded(&h.excluded, p, answers, count);
    print->excluded = sx_buf_view(&h.excluded);
    put_more_url(a, print->excluded, print->viewbox, &h.more_url);
    print->more_url = sx_buf_view(&h.more_url);
    sx_status status = sx_buf_status(&h.excluded, "the answer", err);
    if (status == SX_OK)
        status = sx_buf_status(&h.more_url, "the answer", err);
    if (status == SX_OK)
        status = nom_asking_print(a, answers, count, print, err);
    sx_buf_done(&h.excluded);
    sx_buf_done(&h.more_url);
    return status;
}

/* Addok's score of what is written as an address is; where typing errors are forgiven, less will do. */
#define SCORE_EXACT 0.85
#define SCORE_FUZZY 0.5

/* The fields of a structured search in the order in which an address is written; the text of another. */
static sx_str words_of(const nom_asking *a)
{
    const nom_search_query *q = &a->task->search.query;
    const sx_str parts[] = {q->text, q->street, q->postalcode, q->city};
    sx_str words = SX_STR("");
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++) {
        if (parts[i].len)
            words = words.len ? sx_arena_printf(&a->s->arena, "%.*s %.*s", SX_ARG(words),
                                                SX_ARG(parts[i]))
                              : parts[i];
    }
    return words;
}

/* What other sources than OpenStreetMap have, behind what it has. */
static sx_status find_documents(const nom_asking *a, nom_hits *hits, sx_error *err)
{
    const nom_search_params *p = &a->task->search;
    const nom_search_query *q = &p->query;
    if (!a->task->ask.on->other_sources ||
        (q->layers != NOM_LAYERS_ANY && !(q->layers & NOM_LAYER_ADDRESS)))
        return SX_OK;
    const nom_document_query query = {.text = words_of(a),
                                      .score_min = q->fuzzy ? SCORE_FUZZY : SCORE_EXACT,
                                      .countries = q->countries,
                                      .country_count = q->country_count,
                                      .bounded = q->bounded && q->has_viewbox,
                                      .viewbox = q->viewbox,
                                      .excluded = q->excluded,
                                      .excluded_count = q->excluded_count,
                                      .rank_min = q->rank_min,
                                      .rank_max = q->rank_max,
                                      .limit = q->limit};
    return nom_documents_search(nom_asking_index(a)->documents, a->s->searcher, &a->s->results,
                                &query, &a->s->arena, hits, err);
}

static sx_status find(const nom_asking *a, nom_hits *hits, sx_error *err)
{
    const nom_search_params *p = &a->task->search;
    *hits = (nom_hits){0};
    if (p->nothing)
        return SX_OK;
    geo_spans_candidates(a->spans);
    sx_status status = nom_search(nom_asking_index(a), a->task->ask.on->words, a->s->nominatim,
                                  &p->query, a->locale, &a->s->arena, hits, err);
    return status == SX_OK ? find_documents(a, hits, err) : status;
}

static sx_status answer_search(const nom_asking *a, uint32_t *results, sx_error *err)
{
    const nom_search_params *p = &a->task->search;
    sx_arena *arena = &a->s->arena;
    nom_hits hits;
    sx_status status = find(a, &hits, err);
    if (status != SX_OK)
        return status;
    nom_answer *all = sx_arena_calloc(arena, hits.count + 1, sizeof(*all));
    const nom_answer **answers = sx_arena_calloc(arena, hits.count + 1, sizeof(*answers));
    status = all && answers ? SX_OK : sx_fail_memory(err, "the answers of a search");
    for (uint32_t i = 0; status == SX_OK && i < hits.count; i++) {
        answers[i] = &all[i];
        status = nom_answer_of(nom_asking_index(a), &hits.items[i], a->locale, arena, &all[i], err);
    }
    if (status != SX_OK)
        return status;
    nom_print print = nom_print_of(a, &p->output);
    print.query = p->shown;
    *results = hits.count;
    return p->output.format == NOM_FORMAT_XML
               ? print_xml(a, answers, hits.count, &print, err)
               : nom_asking_print(a, answers, hits.count, &print, err);
}

void geo_nominatim_search(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_search, &s);
    (void)ctx;
    if (!t)
        return;
    t->answer = answer_search;
    t->base = sx_arena_printf(&r->arena, "%.*s://%.*s%s", SX_ARG(r->scheme), SX_ARG(r->authority),
                              sx_str_starts(r->path, SX_STR("/nominatim/")) ? "/nominatim" : "");
    if (nom_search_read(&t->query, &r->arena, &t->search, &t->refusal))
        nom_task_answer(t, r, s);
    else
        nom_task_refuse(&t->refusal, r, s);
}
