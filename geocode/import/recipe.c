/* recipe.c - see recipe.h; docs/formats/geocode-index.md describes the bytes. */
#include "geocode/import/recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "geocode/import/paths.h"
#include "geocode/index/cursor.h"
#include "geocode/index/pool.h"

enum { VERSION = 1, FLAG_NO_LANGUAGE = 1, FLAG_NO_COMMUNES = 2 };

static void put_text(sx_buf *out, sx_str text)
{
    geo_put_varint(out, text.len);
    sx_buf_str(out, text);
}

static sx_status put_path(sx_buf *out, const char *path, sx_error *err)
{
    char real[GEO_PATH_BYTES];
    if (path && !realpath(path, real))
        return sx_fail(err, SX_EIO, "%s: %s", path, strerror(errno));
    put_text(out, sx_str_z(path ? real : ""));
    return SX_OK;
}

sx_status geo_recipe_write(const geo_import_options *o, sx_buf *out, sx_error *err)
{
    geo_put_varint(out, VERSION);
    sx_status status = put_path(out, o->phrases, err);
    if (status == SX_OK)
        status = put_path(out, o->base, err);
    geo_put_varint(out, o->skip_max);
    geo_put_varint(out, o->input_count);
    for (size_t i = 0; status == SX_OK && i < o->input_count; i++) {
        const geo_import_input *in = &o->inputs[i];
        status = put_path(out, in->path, err);
        put_text(out, in->name);
        put_text(out, in->attribution);
        put_text(out, in->licence);
        geo_put_varint(out, in->language);
        geo_put_varint(out, (in->no_language ? FLAG_NO_LANGUAGE : 0u) |
                                (in->no_communes ? FLAG_NO_COMMUNES : 0u));
    }
    return status == SX_OK ? sx_buf_status(out, "the index's recipe", err) : status;
}

static sx_str get_text(geo_cursor *c, sx_arena *arena, bool *failed)
{
    sx_str text = geo_cursor_bytes(c, geo_cursor_varint(c));
    sx_str copy = sx_arena_printf(arena, "%.*s", SX_ARG(text)); /* with a NUL behind it */
    *failed = *failed || !copy.data;
    return copy;
}

static const char *get_path(geo_cursor *c, sx_arena *arena, bool *failed)
{
    sx_str text = get_text(c, arena, failed);
    return text.len ? text.data : NULL;
}

sx_status geo_recipe_read(sx_str recipe, sx_arena *arena, geo_import_options *out, sx_error *err)
{
    geo_cursor c = geo_cursor_at((const uint8_t *)recipe.data, recipe.len, 0);
    bool failed = false;
    if (recipe.len == 0)
        return sx_fail(err, SX_ENOTFOUND,
                       "it was not imported to be updated; import it with --base FILE");
    uint64_t version = geo_cursor_varint(&c);
    if (version > VERSION)
        return sx_fail(err, SX_EUNSUPPORTED, "its recipe is of version %llu; this program knows %d",
                       (unsigned long long)version, VERSION);
    out->phrases = get_path(&c, arena, &failed);
    out->base = get_path(&c, arena, &failed);
    out->skip_max = geo_cursor_varint(&c);
    uint64_t count = geo_cursor_varint(&c);
    if (c.bad || count == 0 || count > GEO_RECIPE_INPUTS_MAX)
        return sx_fail(err, SX_ECORRUPT, "section RECIPE is damaged");
    geo_import_input *inputs = sx_arena_calloc(arena, count, sizeof(*inputs));
    for (uint64_t i = 0; inputs && !failed && i < count; i++) {
        inputs[i].path = get_path(&c, arena, &failed);
        inputs[i].name = get_text(&c, arena, &failed);
        inputs[i].attribution = get_text(&c, arena, &failed);
        inputs[i].licence = get_text(&c, arena, &failed);
        uint32_t language = geo_cursor_u32(&c), flags = geo_cursor_u32(&c);
        inputs[i].language = language < GEO_LANGUAGES ? (geo_language)language : 0;
        inputs[i].no_language = flags & FLAG_NO_LANGUAGE;
        inputs[i].no_communes = flags & FLAG_NO_COMMUNES;
        if (!inputs[i].path)
            c.bad = true;
    }
    if (!inputs || failed)
        return sx_fail_memory(err, "the index's recipe");
    if (c.bad)
        return sx_fail(err, SX_ECORRUPT, "section RECIPE is damaged");
    out->inputs = inputs;
    out->input_count = (size_t)count;
    return SX_OK;
}
