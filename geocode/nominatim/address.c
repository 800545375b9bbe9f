/* address.c - the rows of an address and its one line. See address.h. */
#include "geocode/nominatim/address.h"

#include <stdlib.h>
#include <string.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/object.h"
#include "geocode/places/countries.h"

enum {
    RANK_HOUSE_NUMBER = 28,
    RANK_LOCALITY = 25,
    RANK_POSTCODE = 5,
    RANK_COUNTRY = 4,
    RANK_HAS_PARENT = 28, /* from here on an address is that of the parent */
};

typedef struct builder {
    const nom_index *ix;
    const nom_object *object;
    const nom_locale *locale;
    sx_arena *arena;
    nom_address *out;
    size_t cap;
    bool failed;
} builder;

static nom_row *add_row(builder *b, sx_str class_name, sx_str type, unsigned rank_address)
{
    static nom_row lost; /* written to, never read: the failure is what counts */
    if (!sx_arena_grow(b->arena, &b->out->rows, &b->cap, b->out->count + 1, sizeof(nom_row))) {
        b->failed = true;
        return &lost;
    }
    nom_row *row = &b->out->rows[b->out->count++];
    *row = (nom_row){.place = PLC_NONE,
                     .class_name = class_name,
                     .type = type,
                     .tags = NOM_NO_TAGS,
                     .rank_address = (uint8_t)rank_address,
                     .admin_level = 15,
                     .is_address = true};
    return row;
}

static void add_named(builder *b, const char *type, unsigned rank_address, sx_str name)
{
    if (name.len > 0)
        add_row(b, SX_STR("place"), sx_str_z(type), rank_address)->name = name;
}

/* A row of a place of the index. `linked_first`: which of its tags tells what kind of place it is. */
static nom_row *add_place(builder *b, uint32_t place, bool linked_first)
{
    const plc_index *ix = b->ix->places;
    const plc_disk_place *p = plc_place(ix, place);
    if (!p)
        return NULL;
    nom_row *row =
        add_row(b, plc_string(ix, p->class_name), plc_string(ix, p->type), p->rank_address);
    sx_str own = plc_tag(ix, p->tags, PLC_EXTRATAGS, SX_STR("place"));
    sx_str linked = plc_tag(ix, p->tags, PLC_EXTRATAGS, SX_STR("linked_place"));
    row->place = place;
    row->tags = p->tags;
    row->extra_place = (linked_first && linked.len) || own.len == 0 ? linked : own;
    row->admin_level = p->admin_level;
    row->from_area = true;
    return row;
}

sx_str nom_country_name(const nom_locale *l, uint16_t country)
{
    uint32_t count = 0, best = UINT32_MAX;
    const plc_country_name *names = plc_country_names(country, &count);
    sx_str name = count ? names[0].value : sx_str_of("", 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = nom_locale_rank(l, names[i].key);
        if (rank < best) {
            best = rank;
            name = names[i].value;
        }
    }
    return name;
}

/* --- What it lies in: of several candidates of a rank, one is its address. */

typedef struct candidate {
    const plc_disk_line *line;
    const plc_disk_place *place;
    bool own; /* the object's line, not its parent's */
    int8_t merit;
} candidate;

/* Whether an object's own address tags hold one of a place's names. */
static bool is_named(const builder *b, const plc_disk_place *p)
{
    const plc_index *ix = b->ix->places;
    plc_tags address, names;
    sx_str key, value, name_key, name;
    if (b->object->tags == NOM_NO_TAGS)
        return false;
    for (plc_tags_begin(ix, b->object->tags, PLC_ADDRESS, &address);
         plc_tags_next(&address, &key, &value);) {
        for (plc_tags_begin(ix, p->tags, PLC_NAMES, &names);
             plc_tags_next(&names, &name_key, &name);) {
            if (sx_str_eq(name, value))
                return true;
        }
    }
    return false;
}

static int8_t merit_of(const builder *b, const candidate *c)
{
    if (is_named(b, c->place))
        return 2;
    if (c->line->is_address)
        return 0;
    bool inside = c->line->from_area && (c->place->flags & PLC_AREA) &&
                  geo_bytes_side(plc_shape(b->ix->places, c->place->shape),
                                 geo_pt_of(b->object->at)) == GEO_SIDE_IN;
    return inside ? 1 : -1;
}

/* By falling rank; within one, the best first. */
static int by_merit(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->place->rank_address != y->place->rank_address)
        return x->place->rank_address > y->place->rank_address ? -1 : 1;
    if (x->own != y->own)
        return x->own ? -1 : 1;
    if (x->merit != y->merit)
        return x->merit > y->merit ? -1 : 1;
    if (x->line->from_area != y->line->from_area)
        return x->line->from_area ? -1 : 1;
    if (x->line->distance != y->line->distance)
        return x->line->distance > y->line->distance ? -1 : 1;
    if (x->place->rank_search != y->place->rank_search)
        return x->place->rank_search > y->place->rank_search ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* A place's lines as they are stored for itself. */
static const plc_disk_line *stored_lines(const plc_index *ix, uint32_t place, uint32_t *count)
{
    const plc_disk_place *p = plc_place(ix, place);
    *count = 0;
    return p && (p->flags & PLC_OWN_LINES) ? plc_lines(ix, place, count) : NULL;
}

static void add_lines(builder *b, uint32_t own, uint32_t other)
{
    const plc_index *ix = b->ix->places;
    uint32_t counts[2], count = 0;
    const plc_disk_line *lines[2] = {stored_lines(ix, own, &counts[0]),
                                     stored_lines(ix, other, &counts[1])};
    if (own == other)
        counts[1] = 0;
    candidate *list = sx_arena_calloc(b->arena, counts[0] + counts[1] + 1, sizeof(*list));
    if (!list) {
        b->failed = true;
        return;
    }
    for (int from = 0; from < 2; from++) {
        for (uint32_t i = 0; i < counts[from]; i++) {
            candidate c = {.line = &lines[from][i], .own = from == 0};
            c.place = plc_place(ix, c.line->place);
            if (c.place)
                list[count++] = c;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        list[i].merit = merit_of(b, &list[i]);
    if (count > 1)
        qsort(list, count, sizeof(*list), by_merit);
    for (uint32_t i = 0; i < count; i++) {
        nom_row *row = add_place(b, list[i].line->place, true);
        row->from_area = list[i].line->from_area;
        row->distance = list[i].line->distance;
        row->is_address = i == 0 || list[i - 1].place->rank_address != list[i].place->rank_address;
    }
}

/* --- The whole. */

static void add_own(builder *b)
{
    const plc_index *ix = b->ix->places;
    const nom_object *o = b->object;
    plc_tags names;
    sx_str key, value;
    if (o->source == NOM_PLACE) {
        plc_tags_begin(ix, o->tags, PLC_NAMES, &names);
        if (plc_tags_next(&names, &key, &value))
            (void)add_place(b, o->place, false);
    } else if (o->source == NOM_POSTCODE) {
        nom_row *row = add_row(b, o->class_name, o->type, o->rank_address);
        row->name = o->only_name;
        row->from_area = true;
    } else if (o->source == NOM_COUNTRY) {
        add_named(b, "country", RANK_COUNTRY, nom_country_name(b->locale, o->country));
    }
}

/* Of a place, as its own tags have it; of an interpolation, the number computed. */
static sx_str shown_number(const builder *b)
{
    static const sx_str KEYS[] = {SX_STR_INIT("housenumber"), SX_STR_INIT("streetnumber"),
                                  SX_STR_INIT("conscriptionnumber")};
    const nom_object *o = b->object;
    sx_str number = {0};
    if (o->source == NOM_INTERPOLATION)
        return o->housenumber;
    for (size_t i = 0; i < SX_COUNT_OF(KEYS) && number.len == 0 && o->source == NOM_PLACE; i++)
        number = plc_tag(b->ix->places, o->tags, PLC_ADDRESS, KEYS[i]);
    return number;
}

static sx_str address_tag(const builder *b, sx_str key)
{
    if (b->object->tags == NOM_NO_TAGS)
        return sx_str_of("", 0);
    return plc_tag(b->ix->places, b->object->tags, PLC_ADDRESS, key);
}

static bool is_list(sx_str postcode)
{
    return sx_str_find_byte(postcode, ',') < postcode.len ||
           sx_str_find_byte(postcode, ';') < postcode.len;
}

static void add_postcode_and_country(builder *b, uint16_t country)
{
    sx_str postcode =
        b->object->postcode.len ? b->object->postcode : address_tag(b, SX_STR("postcode"));
    if (!is_list(postcode))
        add_named(b, "postcode", RANK_POSTCODE, postcode);
    if (country == 0)
        return;
    add_named(b, "country", RANK_COUNTRY, nom_country_name(b->locale, country));
    nom_row *row = add_row(b, SX_STR("place"), SX_STR("country_code"), RANK_COUNTRY);
    row->name = plc_country_code(country);
    row->from_area = true;
    row->is_address = false;
}

/* The order of /details: itself, then by falling rank, what is not shown before what is. Insertion keeps
 * the order of equals; there are some twenty rows. */
static void sort_rows(nom_address *a, uint32_t first)
{
    for (uint32_t i = first + 1; i < a->count; i++) {
        nom_row row = a->rows[i];
        uint32_t at = i;
        for (; at > first; at--) {
            const nom_row *before = &a->rows[at - 1];
            bool in_order = before->rank_address != row.rank_address
                                ? before->rank_address > row.rank_address
                                : before->is_address <= row.is_address;
            if (in_order)
                break;
            a->rows[at] = a->rows[at - 1];
        }
        a->rows[at] = row;
    }
}

static void localise(builder *b)
{
    for (uint32_t i = 0; i < b->out->count; i++) {
        nom_row *row = &b->out->rows[i];
        if (row->name.len == 0 && row->tags != NOM_NO_TAGS)
            row->name = nom_locale_name(b->locale, b->ix->places, row->tags);
    }
}

sx_status nom_address_rows(const nom_index *ix, const nom_object *object, const nom_locale *locale,
                           sx_arena *arena, nom_address *out, sx_error *err)
{
    *out = (nom_address){0};
    builder b = {.ix = ix, .object = object, .locale = locale, .arena = arena, .out = out};
    add_own(&b);
    uint32_t own = out->count;
    add_named(&b, "house_number", RANK_HOUSE_NUMBER, shown_number(&b));
    add_named(&b, "locality", RANK_LOCALITY, address_tag(&b, SX_STR("_unlisted_place")));
    bool of_parent = object->source != NOM_PLACE || object->rank_search >= RANK_HAS_PARENT;
    uint32_t other = of_parent ? object->parent : object->linked;
    uint16_t country = object->country;
    if (other == PLC_NONE)
        other = object->place;
    if (object->source != NOM_COUNTRY)
        add_lines(&b, object->place, other);
    for (uint32_t i = 0; i < out->count && country == 0; i++) {
        const plc_disk_place *p = plc_place(ix->places, out->rows[i].place);
        country = p ? p->country : 0;
    }
    out->country = country;
    if (object->source != NOM_COUNTRY) {
        add_postcode_and_country(&b, country);
        if (other != object->place)
            (void)add_place(&b, other, true);
    }
    if (b.failed)
        return sx_fail_memory(err, "an address");
    localise(&b);
    sort_rows(out, own);
    return SX_OK;
}

sx_status nom_display_name(const nom_address *address, sx_arena *arena, sx_str *out, sx_error *err)
{
    size_t len = 0, used = 0;
    sx_str before = {0};
    for (uint32_t i = 0; i < address->count; i++)
        len += address->rows[i].name.len + 2;
    char *text = sx_arena_alloc(arena, len + 1);
    if (!text)
        return sx_fail_memory(err, "a display name");
    for (uint32_t i = 0; i < address->count; i++) {
        const nom_row *row = &address->rows[i];
        if (!row->is_address || row->name.len == 0 || (used > 0 && sx_str_eq(row->name, before)))
            continue;
        if (used > 0) {
            memcpy(text + used, ", ", 2);
            used += 2;
        }
        memcpy(text + used, row->name.data, row->name.len);
        used += row->name.len;
        before = row->name;
    }
    *out = sx_str_of(text, used);
    return SX_OK;
}
