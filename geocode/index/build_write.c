/* build_write.c - makes the sections and writes the file. See build.h. */
#include <errno.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"

enum { WRITE_STEPS = 1000, WRITE_BUFFER_BYTES = 1 << 20 };

/* Where each stage ends, in thousandths of the time that writing two million streets takes. */
static const uint32_t STAGE_ENDS[GEO_BUILD_STAGES] = {
    [GEO_BUILD_RANK] = 50,    [GEO_BUILD_DOCS] = 250,       [GEO_BUILD_LISTS] = 450,
    [GEO_BUILD_POINTS] = 650, [GEO_BUILD_POINTS_OUT] = 800, [GEO_BUILD_FILE] = WRITE_STEPS,
};

sx_status geo_build_told(geo_builder *b, geo_build_stage stage, uint64_t done, uint64_t of,
                         sx_error *err)
{
    geo_build_progress *p = &b->progress;
    uint32_t begin = stage ? STAGE_ENDS[stage - 1] : 0, length = STAGE_ENDS[stage] - begin;
    uint32_t now = begin + (uint32_t)(of ? (double)done / (double)of * length : length);
    if (!p->step || now <= p->told)
        return SX_OK;
    p->told = now;
    /* The last step is told when the file is in its place. */
    if (now < WRITE_STEPS && !p->step(p->context, now, WRITE_STEPS))
        return sx_fail(err, SX_ECANCELED, "writing the index was stopped");
    return SX_OK;
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
        *status = geo_strings_put(&b->strings, geo_pool_get(&b->keys, i), &key.name, err);
        sx_buf_bytes(out, &key, sizeof(key));
    }
}

static void put_filter_keys(geo_builder *b, sx_buf *out, sx_status *status, sx_error *err)
{
    for (uint32_t i = 0; *status == SX_OK && i < b->filter_count; i++) {
        uint32_t ref = 0;
        *status = geo_strings_put(&b->strings, b->filters[i], &ref, err);
        sx_buf_bytes(out, &ref, sizeof(ref));
    }
}

/* Every section's bytes, by id. */
typedef struct section_list {
    geo_spool *of[GEO_S_END];
} section_list;

static section_list list_sections(geo_builder *b, geo_build_sections *s)
{
    return (section_list){{
        [GEO_S_SOURCES] = &s->sources,
        [GEO_S_STRINGS] = &b->strings.out,
        [GEO_S_KEYS] = &s->keys,
        [GEO_S_DOCS] = &s->docs,
        [GEO_S_PROPERTIES] = &b->properties,
        [GEO_S_LABELS] = &b->labels,
        [GEO_S_NUMBERS] = &b->numbers,
        [GEO_S_TERM_BLOCKS] = &s->blocks,
        [GEO_S_TERM_HEAP] = &s->heap,
        [GEO_S_TERMS] = &s->terms,
        [GEO_S_POSTINGS] = &s->postings,
        [GEO_S_WEIGHTS] = &s->weights,
        [GEO_S_DOC_TERMS] = &s->doc_terms,
        [GEO_S_HEAVY] = &s->heavy,
        [GEO_S_HEAVY_DOCS] = &s->heavy_docs,
        [GEO_S_FILTER_KEYS] = &s->filter_keys,
        [GEO_S_POINTS] = &s->points,
        [GEO_S_POINT_TREE] = &s->tree,
        [GEO_S_PAIRS] = &s->pairs,
        [GEO_S_TRIE] = &s->trie,
        [GEO_S_IMPORTANCES] = &s->importances,
        [GEO_S_WORD_BITS] = &s->word_bits,
        [GEO_S_CAPS] = &s->caps,
        [GEO_S_PLACES] = &b->places,
        [GEO_S_RECIPE] = &b->recipe,
    }};
}

/* The spools that are made at the end, in the order of their declaration. */
enum { MADE = sizeof(geo_build_sections) / sizeof(geo_spool) };

static void sections_init(geo_builder *b, geo_build_sections *s)
{
    for (size_t i = 0; i < MADE; i++)
        geo_spool_init((geo_spool *)s + i, &b->temp);
}

static void sections_done(geo_build_sections *s)
{
    for (size_t i = 0; i < MADE; i++)
        geo_spool_done((geo_spool *)s + i);
}

static sx_status make_sections(geo_builder *b, geo_build_sections *s, const section_list *list,
                               sx_error *err)
{
    sx_status status = SX_OK;
    put_keys(b, &s->keys.tail, &status, err);
    put_filter_keys(b, &s->filter_keys.tail, &status, err);
    sx_buf_bytes(&s->sources.tail, b->sources, b->source_count * sizeof(*b->sources));
    sx_buf_bytes(&s->weights.tail, b->weights, sizeof(b->weights));
    geo_strings_close(&b->strings);
    if (status == SX_OK)
        status = geo_build_rank(b, err);
    if (status == SX_OK)
        sx_buf_bytes(&s->importances.tail, b->importance, b->doc_count * sizeof(*b->importance));
    if (status == SX_OK)
        status = geo_spool_settle(&s->importances, "the documents' importances", err);
    if (status == SX_OK)
        status = geo_build_terms(b, s, err);
    if (status == SX_OK)
        status = geo_build_points(b, s, err);
    for (unsigned id = 1; status == SX_OK && id < GEO_S_END; id++)
        status = geo_spool_settle(list->of[id], geo_section_name(id), err);
    return status;
}

static uint64_t aligned(uint64_t offset)
{
    return (offset + GEO_SECTION_ALIGN - 1) / GEO_SECTION_ALIGN * GEO_SECTION_ALIGN;
}

/* Fills the header page from the sections. */
static void make_header(const geo_builder *b, const section_list *list, geo_disk_header *h)
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
        uint64_t bytes = geo_spool_bytes(list->of[id]);
        h->sections[h->section_count++] =
            (geo_disk_section){.id = id,
                               .crc32c = geo_spool_crc32c(list->of[id]),
                               .offset = offset,
                               .bytes = bytes,
                               .count = bytes / RECORD[id]};
        offset = aligned(offset + bytes);
    }
    h->file_bytes = offset;
    h->generation = sx_hash_bytes(h->sections, h->section_count * sizeof(*h->sections), 0);
    h->crc32c = sx_crc32c(0, h, offsetof(geo_disk_header, crc32c));
}

/* Copies a section behind what is written, and gives its space back. */
static sx_status copy_section(geo_builder *b, geo_spool *s, const geo_disk_header *h,
                              sx_writer *out, sx_error *err)
{
    static const char ZEROS[GEO_SECTION_ALIGN];
    geo_spool_reader r;
    geo_spool_reader_init(&r, s);
    sx_status status = SX_OK;
    for (size_t len = 1; status == SX_OK && len;) {
        const void *bytes = geo_spool_chunk(&r, &len, err);
        status = bytes ? sx_writer_bytes(out, bytes, len, err) : err->status;
        if (status == SX_OK)
            status = geo_build_told(b, GEO_BUILD_FILE, out->offset, h->file_bytes, err);
    }
    geo_spool_reader_done(&r);
    if (status == SX_OK)
        status = sx_writer_bytes(out, ZEROS, aligned(out->offset) - out->offset, err);
    geo_spool_done(s);
    return status;
}

/* A full disk is said with what it takes. */
static sx_status tell_room(const geo_disk_header *h, sx_status status, sx_error *err)
{
    if (err->os_errno != ENOSPC && err->os_errno != EDQUOT)
        return status;
    return sx_error_prefix(err, status, "an index of %.1f MB needs that much room",
                           (double)h->file_bytes / 1e6);
}

static sx_status write_file(geo_builder *b, const section_list *list, const geo_disk_header *h,
                            const char *path, sx_error *err)
{
    sx_replace file;
    sx_status status = sx_replace_open(&file, path, WRITE_BUFFER_BYTES, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_bytes(&file.writer, h, sizeof(*h), err);
    for (unsigned id = 1; status == SX_OK && id < GEO_S_END; id++)
        status = copy_section(b, list->of[id], h, &file.writer, err);
    if (status == SX_OK)
        status = sx_replace_commit(&file, err);
    else
        sx_replace_abandon(&file);
    return status == SX_OK ? status : tell_room(h, status, err);
}

sx_status geo_builder_write(geo_builder *b, const char *path, geo_build_step step, void *context,
                            sx_error *err)
{
    sx_error own = {0};
    sx_error *told = err ? err : &own;
    geo_build_sections sections;
    geo_disk_header header;
    sections_init(b, &sections);
    section_list list = list_sections(b, &sections);
    b->progress = (geo_build_progress){.step = step, .context = context};
    sx_status status = make_sections(b, &sections, &list, told);
    if (status == SX_OK) {
        make_header(b, &list, &header);
        status = write_file(b, &list, &header, path, told);
    }
    if (status == SX_OK && step)
        (void)step(context, WRITE_STEPS, WRITE_STEPS); /* it is written: too late to stop */
    sections_done(&sections);
    return status;
}
