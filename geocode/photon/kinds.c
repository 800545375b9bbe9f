/* kinds.c - see kinds.h. */
#include "geocode/photon/kinds.h"

static const sx_str NAMES[PHOTON_LAYERS] = {
#define X(name) SX_STR_INIT(#name),
    PHOTON_LAYER_LIST(X)
#undef X
};

static const struct {
    uint8_t rank_min, rank_max, layer;
} ROWS[] = {
    {29, 30, PHOTON_LAYER_house},    {26, 28, PHOTON_LAYER_street}, {22, 25, PHOTON_LAYER_locality},
    {17, 21, PHOTON_LAYER_district}, {13, 16, PHOTON_LAYER_city},   {10, 12, PHOTON_LAYER_county},
    {5, 9, PHOTON_LAYER_state},      {4, 4, PHOTON_LAYER_country},
};

photon_layer photon_layer_of(unsigned rank_address)
{
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (rank_address >= ROWS[i].rank_min && rank_address <= ROWS[i].rank_max)
            return (photon_layer)ROWS[i].layer;
    }
    return PHOTON_LAYER_other;
}

bool photon_layer_ranks(uint32_t layers, uint8_t *rank_min, uint8_t *rank_max)
{
    if (layers == 0 || (layers & 1u << PHOTON_LAYER_other))
        return false;
    *rank_min = UINT8_MAX;
    *rank_max = 0;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if (!(layers & 1u << ROWS[i].layer))
            continue;
        *rank_min = ROWS[i].rank_min < *rank_min ? ROWS[i].rank_min : *rank_min;
        *rank_max = ROWS[i].rank_max > *rank_max ? ROWS[i].rank_max : *rank_max;
    }
    return true;
}

sx_str photon_layer_name(photon_layer layer)
{
    sx_assert(layer < PHOTON_LAYERS);
    return NAMES[layer];
}

/* --- Tags. */

static bool tag_matches(const photon_tag *t, sx_str key, sx_str value)
{
    return (t->key.len == 0 || sx_str_eq(t->key, key)) &&
           (t->value.len == 0 || sx_str_eq(t->value, value));
}

/* Any of the wanted ones is enough, any of the unwanted ones too much. */
static bool tags_want(const photon_wanted *w, sx_str key, sx_str value)
{
    bool asked = false, wanted = false;
    for (uint32_t i = 0; i < w->tag_count; i++) {
        const photon_tag *t = &w->tags[i];
        if (t->kind == PHOTON_TAG_UNWANTED) {
            if (tag_matches(t, key, value))
                return false;
            continue;
        }
        asked = true;
        if (t->kind == PHOTON_TAG_WANTED)
            wanted = wanted || tag_matches(t, key, value);
        else
            wanted = wanted || (sx_str_eq(t->key, key) && !sx_str_eq(t->value, value));
    }
    return wanted || !asked;
}

static bool is_label(sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i], letter = (char)(c | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return text.len > 0;
}

/* A tag whose key or value is no label is in place.yes, as Photon's importer has it. */
static bool in_category(sx_str category, sx_str key, sx_str value)
{
    sx_str group, rest, first, second = {0};
    if (!is_label(key) || !is_label(value)) {
        key = SX_STR("place");
        value = SX_STR("yes");
    }
    if (!sx_str_cut(category, '.', &group, &rest) || !sx_str_eq(group, SX_STR("osm")))
        return false;
    if (!sx_str_cut(rest, '.', &first, &second))
        first = rest;
    return sx_str_eq(first, key) && (second.len == 0 || sx_str_eq(second, value));
}

static bool categories_want(const photon_categories *c, sx_str key, sx_str value)
{
    sx_str rest = c->list, one;
    for (bool more = true; more;) {
        sx_str after;
        more = sx_str_cut(rest, ',', &one, &after);
        if (!more)
            one = rest;
        else
            rest = after;
        if (in_category(one, key, value) != c->exclude)
            return true;
    }
    return false;
}

bool photon_tag_wanted(const photon_wanted *w, sx_str key, sx_str value)
{
    if (sx_unlikely(w->tag_count) && !tags_want(w, key, value))
        return false;
    for (uint32_t i = 0; i < w->category_count; i++) {
        if (!categories_want(&w->categories[i], key, value))
            return false;
    }
    return true;
}

bool photon_place_wanted(const photon_wanted *w, photon_layer layer, uint16_t country, geo_at at)
{
    if (w->layers && !(w->layers & 1u << layer))
        return false;
    if (w->has_box && (at.lon_e7 < w->box.lon_min || at.lon_e7 > w->box.lon_max ||
                       at.lat_e7 < w->box.lat_min || at.lat_e7 > w->box.lat_max))
        return false;
    bool found = w->country_count == 0;
    for (uint32_t i = 0; i < w->country_count && !found; i++)
        found = w->countries[i] == country;
    return found;
}

/* --- Their syntax. */

static bool take_bang(sx_str *text)
{
    bool there = text->len > 0 && text->data[0] == '!';
    if (there)
        *text = sx_str_from(*text, 1);
    return there;
}

bool photon_tag_read(sx_str text, photon_tag *out)
{
    sx_str key, value = {0};
    bool pair = sx_str_cut(text, ':', &key, &value);
    if (!pair)
        key = text;
    else if (sx_str_find_byte(value, ':') < value.len)
        return false;
    bool no_key = take_bang(&key), no_value = take_bang(&value);
    key = sx_str_trim(key);
    value = sx_str_trim(value);
    if (pair ? value.len == 0 : key.len == 0)
        return false;
    *out = (photon_tag){PHOTON_TAG_WANTED, key, value};
    if (no_value && !no_key && key.len)
        out->kind = PHOTON_TAG_OTHER_VALUE;
    else if (no_key || no_value)
        out->kind = PHOTON_TAG_UNWANTED;
    return true;
}

bool photon_categories_valid(sx_str list)
{
    size_t labels = 1, start = 0;
    for (size_t i = 0; i <= list.len; i++) {
        char c = i < list.len ? list.data[i] : ',';
        if (c != '.' && c != ',')
            continue;
        if (!is_label(sx_str_of(list.data + start, i - start)) || (c == ',' && labels < 2))
            return false;
        labels = c == ',' ? 1 : labels + 1;
        start = i + 1;
    }
    return true;
}
