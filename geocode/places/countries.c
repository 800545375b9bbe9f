/* countries.c - see countries.h. The tables are packed; what is made of them here is small.
 *
 * NAMES holds, for each country, values and their keys: "Liechtenstein\0 :br :de :en\0...\0" (a key
 * without "name" in front of its colon; the empty one is "name"), with an empty value at the end. They
 * are unpacked when a country is first asked for, and stay.
 *
 * Borders: CELLS has a word for each cell of two degrees, from the south-west: the region that all of it
 * is, or 0x8000 + the number of a cell with borders. CELL_BORDERS says where in BORDERS that lies:
 *
 *     byte x, y   a point of the cell, in 256ths, that is far from every border
 *     byte        its region
 *     varint      how many lines follow, each:
 *       byte        the regions left and right of it
 *       varint      points
 *       zigzag      x and y of each less the one before (the first: the cell's corner), in 32768ths of
 *                   a degree
 *
 * A point has the region of that side of a line which it meets first on the way to the cell's point,
 * and the cell's region if it meets none. Regions are 0 (none) or a row of REGIONS + 1. */
#include "geocode/places/countries.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/cursor.h"
#include "geocode/places/places.h"

typedef struct country_row {
    char code[3];
    uint8_t region; /* in the borders; 0: none */
    uint16_t partition;
    uint16_t languages, pattern, output; /* in TEXTS */
    uint32_t extent_m;
    bool without_postcodes;
    uint32_t names; /* in NAMES */
    plc_country_extent extent;
} country_row;

#include "geocode/places/countries_table.h"

enum {
    COUNTRY_COUNT = SX_COUNT_OF(COUNTRIES),
    CELL_UNITS = 65536,
    UNITS = 32768,
    BORDERED = 0x8000
};

typedef struct name_list {
    uint32_t count;
    plc_country_name names[];
} name_list;

/* Filled when first asked for and never changed: 700 KB for all, of which most services need little. */
static _Atomic(name_list *) g_names[COUNTRY_COUNT];

static const country_row *find(uint16_t country)
{
    char code[3];
    size_t low = 0, high = COUNTRY_COUNT;
    plc_country_text(country, code);
    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = memcmp(COUNTRIES[mid].code, code, 2);
        if (order == 0)
            return &COUNTRIES[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    const plc_country_name *x = a, *y = b;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return sx_str_cmp(x->key, y->key);
}

/* Counts what is packed at `text`; with `out`, unpacks it, keys into `room`. */
static uint32_t unpack(const char *text, plc_country_name *out, char *room, size_t *key_bytes)
{
    uint32_t count = 0;
    *key_bytes = 0;
    while (*text) {
        sx_str value = sx_str_z(text), keys = sx_str_z(text + value.len + 1);
        text = keys.data + keys.len + 1;
        for (size_t at = 0;;) {
            size_t end = at;
            while (end < keys.len && keys.data[end] != ' ')
                end++;
            sx_str key = sx_str_of(keys.data + at, end - at);
            sx_str prefix = key.len == 0 || key.data[0] == ':' ? SX_STR("name") : SX_STR("");
            if (out) {
                memcpy(room, prefix.data, prefix.len);
                memcpy(room + prefix.len, key.data, key.len);
                out[count] = (plc_country_name){sx_str_of(room, prefix.len + key.len), value};
                room += prefix.len + key.len;
            }
            *key_bytes += prefix.len + key.len;
            count++;
            if (end >= keys.len)
                break;
            at = end + 1;
        }
    }
    return count;
}

const plc_country_name *plc_country_names(uint16_t country, uint32_t *count)
{
    const country_row *row = find(country);
    *count = 0;
    if (!row)
        return NULL;
    _Atomic(name_list *) *slot = &g_names[row - COUNTRIES];
    name_list *list = atomic_load_explicit(slot, memory_order_acquire);
    if (!list) {
        size_t key_bytes;
        uint32_t n = unpack(NAMES + row->names, NULL, NULL, &key_bytes);
        size_t bytes = sizeof *list + n * sizeof list->names[0];
        name_list *made = sx_alloc(bytes + key_bytes);
        if (!made)
            return NULL;
        made->count = unpack(NAMES + row->names, made->names, (char *)made + bytes, &key_bytes);
        qsort(made->names, n, sizeof made->names[0], by_key);
        if (atomic_compare_exchange_strong(slot, &list, made))
            list = made;
        else
            sx_free(made); /* another thread was quicker */
    }
    *count = list->count;
    return list->names;
}

uint16_t plc_country_at_index(uint32_t i)
{
    return i < COUNTRY_COUNT ? plc_country_of(sx_str_of(COUNTRIES[i].code, 2)) : 0;
}

sx_str plc_country_code(uint16_t country)
{
    const country_row *row = find(country);
    return row ? sx_str_of(row->code, 2) : SX_STR("");
}

sx_str plc_country_languages(uint16_t country)
{
    const country_row *row = find(country);
    return row ? sx_str_z(TEXTS + row->languages) : SX_STR("");
}

sx_str plc_country_language(uint16_t country)
{
    sx_str all = plc_country_languages(country);
    return memchr(all.data, ',', all.len) ? SX_STR("") : all;
}

uint16_t plc_country_partition(uint16_t country)
{
    const country_row *row = find(country);
    return row ? row->partition : 0;
}

sx_str plc_country_postcode_pattern(uint16_t country)
{
    const country_row *row = find(country);
    return row ? sx_str_z(TEXTS + row->pattern) : SX_STR("");
}

sx_str plc_country_postcode_output(uint16_t country)
{
    const country_row *row = find(country);
    return row ? sx_str_z(TEXTS + row->output) : SX_STR("");
}

bool plc_country_has_postcodes(uint16_t country)
{
    const country_row *row = find(country);
    return country && !(row && row->without_postcodes);
}

uint32_t plc_country_postcode_extent_m(uint16_t country)
{
    enum { USUAL_EXTENT_M = 5000 };
    const country_row *row = find(country);
    return row ? row->extent_m : USUAL_EXTENT_M;
}

plc_country_extent plc_country_extent_of(uint16_t country)
{
    const country_row *row = find(country);
    return row ? row->extent : (plc_country_extent){0};
}

/* On which side of the line from (ax, ay) to (bx, by) the point is: above 0 left. */
static double turn(double ax, double ay, double bx, double by, double x, double y)
{
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax);
}

/* The square of the distance of a point from a line. */
static double away2(double ax, double ay, double bx, double by, double x, double y)
{
    double dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
    double t = square > 0 ? ((x - ax) * dx + (y - ay) * dy) / square : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    dx = ax + t * dx - x;
    dy = ay + t * dy - y;
    return dx * dx + dy * dy;
}

/* The region of a point (in units from the cell's corner); *clear2 falls to the square of its distance
 * from the nearest border. */
static unsigned region_in_cell(uint32_t offset, double x, double y, double *clear2)
{
    geo_cursor c = geo_cursor_at((const uint8_t *)BORDERS, sizeof BORDERS - 1, offset);
    double to_x = geo_cursor_byte(&c) * 256.0, to_y = geo_cursor_byte(&c) * 256.0;
    double nearest = 2; /* fraction of the way */
    unsigned region = geo_cursor_byte(&c);
    for (uint32_t lines = geo_cursor_u32(&c); lines > 0 && !c.bad; lines--) {
        unsigned left = geo_cursor_byte(&c), right = geo_cursor_byte(&c);
        double ax = 0, ay = 0, a_turn = 0;
        int64_t bx = 0, by = 0;
        uint32_t points = geo_cursor_u32(&c);
        for (uint32_t i = 0; i < points && !c.bad; i++) {
            bx += geo_cursor_zigzag(&c);
            by += geo_cursor_zigzag(&c);
            double b_turn = turn(x, y, to_x, to_y, (double)bx, (double)by);
            if (i > 0) {
                double away = away2(ax, ay, (double)bx, (double)by, x, y);
                *clear2 = away < *clear2 ? away : *clear2;
            }
            if (i > 0 && (a_turn >= 0) != (b_turn >= 0)) {
                double mine = turn(ax, ay, (double)bx, (double)by, x, y);
                double other = turn(ax, ay, (double)bx, (double)by, to_x, to_y);
                double at = mine / (mine - other); /* where on the way they meet */
                if (at >= 0 && at <= 1 && at < nearest) {
                    nearest = at;
                    region = mine > 0 ? left : right;
                }
            }
            ax = (double)bx;
            ay = (double)by;
            a_turn = b_turn;
        }
    }
    return region;
}

uint16_t plc_country_around(int32_t lon_e7, int32_t lat_e7, int32_t *clear_e7)
{
    double x = ((double)lon_e7 + 1800000000.0) * UNITS / 1e7;
    double y = ((double)lat_e7 + 900000000.0) * UNITS / 1e7;
    *clear_e7 = 0;
    if (x < 0 || y < 0 || x >= 180.0 * CELL_UNITS || y >= 90.0 * CELL_UNITS)
        return 0;
    uint32_t column = (uint32_t)x / CELL_UNITS, row = (uint32_t)y / CELL_UNITS;
    unsigned region = CELLS[row * 180 + column];
    x -= column * (double)CELL_UNITS;
    y -= row * (double)CELL_UNITS;
    /* Beyond the cell nothing is known. */
    double clear = fmin(fmin(x, CELL_UNITS - x), fmin(y, CELL_UNITS - y)), clear2 = clear * clear;
    if (region >= BORDERED)
        region = region_in_cell(CELL_BORDERS[region - BORDERED], x, y, &clear2);
    *clear_e7 = (int32_t)(sqrt(clear2) * 1e7 / UNITS);
    return region ? plc_country_of(sx_str_of(REGIONS + 2 * (region - 1), 2)) : 0;
}

uint16_t plc_country_at(int32_t lon_e7, int32_t lat_e7)
{
    int32_t clear_e7;
    return plc_country_around(lon_e7, lat_e7, &clear_e7);
}
