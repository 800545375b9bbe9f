/* style.c - the tables of what makes a place, and how an object's tags go through them.
 *
 * Each tag goes through MAIN (then SUFFIXES and PREFIXES) first: there it is dropped, kept as an extra
 * tag, or found to matter. An object with no tag that matters is no place. Of the rest, names are
 * taken out by NAMES, address parts by ADDRESS; each remaining tag with a rule in MAIN is then tried
 * as a kind. FALLBACK kinds count only if the object has a name and is nothing else. */
#include "geocode/places/style.h"

#include <stdlib.h>

#include "geocode/places/style_table.h"

static bool is_z(sx_str s, const char *z)
{
    return sx_str_eq(s, sx_str_z(z));
}

static bool in_list(sx_str s, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_z(s, list[i]))
            return true;
    }
    return false;
}

/* The first row of `key`, or NULL. */
static const main_row *main_rows(sx_str key)
{
    size_t low = 0, high = SX_COUNT_OF(MAIN);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (sx_str_cmp(MAIN[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < SX_COUNT_OF(MAIN) && sx_str_eq(key, MAIN[low].key) ? &MAIN[low] : NULL;
}

static style_rule main_rule(sx_str key, sx_str value)
{
    const main_row *row = main_rows(key);
    for (; row && row < MAIN + SX_COUNT_OF(MAIN) && sx_str_eq(key, row->key); row++) {
        if (!row->value.data || sx_str_eq(value, row->value))
            return row->rule;
    }
    return R_NONE;
}

static style_rule first_rule(sx_str key, sx_str value)
{
    style_rule r = main_rule(key, value);
    if (r != R_NONE)
        return r;
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES); i++) {
        if (sx_str_ends(key, SUFFIXES[i].part))
            return SUFFIXES[i].rule;
    }
    if (!memchr(key.data, ':', key.len))
        return R_NONE; /* every prefix has one */
    for (size_t i = 0; i < SX_COUNT_OF(PREFIXES); i++) {
        if (sx_str_starts(key, PREFIXES[i].part))
            return PREFIXES[i].rule;
    }
    return R_NONE;
}

static name_group name_group_of(sx_str key)
{
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        const name_row *row = &NAMES[i];
        if (!sx_str_starts(key, row->key))
            continue;
        if (key.len == row->key.len || (row->with_suffix && key.data[row->key.len] == ':'))
            return row->group;
    }
    return sx_str_starts(key, SX_STR("alt_name_")) ? N_MAIN : N_NONE;
}

/* Which part of an address a key is, and how far it is trusted (lower is better). Empty: none. */
static sx_str address_part(sx_str key, uint32_t *trust)
{
    for (uint32_t i = 0; i < SX_COUNT_OF(ADDRESS); i++) {
        if (sx_str_eq(key, ADDRESS[i].key)) {
            *trust = i;
            return ADDRESS[i].part;
        }
    }
    *trust = SX_COUNT_OF(ADDRESS);
    if (sx_str_starts(key, SX_STR("addr:")))
        return sx_str_from(key, 5);
    *trust += 1;
    if (sx_str_starts(key, SX_STR("is_in:")))
        return sx_str_from(key, 6);
    return SX_STR("");
}

sx_str plc_pairs_get(const plc_pairs *p, sx_str key)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (sx_str_eq(p->items[i].key, key))
            return p->items[i].value;
    }
    return SX_STR("");
}

static int by_key(const void *a, const void *b)
{
    const osm_tag *x = a, *y = b;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return sx_str_cmp(x->key, y->key);
}

void plc_pairs_sort(plc_pairs *p)
{
    for (uint32_t i = 1; i < p->count; i++) { /* stable; lists are short */
        osm_tag tag = p->items[i];
        uint32_t j = i;
        for (; j > 0 && by_key(&p->items[j - 1], &tag) > 0; j--)
            p->items[j] = p->items[j - 1];
        p->items[j] = tag;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (kept == 0 || by_key(&p->items[kept - 1], &p->items[i]) != 0)
            p->items[kept++] = p->items[i];
    }
    p->count = kept;
}

/* What is known of an object while it is read. */
typedef struct reader {
    const osm_object *o;
    sx_arena *arena;
    plc_reading *out;
    osm_tag *left; /* tags that may still be a kind */
    uint32_t left_count;
    plc_pairs names, extra;
    bool has_name, is_house;
    bool failed;
} reader;

static osm_tag *room(reader *r, size_t count)
{
    osm_tag *items = sx_arena_alloc(r->arena, (count ? count : 1) * sizeof *items);
    if (!items)
        r->failed = true;
    return items;
}

static void put(plc_pairs *p, sx_str key, sx_str value)
{
    p->items[p->count++] = (osm_tag){key, value};
}

static sx_str left_value(const reader *r, const char *key)
{
    for (uint32_t i = 0; i < r->left_count; i++) {
        if (is_z(r->left[i].key, key))
            return r->left[i].value;
    }
    return SX_STR("");
}

static bool has_left(const reader *r, const char *key)
{
    return left_value(r, key).data && left_value(r, key).len > 0;
}

/* Drops, keeps, and tells whether anything is left that matters. */
static bool sift(reader *r)
{
    bool matters = false;
    for (uint32_t i = 0; i < r->o->tag_count && !matters; i++) {
        style_rule rule = first_rule(r->o->tags[i].key, r->o->tags[i].value);
        matters = rule != R_NONE && rule != R_EXTRA && rule != R_DROP;
    }
    if (!matters)
        return false;
    r->left = room(r, r->o->tag_count);
    r->extra.items = room(r, r->o->tag_count);
    r->names.items = room(r, r->o->tag_count);
    r->out->address.items = room(r, r->o->tag_count);
    if (r->failed)
        return false;
    for (uint32_t i = 0; i < r->o->tag_count; i++) {
        const osm_tag *t = &r->o->tags[i];
        style_rule rule = first_rule(t->key, t->value);
        if (rule == R_EXTRA)
            put(&r->extra, t->key, t->value);
        else if (rule != R_DROP)
            r->left[r->left_count++] = *t;
    }
    return true;
}

/* A boundary's `place` says which place it is the boundary of; it is no place twice. */
static void take_place_of_boundary(reader *r)
{
    if (!sx_str_eq(left_value(r, "boundary"), SX_STR("administrative")))
        return;
    for (uint32_t i = 0; i < r->left_count; i++) {
        if (!is_z(r->left[i].key, "place") || sx_str_starts(r->left[i].value, SX_STR("isl")))
            continue;
        put(&r->extra, r->left[i].key, r->left[i].value);
        r->left[i] = r->left[--r->left_count];
        return;
    }
}

static void take_names(reader *r)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->left_count; i++) {
        osm_tag tag = r->left[i];
        name_group group = name_group_of(tag.key);
        if (group == N_NONE) {
            r->left[kept++] = tag;
            continue;
        }
        put(&r->names, tag.key, tag.value);
        r->has_name |= group != N_EXTRA;
        r->is_house |= group == N_HOUSE;
    }
    r->left_count = kept;
}

static void take_address(reader *r)
{
    uint32_t kept = 0, *trusts = NULL;
    plc_pairs *address = &r->out->address;
    for (uint32_t i = 0; i < r->left_count; i++) {
        osm_tag tag = r->left[i];
        uint32_t trust, at;
        sx_str part = address_part(tag.key, &trust);
        if (part.len == 0) {
            r->left[kept++] = tag;
            continue;
        }
        if (!trusts) {
            trusts = sx_arena_calloc(r->arena, r->o->tag_count, sizeof *trusts);
            if (!trusts) {
                r->failed = true;
                return;
            }
        }
        if (in_list(tag.key, NUMBER_KEYS, SX_COUNT_OF(NUMBER_KEYS)))
            r->has_name = r->is_house = true;
        for (at = 0; at < address->count && !sx_str_eq(address->items[at].key, part); at++)
            ;
        if (at == address->count)
            put(address, part, tag.value);
        else if (trusts[at] <= trust)
            continue;
        address->items[at].value = tag.value;
        trusts[at] = trust;
    }
    r->left_count = kept;
    for (uint32_t i = 0; i < address->count; i++) {
        /* The name of a country is no code. */
        if (is_z(address->items[i].key, "country") && address->items[i].value.len != 2)
            address->items[i--] = address->items[--address->count];
    }
    plc_pairs_sort(address);
}

static void take_interpolation(reader *r)
{
    plc_pairs *address = &r->out->address;
    if (r->o->kind != OSM_WAY || plc_pairs_get(address, SX_STR("interpolation")).len == 0 ||
        plc_pairs_get(address, SX_STR("housenumber")).len > 0)
        return;
    r->out->is_interpolation = true;
    r->out->interpolation = plc_pairs_get(address, SX_STR("interpolation"));
}

/* Tags that are kept with every place, whatever they were taken for. */
static bool is_required_extra(sx_str key)
{
    return is_z(key, "wikipedia") || is_z(key, "wikidata") || is_z(key, "capital") ||
           sx_str_starts(key, SX_STR("wikipedia:"));
}

static void add_kind(reader *r, sx_str class_name, sx_str type, const plc_pairs *names)
{
    plc_kind *kind = &r->out->kinds[r->out->kind_count++];
    *kind = (plc_kind){.class_name = class_name, .type = type, .names = *names};
    kind->extratags.items = room(r, (size_t)r->extra.count + r->left_count + r->o->tag_count);
    if (r->failed)
        return;
    for (uint32_t i = 0; i < r->left_count; i++) {
        const osm_tag *t = &r->left[i];
        if (!sx_str_eq(t->key, class_name) && !sx_str_starts(t->key, SX_STR("tiger:")))
            put(&kind->extratags, t->key, t->value);
    }
    for (uint32_t i = 0; i < r->extra.count; i++)
        put(&kind->extratags, r->extra.items[i].key, r->extra.items[i].value);
    for (uint32_t i = 0; i < r->o->tag_count; i++) {
        if (is_required_extra(r->o->tags[i].key))
            put(&kind->extratags, r->o->tags[i].key, r->o->tags[i].value);
    }
    plc_pairs_sort(&kind->extratags);
}

/* bridge:name and bridge:name:de, as name and name:de. */
static bool own_names(reader *r, sx_str key, plc_pairs *names)
{
    names->items = room(r, r->left_count);
    for (uint32_t i = 0; i < r->left_count && !r->failed; i++) {
        sx_str k = r->left[i].key;
        if (!sx_str_starts(k, key) || k.len <= key.len || k.data[key.len] != ':')
            continue;
        sx_str rest = sx_str_from(k, key.len + 1);
        if (is_z(rest, "name") || sx_str_starts(rest, SX_STR("name:")))
            put(names, rest, r->left[i].value);
    }
    plc_pairs_sort(names);
    return names->count > 0;
}

static bool lock_names(reader *r, plc_pairs *names)
{
    sx_str name = SX_STR(""), ref = SX_STR(""), waterway = SX_STR("");
    if (!osm_object_tag(r->o, SX_STR("waterway"), &waterway) ||
        !osm_object_tag(r->o, SX_STR("lock_name"), &name))
        return false;
    names->items = room(r, 2);
    if (r->failed)
        return false;
    put(names, SX_STR("name"), name);
    if (osm_object_tag(r->o, SX_STR("lock_ref"), &ref))
        put(names, SX_STR("ref"), ref);
    plc_pairs_sort(names);
    return true;
}

static bool is_street_footway(const reader *r)
{
    static const char *const BESIDE[] = {"sidewalk", "crossing", "link"};
    sx_str footway = SX_STR("");
    return r->has_name && !(osm_object_tag(r->o, SX_STR("footway"), &footway) &&
                            in_list(footway, BESIDE, SX_COUNT_OF(BESIDE)));
}

/* Whether the tag is a kind; *names are then its names. */
static bool is_kind(reader *r, style_rule rule, sx_str key, plc_pairs *names)
{
    *names = r->names;
    switch (rule) {
    case R_ALWAYS:
        return true;
    case R_NAMED:
        return r->has_name;
    case R_OWN_NAME:
        *names = (plc_pairs){0};
        return own_names(r, key, names);
    case R_FOOTWAY:
        return is_street_footway(r);
    case R_LOCK:
        *names = (plc_pairs){0};
        return lock_names(r, names);
    case R_WATER:
        return r->has_name && !has_left(r, "water");
    case R_WATER_KIND:
        return r->has_name && sx_str_eq(left_value(r, "natural"), SX_STR("water"));
    case R_INFORMATION:
        return sx_str_eq(left_value(r, "tourism"), SX_STR("information"));
    case R_NO_INFORMATION:
        return !has_left(r, "information");
    case R_NONE:
    case R_EXTRA:
    case R_DROP:
    case R_ADDRESS:
    case R_NEVER:
    case R_FALLBACK:
    case R_POSTCODE_AREA:
        return false;
    }
    return false;
}

/* The tag that is a kind if nothing else is, or NULL. */
static const osm_tag *fallback_tag(const reader *r)
{
    const osm_tag *best = NULL;
    size_t best_order = SX_COUNT_OF(FALLBACK_ORDER);
    if (!r->has_name)
        return NULL;
    for (uint32_t i = 0; i < r->left_count; i++) {
        const osm_tag *t = &r->left[i];
        if (main_rule(t->key, t->value) != R_FALLBACK)
            continue;
        for (size_t k = 0; k < best_order; k++) {
            if (is_z(t->key, FALLBACK_ORDER[k])) {
                best_order = k;
                best = t;
            }
        }
    }
    return best;
}

static void add_fallback(reader *r, bool has_postcode_area)
{
    const osm_tag *tag = fallback_tag(r);
    if (tag) {
        add_kind(r, tag->key, tag->value, &r->names);
    } else if (r->is_house) {
        plc_pairs names = {room(r, r->names.count), 0};
        for (uint32_t i = 0; i < r->names.count && !r->failed; i++) {
            if (name_group_of(r->names.items[i].key) == N_HOUSE)
                put(&names, r->names.items[i].key, r->names.items[i].value);
        }
        add_kind(r, SX_STR("place"), SX_STR("house"), &names);
    } else {
        r->out->is_postcode_point =
            !has_postcode_area && plc_pairs_get(&r->out->address, SX_STR("postcode")).len > 0;
        return;
    }
    r->out->kinds[r->out->kind_count - 1].is_fallback = true;
}

static void take_kinds(reader *r)
{
    bool has_postcode_area = false;
    r->out->kinds = sx_arena_calloc(r->arena, (size_t)r->left_count + 1, sizeof *r->out->kinds);
    if (!r->out->kinds) {
        r->failed = true;
        return;
    }
    for (uint32_t i = 0; i < r->left_count && !r->failed; i++) {
        const osm_tag *t = &r->left[i];
        plc_pairs names;
        style_rule rule = main_rule(t->key, t->value);
        has_postcode_area |= rule == R_POSTCODE_AREA;
        if (is_kind(r, rule, t->key, &names))
            add_kind(r, t->key, t->value, &names);
    }
    r->out->is_postcode_area = has_postcode_area && r->o->kind == OSM_RELATION &&
                               plc_pairs_get(&r->out->address, SX_STR("postcode")).len > 0;
    if (r->out->kind_count == 0 && !r->failed)
        add_fallback(r, has_postcode_area);
}

static void take_entrance(reader *r)
{
    plc_reading *out = r->out;
    if (r->o->kind != OSM_NODE ||
        !(osm_object_tag(r->o, SX_STR("entrance"), &out->entrance) ||
          osm_object_tag(r->o, SX_STR("routing:entrance"), &out->entrance)))
        return;
    out->entrance_tags.items = room(r, r->o->tag_count);
    for (uint32_t i = 0; i < r->o->tag_count && !r->failed; i++) {
        const osm_tag *t = &r->o->tags[i];
        if (!in_list(t->key, ENTRANCE_LEFT_OUT, SX_COUNT_OF(ENTRANCE_LEFT_OUT)))
            put(&out->entrance_tags, t->key, t->value);
    }
    plc_pairs_sort(&out->entrance_tags);
    out->is_entrance = true;
}

/* A whole number from 1 to 15, perhaps with a point and zeros; else 15, which means none. */
static uint8_t admin_level_of(const osm_object *o)
{
    enum { NONE = 15 };
    sx_str text;
    uint32_t level = 0;
    size_t i = 0;
    if (!osm_object_tag(o, SX_STR("admin_level"), &text))
        return NONE;
    text = sx_str_trim(text);
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && level <= NONE; i++)
        level = level * 10 + (uint32_t)(text.data[i] - '0');
    if (i > 0 && i < text.len && text.data[i] == '.') {
        for (i++; i < text.len && text.data[i] == '0'; i++)
            ;
    }
    return i == text.len && level >= 1 && level <= NONE ? (uint8_t)level : NONE;
}

sx_status plc_style_read(const osm_object *o, sx_arena *arena, plc_reading *out, sx_error *err)
{
    reader r = {.o = o, .arena = arena, .out = out};
    sx_str area;
    *out = (plc_reading){0};
    take_entrance(&r);
    if (!r.failed && sift(&r)) {
        out->admin_level = admin_level_of(o);
        out->is_highway_area =
            osm_object_tag(o, SX_STR("area"), &area) && sx_str_eq(area, SX_STR("yes"));
        take_place_of_boundary(&r);
        take_names(&r);
        plc_pairs_sort(&r.names);
        take_address(&r);
        if (!r.failed) {
            take_interpolation(&r);
            take_kinds(&r);
        }
    }
    return r.failed ? sx_fail_memory(err, "the tags of an object") : SX_OK;
}
