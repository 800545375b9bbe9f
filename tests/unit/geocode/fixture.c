/* fixture.c - see fixture.h. */
#include "fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

const char TINY[] =
    "{\"id\":\"75056\",\"type\":\"municipality\",\"name\":\"Paris\",\"postcode\":[\"75001\","
    "\"75002\"],\"citycode\":\"75056\",\"city\":\"Paris\",\"context\":\"75, Paris\","
    "\"population\":2133111,\"lon\":2.347,\"lat\":48.859,\"importance\":0.85}\n"
    "{\"id\":\"75102_6998\",\"type\":\"street\",\"name\":\"Rue de la Paix\",\"postcode\":\"75002\","
    "\"citycode\":[\"75102\",\"75056\"],\"city\":[\"Paris\",\"Paris 2e Arrondissement\"],"
    "\"context\":\"75, Paris\",\"lon\":2.331406,\"lat\":48.869245,\"x\":651000.0,\"y\":6863000.25,"
    "\"importance\":0.6,\"housenumbers\":{"
    "\"1\":{\"id\":\"75102_6998_00001\",\"x\":650910.5,\"y\":6862880.0,\"lon\":2.33031,"
    "\"lat\":48.868546},"
    "\"3\":{\"id\":\"75102_6998_00003\",\"x\":650920.75,\"y\":6862896.01,\"lon\":2.330452,"
    "\"lat\":48.868689},"
    "\"3b\":{\"id\":\"75102_6998_00003_b\",\"x\":650921.0,\"y\":6862897.0,\"lon\":2.330462,"
    "\"lat\":48.868699},"
    "\"12T\":{\"id\":\"odd one\",\"x\":1.5,\"y\":2.0,\"lon\":2.3315,\"lat\":48.8692}}}\n"
    "\n"
    "{\"id\":\"80688\",\"type\":\"municipality\",\"name\":\"Rue\",\"postcode\":\"80120\","
    "\"citycode\":\"80688\",\"city\":\"Rue\",\"context\":\"80, Somme\",\"population\":3000,"
    "\"lon\":1.668,\"lat\":50.272,\"importance\":0.3}\n"
    "{\"id\":\"s2\",\"type\":\"street\",\"name\":\"Rue \\u00c9lys\\u00e9e\",\"postcode\":[],"
    "\"city\":\"Paris\",\"lon\":2.31,\"lat\":48.87,\"importance\":0.5,\"odd\":{\"a\":[1,2]},"
    "\"big\":1e300,\"yes\":true,\"no\":false,\"none\":null,\"neg\":-0.050}\n"
    "{\"id\":7,\"type\":\"locality\",\"name\":[\"Le Moulin\",\"Ar Vilin\"],\"city\":\"Brest\","
    "\"lon\":-4.5,\"lat\":48.4,\"importance\":0.1}\n"
    "{\"id\":\"fj\",\"type\":\"street\",\"name\":\"Queens Road\",\"city\":\"Taveuni\",\"lon\":179.99,"
    "\"lat\":-16.8,\"importance\":0.05,\"housenumbers\":{\"9\":{\"lon\":-179.99,\"lat\":-16.8}}}\n";

sx_str fixture_first_line(void)
{
    sx_str all = sx_str_z(TINY);
    return sx_str_first(all, sx_str_find_byte(all, '\n') + 1);
}

static char folder[64];

const char *fixture_folder(void)
{
    if (!folder[0]) {
        (void)snprintf(folder, sizeof(folder), "/tmp/sextant-geocode-%d", (int)getpid());
        assert_int_equal(mkdir(folder, 0700), 0);
    }
    return folder;
}

void fixture_clean(void)
{
    if (!folder[0])
        return;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
    folder[0] = '\0';
}

const char *fixture_path(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", fixture_folder(), name);
    return path;
}

const char *fixture_write(const char *name, sx_str bytes)
{
    const char *path = fixture_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static sx_status import_file(const char *in, const char *out, sx_error *err)
{
    geo_import_input input = {.path = in};
    return geo_import(&(geo_import_options){.inputs = &input, .input_count = 1, .output = out},
                      NULL, err);
}

sx_status fixture_import(const char *name, sx_str text, sx_error *err)
{
    char out[256];
    (void)snprintf(out, sizeof(out), "%s", fixture_path(name));
    return import_file(fixture_write("input.ndjson", text), out, err);
}

const char *fixture_france(void)
{
    static char out[256];
    char in[512];
    sx_error err = {0};
    if (!out[0]) {
        const char *root = getenv("SX_SOURCE_ROOT");
        (void)snprintf(in, sizeof(in), "%s/data/france.ndjson.gz", root ? root : ".");
        (void)snprintf(out, sizeof(out), "%s", fixture_path("france.geo"));
        if (import_file(in, out, &err) != SX_OK)
            fail_msg("%s", err.message);
    }
    return out;
}

geo_index *fixture_open(const char *name, sx_str text)
{
    sx_error err = {0};
    geo_index *ix = NULL;
    if (fixture_import(name, text, &err) != SX_OK ||
        geo_index_open(fixture_path(name), &ix, &err) != SX_OK)
        fail_msg("%s", err.message);
    return ix;
}
