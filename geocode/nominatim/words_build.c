/* words_build.c - terms, tokens and the order of building; see words_build.h.
 *
 * Places are gone through once: their words become terms and tokens, their tokens rows (words_rows.c). What
 * belongs to streets is counted a second time with its parent's words (an address is never written out).
 * Then everything is sorted and written (words_write.c). Rows take 4 bytes a token in memory, all terms
 * lie there too; a country's names are some hundred megabytes. */
#include "geocode/nominatim/words_build_impl.h"

#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/places/countries.h"

enum { ARENA_BYTES = 1 << 20, COUNTRIES_MAX = 676, RANK_CITY = 16 };

void nom_list_put(nom_builder *b, nom_list *list, uint32_t value)
{
    if (!sx_grow(&list->items, &list->cap, list->count + 1, sizeof(value)))
        b->failed = true;
    else
        list->items[list->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void nom_list_unique(nom_list *list, size_t from)
{
    if (list->count <= from)
        return;
    qsort(list->items + from, list->count - from, sizeof(uint32_t), by_value);
    size_t to = from + 1;
    for (size_t i = from + 1; i < list->count; i++)
        if (list->items[i] != list->items[to - 1])
            list->items[to++] = list->items[i];
    list->count = to;
}

/* The entry of `key` in a map whose keys are the arena's; NULL without memory. */
static sx_map_entry *own(nom_builder *b, sx_map *map, sx_str key, bool *added)
{
    sx_map_entry *e = sx_map_put(map, key, added);
    if (e && *added) {
        sx_str copy = sx_arena_copy(&b->arena, key);
        if (!copy.data) {
            (void)sx_map_remove(map, key);
            e = NULL;
        } else {
            e->key = copy;
        }
    }
    b->failed |= !e;
    return e;
}

uint32_t nom_text_put(nom_builder *b, sx_str text, bool prefixed)
{
    bool added;
    geo_spool *texts = plc_writer_section(b->out, NOM_S_TEXTS);
    sx_buf_clear(&b->key);
    sx_buf_byte(&b->key, prefixed ? '1' : '0');
    sx_buf_str(&b->key, text);
    sx_map_entry *e = own(b, &b->texts, sx_buf_view(&b->key), &added);
    if (!e || !texts)
        return 0;
    if (added) {
        e->u64 = geo_spool_bytes(texts);
        if (prefixed)
            geo_put_varint(&texts->tail, text.len);
        sx_buf_str(&texts->tail, text);
        b->failed |= e->u64 > UINT32_MAX || texts->tail.failed;
    }
    return (uint32_t)e->u64;
}

uint32_t nom_token_of(nom_builder *b, char kind, sx_str id, bool *added)
{
    sx_buf_clear(&b->key);
    sx_buf_byte(&b->key, kind);
    sx_buf_str(&b->key, id);
    sx_map_entry *e = own(b, &b->tokens, sx_buf_view(&b->key), added);
    if (!e)
        return 0;
    if (*added) {
        if (!sx_grow(&b->token_rows, &b->token_cap, b->token_count + 1, sizeof(*b->token_rows))) {
            b->failed = true;
            return 0;
        }
        e->u64 = b->token_count;
        b->token_rows[b->token_count++] = (nom_disk_token){0};
    }
    return (uint32_t)e->u64;
}

static uint32_t term_of(nom_builder *b, sx_str text)
{
    bool added;
    sx_map_entry *e = own(b, &b->terms, text, &added);
    if (!e)
        return 0;
    if (added) {
        if (!sx_grow(&b->term_texts, &b->term_cap, b->term_count + 1, sizeof(sx_str))) {
            b->failed = true;
            return 0;
        }
        e->u64 = b->term_count;
        b->term_texts[b->term_count++] = e->key;
    }
    return (uint32_t)e->u64;
}

void nom_entry_put(nom_builder *b, sx_str ascii, sx_str lookup, nom_disk_entry entry)
{
    if (ascii.len == 0 || ascii.len > UINT16_MAX || lookup.len > UINT16_MAX)
        return;
    uint32_t term = term_of(b, ascii);
    entry.lookup = nom_text_put(b, lookup, false);
    entry.lookup_len = (uint16_t)lookup.len;
    if (b->failed ||
        !sx_grow(&b->entries, &b->entry_cap, b->entry_count + 1, sizeof(*b->entries))) {
        b->failed = true;
        return;
    }
    b->entries[b->entry_count++] = (nom_new_entry){term, entry};
}

void nom_words_put(nom_builder *b, const wrd_words *words, nom_list *list)
{
    bool added;
    for (uint32_t i = 0; i < words->full_count && !b->failed; i++) {
        const wrd_full *full = &words->fulls[i];
        uint32_t token = nom_token_of(b, 'F', full->id, &added);
        nom_list_put(b, list, token);
        for (uint32_t k = 0; added && k < full->count; k++)
            nom_entry_put(b, full->variants[k].ascii, full->variants[k].normal,
                          (nom_disk_entry){.token = token, .kind = NOM_E_FULL});
    }
    for (uint32_t i = 0; i < words->partial_count && !b->failed; i++) {
        uint32_t token = nom_token_of(b, 'w', words->partials[i], &added);
        nom_list_put(b, list, token);
        if (added)
            nom_entry_put(b, words->partials[i], words->partials[i],
                          (nom_disk_entry){.token = token, .kind = NOM_E_PARTIAL});
    }
}

/* --- Countries and phrases. */

/* A name of a country, unless the same stands there already. */
static void put_country_name(nom_builder *b, sx_map *seen, uint16_t country, sx_str normal)
{
    bool added;
    sx_buf_clear(&b->key);
    sx_buf_bytes(&b->key, &country, sizeof(country));
    sx_buf_str(&b->key, normal);
    if (!own(b, seen, sx_buf_view(&b->key), &added) || !added)
        return;
    sx_buf ascii = {0};
    wrd_ascii(normal, &ascii);
    nom_entry_put(b, sx_str_trim(sx_buf_view(&ascii)), normal,
                  (nom_disk_entry){.country = country, .kind = NOM_E_COUNTRY});
    sx_buf_done(&ascii);
}

static sx_status put_country_names(nom_builder *b, sx_map *seen, uint16_t country)
{
    wrd_words words;
    sx_status status = wrd_names_end(b->analyzer, &words, b->err);
    /* Countries have no variants: only what stands without a language counts. */
    for (uint32_t i = 0; status == SX_OK && i < words.full_count && !b->failed; i++)
        if (sx_str_find_byte(words.fulls[i].id, '@') == words.fulls[i].id.len)
            put_country_name(b, seen, country, words.fulls[i].id);
    return status;
}

/* A town that is a country may have the town's rank in addresses. */
static bool is_country(const plc_index *ix, const plc_disk_place *p)
{
    return p->admin_level == 2 && p->country &&
           sx_str_eq(plc_string(ix, p->class_name), SX_STR("boundary")) &&
           sx_str_eq(plc_string(ix, p->type), SX_STR("administrative"));
}

static sx_status put_countries(nom_builder *b)
{
    sx_map seen;
    sx_status status = SX_OK;
    sx_map_init(&seen, NULL);
    for (uint32_t i = 0; i < COUNTRIES_MAX && status == SX_OK; i++) {
        uint16_t country = plc_country_at_index(i);
        if (!country)
            break;
        uint32_t count;
        const plc_country_name *names = plc_country_names(country, &count);
        wrd_names_begin(b->analyzer, sx_str_of("", 0));
        wrd_names_add(b->analyzer, SX_STR("countrycode"), plc_country_code(country));
        for (uint32_t k = 0; k < count; k++)
            wrd_names_add(b->analyzer, SX_STR("ref"), names[k].value);
        status = put_country_names(b, &seen, country);
    }
    for (uint32_t i = 0; i < b->ix->place_count && status == SX_OK; i++) {
        const plc_disk_place *p = b->ix->places + i;
        if (p->rank_search > RANK_CITY)
            break;
        if (!is_country(b->ix, p))
            continue;
        plc_tags it;
        sx_str key, value;
        wrd_names_begin(b->analyzer, sx_str_of("", 0));
        for (plc_tags_begin(b->ix, p->tags, PLC_NAMES, &it); plc_tags_next(&it, &key, &value);)
            wrd_names_add(b->analyzer, SX_STR("ref"), value);
        status = put_country_names(b, &seen, p->country);
    }
    sx_map_done(&seen);
    return status;
}

/* The number of a category among those of phrases. */
static uint32_t category_of(nom_builder *b, sx_map *known, const nom_phrase *p)
{
    bool added;
    sx_buf_clear(&b->key);
    sx_buf_str(&b->key, p->class_name);
    sx_buf_byte(&b->key, '=');
    sx_buf_str(&b->key, p->type);
    sx_map_entry *e = own(b, known, sx_buf_view(&b->key), &added);
    geo_spool *rows = plc_writer_section(b->out, NOM_S_CATEGORIES);
    if (!e || !rows)
        return 0;
    if (added) {
        nom_disk_category row = {nom_text_put(b, p->class_name, false),
                                 nom_text_put(b, p->type, false), (uint16_t)p->class_name.len,
                                 (uint16_t)p->type.len};
        e->u64 = geo_spool_bytes(rows) / sizeof(row);
        sx_buf_bytes(&rows->tail, &row, sizeof(row));
    }
    return (uint32_t)e->u64;
}

static void put_phrases(nom_builder *b, const nom_phrases *phrases)
{
    sx_map known, seen;
    sx_buf normal = {0}, ascii = {0};
    sx_map_init(&known, NULL);
    sx_map_init(&seen, NULL);
    for (uint32_t i = 0; i < phrases->count && !b->failed; i++) {
        const nom_phrase *p = &phrases->items[i];
        bool added;
        sx_buf_clear(&normal);
        sx_buf_clear(&ascii);
        wrd_normal_name(p->text, &normal);
        sx_str text = sx_str_trim(sx_buf_view(&normal));
        wrd_ascii(text, &ascii);
        uint32_t category = category_of(b, &known, p);
        char mark[16];
        memcpy(mark, &category, sizeof(category));
        mark[4] = (char)p->op;
        sx_buf_clear(&b->key);
        sx_buf_bytes(&b->key, mark, 5);
        sx_buf_str(&b->key, text);
        if (own(b, &seen, sx_buf_view(&b->key), &added) && added)
            nom_entry_put(
                b, sx_str_trim(sx_buf_view(&ascii)), text,
                (nom_disk_entry){.token = category, .kind = NOM_E_PHRASE, .op = (uint8_t)p->op});
    }
    b->failed |= normal.failed || ascii.failed;
    sx_buf_done(&ascii);
    sx_buf_done(&normal);
    sx_map_done(&seen);
    sx_map_done(&known);
}

/* --- All. */

static void declare_sections(plc_writer *out)
{
    static const uint32_t RECORDS[NOM_S_END - NOM_S_META] = {sizeof(nom_disk_meta),
                                                             sizeof(nom_disk_term),
                                                             4,
                                                             sizeof(nom_disk_entry),
                                                             sizeof(nom_disk_token),
                                                             1,
                                                             4,
                                                             1,
                                                             4,
                                                             1,
                                                             sizeof(nom_disk_category),
                                                             4};
    for (unsigned id = NOM_S_META; id < NOM_S_END; id++)
        plc_writer_record(out, id, RECORDS[id - NOM_S_META]);
}

static bool begin(nom_builder *b)
{
    sx_arena_init(&b->arena, ARENA_BYTES, 0);
    sx_map_init(&b->terms, NULL);
    sx_map_init(&b->tokens, NULL);
    sx_map_init(&b->texts, NULL);
    b->analyzer = wrd_analyzer_new(b->err);
    b->row_at = sx_calloc((size_t)b->ix->place_count + 1, sizeof(uint32_t));
    b->number_at = sx_calloc((size_t)b->ix->place_count + 1, sizeof(uint32_t));
    return b->analyzer && b->row_at && b->number_at;
}

static void end(nom_builder *b)
{
    sx_free(b->number_at);
    sx_free(b->row_at);
    sx_free(b->scratch.items);
    sx_free(b->rows.items);
    sx_free(b->token_rows);
    sx_free(b->entries);
    sx_free(b->term_texts);
    sx_buf_done(&b->key);
    wrd_analyzer_free(b->analyzer);
    sx_map_done(&b->texts);
    sx_map_done(&b->tokens);
    sx_map_done(&b->terms);
    sx_arena_done(&b->arena);
}

sx_status nom_words_build(const plc_index *places, const nom_phrases *phrases, plc_writer *out,
                          sx_error *err)
{
    nom_builder b = {.ix = places, .out = out, .err = err};
    declare_sections(out);
    sx_status status = begin(&b) ? SX_OK : sx_fail_memory(err, "the words of the places");
    if (status == SX_OK)
        status = put_countries(&b);
    if (status == SX_OK && phrases)
        put_phrases(&b, phrases);
    if (status == SX_OK)
        status = nom_rows_build(&b);
    if (status == SX_OK && !b.failed)
        nom_rows_count(&b);
    if (status == SX_OK && b.failed)
        status = sx_fail_memory(err, "the words of the places");
    if (status == SX_OK)
        status = nom_words_write(&b);
    end(&b);
    return status;
}
