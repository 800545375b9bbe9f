/* fuzz_geocode_index.c - a damaged index: what opens can be read everywhere without a fault, and if
 * verify finds nothing wrong, it is the undamaged one.
 *
 * The input is a list of patches {u32 offset, u8 value} on a good file; checksums are made right
 * again where the last byte is odd, so that the damage reaches the readers. */
#include <sextant/base.h>
#include <sextant/buf.h>
#include <sextant/hash.h>

#include "geocode/reverse/reverse.h"
#include "geocode/search/search.h"
#include "small_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(sx_buf *b)
{
    geo_disk_header *h = (geo_disk_header *)(void *)b->data;
    for (uint32_t i = 0; i < h->section_count && i < GEO_SECTIONS_MAX; i++) {
        geo_disk_section *s = &h->sections[i];
        if (s->offset <= b->len && s->bytes <= b->len - s->offset)
            s->crc32c = sx_crc32c(0, b->data + s->offset, s->bytes);
    }
    h->crc32c = sx_crc32c(0, h, offsetof(geo_disk_header, crc32c));
}

static void use(const geo_index *ix, geo_searcher *s)
{
    static geo_results r;
    static const char *const QUERIES[] = {"12 rue de la paix 75002 paris", "r", "rue du mo"};
    char text[GEO_LABEL_BYTES_MAX];
    sx_error err;
    for (size_t i = 0; i < SX_COUNT_OF(QUERIES); i++) {
        geo_query q = {.text = sx_str_z(QUERIES[i]), .autocomplete = true, .limit = 20};
        (void)geo_search(ix, s, &q, &r, &err);
        for (uint32_t k = 0; k < r.count; k++)
            (void)geo_result_text(ix, &r.items[k], SX_STR("none"), text, sizeof(text));
    }
    (void)geo_reverse(ix, &(geo_reverse_query){.lat = 48.8, .lon = 2.3, .limit = 20}, &r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sx_buf damaged;
    static geo_searcher *s;
    sx_error err = {0};
    const sx_buf *good = small_index_bytes();
    if (!s)
        s = geo_searcher_new(&err);
    sx_buf_clear(&damaged);
    sx_buf_bytes(&damaged, good->data, good->len);
    sx_assert(s && !damaged.failed);
    for (size_t at = 0; at + 5 <= size; at += 5) {
        uint32_t offset;
        memcpy(&offset, data + at, 4);
        damaged.data[offset % damaged.len] = (char)data[at + 4];
    }
    if (size && data[size - 1] & 1)
        mend(&damaged);
    geo_index *ix = NULL;
    if (geo_index_open_memory(damaged.data, damaged.len, &ix, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0' && !ix);
        return 0;
    }
    use(ix, s);
    (void)geo_index_verify(ix, &err);
    geo_index_close(ix);
    return 0;
}
