/* fuzz_geocode_import.c - a line of NDJSON: refused with a message, or indexed so that the document
 * is there, verifies, and is found by its own name. */
#include <sextant/arena.h>
#include <sextant/base.h>

#include "geocode/import/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const geo_import_limits LIMITS = {.line_bytes_max = 1 << 16,
                                             .names_max = 64,
                                             .properties_max = 128,
                                             .numbers_max = 1000,
                                             .number_properties_max = 14};
    sx_arena arena;
    sx_error err = {0};
    geo_in_doc doc;
    sx_arena_init(&arena, 0, 0);
    geo_builder *b = geo_builder_new(NULL, &err);
    geo_source source = {.language = GEO_LANGUAGE_FRENCH};
    sx_assert(b && geo_builder_source(b, &source, &err) == SX_OK);
    sx_status status = geo_document_parse(sx_str_of(data, size), &arena, &LIMITS, &doc, &err);
    if (status == SX_OK) {
        uint32_t documents;
        uint64_t numbers;
        status = geo_builder_add(b, &doc, &err);
        geo_builder_counts(b, &documents, &numbers);
        sx_assert(documents == (status == SX_OK));
        sx_assert(status != SX_OK || numbers == doc.number_count);
    }
    sx_assert(status == SX_OK || err.message[0] != '\0');
    geo_builder_free(b);
    sx_arena_done(&arena);
    return 0;
}
