/* words_rows.c - the words that each place is found by; see words_build.c.
 *
 * A place has the tokens of its names; and the tokens of its address are those of all places that its
 * address lines name, of its parent's name and address where it hangs on a street, and of its own
 * address tags where none of those places bears them. Only the last kind is written down: everything
 * else follows from the lines. A house whose address says more than its street's has its number as a
 * name. */
#include "geocode/nominatim/words_build_impl.h"

#include <sextant/mem.h>

enum { RANK_STREETS_LAST = 27, RANK_COUNTRY = 4, RANK_POSTCODE_LOW = 5, RANK_POSTCODE_HIGH = 11 };

/* Keys of address tags that name something an address may hold. */
static const char *const ADDRESS_KEYS[] = {
    "allotments",   "borough",       "city",         "city_block",
    "civil_parish", "county",        "croft",        "district",
    "farm",         "hamlet",        "house",        "isolated_dwelling",
    "locality",     "mountain_pass", "municipality", "neighbourhood",
    "province",     "quarter",       "region",       "square",
    "state",        "subdivision",   "suburb",       "town",
    "village",
};

static bool is_address_key(sx_str key)
{
    for (size_t i = 0; i < sizeof(ADDRESS_KEYS) / sizeof(ADDRESS_KEYS[0]); i++)
        if (sx_str_eq(key, sx_str_z(ADDRESS_KEYS[i])))
            return true;
    return false;
}

/* The tokens of a place's names: a view of `rows`. */
static const uint32_t *names_of(const nom_builder *b, uint32_t place, uint32_t *count)
{
    *count = 0;
    if (place >= b->ix->place_count || !b->row_at[place])
        return NULL;
    const uint32_t *row = b->rows.items + b->row_at[place] - 1;
    *count = row[0];
    return row + 1;
}

static const uint32_t *extras_of(const nom_builder *b, uint32_t place, uint32_t *count)
{
    const uint32_t *names = names_of(b, place, count);
    if (!names)
        return NULL;
    const uint32_t *extras = names + *count;
    *count = extras[0];
    return extras + 1;
}

static bool holds(const uint32_t *sorted, uint32_t count, uint32_t token)
{
    while (count > 0) {
        uint32_t half = count / 2;
        if (sorted[half] == token)
            return true;
        if (sorted[half] < token) {
            sorted += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return false;
}

/* A line whose place's names are part of the address. */
static bool counts(const plc_disk_line *line)
{
    return line->rank_address != RANK_POSTCODE_LOW && line->rank_address != RANK_POSTCODE_HIGH &&
           line->rank_address > RANK_COUNTRY;
}

static bool name_holds_all(const nom_builder *b, uint32_t place, const nom_list *tokens)
{
    uint32_t count;
    const uint32_t *names = names_of(b, place, &count);
    for (size_t i = 0; i < tokens->count; i++)
        if (!holds(names, count, tokens->items[i]))
            return false;
    return tokens->count > 0;
}

/* Some place of the address lines bears all the tokens. */
static bool lines_hold_all(const nom_builder *b, uint32_t place, const nom_list *tokens)
{
    uint32_t count;
    const plc_disk_line *lines = plc_lines(b->ix, place, &count);
    for (uint32_t i = 0; i < count; i++)
        if (counts(&lines[i]) && name_holds_all(b, lines[i].place, tokens))
            return true;
    return false;
}

static bool address_holds(const nom_builder *b, uint32_t place, uint32_t token)
{
    uint32_t count, line_count;
    const uint32_t *extras = extras_of(b, place, &count);
    if (holds(extras, count, token))
        return true;
    const plc_disk_line *lines = plc_lines(b->ix, place, &line_count);
    for (uint32_t i = 0; i < line_count; i++) {
        const uint32_t *names = names_of(b, lines[i].place, &count);
        if (counts(&lines[i]) && holds(names, count, token))
            return true;
    }
    return false;
}

static bool address_holds_all(const nom_builder *b, uint32_t place, const nom_list *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (!address_holds(b, place, tokens->items[i]))
            return false;
    return true;
}

/* Some line of the place's own is none of its parent's. */
static bool has_further_lines(const nom_builder *b, uint32_t place)
{
    const plc_disk_place *p = b->ix->places + place;
    uint32_t count, parent_count;
    if (!(p->flags & PLC_OWN_LINES))
        return false;
    const plc_disk_line *lines = plc_lines(b->ix, place, &count);
    const plc_disk_line *parents = plc_lines(b->ix, p->parent, &parent_count);
    for (uint32_t i = 0; i < count; i++) {
        bool found = !counts(&lines[i]);
        for (uint32_t k = 0; k < parent_count && !found; k++)
            found = parents[k].place == lines[i].place;
        if (!found)
            return true;
    }
    return false;
}

/* What is collected of a place. */
typedef struct place_words {
    uint32_t place;
    bool on_street; /* hangs on a street or place, whose words are its address */
    bool number_is_name;
    bool has_street; /* addr:street */
    nom_list names, extras, numbers, tag;
} place_words;

static sx_status add_tag(nom_builder *b, place_words *w, sx_str kind, sx_str value)
{
    wrd_words words;
    sx_status status = wrd_address_words(b->analyzer, value, &words, b->err);
    if (status != SX_OK)
        return status;
    w->tag.count = 0;
    nom_words_put(b, &words, &w->tag);
    const plc_disk_place *p = b->ix->places + w->place;
    if (w->tag.count == 0 || !is_address_key(kind) || b->failed)
        return SX_OK;
    if ((w->on_street && address_holds_all(b, p->parent, &w->tag)) ||
        lines_hold_all(b, w->place, &w->tag))
        return SX_OK;
    for (size_t i = 0; i < w->tag.count; i++)
        nom_list_put(b, &w->extras, w->tag.items[i]);
    w->number_is_name |= w->on_street;
    return SX_OK;
}

/* addr:place of what has no addr:street. */
static sx_status add_place_tag(nom_builder *b, place_words *w, sx_str value)
{
    wrd_words words;
    sx_status status = wrd_address_words(b->analyzer, value, &words, b->err);
    if (status != SX_OK)
        return status;
    w->tag.count = 0;
    nom_words_put(b, &words, &w->tag);
    if (!w->on_street || w->has_street || b->failed)
        return SX_OK;
    if (w->tag.count && !name_holds_all(b, b->ix->places[w->place].parent, &w->tag))
        w->number_is_name = true;
    for (size_t i = 0; i < w->tag.count; i++)
        nom_list_put(b, &w->extras, w->tag.items[i]);
    return SX_OK;
}

static void put_number_variant(void *ctx, sx_str variant)
{
    sx_buf *out = ctx;
    sx_buf_str(out, variant);
    sx_buf_byte(out, '\n');
}

/* One house number: its token, and its form for the comparison with what is asked. */
static void add_number(nom_builder *b, place_words *w, sx_str number, sx_buf *shown)
{
    sx_buf id = {0}, variants = {0};
    bool added;
    wrd_housenumber_id(number, &id);
    uint32_t token = nom_token_of(b, 'H', sx_buf_view(&id), &added);
    wrd_housenumber_variants(sx_buf_view(&id), put_number_variant, &variants);
    sx_str first = {0}, one, rest = sx_buf_view(&variants);
    while (rest.len) {
        (void)sx_str_cut(rest, '\n', &one, &rest);
        if (!first.data)
            first = one;
        if (added)
            nom_entry_put(b, one, first, (nom_disk_entry){.token = token, .kind = NOM_E_NUMBER});
    }
    bool known = false;
    for (size_t i = 0; i < w->numbers.count; i++)
        known |= w->numbers.items[i] == token;
    if (!known && first.len) {
        nom_list_put(b, &w->numbers, token);
        if (shown->len)
            sx_buf_byte(shown, ';');
        sx_buf_str(shown, first);
    }
    b->failed |= id.failed || variants.failed;
    sx_buf_done(&variants);
    sx_buf_done(&id);
}

static bool is_number_key(sx_str kind)
{
    return sx_str_eq(kind, SX_STR("housenumber")) || sx_str_eq(kind, SX_STR("streetnumber")) ||
           sx_str_eq(kind, SX_STR("conscriptionnumber"));
}

/* Names, and numbers that are names of houses. */
static sx_status add_names(nom_builder *b, place_words *w, sx_buf *shown)
{
    const plc_disk_place *p = b->ix->places + w->place;
    char country[3];
    plc_tags it;
    sx_str key, value, kind, suffix, numbers[WRD_NUMBERS_MAX];
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    plc_country_text(p->country, country);
    wrd_names_begin(b->analyzer, sx_str_z(country));
    for (plc_tags_begin(b->ix, p->tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);)
        wrd_names_add(b->analyzer, key, value);
    sx_str interpolation = plc_tag(b->ix, p->tags, PLC_ADDRESS, SX_STR("interpolation"));
    for (plc_tags_begin(b->ix, p->tags, PLC_ADDRESS, &it); plc_tags_next(&it, &key, &value);) {
        (void)sx_str_cut(key, ':', &kind, &suffix);
        w->has_street |= sx_str_eq(kind, SX_STR("street"));
        if (!is_number_key(kind))
            continue;
        bool is_name;
        uint32_t count = wrd_housenumbers(value, interpolation, &arena, numbers, &is_name);
        if (is_name)
            wrd_names_add(b->analyzer, SX_STR("housenumber"), value);
        for (uint32_t i = 0; i < count; i++)
            add_number(b, w, numbers[i], shown);
    }
    sx_arena_done(&arena);
    wrd_words words;
    sx_status status = wrd_names_end(b->analyzer, &words, b->err);
    if (status == SX_OK)
        nom_words_put(b, &words, &w->names);
    return status;
}

static sx_status add_tags(nom_builder *b, place_words *w)
{
    const plc_disk_place *p = b->ix->places + w->place;
    plc_tags it;
    sx_str key, value, kind, suffix;
    sx_status status = SX_OK;
    plc_tags_begin(b->ix, p->tags, PLC_ADDRESS, &it);
    while (status == SX_OK && plc_tags_next(&it, &key, &value)) {
        bool bare = !sx_str_cut(key, ':', &kind, &suffix) || suffix.len == 0;
        if (!bare || kind.len == 0 || kind.data[0] == '_')
            continue;
        if (sx_str_eq(kind, SX_STR("place")))
            status = add_place_tag(b, w, value);
        else if (!is_number_key(kind) && !sx_str_eq(kind, SX_STR("street")) &&
                 !sx_str_eq(kind, SX_STR("postcode")) && !sx_str_eq(kind, SX_STR("country")) &&
                 !sx_str_eq(kind, SX_STR("full")) && !sx_str_eq(kind, SX_STR("inclusion")) &&
                 !sx_str_eq(kind, SX_STR("interpolation")))
            status = add_tag(b, w, kind, value);
    }
    return status;
}

static void put_row(nom_builder *b, place_words *w)
{
    if (w->on_street && w->numbers.count && (w->number_is_name || has_further_lines(b, w->place)))
        for (size_t i = 0; i < w->numbers.count; i++)
            nom_list_put(b, &w->names, w->numbers.items[i]);
    if (w->names.count == 0 || (b->ix->places[w->place].flags & PLC_LINKED))
        return;
    nom_list_unique(&w->names, 0);
    nom_list_unique(&w->extras, 0);
    if (b->rows.count >= UINT32_MAX - w->names.count - w->extras.count - 4) {
        b->failed = true;
        return;
    }
    b->row_at[w->place] = (uint32_t)b->rows.count + 1;
    b->row_count++;
    nom_list_put(b, &b->rows, (uint32_t)w->names.count);
    for (size_t i = 0; i < w->names.count && !b->failed; i++) {
        nom_list_put(b, &b->rows, w->names.items[i]);
        b->token_rows[w->names.items[i]].count++;
    }
    nom_list_put(b, &b->rows, (uint32_t)w->extras.count);
    for (size_t i = 0; i < w->extras.count; i++)
        nom_list_put(b, &b->rows, w->extras.items[i]);
}

static sx_status build_row(nom_builder *b, place_words *w)
{
    const plc_disk_place *p = b->ix->places + w->place;
    sx_buf shown = {0};
    w->names.count = w->extras.count = w->numbers.count = 0;
    w->number_is_name = w->has_street = false;
    w->on_street = p->rank_search > RANK_STREETS_LAST && p->parent < b->ix->place_count;
    sx_status status = add_names(b, w, &shown);
    if (status == SX_OK)
        status = add_tags(b, w);
    if (status == SX_OK && !b->failed) {
        put_row(b, w);
        if (shown.len)
            b->number_at[w->place] = nom_text_put(b, sx_buf_view(&shown), true) + 1;
    }
    b->failed |= shown.failed;
    sx_buf_done(&shown);
    return status;
}

/* Rows of rank 28 and more need the others', so places go by id, which rises with the rank. */
sx_status nom_rows_build(nom_builder *b)
{
    place_words w = {0};
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < b->ix->place_count && status == SX_OK && !b->failed; i++) {
        w.place = i;
        status = build_row(b, &w);
        geo_spool *texts = plc_writer_section(b->out, NOM_S_TEXTS);
        if (status == SX_OK && texts)
            status = geo_spool_settle(texts, "the words' texts", b->err);
    }
    sx_free(w.names.items);
    sx_free(w.extras.items);
    sx_free(w.numbers.items);
    sx_free(w.tag.items);
    return status;
}

/* --- How many rows have a token in their address. */

typedef struct counting {
    nom_builder *b;
    uint32_t *stamps; /* a token: when it was last seen */
    uint32_t stamp;
    nom_list seen; /* tokens with this stamp */
} counting;

static void see(counting *c, uint32_t token)
{
    if (c->stamps[token] == c->stamp)
        return;
    c->stamps[token] = c->stamp;
    nom_list_put(c->b, &c->seen, token);
}

static void see_all(counting *c, const uint32_t *tokens, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        see(c, tokens[i]);
}

static void see_lines(counting *c, uint32_t place)
{
    uint32_t count, names;
    const plc_disk_line *lines = plc_lines(c->b->ix, place, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (!counts(&lines[i]))
            continue;
        const uint32_t *tokens = names_of(c->b, lines[i].place, &names);
        see_all(c, tokens, names);
    }
}

static void add_seen(counting *c, size_t from, uint32_t rows)
{
    for (size_t i = from; i < c->seen.count; i++)
        c->b->token_rows[c->seen.items[i]].address_count += rows;
}

static bool hangs(const nom_builder *b, uint32_t place)
{
    const plc_disk_place *p = b->ix->places + place;
    return p->rank_search > RANK_STREETS_LAST && p->parent < b->ix->place_count;
}

/* A street or place, then what hangs on it: those share all but what their own tags say. */
static void count_group(counting *c, uint32_t place)
{
    nom_builder *b = c->b;
    uint32_t count, first, children = plc_children(b->ix, place, &first), rows = 0;
    for (uint32_t i = first; i < first + children; i++)
        rows += b->row_at[i] != 0 && hangs(b, i) && b->ix->places[i].parent == place;
    bool own = b->row_at[place] && !hangs(b, place);
    if (!own && rows == 0)
        return;
    c->stamp++;
    c->seen.count = 0;
    see_lines(c, place);
    const uint32_t *extras = extras_of(b, place, &count);
    see_all(c, extras, count);
    if (own)
        add_seen(c, 0, 1);
    if (rows == 0)
        return;
    const uint32_t *names = names_of(b, place, &count);
    see_all(c, names, count);
    add_seen(c, 0, rows);
    size_t shared = c->seen.count;
    for (uint32_t i = first; i < first + children && !b->failed; i++) {
        if (!b->row_at[i] || !hangs(b, i) || b->ix->places[i].parent != place)
            continue;
        extras = extras_of(b, i, &count);
        see_all(c, extras, count);
        if (b->ix->places[i].flags & PLC_OWN_LINES)
            see_lines(c, i);
        add_seen(c, shared, 1);
        for (size_t k = shared; k < c->seen.count; k++)
            c->stamps[c->seen.items[k]] = 0;
        c->seen.count = shared;
    }
}

void nom_rows_count(nom_builder *b)
{
    counting c = {.b = b, .stamps = sx_calloc(b->token_count + 1, sizeof(uint32_t))};
    b->failed |= !c.stamps;
    for (uint32_t i = 0; i < b->ix->place_count && !b->failed; i++)
        count_group(&c, i);
    sx_free(c.seen.items);
    sx_free(c.stamps);
}
