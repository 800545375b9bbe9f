/* answer.c - what all formats say of an answer. See answer.h. */
#include "geocode/nominatim/answer.h"
#include "geocode/nominatim/document.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double IMPORTANCE_NOISE = 1e-6;

sx_status nom_answer_of(const nom_index *ix, const nom_hit *hit, const nom_locale *locale,
                        sx_arena *arena, nom_answer *out, sx_error *err)
{
    if (hit->source == NOM_DOCUMENT)
        return nom_document_answer(ix, hit, locale, arena, out, err);
    *out = (nom_answer){.distance = hit->distance};
    sx_status status = nom_object_of(ix, hit, &out->object, err);
    /* What a search says of a hit counts (near another place, it is the distance); it was a float. */
    if (status == SX_OK && fabs(hit->importance - out->object.importance) > IMPORTANCE_NOISE &&
        hit->importance != 0)
        out->object.importance = hit->importance;
    if (status == SX_OK)
        status = nom_address_rows(ix, &out->object, locale, arena, &out->address, err);
    if (status == SX_OK)
        status = nom_display_name(&out->address, arena, &out->display_name, err);
    if (status != SX_OK)
        return status;
    const nom_object *o = &out->object;
    if (o->source == NOM_PLACE)
        out->name = nom_locale_name(locale, ix->places, o->tags);
    else if (o->source == NOM_COUNTRY && out->address.count > 0)
        out->name = out->address.rows[0].name;
    else
        out->name = o->only_name;
    if (out->display_name.len == 0)
        out->display_name = out->name.len ? out->name : o->housenumber;
    return SX_OK;
}

sx_status nom_print_answers(const nom_index *ix, const nom_answer *const *answers, uint32_t count,
                            const nom_print *options, sx_arena *arena, sx_buf *out, sx_error *err)
{
    sx_status status = options->format == NOM_FORMAT_XML
                           ? nom_print_xml(ix, answers, count, options, arena, out, err)
                           : nom_print_json(ix, answers, count, options, arena, out, err);
    return status == SX_OK ? sx_buf_status(out, "the answer", err) : status;
}

static sx_str own_place_tag(const nom_index *ix, const nom_object *o)
{
    if (o->source != NOM_PLACE)
        return sx_str_of("", 0);
    sx_str place = plc_tag(ix->places, o->tags, PLC_EXTRATAGS, SX_STR("place"));
    return place.len ? place : plc_tag(ix->places, o->tags, PLC_EXTRATAGS, SX_STR("linked_place"));
}

sx_str nom_answer_label(const nom_index *ix, const nom_answer *answer,
                        char out[NOM_LABEL_BYTES_MAX])
{
    const nom_object *o = &answer->object;
    return nom_label(o->class_name, o->type, own_place_tag(ix, o), o->rank_address,
                     answer->address.country, out, NOM_LABEL_BYTES_MAX);
}

/* Appends a part; of a label that is there already, the old value stays unless `replace`. */
static void add_part(nom_part *parts, uint32_t *count, sx_str label, sx_str value, bool replace)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (sx_str_eq(parts[i].label, label)) {
            if (replace)
                parts[i].value = value;
            return;
        }
    }
    parts[(*count)++] = (nom_part){label, value};
}

static sx_str region_code(const nom_index *ix, uint64_t tags)
{
    sx_str code = plc_tag(ix->places, tags, PLC_NAMES, SX_STR("ISO3166-2"));
    return code.len ? code : plc_tag(ix->places, tags, PLC_NAMES, SX_STR("_place_ISO3166-2"));
}

sx_status nom_address_parts(const nom_index *ix, const nom_answer *answer, sx_arena *arena,
                            nom_part **parts, uint32_t *count, sx_error *err)
{
    const nom_address *a = &answer->address;
    *count = 0;
    *parts = sx_arena_calloc(arena, 2 * (size_t)a->count + 1, sizeof(**parts));
    if (!*parts)
        return sx_fail_memory(err, "an address");
    for (uint32_t i = 0; i < a->count; i++) {
        const nom_row *row = &a->rows[i];
        if (!row->is_address)
            continue;
        if (row->name.len > 0) {
            char text[NOM_LABEL_BYTES_MAX];
            sx_str label =
                sx_arena_copy(arena, nom_label(row->class_name, row->type, row->extra_place,
                                               row->rank_address, a->country, text, sizeof(text)));
            if (!label.data)
                return sx_fail_memory(err, "an address");
            add_part(*parts, count, label, row->name, false);
        }
        sx_str code = row->tags != NOM_NO_TAGS && row->admin_level > 0 ? region_code(ix, row->tags)
                                                                       : sx_str_of("", 0);
        if (code.len > 0) {
            sx_str label = sx_arena_printf(arena, "ISO3166-2-lvl%u", row->admin_level);
            if (!label.data)
                return sx_fail_memory(err, "an address");
            add_part(*parts, count, label, code, true);
        }
    }
    if (a->country) {
        char code[3];
        plc_country_text(a->country, code);
        sx_str value = sx_arena_copy(arena, sx_str_z(code));
        if (!value.data)
            return sx_fail_memory(err, "an address");
        add_part(*parts, count, SX_STR("country_code"), value, true);
    }
    return SX_OK;
}

sx_str nom_coordinate(int32_t e7, char out[NOM_COORDINATE_BYTES])
{
    uint32_t size = e7 < 0 ? 0 - (uint32_t)e7 : (uint32_t)e7;
    int len = snprintf(out, NOM_COORDINATE_BYTES, "%s%u.%07u", e7 < 0 ? "-" : "", size / GEO_E7,
                       size % GEO_E7);
    return sx_str_of(out, (size_t)len);
}

/* What is added behind an object's own tags. */
enum { AT_TAGS, AT_FIRST, AT_LAST, AT_STEP, AT_END };

void nom_extratags_begin(const nom_index *ix, const nom_object *object, nom_extratags *it)
{
    *it = (nom_extratags){.object = object};
    if (object->source == NOM_PLACE)
        plc_tags_begin(ix->places, object->tags, PLC_EXTRATAGS, &it->tags);
}

static bool add_number(nom_extratags *it, sx_str name, int64_t number, sx_str *key, sx_str *value)
{
    int len = snprintf(it->digits, sizeof(it->digits), "%lld", (long long)number);
    *key = name;
    *value = sx_str_of(it->digits, (size_t)len);
    return true;
}

bool nom_extratags_next(nom_extratags *it, sx_str *key, sx_str *value)
{
    const nom_object *o = it->object;
    if (o->source == NOM_PLACE && plc_tags_next(&it->tags, key, value))
        return true;
    const plc_disk_interpolation *i = o->interpolation;
    it->at++;
    if (i) {
        if (it->at == AT_FIRST)
            return add_number(it, SX_STR("startnumber"), i->first, key, value);
        if (it->at == AT_LAST)
            return add_number(it, SX_STR("endnumber"), i->last, key, value);
        return it->at == AT_STEP && add_number(it, SX_STR("step"), i->step, key, value);
    }
    bool administrative = sx_str_eq(o->class_name, SX_STR("boundary")) &&
                          sx_str_eq(o->type, SX_STR("administrative"));
    return it->at == AT_FIRST && administrative && o->admin_level < 15 &&
           add_number(it, SX_STR("admin_level"), o->admin_level, key, value);
}
