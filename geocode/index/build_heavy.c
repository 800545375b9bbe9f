/* build_heavy.c - what is kept beside the lists of the words that many documents have: their best
 * documents, and which two of them ever meet in one.
 *
 * Both spare a query of common words ("rue de paris") the walk of thousands of documents. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

/* A word by the number of its documents. */
typedef struct common {
    uint32_t term, count;
} common;

/* One document of a list and what it weighs there. */
typedef struct weighed {
    double weight;
    geo_disk_heavy_doc doc;
} weighed;

static int by_count(const void *left, const void *right)
{
    const common *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return (a->term > b->term) - (a->term < b->term);
}

static int by_term(const void *left, const void *right)
{
    uint32_t a = ((const common *)left)->term, b = ((const common *)right)->term;
    return (a > b) - (a < b);
}

static int by_weight(const void *left, const void *right)
{
    const weighed *a = left, *b = right;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return (a->doc.doc > b->doc.doc) - (a->doc.doc < b->doc.doc);
}

/* The most frequent words, by term. Returns how many; -1 if there is no memory. */
static int64_t choose(const geo_builder *b, const uint64_t *first, common **out)
{
    size_t count = 0;
    *out = sx_calloc(b->terms.count + 1, sizeof(**out));
    if (!*out)
        return -1;
    for (uint32_t t = 0; t < b->terms.count; t++) {
        uint64_t docs = first[t + 1] - first[t];
        sx_str term = geo_pool_get(&b->terms, b->by_term_rank[t]);
        if (docs >= GEO_HEAVY_LEAST && term.data[0] != GEO_FILTER_LEAD)
            (*out)[count++] = (common){t, (uint32_t)docs};
    }
    qsort(*out, count, sizeof(**out), by_count);
    if (count > GEO_HEAVY_MAX)
        count = GEO_HEAVY_MAX;
    qsort(*out, count, sizeof(**out), by_term);
    return (int64_t)count;
}

/* A word's best documents. */
static sx_status put_best(const geo_builder *b, const geo_build_posting *list, common c,
                          geo_build_terms_out *o, sx_error *err)
{
    weighed *all = sx_calloc(c.count, sizeof(*all));
    if (!all)
        return sx_fail_memory(err, "the best documents of a word");
    for (uint32_t i = 0; i < c.count; i++) {
        const geo_disk_weight *w = &b->weights[list[i].weight];
        double importance = b->docs[b->by_rank[list[i].doc]].importance;
        double weight = list[i].weight ? (w->boost + importance * 0.1) / w->tokens : 0;
        all[i] = (weighed){weight, {list[i].doc, list[i].weight}};
    }
    qsort(all, c.count, sizeof(*all), by_weight);
    geo_disk_heavy row = {.term = c.term,
                          .first = (uint32_t)(o->heavy_docs.len / sizeof(geo_disk_heavy_doc)),
                          .count = c.count < GEO_HEAVY_DOCS ? c.count : GEO_HEAVY_DOCS};
    sx_buf_bytes(&o->heavy, &row, sizeof(row));
    for (uint32_t i = 0; i < row.count; i++)
        sx_buf_bytes(&o->heavy_docs, &all[i].doc, sizeof(all[i].doc));
    sx_free(all);
    return SX_OK;
}

/* A bit for every two heavy words that meet; a row of words each. */
static sx_status put_pairs(const geo_builder *b, const common *heavy, size_t count,
                           geo_build_terms_out *o, sx_error *err)
{
    size_t row = (count + 63) / 64;
    uint64_t *bits = sx_calloc(row * count + 1, sizeof(*bits));
    uint32_t *place = sx_calloc(b->terms.count + 1, sizeof(*place)); /* 1 + place; 0: not heavy */
    if (bits && place) {
        for (size_t i = 0; i < count; i++)
            place[b->by_term_rank[heavy[i].term]] = (uint32_t)i + 1;
        for (size_t doc = 0; doc < b->doc_count; doc++) {
            uint32_t own[GEO_DOC_TERMS_MAX], own_count = 0;
            for (uint64_t i = b->term_first[doc]; i < b->term_first[doc + 1]; i++) {
                if (place[b->term_ids[i]])
                    own[own_count++] = place[b->term_ids[i]] - 1;
            }
            for (uint32_t x = 0; x < own_count; x++) {
                for (uint32_t y = 0; y < own_count; y++)
                    bits[own[x] * row + own[y] / 64] |= UINT64_C(1) << (own[y] % 64);
            }
        }
        sx_buf_bytes(&o->pairs, bits, row * count * sizeof(*bits));
    }
    bool ok = bits && place;
    sx_free(bits);
    sx_free(place);
    return ok ? SX_OK : sx_fail_memory(err, "the pairs of common words");
}

sx_status geo_build_heavy(geo_builder *b, const uint64_t *first, const geo_build_posting *all,
                          geo_build_terms_out *o, sx_error *err)
{
    common *heavy;
    int64_t count = choose(b, first, &heavy);
    sx_status status = count < 0 ? sx_fail_memory(err, "the common words") : SX_OK;
    for (int64_t i = 0; status == SX_OK && i < count; i++)
        status = put_best(b, all + first[heavy[i].term], heavy[i], o, err);
    if (status == SX_OK)
        status = put_pairs(b, heavy, (size_t)count, o, err);
    sx_free(heavy);
    return status;
}
