/* build_terms.c - turns the run of (document, term, weight) tuples into the dictionary, the posting
 * lists, and each document's own terms.
 *
 * Tuples lie in document order. Walking the documents by rank and dropping each tuple into its
 * term's next place is a counting sort: every list comes out rising, in time linear in the tuples.
 * An external build would do the same for one range of terms after another. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

/* All lists in one block; list of term rank t is [first[t], first[t + 1]). */
typedef struct lists {
    uint64_t *first;
    geo_build_posting *all;
} lists;

static int by_text(const void *left, const void *right, void *pool)
{
    return sx_str_cmp(geo_pool_get(pool, *(const uint32_t *)left),
                      geo_pool_get(pool, *(const uint32_t *)right));
}

/* Ranks terms by their bytes. */
static sx_status rank_terms(geo_builder *b, sx_error *err)
{
    size_t count = b->terms.count;
    b->term_rank = sx_calloc(count + 1, sizeof(uint32_t));
    b->by_term_rank = sx_calloc(count + 1, sizeof(uint32_t));
    if (!b->term_rank || !b->by_term_rank)
        return sx_fail_memory(err, "the index's dictionary");
    for (size_t i = 0; i < count; i++)
        b->by_term_rank[i] = (uint32_t)i;
    qsort_r(b->by_term_rank, count, sizeof(uint32_t), by_text, &b->terms);
    for (size_t i = 0; i < count; i++)
        b->term_rank[b->by_term_rank[i]] = (uint32_t)i;
    return SX_OK;
}

static sx_status make_lists(geo_builder *b, lists *l, sx_error *err)
{
    size_t terms = b->terms.count;
    l->first = sx_calloc(terms + 2, sizeof(*l->first));
    l->all = sx_calloc(b->tuple_count + 1, sizeof(*l->all));
    if (!l->first || !l->all)
        return sx_fail_memory(err, "the index's postings");
    /* first[t + 2] counts, then first[t + 1] is the running place of t, and ends as its end. */
    for (size_t i = 0; i < b->tuple_count; i++)
        l->first[b->term_rank[b->term_ids[i]] + 2]++;
    for (size_t t = 2; t < terms + 2; t++)
        l->first[t] += l->first[t - 1];
    for (uint32_t rank = 0; rank < b->doc_count; rank++) {
        uint32_t doc = b->by_rank[rank];
        for (uint64_t i = b->term_first[doc]; i < b->term_first[doc + 1]; i++) {
            uint64_t *place = &l->first[b->term_rank[b->term_ids[i]] + 1];
            l->all[(*place)++] = (geo_build_posting){rank, b->term_weights[i]};
        }
    }
    return SX_OK;
}

static void pad(sx_buf *out, size_t to)
{
    while (out->len % to != 0 && !out->failed)
        sx_buf_byte(out, 0);
}

/* Blocks of 128 behind their skip entries. */
static void put_blocks(sx_buf *out, const geo_build_posting *p, uint32_t count)
{
    uint32_t blocks = (count - 1) / GEO_POSTING_BLOCK + 1;
    pad(out, 4);
    size_t table = out->len, row = sizeof(geo_disk_skip);
    for (uint32_t i = 0; i < blocks; i++)
        sx_buf_bytes(out, &(geo_disk_skip){0}, row);
    size_t data = out->len;
    uint32_t next = 0; /* the least document that may follow */
    for (uint32_t block = 0; block < blocks && !out->failed; block++) {
        uint32_t from = block * (uint32_t)GEO_POSTING_BLOCK, to = from + GEO_POSTING_BLOCK;
        if (to > count)
            to = count;
        geo_disk_skip skip = {p[to - 1].doc, (uint32_t)(out->len - data)};
        memcpy(out->data + table + block * row, &skip, row);
        for (uint32_t i = from; i < to; i++) {
            geo_put_varint(out, p[i].doc - next);
            next = p[i].doc + 1;
        }
        for (uint32_t i = from; i < to; i++)
            sx_buf_byte(out, (char)p[i].weight);
    }
}

/* A bit a document, then rank entries, then weights. */
static sx_status put_bitmap(sx_buf *out, const geo_build_posting *p, uint32_t count, size_t docs,
                            sx_error *err)
{
    size_t words = (docs + 63) / 64, ranks = (words + GEO_RANK_WORDS - 1) / GEO_RANK_WORDS;
    uint64_t *bits = sx_calloc(words, sizeof(*bits));
    if (!bits)
        return sx_fail_memory(err, "a posting bitmap");
    for (uint32_t i = 0; i < count; i++)
        bits[p[i].doc / 64] |= UINT64_C(1) << (p[i].doc % 64);
    pad(out, 8);
    sx_buf_bytes(out, bits, words * sizeof(*bits));
    uint32_t before = 0;
    for (size_t r = 0; r < ranks; r++) {
        sx_buf_bytes(out, &before, sizeof(before));
        for (size_t w = r * GEO_RANK_WORDS; w < words && w < (r + 1) * GEO_RANK_WORDS; w++)
            before += (uint32_t)__builtin_popcountll(bits[w]);
    }
    for (uint32_t i = 0; i < count; i++)
        sx_buf_byte(out, (char)p[i].weight);
    sx_free(bits);
    return SX_OK;
}

static sx_status put_list(geo_builder *b, const geo_build_posting *p, uint32_t count,
                          geo_build_terms_out *o, sx_error *err)
{
    geo_disk_term term = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        const geo_disk_weight *w = &b->weights[p[i].weight], *best = &b->weights[term.weight];
        if (p[i].weight && (!term.weight || w->boost / w->tokens > best->boost / best->tokens))
            term.weight = p[i].weight;
    }
    sx_status status = SX_OK;
    if (count == 0) {
        /* A word of nothing but refused documents: an empty list, which readers know. */
    } else if (count == 1) {
        term.kind = GEO_POSTINGS_ONE;
        term.at = p->doc;
    } else if (count > b->doc_count / 64) {
        pad(&o->postings, 8);
        term.kind = GEO_POSTINGS_BITMAP;
        term.at = o->postings.len;
        status = put_bitmap(&o->postings, p, count, b->doc_count, err);
    } else {
        pad(&o->postings, 4);
        term.kind = GEO_POSTINGS_BLOCKS;
        term.at = o->postings.len;
        put_blocks(&o->postings, p, count);
    }
    sx_buf_bytes(&o->terms, &term, sizeof(term));
    return status;
}

/* The dictionary's front-coded heap and block index. */
static void put_dictionary(geo_builder *b, geo_build_terms_out *o)
{
    sx_str before = {"", 0};
    for (size_t t = 0; t < b->terms.count; t++) {
        sx_str term = geo_pool_get(&b->terms, b->by_term_rank[t]);
        size_t shared = 0;
        if (t % GEO_TERM_BLOCK == 0) {
            uint32_t offset = (uint32_t)o->heap.len;
            sx_buf_bytes(&o->blocks, &offset, sizeof(offset));
        } else {
            while (shared < term.len && shared < before.len &&
                   term.data[shared] == before.data[shared])
                shared++;
            geo_put_varint(&o->heap, shared);
        }
        geo_put_varint(&o->heap, term.len - shared);
        sx_buf_str(&o->heap, sx_str_from(term, shared));
        before = term;
    }
}

static int by_value(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Each document's own terms, rising; fixes the records' `terms`. */
static void put_doc_terms(geo_builder *b, sx_buf *out)
{
    for (size_t doc = 0; doc < b->doc_count; doc++) {
        uint32_t own[GEO_DOC_TERMS_MAX];
        uint32_t count = (uint32_t)(b->term_first[doc + 1] - b->term_first[doc]);
        for (uint32_t i = 0; i < count; i++)
            own[i] = b->term_rank[b->term_ids[b->term_first[doc] + i]];
        qsort(own, count, sizeof(*own), by_value);
        b->docs[doc].terms = out->len;
        geo_put_varint(out, count);
        for (uint32_t i = 0; i < count; i++)
            geo_put_varint(out, own[i] - (i ? own[i - 1] : 0));
    }
}

static sx_status put_all(geo_builder *b, lists *l, geo_build_terms_out *o, sx_error *err)
{
    sx_status status = rank_terms(b, err);
    if (status == SX_OK)
        status = make_lists(b, l, err);
    for (size_t t = 0; status == SX_OK && t < b->terms.count; t++) {
        uint64_t count = l->first[t + 1] - l->first[t];
        status = put_list(b, l->all + l->first[t], (uint32_t)count, o, err);
    }
    if (status != SX_OK)
        return status;
    put_dictionary(b, o);
    put_doc_terms(b, &o->doc_terms);
    status = geo_build_heavy(b, l->first, l->all, o, err);
    if (status == SX_OK)
        status = geo_build_trie(b, &o->trie, err);
    sx_buf *outs[] = {&o->blocks, &o->heap,       &o->terms, &o->postings, &o->doc_terms,
                      &o->heavy,  &o->heavy_docs, &o->pairs, &o->trie};
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(outs); i++)
        status = sx_buf_status(outs[i], "the index's dictionary", err);
    return status;
}

sx_status geo_build_terms(geo_builder *b, geo_build_terms_out *out, sx_error *err)
{
    lists l = {0};
    sx_status status = put_all(b, &l, out, err);
    sx_free(l.first);
    sx_free(l.all);
    return status;
}
