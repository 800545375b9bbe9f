/* document.c - see document.h.
 *
 * Properties keep their order and their text, so that answers print what came in. A few of them the
 * geocoder reads itself: id, type, lon, lat, importance, housenumbers. */
#include "geocode/import/document.h"

#include <sextant/json.h>

typedef struct parser {
    sx_json json;
    sx_arena *arena;
    const geo_import_limits *limits;
} parser;

static bool no_memory(parser *p)
{
    return sx_json_fail(&p->json, SX_ENOMEM, "no memory to hold the document");
}

/* A value that is neither array nor object. */
static bool read_scalar(parser *p, geo_in_value *out)
{
    sx_json *j = &p->json;
    bool flag;
    *out = (geo_in_value){.kind = GEO_NULL, .count = 1};
    switch (sx_json_peek(j)) {
    case SX_JSON_STRING:
        out->kind = GEO_STRING;
        return sx_json_read_str(j, &out->text);
    case SX_JSON_NUMBER:
        out->kind = GEO_NUMBER;
        return sx_json_read_number(j, &out->text);
    case SX_JSON_TRUE:
    case SX_JSON_FALSE:
        if (!sx_json_read_bool(j, &flag))
            return false;
        out->kind = flag ? GEO_TRUE : GEO_FALSE;
        return true;
    case SX_JSON_NULL:
        return sx_json_take_null(j);
    case SX_JSON_ARRAY:
    case SX_JSON_OBJECT:
        /* Inside an array, or below a property: kept as its text. */
        out->kind = GEO_JSON;
        return sx_json_raw(j, &out->text);
    default:
        return false;
    }
}

static bool read_array(parser *p, geo_in_value *out)
{
    geo_in_value *items = NULL;
    size_t cap = 0;
    *out = (geo_in_value){.kind = GEO_ARRAY};
    if (!sx_json_enter_array(&p->json))
        return false;
    while (sx_json_next_item(&p->json)) {
        if (out->count == p->limits->names_max)
            return sx_json_fail(&p->json, SX_ELIMIT, "an array has more than %u values",
                                p->limits->names_max);
        if (!sx_arena_grow(p->arena, &items, &cap, out->count + 1u, sizeof(*items)))
            return no_memory(p);
        if (!read_scalar(p, &items[out->count++]))
            return false;
    }
    out->items = items;
    return sx_json_status(&p->json, NULL) == SX_OK;
}

static bool read_value(parser *p, geo_in_value *out)
{
    return sx_json_peek(&p->json) == SX_JSON_ARRAY ? read_array(p, out) : read_scalar(p, out);
}

/* A growing list of properties. */
typedef struct property_list {
    geo_in_property *items;
    uint32_t count;
    size_t cap;
    uint32_t most;
} property_list;

/* Reads the value of `key` and appends both. A key that is there already gets the new value. NULL:
 * the parser has failed. */
static geo_in_property *read_property(parser *p, sx_str key, property_list *list)
{
    uint32_t at = 0;
    while (at < list->count && !sx_str_eq(list->items[at].key, key))
        at++;
    if (at == list->most) {
        (void)sx_json_fail(&p->json, SX_ELIMIT, "more than %u properties", list->most);
        return NULL;
    }
    if (!sx_arena_grow(p->arena, &list->items, &list->cap, at + 1u, sizeof(*list->items))) {
        (void)no_memory(p);
        return NULL;
    }
    if (at == list->count)
        list->count++;
    list->items[at].key = key;
    return read_value(p, &list->items[at].value) ? &list->items[at] : NULL;
}

/* A coordinate or importance from a property just read; a string that is a number will do, since
 * files made from CSV have such. */
static bool as_number(parser *p, const geo_in_property *property, double *out)
{
    const geo_in_value *v = &property->value;
    if ((v->kind == GEO_NUMBER || v->kind == GEO_STRING) && sx_double_parse(v->text, out))
        return true;
    return sx_json_fail(&p->json, SX_EFORMAT, "%.*s is no number", SX_ARG(property->key));
}

static bool read_number(parser *p, geo_in_number *out)
{
    sx_json *j = &p->json;
    property_list list = {.most = p->limits->number_properties_max};
    bool has_lon = false, has_lat = false;
    sx_str key;
    if (!sx_json_enter_object(j))
        return false;
    while (sx_json_next_key(j, &key)) {
        bool lon = sx_str_eq(key, SX_STR("lon")), lat = sx_str_eq(key, SX_STR("lat"));
        if (lon || lat) {
            if (!sx_json_read_double(j, lon ? &out->lon : &out->lat))
                return false;
            has_lon = has_lon || lon;
            has_lat = has_lat || lat;
            continue;
        }
        if (!read_property(p, key, &list))
            return false;
    }
    if (sx_json_status(j, NULL) != SX_OK)
        return false;
    if (!has_lon || !has_lat)
        return sx_json_fail(j, SX_EFORMAT, "house number '%.*s' has no lon or no lat",
                            SX_ARG(sx_str_first(out->text, 64)));
    out->properties = list.items;
    out->property_count = list.count;
    return true;
}

static bool read_numbers(parser *p, geo_in_doc *doc)
{
    geo_in_number *items = NULL;
    size_t cap = 0;
    sx_str key;
    doc->number_count = 0;
    if (sx_json_peek(&p->json) == SX_JSON_NULL)
        return sx_json_take_null(&p->json);
    if (!sx_json_enter_object(&p->json))
        return false;
    while (sx_json_next_key(&p->json, &key)) {
        if (doc->number_count == p->limits->numbers_max)
            return sx_json_fail(&p->json, SX_ELIMIT, "more than %u house numbers",
                                p->limits->numbers_max);
        if (!sx_arena_grow(p->arena, &items, &cap, doc->number_count + 1u, sizeof(*items)))
            return no_memory(p);
        items[doc->number_count] = (geo_in_number){.text = key};
        if (!read_number(p, &items[doc->number_count]))
            return false;
        doc->number_count++;
    }
    doc->numbers = items;
    return sx_json_status(&p->json, NULL) == SX_OK;
}

/* Takes what the geocoder itself reads from a property. */
static bool note(parser *p, const geo_in_property *property, geo_in_doc *doc, unsigned *found)
{
    static const sx_str NUMBERS[] = {SX_STR_INIT("lon"), SX_STR_INIT("lat"),
                                     SX_STR_INIT("importance")};
    double *fields[] = {&doc->lon, &doc->lat, &doc->importance};
    for (unsigned i = 0; i < SX_COUNT_OF(NUMBERS); i++) {
        if (sx_str_eq(property->key, NUMBERS[i])) {
            *found |= 1u << i;
            return as_number(p, property, fields[i]);
        }
    }
    bool text = property->value.kind == GEO_STRING || property->value.kind == GEO_NUMBER;
    if (text && sx_str_eq(property->key, SX_STR("id")))
        doc->id = property->value.text;
    else if (text && sx_str_eq(property->key, SX_STR("type")))
        doc->type = property->value.text;
    return true;
}

/* Names are what is searched: a document without one could never be found. */
static bool has_name(const property_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const geo_in_value *v = &list->items[i].value;
        if (sx_str_eq(list->items[i].key, SX_STR("name")))
            return v->kind == GEO_ARRAY ? v->count > 0 : v->text.len > 0;
    }
    return false;
}

static bool read_document(parser *p, geo_in_doc *doc)
{
    sx_json *j = &p->json;
    property_list list = {.most = p->limits->properties_max};
    unsigned found = 0;
    sx_str key;
    if (!sx_json_enter_object(j))
        return false;
    while (sx_json_next_key(j, &key)) {
        if (sx_str_eq(key, SX_STR("housenumbers"))) {
            if (!read_numbers(p, doc))
                return false;
            continue;
        }
        const geo_in_property *property = read_property(p, key, &list);
        if (!property || !note(p, property, doc, &found))
            return false;
    }
    if (sx_json_status(j, NULL) != SX_OK)
        return false;
    if ((found & 3) != 3)
        return sx_json_fail(j, SX_EFORMAT, "the document has no %s", found & 1 ? "lat" : "lon");
    if (!has_name(&list))
        return sx_json_fail(j, SX_EFORMAT, "the document has no name");
    doc->properties = list.items;
    doc->property_count = list.count;
    return true;
}

sx_status geo_document_parse(sx_str line, sx_arena *arena, const geo_import_limits *limits,
                             geo_in_doc *out, sx_error *err)
{
    parser p = {.arena = arena, .limits = limits};
    *out = (geo_in_doc){.id = {"", 0}, .type = {"", 0}};
    sx_json_init(&p.json, line, &(sx_json_options){.arena = arena, .depth_max = 16});
    if (!read_document(&p, out))
        return sx_json_status(&p.json, err);
    return sx_json_finish(&p.json, err);
}
