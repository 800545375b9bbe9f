/* props.c - see props.h. */
#include "geocode/import/props.h"

#include <math.h>

#include <sextant/number.h>

static geo_in_value *next(geo_props *p, sx_str key)
{
    if (p->failed)
        return NULL;
    sx_assert(p->count < GEO_PROPS_MAX);
    p->items[p->count].key = key;
    return &p->items[p->count++].value;
}

void geo_props_text(geo_props *p, sx_str key, sx_str text)
{
    geo_in_value *v = text.len ? next(p, key) : NULL;
    if (v)
        *v = (geo_in_value){.kind = GEO_STRING, .text = text, .count = 1};
}

void geo_props_texts(geo_props *p, sx_str key, const sx_str *texts, uint32_t count)
{
    if (count <= 1) {
        geo_props_text(p, key, count ? texts[0] : sx_str_of("", 0));
        return;
    }
    geo_in_value *items = p->failed ? NULL : sx_arena_calloc(p->arena, count, sizeof(*items));
    if (!items) {
        p->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        items[i] = (geo_in_value){.kind = GEO_STRING, .text = texts[i], .count = 1};
    geo_in_value *v = next(p, key);
    if (v)
        *v = (geo_in_value){.kind = GEO_ARRAY, .items = items, .count = count};
}

double geo_round(double value, int digits)
{
    double scale = pow(10, digits);
    return round(value * scale) / scale;
}

static void put_number(geo_props *p, sx_str key, const char *digits, size_t len)
{
    sx_str text = sx_arena_copy(p->arena, sx_str_of(digits, len));
    geo_in_value *v = text.data ? next(p, key) : NULL;
    p->failed = p->failed || !text.data;
    if (v)
        *v = (geo_in_value){.kind = GEO_NUMBER, .text = text, .count = 1};
}

void geo_props_number(geo_props *p, sx_str key, double value, int digits)
{
    char text[SX_DOUBLE_BYTES];
    put_number(p, key, text, sx_double_format(geo_round(value, digits), SX_DOUBLE_PYTHON, text));
}

void geo_props_count(geo_props *p, sx_str key, uint64_t value)
{
    char text[SX_DOUBLE_BYTES];
    put_number(p, key, text, sx_double_format((double)value, SX_DOUBLE_JS, text));
}

double geo_importance(double thirds)
{
    double importance = log1p(thirds > 0 ? thirds : 0) / 20;
    return geo_round(importance < 1 ? importance : 1, 5);
}
