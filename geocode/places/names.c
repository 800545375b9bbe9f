/* names.c - places by their names: which street an addr:street means, which place an addr:city.
 *
 * A name matters here as the hash of what the search knows it by (geocode/words): a place has its full
 * words, without a language and in those of its country; a street also every way in which its names may
 * be written. An address part means a place that has its full word; a street if it is one of the
 * ways to write the street's name. Tables of chains by hash are filled while places are worked on. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

/* --- Chains. */

static uint32_t *chain_slot(const bld_chains *c, uint64_t hash)
{
    size_t at = (size_t)hash & c->mask;
    while (c->slots[at] && c->links[c->slots[at] - 1].hash != hash)
        at = (at + 1) & c->mask;
    return &c->slots[at];
}

static bool widen(bld_chains *c)
{
    size_t slots = c->slots ? 2 * (c->mask + 1) : 1024;
    uint32_t *fresh = sx_calloc(slots, sizeof *fresh);
    if (!fresh)
        return false;
    sx_free(c->slots);
    c->slots = fresh;
    c->mask = slots - 1;
    c->used = 0;
    for (size_t i = c->count; i-- > 0;) { /* backwards: a chain's first link is its newest */
        uint32_t *slot = chain_slot(c, c->links[i].hash);
        if (*slot == 0) {
            *slot = (uint32_t)i + 1;
            c->used++;
        }
    }
    return true;
}

sx_status bld_chains_put(bld_chains *c, uint64_t hash, uint32_t place, sx_error *err)
{
    if ((!c->slots || c->used * 2 > c->mask) && !widen(c))
        return sx_fail_memory(err, "the names of places");
    if (!sx_grow(&c->links, &c->cap, c->count + 1, sizeof *c->links))
        return sx_fail_memory(err, "the names of places");
    uint32_t *slot = chain_slot(c, hash);
    c->used += *slot == 0;
    c->links[c->count] = (bld_chain_link){hash, place, *slot};
    *slot = (uint32_t)++c->count;
    return SX_OK;
}

const bld_chain_link *bld_chains_first(const bld_chains *c, uint64_t hash)
{
    if (!c->slots)
        return NULL;
    uint32_t at = *chain_slot(c, hash);
    return at ? &c->links[at - 1] : NULL;
}

void bld_chains_done(bld_chains *c)
{
    sx_free(c->slots);
    sx_free(c->links);
    *c = (bld_chains){0};
}

/* --- Words. */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static sx_status keep_hashes(bld_worker *w, uint64_t *items, size_t count, bld_hashes *out,
                             sx_error *err)
{
    out->count = 0;
    out->items = NULL;
    if (count == 0)
        return SX_OK;
    qsort(items, count, sizeof *items, by_value);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || items[kept - 1] != items[i])
            items[kept++] = items[i];
    }
    out->items = sx_arena_alloc(&w->arena, kept * sizeof *items);
    if (!out->items)
        return sx_fail_memory(err, "the names of places");
    memcpy(out->items, items, kept * sizeof *items);
    out->count = (uint32_t)kept;
    return SX_OK;
}

bool bld_hashes_hold(const bld_hashes *h, uint64_t hash)
{
    return h->count > 0 && bsearch(&hash, h->items, h->count, sizeof hash, by_value) != NULL;
}

sx_status bld_name_words(bld_worker *w, bld_place *p, bld_with_forms forms, sx_error *err)
{
    wrd_words words;
    char country[3];
    size_t count = 0;
    p->words = p->forms = (bld_hashes){0};
    if (p->names.count == 0)
        return SX_OK;
    plc_country_text(p->grid_country, country);
    wrd_names_begin(w->words, sx_str_z(p->grid_country ? country : ""));
    for (uint32_t i = 0; i < p->names.count; i++)
        wrd_names_add(w->words, p->names.items[i].key, p->names.items[i].value);
    sx_status status = wrd_names_end(w->words, &words, err);
    if (status != SX_OK)
        return status;
    for (uint32_t i = 0; i < words.full_count; i++)
        count += forms == BLD_WITH_FORMS ? words.fulls[i].count : 1;
    if (!sx_grow(&w->hashes, &w->hash_cap, count + words.full_count + 1, sizeof *w->hashes))
        return sx_fail_memory(err, "the names of places");
    for (uint32_t i = 0; i < words.full_count; i++)
        w->hashes[i] = sx_hash(words.fulls[i].id, 0);
    status = keep_hashes(w, w->hashes, words.full_count, &p->words, err);
    if (status != SX_OK || forms != BLD_WITH_FORMS)
        return status;
    count = 0;
    for (uint32_t i = 0; i < words.full_count; i++) {
        for (uint32_t k = 0; k < words.fulls[i].count; k++)
            w->hashes[count++] = sx_hash(words.fulls[i].variants[k].ascii, 0);
    }
    return keep_hashes(w, w->hashes, count, &p->forms, err);
}

/* What a text was found to be last time: addresses repeat the same few streets and cities. */
static bld_text_hash *cached(bld_worker *w, sx_str text, unsigned use)
{
    uint64_t hash = sx_hash(text, use);
    return &w->texts[hash % BLD_TEXTS];
}

sx_status bld_street_hash(bld_worker *w, sx_str street, uint64_t *hash, sx_error *err)
{
    bld_text_hash *row = cached(w, street, 1);
    if (row->use != 1 || !sx_str_eq(row->text, street)) {
        sx_buf form;
        sx_buf_init(&form, 0);
        wrd_search_form(street, &form);
        sx_status status = sx_buf_status(&form, "the name of a street", err);
        *row = (bld_text_hash){street, 1, form.len ? sx_hash(sx_buf_view(&form), 0) : 0};
        sx_buf_done(&form);
        if (status != SX_OK) {
            row->use = 0;
            return status;
        }
    }
    *hash = row->hash;
    return SX_OK;
}

sx_status bld_part_hash(bld_worker *w, sx_str value, uint64_t *hash, sx_error *err)
{
    bld_text_hash *row = cached(w, value, 2);
    if (row->use != 2 || !sx_str_eq(row->text, value)) {
        wrd_words words;
        sx_status status = wrd_address_words(w->words, value, &words, err);
        if (status != SX_OK)
            return status;
        *row = (bld_text_hash){value, 2, words.full_count ? sx_hash(words.fulls[0].id, 0) : 0};
    }
    *hash = row->hash;
    return SX_OK;
}
