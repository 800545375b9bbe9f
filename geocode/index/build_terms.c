/* build_terms.c - turns each document's terms into the dictionary and the posting lists.
 *
 * One pass over the documents in the order of import gives every term its place by bytes and every
 * document its id, writes the document's own terms, and hands (term, document, weight) to an external
 * sort, from which the lists come out one after the other. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { TELL_EVERY = 1 << 14 };

static int by_text(const void *left, const void *right, void *pool)
{
    return sx_str_cmp(geo_pool_get(pool, *(const uint32_t *)left),
                      geo_pool_get(pool, *(const uint32_t *)right));
}

/* Ranks terms by their bytes. */
static sx_status rank_terms(geo_builder *b, sx_error *err)
{
    size_t count = b->terms.count;
    b->by_term_rank = sx_calloc(count + 1, sizeof(uint32_t));
    if (!b->by_term_rank)
        return sx_fail_memory(err, "the index's dictionary");
    for (size_t i = 0; i < count; i++)
        b->by_term_rank[i] = (uint32_t)i;
    qsort_r(b->by_term_rank, count, sizeof(uint32_t), by_text, &b->terms);
    for (size_t i = 0; i < count; i++)
        b->term[b->by_term_rank[i]].rank = (uint32_t)i;
    return SX_OK;
}

/* The documents, then their weights. */
static void put_array(geo_spool *spool, const geo_build_posting *p, uint32_t count)
{
    sx_buf *out = &spool->tail;
    for (uint32_t i = 0; i < count; i++)
        sx_buf_bytes(out, &p[i].doc, sizeof(p[i].doc));
    for (uint32_t i = 0; i < count; i++)
        sx_buf_byte(out, (char)p[i].weight);
}

/* The code that weighs most among the postings from `at` on whose documents are below `end`, in a
 * document as important as the first that could be there: then it bounds all of them. */
static uint8_t top_of(const geo_builder *b, const geo_build_posting *p, uint32_t count,
                      uint32_t *at, uint64_t end, uint32_t first)
{
    uint8_t top = 0;
    double most = 0;
    for (; *at < count && p[*at].doc < end; ++*at) {
        uint8_t code = p[*at].weight;
        const geo_disk_weight *w = &b->weights[code];
        double weight = code ? (w->boost + b->importance[first] * 0.1) / w->tokens : 0;
        if (code && (!top || weight > most)) {
            top = code;
            most = weight;
        }
    }
    return top;
}

/* The code of most boost a token among the postings of each class of documents; 0 if it has none. */
static void put_class_tops(const geo_builder *b, const geo_build_posting *p, uint32_t count,
                           sx_buf *out)
{
    uint8_t tops[GEO_CAP_CLASSES] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t class = 0, id = p[i].doc;
        while (class < GEO_CAP_LEVELS &&
               !(b->caps[class * b->cap_words + id / 64] >> (id % 64) & 1))
            class ++;
        const geo_disk_weight *w = &b->weights[p[i].weight], *best = &b->weights[tops[class]];
        if (p[i].weight && (!tops[class] || w->boost / w->tokens > best->boost / best->tokens))
            tops[class] = p[i].weight;
    }
    sx_buf_bytes(out, tops, sizeof(tops));
}

/* A bit a document, then rank entries, then what weighs most under each of them and in each class, then
 * weights. */
static sx_status put_bitmap(const geo_builder *b, geo_spool *spool, const geo_build_posting *p,
                            uint32_t count, sx_error *err)
{
    size_t docs = b->doc_count;
    size_t words = (docs + 63) / 64, ranks = (words + GEO_RANK_WORDS - 1) / GEO_RANK_WORDS;
    uint64_t *bits = sx_calloc(words, sizeof(*bits));
    if (!bits)
        return sx_fail_memory(err, "a posting bitmap");
    for (uint32_t i = 0; i < count; i++)
        bits[p[i].doc / 64] |= UINT64_C(1) << (p[i].doc % 64);
    geo_spool_pad(spool, 8);
    sx_buf *out = &spool->tail;
    sx_buf_bytes(out, bits, words * sizeof(*bits));
    uint32_t before = 0;
    for (size_t r = 0; r < ranks; r++) {
        sx_buf_bytes(out, &before, sizeof(before));
        for (size_t w = r * GEO_RANK_WORDS; w < words && w < (r + 1) * GEO_RANK_WORDS; w++)
            before += (uint32_t)__builtin_popcountll(bits[w]);
    }
    uint32_t at = 0;
    for (size_t r = 0; r < ranks; r++) {
        uint32_t first = (uint32_t)(r * GEO_RANK_WORDS * 64);
        sx_buf_byte(out,
                    (char)top_of(b, p, count, &at, first + GEO_RANK_WORDS * UINT64_C(64), first));
    }
    put_class_tops(b, p, count, out);
    for (uint32_t i = 0; i < count; i++)
        sx_buf_byte(out, (char)p[i].weight);
    sx_free(bits);
    return SX_OK;
}

/* Whether a bit a document is worth its room: up to four bytes a posting, in a long list. */
static bool is_dense(const geo_builder *b, uint32_t count)
{
    return count > b->doc_count / 64 ||
           (count >= GEO_DENSE_LEAST && count > b->doc_count / GEO_DENSE_SHARE);
}

static sx_status put_list(geo_builder *b, const geo_build_posting *p, uint32_t count,
                          geo_build_sections *o, sx_error *err)
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
    } else if (is_dense(b, count)) {
        geo_spool_pad(&o->postings, 8);
        term.kind = GEO_POSTINGS_BITMAP;
        term.at = geo_spool_bytes(&o->postings);
        status = put_bitmap(b, &o->postings, p, count, err);
    } else {
        geo_spool_pad(&o->postings, 4);
        term.kind = GEO_POSTINGS_ARRAY;
        term.at = geo_spool_bytes(&o->postings);
        put_array(&o->postings, p, count);
    }
    sx_buf_bytes(&o->terms.tail, &term, sizeof(term));
    if (status == SX_OK)
        status = geo_spool_settle(&o->postings, "the index's postings", err);
    return status == SX_OK ? geo_spool_settle(&o->terms, "the index's terms", err) : status;
}

/* The dictionary's front-coded heap and block index. */
static void put_dictionary(geo_builder *b, geo_build_sections *o)
{
    sx_str before = {"", 0};
    for (size_t t = 0; t < b->terms.count; t++) {
        sx_str term = geo_pool_get(&b->terms, b->by_term_rank[t]);
        size_t shared = 0;
        if (t % GEO_TERM_BLOCK == 0) {
            uint32_t offset = (uint32_t)o->heap.tail.len;
            sx_buf_bytes(&o->blocks.tail, &offset, sizeof(offset));
        } else {
            while (shared < term.len && shared < before.len &&
                   term.data[shared] == before.data[shared])
                shared++;
            geo_put_varint(&o->heap.tail, shared);
        }
        geo_put_varint(&o->heap.tail, term.len - shared);
        sx_buf_str(&o->heap.tail, sx_str_from(term, shared));
        before = term;
    }
}

/* What the pass over the documents works on. */
typedef struct pass {
    geo_builder *b;
    geo_build_heavies heavy;
    geo_spool_reader docs, tuples;
    geo_spool placed; /* the documents' records again, with the places of their terms */
    geo_sorter sorter;
} pass;

/* A document's own terms, rising: few enough that nothing is quicker. */
static void sort_terms(uint32_t *terms, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t own = terms[i], at = i;
        for (; at > 0 && terms[at - 1] > own; at--)
            terms[at] = terms[at - 1];
        terms[at] = own;
    }
}

/* Notes what a document's words weigh more than. */
static void note_caps(geo_builder *b, uint32_t id, const uint8_t *weights, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const geo_disk_weight *w = &b->weights[weights[i]];
        for (uint32_t level = 0; weights[i] && level < GEO_CAP_LEVELS; level++) {
            if (w->boost / w->tokens > GEO_CAPS[level])
                b->caps[level * b->cap_words + id / 64] |= UINT64_C(1) << (id % 64);
        }
    }
}

static sx_status take_terms(pass *p, uint32_t doc, const uint32_t *ids, uint32_t count,
                            geo_build_sections *o, sx_error *err)
{
    geo_builder *b = p->b;
    const uint8_t *weights = geo_spool_next(&p->tuples, count, err);
    if (!weights)
        return err->status;
    geo_build_heavy_doc(&p->heavy, ids, count);
    note_caps(b, b->rank[doc], weights, count);
    uint32_t own[GEO_DOC_TERMS_MAX];
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < count; i++) {
        own[i] = b->term[ids[i]].rank;
        status = geo_sorter_add(&p->sorter, (uint64_t)own[i] << 32 | b->rank[doc], weights[i], err);
    }
    sort_terms(own, count);
    sx_buf *out = &o->doc_terms.tail;
    geo_put_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        geo_put_varint(out, own[i] - (i ? own[i - 1] : 0));
    return status == SX_OK ? geo_spool_settle(&o->doc_terms, "the documents' terms", err) : status;
}

static sx_status take_doc(pass *p, uint32_t doc, geo_build_sections *o, sx_error *err)
{
    const void *record = geo_spool_next(&p->docs, sizeof(geo_disk_doc), err);
    if (!record)
        return err->status;
    geo_disk_doc own;
    memcpy(&own, record, sizeof(own));
    own.key = p->b->key[doc];
    own.terms = geo_spool_bytes(&o->doc_terms);
    sx_buf_bytes(&p->placed.tail, &own, sizeof(own));
    sx_status status = geo_spool_settle(&p->placed, "the index's documents", err);
    if (status != SX_OK)
        return status;
    uint32_t count, ids[GEO_DOC_TERMS_MAX];
    const void *bytes = geo_spool_next(&p->tuples, sizeof(count), err);
    if (!bytes)
        return err->status;
    memcpy(&count, bytes, sizeof(count));
    sx_assert(count <= GEO_DOC_TERMS_MAX);
    bytes = geo_spool_next(&p->tuples, count * sizeof(*ids), err);
    if (!bytes)
        return err->status;
    memcpy(ids, bytes,
           count * sizeof(*ids)); /* they lie unaligned, and the next read may move them */
    return take_terms(p, doc, ids, count, o, err);
}

static sx_status take_docs(pass *p, geo_build_sections *o, sx_error *err)
{
    geo_builder *b = p->b;
    sx_status status = SX_OK;
    for (uint32_t doc = 0; status == SX_OK && doc < b->doc_count; doc++) {
        status = take_doc(p, doc, o, err);
        if (status == SX_OK && doc % TELL_EVERY == 0)
            status = geo_build_told(b, GEO_BUILD_DOCS, doc, b->doc_count, err);
    }
    if (status != SX_OK)
        return status;
    geo_spool_done(&b->tuples);
    geo_spool_done(&b->docs);
    b->docs = p->placed;
    geo_spool_init(&p->placed, &b->temp);
    return geo_sorter_finish(&p->sorter, err);
}

/* The lists in order, each put together in `list`, which has room for the longest. */
static sx_status put_lists(pass *p, geo_build_posting *list, geo_build_sections *o, sx_error *err)
{
    geo_builder *b = p->b;
    uint64_t taken = 0, told = 0;
    sx_status status = SX_OK;
    for (uint32_t t = 0; status == SX_OK && t < b->terms.count; t++) {
        uint32_t count = b->term[b->by_term_rank[t]].docs;
        for (uint32_t i = 0; status == SX_OK && i < count; i++) {
            geo_sort_record r = {0};
            status = geo_sorter_next(&p->sorter, &r, err);
            sx_assert(status != SX_OK || r.high >> 32 == t);
            list[i] = (geo_build_posting){(uint32_t)r.high, (uint8_t)r.low};
        }
        if (status == SX_OK)
            status = put_list(b, list, count, o, err);
        if (status == SX_OK)
            geo_build_heavy_list(b, &p->heavy, t, list, count, o);
        taken += count;
        if (status == SX_OK && taken - told >= TELL_EVERY * 8) {
            told = taken;
            status = geo_build_told(b, GEO_BUILD_LISTS, taken, b->tuple_count, err);
        }
    }
    return status;
}

static sx_status make_lists(pass *p, geo_build_sections *o, sx_error *err)
{
    const geo_builder *b = p->b;
    uint32_t most = 0;
    for (size_t i = 0; i < p->b->terms.count; i++)
        most = p->b->term[i].docs > most ? p->b->term[i].docs : most;
    geo_build_posting *list = sx_calloc(most + 1u, sizeof(*list));
    sx_status status = list ? put_lists(p, list, o, err) : sx_fail_memory(err, "the longest list");
    sx_free(list);
    if (status == SX_OK)
        sx_buf_bytes(&o->caps.tail, b->caps, b->cap_words * GEO_CAP_LEVELS * sizeof(*b->caps));
    geo_build_heavy_end(&p->heavy, o);
    return status;
}

/* Copies the records whose ids are in [from, to) into `out`, where they belong. */
static sx_status gather(const geo_builder *b, uint32_t from, uint32_t to, geo_disk_doc *out,
                        sx_error *err)
{
    geo_spool_reader docs;
    sx_status status = SX_OK;
    geo_spool_reader_init(&docs, &b->docs);
    for (uint32_t doc = 0; doc < b->doc_count; doc++) {
        const void *record = geo_spool_next(&docs, sizeof(*out), err);
        if (!record) {
            status = err->status;
            break;
        }
        if (b->rank[doc] >= from && b->rank[doc] < to)
            memcpy(&out[b->rank[doc] - from], record, sizeof(*out));
    }
    geo_spool_reader_done(&docs);
    return status;
}

/* The records by id: as many at a time as there is memory for, each time by reading all of them. */
static sx_status put_docs(geo_builder *b, geo_build_sections *o, sx_error *err)
{
    size_t at_once = b->sort_bytes / sizeof(geo_disk_doc);
    if (at_once > b->doc_count || !b->temp.folder)
        at_once = b->doc_count;
    geo_disk_doc *docs = sx_calloc(at_once + 1, sizeof(*docs));
    if (!docs)
        return sx_fail_memory(err, "the index's documents");
    sx_status status = SX_OK;
    for (uint64_t from = 0; status == SX_OK && from < b->doc_count; from += at_once) {
        uint64_t to = from + at_once < b->doc_count ? from + at_once : b->doc_count;
        status = gather(b, (uint32_t)from, (uint32_t)to, docs, err);
        if (status != SX_OK)
            break;
        sx_buf_bytes(&o->docs.tail, docs, (size_t)(to - from) * sizeof(*docs));
        status = geo_spool_settle(&o->docs, "the index's documents", err);
    }
    sx_free(docs);
    return status;
}

static sx_status put_all(pass *p, geo_build_sections *o, sx_error *err)
{
    geo_builder *b = p->b;
    sx_status status = rank_terms(b, err);
    if (status != SX_OK)
        return status;
    b->cap_words = ((size_t)b->doc_count + 63) / 64;
    b->caps = sx_calloc(b->cap_words * GEO_CAP_LEVELS + 1, sizeof(*b->caps));
    if (!b->caps)
        return sx_fail_memory(err, "the index's heaviest words");
    put_dictionary(b, o);
    status = geo_build_heavy_begin(b, &p->heavy, err);
    if (status == SX_OK)
        status = take_docs(p, o, err);
    if (status == SX_OK)
        status = make_lists(p, o, err);
    geo_sorter_done(&p->sorter); /* its memory is wanted */
    if (status == SX_OK)
        status = put_docs(b, o, err);
    if (status == SX_OK)
        status = geo_build_trie(b, &o->trie.tail, err);
    return status == SX_OK ? geo_build_word_bits(b, &o->word_bits.tail, err) : status;
}

sx_status geo_build_terms(geo_builder *b, geo_build_sections *out, sx_error *err)
{
    pass p = {.b = b};
    geo_spool_init(&p.placed, &b->temp);
    geo_spool_reader_init(&p.docs, &b->docs);
    geo_spool_reader_init(&p.tuples, &b->tuples);
    geo_sorter_init(&p.sorter, &b->temp, b->sort_bytes, "words of documents");
    sx_status status = put_all(&p, out, err);
    geo_sorter_done(&p.sorter);
    geo_spool_reader_done(&p.tuples);
    geo_spool_reader_done(&p.docs);
    geo_spool_done(&p.placed);
    geo_build_heavy_free(&p.heavy);
    return status;
}
