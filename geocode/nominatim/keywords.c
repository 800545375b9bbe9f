/* keywords.c - see keywords.h. */
#include "geocode/nominatim/keywords.h"

#include <stdlib.h>

#include "geocode/nominatim/json.h"

enum { RANK_COUNTRY = 4, RANK_POSTCODE_LOW = 5, RANK_POSTCODE_HIGH = 11, RANK_STREET = 27 };

/* Tokens of names and of addresses are few, but of a house they come from a dozen places. */
typedef struct token_list {
    sx_arena *arena;
    uint32_t *items;
    size_t count, cap;
    bool failed;
} token_list;

static void take(token_list *list, uint32_t token)
{
    if (sx_arena_grow(list->arena, &list->items, &list->cap, list->count + 1, sizeof(*list->items)))
        list->items[list->count++] = token;
    else
        list->failed = true;
}

static void take_row(const nom_words *w, uint32_t place, bool extra, token_list *list)
{
    nom_row_tokens it;
    nom_row_tokens_begin(w, place, extra, &it);
    while (!list->failed && nom_row_tokens_next(&it))
        take(list, it.token);
}

static void take_lines(const nom_words *w, uint32_t place, token_list *list)
{
    uint32_t count;
    const plc_disk_line *lines = plc_lines(w->ix, place, &count);
    for (uint32_t i = 0; i < count; i++) {
        unsigned rank = lines[i].rank_address;
        if (rank > RANK_COUNTRY && rank != RANK_POSTCODE_LOW && rank != RANK_POSTCODE_HIGH)
            take_row(w, lines[i].place, false, list);
    }
}

/* As the search sees addresses: see nom_address_has(). */
static void take_address(const nom_words *w, uint32_t place, token_list *list)
{
    const plc_disk_place *p = plc_place(w->ix, place);
    if (!p || !nom_has_row(w, place))
        return;
    if (p->rank_search > RANK_STREET && plc_place(w->ix, p->parent)) {
        take_row(w, p->parent, false, list);
        take_row(w, p->parent, true, list);
        take_lines(w, p->parent, list);
        if (p->flags & PLC_OWN_LINES)
            take_lines(w, place, list);
    } else {
        take_lines(w, place, list);
    }
    take_row(w, place, true, list);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void put_token(sx_json_writer *w, const nom_words *words, uint32_t token)
{
    uint32_t count;
    const uint32_t *entries = nom_spellings(words, token, &count);
    sx_str last = {0};
    for (uint32_t i = 0; i < count; i++) {
        sx_str text = nom_entry_text(words, entries[i]);
        if (text.len == 0 || text.data == last.data)
            continue; /* the same text for two normal forms */
        last = text;
        sx_json_begin_object(w);
        key_i64(w, "id", (int64_t)token + 1);
        key_str(w, "token", text);
        sx_json_end_object(w);
    }
}

static void put_list(sx_json_writer *w, const char *key, const nom_words *words, token_list *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(*list->items), by_number);
    sx_json_key(w, sx_str_z(key));
    sx_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->items[i] != list->items[i - 1])
            put_token(w, words, list->items[i]);
    sx_json_end_array(w);
}

sx_status nom_json_keywords(sx_json_writer *w, const nom_words *words, const nom_object *o,
                            sx_arena *arena, sx_error *err)
{
    token_list names = {.arena = arena}, address = {.arena = arena};
    if (words && o->source == NOM_PLACE) {
        take_row(words, o->place, false, &names);
        take_address(words, o->place, &address);
    }
    if (names.failed || address.failed)
        return sx_fail_memory(err, "the words of a place");
    sx_json_key(w, SX_STR("keywords"));
    sx_json_begin_object(w);
    put_list(w, "name", words, &names);
    put_list(w, "address", words, &address);
    sx_json_end_object(w);
    return SX_OK;
}
