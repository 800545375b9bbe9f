/* words.c - see words.h. */
#include "geocode/nominatim/words.h"

#include <stdatomic.h>

#include <sextant/mem.h>

/* Only counts how often words were opened, by any thread. */
static _Atomic uint64_t opened;

static sx_str text_at(const nom_words *w, uint32_t at, uint32_t len)
{
    const plc_bytes *s = &w->ix->s[NOM_S_TEXTS];
    return (uint64_t)at + len <= s->bytes ? sx_str_of(s->data + at, len) : sx_str_of("", 0);
}

static const void *section(const nom_words *w, nom_section id, uint32_t *count)
{
    uint64_t records = w->ix->s[id].count;
    *count = records < UINT32_MAX ? (uint32_t)records : 0;
    return w->ix->s[id].data;
}

nom_words *nom_words_open(const plc_index *places, sx_error *err)
{
    const nom_disk_meta *meta = (const void *)places->s[NOM_S_META].data;
    if (!meta || places->s[NOM_S_META].count != 1) {
        (void)sx_fail(err, SX_ENOTFOUND, "the index has places but no words: import it anew");
        return NULL;
    }
    if (meta->version != NOM_WORDS_VERSION) {
        (void)sx_fail(err, SX_EUNSUPPORTED, "words of version %u, this program reads %d",
                      meta->version, NOM_WORDS_VERSION);
        return NULL;
    }
    nom_words *w = sx_calloc(1, sizeof(*w));
    if (!w) {
        (void)sx_fail_memory(err, "the words of the index");
        return NULL;
    }
    uint32_t slots, rows, numbers;
    w->ix = places;
    w->generation = atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed) + 1;
    w->terms = section(w, NOM_S_TERMS, &w->term_count);
    w->slots = section(w, NOM_S_TERM_SLOTS, &slots);
    w->entries = section(w, NOM_S_ENTRIES, &w->entry_count);
    w->tokens = section(w, NOM_S_TOKENS, &w->token_count);
    w->row_at = section(w, NOM_S_ROW_AT, &rows);
    w->number_at = section(w, NOM_S_NUMBER_AT, &numbers);
    w->categories = section(w, NOM_S_CATEGORIES, &w->category_count);
    w->spellings = section(w, NOM_S_SPELLINGS, &w->spelling_count);
    w->slot_mask = slots ? slots - 1 : 0;
    if (!slots || (slots & (slots - 1)) || rows < places->place_count ||
        numbers < places->place_count) {
        (void)sx_fail(err, SX_ECORRUPT, "the words of the index do not fit its places");
        sx_free(w);
        return NULL;
    }
    return w;
}

void nom_words_close(nom_words *w)
{
    sx_free(w);
}

sx_str nom_term_text(const nom_words *w, const nom_disk_term *term)
{
    return text_at(w, term->text, term->len);
}

const nom_disk_term *nom_term_find(const nom_words *w, sx_str text, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & w->slot_mask;
    for (uint32_t tries = 0; tries <= w->slot_mask; tries++, slot = (slot + 1) & w->slot_mask) {
        uint32_t number = w->slots[slot];
        if (number == 0 || number > w->term_count)
            return NULL;
        const nom_disk_term *term = w->terms + number - 1;
        if (term->len == text.len && sx_str_eq(nom_term_text(w, term), text))
            return term;
    }
    return NULL;
}

uint32_t nom_term_from(const nom_words *w, sx_str text)
{
    uint32_t low = 0, high = w->term_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sx_str_cmp(nom_term_text(w, w->terms + middle), text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const nom_disk_entry *nom_term_entries(const nom_words *w, const nom_disk_term *term,
                                       uint32_t *count)
{
    bool fits = (uint64_t)term->entries + term->entry_count <= w->entry_count;
    *count = fits ? term->entry_count : 0;
    return fits ? w->entries + term->entries : NULL;
}

sx_str nom_entry_lookup(const nom_words *w, const nom_disk_entry *entry)
{
    return text_at(w, entry->lookup, entry->lookup_len);
}

void nom_postings_begin(const nom_words *w, uint32_t token, nom_postings *it)
{
    const plc_bytes *s = &w->ix->s[NOM_S_POSTINGS];
    const nom_disk_token *t = nom_token(w, token);
    *it = (nom_postings){.left = t ? t->count : 0};
    it->c = geo_cursor_at(s->data, s->bytes, t ? t->postings : 0);
    if (it->c.bad)
        it->left = 0;
}

bool nom_postings_read(const nom_words *w, uint32_t token, sx_arena *arena, const uint32_t **places,
                       uint32_t *count)
{
    nom_postings it;
    nom_postings_begin(w, token, &it);
    *count = 0;
    if ((uint64_t)it.left > (uint64_t)(it.c.end - it.c.at))
        it.left = 0; /* damaged: each takes a byte at least */
    uint32_t *out = sx_arena_alloc(arena, ((size_t)it.left + 1) * sizeof(*out));
    *places = out;
    if (!out)
        return false;
    while (nom_postings_next(&it) && it.place < w->ix->place_count)
        out[(*count)++] = it.place;
    return true;
}

static bool list_has(geo_cursor *c, uint32_t token)
{
    uint32_t count = geo_cursor_u32(c), value = 0;
    bool found = false;
    for (uint32_t i = 0; i < count && !c->bad && value <= token; i++) {
        value += geo_cursor_u32(c);
        found |= value == token && !c->bad;
    }
    return found;
}

static bool row_at(const nom_words *w, uint32_t place, geo_cursor *c)
{
    if (!nom_has_row(w, place))
        return false;
    const plc_bytes *s = &w->ix->s[NOM_S_ROWS];
    *c = geo_cursor_at(s->data, s->bytes, w->row_at[place] - 1);
    return !c->bad;
}

bool nom_row_has(const nom_words *w, uint32_t place, uint32_t token)
{
    geo_cursor c;
    return row_at(w, place, &c) && list_has(&c, token);
}

bool nom_row_has_extra(const nom_words *w, uint32_t place, uint32_t token)
{
    geo_cursor c;
    if (!row_at(w, place, &c))
        return false;
    for (uint32_t names = geo_cursor_u32(&c); names > 0 && !c.bad; names--)
        (void)geo_cursor_u32(&c);
    return list_has(&c, token);
}

void nom_row_tokens_begin(const nom_words *w, uint32_t place, bool extra, nom_row_tokens *it)
{
    *it = (nom_row_tokens){0};
    if (!row_at(w, place, &it->c))
        return;
    it->left = geo_cursor_u32(&it->c);
    if (!extra)
        return;
    for (; it->left > 0 && !it->c.bad; it->left--)
        (void)geo_cursor_u32(&it->c);
    it->left = geo_cursor_u32(&it->c);
}

bool nom_row_tokens_next(nom_row_tokens *it)
{
    if (it->left == 0 || it->c.bad)
        return false;
    it->left--;
    it->token += geo_cursor_u32(&it->c);
    return !it->c.bad;
}

/* The token of a spelling; a damaged one is behind all. */
static uint64_t token_of_spelling(const nom_words *w, uint32_t spelling)
{
    uint32_t entry = w->spellings[spelling];
    return entry < w->entry_count ? w->entries[entry].token : UINT64_MAX;
}

/* The first spelling of a token that is not below `token`. */
static uint32_t spelling_from(const nom_words *w, uint64_t token)
{
    uint32_t low = 0, high = w->spelling_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (token_of_spelling(w, middle) < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const uint32_t *nom_spellings(const nom_words *w, uint32_t token, uint32_t *count)
{
    uint32_t from = spelling_from(w, token), to = spelling_from(w, (uint64_t)token + 1);
    *count = to > from ? to - from : 0;
    return *count ? w->spellings + from : NULL;
}

sx_str nom_entry_text(const nom_words *w, uint32_t entry)
{
    uint32_t low = 0, high = w->term_count; /* the last term whose first entry is not behind it */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (w->terms[middle].entries <= entry)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? nom_term_text(w, w->terms + low - 1) : sx_str_of("", 0);
}

sx_str nom_numbers_of(const nom_words *w, uint32_t place)
{
    const plc_bytes *s = &w->ix->s[NOM_S_TEXTS];
    if (place >= w->ix->place_count || w->number_at[place] == 0)
        return sx_str_of("", 0);
    geo_cursor c = geo_cursor_at(s->data, s->bytes, w->number_at[place] - 1);
    return geo_cursor_bytes(&c, geo_cursor_varint(&c));
}

bool nom_category_of(const nom_words *w, uint32_t category, sx_str *class_name, sx_str *type)
{
    if (category >= w->category_count)
        return false;
    const nom_disk_category *c = w->categories + category;
    *class_name = text_at(w, c->class_name, c->class_len);
    *type = text_at(w, c->type, c->type_len);
    return class_name->len > 0;
}
