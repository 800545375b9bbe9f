/* style.c - the tables of what makes a place, and how an object's tags go through them.
 *
 * Each tag goes through MAIN (then SUFFIXES and PREFIXES) first: there it is dropped, kept as an extra
 * tag, or found to matter. An object with no tag that matters is no place. Of the rest, names are
 * taken out by NAMES, address parts by ADDRESS; each remaining tag with a rule in MAIN is then tried
 * as a kind. FALLBACK kinds count only if the object has a name and is nothing else. */
#include "geocode/places/style.h"

#include <stdlib.h>

typedef enum style_rule {
    R_NONE,
    R_EXTRA, /* no kind; kept with the extra tags */
    R_DROP,
    R_ADDRESS,        /* not a kind, but a reason to look at the object */
    R_ALWAYS,         /* a kind */
    R_NEVER,          /* not a kind, stays among the tags */
    R_NAMED,          /* a kind if it has a name */
    R_OWN_NAME,       /* a kind if there is bridge:name, tunnel:name: those are its names */
    R_FALLBACK,       /* a kind if it has a name and nothing else is one */
    R_POSTCODE_AREA,  /* boundary=postal_code */
    R_FOOTWAY,        /* named and neither sidewalk nor crossing */
    R_LOCK,           /* of a waterway, by its lock_name */
    R_WATER,          /* natural=water, named, not said more precisely by water=* */
    R_WATER_KIND,     /* water=*, named, of a natural=water */
    R_INFORMATION,    /* information=*, of a tourism=information */
    R_NO_INFORMATION, /* tourism=information that is not said more precisely */
} style_rule;

typedef struct main_row {
    const char *key, *value; /* value NULL: any other */
    style_rule rule;
} main_row;

/* Sorted by key; within a key, the row for any other value comes last. */
static const main_row MAIN[] = {
    {"addr:TW:dataset", NULL, R_EXTRA},
    {"addr:conscriptionnumber", NULL, R_ADDRESS},
    {"addr:housename", NULL, R_ADDRESS},
    {"addr:housenumber", NULL, R_ADDRESS},
    {"addr:interpolation", NULL, R_ADDRESS},
    {"addr:postcode", NULL, R_ADDRESS},
    {"addr:streetnumber", NULL, R_ADDRESS},
    {"admin_level", NULL, R_DROP},
    {"aerialway", "no", R_EXTRA},
    {"aerialway", "pylon", R_EXTRA},
    {"aerialway", NULL, R_ALWAYS},
    {"aeroway", "no", R_EXTRA},
    {"aeroway", NULL, R_ALWAYS},
    {"amenity", "hunting_stand", R_EXTRA},
    {"amenity", "no", R_EXTRA},
    {"amenity", "parking_entrance", R_EXTRA},
    {"amenity", "parking_space", R_EXTRA},
    {"amenity", "waste_disposal", R_EXTRA},
    {"amenity", NULL, R_ALWAYS},
    {"attribution", NULL, R_DROP},
    {"boundary", "land_area", R_DROP},
    {"boundary", "place", R_DROP},
    {"boundary", "postal_code", R_POSTCODE_AREA},
    {"boundary", "protected_area", R_FALLBACK},
    {"boundary", NULL, R_NAMED},
    {"bridge", "no", R_EXTRA},
    {"bridge", NULL, R_OWN_NAME},
    {"building", "no", R_EXTRA},
    {"building", NULL, R_FALLBACK},
    {"building:ruian:type", NULL, R_DROP},
    {"club", "no", R_EXTRA},
    {"club", NULL, R_ALWAYS},
    {"comment", NULL, R_DROP},
    {"craft", "no", R_EXTRA},
    {"craft", NULL, R_ALWAYS},
    {"created_by", NULL, R_DROP},
    {"emergency", "fire_hydrant", R_EXTRA},
    {"emergency", "no", R_EXTRA},
    {"emergency", "yes", R_EXTRA},
    {"emergency", NULL, R_ALWAYS},
    {"fixme", NULL, R_DROP},
    {"healthcare", "no", R_EXTRA},
    {"healthcare", "yes", R_EXTRA},
    {"healthcare", NULL, R_FALLBACK},
    {"highway", "bridleway", R_NAMED},
    {"highway", "crossing", R_EXTRA},
    {"highway", "cycleway", R_NAMED},
    {"highway", "footway", R_FOOTWAY},
    {"highway", "give_way", R_EXTRA},
    {"highway", "mini_roundabout", R_EXTRA},
    {"highway", "motorway_link", R_NAMED},
    {"highway", "no", R_EXTRA},
    {"highway", "noexit", R_EXTRA},
    {"highway", "passing_place", R_EXTRA},
    {"highway", "path", R_NAMED},
    {"highway", "primary_link", R_NAMED},
    {"highway", "secondary_link", R_NAMED},
    {"highway", "service", R_NAMED},
    {"highway", "steps", R_NAMED},
    {"highway", "stop", R_EXTRA},
    {"highway", "street_lamp", R_NAMED},
    {"highway", "tertiary_link", R_NAMED},
    {"highway", "track", R_NAMED},
    {"highway", "traffic_signals", R_NAMED},
    {"highway", "trunk_link", R_NAMED},
    {"highway", "turning_circle", R_EXTRA},
    {"highway", "turning_loop", R_EXTRA},
    {"highway", NULL, R_ALWAYS},
    {"historic", "no", R_EXTRA},
    {"historic", "yes", R_EXTRA},
    {"historic", NULL, R_FALLBACK},
    {"import", NULL, R_DROP},
    {"information", "route_marker", R_NEVER},
    {"information", "trail_blaze", R_NEVER},
    {"information", "yes", R_DROP},
    {"information", NULL, R_INFORMATION},
    {"is_in:postcode", NULL, R_DROP},
    {"junction", "no", R_EXTRA},
    {"junction", NULL, R_FALLBACK},
    {"landuse", "cemetery", R_ALWAYS},
    {"landuse", NULL, R_FALLBACK},
    {"leisure", "common", R_NAMED},
    {"leisure", "garden", R_NAMED},
    {"leisure", "nature_reserve", R_NAMED},
    {"leisure", "no", R_EXTRA},
    {"leisure", "swimming_pool", R_NAMED},
    {"leisure", NULL, R_ALWAYS},
    {"lock", "yes", R_LOCK},
    {"man_made", "adit", R_NAMED},
    {"man_made", "bridge", R_ALWAYS},
    {"man_made", "dyke", R_NAMED},
    {"man_made", "lighthouse", R_ALWAYS},
    {"man_made", "pier", R_ALWAYS},
    {"man_made", "tower", R_ALWAYS},
    {"man_made", "tunnel", R_ALWAYS},
    {"man_made", "water_tower", R_ALWAYS},
    {"man_made", "watermill", R_ALWAYS},
    {"man_made", "works", R_NAMED},
    {"military", "no", R_EXTRA},
    {"military", "yes", R_EXTRA},
    {"military", NULL, R_ALWAYS},
    {"mountain_pass", "no", R_DROP},
    {"mountain_pass", NULL, R_ALWAYS},
    {"name:botanical", NULL, R_EXTRA},
    {"name:etymology", NULL, R_EXTRA},
    {"name:signed", NULL, R_EXTRA},
    {"natural", "coastline", R_DROP},
    {"natural", "no", R_DROP},
    {"natural", "saddle", R_FALLBACK},
    {"natural", "water", R_WATER},
    {"natural", "yes", R_DROP},
    {"natural", NULL, R_NAMED},
    {"note", NULL, R_DROP},
    {"office", "no", R_EXTRA},
    {"office", NULL, R_ALWAYS},
    {"place", NULL, R_ALWAYS},
    {"postal_code", NULL, R_ADDRESS},
    {"postcode", NULL, R_ADDRESS},
    {"railway", "abandoned", R_EXTRA},
    {"railway", "buffer_stop", R_EXTRA},
    {"railway", "disused", R_EXTRA},
    {"railway", "level_crossing", R_EXTRA},
    {"railway", "no", R_EXTRA},
    {"railway", "rail", R_EXTRA},
    {"railway", "razed", R_EXTRA},
    {"railway", "signal", R_EXTRA},
    {"railway", "switch", R_EXTRA},
    {"railway", NULL, R_NAMED},
    {"ref:bygningsnr", NULL, R_DROP},
    {"shop", "no", R_EXTRA},
    {"shop", NULL, R_ALWAYS},
    {"tiger:cfcc", NULL, R_DROP},
    {"tiger:reviewed", NULL, R_DROP},
    {"tiger:zip_left", NULL, R_ADDRESS},
    {"tiger:zip_right", NULL, R_ADDRESS},
    {"tourism", "attraction", R_FALLBACK},
    {"tourism", "information", R_NO_INFORMATION},
    {"tourism", "no", R_EXTRA},
    {"tourism", "yes", R_EXTRA},
    {"tourism", NULL, R_ALWAYS},
    {"tunnel", "no", R_EXTRA},
    {"tunnel", NULL, R_OWN_NAME},
    {"type", NULL, R_DROP},
    {"water", "canal", R_NEVER},
    {"water", "ditch", R_NEVER},
    {"water", "drain", R_NEVER},
    {"water", "fish_pass", R_NEVER},
    {"water", "intermittent", R_DROP},
    {"water", "river", R_NEVER},
    {"water", "stream", R_NEVER},
    {"water", "tidal", R_DROP},
    {"water", "yes", R_DROP},
    {"water", NULL, R_WATER_KIND},
    {"waterway", "riverbank", R_DROP},
    {"waterway", NULL, R_NAMED},
};

typedef struct part_row {
    sx_str part;
    style_rule rule;
} part_row;

static const part_row SUFFIXES[] = {
    {SX_STR_INIT("source"), R_DROP},
    {SX_STR_INIT(":prefix"), R_EXTRA},
    {SX_STR_INIT(":suffix"), R_EXTRA},
};

static const part_row PREFIXES[] = {
    {SX_STR_INIT("note:"), R_DROP},
    {SX_STR_INIT("source:"), R_DROP},
    {SX_STR_INIT("nysgissam:"), R_DROP},
    {SX_STR_INIT("NHD:"), R_DROP},
    {SX_STR_INIT("nhd:"), R_DROP},
    {SX_STR_INIT("gnis:"), R_DROP},
    {SX_STR_INIT("geobase:"), R_DROP},
    {SX_STR_INIT("yh:"), R_DROP},
    {SX_STR_INIT("osak:"), R_DROP},
    {SX_STR_INIT("naptan:"), R_DROP},
    {SX_STR_INIT("CLC:"), R_DROP},
    {SX_STR_INIT("it:fvg:"), R_DROP},
    {SX_STR_INIT("lacounty:"), R_DROP},
    {SX_STR_INIT("ref:linz:"), R_DROP},
    {SX_STR_INIT("survey:"), R_DROP},
    {SX_STR_INIT("ref:ruian:"), R_DROP},
    {SX_STR_INIT("name:prefix:"), R_EXTRA},
    {SX_STR_INIT("name:suffix:"), R_EXTRA},
    {SX_STR_INIT("name:etymology:"), R_EXTRA},
    {SX_STR_INIT("addr:street:"), R_EXTRA},
    {SX_STR_INIT("addr:city:"), R_EXTRA},
    {SX_STR_INIT("addr:district:"), R_EXTRA},
    {SX_STR_INIT("addr:province:"), R_EXTRA},
    {SX_STR_INIT("addr:subdistrict:"), R_EXTRA},
    {SX_STR_INIT("addr:place:"), R_EXTRA},
};

/* Which kind wins when several fallbacks hold: Nominatim takes any; the more telling is better. */
static const char *const FALLBACK_ORDER[] = {
    "tourism", "historic", "healthcare", "boundary", "natural", "junction", "landuse", "building",
};

typedef enum name_group { N_NONE, N_MAIN, N_EXTRA, N_HOUSE } name_group;

typedef struct name_row {
    sx_str key;
    name_group group;
    bool with_suffix; /* also "name:de" */
} name_row;

static const name_row NAMES[] = {
    {SX_STR_INIT("name"), N_MAIN, true},
    {SX_STR_INIT("int_name"), N_MAIN, true},
    {SX_STR_INIT("reg_name"), N_MAIN, true},
    {SX_STR_INIT("loc_name"), N_MAIN, true},
    {SX_STR_INIT("old_name"), N_MAIN, true},
    {SX_STR_INIT("alt_name"), N_MAIN, true},
    {SX_STR_INIT("official_name"), N_MAIN, true},
    {SX_STR_INIT("place_name"), N_MAIN, true},
    {SX_STR_INIT("short_name"), N_MAIN, true},
    {SX_STR_INIT("brand"), N_MAIN, false},
    {SX_STR_INIT("ref"), N_EXTRA, false},
    {SX_STR_INIT("int_ref"), N_EXTRA, false},
    {SX_STR_INIT("nat_ref"), N_EXTRA, false},
    {SX_STR_INIT("reg_ref"), N_EXTRA, false},
    {SX_STR_INIT("loc_ref"), N_EXTRA, false},
    {SX_STR_INIT("old_ref"), N_EXTRA, false},
    {SX_STR_INIT("ISO3166-2"), N_EXTRA, false},
    {SX_STR_INIT("iata"), N_EXTRA, false},
    {SX_STR_INIT("icao"), N_EXTRA, false},
    {SX_STR_INIT("faa"), N_EXTRA, false},
    {SX_STR_INIT("addr:housename"), N_HOUSE, false},
};

/* Keys that mean a part of the address under another name, in the order of trust. */
typedef struct address_row {
    sx_str key, part;
} address_row;

static const address_row ADDRESS[] = {
    {SX_STR_INIT("addr:postcode"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("postal_code"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("postcode"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("tiger:zip_left"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("tiger:zip_right"), SX_STR_INIT("postcode")},
    {SX_STR_INIT("addr:country"), SX_STR_INIT("country")},
    {SX_STR_INIT("ISO3166-1"), SX_STR_INIT("country")},
    {SX_STR_INIT("country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("addr:country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("is_in:country_code"), SX_STR_INIT("country")},
    {SX_STR_INIT("is_in:country"), SX_STR_INIT("country")},
    {SX_STR_INIT("tiger:county"), SX_STR_INIT("tiger:county")},
};

/* Parts of an address that alone make a place of an object. */
static const char *const NUMBER_KEYS[] = {"addr:housenumber", "addr:conscriptionnumber",
                                          "addr:streetnumber"};

/* Said about the mapping, not about the entrance. */
static const char *const ENTRANCE_LEFT_OUT[] = {
    "entrance",
    "routing:entrance",
    "note",
    "source",
    "attribution",
    "comment",
    "fixme",
    "created_by",
    "tiger:cfcc",
    "tiger:reviewed",
    "import",
    "ref:bygningsnr",
    "building:ruian:type",
    "type",
    "is_in:postcode",
};

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
        if (sx_str_cmp(sx_str_z(MAIN[mid].key), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < SX_COUNT_OF(MAIN) && is_z(key, MAIN[low].key) ? &MAIN[low] : NULL;
}

static style_rule main_rule(sx_str key, sx_str value)
{
    const main_row *row = main_rows(key);
    for (; row && row < MAIN + SX_COUNT_OF(MAIN) && is_z(key, row->key); row++) {
        if (!row->value || is_z(value, row->value))
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
