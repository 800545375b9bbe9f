/* build_write.c - puts documents in order of importance and writes the file. See build.h. */
#include <stdlib.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { WRITE_STEPS = 5, WRITE_BUFFER_BYTES = 1 << 20 };

/* Falling importance, then falling key: the order in which Addok's store cuts ties. */
static int by_importance(const void *left, const void *right, void *docs)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    double x = ((const geo_disk_doc *)docs)[a].importance;
    double y = ((const geo_disk_doc *)docs)[b].importance;
    if (x != y)
        return x > y ? -1 : 1;
    uint32_t k = ((const geo_disk_doc *)docs)[a].key, l = ((const geo_disk_doc *)docs)[b].key;
    return (k < l) - (k > l);
}

static sx_status rank_docs(geo_builder *b, sx_error *err)
{
    b->rank = sx_calloc(b->doc_count + 1, sizeof(uint32_t));
    b->by_rank = sx_calloc(b->doc_count + 1, sizeof(uint32_t));
    if (!b->rank || !b->by_rank)
        return sx_fail_memory(err, "the index's order of documents");
    if (!geo_build_keys(b->docs, b->doc_count))
        return sx_fail_memory(err, "the index's document keys");
    for (size_t i = 0; i < b->doc_count; i++)
        b->by_rank[i] = (uint32_t)i;
    qsort_r(b->by_rank, b->doc_count, sizeof(uint32_t), by_importance, b->docs);
    for (size_t i = 0; i < b->doc_count; i++)
        b->rank[b->by_rank[i]] = (uint32_t)i;
    return SX_OK;
}

/* The fixed records, most important first. */
static void put_docs(const geo_builder *b, sx_buf *out)
{
    for (size_t i = 0; i < b->doc_count; i++)
        sx_buf_bytes(out, &b->docs[b->by_rank[i]], sizeof(geo_disk_doc));
}

static void put_keys(geo_builder *b, sx_buf *out, sx_status *status, sx_error *err)
{
    static const struct {
        sx_str key;
        uint16_t role;
    } ROLES[] = {
        {SX_STR_INIT("name"), GEO_ROLE_NAME},
        {SX_STR_INIT("postcode"), GEO_ROLE_POSTCODE},
        {SX_STR_INIT("city"), GEO_ROLE_CITY},
    };
    for (uint32_t i = 0; *status == SX_OK && i < b->keys.count; i++) {
        geo_disk_key key = {0};
        for (size_t r = 0; r < SX_COUNT_OF(ROLES); r++) {
            if (sx_str_eq(ROLES[r].key, geo_pool_get(&b->keys, i)))
                key.role = ROLES[r].role;
        }
        *status = geo_pool_ref(&b->strings, geo_pool_get(&b->keys, i), &key.name, err);
        sx_buf_bytes(out, &key, sizeof(key));
    }
}

static void put_filter_keys(geo_builder *b, sx_buf *out, sx_status *status, sx_error *err)
{
    for (uint32_t i = 0; *status == SX_OK && i < b->filter_count; i++) {
        uint32_t ref = 0;
        *status = geo_pool_ref(&b->strings, b->filters[i], &ref, err);
        sx_buf_bytes(out, &ref, sizeof(ref));
    }
}

/* Sections that are made here, and where each section's bytes are. */
typedef struct parts {
    sx_buf sources, keys, docs, filter_keys, weights, points, tree;
    geo_build_terms_out terms;
    const sx_buf *section[GEO_S_END];
} parts;

static void parts_done(parts *p)
{
    sx_buf *own[] = {&p->sources,        &p->keys,
                     &p->docs,           &p->filter_keys,
                     &p->weights,        &p->points,
                     &p->tree,           &p->terms.blocks,
                     &p->terms.heap,     &p->terms.terms,
                     &p->terms.postings, &p->terms.doc_terms,
                     &p->terms.heavy,    &p->terms.heavy_docs,
                     &p->terms.pairs,    &p->terms.trie};
    for (size_t i = 0; i < SX_COUNT_OF(own); i++)
        sx_buf_done(own[i]);
}

static void name_sections(const geo_builder *b, parts *p)
{
    p->section[GEO_S_SOURCES] = &p->sources;
    p->section[GEO_S_STRINGS] = &b->strings.heap;
    p->section[GEO_S_KEYS] = &p->keys;
    p->section[GEO_S_DOCS] = &p->docs;
    p->section[GEO_S_PROPERTIES] = &b->properties;
    p->section[GEO_S_LABELS] = &b->labels;
    p->section[GEO_S_NUMBERS] = &b->numbers;
    p->section[GEO_S_TERM_BLOCKS] = &p->terms.blocks;
    p->section[GEO_S_TERM_HEAP] = &p->terms.heap;
    p->section[GEO_S_TERMS] = &p->terms.terms;
    p->section[GEO_S_POSTINGS] = &p->terms.postings;
    p->section[GEO_S_WEIGHTS] = &p->weights;
    p->section[GEO_S_DOC_TERMS] = &p->terms.doc_terms;
    p->section[GEO_S_HEAVY] = &p->terms.heavy;
    p->section[GEO_S_HEAVY_DOCS] = &p->terms.heavy_docs;
    p->section[GEO_S_PAIRS] = &p->terms.pairs;
    p->section[GEO_S_TRIE] = &p->terms.trie;
    p->section[GEO_S_FILTER_KEYS] = &p->filter_keys;
    p->section[GEO_S_POINTS] = &p->points;
    p->section[GEO_S_POINT_TREE] = &p->tree;
}

static sx_status make_parts(geo_builder *b, parts *p, geo_build_step step, void *context,
                            sx_error *err)
{
    sx_status status = rank_docs(b, err);
    for (uint32_t done = 1; status == SX_OK && done < WRITE_STEPS; done++) {
        if (step && !step(context, done, WRITE_STEPS))
            return sx_fail(err, SX_ECANCELED, "writing the index was stopped");
        if (done == 1) {
            put_keys(b, &p->keys, &status, err);
            put_filter_keys(b, &p->filter_keys, &status, err);
            sx_buf_bytes(&p->sources, b->sources, b->source_count * sizeof(*b->sources));
            sx_buf_bytes(&p->weights, b->weights, sizeof(b->weights));
        } else if (done == 2) {
            status = geo_build_terms(b, &p->terms, err);
        } else if (done == 3) {
            put_docs(b, &p->docs); /* after the terms, whose offsets the records hold */
        } else {
            status = geo_build_points(b, &p->points, &p->tree, err);
        }
    }
    name_sections(b, p);
    for (unsigned id = 1; status == SX_OK && id < GEO_S_END; id++)
        status = sx_buf_status(p->section[id], geo_section_name(id), err);
    return status;
}

static uint64_t aligned(uint64_t offset)
{
    return (offset + GEO_SECTION_ALIGN - 1) / GEO_SECTION_ALIGN * GEO_SECTION_ALIGN;
}

/* Fills the header page from the sections. */
static void make_header(const geo_builder *b, const parts *p, geo_disk_header *h)
{
    static const uint32_t RECORD[GEO_S_END] = {
#define X(id, name, record) [id] = (record),
        GEO_SECTION_LIST(X)
#undef X
    };
    *h = (geo_disk_header){.version = GEO_FORMAT_VERSION, .numbers = b->number_count};
    memcpy(h->magic, GEO_MAGIC, sizeof(h->magic));
    uint64_t offset = GEO_HEADER_BYTES;
    for (unsigned id = 1; id < GEO_S_END; id++) {
        const sx_buf *s = p->section[id];
        h->sections[h->section_count++] =
            (geo_disk_section){.id = id,
                               .crc32c = sx_crc32c(0, s->data, s->len),
                               .offset = offset,
                               .bytes = s->len,
                               .count = s->len / RECORD[id]};
        offset = aligned(offset + s->len);
    }
    h->file_bytes = offset;
    h->generation = sx_hash_bytes(h->sections, h->section_count * sizeof(*h->sections), 0);
    h->crc32c = sx_crc32c(0, h, offsetof(geo_disk_header, crc32c));
}

static sx_status write_all(const parts *p, const geo_disk_header *h, const char *path,
                           sx_error *err)
{
    static const char ZEROS[GEO_SECTION_ALIGN];
    sx_replace file;
    sx_status status = sx_replace_open(&file, path, WRITE_BUFFER_BYTES, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_bytes(&file.writer, h, sizeof(*h), err);
    for (unsigned id = 1; status == SX_OK && id < GEO_S_END; id++) {
        const sx_buf *s = p->section[id];
        status = sx_writer_bytes(&file.writer, s->data, s->len, err);
        if (status == SX_OK)
            status = sx_writer_bytes(&file.writer, ZEROS, aligned(s->len) - s->len, err);
    }
    if (status == SX_OK)
        return sx_replace_commit(&file, err);
    sx_replace_abandon(&file);
    return status;
}

sx_status geo_builder_write(geo_builder *b, const char *path, geo_build_step step, void *context,
                            sx_error *err)
{
    parts p = {0};
    geo_disk_header header;
    sx_status status = make_parts(b, &p, step, context, err);
    if (status == SX_OK) {
        make_header(b, &p, &header);
        status = write_all(&p, &header, path, err);
    }
    if (status == SX_OK && step)
        (void)step(context, WRITE_STEPS, WRITE_STEPS); /* it is written: too late to stop */
    parts_done(&p);
    return status;
}
