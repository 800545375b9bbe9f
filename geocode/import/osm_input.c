/* osm_input.c - see osm_input.h. */
#include "geocode/import/osm_input.h"

#include <stdio.h>
#include <string.h>

#include <sextant/buf.h>
#include <sextant/file.h>
#include <sextant/json.h>

#include "geocode/import/places_docs.h"
#include "geocode/nominatim/words_build.h"
#include "geocode/places/build.h"

enum {
    PHRASES_BYTES_MAX = 64 << 20,
    ARENA_BYTES = 1 << 16,
    MEMORY_DEFAULT = 1 << 30,
    DATA_SHARE = 4
};

static const sx_str ATTRIBUTION = SX_STR_INIT("© OpenStreetMap contributors");
static const sx_str LICENCE = SX_STR_INIT("ODbL-1.0");

/* A PBF begins with the length of a blob's header, which begins with its type. */
static bool is_pbf(sx_str head)
{
    static const char TYPE[] = "\x0A\x09OSMHeader";
    return head.len >= 4 + sizeof(TYPE) - 1 && head.data[0] == 0 && head.data[1] == 0 &&
           memcmp(head.data + 4, TYPE, sizeof(TYPE) - 1) == 0;
}

bool geo_osm_head(sx_str head)
{
    static const sx_str BEGINNINGS[] = {SX_STR_INIT("<?xml"), SX_STR_INIT("<osm"),
                                        SX_STR_INIT("<!--")};
    if (is_pbf(head))
        return true;
    sx_str text = sx_str_trim_all(head);
    if (sx_str_starts(text, SX_STR("\xEF\xBB\xBF")))
        text = sx_str_from(text, 3);
    for (size_t i = 0; i < SX_COUNT_OF(BEGINNINGS); i++) {
        if (sx_str_starts(text, BEGINNINGS[i]))
            return true;
    }
    return false;
}

/* --- Progress. */

static bool tell_bytes(void *context, uint64_t done, uint64_t total)
{
    const geo_osm_job *j = context;
    return j->told(j->context, GEO_IMPORT_MAP, "reading the map", done, total);
}

static bool tell_places(void *context, const char *step, uint64_t done, uint64_t total)
{
    const geo_osm_job *j = context;
    return j->told(j->context, GEO_IMPORT_PLACES, step, done, total);
}

typedef struct documents_told {
    const geo_osm_job *job;
    uint64_t total;
} documents_told;

static bool tell_documents(void *context, uint64_t done)
{
    const documents_told *d = context;
    return d->job->told(d->job->context, GEO_IMPORT_PLACES, "documents", done, d->total);
}

/* --- The report. */

static void put_flaws(const osm_report *r, sx_buf *out)
{
    for (int i = 0; i < OSM_FLAWS; i++) {
        if (!r->flaws[i])
            continue;
        sx_json_writer w;
        sx_json_writer_init(&w, out, NULL);
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("kind"));
        sx_json_str(&w, SX_STR("flaw"));
        sx_json_key(&w, SX_STR("text"));
        sx_json_str(&w, sx_str_z(osm_flaw_words((osm_flaw)i)));
        sx_json_key(&w, SX_STR("count"));
        sx_json_u64(&w, r->flaws[i]);
        sx_json_key(&w, SX_STR("example"));
        sx_json_str(&w, sx_str_z(r->examples[i]));
        sx_json_end_object(&w);
        (void)sx_json_writer_finish(&w, NULL);
        sx_buf_byte(out, '\n');
    }
}

static void put_broken(const plc_report *r, sx_buf *out)
{
    for (uint32_t i = 0; i < r->listed; i++) {
        const plc_broken *b = &r->broken[i];
        sx_json_writer w;
        sx_json_writer_init(&w, out, NULL);
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("kind"));
        sx_json_str(&w, SX_STR("area"));
        sx_json_key(&w, SX_STR("osm_type"));
        sx_json_str(&w, sx_str_z(osm_kind_name(b->kind)));
        sx_json_key(&w, SX_STR("osm_id"));
        sx_json_i64(&w, b->id);
        sx_json_key(&w, SX_STR("name"));
        sx_json_str(&w, sx_str_z(b->name));
        sx_json_key(&w, SX_STR("repaired"));
        sx_json_bool(&w, b->repaired);
        sx_json_key(&w, SX_STR("text"));
        sx_json_str(&w, sx_str_z(b->text));
        sx_json_end_object(&w);
        (void)sx_json_writer_finish(&w, NULL);
        sx_buf_byte(out, '\n');
    }
}

/* The last line has the sums. */
static void put_sums(const osm_report *o, const plc_report *p, sx_buf *out)
{
    const struct {
        const char *key;
        uint64_t value;
    } SUMS[] = {{"nodes", o->objects[OSM_NODE]},
                {"ways", o->objects[OSM_WAY]},
                {"relations", o->objects[OSM_RELATION]},
                {"places", p->places},
                {"streets", p->streets},
                {"houses", p->houses},
                {"areas", p->areas},
                {"broken_areas", p->broken_count},
                {"without_points", p->without_points}};
    sx_json_writer w;
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("kind"));
    sx_json_str(&w, SX_STR("sums"));
    for (size_t i = 0; i < SX_COUNT_OF(SUMS); i++) {
        sx_json_key(&w, sx_str_z(SUMS[i].key));
        sx_json_u64(&w, SUMS[i].value);
    }
    sx_json_end_object(&w);
    (void)sx_json_writer_finish(&w, NULL);
    sx_buf_byte(out, '\n');
}

static sx_status write_report(const geo_osm_job *j, const osm_report *flaws,
                              const plc_report *places, sx_error *err)
{
    sx_buf out;
    if (!j->options->report_path)
        return SX_OK;
    sx_buf_init(&out, 0);
    put_flaws(flaws, &out);
    put_broken(places, &out);
    put_sums(flaws, places, &out);
    sx_status status = sx_buf_status(&out, "the import's report", err);
    if (status == SX_OK)
        status = sx_file_replace(j->options->report_path, sx_buf_view(&out), err);
    sx_buf_done(&out);
    return status;
}

/* For the summary. */
static void take_counts(geo_import_progress *p, const osm_report *flaws, const plc_report *places)
{
    for (int i = 0; i < OSM_KINDS; i++)
        p->objects += flaws->objects[i];
    for (int i = 0; i < OSM_FLAWS; i++) {
        if (flaws->flaws[i] && !p->flaws)
            (void)snprintf(p->first_flaw, sizeof(p->first_flaw), "%s (%s)",
                           osm_flaw_words((osm_flaw)i), flaws->examples[i]);
        p->flaws += flaws->flaws[i];
    }
    p->places = places->places;
    p->broken = places->broken_count;
    if (places->listed)
        (void)snprintf(p->first_broken, sizeof(p->first_broken), "%s %lld%s%s: %s",
                       osm_kind_name(places->broken[0].kind), (long long)places->broken[0].id,
                       places->broken[0].name[0] ? " " : "", places->broken[0].name,
                       places->broken[0].text);
}

/* --- The stages. */

static geo_source source_of(const geo_osm_job *j)
{
    const geo_import_input *in = j->input;
    return (geo_source){.name = in->name.len ? in->name : SX_STR("OpenStreetMap"),
                        .attribution = in->attribution.len ? in->attribution : ATTRIBUTION,
                        .licence = in->licence.len ? in->licence : LICENCE,
                        .path = sx_str_z(in->path),
                        .language = in->language};
}

static size_t memory_of(const geo_osm_job *j)
{
    return j->options->memory_max ? j->options->memory_max : MEMORY_DEFAULT;
}

/* Beyond a quarter of the memory the map lies in files: places need more. */
static sx_status open_dataset(const geo_osm_job *j, bool for_writing, osm_dataset **out,
                              sx_error *err)
{
    osm_dataset_options o = {.folder = j->folder,
                             .memory_max = memory_of(j) / DATA_SHARE,
                             .threads = j->options->threads,
                             .for_writing = for_writing,
                             .progress = tell_bytes,
                             .ctx = (void *)(uintptr_t)j,
                             .clock = j->options->clock};
    return osm_dataset_open(&o, j->paths, j->path_count, out, err);
}

static sx_status build_words(const geo_osm_job *j, plc_writer *w, sx_error *err)
{
    sx_buf text;
    sx_arena arena;
    nom_phrases phrases = {.count = 0};
    plc_index view;
    sx_buf_init(&text, 0);
    sx_arena_init(&arena, ARENA_BYTES, 0);
    sx_status status = SX_OK;
    const char *file = j->options->phrases;
    if (file)
        status = sx_file_read(file, PHRASES_BYTES_MAX, &text, err);
    if (status == SX_OK && file) {
        status = nom_phrases_read(sx_buf_view(&text), &arena, &phrases, err);
        if (status != SX_OK)
            (void)sx_error_prefix(err, status, "%s", file);
    }
    if (status == SX_OK && !tell_places((void *)(uintptr_t)j, "words", 0, 1))
        status = sx_fail(err, SX_ECANCELED, "the import was stopped");
    if (status == SX_OK)
        status = plc_writer_view(w, &view, err);
    if (status == SX_OK)
        status = nom_words_build(&view, file ? &phrases : NULL, w, err);
    if (status == SX_OK)
        status = plc_writer_seal(w, err);
    sx_arena_done(&arena);
    sx_buf_done(&text);
    return status;
}

static sx_status add_documents(const geo_osm_job *j, plc_writer *w, sx_error *err)
{
    plc_index view;
    geo_source source = source_of(j);
    sx_status status = plc_writer_view(w, &view, err);
    if (status != SX_OK)
        return status;
    documents_told told = {j, view.place_count};
    status =
        geo_places_documents(j->intake, &view, &source, j->input->language || j->input->no_language,
                             tell_documents, &told, err);
    return status == SX_OK ? plc_writer_take(w, geo_builder_places(j->intake->builder), err)
                           : status;
}

/* What was read, and what was wrong with it. */
typedef struct outcome {
    osm_report flaws;
    plc_report places;
} outcome;

/* The map is let go as soon as its places are made: words and documents come from these. */
static sx_status build_places(const geo_osm_job *j, plc_writer *w, outcome *out, sx_error *err)
{
    osm_dataset *data = NULL;
    plc_build_options o = {.threads = j->options->threads,
                           .folder = j->folder,
                           .memory_max = memory_of(j),
                           .attribution = j->input->attribution, /* empty: as Nominatim words it */
                           .licence = j->input->licence,
                           .progress = tell_places,
                           .ctx = (void *)(uintptr_t)j};
    sx_status status = open_dataset(j, false, &data, err);
    if (status != SX_OK)
        return status;
    status = plc_build(data, &o, w, &out->places, err);
    osm_report_merge(&out->flaws, osm_dataset_report(data));
    osm_dataset_close(data);
    return status;
}

sx_status geo_osm_import(const geo_osm_job *j, sx_error *err)
{
    outcome out = {.flaws = j->base_flaws ? *j->base_flaws : (osm_report){.newest_ms = 0}};
    plc_report_init(&out.places);
    if (j->base_flaws) /* they are counted when the base is read */
        memset(out.flaws.objects, 0, sizeof(out.flaws.objects));
    plc_writer *w = plc_writer_new(j->folder, 0, err);
    sx_status status = w ? build_places(j, w, &out, err) : SX_ENOMEM;
    if (status == SX_OK)
        status = build_words(j, w, err);
    if (status == SX_OK)
        status = add_documents(j, w, err);
    plc_writer_free(w);
    take_counts(j->progress, &out.flaws, &out.places);
    if (status == SX_OK)
        status = write_report(j, &out.flaws, &out.places, err);
    plc_report_done(&out.places);
    return status;
}

sx_status geo_osm_write_base(const geo_osm_job *j, const char *base, const osm_header *header,
                             osm_report *report, sx_error *err)
{
    osm_dataset *data = NULL;
    sx_status status = open_dataset(j, true, &data, err);
    if (status != SX_OK)
        return status;
    osm_header own = header ? *header : *osm_dataset_header(data);
    int64_t newest_ms = osm_dataset_report(data)->newest_ms;
    if (own.replication_ms && newest_ms > own.replication_ms)
        own.replication_ms = newest_ms;
    osm_write_options o = {.path = base, .threads = j->options->threads, .header = &own};
    status = osm_dataset_write_pbf(data, &o, err);
    if (status == SX_OK && report)
        osm_report_merge(report, osm_dataset_report(data));
    osm_dataset_close(data);
    return status;
}
