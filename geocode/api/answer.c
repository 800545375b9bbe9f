/* answer.c - writing a FeatureCollection. The order of members is Addok's. */
#include "geocode/api/answer.h"

#include "geocode/api/refusal.h"

static bool write_property(void *context, sx_str key, const geo_value *value)
{
    sx_json_writer *w = context;
    sx_json_key(w, key);
    switch (value->kind) {
    case GEO_TRUE:
    case GEO_FALSE:
        sx_json_bool(w, value->kind == GEO_TRUE);
        break;
    case GEO_NUMBER:
    case GEO_JSON:
        sx_json_raw_value(w, value->text);
        break;
    case GEO_STRING:
        sx_json_str(w, value->text);
        break;
    case GEO_NULL:
    case GEO_ARRAY: /* the visit never gives one */
        sx_json_null(w);
        break;
    }
    return true;
}

static void write_position(sx_json_writer *w, double lon, double lat)
{
    sx_json_begin_array(w);
    sx_json_double(w, lon);
    sx_json_double(w, lat);
    sx_json_end_array(w);
}

/* The source that a result comes from. */
static bool source_of(const geo_answer *answer, const geo_result *result, geo_source *out)
{
    const geo_disk_doc *doc = geo_doc(answer->index, result->doc);
    return doc && geo_index_source(answer->index, doc->source, out);
}

/* Whether the results come from sources with different attributions: then each tells its own. */
static bool is_mixed(const geo_answer *answer)
{
    const geo_results *r = answer->results;
    geo_source first, other;
    if (r->count < 2 || !source_of(answer, &r->items[0], &first))
        return false;
    for (uint32_t i = 1; i < r->count; i++) {
        if (source_of(answer, &r->items[i], &other) &&
            !(sx_str_eq(first.attribution, other.attribution) &&
              sx_str_eq(first.licence, other.licence)))
            return true;
    }
    return false;
}

static void write_source(sx_json_writer *w, const geo_answer *answer, const geo_result *result)
{
    geo_source source;
    if (!source_of(answer, result, &source))
        return;
    sx_json_key(w, SX_STR("attribution"));
    sx_json_str(w, source.attribution);
    sx_json_key(w, SX_STR("licence"));
    sx_json_str(w, source.licence);
}

static sx_status write_feature(sx_json_writer *w, const geo_answer *answer,
                               const geo_result *result, bool mixed, sx_error *err)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("type"));
    sx_json_str(w, SX_STR("Feature"));
    sx_json_key(w, SX_STR("geometry"));
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("type"));
    sx_json_str(w, SX_STR("Point"));
    sx_json_key(w, SX_STR("coordinates"));
    write_position(w, result->lon_e7 / 1e7, result->lat_e7 / 1e7);
    sx_json_end_object(w);
    sx_json_key(w, SX_STR("properties"));
    sx_json_begin_object(w);
    sx_status status = geo_result_properties(answer->index, result, write_property, w, err);
    if (mixed)
        write_source(w, answer, result);
    sx_json_end_object(w);
    if (status == SX_OK && sx_unlikely(answer->explaining != NULL))
        status = geo_explain_write_result(w, answer->index, answer->explaining, result, err);
    sx_json_end_object(w);
    return status;
}

/* One text of every source that answered, or of all sources if none did: their attributions, or their
 * licences. */
static void write_sources(sx_json_writer *w, const geo_answer *answer, bool licence)
{
    char joined[1024];
    size_t len = 0;
    geo_stat stat;
    geo_index_stat(answer->index, &stat);
    for (uint32_t i = 0; i < stat.sources; i++) {
        bool used = answer->results->count == 0;
        for (uint32_t k = 0; k < answer->results->count && !used; k++) {
            const geo_disk_doc *doc = geo_doc(answer->index, answer->results->items[k].doc);
            used = doc && doc->source == i;
        }
        geo_source source;
        if (!used || !geo_index_source(answer->index, i, &source))
            continue;
        sx_str text = licence ? source.licence : source.attribution;
        if (text.len == 0 || len + text.len + 2 > sizeof(joined) ||
            sx_str_find(sx_str_of(joined, len), text) < len)
            continue;
        if (len) {
            memcpy(joined + len, ", ", 2);
            len += 2;
        }
        memcpy(joined + len, text.data, text.len);
        len += text.len;
    }
    sx_json_str(w, sx_str_of(joined, len));
}

static void write_filters(sx_json_writer *w, const geo_answer *answer)
{
    bool began = false;
    for (size_t i = 0; answer->filters[i]; i++) {
        const geo_param_filter *filter = &answer->params->filters[i];
        if (!filter->given)
            continue;
        if (!began) {
            sx_json_key(w, SX_STR("filters"));
            sx_json_begin_object(w);
            began = true;
        }
        sx_json_key(w, sx_str_z(answer->filters[i]));
        sx_json_begin_array(w);
        for (size_t k = 0; k < filter->count; k++)
            sx_json_str(w, filter->values[k]);
        sx_json_end_array(w);
    }
    if (began)
        sx_json_end_object(w);
}

static void write_tail(sx_json_writer *w, const geo_answer *answer)
{
    const geo_params *p = answer->params;
    sx_json_key(w, SX_STR("attribution"));
    write_sources(w, answer, false);
    sx_json_key(w, SX_STR("licence"));
    write_sources(w, answer, true);
    if (p->q.len) {
        sx_json_key(w, SX_STR("query"));
        sx_json_str(w, p->q);
    }
    write_filters(w, answer);
    /* Addok tells the centre only if neither coordinate is 0, which it takes for absent. */
    if (p->q.len && p->has_lat && p->has_lon && p->lat != 0 && p->lon != 0) {
        sx_json_key(w, SX_STR("center"));
        write_position(w, p->lon, p->lat);
    }
    sx_json_key(w, SX_STR("limit"));
    sx_json_i64(w, answer->limit);
    if (answer->explaining)
        geo_explain_write_search(w, answer->explaining);
}

sx_status geo_answer_write(const geo_answer *answer, sx_buf *out, sx_error *err)
{
    sx_json_writer w;
    sx_status status = SX_OK;
    sx_json_writer_init(&w, out, &GEO_JSON_STYLE);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("type"));
    sx_json_str(&w, SX_STR("FeatureCollection"));
    sx_json_key(&w, SX_STR("version"));
    sx_json_str(&w, SX_STR("draft"));
    sx_json_key(&w, SX_STR("features"));
    sx_json_begin_array(&w);
    bool mixed = is_mixed(answer);
    for (uint32_t i = 0; i < answer->results->count && status == SX_OK; i++)
        status = write_feature(&w, answer, &answer->results->items[i], mixed, err);
    sx_json_end_array(&w);
    write_tail(&w, answer);
    sx_json_end_object(&w);
    return status == SX_OK ? sx_json_writer_finish(&w, err) : status;
}
