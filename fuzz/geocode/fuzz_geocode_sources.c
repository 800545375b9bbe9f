/* fuzz_geocode_sources.c - any file through the readers of all formats: refused with a message that
 * names it, or read so that the builder has just what was given to it, however the bytes are cut into
 * chunks. The first byte says how they are cut. */
#include <string.h>

#include <sextant/base.h>
#include <sextant/buf.h>

#include "geocode/import/intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came of a reading. */
typedef struct outcome {
    sx_status status;
    uint32_t documents;
    uint64_t numbers, skipped, left_out;
} outcome;

static outcome read_file(sx_str text, size_t chunk, size_t memory)
{
    static const geo_import_input INPUT = {.path = "FILE"};
    sx_error err = {0};
    outcome o = {.status = SX_OK};
    const geo_reader *format = NULL;
    geo_intake in = {.limits = {.line_bytes_max = 1 << 16,
                                .names_max = 64,
                                .properties_max = 128,
                                .numbers_max = 1000,
                                .number_properties_max = 14,
                                .rows_bytes_max = memory},
                     .input = &INPUT,
                     .folder = "/tmp",
                     .skipped_max = text.len % 3};
    sx_arena_init(&in.arena, 0, 0);
    sx_arena_init(&in.names, 0, 0);
    sx_map_init(&in.places, NULL);
    in.builder = geo_builder_new(NULL, &err);
    geo_source source = {.language = GEO_LANGUAGE_FRENCH};
    sx_assert(in.builder && geo_builder_source(in.builder, &source, &err) == SX_OK);
    o.status = geo_reader_of(text, &format, &err);
    void *reader = o.status == SX_OK ? format->open(&in, &err) : NULL;
    sx_assert((reader != NULL) == (o.status == SX_OK));
    while (o.status == SX_OK) {
        sx_str piece = sx_str_first(text, chunk);
        o.status = format->feed(reader, piece, &err);
        if (piece.len == 0)
            break;
        text = sx_str_from(text, piece.len);
    }
    sx_assert(o.status == SX_OK || err.message[0] != '\0');
    sx_assert(o.status == SX_OK || !reader || strstr(err.message, "FILE"));
    geo_builder_counts(in.builder, &o.documents, &o.numbers);
    o.skipped = in.skipped;
    o.left_out = in.left_out;
    sx_assert(o.skipped <= in.skipped_max);
    if (reader)
        format->close(reader);
    geo_builder_free(in.builder);
    sx_map_done(&in.places);
    sx_arena_done(&in.names);
    sx_arena_done(&in.arena);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sx_str text = sx_str_of(data + 1, size - 1);
    outcome whole = read_file(text, SIZE_MAX, (size_t)1 << 20);
    outcome cut = read_file(text, 1u + data[0], 64);
    sx_assert(whole.status == cut.status);
    sx_assert(whole.status != SX_OK ||
              (whole.documents == cut.documents && whole.numbers == cut.numbers &&
               whole.skipped == cut.skipped && whole.left_out == cut.left_out));
    return 0;
}
