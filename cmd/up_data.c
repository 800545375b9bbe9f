/* up_data.c - the data that ships with sextant, imported for `sextant up`. */
#include <stdio.h>
#include <sys/stat.h>

#include <sextant/mem.h>

#include "cmd/geocode.h"

enum { PATH_BYTES = 4096 };

/* What ships with sextant, and what answers say of it. Maps are one source, in the first one's words:
 * Monaco's is of 2012, when OpenStreetMap's licence was another. */
static const geo_import_input SHIPPED[] = {
    {.path = "france.ndjson.gz"},
    {.path = "spain-madrid.ndjson.gz",
     .name = SX_STR_INIT("spain-madrid"),
     .attribution = SX_STR_INIT("GeoNames; Ayuntamiento de Madrid; Comunidad de Madrid"),
     .licence = SX_STR_INIT("CC BY 4.0"),
     .language = GEO_LANGUAGE_SPANISH},
    {.path = "liechtenstein.osm.pbf", .licence = SX_STR_INIT("ODbL-1.0; Monaco: CC BY-SA 2.0")},
    {.path = "andorra.osm.pbf"},
    {.path = "monaco.osm.gz"},
};

typedef struct shipped {
    char paths[SX_COUNT_OF(SHIPPED)][PATH_BYTES];
    geo_import_input inputs[SX_COUNT_OF(SHIPPED)];
    size_t count;
    time_t newest;
} shipped;

/* Those that are in the data folder: one of the user's own may have some of them. */
static sx_status find_shipped(const char *data, shipped *out, sx_error *err)
{
    *out = (shipped){.count = 0};
    for (size_t i = 0; i < SX_COUNT_OF(SHIPPED); i++) {
        struct stat from;
        char *path = out->paths[out->count];
        if (snprintf(path, PATH_BYTES, "%s/%s", data, SHIPPED[i].path) >= PATH_BYTES)
            return sx_fail(err, SX_ELIMIT, "path too long: %s/%s", data, SHIPPED[i].path);
        if (stat(path, &from) != 0)
            continue;
        out->newest = from.st_mtime > out->newest ? from.st_mtime : out->newest;
        out->inputs[out->count] = SHIPPED[i];
        out->inputs[out->count++].path = path;
    }
    if (out->count)
        return SX_OK;
    return sx_fail(err, SX_ENOTFOUND, "no address data in %s; name its folder with --data DIR",
                   data);
}

sx_status cmd_up_import(const char *data, const char *index, sx_error *err)
{
    shipped *from = sx_calloc(1, sizeof(*from));
    struct stat made;
    if (!from)
        return sx_fail_memory(err, "the list of address data");
    sx_status status = find_shipped(data, from, err);
    if (status == SX_OK &&
        (stat(index, &made) != 0 || made.st_mtime < from->newest || !cmd_index_usable(index))) {
        printf("Importing (once):");
        for (size_t i = 0; i < from->count; i++)
            printf(" %s", from->inputs[i].path);
        puts("");
        fflush(stdout);
        geo_import_options options = {
            .inputs = from->inputs, .input_count = from->count, .output = index};
        status = cmd_import(&options, false, err);
    }
    sx_free(from);
    return status;
}
