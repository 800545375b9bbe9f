/* answer.c - hits as Photon's GeoJSON: the main tag, the layer, the name and one value for each part of the
 * address. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sextant/json.h>

#include "geocode/photon/find.h"

/* One answer, with what it is said to lie in. */
typedef struct feature {
    nom_answer answer;
    photon_layer layer;
    sx_str key, value; /* the main tag */
    sx_str name;
    sx_str within[PHOTON_LAYERS]; /* by layer; empty: nothing */
    sx_str housenumber, postcode;
} feature;

/* --- What is said. */

static bool is_postcode(sx_str class_name, sx_str type)
{
    return (sx_str_eq(class_name, SX_STR("place")) && sx_str_eq(type, SX_STR("postcode"))) ||
           (sx_str_eq(class_name, SX_STR("boundary")) && sx_str_eq(type, SX_STR("postal_code")));
}

/* Rows that name no place: numbers and codes, which have members of their own. */
static bool is_no_place(const nom_row *row)
{
    static const sx_str TYPES[] = {SX_STR_INIT("house_number"), SX_STR_INIT("postcode"),
                                   SX_STR_INIT("country_code")};
    for (size_t i = 0; i < SX_COUNT_OF(TYPES) && row->place == PLC_NONE; i++) {
        if (sx_str_eq(row->type, TYPES[i]))
            return true;
    }
    return is_postcode(row->class_name, row->type);
}

/* The first of each layer counts; what is of the place's own layer is beside it, not around it. */
static void read_rows(feature *f)
{
    const nom_address *a = &f->answer.address;
    for (uint32_t i = 0; i < a->count; i++) {
        const nom_row *row = &a->rows[i];
        bool own = row->place != PLC_NONE && row->place == f->answer.object.place;
        if (!row->is_address || row->name.len == 0 || own)
            continue;
        photon_layer layer = photon_layer_of(row->rank_address);
        if (is_no_place(row)) {
            if (f->postcode.len == 0 && is_postcode(row->class_name, row->type))
                f->postcode = row->name;
            else if (sx_str_eq(row->type, SX_STR("house_number")))
                f->housenumber = row->name;
        } else if (f->answer.object.source == NOM_DOCUMENT && layer == f->layer && !f->name.len) {
            f->name = row->name; /* its own row is no place's */
        } else if (layer != f->layer && layer != PHOTON_LAYER_house &&
                   layer != PHOTON_LAYER_other && f->within[layer].len == 0) {
            f->within[layer] = row->name;
        }
    }
}

static sx_status make_feature(const photon_asked *a, const nom_hit *hit, feature *f, sx_error *err)
{
    *f = (feature){0};
    sx_status status = nom_answer_of(a->index, hit, a->locale, a->arena, &f->answer, err);
    if (status != SX_OK)
        return status;
    const nom_object *o = &f->answer.object;
    bool postcode = is_postcode(o->class_name, o->type);
    f->key = postcode ? SX_STR("place") : o->class_name;
    f->value = postcode ? SX_STR("postcode") : o->type;
    f->layer = postcode ? PHOTON_LAYER_other : photon_layer_of(o->rank_address);
    f->name = f->answer.name;
    read_rows(f);
    if (postcode && o->source == NOM_POSTCODE)
        f->postcode = o->only_name;
    return SX_OK;
}

/* --- Streets that come in pieces are said once. */

/* Of Dutch postcodes the digits count, of British ones all but the last two letters. */
static sx_str coarse_postcode(const feature *f)
{
    sx_str postcode = f->postcode;
    size_t space = sx_str_find_byte(postcode, ' ');
    uint16_t country = f->answer.address.country;
    if (space == 0 || space >= postcode.len)
        return postcode;
    if (country == plc_country_of(SX_STR("nl")))
        return sx_str_first(postcode, space);
    if (country == plc_country_of(SX_STR("gb")) && postcode.len > space + 2)
        return sx_str_first(postcode, space + 2);
    return postcode;
}

static bool is_same_street(const feature *a, const feature *b)
{
    return sx_str_eq(a->key, SX_STR("highway")) && sx_str_eq(b->key, a->key) && a->name.len > 0 &&
           sx_str_eq(a->name, b->name) && sx_str_eq(a->value, b->value) &&
           a->answer.address.country == b->answer.address.country &&
           sx_str_eq(coarse_postcode(a), coarse_postcode(b));
}

/* --- query_string_filter: words, or field:word, that an answer has to hold. */

static bool has_word(sx_str text, sx_str word)
{
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (sx_str_ieq(sx_str_of(text.data + i, word.len), word))
            return true;
    }
    return false;
}

static bool meets_term(const feature *f, sx_str term)
{
    const struct {
        const char *name;
        sx_str value;
    } fields[] = {
        {"osm_key", f->key},
        {"osm_value", f->value},
        {"type", photon_layer_name(f->layer)},
        {"name", f->name},
        {"housenumber", f->housenumber},
        {"street", f->within[PHOTON_LAYER_street]},
        {"city", f->within[PHOTON_LAYER_city]},
        {"postcode", f->postcode},
    };
    sx_str field, word;
    if (!sx_str_cut(term, ':', &field, &word))
        return has_word(f->answer.display_name, term) || has_word(f->value, term);
    for (size_t i = 0; i < SX_COUNT_OF(fields); i++) {
        sx_str name = field;
        size_t point = sx_str_find_byte(field, '.'); /* "name.default" */
        if (point < field.len)
            name = sx_str_first(field, point);
        if (sx_str_eq(name, sx_str_z(fields[i].name)))
            return i < 3 ? sx_str_eq(fields[i].value, word) : has_word(fields[i].value, word);
    }
    return false;
}

/* Blanks and AND join, NOT or '-' before a term turns it round. */
static bool meets_words(const feature *f, sx_str words)
{
    bool turned = false;
    while (words.len) {
        sx_str term, rest = {0};
        if (!sx_str_cut(words, ' ', &term, &rest))
            term = words;
        words = rest;
        if (term.len == 0 || sx_str_eq(term, SX_STR("AND")))
            continue;
        if (sx_str_eq(term, SX_STR("NOT"))) {
            turned = true;
            continue;
        }
        if (term.data[0] == '-') {
            turned = true;
            term = sx_str_from(term, 1);
        }
        if (meets_term(f, term) == turned)
            return false;
        turned = false;
    }
    return true;
}

/* --- How it is said. */

static void put(sx_json_writer *w, const char *key, sx_str value)
{
    if (value.len == 0)
        return;
    sx_json_key(w, sx_str_z(key));
    sx_json_str(w, value);
}

static void put_point(sx_json_writer *w, int32_t lon_e7, int32_t lat_e7)
{
    sx_json_double(w, lon_e7 / (double)GEO_E7);
    sx_json_double(w, lat_e7 / (double)GEO_E7);
}

static void put_properties(sx_json_writer *w, const feature *f)
{
    const nom_object *o = &f->answer.object;
    char country[3];
    if (o->osm_kind != NOM_OSM_NONE) {
        put(w, "osm_type", sx_str_of(&"NWR"[o->osm_kind], 1));
        sx_json_key(w, SX_STR("osm_id"));
        sx_json_i64(w, o->osm_id);
    }
    put(w, "osm_key", f->key);
    put(w, "osm_value", f->value);
    put(w, "type", photon_layer_name(f->layer));
    put(w, "housenumber", f->housenumber);
    put(w, "name", f->name);
    for (unsigned layer = PHOTON_LAYER_street; layer <= PHOTON_LAYER_country; layer++)
        put(w, photon_layer_name((photon_layer)layer).data, f->within[layer]);
    put(w, "postcode", f->postcode);
    plc_country_text(f->answer.address.country, country);
    for (char *c = country; *c; c++)
        *c = (char)(*c & ~0x20);
    put(w, "countrycode", sx_str_z(country));
    if (o->has_box && (o->box.lon_min < o->box.lon_max || o->box.lat_min < o->box.lat_max)) {
        sx_json_key(w, SX_STR("extent"));
        sx_json_begin_array(w);
        put_point(w, o->box.lon_min, o->box.lat_max);
        put_point(w, o->box.lon_max, o->box.lat_min);
        sx_json_end_array(w);
    }
}

static sx_status put_geometry(sx_json_writer *w, const photon_asked *a, const feature *f,
                              sx_error *err)
{
    const nom_object *o = &f->answer.object;
    sx_json_key(w, SX_STR("geometry"));
    if (a->query->geometry && o->shape.len > 0) {
        sx_buf outline;
        sx_buf_init(&outline, 0);
        sx_status status =
            nom_outline(&f->answer, NOM_POLYGON_GEOJSON, &(nom_print){0}, a->arena, &outline, err);
        if (status == SX_OK)
            status = sx_buf_status(&outline, "an outline", err);
        sx_json_raw_value(w, status == SX_OK ? sx_buf_view(&outline) : SX_STR("null"));
        sx_buf_done(&outline);
        return status;
    }
    sx_json_begin_object(w);
    put(w, "type", SX_STR("Point"));
    sx_json_key(w, SX_STR("coordinates"));
    sx_json_begin_array(w);
    put_point(w, o->at.lon_e7, o->at.lat_e7);
    sx_json_end_array(w);
    sx_json_end_object(w);
    return SX_OK;
}

static sx_status put_feature(sx_json_writer *w, const photon_asked *a, const feature *f,
                             sx_error *err)
{
    sx_json_begin_object(w);
    put(w, "type", SX_STR("Feature"));
    sx_json_key(w, SX_STR("properties"));
    sx_json_begin_object(w);
    put_properties(w, f);
    sx_json_end_object(w);
    sx_status status = put_geometry(w, a, f, err);
    sx_json_end_object(w);
    return status;
}

/* --- The whole. */

static sx_status choose(const photon_asked *a, const nom_hits *hits, feature *features,
                        uint32_t *count, sx_error *err)
{
    const photon_query *q = a->query;
    for (uint32_t i = 0; i < hits->count && *count < q->limit; i++) {
        feature *f = &features[*count];
        sx_status status = make_feature(a, &hits->items[i], f, err);
        if (status != SX_OK)
            return status;
        bool wanted = q->words.len == 0 || meets_words(f, q->words);
        for (uint32_t k = 0; k < *count && wanted && q->dedupe; k++)
            wanted = !is_same_street(&features[k], f);
        *count += wanted;
    }
    return SX_OK;
}

/* Data of several sources may be in one answer: each is named. Data NULL without memory. */
static sx_str attribution_of(const feature *features, uint32_t count, sx_arena *arena)
{
    sx_str all = SX_STR("");
    for (uint32_t i = 0; i < count && all.data; i++) {
        sx_str one = features[i].answer.attribution;
        if (one.len == 0)
            one = SX_STR(NOM_ATTRIBUTION);
        if (sx_str_find(all, one) == all.len)
            all =
                sx_arena_printf(arena, "%.*s%s%.*s", SX_ARG(all), all.len ? "; " : "", SX_ARG(one));
    }
    return all;
}

sx_status photon_write(const photon_asked *a, const nom_hits *hits, sx_buf *out, sx_error *err)
{
    feature *features = sx_arena_alloc(a->arena, a->query->limit * sizeof(*features));
    uint32_t count = 0;
    if (!features)
        return sx_fail_memory(err, "the answer");
    sx_status status = choose(a, hits, features, &count, err);
    if (status != SX_OK)
        return status;
    sx_str attribution = attribution_of(features, count, a->arena);
    if (!attribution.data)
        return sx_fail_memory(err, "the answer");
    sx_json_writer w;
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    put(&w, "type", SX_STR("FeatureCollection"));
    sx_json_key(&w, SX_STR("features"));
    sx_json_begin_array(&w);
    for (uint32_t i = 0; i < count && status == SX_OK; i++)
        status = put_feature(&w, a, &features[i], err);
    sx_json_end_array(&w);
    put(&w, "attribution", attribution);
    sx_json_end_object(&w);
    return status == SX_OK ? sx_buf_status(out, "the answer", err) : status;
}

void photon_write_refusal(sx_str message, sx_buf *out)
{
    sx_json_writer w;
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    put(&w, "message", message.len ? message : SX_STR("Unknown error."));
    sx_json_end_object(&w);
}

void photon_write_status(int64_t data_ms, sx_str version, sx_buf *out)
{
    char date[32] = "";
    time_t seconds = (time_t)(data_ms / 1000);
    struct tm utc;
    sx_json_writer w;
    if (data_ms > 0 && gmtime_r(&seconds, &utc))
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    put(&w, "status", SX_STR("Ok"));
    sx_json_key(&w, SX_STR("import_date"));
    sx_json_str(&w, sx_str_z(date));
    put(&w, "version", version);
    put(&w, "git_commit", SX_STR("unknown"));
    sx_json_end_object(&w);
}
