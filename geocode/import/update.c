/* update.c - see update.h. */
#include "geocode/import/update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "geocode/import/osm_input.h"
#include "geocode/import/paths.h"
#include "geocode/import/recipe.h"
#include "geocode/import/replication.h"
#include "geocode/index/index.h"
#include "geocode/places/places.h"

enum { ARENA_BYTES = 1 << 16, POLL_MS = 60000 };

typedef struct updater {
    const geo_update_options *options;
    sx_arena arena;            /* of the recipe */
    geo_import_options recipe; /* how the index is made; base set */
    char index[GEO_PATH_BYTES];
    char base[GEO_PATH_BYTES];
    char folder[GEO_PATH_BYTES]; /* of temporary files */
    sx_file_lock lock;
    geo_import_progress *summary, progress;
    char said[GEO_PROBLEM_BYTES]; /* the last problem that was told */
} updater;

static void say(const updater *u, const char *fmt, ...) SX_PRINTF(2, 3);
static void say(const updater *u, const char *fmt, ...)
{
    char line[GEO_PROBLEM_BYTES + GEO_PATH_BYTES];
    va_list args;
    if (!u->options->say)
        return;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    u->options->say(u->options->context, line);
}

/* --- What there is. */

/* Up to which change an index, or a base, is. */
typedef struct standing {
    int64_t sequence, data_ms;
    char url[256];
} standing;

static bool same_standing(const standing *a, const standing *b)
{
    return a->sequence == b->sequence && strcmp(a->url, b->url) == 0 &&
           (a->data_ms == b->data_ms || !a->data_ms || !b->data_ms);
}

/* Reads recipe and standing out of the index. `recipe` and `standing` may be NULL. */
static sx_status read_index(updater *u, geo_import_options *recipe, standing *at, sx_error *err)
{
    geo_index *ix;
    plc_index places;
    sx_status status = geo_index_open(u->options->index, &ix, err);
    if (status != SX_OK)
        return status;
    if (recipe) {
        status = geo_recipe_read(geo_index_recipe(ix), &u->arena, recipe, err);
        if (status != SX_OK)
            (void)sx_error_prefix(err, status, "index '%s'", u->options->index);
    }
    sx_str section = geo_index_places(ix);
    if (status == SX_OK && at)
        status = plc_open(&places, section.data, section.len, err);
    if (status == SX_OK && at) {
        *at = (standing){(int64_t)places.meta->sequence, places.meta->data_ms, ""};
        (void)snprintf(at->url, sizeof(at->url), "%.*s",
                       SX_ARG(plc_string(&places, places.meta->replication_url)));
    }
    geo_index_close(ix);
    return status;
}

static sx_status end_reading(void *ctx, const osm_batch *batch, sx_error *err)
{
    (void)ctx;
    (void)batch;
    (void)err;
    return SX_END;
}

/* Only the first block is read. */
static sx_status read_header(const updater *u, osm_header *out, sx_error *err)
{
    osm_read_options o = {.path = u->base, .batch = end_reading, .header = out, .threads = 1};
    *out = (osm_header){0};
    sx_status status = osm_read(&o, err);
    return status == SX_END ? SX_OK : status;
}

static standing standing_of(const osm_header *h)
{
    standing s = {h->sequence, h->replication_ms, ""};
    (void)snprintf(s.url, sizeof(s.url), "%s", h->replication_url);
    return s;
}

/* Every input must be there before the base is touched. The base may have been moved. */
static sx_status check_inputs(updater *u, sx_error *err)
{
    geo_import_input *inputs = sx_arena_calloc(&u->arena, u->recipe.input_count, sizeof(*inputs));
    sx_file_info info;
    if (!inputs)
        return sx_fail_memory(err, "the index's recipe");
    if (!u->recipe.base)
        return sx_fail(err, SX_ENOTFOUND,
                       "index '%s' was not imported to be updated; import it with --base FILE",
                       u->options->index);
    for (size_t i = 0; i < u->recipe.input_count; i++) {
        inputs[i] = u->recipe.inputs[i];
        if (strcmp(inputs[i].path, u->recipe.base) == 0)
            inputs[i].path = u->base;
        if (sx_file_stat(inputs[i].path, &info, NULL) != SX_OK)
            return sx_fail(
                err, SX_ENOTFOUND,
                "%s, which the index '%s' was made of, is gone; put it back%s, or import "
                "the index again",
                inputs[i].path, u->options->index,
                inputs[i].path == u->base ? ", or name where it is with --base" : "");
    }
    if (u->recipe.phrases && sx_file_stat(u->recipe.phrases, &info, NULL) != SX_OK)
        return sx_fail(err, SX_ENOTFOUND,
                       "%s, the phrases of the index '%s', is gone; put it back, or import the "
                       "index again",
                       u->recipe.phrases, u->options->index);
    u->recipe.inputs = inputs;
    u->recipe.base = u->base;
    return SX_OK;
}

/* --- Applying. */

static bool told(void *context, geo_import_stage stage, const char *what, uint64_t done,
                 uint64_t total)
{
    updater *u = context;
    u->progress.stage = stage;
    u->progress.what = what;
    u->progress.bytes_done = done;
    u->progress.bytes_total = total;
    return !u->options->report || u->options->report(u->options->context, &u->progress);
}

static sx_status write_base(updater *u, const char *const *changes, size_t count,
                            const osm_header *header, sx_error *err)
{
    const char **paths = sx_calloc(count + 1, sizeof(*paths));
    if (!paths)
        return sx_fail_memory(err, "an update");
    paths[0] = u->base;
    for (size_t i = 0; i < count; i++)
        paths[i + 1] = changes[i];
    geo_osm_job job = {.options = &u->recipe,
                       .paths = paths,
                       .path_count = count + 1,
                       .folder = u->folder,
                       .progress = &u->progress,
                       .told = told,
                       .context = u};
    osm_report flaws = {.newest_ms = 0};
    sx_status status = geo_osm_write_base(&job, u->base, header, &flaws, err);
    for (int i = 0; status == SX_OK && i < OSM_FLAWS; i++) {
        if (flaws.flaws[i] && i != OSM_FLAW_DUPLICATE) /* that is what a change is */
            say(u, "%llu %s (%s)", (unsigned long long)flaws.flaws[i], osm_flaw_words((osm_flaw)i),
                flaws.examples[i]);
    }
    sx_free(paths);
    return status;
}

static sx_status make_index(updater *u, sx_error *err)
{
    return geo_import(&u->recipe, u->summary, err);
}

static sx_status apply_files(updater *u, sx_error *err)
{
    const geo_update_options *o = u->options;
    osm_header header;
    sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < o->change_count; i++)
        status = geo_change_check(o->changes[i], err);
    if (status == SX_OK)
        status = read_header(u, &header, err);
    if (status == SX_OK)
        status = write_base(u, o->changes, o->change_count, &header, err);
    return status == SX_OK ? make_index(u, err) : status;
}

/* --- Following. */

static void tell_problem(updater *u, const char *problem)
{
    if (problem[0] && strcmp(u->said, problem) != 0)
        say(u, "%s", problem);
    (void)snprintf(u->said, sizeof(u->said), "%s", problem);
}

/* Applies what is new. *done: there was nothing. */
static sx_status follow_step(updater *u, sx_arena *arena, bool *done, sx_error *err)
{
    osm_header header;
    geo_changes *found = sx_arena_calloc(arena, 1, sizeof(*found));
    standing index;
    sx_status status = found ? read_header(u, &header, err) : sx_fail_memory(err, "an update");
    if (status == SX_OK)
        status =
            geo_changes_find(u->options->follow, &header, u->options->sequence, arena, found, err);
    if (status != SX_OK)
        return status;
    tell_problem(u, found->problem);
    if (found->count) {
        if (found->sequence && !header.sequence && !u->options->sequence)
            say(u, "the map does not say which change it is of: beginning with %s",
                found->paths[0]);
        header.sequence = found->sequence;
        header.replication_ms = found->state_ms ? found->state_ms : header.replication_ms;
        if (!found->sequence)
            (void)snprintf(header.replication_url, sizeof(header.replication_url),
                           GEO_CHANGES_LAST "%s", found->last);
        status = write_base(u, found->paths, found->count, &header, err);
    }
    if (status == SX_OK)
        status = read_header(u, &header, err);
    if (status == SX_OK)
        status = read_index(u, NULL, &index, err);
    if (status != SX_OK)
        return status;
    standing base = standing_of(&header);
    *done = found->count == 0;
    if (same_standing(&base, &index) && *done)
        return SX_OK;
    status = make_index(u, err);
    if (status == SX_OK && found->sequence)
        say(u, "applied %zu change files; the index is at %lld", found->count,
            (long long)header.sequence);
    else if (status == SX_OK)
        say(u, "applied %zu change files; the last is %s", found->count, found->last);
    return status;
}

static sx_status follow(updater *u, sx_error *err)
{
    const geo_update_options *o = u->options;
    sx_status status = SX_OK;
    for (bool going = true; going && status == SX_OK;) {
        sx_arena arena;
        bool done = false;
        sx_arena_init(&arena, ARENA_BYTES, 0);
        status = follow_step(u, &arena, &done, err);
        sx_arena_done(&arena);
        if (status == SX_OK && done)
            going =
                !o->once && o->wait && o->wait(o->context, o->poll_ms > 0 ? o->poll_ms : POLL_MS);
    }
    return status;
}

/* --- Beginning and end. */

static sx_status prepare(updater *u, sx_error *err)
{
    const geo_update_options *o = u->options;
    char lock[GEO_PATH_BYTES + 8];
    if (!realpath(o->index, u->index))
        return sx_fail(err, SX_ENOTFOUND,
                       "there is no index at %s; 'sextant geocode import' makes it", o->index);
    sx_status status = read_index(u, &u->recipe, NULL, err);
    if (status != SX_OK)
        return status;
    const char *base = o->base ? o->base : u->recipe.base;
    if (base && !realpath(base, u->base))
        (void)snprintf(u->base, sizeof(u->base), "%s", base);
    status = check_inputs(u, err);
    if (status != SX_OK)
        return status;
    (void)snprintf(u->folder, sizeof(u->folder), "%s", o->temp_dir ? o->temp_dir : u->index);
    if (!o->temp_dir)
        *(strrchr(u->folder, '/') + 1) = '\0';
    u->recipe.output = u->index;
    u->recipe.temp_dir = u->folder;
    u->recipe.memory_max = o->memory_max;
    u->recipe.threads = o->threads;
    u->recipe.report_path = o->report_path;
    u->recipe.report = o->report;
    u->recipe.context = o->context;
    u->recipe.clock = o->clock;
    (void)snprintf(lock, sizeof(lock), "%s.lock", u->base);
    return sx_file_lock_open(&u->lock, lock, err);
}

sx_status geo_update(const geo_update_options *options, geo_import_progress *summary, sx_error *err)
{
    sx_error own = {0};
    updater *u = sx_calloc(1, sizeof(*u));
    if (!u)
        return sx_fail_memory(err, "an update");
    u->options = options;
    u->summary = summary;
    u->lock.fd = -1;
    sx_arena_init(&u->arena, ARENA_BYTES, 0);
    if (!err)
        err = &own;
    sx_status status = prepare(u, err);
    if (status == SX_OK)
        status = options->follow ? follow(u, err) : apply_files(u, err);
    sx_file_lock_close(&u->lock);
    sx_arena_done(&u->arena);
    sx_free(u);
    return status;
}
