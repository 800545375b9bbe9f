/* words_write.c - sorts what words_build.c collected and writes the sections. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/nominatim/words.h"
#include "geocode/nominatim/words_build_impl.h"

static sx_status settle(nom_builder *b, geo_spool *spool)
{
    return geo_spool_settle(spool, "the words of the places", b->err);
}

static void put_bytes(nom_builder *b, nom_section id, const void *data, size_t bytes)
{
    geo_spool *spool = plc_writer_section(b->out, id);
    if (spool)
        sx_buf_bytes(&spool->tail, data, bytes);
    b->failed |= !spool || spool->tail.failed;
}

static void put_sorted(sx_buf *out, const uint32_t *items, uint32_t count)
{
    geo_put_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        geo_put_varint(out, i ? items[i] - items[i - 1] : items[0]);
}

/* ROWS, and ROW_AT with where each begins there. */
static sx_status write_rows(nom_builder *b)
{
    geo_spool *rows = plc_writer_section(b->out, NOM_S_ROWS);
    sx_status status = rows ? SX_OK : SX_ENOMEM;
    for (uint32_t i = 0; i < b->ix->place_count && status == SX_OK; i++) {
        uint32_t at = 0;
        if (b->row_at[i]) {
            const uint32_t *row = b->rows.items + b->row_at[i] - 1;
            uint64_t where = geo_spool_bytes(rows) + 1;
            if (where > UINT32_MAX)
                return sx_fail(b->err, SX_ELIMIT, "the words' rows are beyond 4 GB");
            at = (uint32_t)where;
            put_sorted(&rows->tail, row + 1, row[0]);
            put_sorted(&rows->tail, row + 2 + row[0], row[1 + row[0]]);
            status = settle(b, rows);
        }
        put_bytes(b, NOM_S_ROW_AT, &at, sizeof(at));
    }
    put_bytes(b, NOM_S_NUMBER_AT, b->number_at, (size_t)b->ix->place_count * sizeof(uint32_t));
    return status;
}

/* The rows the other way round: for each token its places, rising. */
static sx_status write_postings(nom_builder *b)
{
    geo_spool *postings = plc_writer_section(b->out, NOM_S_POSTINGS);
    size_t total = 0;
    size_t *at = sx_calloc(b->token_count + 1, sizeof(*at));
    for (size_t t = 0; t < b->token_count && at; t++) {
        at[t] = total;
        total += b->token_rows[t].count;
    }
    uint32_t *places = sx_calloc(total + 1, sizeof(*places));
    sx_status status = at && places && postings ? SX_OK : SX_ENOMEM;
    for (uint32_t i = 0; i < b->ix->place_count && status == SX_OK; i++) {
        if (!b->row_at[i])
            continue;
        const uint32_t *row = b->rows.items + b->row_at[i] - 1;
        for (uint32_t k = 1; k <= row[0]; k++)
            places[at[row[k]]++] = i;
    }
    const uint32_t *from = places;
    for (size_t t = 0; t < b->token_count && status == SX_OK; t++) {
        nom_disk_token *token = &b->token_rows[t];
        token->postings = geo_spool_bytes(postings);
        for (uint32_t k = 0; k < token->count; k++)
            geo_put_varint(&postings->tail, k ? from[k] - from[k - 1] : from[0]);
        from += token->count;
        status = settle(b, postings);
    }
    sx_free(places);
    sx_free(at);
    if (status == SX_OK)
        put_bytes(b, NOM_S_TOKENS, b->token_rows, b->token_count * sizeof(nom_disk_token));
    return status == SX_ENOMEM ? sx_fail_memory(b->err, "the words' places") : status;
}

typedef struct sorted_term {
    sx_str text;
    uint32_t number;
} sorted_term;

static int by_text(const void *a, const void *b)
{
    return sx_str_cmp(((const sorted_term *)a)->text, ((const sorted_term *)b)->text);
}

static int by_term(const void *a, const void *b)
{
    const nom_new_entry *x = a, *y = b;
    if (x->term != y->term)
        return x->term < y->term ? -1 : 1;
    if (x->entry.kind != y->entry.kind)
        return x->entry.kind < y->entry.kind ? -1 : 1;
    return (x->entry.token > y->entry.token) - (x->entry.token < y->entry.token);
}

static void write_slots(nom_builder *b, const sorted_term *terms)
{
    size_t slots = 16;
    while (slots < b->term_count * 2)
        slots *= 2;
    uint32_t *table = sx_calloc(slots, sizeof(*table));
    if (!table) {
        b->failed = true;
        return;
    }
    for (size_t i = 0; i < b->term_count; i++) {
        size_t slot = nom_term_hash(terms[i].text) & (slots - 1);
        while (table[slot])
            slot = (slot + 1) & (slots - 1);
        table[slot] = (uint32_t)i + 1;
    }
    put_bytes(b, NOM_S_TERM_SLOTS, table, slots * sizeof(*table));
    sx_free(table);
}

static void write_terms(nom_builder *b)
{
    sorted_term *terms = sx_calloc(b->term_count + 1, sizeof(*terms));
    uint32_t *rank = sx_calloc(b->term_count + 1, sizeof(*rank));
    for (size_t i = 0; i < b->term_count && terms; i++)
        terms[i] = (sorted_term){b->term_texts[i], (uint32_t)i};
    if (!terms || !rank) {
        b->failed = true;
    } else {
        qsort(terms, b->term_count, sizeof(*terms), by_text);
        for (size_t i = 0; i < b->term_count; i++)
            rank[terms[i].number] = (uint32_t)i;
        for (size_t i = 0; i < b->entry_count; i++)
            b->entries[i].term = rank[b->entries[i].term];
        if (b->entry_count)
            qsort(b->entries, b->entry_count, sizeof(*b->entries), by_term);
        size_t entry = 0;
        for (size_t i = 0; i < b->term_count && !b->failed; i++) {
            size_t first = entry;
            for (; entry < b->entry_count && b->entries[entry].term == i; entry++)
                if (entry - first < UINT16_MAX)
                    put_bytes(b, NOM_S_ENTRIES, &b->entries[entry].entry, sizeof(nom_disk_entry));
            size_t count = entry - first < UINT16_MAX ? entry - first : UINT16_MAX;
            geo_spool *entries = plc_writer_section(b->out, NOM_S_ENTRIES);
            nom_disk_term term = {
                .text = nom_text_put(b, terms[i].text, false),
                .len = (uint16_t)terms[i].text.len,
                .entry_count = (uint16_t)count,
                .entries = (uint32_t)(geo_spool_bytes(entries) / sizeof(nom_disk_entry) - count)};
            put_bytes(b, NOM_S_TERMS, &term, sizeof(term));
        }
        write_slots(b, terms);
    }
    sx_free(rank);
    sx_free(terms);
}

/* The entries as they were written, the other way round: those of each token. A phrase's `token` is a
 * category, a country has none. */
static void write_spellings(nom_builder *b)
{
    uint32_t *at = sx_calloc(b->token_count + 2, sizeof(*at));
    uint32_t *spellings = sx_calloc(b->entry_count + 1, sizeof(*spellings));
    uint32_t written = 0, of_term = 0;
    b->failed |= !at || !spellings;
    for (size_t i = 0; i < b->entry_count && !b->failed; i++)
        if (b->entries[i].entry.kind <= NOM_E_NUMBER)
            at[b->entries[i].entry.token + 1]++;
    for (size_t t = 0; t < b->token_count && !b->failed; t++)
        at[t + 1] += at[t];
    for (size_t i = 0; i < b->entry_count && !b->failed; i++) {
        const nom_new_entry *e = &b->entries[i];
        of_term = i && e->term == e[-1].term ? of_term + 1 : 0;
        if (e->entry.kind <= NOM_E_NUMBER) /* one beyond a term's most stands at its last */
            spellings[at[e->entry.token]++] = of_term < UINT16_MAX ? written : written - 1;
        written += of_term < UINT16_MAX;
    }
    if (!b->failed && b->token_count) /* by now each stands where the next one began */
        put_bytes(b, NOM_S_SPELLINGS, spellings, at[b->token_count - 1] * sizeof(*spellings));
    sx_free(spellings);
    sx_free(at);
}

sx_status nom_words_write(nom_builder *b)
{
    nom_disk_meta meta = {.version = NOM_WORDS_VERSION, .row_count = b->row_count};
    put_bytes(b, NOM_S_META, &meta, sizeof(meta));
    sx_status status = write_rows(b);
    if (status == SX_OK)
        status = write_postings(b);
    if (status == SX_OK)
        write_terms(b);
    if (status == SX_OK && !b->failed)
        write_spellings(b);
    for (unsigned id = NOM_S_META; id < NOM_S_END && status == SX_OK && !b->failed; id++) {
        geo_spool *spool = plc_writer_section(b->out, id);
        if (spool)
            status = settle(b, spool);
    }
    if (status == SX_OK && b->failed)
        status = sx_fail_memory(b->err, "the words of the places");
    return status;
}
