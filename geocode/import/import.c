/* import.c - the import from files to index. See import.h. */
#include "geocode/import/import.h"

#include <sextant/compress.h>
#include <sextant/json.h>

#include "geocode/import/document.h"
#include "geocode/import/paths.h"

enum { REPORT_EVERY_MS = 100, DOCUMENTS_A_LOOK = 256, ARENA_BYTES = 1 << 16 };

/* One import under way. */
typedef struct job {
    const geo_import_options *options;
    geo_import_limits limits;
    geo_builder *builder;
    sx_arena arena; /* of the line being read */
    const sx_clock *clock;
    int64_t began_ms, reported_ms;
    uint64_t bytes_before; /* of the files that are done */
    char output[GEO_PATH_BYTES];
    geo_import_progress progress;
} job;

static size_t or_default(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

static void set_limits(job *j, const geo_import_limits *l)
{
    j->limits = (geo_import_limits){
        .line_bytes_max = or_default(l->line_bytes_max, (size_t)16 << 20),
        .names_max = (uint32_t)or_default(l->names_max, 64),
        .properties_max = (uint32_t)or_default(l->properties_max, 128),
        .numbers_max = (uint32_t)or_default(l->numbers_max, 100000),
        .number_properties_max = (uint32_t)or_default(l->number_properties_max, 14),
    };
    if (j->limits.names_max > 255)
        j->limits.names_max = 255;
    if (j->limits.number_properties_max > GEO_NUMBER_COLUMNS_MAX)
        j->limits.number_properties_max = GEO_NUMBER_COLUMNS_MAX;
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
    return !j->options->report || j->options->report(j->options->context, &j->progress);
}

static sx_status canceled(sx_error *err)
{
    return sx_fail(err, SX_ECANCELED, "the import was stopped");
}

/* What the first bytes say: NDJSON begins with a brace. */
static sx_status check_content(sx_str head, sx_error *err)
{
    head = sx_str_trim_all(head);
    if (sx_str_starts(head, SX_STR("\xEF\xBB\xBF")))
        head = sx_str_from(head, 3);
    if (head.len == 0 || head.data[0] == '{')
        return SX_OK;
    return sx_fail(err, SX_EUNSUPPORTED,
                   "it does not begin with '{', so it is no NDJSON; documents must stand one a "
                   "line, as Addok reads them");
}

static sx_status import_line(job *j, sx_str line, sx_error *err)
{
    geo_in_doc doc;
    sx_arena_reset(&j->arena);
    sx_status status = geo_document_parse(line, &j->arena, &j->limits, &doc, err);
    return status == SX_OK ? geo_builder_add(j->builder, &doc, err) : status;
}

/* All lines that are whole in the chunk. SX_AGAIN: feed the next; SX_END: that was the last. */
static sx_status import_chunk(job *j, sx_json_lines *lines, sx_packed_file *file, const char *path,
                              sx_error *err)
{
    sx_str line;
    uint32_t seen = 0;
    for (;;) {
        sx_status status = sx_json_lines_next(lines, &line, err);
        if (status == SX_AGAIN || status == SX_END)
            return status;
        if (status == SX_OK)
            status = import_line(j, line, err);
        if (status != SX_OK)
            return sx_error_prefix(err, status, "%s:%llu", path, (unsigned long long)lines->line);
        if (++seen % DOCUMENTS_A_LOOK != 0)
            continue;
        j->progress.bytes_done = j->bytes_before + sx_packed_file_taken(file);
        if (!report(j, GEO_IMPORT_READING, false))
            return canceled(err);
    }
}

static sx_status import_lines(job *j, sx_packed_file *file, sx_json_lines *lines, const char *path,
                              sx_error *err)
{
    bool first = true;
    for (;;) {
        sx_str chunk = {"", 0};
        sx_status status = sx_packed_file_read(file, &chunk, err);
        if (status != SX_OK && status != SX_END)
            return status;
        if (status == SX_END)
            chunk = sx_str_of("", 0);
        if (first && chunk.len) {
            first = false;
            status = check_content(chunk, err);
            if (status != SX_OK)
                return sx_error_prefix(err, status, "%s", path);
            if (sx_str_starts(chunk, SX_STR("\xEF\xBB\xBF")))
                chunk = sx_str_from(chunk, 3);
            if (chunk.len == 0)
                continue;
        }
        sx_json_lines_feed(lines, chunk);
        status = import_chunk(j, lines, file, path, err);
        if (status == SX_END)
            return SX_OK;
        if (status != SX_AGAIN)
            return status;
    }
}

/* Where the answers' attribution comes from when the caller names none. */
static geo_source source_of(const geo_import_input *in)
{
    geo_source s = {.name = in->name.len ? in->name : sx_str_z(in->path),
                    .attribution = in->attribution,
                    .licence = in->licence,
                    .path = sx_str_z(in->path),
                    .language = in->language ? in->language : GEO_LANGUAGE_FRENCH};
    if (s.language == GEO_LANGUAGE_FRENCH && s.attribution.len == 0)
        s.attribution = SX_STR("BAN");
    if (s.language == GEO_LANGUAGE_FRENCH && s.licence.len == 0)
        s.licence = SX_STR("ETALAB-2.0");
    return s;
}

static sx_status import_file(job *j, const geo_import_input *in, sx_error *err)
{
    geo_source source = source_of(in);
    sx_status status = geo_builder_source(j->builder, &source, err);
    if (status != SX_OK)
        return status;
    sx_error own = {0};
    sx_packed_file *file = sx_packed_file_open(in->path, NULL, err ? err : &own);
    if (!file)
        return err ? err->status : own.status;
    sx_json_lines lines;
    sx_json_lines_init(&lines, j->limits.line_bytes_max);
    status = import_lines(j, file, &lines, in->path, err);
    sx_json_lines_done(&lines);
    j->bytes_before += sx_packed_file_taken(file);
    j->progress.bytes_done = j->bytes_before;
    sx_packed_file_close(file);
    return status;
}

static bool write_step(void *context, uint32_t step, uint32_t steps)
{
    job *j = context;
    j->progress.step = step;
    j->progress.steps = steps;
    return report(j, GEO_IMPORT_WRITING, true);
}

/* An index of nothing is a mistake somewhere before us, such as a download that failed: it must not
 * take the place of a good one. */
static sx_status check_not_empty(const job *j, sx_error *err)
{
    const geo_import_options *o = j->options;
    uint32_t documents;
    uint64_t numbers;
    geo_builder_counts(j->builder, &documents, &numbers);
    if (documents > 0)
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
    sx_arena_init(&j.arena, ARENA_BYTES, 0);
    status = run(&j, err);
    sx_arena_done(&j.arena);
    geo_builder_free(j.builder);
    if (summary)
        *summary = j.progress;
    return status;
}
