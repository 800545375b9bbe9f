/* build.c - the steps of the build in their order; see build.h. */
#include "geocode/places/build_impl.h"

#include <sextant/mem.h>

enum { SCRATCH_BYTES = 1 << 16, ARENA_BYTES = 1 << 20 };

static const double CLOSE_GAP = 0.00001; /* about a metre */

void plc_report_init(plc_report *r)
{
    *r = (plc_report){0};
}

void plc_report_done(plc_report *r)
{
    for (uint32_t i = 0; i < r->listed; i++) {
        sx_free(r->broken[i].name);
        sx_free(r->broken[i].text);
    }
    sx_free(r->broken);
    *r = (plc_report){0};
}

static sx_status start(bld *b, sx_error *err)
{
    uint32_t count = osm_threads(b->options.threads);
    b->workers = sx_calloc(count, sizeof *b->workers);
    if (!b->workers)
        return sx_fail_memory(err, "the threads of the import");
    b->worker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        sx_arena_init(&b->workers[i].arena, ARENA_BYTES, 0);
        sx_arena_init(&b->workers[i].scratch, SCRATCH_BYTES, 0);
        sx_buf_init(&b->workers[i].shape, 0);
        b->workers[i].words = wrd_analyzer_new(err);
        b->workers[i].texts = sx_calloc(BLD_TEXTS, sizeof(bld_text_hash));
        if (!b->workers[i].words || !b->workers[i].texts)
            return sx_fail_memory(err, "the threads of the import");
    }
    return SX_OK;
}

static void finish(bld *b)
{
    for (uint32_t i = 0; i < b->worker_count; i++) {
        sx_arena_done(&b->workers[i].arena);
        sx_arena_done(&b->workers[i].scratch);
        sx_buf_done(&b->workers[i].shape);
        wrd_analyzer_free(b->workers[i].words);
        sx_free(b->workers[i].texts);
        sx_free(b->workers[i].hashes);
    }
    sx_free(b->workers);
    for (size_t i = 0; i < b->places.count; i++)
        geo_area_free(b->places.items[i].area);
    if (!b->room.places_map)
        sx_free(b->places.items);
    bld_room_done(&b->room);
    sx_free(b->postcodes_at.items);
    sx_free(b->interpolations.items);
    sx_free(b->entrances.items);
    sx_free(b->street_members.items);
    sx_free(b->postcodes.items);
    sx_free(b->pieces.items);
    sx_free(b->countries);
    sx_free(b->order);
    bld_chains_done(&b->location_names);
    bld_chains_done(&b->street_names);
    bld_tree *const trees[] = {&b->locations, &b->holders, &b->nodes,         &b->streets,
                               &b->buildings, &b->lanes,   &b->postcodes_tree};
    for (size_t i = 0; i < SX_COUNT_OF(trees); i++)
        sx_buf_done(&trees[i]->bytes);
}

typedef struct step {
    const char *name;
    sx_status (*run)(bld *b, sx_error *err);
} step;

static const step STEPS[] = {
    {"reading tags and shapes", bld_gather},
    {"ranks and countries", bld_classify},
    {"postcodes", bld_postcodes},
    {"boundaries and places", bld_arrange},
    {"streets and houses", bld_attach},
    {"interpolated numbers", bld_interpolate},
    {"the places of postcodes", bld_postcode_parents},
    {"writing places", bld_emit},
};

sx_status plc_build(const osm_dataset *data, const plc_build_options *options, plc_writer *w,
                    plc_report *report, sx_error *err)
{
    bld b = {.data = data, .writer = w, .report = report};
    if (options)
        b.options = *options;
    if (b.options.close_gap <= 0)
        b.options.close_gap = CLOSE_GAP;
    sx_status status = bld_room_init(&b.room, b.options.folder, b.options.memory_max, err);
    if (status == SX_OK)
        status = start(&b, err);
    for (size_t i = 0; i < SX_COUNT_OF(STEPS) && status == SX_OK; i++) {
        if (b.options.progress &&
            !b.options.progress(b.options.ctx, STEPS[i].name, i, SX_COUNT_OF(STEPS)))
            status = sx_fail(err, SX_ECANCELED, "the import was ended while %s", STEPS[i].name);
        else
            status = STEPS[i].run(&b, err);
    }
    finish(&b);
    return status == SX_OK ? plc_writer_seal(w, err) : status;
}
