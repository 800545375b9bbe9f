/* small_index.c - see small_index.h. */
#include "small_index.h"

#include <stdio.h>
#include <unistd.h>

#include <sextant/file.h>

#include "geocode/index/build.h"
#include "geocode/text/rules.h"

static const geo_in_value CITIES[] = {
    {.kind = GEO_STRING, .text = SX_STR_INIT("Paris"), .count = 1},
    {.kind = GEO_STRING, .text = SX_STR_INIT("Paris 2e Arrondissement"), .count = 1},
};

static void add(geo_builder *b, sx_str name, sx_str type, double importance, uint32_t numbers)
{
    sx_error err;
    char id[16];
    geo_in_property own[] = {
        {SX_STR("id"), {.kind = GEO_STRING, .text = {id, 0}, .count = 1}},
        {SX_STR("x"), {.kind = GEO_NUMBER, .text = SX_STR("1.25"), .count = 1}},
    };
    geo_in_number list[40];
    for (uint32_t i = 0; i < numbers; i++)
        list[i] = (geo_in_number){.text = i % 2 ? SX_STR("7b") : SX_STR("12"),
                                  .lon = 2 + i / 1000.0,
                                  .lat = 48,
                                  .properties = own,
                                  .property_count = 2};
    geo_in_property properties[] = {
        {SX_STR("type"), {.kind = GEO_STRING, .text = type, .count = 1}},
        {SX_STR("name"), {.kind = GEO_STRING, .text = name, .count = 1}},
        {SX_STR("postcode"), {.kind = GEO_STRING, .text = SX_STR("75002"), .count = 1}},
        {SX_STR("city"), {.kind = GEO_ARRAY, .items = CITIES, .count = 2}},
        {SX_STR("importance"), {.kind = GEO_NUMBER, .text = SX_STR("0.5"), .count = 1}},
    };
    geo_in_doc doc = {.id = SX_STR("d"),
                      .type = type,
                      .lon = 2.3,
                      .lat = 48.8 + importance / 10,
                      .importance = importance,
                      .properties = properties,
                      .property_count = 5,
                      .numbers = list,
                      .number_count = numbers};
    own[0].value.text = sx_str_of(id, (size_t)snprintf(id, sizeof(id), "d_%u", numbers));
    sx_assert(geo_builder_add(b, &doc, &err) == SX_OK);
}

const sx_buf *small_index_bytes(void)
{
    static sx_buf bytes; /* built once; the fuzzer has one thread */
    if (bytes.len)
        return &bytes;
    sx_error err;
    char path[64];
    geo_source source = {.language = GEO_LANGUAGE_FRENCH};
    geo_builder *b = geo_builder_new(NULL, &err);
    sx_assert(b && geo_builder_source(b, &source, &err) == SX_OK);
    add(b, SX_STR("Paris"), SX_STR("municipality"), 0.9, 0);
    add(b, SX_STR("Rue de la Paix"), SX_STR("street"), 0.6, 40);
    for (int i = 0; i < 200; i++) /* enough for blocks, bitmaps and prefixes */
        add(b, SX_STR("Rue du Moulin"), SX_STR("street"), i / 1000.0, (uint32_t)i % 3);
    (void)snprintf(path, sizeof(path), "/tmp/fuzz_geocode.%d", (int)getpid());
    sx_assert(geo_builder_write(b, path, NULL, NULL, &err) == SX_OK);
    geo_builder_free(b);
    sx_buf_init(&bytes, 0);
    sx_assert(sx_file_read(path, 0, &bytes, &err) == SX_OK);
    sx_assert(sx_file_remove(path, &err) == SX_OK);
    return &bytes;
}
