/* import.c - the import from files to index. See import.h. */
#include "geocode/import/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sextant/compress.h>
#include <sextant/file.h>
#include <sextant/mem.h>

#include "geocode/import/intake.h"
#include "geocode/import/osm_input.h"
#include "geocode/import/paths.h"
#include "geocode/import/recipe.h"

enum { REPORT_EVERY_MS = 100, ARENA_BYTES = 1 << 16 };

/* One import under way. */
typedef struct job {
    const geo_import_options *options;
    geo_intake intake;
    geo_builder *builder;
    sx_packed_file *file; /* the one being read */
    const sx_clock *clock;
    int64_t began_ms, reported_ms;
    uint64_t bytes_before; /* of the files that are done */
    char output[GEO_PATH_BYTES];
    char base[GEO_PATH_BYTES];
    const char **maps; /* paths of map files, in their order */
    size_t map_count;
    const geo_import_input *map_input; /* the first of them */
    osm_report base_flaws;
    geo_import_progress progress;
} job;

static size_t or_default(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

static void set_limits(job *j, const geo_import_limits *l)
{
    geo_import_limits *to = &j->intake.limits;
    *to = (geo_import_limits){
        .line_bytes_max = or_default(l->line_bytes_max, (size_t)16 << 20),
        .names_max = (uint32_t)or_default(l->names_max, 64),
        .properties_max = (uint32_t)or_default(l->properties_max, 128),
        .numbers_max = (uint32_t)or_default(l->numbers_max, 100000),
        .number_properties_max = (uint32_t)or_default(l->number_properties_max, 14),
        .rows_bytes_max = or_default(l->rows_bytes_max, (size_t)256 << 20),
    };
    if (to->names_max > 255)
        to->names_max = 255;
    if (to->number_properties_max > GEO_NUMBER_COLUMNS_MAX)
        to->number_properties_max = GEO_NUMBER_COLUMNS_MAX;
}

/* Tells the caller how far it is. False if the caller wants to stop. */
static bool report(job *j, geo_import_stage stage, bool now)
{
    int64_t time_ms = sx_clock_mono_ms(j->clock);
    if (!now && stage == j->progress.stage && time_ms - j->reported_ms < REPORT_EVERY_MS)
        return true;
    j->reported_ms = time_ms;
    j->progress.stage = stage;
    j->progress.elapsed_ms = time_ms - j->began_ms;
    geo_builder_counts(j->builder, &j->progress.documents, &j->progress.numbers);
    j->progress.skipped = j->intake.skipped;
    j->progress.left_out = j->intake.left_out;
    return !j->options->report || j->options->report(j->options->context, &j->progress);
}

static sx_status canceled(sx_error *err)
{
    return sx_fail(err, SX_ECANCELED, "the import was stopped");
}

/* Told by the readers how far they are. */
static bool alive(void *context)
{
    job *j = context;
    if (j->file)
        j->progress.bytes_done = j->bytes_before + sx_packed_file_taken(j->file);
    return report(j, GEO_IMPORT_READING, false);
}

/* What the answers say of a file: what the caller named, else what is usual for the format. */
static sx_status begin_source(job *j, const geo_import_input *in, const geo_reader *format,
                              sx_error *err)
{
    if (format->is_table)
        return SX_OK;
    geo_source s = {.name = in->name.len ? in->name : sx_str_z(in->path),
                    .attribution = in->attribution,
                    .licence = in->licence,
                    .path = sx_str_z(in->path),
                    .language = in->language || in->no_language ? in->language : format->language};
    if (s.language == format->language && s.attribution.len == 0)
        s.attribution = sx_str_z(format->attribution);
    if (s.language == format->language && s.licence.len == 0)
        s.licence = sx_str_z(format->licence);
    return geo_builder_source(j->builder, &s, err);
}

/* Map files are read together, later, and by their path: several threads seek in them. */
static sx_status take_map(job *j, const geo_import_input *in, sx_error *err)
{
    sx_file_info info;
    sx_status status = sx_file_stat(in->path, &info, NULL);
    if (status != SX_OK || info.is_folder || sx_packed_file_size(j->file) == 0)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "%s is map data from a pipe; save it to a file and name that", in->path);
    j->map_input = j->map_count ? j->map_input : in;
    j->maps[j->map_count++] = in->path;
    return SX_OK;
}

/* The next piece of a file; empty at its end. */
static sx_status read_chunk(sx_packed_file *file, sx_str *chunk, sx_error *err)
{
    *chunk = sx_str_of("", 0);
    sx_status status = sx_packed_file_read(file, chunk, err);
    if (status != SX_END)
        return status;
    *chunk = sx_str_of("", 0);
    return SX_OK;
}

/* Reads a file's beginning into `head`, as much as tells its format; *ended: that was all of it. */
static sx_status read_head(sx_packed_file *file, sx_buf *head, bool *ended, sx_error *err)
{
    sx_str chunk;
    *ended = false;
    while (!*ended && head->len < GEO_HEAD_BYTES &&
           sx_str_find_byte(sx_str_trim_all(sx_buf_view(head)), '\n') ==
               sx_str_trim_all(sx_buf_view(head)).len) {
        sx_status status = read_chunk(file, &chunk, err);
        if (status != SX_OK)
            return status;
        sx_buf_str(head, chunk);
        *ended = chunk.len == 0;
    }
    return sx_buf_status(head, "the beginning of a file", err);
}

/* The file behind its head, to the reader. */
static sx_status feed_all(job *j, const geo_reader *format, void *reader, sx_str head, bool ended,
                          sx_error *err)
{
    sx_str chunk = head;
    for (bool first = true;; first = false) {
        sx_status status = SX_OK;
        if (!first && ended)
            chunk = sx_str_of("", 0);
        else if (!first)
            status = read_chunk(j->file, &chunk, err);
        if (status == SX_OK && !(first && chunk.len == 0))
            status = format->feed(reader, chunk, err);
        if (status != SX_OK || (!first && chunk.len == 0))
            return status;
        if (!alive(j))
            return canceled(err);
    }
}

static sx_status import_open_file(job *j, const geo_import_input *in, sx_buf *head, sx_error *err)
{
    bool ended;
    const geo_reader *format = NULL;
    sx_status status = read_head(j->file, head, &ended, err);
    if (status != SX_OK)
        return status;
    if (geo_osm_head(sx_buf_view(head)))
        return take_map(j, in, err);
    status = geo_reader_of(sx_buf_view(head), &format, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "%s", in->path);
    status = begin_source(j, in, format, err);
    if (status != SX_OK)
        return status;
    j->intake.input = in;
    sx_error own = {0};
    void *reader = format->open(&j->intake, err ? err : &own);
    if (!reader)
        return err ? err->status : own.status;
    status = feed_all(j, format, reader, sx_buf_view(head), ended, err);
    format->close(reader);
    return status;
}

static sx_status import_file(job *j, const geo_import_input *in, sx_error *err)
{
    sx_error own = {0};
    j->file = sx_packed_file_open(in->path, NULL, err ? err : &own);
    if (!j->file)
        return err ? err->status : own.status;
    sx_buf head;
    sx_buf_init(&head, 0);
    size_t maps = j->map_count;
    sx_status status = import_open_file(j, in, &head, err);
    sx_buf_done(&head);
    if (maps == j->map_count) /* else only its beginning was looked at */
        j->bytes_before += sx_packed_file_taken(j->file);
    j->progress.bytes_done = j->bytes_before;
    sx_packed_file_close(j->file);
    j->file = NULL;
    return status;
}

/* --- Maps. */

static bool told_map(void *context, geo_import_stage stage, const char *what, uint64_t done,
                     uint64_t total)
{
    job *j = context;
    bool now = j->progress.what != what;
    j->progress.what = what;
    if (stage == GEO_IMPORT_MAP) {
        j->progress.bytes_done = j->bytes_before + done;
    } else {
        j->progress.step = done;
        j->progress.steps = total;
    }
    return report(j, stage, now);
}

static geo_osm_job map_job(job *j)
{
    return (geo_osm_job){.options = j->options,
                         .paths = j->maps,
                         .path_count = j->map_count,
                         .input = j->map_input,
                         .folder = j->intake.folder,
                         .intake = &j->intake,
                         .progress = &j->progress,
                         .told = told_map,
                         .context = j};
}

/* Whether two paths lead to the same file. */
static bool same_file(const char *a, const char *b)
{
    char x[GEO_PATH_BYTES], y[GEO_PATH_BYTES];
    return realpath(a, x) && realpath(b, y) && strcmp(x, y) == 0;
}

/* The recipe names the base where the first of its map files stood, and none of the others. */
static sx_status put_recipe(job *j, sx_error *err)
{
    const geo_import_options *o = j->options;
    geo_import_options own = *o;
    geo_import_input *inputs = sx_calloc(o->input_count, sizeof(*inputs));
    if (!inputs)
        return sx_fail_memory(err, "the index's recipe");
    own.inputs = inputs;
    own.input_count = 0;
    for (size_t i = 0; i < o->input_count; i++) {
        bool is_map = false;
        for (size_t m = 0; m < j->map_count; m++)
            is_map = is_map || j->maps[m] == o->inputs[i].path;
        if (is_map && &o->inputs[i] != j->map_input)
            continue;
        inputs[own.input_count] = o->inputs[i];
        if (is_map)
            inputs[own.input_count].path = o->base;
        own.input_count++;
    }
    sx_status status = geo_recipe_write(&own, &geo_builder_recipe(j->builder)->tail, err);
    sx_free(inputs);
    return status;
}

/* Merges the maps into the base, from which the index is then made. */
static sx_status make_base(job *j, geo_import_input *base, sx_error *err)
{
    const char *path = j->options->base;
    geo_osm_job maps = map_job(j);
    sx_status status = SX_OK;
    if (j->map_count > 1 || !same_file(j->maps[0], path))
        status = geo_osm_write_base(&maps, path, NULL, &j->base_flaws, err);
    if (status == SX_OK)
        status = put_recipe(j, err);
    if (status == SX_OK && !realpath(path, j->base)) /* an update finds it from any folder */
        status = sx_fail(err, SX_EIO, "%s: %s", path, strerror(errno));
    *base = *j->map_input;
    base->path = j->base;
    j->map_input = base;
    j->maps[0] = j->base;
    j->map_count = 1;
    return status;
}

static sx_status import_maps(job *j, sx_error *err)
{
    geo_import_input base;
    sx_status status = SX_OK;
    if (j->map_count == 0)
        return j->options->base
                   ? sx_fail(err, SX_EINVAL,
                             "there is no map of OpenStreetMap among the files to keep in %s",
                             j->options->base)
                   : SX_OK;
    if (j->options->base)
        status = make_base(j, &base, err);
    geo_osm_job maps = map_job(j);
    maps.base_flaws = j->options->base ? &j->base_flaws : NULL;
    return status == SX_OK ? geo_osm_import(&maps, err) : status;
}

static bool write_step(void *context, uint32_t step, uint32_t steps)
{
    job *j = context;
    j->progress.step = step;
    j->progress.steps = steps;
    return report(j, GEO_IMPORT_WRITING, false);
}

/* An index of nothing is a mistake somewhere before us, such as a download that failed: it must not
 * take the place of a good one. */
static sx_status check_not_empty(const job *j, sx_error *err)
{
    const geo_import_options *o = j->options;
    uint32_t documents;
    uint64_t numbers;
    geo_builder_counts(j->builder, &documents, &numbers);
    if (documents > 0 || j->progress.places > 0)
        return SX_OK;
    if (o->input_count == 1)
        return sx_fail(err, SX_EINVAL, "no document in %s; nothing was written", o->inputs[0].path);
    return sx_fail(err, SX_EINVAL, "no document in %s and %zu more; nothing was written",
                   o->inputs[0].path, o->input_count - 1);
}

static sx_status run(job *j, sx_error *err)
{
    sx_status status = report(j, GEO_IMPORT_READING, true) ? SX_OK : canceled(err);
    for (size_t i = 0; status == SX_OK && i < j->options->input_count; i++)
        status = import_file(j, &j->options->inputs[i], err);
    if (status == SX_OK)
        status = import_maps(j, err);
    if (status == SX_OK)
        status = check_not_empty(j, err);
    if (status != SX_OK)
        return status;
    if (j->progress.bytes_total == 0)
        j->progress.bytes_total = j->progress.bytes_done;
    status = geo_builder_write(j->builder, j->output, write_step, j, err);
    if (status == SX_OK)
        (void)report(j, GEO_IMPORT_DONE, true); /* it is done: nothing is left to stop */
    return status;
}

/* Where the builder may put what does not fit memory: on the disk that must have room anyway. */
static const char *temp_dir(const job *j, char folder[GEO_PATH_BYTES])
{
    if (j->options->temp_dir)
        return j->options->temp_dir;
    size_t len = 0;
    for (size_t i = 0; j->output[i]; i++)
        len = j->output[i] == '/' ? i + 1 : len;
    if (len == 0)
        return ".";
    memcpy(folder, j->output, len);
    folder[len] = '\0';
    return folder;
}

sx_status geo_import(const geo_import_options *options, geo_import_progress *summary, sx_error *err)
{
    if (options->input_count == 0)
        return sx_fail(err, SX_EINVAL, "no file to import was named");
    job j = {.options = options,
             .clock = options->clock ? options->clock : sx_clock_system(),
             .progress = {.bytes_total = geo_paths_bytes(options)}};
    sx_status status = geo_paths_check(options, j.output, err);
    if (status != SX_OK)
        return status;
    set_limits(&j, &options->limits);
    j.began_ms = sx_clock_mono_ms(j.clock);
    char temp[GEO_PATH_BYTES];
    geo_build_options build = {.filters = options->filters,
                               .filter_count = options->filters ? options->filter_count : 0,
                               .temp_dir = temp_dir(&j, temp),
                               .memory_max = options->memory_max};
    j.builder = geo_builder_new(&build, err);
    if (!j.builder)
        return err ? err->status : SX_ENOMEM;
    j.intake.builder = j.builder;
    j.intake.folder = build.temp_dir;
    j.intake.skipped_max = options->skip_max;
    j.intake.alive = alive;
    j.intake.context = &j;
    sx_arena_init(&j.intake.arena, ARENA_BYTES, 0);
    sx_arena_init(&j.intake.names, ARENA_BYTES, 0);
    sx_map_init(&j.intake.places, NULL);
    j.maps = sx_calloc(options->input_count, sizeof(*j.maps));
    status = j.maps ? run(&j, err) : sx_fail_memory(err, "the import");
    sx_free(j.maps);
    sx_map_done(&j.intake.places);
    sx_arena_done(&j.intake.names);
    sx_arena_done(&j.intake.arena);
    geo_builder_free(j.builder);
    if (summary) {
        *summary = j.progress;
        (void)snprintf(summary->first_skipped, sizeof(summary->first_skipped), "%s",
                       j.intake.first_skipped);
    }
    return status;
}
