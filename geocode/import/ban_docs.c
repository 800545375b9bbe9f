/* ban_docs.c - documents out of the BAN's rows, of the form that its own NDJSON has.
 *
 * A street lies where the house number nearest to the middle of all does. Importance is the BAN's
 * rule with what a CSV tells: ln(1 + inhabitants / 3) / 20 of a commune, whose addresses stand for a
 * third of its inhabitants, and ln(1 + house numbers) / 20 more for a street. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "geocode/import/ban.h"
#include "geocode/import/props.h"
#include "geocode/text/fold.h"

enum { NAMES_MAX = 32, POSTCODES_MAX = 64, SUFFIX_BYTES = 48 };

/* Stands for "no number" in the files that communes deliver. */
static const sx_str NO_NUMBER = SX_STR_INIT("99999");

void geo_ban_pack(const geo_ban_row *row, sx_buf *out)
{
    for (int i = 0; i < GEO_BAN_COLUMNS; i++) {
        uint16_t len = (uint16_t)row->columns[i].len;
        sx_buf_bytes(out, &len, sizeof(len));
        sx_buf_str(out, row->columns[i]);
    }
}

bool geo_ban_unpack(sx_str packed, geo_ban_row *out)
{
    for (int i = 0; i < GEO_BAN_COLUMNS; i++) {
        uint16_t len;
        if (packed.len < sizeof(len))
            return false;
        memcpy(&len, packed.data, sizeof(len));
        packed = sx_str_from(packed, sizeof(len));
        if (packed.len < len)
            return false;
        out->columns[i] = sx_str_first(packed, len);
        packed = sx_str_from(packed, len);
    }
    return true;
}

/* Adds a text to a list that has each once; of those beyond the room nothing is kept. */
static void add_once(sx_str *list, uint32_t *count, uint32_t max, sx_str text)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (sx_str_eq(list[i], text))
            return;
    }
    if (text.len && *count < max)
        list[(*count)++] = text;
}

static geo_ban_commune *commune_of(geo_ban *b, sx_str code, sx_str name)
{
    geo_ban_commune *c = sx_map_get(&b->communes, code);
    if (c)
        return c;
    c = sx_arena_calloc(&b->arena, 1, sizeof(*c));
    if (!c)
        return NULL;
    c->code = sx_arena_copy(&b->arena, code);
    c->name = sx_arena_copy(&b->arena, name);
    sx_map_entry *e = c->code.data && c->name.data ? sx_map_put(&b->communes, c->code, NULL) : NULL;
    if (!e)
        return NULL;
    e->ptr = c;
    return c;
}

static bool count_in(geo_ban *b, geo_ban_commune *c, sx_str postcode, double lon, double lat)
{
    uint32_t known = c->postcode_count;
    c->addresses++;
    c->lon_sum += lon;
    c->lat_sum += lat;
    add_once(c->postcodes, &c->postcode_count, POSTCODES_MAX, postcode);
    if (c->postcode_count > known)
        c->postcodes[known] = sx_arena_copy(&b->arena, postcode);
    return c->postcode_count == known || c->postcodes[known].data;
}

bool geo_ban_count(geo_ban *b, const geo_ban_row *row, double lon, double lat)
{
    const sx_str *f = row->columns;
    if (f[GEO_BAN_COMMUNE_CODE].len == 0)
        return true;
    geo_ban_commune *c = commune_of(b, f[GEO_BAN_COMMUNE_CODE], f[GEO_BAN_COMMUNE]);
    if (!c || !count_in(b, c, f[GEO_BAN_POSTCODE], lon, lat))
        return false;
    const geo_ban_city *city = geo_ban_city_of(f[GEO_BAN_COMMUNE_CODE]);
    if (!city)
        return true;
    c = commune_of(b, city->code, city->name);
    return c && count_in(b, c, f[GEO_BAN_POSTCODE], lon, lat);
}

static double commune_importance(const geo_ban *b, sx_str code)
{
    const geo_ban_commune *c = b->places ? NULL : sx_map_get(&b->communes, code);
    return c ? geo_importance((double)c->addresses) : 0;
}

/* citycode and city; an arrondissement's are those of its city, too. `own_first`: in the document of
 * the arrondissement itself. */
static void add_city(geo_props *p, sx_str code, sx_str name, bool own_first)
{
    const geo_ban_city *city = geo_ban_city_of(code);
    const sx_str codes[2] = {code, city ? city->code : code};
    const sx_str names[2] = {own_first || !city ? name : city->name,
                             own_first && city ? city->name : name};
    geo_props_texts(p, SX_STR("citycode"), codes, city ? 2 : 1);
    geo_props_texts(p, SX_STR("city"), names, city ? 2 : 1);
}

static sx_status finish(geo_intake *in, geo_props *p, geo_in_doc *doc, sx_error *err)
{
    doc->properties = p->items;
    doc->property_count = p->count;
    if (p->failed)
        return sx_fail_memory(err, "a document");
    sx_status status = geo_intake_row(in, 0, geo_intake_add(in, doc, err), err);
    return status == SX_OK ? geo_intake_look(in, err) : status;
}

static sx_status add_commune(geo_ban *b, const geo_ban_commune *c, sx_error *err)
{
    geo_in_doc doc = {.id = c->code, .type = SX_STR("municipality")};
    sx_arena_reset(&b->in->arena);
    geo_props p = {.arena = &b->in->arena};
    doc.lon = geo_round(c->lon_sum / (double)c->addresses, 6);
    doc.lat = geo_round(c->lat_sum / (double)c->addresses, 6);
    doc.importance = commune_importance(b, c->code);
    geo_props_text(&p, SX_STR("id"), c->code);
    geo_props_text(&p, SX_STR("type"), doc.type);
    geo_props_text(&p, SX_STR("name"), c->name.len ? c->name : c->code);
    geo_props_texts(&p, SX_STR("postcode"), c->postcodes, c->postcode_count);
    add_city(&p, c->code, c->name, true);
    geo_props_text(&p, SX_STR("context"), geo_ban_context(c->code));
    geo_props_number(&p, SX_STR("lon"), doc.lon, 6);
    geo_props_number(&p, SX_STR("lat"), doc.lat, 6);
    geo_props_number(&p, SX_STR("importance"), doc.importance, 5);
    return finish(b->in, &p, &doc, err);
}

/* A row of the street being put together. */
typedef struct member {
    geo_ban_row row;
    double lon, lat, x, y;
    bool has_number, has_plane;
} member;

typedef struct street {
    geo_ban *ban;
    sx_str key;
    member *members;
    size_t count, cap;
    uint64_t addresses; /* members with a house number */
} street;

static sx_status take_member(street *s, sx_str packed, sx_error *err)
{
    geo_intake *in = s->ban->in;
    sx_str copy = sx_arena_copy(&in->arena, packed);
    if (s->count > in->limits.numbers_max)
        return sx_fail(err, SX_ELIMIT, "%s: the street %.*s has more than %u house numbers",
                       in->input->path, SX_ARG(s->key), in->limits.numbers_max);
    if (!copy.data ||
        !sx_arena_grow(&in->arena, &s->members, &s->cap, s->count + 1, sizeof(*s->members)))
        return sx_fail_memory(err, "a street");
    member *m = &s->members[s->count];
    if (!geo_ban_unpack(copy, &m->row))
        return sx_fail(err, SX_EIO, "a temporary file was damaged");
    const sx_str *f = m->row.columns;
    (void)sx_double_parse(f[GEO_BAN_LON], &m->lon); /* checked when it was read */
    (void)sx_double_parse(f[GEO_BAN_LAT], &m->lat);
    m->has_plane = sx_double_parse(f[GEO_BAN_X], &m->x) && sx_double_parse(f[GEO_BAN_Y], &m->y);
    m->has_number = f[GEO_BAN_NUMBER].len > 0 && !sx_str_eq(f[GEO_BAN_NUMBER], NO_NUMBER);
    s->addresses += m->has_number;
    s->count++;
    return SX_OK;
}

/* The member nearest to the middle of those that count: on the plane where all have coordinates on it,
 * which is metres, else on the globe's own degrees. */
static const member *middle(const street *s)
{
    bool plane = true;
    double x = 0, y = 0, members = 0;
    for (size_t i = 0; i < s->count; i++)
        plane = plane && s->members[i].has_plane;
    for (size_t i = 0; i < s->count; i++) {
        const member *m = &s->members[i];
        if (s->addresses && !m->has_number)
            continue;
        x += plane ? m->x : m->lon;
        y += plane ? m->y : m->lat;
        members++;
    }
    x /= members;
    y /= members;
    double shrink = plane ? 1 : cos(y * M_PI / 180), best = INFINITY;
    const member *nearest = &s->members[0];
    for (size_t i = 0; i < s->count; i++) {
        const member *m = &s->members[i];
        if (s->addresses && !m->has_number)
            continue;
        double east = ((plane ? m->x : m->lon) - x) * shrink, north = (plane ? m->y : m->lat) - y;
        if (east * east + north * north < best) {
            best = east * east + north * north;
            nearest = m;
        }
    }
    return nearest;
}

/* "12b": the number and its letters, small and without spaces; "bis" is b as in the NDJSON. */
static sx_str number_text(sx_arena *arena, const sx_str *f)
{
    char folded[SUFFIX_BYTES];
    sx_str suffix = geo_fold(sx_str_first(f[GEO_BAN_SUFFIX], SUFFIX_BYTES / GEO_FOLD_GROWTH),
                             folded, sizeof(folded));
    sx_str ordinal = geo_rules_ordinal(geo_rules_of(GEO_LANGUAGE_FRENCH), suffix);
    if (ordinal.len)
        suffix = ordinal;
    sx_str text = sx_arena_printf(arena, "%.*s%.*s", SX_ARG(f[GEO_BAN_NUMBER]), SX_ARG(suffix));
    size_t out = 0;
    for (size_t i = 0; text.data && i < text.len; i++) {
        if (text.data[i] != ' ')
            ((char *)(uintptr_t)text.data)[out++] = text.data[i];
    }
    text.len = out;
    return text;
}

/* House numbers, each once: of two rows with the same the first stands. */
static sx_status take_numbers(const street *s, geo_in_doc *doc, sx_error *err)
{
    sx_arena *arena = &s->ban->in->arena;
    geo_in_number *numbers = sx_arena_calloc(arena, s->addresses + 1, sizeof(*numbers));
    sx_map seen;
    sx_map_init(&seen, arena);
    bool good = numbers != NULL;
    for (size_t i = 0; good && i < s->count; i++) {
        const member *m = &s->members[i];
        if (!m->has_number)
            continue;
        bool added = false;
        geo_in_number *n = &numbers[doc->number_count];
        geo_props *p = sx_arena_calloc(arena, 1, sizeof(*p));
        *n = (geo_in_number){number_text(arena, m->row.columns), m->lon, m->lat, NULL, 0};
        if (!p || !n->text.data || !sx_map_put(&seen, n->text, &added)) {
            good = false;
            break;
        }
        if (!added)
            continue;
        p->arena = arena;
        geo_props_text(p, SX_STR("id"), m->row.columns[GEO_BAN_ID]);
        if (m->has_plane) {
            geo_props_number(p, SX_STR("x"), m->x, 6);
            geo_props_number(p, SX_STR("y"), m->y, 6);
        }
        good = !p->failed;
        n->properties = p->items;
        n->property_count = p->count;
        doc->number_count++;
    }
    sx_map_done(&seen);
    doc->numbers = numbers;
    return good ? SX_OK : sx_fail_memory(err, "a street");
}

/* The name, and what else it is called: aliases stand one behind the other, a bar between two. */
static uint32_t names_of(const sx_str *f, bool is_place, sx_str out[NAMES_MAX])
{
    uint32_t count = 0;
    add_once(out, &count, NAMES_MAX, is_place ? f[GEO_BAN_PLACE] : f[GEO_BAN_STREET]);
    for (sx_str rest = f[GEO_BAN_ALIAS], alias; rest.len;) {
        (void)sx_str_cut(rest, '|', &alias, &rest);
        add_once(out, &count, NAMES_MAX, sx_str_trim_all(alias));
    }
    return count;
}

static uint32_t postcodes_of(const street *s, sx_str out[POSTCODES_MAX])
{
    uint32_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        add_once(out, &count, POSTCODES_MAX, s->members[i].row.columns[GEO_BAN_POSTCODE]);
    return count;
}

static sx_status add_street(street *s, sx_error *err)
{
    geo_ban *b = s->ban;
    const member *at = middle(s);
    const sx_str *f = s->members[0].row.columns;
    bool is_place = b->places || f[GEO_BAN_STREET].len == 0 || s->addresses == 0;
    sx_str names[NAMES_MAX], postcodes[POSTCODES_MAX];
    bool place_name = b->places || f[GEO_BAN_STREET].len == 0;
    geo_in_doc doc = {.id = s->key,
                      .type = is_place ? SX_STR("locality") : SX_STR("street"),
                      .lon = at->lon,
                      .lat = at->lat};
    sx_status status = take_numbers(s, &doc, err);
    if (status != SX_OK)
        return status;
    doc.importance = geo_round(commune_importance(b, f[GEO_BAN_COMMUNE_CODE]) +
                                   geo_importance((double)doc.number_count),
                               5);
    if (doc.importance > 1)
        doc.importance = 1;
    const geo_ban_city *city = geo_ban_city_of(f[GEO_BAN_COMMUNE_CODE]);
    geo_props p = {.arena = &b->in->arena};
    geo_props_text(&p, SX_STR("id"), doc.id);
    geo_props_text(&p, SX_STR("type"), doc.type);
    geo_props_texts(&p, SX_STR("name"), names, names_of(f, place_name, names));
    geo_props_texts(&p, SX_STR("postcode"), postcodes, postcodes_of(s, postcodes));
    add_city(&p, f[GEO_BAN_COMMUNE_CODE], f[GEO_BAN_COMMUNE], false);
    geo_props_text(&p, SX_STR("oldcitycode"), f[GEO_BAN_OLD_CODE]);
    geo_props_text(&p, SX_STR("oldcity"), f[GEO_BAN_OLD_COMMUNE]);
    geo_props_text(&p, SX_STR("district"), city ? f[GEO_BAN_COMMUNE] : sx_str_of("", 0));
    geo_props_text(&p, SX_STR("context"), geo_ban_context(f[GEO_BAN_COMMUNE_CODE]));
    geo_props_number(&p, SX_STR("lon"), doc.lon, 9);
    geo_props_number(&p, SX_STR("lat"), doc.lat, 9);
    if (at->has_plane) {
        geo_props_number(&p, SX_STR("x"), at->x, 6);
        geo_props_number(&p, SX_STR("y"), at->y, 6);
    }
    geo_props_number(&p, SX_STR("importance"), doc.importance, 5);
    return finish(b->in, &p, &doc, err);
}

/* Streets and places: each is put together when the first row of the next comes. */
static sx_status add_streets(geo_ban *b, sx_error *err)
{
    sx_str key, packed;
    street s = {.ban = b};
    sx_buf own; /* the key of the street under way */
    sx_buf_init(&own, 0);
    sx_arena_reset(&b->in->arena);
    sx_status status = geo_grouper_finish(b->rows, err);
    while (status == SX_OK) {
        status = geo_grouper_next(b->rows, &key, &packed, err);
        bool ended = status == SX_END;
        if (status != SX_OK && !ended)
            break;
        if (s.count && (ended || !sx_str_eq(key, sx_buf_view(&own)))) {
            status = add_street(&s, err);
            sx_arena_reset(&b->in->arena);
            s = (street){.ban = b};
        }
        if (ended || status != SX_OK)
            break;
        sx_buf_clear(&own);
        sx_buf_str(&own, key);
        s.key = sx_buf_view(&own);
        status = sx_buf_status(&own, "a street", err);
        if (status == SX_OK)
            status = take_member(&s, packed, err);
    }
    sx_buf_done(&own);
    return status == SX_END ? SX_OK : status;
}

static int by_code(const void *left, const void *right)
{
    const geo_ban_commune *const *a = left, *const *b = right;
    return sx_str_cmp((*a)->code, (*b)->code);
}

sx_status geo_ban_documents(geo_ban *b, sx_error *err)
{
    size_t cursor = 0;
    sx_status status = SX_OK;
    /* In the order of their codes, so that the same rows give the same index. */
    const geo_ban_commune **communes =
        sx_arena_calloc(&b->arena, sx_map_count(&b->communes) + 1, sizeof(*communes));
    if (!communes)
        return sx_fail_memory(err, "the communes");
    size_t count = 0;
    for (sx_map_entry *e; (e = sx_map_next(&b->communes, &cursor));)
        communes[count++] = e->ptr;
    if (count)
        qsort(communes, count, sizeof(*communes), by_code);
    for (size_t i = 0; status == SX_OK && !b->places && !b->in->input->no_communes && i < count;
         i++)
        status = add_commune(b, communes[i], err);
    return status == SX_OK ? add_streets(b, err) : status;
}
