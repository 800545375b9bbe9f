/* build_values.c - encodes properties. The forms are in format.h. */
#include <math.h>

#include "geocode/index/build_impl.h"

const geo_in_property *geo_in_find(const geo_in_property *p, uint32_t count, sx_str key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sx_str_eq(p[i].key, key))
            return &p[i];
    }
    return NULL;
}

int32_t geo_e7(double degrees)
{
    return (int32_t)llround(degrees * 1e7);
}

bool geo_build_decimal(sx_str text, int64_t *mantissa, unsigned *scale)
{
    bool negative = text.len && text.data[0] == '-';
    uint64_t value = 0;
    size_t digits = 0, after = 0;
    bool point = false;
    for (size_t i = negative; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > 18)
            return false;
        value = value * 10 + (uint64_t)(c - '0');
        after += point;
    }
    if (digits == 0 || (point && after == 0) || (negative && value == 0))
        return false;
    *mantissa = negative ? -(int64_t)value : (int64_t)value;
    *scale = (unsigned)after;
    return true;
}

static sx_status put_text(geo_builder *b, sx_buf *out, geo_tag tag, sx_str text, sx_error *err)
{
    uint32_t ref;
    sx_status status = geo_strings_put(&b->strings, text, &ref, err);
    if (status != SX_OK)
        return status;
    sx_buf_byte(out, (char)tag);
    geo_put_varint(out, ref);
    return SX_OK;
}

sx_status geo_build_value(geo_builder *b, sx_buf *out, const geo_in_value *v, sx_error *err)
{
    static const geo_tag TAGS[] = {
        [GEO_NULL] = GEO_TAG_NULL,     [GEO_FALSE] = GEO_TAG_FALSE,   [GEO_TRUE] = GEO_TAG_TRUE,
        [GEO_NUMBER] = GEO_TAG_NUMBER, [GEO_STRING] = GEO_TAG_STRING, [GEO_JSON] = GEO_TAG_JSON,
        [GEO_ARRAY] = GEO_TAG_ARRAY,
    };
    int64_t mantissa;
    unsigned scale;
    switch (v->kind) {
    case GEO_NULL:
    case GEO_FALSE:
    case GEO_TRUE:
        sx_buf_byte(out, (char)TAGS[v->kind]);
        return SX_OK;
    case GEO_NUMBER:
        if (geo_build_decimal(v->text, &mantissa, &scale)) {
            sx_buf_byte(out, (char)(GEO_TAG_DECIMAL + scale));
            geo_put_zigzag(out, mantissa);
            return SX_OK;
        }
        return put_text(b, out, GEO_TAG_NUMBER, v->text, err);
    case GEO_ARRAY:
        sx_buf_byte(out, GEO_TAG_ARRAY);
        geo_put_varint(out, v->count);
        for (uint32_t i = 0; i < v->count; i++) {
            sx_assert(v->items[i].kind != GEO_ARRAY);
            sx_status status = geo_build_value(b, out, &v->items[i], err);
            if (status != SX_OK)
                return status;
        }
        return SX_OK;
    default:
        return put_text(b, out, TAGS[v->kind], v->text, err);
    }
}

sx_status geo_build_key(geo_builder *b, sx_str key, uint32_t *id, sx_error *err)
{
    sx_status status = geo_pool_put(&b->keys, key, id, err);
    if (status == SX_OK && *id >= GEO_BUILD_KEYS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d different property names", GEO_BUILD_KEYS_MAX);
    return status;
}

sx_status geo_build_properties(geo_builder *b, const geo_in_doc *doc, uint64_t *offset,
                               sx_error *err)
{
    sx_buf *out = &b->properties.tail;
    *offset = geo_spool_bytes(&b->properties);
    geo_put_varint(out, doc->property_count);
    for (uint32_t i = 0; i < doc->property_count; i++) {
        uint32_t id;
        sx_status status = geo_build_key(b, doc->properties[i].key, &id, err);
        if (status != SX_OK)
            return status;
        geo_put_varint(out, id);
        status = geo_build_value(b, out, &doc->properties[i].value, err);
        if (status != SX_OK)
            return status;
    }
    return sx_buf_status(out, "the index's properties", err);
}
