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
    char phrases[PATH_BYTES]; /* empty: there are none */
    time_t newest;
} shipped;

/* The path of a file of the data folder; *there tells whether it is there, *newest grows with it. */
static sx_status find_file(const char *data, const char *name, char path[PATH_BYTES], bool *there,
                           time_t *newest, sx_error *err)
{
    struct stat from;
    if (snprintf(path, PATH_BYTES, "%s/%s", data, name) >= PATH_BYTES)
        return sx_fail(err, SX_ELIMIT, "path too long: %s/%s", data, name);
    *there = stat(path, &from) == 0;
    if (*there && from.st_mtime > *newest)
        *newest = from.st_mtime;
    return SX_OK;
}

/* Those that are in the data folder: one of the user's own may have some of them. */
static sx_status find_shipped(const char *data, shipped *out, sx_error *err)
{
    bool there = false;
    sx_status status = SX_OK;
    *out = (shipped){.count = 0};
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(SHIPPED); i++) {
        char *path = out->paths[out->count];
        status = find_file(data, SHIPPED[i].path, path, &there, &out->newest, err);
        if (status != SX_OK || !there)
            continue;
        out->inputs[out->count] = SHIPPED[i];
        out->inputs[out->count++].path = path;
    }
    if (status == SX_OK)
        status = find_file(data, "phrases.csv", out->phrases, &there, &out->newest, err);
    if (status != SX_OK)
        return status;
    if (!there)
        out->phrases[0] = '\0';
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
        geo_import_options options = {.inputs = from->inputs,
                                      .input_count = from->count,
                                      .phrases = from->phrases[0] ? from->phrases : NULL,
                                      .output = index};
        status = cmd_import(&options, false, err);
    }
    sx_free(from);
    return status;
}
