/* numbers.c - house numbers of a document: found in groups of 16, decoded where they lie.
 *
 * A document's record: a varint count of columns, each {varint key, byte kind, byte scale}; then one
 * entry {u32 first number, u32 offset} a group; then the groups. Inside a group each entry is the
 * difference to the one before; the first differs from zero (number, decimals) or from the
 * document's own point (position), so a group is read without its neighbours. */
#include <math.h>

#include "geocode/index/reader.h"

#include "geocode/text/fold.h"

/* A document's record, opened. */
typedef struct street {
    const geo_index *ix;
    const geo_disk_doc *doc;
    uint32_t column_count;
    geo_number_column columns[GEO_NUMBER_COLUMNS_MAX];
    const uint8_t *groups;     /* 8 bytes each, unaligned */
    const uint8_t *data, *end; /* after them */
    uint32_t group_count;
} street;

static bool open_street(const geo_index *ix, uint32_t doc, street *s)
{
    if (doc >= ix->doc_count || ix->docs[doc].number_count == 0)
        return false;
    s->ix = ix;
    s->doc = &ix->docs[doc];
    geo_cursor c = geo_section_cursor(ix, GEO_S_NUMBERS, s->doc->numbers);
    s->column_count = geo_cursor_u32(&c);
    if (s->column_count > GEO_NUMBER_COLUMNS_MAX)
        return false;
    for (uint32_t i = 0; i < s->column_count; i++) {
        s->columns[i].key = geo_cursor_u32(&c);
        s->columns[i].kind = geo_cursor_byte(&c);
        s->columns[i].scale = geo_cursor_byte(&c);
        if (s->columns[i].kind > GEO_COLUMN_VALUE || s->columns[i].scale >= 20)
            return false;
    }
    s->group_count = (s->doc->number_count - 1) / GEO_NUMBER_GROUP + 1;
    sx_str groups = geo_cursor_bytes(&c, (uint64_t)s->group_count * 8);
    s->groups = (const uint8_t *)groups.data;
    s->data = c.at;
    s->end = c.end;
    return !c.bad;
}

static uint32_t group_word(const street *s, uint32_t group, unsigned word)
{
    uint32_t value;
    memcpy(&value, s->groups + (size_t)group * 8 + word * 4, sizeof(value));
    return value;
}

/* Starts `n` before the first entry of a group. */
static bool open_group(const street *s, uint32_t group, geo_cursor *c, geo_housenumber *n)
{
    *c = geo_cursor_at(s->data, (uint64_t)(s->end - s->data), group_word(s, group, 1));
    n->index = group * GEO_NUMBER_GROUP - 1; /* read_next() steps before it reads */
    n->number = 0;
    n->lon_e7 = s->doc->lon_e7;
    n->lat_e7 = s->doc->lat_e7;
    n->column_count = s->column_count;
    for (uint32_t i = 0; i < s->column_count; i++) {
        n->columns[i] = s->columns[i];
        n->decimals[i] = 0;
    }
    return !c->bad;
}

/* Adds without the undefined overflow that a damaged file could cause. */
static int32_t add32(int32_t value, int64_t step)
{
    return (int32_t)((uint32_t)value + (uint32_t)(uint64_t)step);
}

static int64_t add64(int64_t value, int64_t step)
{
    return (int64_t)((uint64_t)value + (uint64_t)step);
}

static void read_column(const street *s, geo_cursor *c, uint32_t i, geo_housenumber *n)
{
    geo_value ignored;
    n->values[i] = c->at;
    switch (s->columns[i].kind) {
    case GEO_COLUMN_DECIMAL:
        n->decimals[i] = add64(n->decimals[i], geo_cursor_zigzag(c));
        break;
    case GEO_COLUMN_ID:
        if (geo_cursor_byte(c) != 0)
            (void)geo_cursor_u32(c);
        break;
    default:
        (void)geo_value_read(s->ix, c, &ignored);
    }
}

/* Reads the entry after `n` into it. */
static bool read_next(const street *s, geo_cursor *c, geo_housenumber *n)
{
    n->index++;
    n->number += (uint32_t)geo_cursor_varint(c);
    n->suffix = geo_cursor_bytes(c, geo_cursor_byte(c));
    n->lon_e7 = add32(n->lon_e7, geo_cursor_zigzag(c));
    n->lat_e7 = add32(n->lat_e7, geo_cursor_zigzag(c));
    for (uint32_t i = 0; i < s->column_count; i++)
        read_column(s, c, i, n);
    return !c->bad;
}

bool geo_number_at(const geo_index *ix, uint32_t doc, uint32_t index, geo_housenumber *out)
{
    street s;
    geo_cursor c;
    if (!open_street(ix, doc, &s) || index >= s.doc->number_count ||
        !open_group(&s, index / GEO_NUMBER_GROUP, &c, out))
        return false;
    for (uint32_t i = 0; i <= index % GEO_NUMBER_GROUP; i++) {
        if (!read_next(&s, &c, out))
            return false;
    }
    return true;
}

/* The last group that begins with a number below `number`, where the search starts: equal numbers
 * with different suffixes may run over from it. */
static uint32_t first_group(const street *s, uint32_t number)
{
    uint32_t low = 0, high = s->group_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (group_word(s, middle, 0) < number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool same_suffix(sx_str written, sx_str folded)
{
    char text[GEO_NUMBER_TEXT_MAX * GEO_FOLD_GROWTH + 1];
    if (written.len == 0 || folded.len == 0)
        return written.len == folded.len;
    return sx_str_eq(geo_fold(sx_str_first(written, GEO_NUMBER_TEXT_MAX), text, sizeof(text)),
                     folded);
}

/* HOT. Passes a varint. */
static void skip_varint(geo_cursor *c)
{
    while (sx_likely(c->at < c->end) && *c->at++ >= 0x80)
        ;
}

/* Reads of the entry after *number what tells it, and passes the rest. */
static sx_str skim_next(const street *s, geo_cursor *c, uint32_t *number)
{
    geo_value ignored;
    *number += (uint32_t)geo_cursor_varint(c);
    sx_str suffix = geo_cursor_bytes(c, geo_cursor_byte(c));
    skip_varint(c);
    skip_varint(c);
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (s->columns[i].kind == GEO_COLUMN_DECIMAL)
            skip_varint(c);
        else if (s->columns[i].kind != GEO_COLUMN_ID)
            (void)geo_value_read(s->ix, c, &ignored);
        else if (geo_cursor_byte(c) != 0)
            skip_varint(c);
    }
    return suffix;
}

/* Most documents that are asked do not have the number, so it is looked for before it is read. */
bool geo_number_find(const geo_index *ix, uint32_t doc, uint32_t number, sx_str suffix,
                     geo_housenumber *out)
{
    street s;
    if (!open_street(ix, doc, &s))
        return false;
    for (uint32_t group = first_group(&s, number); group < s.group_count; group++) {
        if (group_word(&s, group, 0) > number)
            return false;
        geo_cursor c = geo_cursor_at(s.data, (uint64_t)(s.end - s.data), group_word(&s, group, 1));
        uint32_t here = 0, left = s.doc->number_count - group * GEO_NUMBER_GROUP;
        for (uint32_t i = 0; i < GEO_NUMBER_GROUP && i < left; i++) {
            sx_str written = skim_next(&s, &c, &here);
            if (c.bad || here > number)
                return false;
            if (here == number && same_suffix(written, suffix))
                return geo_number_at(ix, doc, group * GEO_NUMBER_GROUP + i, out);
        }
    }
    return false;
}

/* Degrees of longitude shrink towards the poles; squares are enough to compare. */
static double flat_distance(const geo_housenumber *n, int32_t lon_e7, int32_t lat_e7, double shrink)
{
    double east = ((double)n->lon_e7 - lon_e7) * shrink, north = (double)n->lat_e7 - lat_e7;
    return east * east + north * north;
}

bool geo_number_nearest(const geo_index *ix, uint32_t doc, int32_t lon_e7, int32_t lat_e7,
                        geo_housenumber *out)
{
    street s;
    geo_housenumber n;
    uint32_t nearest = UINT32_MAX;
    double least = INFINITY, shrink = cos(lat_e7 / 1e7 * M_PI / 180);
    if (!open_street(ix, doc, &s))
        return false;
    for (uint32_t group = 0; group < s.group_count; group++) {
        geo_cursor c;
        if (!open_group(&s, group, &c, &n))
            return false;
        uint32_t left = s.doc->number_count - group * GEO_NUMBER_GROUP;
        for (uint32_t i = 0; i < GEO_NUMBER_GROUP && i < left; i++) {
            if (!read_next(&s, &c, &n))
                return false;
            double distance = flat_distance(&n, lon_e7, lat_e7, shrink);
            if (distance < least) {
                least = distance;
                nearest = n.index;
            }
        }
    }
    return nearest != UINT32_MAX && geo_number_at(ix, doc, nearest, out);
}

/* Decimal digits of `value` into `out`; returns how many. */
static size_t put_u32(uint32_t value, char *out)
{
    char digits[10];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

size_t geo_number_text(const geo_housenumber *n, char out[GEO_NUMBER_TEXT_MAX + 16])
{
    size_t len = n->number ? put_u32(n->number, out) : 0;
    size_t more = n->suffix.len < GEO_NUMBER_TEXT_MAX ? n->suffix.len : GEO_NUMBER_TEXT_MAX;
    if (more)
        memcpy(out + len, n->suffix.data, more);
    return len + more;
}

/* Appends to a bounded text; returns false when it is full. */
static bool append(sx_str *text, char *out, size_t cap, sx_str more)
{
    if (more.len > cap - text->len)
        return false;
    if (more.len)
        memcpy(out + text->len, more.data, more.len);
    *text = sx_str_of(out, text->len + more.len);
    return true;
}

/* The id as the Base Adresse Nationale forms it: the street's id, the number in five digits, the
 * suffix in lower case: 75106_9537_00019_b. */
static bool id_by_rule(sx_str *text, char *out, size_t cap, const geo_housenumber *n)
{
    char number[7] = "_00000";
    char digits[10];
    size_t len = put_u32(n->number, digits);
    if (len > 5 || n->suffix.len > GEO_NUMBER_TEXT_MAX)
        return false;
    memcpy(number + 6 - len, digits, len);
    if (!append(text, out, cap, sx_str_of(number, 6)))
        return false;
    if (n->suffix.len == 0)
        return true;
    char folded[GEO_NUMBER_TEXT_MAX * GEO_FOLD_GROWTH + 1];
    return append(text, out, cap, SX_STR("_")) &&
           append(text, out, cap, geo_fold(n->suffix, folded, sizeof(folded)));
}

sx_str geo_number_id(const geo_index *ix, uint32_t doc, const geo_housenumber *n, char *out,
                     size_t cap)
{
    sx_str text = {out, 0}, none = {"", 0};
    for (uint32_t i = 0; i < n->column_count && doc < ix->doc_count; i++) {
        if (n->columns[i].kind != GEO_COLUMN_ID)
            continue;
        const geo_bytes *s = &ix->s[GEO_S_NUMBERS];
        geo_cursor c = {n->values[i], s->data + s->bytes, false};
        uint8_t form = geo_cursor_byte(&c);
        sx_str rest = form ? geo_index_string(ix, geo_cursor_u32(&c)) : none;
        sx_str own = form == 2 ? none : geo_index_string(ix, ix->docs[doc].id);
        bool fits = append(&text, out, cap, own) &&
                    (form ? append(&text, out, cap, rest) : id_by_rule(&text, out, cap, n));
        return fits && !c.bad ? text : none;
    }
    return none;
}

bool geo_number_property(const geo_index *ix, const geo_housenumber *n, sx_str key, geo_value *out)
{
    const geo_disk_key *keys = (const geo_disk_key *)(const void *)ix->s[GEO_S_KEYS].data;
    for (uint32_t i = 0; i < n->column_count; i++) {
        const geo_number_column *column = &n->columns[i];
        if (column->kind == GEO_COLUMN_ID || column->key >= ix->s[GEO_S_KEYS].count ||
            !sx_str_eq(geo_index_string(ix, keys[column->key].name), key))
            continue;
        if (column->kind == GEO_COLUMN_DECIMAL) {
            int64_t mantissa = n->decimals[i];
            unsigned scale = column->scale;
            /* The column's scale is its longest number's; one digit after the point always stays. */
            for (; scale > 1 && mantissa % 10 == 0; scale--)
                mantissa /= 10;
            geo_value_set_decimal(out, mantissa, scale);
            return true;
        }
        const geo_bytes *s = &ix->s[GEO_S_NUMBERS];
        geo_cursor c = {n->values[i], s->data + s->bytes, false};
        return (c.at == c.end || *c.at != GEO_TAG_ABSENT) && geo_value_read(ix, &c, out);
    }
    return false;
}
