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

/* The most frequent words, by term, into `out`, which holds a row for each word there could be. */
static uint32_t choose(const geo_builder *b, common *out)
{
    size_t count = 0;
    for (uint32_t t = 0; t < b->terms.count; t++) {
        uint32_t id = b->by_term_rank[t], docs = b->term[id].docs;
        if (docs >= GEO_HEAVY_LEAST && geo_pool_get(&b->terms, id).data[0] != GEO_FILTER_LEAD)
            out[count++] = (common){t, docs};
    }
    qsort(out, count, sizeof(*out), by_count);
    if (count > GEO_HEAVY_MAX)
        count = GEO_HEAVY_MAX;
    qsort(out, count, sizeof(*out), by_term);
    return (uint32_t)count;
}

sx_status geo_build_heavy_begin(geo_builder *b, geo_build_heavies *h, sx_error *err)
{
    *h = (geo_build_heavies){0};
    common *chosen = sx_calloc(b->terms.count + 1, sizeof(*chosen));
    h->places = sx_calloc(b->terms.count + 1, sizeof(*h->places));
    h->terms = sx_calloc(GEO_HEAVY_MAX, sizeof(*h->terms));
    if (chosen && h->places && h->terms) {
        h->count = choose(b, chosen);
        h->row = (h->count + 63u) / 64;
        h->bits = sx_calloc(h->row * h->count + 1, sizeof(*h->bits));
        for (uint32_t i = 0; i < h->count; i++) {
            h->terms[i] = chosen[i].term;
            h->places[b->by_term_rank[chosen[i].term]] = i + 1;
        }
    }
    sx_free(chosen);
    return h->bits ? SX_OK : sx_fail_memory(err, "the common words");
}

void geo_build_heavy_free(geo_build_heavies *h)
{
    sx_free(h->terms);
    sx_free(h->places);
    sx_free(h->bits);
    *h = (geo_build_heavies){0};
}

/* A bit for every two heavy words that meet; a row of words each. */
void geo_build_heavy_doc(geo_build_heavies *h, const uint32_t *terms, uint32_t count)
{
    uint32_t own[GEO_DOC_TERMS_MAX], own_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (h->places[terms[i]])
            own[own_count++] = h->places[terms[i]] - 1;
    }
    for (uint32_t x = 0; x < own_count; x++) {
        for (uint32_t y = 0; y < own_count; y++)
            h->bits[own[x] * h->row + own[y] / 64] |= UINT64_C(1) << (own[y] % 64);
    }
}

/* Moves the best documents' root down: they are a heap with the worst on top while they are chosen. */
static void sink(weighed *heap, uint32_t count, uint32_t at)
{
    weighed own = heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && by_weight(&heap[child + 1], &heap[child]) > 0)
            child++;
        if (by_weight(&heap[child], &own) <= 0)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = own;
}

/* A word's best documents. They come by rising id, so one that weighs no more than the worst kept is
 * worse than it. */
static uint32_t choose_best(const geo_builder *b, const geo_build_posting *list, uint32_t count,
                            weighed best[GEO_HEAVY_DOCS])
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const geo_disk_weight *w = &b->weights[list[i].weight];
        double weight =
            list[i].weight ? (w->boost + b->importance[list[i].doc] * 0.1) / w->tokens : 0;
        weighed own = {weight, {list[i].doc, list[i].weight}};
        if (kept < GEO_HEAVY_DOCS) {
            best[kept++] = own;
            for (uint32_t at = kept / 2; kept == GEO_HEAVY_DOCS && at-- > 0;)
                sink(best, kept, at);
        } else if (weight > best[0].weight) {
            best[0] = own;
            sink(best, kept, 0);
        }
    }
    qsort(best, kept, sizeof(*best), by_weight);
    return kept;
}

void geo_build_heavy_list(const geo_builder *b, geo_build_heavies *h, uint32_t term,
                          const geo_build_posting *list, uint32_t count, geo_build_sections *out)
{
    if (h->next == h->count || h->terms[h->next] != term)
        return;
    h->next++;
    weighed best[GEO_HEAVY_DOCS];
    sx_buf *docs = &out->heavy_docs.tail;
    geo_disk_heavy row = {
        .term = term,
        .first = (uint32_t)(docs->len / sizeof(geo_disk_heavy_doc)),
        .count = choose_best(b, list, count, best),
    };
    sx_buf_bytes(&out->heavy.tail, &row, sizeof(row));
    for (uint32_t i = 0; i < row.count; i++)
        sx_buf_bytes(docs, &best[i].doc, sizeof(best[i].doc));
}

void geo_build_heavy_end(const geo_build_heavies *h, geo_build_sections *out)
{
    sx_buf_bytes(&out->pairs.tail, h->bits, h->row * h->count * sizeof(*h->bits));
}
