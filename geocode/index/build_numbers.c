/* build_numbers.c - encodes a street's house numbers. The form is in format.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"
#include "geocode/text/fold.h"

/* One number on its way into the stream. */
typedef struct entry {
    const geo_in_number *in;
    uint32_t number;
    sx_str suffix;  /* as imported */
    uint32_t input; /* its place in the input, the last word in the order */
} entry;

/* "19b" into 19 and "b"; anything that does not begin with a number is all suffix. */
static void take_apart(sx_str text, entry *e)
{
    size_t digits = 0;
    uint32_t number = 0;
    while (digits < text.len && digits < 9 && text.data[digits] >= '0' && text.data[digits] <= '9')
        number = number * 10 + (uint32_t)(text.data[digits++] - '0');
    bool plain = digits > 0 && text.data[0] != '0' &&
                 !(digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9');
    e->number = plain ? number : 0;
    e->suffix = plain ? sx_str_from(text, digits) : text;
}

static int by_number(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    int order = sx_str_cmp(a->suffix, b->suffix);
    return order ? order : (a->input > b->input) - (a->input < b->input);
}

/* Finds the columns of a street: every property name of its numbers, in order of first sight. */
static sx_status find_columns(geo_builder *b, const entry *e, uint32_t count,
                              geo_number_column *columns, sx_str *names, uint32_t *column_count,
                              sx_error *err)
{
    *column_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < e[i].in->property_count; j++) {
            sx_str key = e[i].in->properties[j].key;
            uint32_t at = 0;
            while (at < *column_count && !sx_str_eq(names[at], key))
                at++;
            if (at < *column_count)
                continue;
            if (at == GEO_NUMBER_COLUMNS_MAX)
                return sx_fail(err, SX_ELIMIT, "house numbers have more than %d properties",
                               GEO_NUMBER_COLUMNS_MAX);
            names[at] = key;
            sx_status status = geo_build_key(b, key, &columns[at].key, err);
            if (status != SX_OK)
                return status;
            ++*column_count;
        }
    }
    return SX_OK;
}

/* Whether a column's number at `scale` comes back as the text it was: only a last zero after the
 * point may have been added by the scale. */
static bool comes_back(sx_str text, unsigned own_scale)
{
    return own_scale <= 1 || text.data[text.len - 1] != '0';
}

/* Decides how a column is stored. */
static void choose_kind(const entry *e, uint32_t count, sx_str name, geo_number_column *column)
{
    column->scale = 0;
    column->kind = GEO_COLUMN_ID;
    bool is_id = sx_str_eq(name, SX_STR("id")), decimal = true, point = false, whole = false;
    for (uint32_t i = 0; i < count; i++) {
        const geo_in_property *p = geo_in_find(e[i].in->properties, e[i].in->property_count, name);
        int64_t mantissa;
        unsigned scale;
        is_id = is_id && p && p->value.kind == GEO_STRING;
        if (!p || p->value.kind != GEO_NUMBER ||
            !geo_build_decimal(p->value.text, &mantissa, &scale) ||
            !comes_back(p->value.text, scale) || scale > 6 || mantissa > INT64_C(100000000000) ||
            mantissa < INT64_C(-100000000000)) {
            decimal = false;
            continue;
        }
        point = point || scale > 0;
        whole = whole || scale == 0;
        if (scale > column->scale)
            column->scale = (uint8_t)scale;
    }
    if (!is_id)
        column->kind = decimal && !(point && whole) ? GEO_COLUMN_DECIMAL : GEO_COLUMN_VALUE;
}

/* Writes a house number's own id: by rule where the rule gives it, else as little text as needed. */
static sx_status put_id(geo_builder *b, const geo_in_doc *doc, const entry *e, sx_str id,
                        sx_error *err)
{
    char text[32 + GEO_NUMBER_TEXT_MAX * GEO_FOLD_GROWTH];
    sx_str rest = id;
    uint8_t form = 2;
    if (doc->id.len && sx_str_starts(id, doc->id)) {
        rest = sx_str_from(id, doc->id.len);
        form = 1;
        int len = snprintf(text, sizeof(text), "_%05u%s", e->number, e->suffix.len ? "_" : "");
        sx_str suffix = geo_fold(e->suffix, text + len, sizeof(text) - (size_t)len);
        if (e->number <= 99999 && sx_str_eq(rest, sx_str_of(text, (size_t)len + suffix.len))) {
            sx_buf_byte(&b->numbers.tail, 0);
            return SX_OK;
        }
    }
    uint32_t ref;
    sx_status status = geo_strings_put(&b->strings, rest, &ref, err);
    if (status != SX_OK)
        return status;
    sx_buf_byte(&b->numbers.tail, (char)form);
    geo_put_varint(&b->numbers.tail, ref);
    return SX_OK;
}

/* Writes one column of one entry. `before`: the entry before's decimal in that column. */
static sx_status put_column(geo_builder *b, const geo_in_doc *doc, const entry *e,
                            const geo_number_column *column, sx_str name, int64_t *before,
                            sx_error *err)
{
    const geo_in_property *p = geo_in_find(e->in->properties, e->in->property_count, name);
    if (column->kind == GEO_COLUMN_ID)
        return put_id(b, doc, e, p->value.text, err);
    if (column->kind == GEO_COLUMN_VALUE) {
        if (p)
            return geo_build_value(b, &b->numbers.tail, &p->value, err);
        sx_buf_byte(&b->numbers.tail, GEO_TAG_ABSENT);
        return SX_OK;
    }
    int64_t mantissa = 0;
    unsigned scale = 0;
    (void)geo_build_decimal(p->value.text, &mantissa, &scale); /* choose_kind() saw that it works */
    for (; scale < column->scale; scale++)
        mantissa *= 10;
    geo_put_zigzag(&b->numbers.tail, mantissa - *before);
    *before = mantissa;
    return SX_OK;
}

/* Writes the groups; entry i's place goes into `offsets` where it begins one. */
static sx_status put_entries(geo_builder *b, const geo_in_doc *doc, const geo_disk_doc *disk,
                             const entry *e, uint32_t count, const geo_number_column *columns,
                             const sx_str *names, uint32_t column_count, sx_error *err)
{
    size_t table = b->numbers.tail.len;
    uint32_t groups = (count - 1) / GEO_NUMBER_GROUP + 1;
    for (uint32_t i = 0; i < groups * 2; i++)
        sx_buf_bytes(&b->numbers.tail, &(uint32_t){0}, 4);
    size_t data = b->numbers.tail.len;
    uint32_t number = 0;
    int32_t lon = 0, lat = 0;
    int64_t decimals[GEO_NUMBER_COLUMNS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (b->numbers.tail.failed)
            break;
        if (i % GEO_NUMBER_GROUP == 0) {
            uint32_t row[2] = {e[i].number, (uint32_t)(b->numbers.tail.len - data)};
            memcpy(b->numbers.tail.data + table + (size_t)(i / GEO_NUMBER_GROUP) * 8, row, 8);
            number = 0;
            lon = disk->lon_e7;
            lat = disk->lat_e7;
            memset(decimals, 0, sizeof(decimals));
        }
        int32_t own_lon = geo_e7(e[i].in->lon), own_lat = geo_e7(e[i].in->lat);
        geo_put_varint(&b->numbers.tail, e[i].number - number);
        sx_buf_byte(&b->numbers.tail, (char)e[i].suffix.len);
        sx_buf_str(&b->numbers.tail, e[i].suffix);
        geo_put_zigzag(&b->numbers.tail, (int64_t)own_lon - lon);
        geo_put_zigzag(&b->numbers.tail, (int64_t)own_lat - lat);
        number = e[i].number;
        lon = own_lon;
        lat = own_lat;
        sx_buf_bytes(&b->positions.tail, &(geo_build_position){lon, lat},
                     sizeof(geo_build_position));
        sx_status status = SX_OK;
        for (uint32_t c = 0; status == SX_OK && c < column_count; c++)
            status = put_column(b, doc, &e[i], &columns[c], names[c], &decimals[c], err);
        if (status != SX_OK)
            return status;
    }
    sx_status status = sx_buf_status(&b->numbers.tail, "the index's house numbers", err);
    return status == SX_OK ? sx_buf_status(&b->positions.tail, "the index's points", err) : status;
}

static sx_status put_street(geo_builder *b, const geo_in_doc *doc, geo_disk_doc *disk, entry *e,
                            sx_error *err)
{
    geo_number_column columns[GEO_NUMBER_COLUMNS_MAX];
    sx_str names[GEO_NUMBER_COLUMNS_MAX];
    uint32_t column_count, count = doc->number_count;
    for (uint32_t i = 0; i < count; i++) {
        e[i].in = &doc->numbers[i];
        e[i].input = i;
        take_apart(doc->numbers[i].text, &e[i]);
        if (doc->numbers[i].text.len == 0 || doc->numbers[i].text.len > GEO_NUMBER_TEXT_MAX)
            return sx_fail(err, SX_ELIMIT, "house number '%.*s' has %zu bytes, not 1 to %d",
                           SX_ARG(sx_str_first(doc->numbers[i].text, 80)), doc->numbers[i].text.len,
                           GEO_NUMBER_TEXT_MAX);
        if (!(fabs(e[i].in->lon) <= 180) || !(fabs(e[i].in->lat) <= 90))
            return sx_fail(err, SX_EINVAL,
                           "house number '%.*s' lies at lon %g, lat %g: not on Earth",
                           SX_ARG(doc->numbers[i].text), e[i].in->lon, e[i].in->lat);
    }
    qsort(e, count, sizeof(*e), by_number);
    sx_status status = find_columns(b, e, count, columns, names, &column_count, err);
    if (status != SX_OK)
        return status;
    disk->numbers = geo_spool_bytes(&b->numbers);
    disk->number_count = count;
    geo_put_varint(&b->numbers.tail, column_count);
    for (uint32_t i = 0; i < column_count; i++) {
        choose_kind(e, count, names[i], &columns[i]);
        geo_put_varint(&b->numbers.tail, columns[i].key);
        sx_buf_byte(&b->numbers.tail, (char)columns[i].kind);
        sx_buf_byte(&b->numbers.tail, (char)columns[i].scale);
    }
    return put_entries(b, doc, disk, e, count, columns, names, column_count, err);
}

sx_status geo_build_numbers(geo_builder *b, const geo_in_doc *doc, geo_disk_doc *out, sx_error *err)
{
    if (doc->number_count == 0)
        return SX_OK;
    entry *e = sx_calloc(doc->number_count, sizeof(*e));
    if (!e)
        return sx_fail_memory(err, "a street's house numbers");
    sx_status status = put_street(b, doc, out, e, err);
    sx_free(e);
    return status;
}
