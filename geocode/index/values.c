/* values.c - a document's properties and label parts, decoded where they lie. See index.h. */
#include "geocode/index/reader.h"

static const uint64_t TEN_TO[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

/* Writes `v` with at least `width` digits, ending before `end`; returns where it begins. */
static char *put_digits(char *end, uint64_t v, unsigned width)
{
    char *at = end;
    do {
        *--at = (char)('0' + v % 10);
        v /= 10;
    } while (v || (unsigned)(end - at) < width);
    return at;
}

/* Every digit after the point is kept, so what is printed is what came in. The longest has 19 digits,
 * a sign, a point and a zero before it: 22 bytes. */
void geo_value_set_decimal(geo_value *out, int64_t mantissa, unsigned scale)
{
    uint64_t size = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    char *end = out->digits + sizeof(out->digits), *at = end;
    if (scale) {
        at = put_digits(at, size % TEN_TO[scale], scale);
        *--at = '.';
    }
    at = put_digits(at, size / TEN_TO[scale], 1);
    if (mantissa < 0)
        *--at = '-';
    out->kind = GEO_NUMBER;
    out->count = 1;
    out->text = sx_str_of(at, (size_t)(end - at));
}

static void skip_value(geo_cursor *c, unsigned depth)
{
    uint8_t tag = geo_cursor_byte(c);
    if (tag <= GEO_TAG_TRUE || tag == GEO_TAG_ABSENT)
        return;
    if (tag != GEO_TAG_ARRAY) {
        (void)geo_cursor_varint(c);
        return;
    }
    uint32_t count = geo_cursor_u32(c);
    if (depth == 0)
        c->bad = true; /* the builder nests no arrays */
    for (uint32_t i = 0; i < count && !c->bad; i++)
        skip_value(c, depth - 1);
}

bool geo_value_read(const geo_index *ix, geo_cursor *c, geo_value *out)
{
    uint8_t tag = geo_cursor_byte(c);
    out->text = sx_str_of("", 0);
    out->count = 1;
    if (tag >= GEO_TAG_DECIMAL && tag <= GEO_TAG_DECIMAL_LAST) {
        geo_value_set_decimal(out, geo_cursor_zigzag(c), tag - GEO_TAG_DECIMAL);
        return !c->bad;
    }
    switch (tag) {
    case GEO_TAG_NULL:
    case GEO_TAG_FALSE:
    case GEO_TAG_TRUE:
        out->kind = GEO_NULL + tag;
        return !c->bad;
    case GEO_TAG_STRING:
    case GEO_TAG_NUMBER:
    case GEO_TAG_JSON:
        out->kind = tag == GEO_TAG_STRING   ? GEO_STRING
                    : tag == GEO_TAG_NUMBER ? GEO_NUMBER
                                            : GEO_JSON;
        out->text = geo_index_string(ix, geo_cursor_u32(c));
        return !c->bad;
    case GEO_TAG_ARRAY:
        out->kind = GEO_ARRAY;
        out->count = geo_cursor_u32(c);
        out->at = c->at;
        for (uint32_t i = 0; i < out->count && !c->bad; i++)
            skip_value(c, 0);
        out->end = c->at;
        return !c->bad;
    case GEO_TAG_ABSENT: /* only a column of house numbers has it, and asks geo_number_property() */
        out->kind = GEO_NULL;
        return !c->bad;
    default:
        c->bad = true;
        return false;
    }
}

bool geo_value_item(const geo_index *ix, const geo_value *value, uint32_t i, geo_value *out)
{
    if (i >= value->count)
        return false;
    if (value->kind != GEO_ARRAY) {
        size_t offset = 0;
        bool own = value->text.data >= value->digits &&
                   value->text.data < value->digits + sizeof(value->digits);
        if (own)
            offset = (size_t)(value->text.data - value->digits);
        *out = *value;
        if (own)
            out->text.data = out->digits + offset;
        return true;
    }
    geo_cursor c = {value->at, value->end, false};
    for (uint32_t skipped = 0; skipped < i; skipped++)
        skip_value(&c, 0);
    return !c.bad && geo_value_read(ix, &c, out);
}

sx_str geo_value_first(const geo_index *ix, const geo_value *value, geo_value *item)
{
    if (!geo_value_item(ix, value, 0, item) || item->kind == GEO_NULL)
        return sx_str_of("", 0);
    return item->text;
}

void geo_properties_begin(const geo_index *ix, uint32_t doc, geo_properties *it)
{
    *it = (geo_properties){.ix = ix};
    if (doc >= ix->doc_count) {
        it->bad = true;
        return;
    }
    geo_cursor c = geo_section_cursor(ix, GEO_S_PROPERTIES, ix->docs[doc].properties);
    it->left = geo_cursor_u32(&c);
    it->at = c.at;
    it->end = c.end;
    it->bad = c.bad;
}

bool geo_properties_next(geo_properties *it, sx_str *key, geo_value *value)
{
    if (it->bad || it->left == 0)
        return false;
    const geo_index *ix = it->ix;
    geo_cursor c = {it->at, it->end, false};
    uint32_t id = geo_cursor_u32(&c);
    if (id >= ix->s[GEO_S_KEYS].count || !geo_value_read(ix, &c, value)) {
        it->bad = true;
        return false;
    }
    const geo_disk_key *keys = (const geo_disk_key *)(const void *)ix->s[GEO_S_KEYS].data;
    *key = geo_index_string(ix, keys[id].name);
    it->at = c.at;
    it->left--;
    return true;
}

bool geo_doc_property(const geo_index *ix, uint32_t doc, sx_str key, geo_value *out)
{
    geo_properties it;
    sx_str name;
    for (geo_properties_begin(ix, doc, &it); geo_properties_next(&it, &name, out);) {
        if (sx_str_eq(name, key))
            return true;
    }
    return false;
}

/* Reads `count` texts; the excess over the limit is skipped. */
static uint32_t read_parts(geo_cursor *c, uint32_t count, sx_str *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && !c->bad; i++) {
        sx_str text = geo_cursor_bytes(c, geo_cursor_varint(c));
        if (kept < GEO_LABEL_PARTS_MAX)
            out[kept++] = text;
    }
    return kept;
}

bool geo_place_parts(const geo_index *ix, uint32_t place, geo_label_parts *out)
{
    sx_str text = geo_index_string(ix, place);
    geo_cursor c = {(const uint8_t *)text.data, (const uint8_t *)text.data + text.len, false};
    uint8_t cities = geo_cursor_byte(&c), postcodes = geo_cursor_byte(&c);
    out->city_count = read_parts(&c, cities, out->cities);
    out->postcode_count = read_parts(&c, postcodes, out->postcodes);
    return !c.bad;
}

bool geo_doc_label_parts(const geo_index *ix, uint32_t doc, geo_label_parts *out)
{
    geo_label_head head;
    if (doc >= ix->doc_count || !geo_doc_label_head(ix, doc, &head))
        return false;
    geo_cursor c =
        geo_section_cursor(ix, GEO_S_LABELS, ix->docs[doc].labels + GEO_LABEL_HEAD_BYTES);
    out->name_count = read_parts(&c, geo_cursor_byte(&c), out->names);
    return geo_place_parts(ix, head.place, out) && !c.bad;
}
