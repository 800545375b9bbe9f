/* verify.c - reads an index through: every checksum, then every reference. See index.h. */
#include <sextant/hash.h>

#include "geocode/index/reader.h"

static sx_status check_sums(const geo_index *ix, sx_error *err)
{
    for (uint32_t i = 0; i < ix->header->section_count; i++) {
        const geo_disk_section *s = &ix->header->sections[i];
        if (s->id == 0 || s->id >= GEO_S_END)
            continue;
        uint32_t crc = sx_crc32c(0, ix->map + s->offset, s->bytes);
        if (crc != s->crc32c)
            return sx_fail(err, SX_ECORRUPT,
                           "section %s (%llu bytes at %llu): checksum is %08x, should be %08x",
                           geo_section_name(s->id), (unsigned long long)s->bytes,
                           (unsigned long long)s->offset, crc, s->crc32c);
    }
    return SX_OK;
}

/* Every document decodes to its last byte. */
static sx_status check_doc(const geo_index *ix, uint32_t doc, sx_error *err)
{
    geo_properties it;
    geo_label_parts parts;
    geo_value v;
    sx_str key;
    uint32_t terms[GEO_DOC_TERMS_MAX];
    for (geo_properties_begin(ix, doc, &it); geo_properties_next(&it, &key, &v);)
        ;
    if (it.bad)
        return sx_fail(err, SX_ECORRUPT, "section PROPERTIES: document %u is damaged", doc);
    if (!geo_doc_label_parts(ix, doc, &parts))
        return sx_fail(err, SX_ECORRUPT, "section LABELS: document %u is damaged", doc);
    uint32_t count = geo_doc_terms(ix, doc, terms);
    if (count == 0 || terms[count - 1] >= ix->term_count)
        return sx_fail(err, SX_ECORRUPT, "section DOC_TERMS: document %u is damaged", doc);
    if (doc > 0 && ix->docs[doc].importance > ix->docs[doc - 1].importance)
        return sx_fail(err, SX_ECORRUPT, "section DOCS: document %u is out of order", doc);
    if (ix->importances[doc] != ix->docs[doc].importance)
        return sx_fail(err, SX_ECORRUPT, "section IMPORTANCES: document %u has another in DOCS",
                       doc);
    geo_housenumber n;
    for (uint32_t i = 0; i < ix->docs[doc].number_count; i += GEO_NUMBER_GROUP) {
        uint32_t last = i + GEO_NUMBER_GROUP - 1;
        if (last >= ix->docs[doc].number_count)
            last = ix->docs[doc].number_count - 1;
        if (!geo_number_at(ix, doc, last, &n))
            return sx_fail(err, SX_ECORRUPT, "section NUMBERS: document %u is damaged", doc);
    }
    return SX_OK;
}

/* Whether what a bitmap says of the weights under a rank entry is true of a document there. */
static bool is_bounded(const geo_index *ix, const geo_postings *p, uint32_t doc, uint8_t weight)
{
    if (p->kind != GEO_POSTINGS_BITMAP)
        return true;
    uint32_t entry = doc / (64 * GEO_RANK_WORDS), first = entry * 64 * GEO_RANK_WORDS;
    uint32_t class = 0;
    while (!(geo_class_bits(ix, doc / 64, class) >> (doc % 64) & 1))
        class ++;
    return geo_weight(ix, weight, first) <= geo_weight(ix, p->tops[entry], first) &&
           (weight == 0 || ix->weight_base[weight] <= ix->weight_base[p->class_tops[class]]);
}

/* Whether a word weighs more in a document than the caps say. */
static bool exceeds_caps(const geo_index *ix, uint32_t doc, uint8_t weight)
{
    for (uint32_t level = 0; level < GEO_CAP_LEVELS; level++) {
        const uint64_t *bits = ix->caps + (size_t)level * ix->cap_words;
        if (ix->weight_base[weight] > GEO_CAPS[level] && !(bits[doc / 64] >> (doc % 64) & 1))
            return true;
    }
    return false;
}

/* Every list rises, names documents that exist, and has as many as its record says. */
static sx_status check_term(const geo_index *ix, uint32_t term, sx_error *err)
{
    geo_postings p;
    uint8_t weight;
    uint32_t count = 0, before = 0;
    geo_postings_open(ix, term, &p);
    for (uint32_t doc; (doc = geo_postings_next(&p, &weight)) != GEO_NO_DOC; count++) {
        if (doc >= ix->doc_count || (count && doc <= before))
            return sx_fail(err, SX_ECORRUPT, "section POSTINGS: list %u is out of order", term);
        if (!is_bounded(ix, &p, doc, weight))
            return sx_fail(err, SX_ECORRUPT, "section POSTINGS: list %u weighs more than it says",
                           term);
        if (weight && exceeds_caps(ix, doc, weight))
            return sx_fail(err, SX_ECORRUPT, "section CAPS: document %u weighs more than it says",
                           doc);
        before = doc;
    }
    if (p.bad || count != ix->terms[term].count)
        return sx_fail(err, SX_ECORRUPT, "section POSTINGS: list %u is damaged", term);
    return SX_OK;
}

/* Terms rise, and each is found where it is. */
static sx_status check_dictionary(const geo_index *ix, sx_error *err)
{
    char before[512], now[512];
    size_t before_len = 0;
    for (uint32_t t = 0; t < ix->term_count; t++) {
        sx_str text = geo_term_text(ix, t, now, sizeof(now));
        if (text.len == 0 || (t && sx_str_cmp(sx_str_of(before, before_len), text) >= 0) ||
            geo_term_find(ix, text) != t)
            return sx_fail(err, SX_ECORRUPT, "section TERM_HEAP: term %u is damaged", t);
        memcpy(before, text.data, text.len);
        before_len = text.len;
        sx_status status = check_term(ix, t, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

/* Every word is found by way of the tree, and the best documents of the heavy ones have them. */
static sx_status check_words(const geo_index *ix, sx_error *err)
{
    char text[512];
    for (uint32_t t = 0; t < ix->term_count; t++) {
        sx_str word = geo_term_text(ix, t, text, sizeof(text));
        if (word.len == 0 || word.data[0] == GEO_FILTER_LEAD)
            continue;
        if (geo_word_find(ix, word) != t)
            return sx_fail(err, SX_ECORRUPT, "section TRIE: term %u is not found", t);
        if (!geo_word_may_be(ix, geo_spell(word)))
            return sx_fail(err, SX_ECORRUPT, "section WORD_BITS: term %u is not in it", t);
    }
    for (uint32_t h = 0; h < ix->heavy_count; h++) {
        geo_postings list;
        uint32_t count;
        uint8_t weight;
        const geo_disk_heavy_doc *docs = geo_heavy_docs(ix, h, &count);
        geo_postings_open(ix, ix->heavy[h].term, &list);
        for (uint32_t i = 0; i < count; i++) {
            if (docs[i].doc >= ix->doc_count || !geo_postings_has(&list, docs[i].doc, &weight) ||
                weight != docs[i].weight)
                return sx_fail(err, SX_ECORRUPT, "section HEAVY: row %u is damaged", h);
        }
        if (count == 0 || (h && ix->heavy[h].term <= ix->heavy[h - 1].term))
            return sx_fail(err, SX_ECORRUPT, "section HEAVY: row %u is damaged", h);
    }
    return SX_OK;
}

static sx_status check_points(const geo_index *ix, sx_error *err)
{
    const geo_bytes *s = &ix->s[GEO_S_POINTS];
    const geo_disk_point *points = (const geo_disk_point *)(const void *)s->data;
    for (uint64_t i = 0; i < s->count; i++) {
        if (points[i].doc >= ix->doc_count ||
            (points[i].number != GEO_NO_NUMBER &&
             points[i].number >= ix->docs[points[i].doc].number_count))
            return sx_fail(err, SX_ECORRUPT, "section POINTS: point %llu is of no document",
                           (unsigned long long)i);
    }
    return SX_OK;
}

sx_status geo_index_verify(const geo_index *ix, sx_error *err)
{
    sx_status status = check_sums(ix, err);
    for (uint32_t doc = 0; status == SX_OK && doc < ix->doc_count; doc++)
        status = check_doc(ix, doc, err);
    if (status == SX_OK)
        status = check_dictionary(ix, err);
    if (status == SX_OK)
        status = check_words(ix, err);
    return status == SX_OK ? check_points(ix, err) : status;
}
