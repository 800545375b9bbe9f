/* places.c - opening a container of places and following its references. See places.h. */
#include "geocode/places/places.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t record;
} SECTIONS[PLC_S_END] = {
#define X(id, name, record) [id] = {#name, record},
    PLC_SECTION_LIST(X)
#undef X
};

const char *plc_section_name(unsigned id)
{
    if (id >= PLC_S_END)
        return "?";
    if (id >= PLC_S_WORDS)
        return "WORDS";
    return SECTIONS[id].name ? SECTIONS[id].name : "?";
}

static sx_status take_section(plc_index *ix, const plc_disk_section *row, sx_error *err)
{
    if (row->id == 0 || row->id >= PLC_S_END)
        return SX_OK; /* of a later minor addition: not ours to read */
    const char *name = plc_section_name(row->id);
    if (row->offset % PLC_ALIGN != 0 || row->offset > ix->bytes ||
        row->bytes > ix->bytes - row->offset)
        return sx_fail(err, SX_ECORRUPT, "section %s of the places lies outside them", name);
    bool own = row->id < PLC_S_WORDS;
    if (row->record == 0 || row->bytes % row->record != 0 ||
        (own && row->record != SECTIONS[row->id].record))
        return sx_fail(err, SX_ECORRUPT, "section %s of the places has %llu bytes in records of %u",
                       name, (unsigned long long)row->bytes, row->record);
    if (ix->s[row->id].data)
        return sx_fail(err, SX_ECORRUPT, "section %s of the places is there twice", name);
    ix->s[row->id] = (plc_bytes){ix->data + row->offset, row->bytes, row->bytes / row->record};
    return SX_OK;
}

sx_status plc_open(plc_index *out, const void *data, uint64_t len, sx_error *err)
{
    *out = (plc_index){.data = data, .bytes = len};
    if (len < PLC_TABLE_BYTES || len % 8 != 0)
        return sx_fail(err, SX_ECORRUPT, "%llu bytes cannot be places: their table alone has %d",
                       (unsigned long long)len, (int)PLC_TABLE_BYTES);
    const plc_disk_table *table = (const void *)(out->data + len - PLC_TABLE_BYTES);
    if (memcmp(table->magic, PLC_MAGIC, sizeof(table->magic)) != 0)
        return sx_fail(err, SX_ECORRUPT, "the places do not end with their table");
    if (table->version > PLC_FORMAT_VERSION)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "places of format %u are newer than this program's %d; "
                       "build the index again or use a newer sextant",
                       table->version, PLC_FORMAT_VERSION);
    if (table->bytes != len || table->section_count > PLC_SECTIONS_MAX)
        return sx_fail(err, SX_ECORRUPT, "the places have %llu bytes, their table says %llu",
                       (unsigned long long)len, (unsigned long long)table->bytes);
    for (uint32_t i = 0; i < table->section_count; i++) {
        sx_status status = take_section(out, &table->sections[i], err);
        if (status != SX_OK)
            return status;
    }
    if (out->s[PLC_S_META].count != 1 || !out->s[PLC_S_STRINGS].data)
        return sx_fail(err, SX_ECORRUPT, "the places have no section META or STRINGS");
    if (out->s[PLC_S_PLACES].count >= PLC_NONE)
        return sx_fail(err, SX_ECORRUPT, "more places than 32 bits can name");
    out->meta = (const void *)out->s[PLC_S_META].data;
    out->places = (const void *)out->s[PLC_S_PLACES].data;
    out->place_count = (uint32_t)out->s[PLC_S_PLACES].count;
    return SX_OK;
}

static geo_cursor cursor_in(const plc_index *ix, plc_section id, uint64_t offset)
{
    return geo_cursor_at(ix->s[id].data, ix->s[id].bytes, offset);
}

sx_str plc_string(const plc_index *ix, uint32_t ref)
{
    geo_cursor c = cursor_in(ix, PLC_S_STRINGS, ref);
    return geo_cursor_bytes(&c, geo_cursor_varint(&c));
}

void plc_tags_begin(const plc_index *ix, uint64_t tags, plc_tag_list list, plc_tags *it)
{
    *it = (plc_tags){.ix = ix, .c = cursor_in(ix, PLC_S_TAGS, tags)};
    it->left = geo_cursor_u32(&it->c);
    for (int before = 0; before < (int)list; before++) {
        for (; it->left > 0 && !it->c.bad; it->left--) {
            (void)geo_cursor_u32(&it->c);
            (void)geo_cursor_u32(&it->c);
        }
        it->left = geo_cursor_u32(&it->c);
    }
}

bool plc_tags_next(plc_tags *it, sx_str *key, sx_str *value)
{
    if (it->left == 0 || it->c.bad)
        return false;
    it->left--;
    uint32_t k = geo_cursor_u32(&it->c), v = geo_cursor_u32(&it->c);
    if (it->c.bad)
        return false;
    *key = plc_string(it->ix, k);
    *value = plc_string(it->ix, v);
    return true;
}

sx_str plc_tag(const plc_index *ix, uint64_t tags, plc_tag_list list, sx_str key)
{
    plc_tags it;
    sx_str k, v;
    for (plc_tags_begin(ix, tags, list, &it); plc_tags_next(&it, &k, &v);) {
        if (sx_str_eq(k, key))
            return v;
    }
    return sx_str_of("", 0);
}

sx_str plc_shape(const plc_index *ix, uint64_t shape)
{
    geo_cursor c = cursor_in(ix, PLC_S_SHAPES, shape);
    return geo_cursor_bytes(&c, geo_cursor_varint(&c));
}

const plc_disk_line *plc_lines(const plc_index *ix, uint32_t place, uint32_t *count)
{
    const plc_disk_place *p = plc_place(ix, place);
    *count = 0;
    if (p && !(p->flags & PLC_OWN_LINES))
        p = plc_place(ix, p->parent);
    if (!p || (uint64_t)p->lines + p->line_count > ix->s[PLC_S_ADDRESS_LINES].count)
        return NULL;
    *count = p->line_count;
    return (const plc_disk_line *)(const void *)ix->s[PLC_S_ADDRESS_LINES].data + p->lines;
}

uint32_t plc_children(const plc_index *ix, uint32_t place, uint32_t *first)
{
    const plc_disk_place *p = plc_place(ix, place);
    *first = p ? p->first_child : 0;
    return p && (uint64_t)p->first_child + p->child_count <= ix->place_count ? p->child_count : 0;
}

/* --- Sorted tables: the run of records whose key, a number of a record, equals `key`. */

typedef uint64_t (*record_key)(const void *record);

static uint64_t lower_bound(const plc_bytes *s, size_t record, record_key key_of, uint64_t key)
{
    uint64_t low = 0, high = s->count;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (key_of(s->data + mid * record) < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static const void *find_run(const plc_index *ix, plc_section id, record_key key_of, uint64_t key,
                            uint32_t *count)
{
    const plc_bytes *s = &ix->s[id];
    size_t record = SECTIONS[id].record;
    uint64_t first = lower_bound(s, record, key_of, key), end = first;
    while (end < s->count && end - first < UINT32_MAX && key_of(s->data + end * record) == key)
        end++;
    *count = (uint32_t)(end - first);
    return *count ? s->data + first * record : NULL;
}

static uint64_t key_of_interpolation(const void *record)
{
    return ((const plc_disk_interpolation *)record)->parent;
}

static uint64_t key_of_entrance(const void *record)
{
    return ((const plc_disk_entrance *)record)->place;
}

static uint64_t key_of_osm_id(const void *record)
{
    return ((const plc_disk_osm_id *)record)->object;
}

static uint64_t key_of_linked(const void *record)
{
    return ((const plc_disk_linked *)record)->boundary;
}

const plc_disk_interpolation *plc_interpolations(const plc_index *ix, uint32_t parent,
                                                 uint32_t *count)
{
    return find_run(ix, PLC_S_INTERPOLATIONS, key_of_interpolation, parent, count);
}

const plc_disk_entrance *plc_entrances(const plc_index *ix, uint32_t place, uint32_t *count)
{
    return find_run(ix, PLC_S_ENTRANCES, key_of_entrance, place, count);
}

const plc_disk_linked *plc_linked(const plc_index *ix, uint32_t boundary, uint32_t *count)
{
    return find_run(ix, PLC_S_LINKED, key_of_linked, boundary, count);
}

const plc_disk_osm_id *plc_find_osm(const plc_index *ix, unsigned kind, int64_t id, uint32_t *count)
{
    return find_run(ix, PLC_S_OSM_IDS, key_of_osm_id, plc_osm_object(kind, id), count);
}

/* By class, then type, as bytes. */
static int category_order(const plc_index *ix, const plc_disk_category *c, sx_str class_name,
                          sx_str type)
{
    int order = sx_str_cmp(plc_string(ix, c->class_name), class_name);
    return order ? order : sx_str_cmp(plc_string(ix, c->type), type);
}

const uint32_t *plc_category(const plc_index *ix, sx_str class_name, sx_str type, uint32_t *count)
{
    const plc_disk_category *rows = (const void *)ix->s[PLC_S_CATEGORIES].data;
    const plc_bytes *places = &ix->s[PLC_S_CATEGORY_PLACES];
    uint64_t low = 0, high = ix->s[PLC_S_CATEGORIES].count;
    *count = 0;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int order = category_order(ix, &rows[mid], class_name, type);
        if (order == 0) {
            if ((uint64_t)rows[mid].first + rows[mid].count > places->count)
                return NULL;
            *count = rows[mid].count;
            return (const uint32_t *)(const void *)places->data + rows[mid].first;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

uint16_t plc_country_of(sx_str code)
{
    if (code.len != 2)
        return 0;
    unsigned a = (unsigned char)code.data[0] | 0x20, b = (unsigned char)code.data[1] | 0x20;
    bool letters = a >= 'a' && a <= 'z' && b >= 'a' && b <= 'z';
    return letters ? (uint16_t)(a << 8 | b) : 0;
}

void plc_country_text(uint16_t country, char out[3])
{
    out[0] = (char)(country >> 8);
    out[1] = (char)(country & 0xFF);
    out[2] = '\0';
}
