/* places_parts.c - see places_parts.h. */
#include "geocode/import/places_parts.h"

#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/places/countries.h"
#include "geocode/text/fold.h"

enum { NAME_BYTES = 256, SLOTS_LEAST = 64 };

void geo_add_once(sx_str *list, uint32_t *count, uint32_t max, sx_str text)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (sx_str_eq(list[i], text))
            return;
    }
    if (text.len && *count < max)
        list[(*count)++] = text;
}

sx_str geo_places_id(sx_arena *arena, unsigned kind, int64_t id)
{
    static const char LETTERS[] = "NWR";
    return sx_arena_printf(arena, "%c%lld", LETTERS[kind < 3 ? kind : 0], (long long)id);
}

/* --- Names. */

/* Keys whose values are names of the object itself, with or without a language behind them. */
static const sx_str NAME_KEYS[] = {
    SX_STR_INIT("name"),     SX_STR_INIT("int_name"),   SX_STR_INIT("official_name"),
    SX_STR_INIT("alt_name"), SX_STR_INIT("short_name"), SX_STR_INIT("loc_name"),
    SX_STR_INIT("old_name"), SX_STR_INIT("reg_name"),   SX_STR_INIT("nat_name"),
};

/* "_place_name:de" is the name of a node that the place has taken over. */
static sx_str without_mark(sx_str key)
{
    return sx_str_starts(key, SX_STR("_place_")) ? sx_str_from(key, 7) : key;
}

static bool is_name(sx_str key)
{
    key = without_mark(key);
    sx_str plain = sx_str_first(key, sx_str_find_byte(key, ':'));
    for (size_t i = 0; i < SX_COUNT_OF(NAME_KEYS); i++) {
        if (sx_str_eq(plain, NAME_KEYS[i]))
            return true;
    }
    return false;
}

sx_str geo_places_name(const plc_index *ix, const plc_disk_place *p)
{
    static const sx_str FIRST[] = {SX_STR_INIT("name"), SX_STR_INIT("_place_name")};
    plc_tags it;
    sx_str key, value, other = sx_str_of("", 0), ref = other;
    for (size_t i = 0; i < SX_COUNT_OF(FIRST); i++) {
        value = plc_tag(ix, p->tags, PLC_NAMES, FIRST[i]);
        if (value.len)
            return value;
    }
    for (plc_tags_begin(ix, p->tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);) {
        if (other.len == 0 && is_name(key))
            other = value;
        else if (ref.len == 0 && sx_str_eq(key, SX_STR("ref")))
            ref = value;
    }
    return other.len ? other : ref;
}

static void add_name(geo_names *out, uint32_t max, sx_str text)
{
    char folded[NAME_BYTES * GEO_FOLD_GROWTH + 1];
    text = sx_str_trim_all(text);
    if (text.len == 0 || out->count == max || out->count == GEO_NAMES_MAX)
        return;
    /* A name too long to be compared is taken as it is. */
    sx_str same = text.len <= NAME_BYTES ? geo_fold(text, folded, sizeof(folded)) : text;
    uint64_t hash = sx_hash(same.len ? same : text, 0);
    uint32_t words = 1;
    for (size_t i = 0; i < text.len; i++)
        words += text.data[i] == ' ' || text.data[i] == '-';
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->folded[i] == hash)
            return;
    }
    if (out->count && out->words + words > GEO_NAME_WORDS_MAX)
        return;
    out->words += words;
    out->folded[out->count] = hash;
    out->list[out->count++] = text;
}

void geo_places_names(const plc_index *ix, const plc_disk_place *p, uint32_t max, geo_names *out)
{
    plc_tags it;
    sx_str key, value, one;
    add_name(out, max, geo_places_name(ix, p));
    for (plc_tags_begin(ix, p->tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);) {
        bool number = sx_str_eq(key, SX_STR("ref")) && p->rank_address >= GEO_RANK_STREET;
        if (!number && !is_name(key))
            continue;
        while (value.len) { /* "Hauptstrasse;Main Street" */
            (void)sx_str_cut(value, ';', &one, &value);
            add_name(out, max, one);
        }
    }
}

/* --- Where it is. */

static uint64_t population_of(const plc_index *ix, const plc_disk_place *p)
{
    uint64_t people = 0;
    sx_str text = plc_tag(ix, p->tags, PLC_EXTRATAGS, SX_STR("population"));
    return sx_str_to_u64(sx_str_trim_all(text), &people) ? people : 0;
}

uint64_t geo_places_population(const plc_index *ix, uint32_t place)
{
    const plc_disk_place *p = plc_place(ix, place);
    uint32_t count = 0;
    uint64_t people = p ? population_of(ix, p) : 0;
    const plc_disk_linked *nodes = p && !people ? plc_linked(ix, place, &count) : NULL;
    for (uint32_t i = 0; nodes && !people && i < count; i++) {
        const plc_disk_place *node = plc_place(ix, nodes[i].node);
        people = node ? population_of(ix, node) : 0;
    }
    return people;
}

/* How well an area of this address rank stands for the town: towns themselves, then what is in one,
 * then what is around. */
static unsigned town_worth(uint8_t rank)
{
    if (rank >= 13 && rank <= 16)
        return 100u + rank;
    if (rank >= 17 && rank <= 20)
        return 50u - rank;
    return rank >= 5 && rank <= 12 ? rank : 0;
}

void geo_places_where(const plc_index *ix, uint32_t place, geo_where *out)
{
    uint32_t count;
    unsigned best = 0;
    uint8_t part = 0;
    *out = (geo_where){PLC_NONE, PLC_NONE};
    const plc_disk_line *lines = plc_lines(ix, place, &count);
    for (uint32_t i = 0; lines && i < count; i++) {
        uint8_t rank = lines[i].rank_address;
        if (!lines[i].is_address || lines[i].place == place || !plc_place(ix, lines[i].place))
            continue;
        if (town_worth(rank) > best) {
            best = town_worth(rank);
            out->town = lines[i].place;
        }
        if (rank >= 17 && rank <= 22 && rank > part) {
            part = rank;
            out->district = lines[i].place;
        }
    }
    if (out->district == out->town)
        out->district = PLC_NONE;
}

sx_str geo_places_context(const plc_index *ix, const plc_disk_place *p, sx_arena *arena)
{
    uint32_t count;
    sx_buf text;
    sx_buf_init(&text, 0);
    const plc_disk_line *lines = plc_lines(ix, (uint32_t)(p - ix->places), &count);
    unsigned top = p->rank_address < 13 ? p->rank_address : 13u;
    for (unsigned rank = top; rank-- > 5;) {
        for (uint32_t i = 0; lines && i < count; i++) {
            const plc_disk_place *region = plc_place(ix, lines[i].place);
            if (!lines[i].is_address || lines[i].rank_address != rank || !region || region == p)
                continue;
            sx_str name = geo_places_name(ix, region);
            if (name.len)
                sx_buf_printf(&text, "%s%.*s", text.len ? ", " : "", SX_ARG(name));
        }
    }
    const plc_country_name *names = plc_country_names(p->country, &count);
    for (uint32_t i = 0; names && p->rank_address > 4 && i < count; i++) {
        if (sx_str_eq(names[i].key, SX_STR("name")))
            sx_buf_printf(&text, "%s%.*s", text.len ? ", " : "", SX_ARG(names[i].value));
    }
    sx_str out = text.failed ? sx_str_of(NULL, 0) : sx_arena_copy(arena, sx_buf_view(&text));
    sx_buf_done(&text);
    return out;
}

/* --- The postcodes of towns. */

void geo_postcodes_init(geo_postcodes *p)
{
    *p = (geo_postcodes){.count = 0};
}

void geo_postcodes_done(geo_postcodes *p)
{
    sx_free(p->items);
    sx_free(p->slots);
    geo_postcodes_init(p);
}

static size_t *slot_of(const geo_postcodes *p, uint32_t town, uint32_t postcode)
{
    uint64_t pair = (uint64_t)town << 32 | postcode;
    size_t at = (size_t)sx_hash_bytes(&pair, sizeof(pair), 0);
    for (;; at++) {
        size_t *slot = &p->slots[at & (p->slot_count - 1)];
        const geo_town_postcode *t = *slot ? &p->items[*slot - 1] : NULL;
        if (!t || (t->town == town && t->postcode == postcode))
            return slot;
    }
}

static bool more_slots(geo_postcodes *p)
{
    if (p->count * 2 < p->slot_count)
        return true;
    size_t count = p->slot_count ? p->slot_count * 2 : SLOTS_LEAST;
    size_t *slots = sx_calloc(count, sizeof(*slots));
    if (!slots)
        return false;
    sx_free(p->slots);
    p->slots = slots;
    p->slot_count = count;
    for (size_t i = 0; i < p->count; i++)
        *slot_of(p, p->items[i].town, p->items[i].postcode) = i + 1;
    return true;
}

sx_status geo_postcodes_count(geo_postcodes *p, uint32_t town, uint32_t postcode, sx_error *err)
{
    if (postcode == 0)
        return SX_OK;
    if (!more_slots(p) || !sx_grow(&p->items, &p->cap, p->count + 1, sizeof(*p->items)))
        return sx_fail_memory(err, "the postcodes of towns");
    size_t *slot = slot_of(p, town, postcode);
    if (*slot == 0) {
        p->items[p->count++] = (geo_town_postcode){town, postcode, 0};
        *slot = p->count;
    }
    p->items[*slot - 1].streets++;
    return SX_OK;
}

/* References rise in the order of import, which no thread has a part in. */
static int by_town(const void *left, const void *right)
{
    const geo_town_postcode *a = left, *b = right;
    if (a->town != b->town)
        return a->town < b->town ? -1 : 1;
    if (a->streets != b->streets)
        return a->streets > b->streets ? -1 : 1;
    return (a->postcode > b->postcode) - (a->postcode < b->postcode);
}

void geo_postcodes_sort(geo_postcodes *p)
{
    sx_free(p->slots);
    p->slots = NULL;
    p->slot_count = 0;
    if (p->count)
        qsort(p->items, p->count, sizeof(*p->items), by_town);
}

void geo_postcodes_of(const geo_postcodes *p, const plc_index *ix, uint32_t town,
                      sx_str out[GEO_POSTCODES_MAX], uint32_t *count)
{
    size_t from = 0;
    for (size_t left = p->count; left;) {
        size_t half = left / 2;
        bool before = p->items[from + half].town < town;
        from = before ? from + half + 1 : from;
        left = before ? left - half - 1 : half;
    }
    for (; from < p->count && p->items[from].town == town; from++)
        geo_add_once(out, count, GEO_POSTCODES_MAX, plc_string(ix, p->items[from].postcode));
}
