/* index.c - opening, checking and closing an index file. See index.h. */
#include "geocode/index/index.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/index/reader.h"

static const struct {
    const char *name;
    uint32_t record_bytes;
} SECTIONS[GEO_S_END] = {
#define X(id, name, record) [id] = {#name, record},
    GEO_SECTION_LIST(X)
#undef X
};

const char *geo_section_name(unsigned id)
{
    return id < GEO_S_END && SECTIONS[id].name ? SECTIONS[id].name : "?";
}

/* Magic, version, size and checksum of the header page. */
static sx_status check_header(const geo_disk_header *h, size_t len, sx_error *err)
{
    if (len < sizeof(*h))
        return sx_fail(err, SX_ECORRUPT,
                       "%zu bytes are too few for an index (its header alone has %d); "
                       "build it again with 'sextant geocode import'",
                       len, GEO_HEADER_BYTES);
    if (memcmp(h->magic, GEO_MAGIC, sizeof(h->magic)) != 0)
        return sx_fail(err, SX_ECORRUPT,
                       "no geocoder index: the first 8 bytes are not its magic number");
    if (h->version > GEO_FORMAT_VERSION)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "index format %u is newer than this program's %d; "
                       "build it again or use a newer sextant",
                       h->version, GEO_FORMAT_VERSION);
    uint32_t crc = sx_crc32c(0, h, offsetof(geo_disk_header, crc32c));
    if (crc != h->crc32c)
        return sx_fail(err, SX_ECORRUPT,
                       "header checksum is %08x, should be %08x; build the index again", crc,
                       h->crc32c);
    if (h->version != GEO_FORMAT_VERSION)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "index format %u is older than this program's %d; "
                       "build it again with 'sextant geocode import'",
                       h->version, GEO_FORMAT_VERSION);
    if (h->file_bytes != len)
        return sx_fail(err, SX_ECORRUPT,
                       "the file has %zu bytes, its header says %llu: it was cut; "
                       "build the index again",
                       len, (unsigned long long)h->file_bytes);
    if (h->section_count > GEO_SECTIONS_MAX)
        return sx_fail(err, SX_ECORRUPT, "header names %u sections, at most %d are possible",
                       h->section_count, GEO_SECTIONS_MAX);
    return SX_OK;
}

/* Takes one row of the section table; checks its bounds. */
static sx_status take_section(geo_index *ix, const geo_disk_section *row, sx_error *err)
{
    if (row->id == 0 || row->id >= GEO_S_END)
        return SX_OK; /* of a later minor addition: not ours to read */
    const char *name = geo_section_name(row->id);
    if (row->offset % GEO_SECTION_ALIGN != 0 || row->offset < GEO_HEADER_BYTES ||
        row->offset > ix->map_bytes || row->bytes > ix->map_bytes - row->offset)
        return sx_fail(err, SX_ECORRUPT, "section %s lies outside the file", name);
    uint64_t bytes;
    if (__builtin_mul_overflow(row->count, (uint64_t)SECTIONS[row->id].record_bytes, &bytes) ||
        bytes != row->bytes)
        return sx_fail(err, SX_ECORRUPT, "section %s has %llu bytes for %llu records of %u", name,
                       (unsigned long long)row->bytes, (unsigned long long)row->count,
                       SECTIONS[row->id].record_bytes);
    if (ix->s[row->id].data)
        return sx_fail(err, SX_ECORRUPT, "section %s is there twice", name);
    ix->s[row->id] = (geo_bytes){ix->map + row->offset, row->bytes, row->count};
    return SX_OK;
}

/* The sizes of the box tree's levels follow from the number of points. */
static sx_status take_tree(geo_index *ix, sx_error *err)
{
    uint64_t below = ix->s[GEO_S_POINTS].count, total = 0;
    while (below > 0) {
        if (ix->level_count == GEO_POINT_LEVELS_MAX)
            return sx_fail(err, SX_ECORRUPT, "section POINTS has too many points");
        uint64_t boxes = (below + GEO_POINT_BLOCK - 1) / GEO_POINT_BLOCK;
        ix->level_first[ix->level_count] = total;
        ix->level_size[ix->level_count++] = boxes;
        total += boxes;
        below = boxes > 1 ? boxes : 0;
    }
    if (total != ix->s[GEO_S_POINT_TREE].count)
        return sx_fail(err, SX_ECORRUPT, "section POINT_TREE has %llu boxes, should have %llu",
                       (unsigned long long)ix->s[GEO_S_POINT_TREE].count,
                       (unsigned long long)total);
    return SX_OK;
}

/* The bitmaps of documents by their heaviest word. What a word under a level's cap weighs is bounded by a
 * line over importance: at none, and at the greatest, it is no code's below. */
static sx_status take_caps(geo_index *ix, sx_error *err)
{
    const geo_bytes *s = &ix->s[GEO_S_CAPS];
    ix->caps = (const uint64_t *)(const void *)s->data;
    ix->cap_words = (uint32_t)(((uint64_t)ix->doc_count + 63) / 64);
    if (s->count != (uint64_t)ix->cap_words * GEO_CAP_LEVELS)
        return sx_fail(err, SX_ECORRUPT, "section CAPS has %llu words for %u documents",
                       (unsigned long long)s->count, ix->doc_count);
    if (ix->doc_count == 0 || !(ix->importances[ix->doc_count - 1] >= 0))
        return SX_OK; /* lines would turn round */
    double greatest = ix->importances[0] > 1e-3 ? ix->importances[0] : 1e-3;
    for (uint32_t level = 0; level < GEO_CAP_LEVELS; level++) {
        double base = 0, end = 0;
        for (uint32_t code = 1; code < 256; code++) {
            if (!(ix->weight_base[code] <= GEO_CAPS[level]))
                continue;
            double here = ix->weight_base[code] + ix->weight_slope[code] * greatest;
            base = ix->weight_base[code] > base ? ix->weight_base[code] : base;
            end = here > end ? here : end;
        }
        ix->cap_base[level] = base;
        ix->cap_slope[level] = end > base ? (end - base) / greatest : 0;
    }
    ix->cap_levels = GEO_CAP_LEVELS;
    return SX_OK;
}

/* Everything that is true of sections taken together. */
static sx_status check_sections(geo_index *ix, sx_error *err)
{
    for (unsigned id = 1; id < GEO_S_END; id++) {
        if (!ix->s[id].data)
            return sx_fail(err, SX_ECORRUPT, "section %s is missing", geo_section_name(id));
    }
    if (ix->s[GEO_S_DOCS].count >= UINT32_MAX || ix->s[GEO_S_TERMS].count >= UINT32_MAX)
        return sx_fail(err, SX_ECORRUPT, "more documents or terms than 32 bits can name");
    ix->docs = (const geo_disk_doc *)(const void *)ix->s[GEO_S_DOCS].data;
    ix->doc_count = (uint32_t)ix->s[GEO_S_DOCS].count;
    ix->importances = (const double *)(const void *)ix->s[GEO_S_IMPORTANCES].data;
    if (ix->s[GEO_S_IMPORTANCES].count != ix->doc_count)
        return sx_fail(err, SX_ECORRUPT, "section IMPORTANCES has %llu records for %u documents",
                       (unsigned long long)ix->s[GEO_S_IMPORTANCES].count, ix->doc_count);
    ix->terms = (const geo_disk_term *)(const void *)ix->s[GEO_S_TERMS].data;
    ix->term_count = (uint32_t)ix->s[GEO_S_TERMS].count;
    ix->weights = (const geo_disk_weight *)(const void *)ix->s[GEO_S_WEIGHTS].data;
    ix->trie = (const geo_disk_node *)(const void *)ix->s[GEO_S_TRIE].data;
    ix->heavy = (const geo_disk_heavy *)(const void *)ix->s[GEO_S_HEAVY].data;
    if (ix->s[GEO_S_TRIE].count == 0 || ix->s[GEO_S_TRIE].count > UINT32_MAX ||
        ix->s[GEO_S_HEAVY].count > GEO_HEAVY_MAX)
        return sx_fail(err, SX_ECORRUPT, "section TRIE or HEAVY has a wrong number of records");
    ix->node_count = (uint32_t)ix->s[GEO_S_TRIE].count;
    ix->heavy_count = (uint32_t)ix->s[GEO_S_HEAVY].count;
    uint64_t row = ((uint64_t)ix->heavy_count + 63) / 64;
    if (ix->s[GEO_S_PAIRS].count != row * ix->heavy_count)
        return sx_fail(err, SX_ECORRUPT, "section PAIRS has %llu words for %u heavy terms",
                       (unsigned long long)ix->s[GEO_S_PAIRS].count, ix->heavy_count);
    if (ix->s[GEO_S_WEIGHTS].count != 256)
        return sx_fail(err, SX_ECORRUPT, "section WEIGHTS has %llu records, should have 256",
                       (unsigned long long)ix->s[GEO_S_WEIGHTS].count);
    uint64_t words = ix->s[GEO_S_WORD_BITS].count;
    ix->word_bits = (const uint64_t *)(const void *)ix->s[GEO_S_WORD_BITS].data;
    if (words < GEO_SPELL_WORDS_MIN || (words & (words - 1)) != 0)
        return sx_fail(err, SX_ECORRUPT, "section WORD_BITS has %llu words, no power of two",
                       (unsigned long long)words);
    for (ix->word_bits_log2 = 6; words > 1; words /= 2)
        ix->word_bits_log2++;
    for (uint32_t code = 1; code < 256; code++) {
        ix->weight_base[code] = ix->weights[code].boost / ix->weights[code].tokens;
        ix->weight_slope[code] = 0.1 / ix->weights[code].tokens;
    }
    uint64_t blocks = ((uint64_t)ix->term_count + GEO_TERM_BLOCK - 1) / GEO_TERM_BLOCK;
    if (ix->s[GEO_S_TERM_BLOCKS].count != blocks)
        return sx_fail(err, SX_ECORRUPT, "section TERM_BLOCKS has %llu blocks for %u terms",
                       (unsigned long long)ix->s[GEO_S_TERM_BLOCKS].count, ix->term_count);
    sx_status status = take_caps(ix, err);
    return status == SX_OK ? take_tree(ix, err) : status;
}

static sx_status take_all(geo_index *ix, sx_error *err)
{
    ix->header = (const geo_disk_header *)(const void *)ix->map;
    sx_status status = check_header(ix->header, ix->map_bytes, err);
    for (uint32_t i = 0; status == SX_OK && i < ix->header->section_count; i++)
        status = take_section(ix, &ix->header->sections[i], err);
    return status == SX_OK ? check_sections(ix, err) : status;
}

sx_status geo_index_open_memory(const void *bytes, size_t len, geo_index **out, sx_error *err)
{
    geo_index *ix = sx_calloc(1, sizeof(*ix));
    if (!ix)
        return sx_fail_memory(err, "an open index");
    ix->map = bytes;
    ix->map_bytes = len;
    sx_status status = take_all(ix, err);
    if (status != SX_OK) {
        sx_free(ix);
        return status;
    }
    *out = ix;
    return SX_OK;
}

sx_status geo_index_open(const char *path, geo_index **out, sx_error *err)
{
    sx_mapping map;
    sx_status status = sx_mapping_open(&map, path, SX_MAP_RANDOM, err);
    if (status != SX_OK)
        return status;
    status = geo_index_open_memory(map.data, map.len, out, err);
    if (status != SX_OK) {
        sx_mapping_close(&map);
        return sx_error_prefix(err, status, "index '%s'", path);
    }
    (*out)->mapping = map;
    return SX_OK;
}

void geo_index_close(geo_index *ix)
{
    if (!ix)
        return;
    sx_mapping_close(&ix->mapping);
    sx_free(ix);
}

void geo_index_stat(const geo_index *ix, geo_stat *out)
{
    *out = (geo_stat){
        .file_bytes = ix->map_bytes,
        .generation = ix->header->generation,
        .documents = ix->doc_count,
        .numbers = ix->header->numbers,
        .terms = ix->term_count,
        .sources = (uint32_t)ix->s[GEO_S_SOURCES].count,
    };
}

sx_str geo_index_places(const geo_index *ix)
{
    return sx_str_of(ix->s[GEO_S_PLACES].data, ix->s[GEO_S_PLACES].bytes);
}

sx_str geo_index_recipe(const geo_index *ix)
{
    return sx_str_of(ix->s[GEO_S_RECIPE].data, ix->s[GEO_S_RECIPE].bytes);
}

sx_str geo_index_string(const geo_index *ix, uint32_t ref)
{
    geo_cursor c = geo_section_cursor(ix, GEO_S_STRINGS, ref);
    uint64_t len = geo_cursor_varint(&c);
    sx_str s = geo_cursor_bytes(&c, len);
    return c.bad ? sx_str_of("", 0) : s;
}

bool geo_index_source(const geo_index *ix, uint32_t i, geo_source *out)
{
    if (i >= ix->s[GEO_S_SOURCES].count)
        return false;
    const geo_disk_source *s = (const geo_disk_source *)(const void *)ix->s[GEO_S_SOURCES].data + i;
    *out = (geo_source){.name = geo_index_string(ix, s->name),
                        .attribution = geo_index_string(ix, s->attribution),
                        .licence = geo_index_string(ix, s->licence),
                        .path = geo_index_string(ix, s->path),
                        .language = s->language,
                        .documents = s->documents};
    return true;
}

sx_str geo_index_filter_key(const geo_index *ix, uint32_t i)
{
    if (i >= ix->s[GEO_S_FILTER_KEYS].count)
        return sx_str_of("", 0);
    const uint32_t *refs = (const uint32_t *)(const void *)ix->s[GEO_S_FILTER_KEYS].data;
    return geo_index_string(ix, refs[i]);
}

const geo_disk_doc *geo_doc(const geo_index *ix, uint32_t doc)
{
    return doc < ix->doc_count ? &ix->docs[doc] : NULL;
}
