/* link.c - boundaries and the nodes of the same places; rivers and the ways they consist of.
 *
 * An area takes over the node: that its relation has as label; else inside of it, of the same wikidata
 * entry; else of the type that its tag `place` says, one name being part of the other; else of its name
 * and rank. The area then has the node's names beside its own, its middle and its tags. */
#include <ctype.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"

static sx_str extratag(const bld_place *p, const char *key)
{
    return plc_pairs_get(&p->extratags, sx_str_z(key));
}

/* The small letter of a capital of Latin, Greek, Cyrillic and Armenian script; others as they are. */
static uint32_t small_letter(uint32_t c)
{
    static const struct {
        uint32_t first, last;
        int32_t step; /* 0: every second is a capital, and the next one its small letter */
    } CAPITALS[] = {
        {0xC0, 0xD6, 32},    {0xD8, 0xDE, 32},    {0x100, 0x12F, 0},    {0x132, 0x137, 0},
        {0x139, 0x148, 0},   {0x14A, 0x177, 0},   {0x178, 0x178, -121}, {0x179, 0x17E, 0},
        {0x218, 0x21B, 0},   {0x386, 0x386, 38},  {0x388, 0x38A, 37},   {0x38C, 0x38C, 64},
        {0x38E, 0x38F, 63},  {0x391, 0x3AB, 32},  {0x400, 0x40F, 80},   {0x410, 0x42F, 32},
        {0x460, 0x481, 0},   {0x48A, 0x4BF, 0},   {0x4D0, 0x52F, 0},    {0x531, 0x556, 48},
        {0x1E00, 0x1E95, 0}, {0x1EA0, 0x1EFF, 0},
    };
    for (size_t i = 0; i < SX_COUNT_OF(CAPITALS); i++) {
        if (c < CAPITALS[i].first || c > CAPITALS[i].last)
            continue;
        if (CAPITALS[i].step)
            return (uint32_t)((int32_t)c + CAPITALS[i].step);
        return c + (c % 2 == CAPITALS[i].first % 2);
    }
    return c;
}

/* The name in small letters, in the scratch arena; empty if there is none. */
static sx_status small_name(bld_worker *w, const bld_place *p, sx_str *out, sx_error *err)
{
    sx_str name = plc_pairs_get(&p->names, SX_STR("name"));
    sx_buf small;
    sx_buf_init(&small, 0);
    for (size_t i = 0; i < name.len;) {
        uint32_t code;
        size_t len = wrd_letter(sx_str_from(name, i), &code);
        char utf8[4];
        if (len == 1 && code < 0x80)
            sx_buf_byte(&small, (char)tolower((unsigned char)name.data[i]));
        else
            sx_buf_bytes(&small, utf8, sx_utf8_encode(small_letter(code), utf8));
        i += len;
    }
    sx_status status = sx_buf_status(&small, "the name of a place", err);
    *out = sx_arena_copy(&w->scratch, sx_buf_view(&small));
    sx_buf_done(&small);
    return status == SX_OK && !out->data ? sx_fail_memory(err, "the name of a place") : status;
}

static bool is_free(const bld_place *node)
{
    return node->linked == PLC_NONE && node->rank_search < BLD_RANK_STREET;
}

static sx_status label_of(bld *b, bld_worker *w, const bld_place *area, uint32_t *out)
{
    const osm_member *members;
    uint32_t count;
    *out = PLC_NONE;
    if (area->kind != OSM_RELATION ||
        !osm_dataset_relation(b->data, area->osm_id, &w->scratch, &members, &count))
        return SX_OK;
    for (uint32_t i = 0; i < count; i++) {
        size_t first, found;
        if (members[i].kind != OSM_NODE || !sx_str_eq(members[i].role, SX_STR("label")))
            continue;
        found = bld_find_object(b, OSM_NODE, members[i].ref, &first);
        for (size_t k = first; k < first + found; k++) {
            if (sx_str_eq(b->places.items[k].class_name, SX_STR("place"))) {
                *out = (uint32_t)k;
                return SX_OK;
            }
        }
    }
    return SX_OK;
}

static bool same_wikidata(const bld_place *a, const bld_place *b)
{
    sx_str x = extratag(a, "wikidata"), y = extratag(b, "wikidata");
    return x.len > 0 && sx_str_eq(x, y);
}

static bool different_wikidata(const bld_place *a, const bld_place *b)
{
    sx_str x = extratag(a, "wikidata"), y = extratag(b, "wikidata");
    return x.len > 0 && y.len > 0 && !sx_str_eq(x, y);
}

static bool has_part(sx_str whole, sx_str part)
{
    return part.len == 0 || sx_str_find(whole, part) < whole.len;
}

/* The ways to find the node, best first; each looks at the nodes inside of the area. */
typedef enum link_way { BY_WIKIDATA, BY_PLACE_TAG, BY_NAME, LINK_WAYS } link_way;

/* How well a node suits: 0 not at all. */
static int suits(link_way way, const bld_place *area, sx_str area_name, const bld_place *node,
                 sx_str name)
{
    switch (way) {
    case BY_WIKIDATA:
        if (!same_wikidata(area, node))
            return 0;
        return area_name.len == 0 || name.len == 0 ? 3 : sx_str_eq(area_name, name) ? 2 : 1;
    case BY_PLACE_TAG:
        return area_name.len > 0 && name.len > 0 &&
               sx_str_eq(node->type, extratag(area, "place")) && !different_wikidata(area, node) &&
               (has_part(area_name, name) || has_part(name, area_name));
    case BY_NAME:
        return area_name.len > 0 && sx_str_eq(area_name, name) &&
               node->base_address == area->base_address && !different_wikidata(area, node);
    case LINK_WAYS:
        return 0;
    }
    return 0;
}

sx_status bld_find_linked(bld *b, bld_worker *w, const bld_place *area, uint32_t *out,
                          sx_error *err)
{
    uint32_t *ids, count, kept = 0;
    sx_str area_name, *names;
    *out = PLC_NONE;
    if (!area->area || area->rank_search >= BLD_RANK_STREET)
        return SX_OK;
    sx_status status = label_of(b, w, area, out);
    if (status == SX_OK && *out == PLC_NONE)
        status = small_name(w, area, &area_name, err);
    if (status != SX_OK || *out != PLC_NONE)
        return status;
    status = bld_find(w, &b->nodes, area->box, &ids, &count, err);
    if (status != SX_OK)
        return status;
    names = sx_arena_calloc(&w->scratch, (size_t)count + 1, sizeof *names);
    if (!names)
        return sx_fail_memory(err, "the nodes of a boundary");
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        const bld_place *node = &b->places.items[ids[i]];
        bool may_suit = false;
        if (!is_free(node))
            continue;
        status = small_name(w, node, &names[kept], err);
        for (int way = 0; way < LINK_WAYS; way++)
            may_suit |= suits((link_way)way, area, area_name, node, names[kept]) > 0;
        if (may_suit && bld_area_holds(area, node->center))
            ids[kept++] = ids[i];
    }
    for (int way = 0; way < LINK_WAYS && *out == PLC_NONE; way++) {
        int best = 0;
        for (uint32_t i = 0; i < kept; i++) {
            int how = suits((link_way)way, area, area_name, &b->places.items[ids[i]], names[i]);
            if (how > best) {
                best = how;
                *out = ids[i];
            }
        }
    }
    return status;
}

static sx_status add_pair(bld_worker *w, plc_pairs *to, sx_str prefix, sx_str key, sx_str value,
                          sx_error *err)
{
    sx_str whole =
        prefix.len ? sx_arena_printf(&w->arena, "%.*s%.*s", SX_ARG(prefix), SX_ARG(key)) : key;
    if (!whole.data && whole.len)
        return sx_fail_memory(err, "the names of a place");
    to->items[to->count++] = (osm_tag){whole, value};
    return SX_OK;
}

/* A copy of `p` in the worker's arena with room for `more`. */
static sx_status widened(bld_worker *w, plc_pairs *p, uint32_t more, sx_error *err)
{
    osm_tag *items = sx_arena_alloc(&w->arena, ((size_t)p->count + more + 1) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "the tags of a place");
    if (p->count)
        memcpy(items, p->items, p->count * sizeof *items);
    p->items = items;
    return SX_OK;
}

static bool is_new_name(const plc_pairs *names, const osm_tag *t)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (sx_str_eq(names->items[i].key, t->key))
            return !sx_str_eq(names->items[i].value, t->value);
    }
    return true;
}

sx_status bld_take_names(bld_worker *w, bld_place *area, const bld_place *node, sx_error *err)
{
    plc_pairs own = area->names;
    sx_str language = plc_country_language(node->country);
    sx_str name = plc_pairs_get(&node->names, SX_STR("name"));
    sx_status status = widened(w, &area->names, node->names.count + 1, err);
    for (uint32_t i = 0; i < node->names.count && status == SX_OK; i++) {
        if (is_new_name(&own, &node->names.items[i]))
            status = add_pair(w, &area->names, SX_STR("_place_"), node->names.items[i].key,
                              node->names.items[i].value, err);
    }
    if (status == SX_OK && language.len && name.len) {
        sx_str key = sx_arena_printf(&w->arena, "name:%.*s", SX_ARG(language));
        osm_tag t = {key, name};
        if (!key.data)
            status = sx_fail_memory(err, "the names of a place");
        else if (plc_pairs_get(&node->names, key).len == 0 && is_new_name(&own, &t))
            status = add_pair(w, &area->names, SX_STR("_place_"), key, name, err);
    }
    plc_pairs_sort(&area->names);
    return status;
}

sx_status bld_take_tags(bld_worker *w, bld_place *area, const bld_place *node, sx_error *err)
{
    sx_status status = widened(w, &area->extratags, node->extratags.count + 1, err);
    for (uint32_t i = 0; i < node->extratags.count && status == SX_OK; i++)
        status = add_pair(w, &area->extratags, SX_STR(""), node->extratags.items[i].key,
                          node->extratags.items[i].value, err);
    if (status == SX_OK) /* the first of a key stays: its own before the node's before this */
        status =
            add_pair(w, &area->extratags, SX_STR("linked_"), node->class_name, node->type, err);
    plc_pairs_sort(&area->extratags);
    return status;
}

sx_status bld_add_default_name(bld_worker *w, bld_place *p, sx_error *err)
{
    sx_str language = plc_country_language(p->country), name, local;
    if (p->names.count < 2 || language.len == 0)
        return SX_OK;
    sx_str key = sx_arena_printf(&w->arena, "name:%.*s", SX_ARG(language));
    if (!key.data)
        return sx_fail_memory(err, "the names of a place");
    name = plc_pairs_get(&p->names, SX_STR("name"));
    local = plc_pairs_get(&p->names, key);
    if ((name.len > 0) == (local.len > 0))
        return SX_OK;
    sx_status status = widened(w, &p->names, 1, err);
    if (status == SX_OK)
        status = name.len ? add_pair(w, &p->names, SX_STR(""), key, name, err)
                          : add_pair(w, &p->names, SX_STR(""), SX_STR("name"), local, err);
    plc_pairs_sort(&p->names);
    return status;
}

/* A way is part of a river's relation: in its main stream, or of the river's name. */
static void link_way_of_river(bld *b, uint32_t river, const osm_member *m, bld_river_ways which)
{
    static const char *const KINDS[] = {"river", "stream", "canal", "drain", "ditch"};
    const bld_place *relation = &b->places.items[river];
    bool is_side = sx_str_eq(m->role, SX_STR("side_stream"));
    size_t first, count;
    if (m->kind != OSM_WAY ||
        !(m->role.len == 0 || is_side || sx_str_eq(m->role, SX_STR("main_stream"))))
        return;
    count = bld_find_object(b, OSM_WAY, m->ref, &first);
    for (size_t i = first; i < first + count; i++) {
        bld_place *way = &b->places.items[i];
        bool is_kind = false;
        for (size_t k = 0; k < SX_COUNT_OF(KINDS); k++)
            is_kind |= sx_str_eq(way->type, sx_str_z(KINDS[k]));
        sx_str name = plc_pairs_get(&relation->names, SX_STR("name"));
        if (!is_kind || !sx_str_eq(way->class_name, SX_STR("waterway")) ||
            (is_side &&
             (name.len == 0 || !sx_str_eq(name, plc_pairs_get(&way->names, SX_STR("name"))))))
            continue;
        if (which == BLD_ALL_WAYS || bld_sector(way) > bld_sector(relation))
            way->linked = river;
    }
}

void bld_link_rivers(bld *b, bld_river_ways which)
{
    bld_worker *w = &b->workers[0];
    for (size_t i = 0; i < b->places.count; i++) {
        const bld_place *p = &b->places.items[i];
        const osm_member *members;
        uint32_t count;
        if (p->kind != OSM_RELATION || !sx_str_eq(p->class_name, SX_STR("waterway")))
            continue;
        sx_arena_reset(&w->scratch);
        if (!osm_dataset_relation(b->data, p->osm_id, &w->scratch, &members, &count))
            continue;
        for (uint32_t k = 0; k < count; k++)
            link_way_of_river(b, (uint32_t)i, &members[k], which);
    }
}
