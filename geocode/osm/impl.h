/* impl.h - what the readers of one file share: the run, and the batch that is being built.
 *
 * read.c owns the run: it opens the file, tells its format, starts the workers and hands batches to
 * the caller. pbf.c and pbf_block.c, and xml.c, fill batches through the functions here. */
#ifndef GEOCODE_OSM_IMPL_H
#define GEOCODE_OSM_IMPL_H

#include <pthread.h>

#include <sextant/arena.h>
#include <sextant/compress.h>

#include "geocode/osm/osm.h"

enum {
    OSM_BATCH_OBJECTS = 4096, /* a batch is handed over when it has so many of one of these */
    OSM_BATCH_PLACES = 8192,
    OSM_BATCH_PARTS = 1 << 17, /* tags, refs, members */
    OSM_TEXT_CHARS = 255,      /* what the OSM server takes */
};

typedef struct osm_run {
    const osm_read_options *options;
    osm_limits limits; /* every field set */
    unsigned kinds;
    int64_t future_ms; /* later dates are of the future */
    sx_packed_file *file;
    osm_header header;
    sx_str chunk; /* what was read of the file and not yet taken */
    uint64_t at;  /* bytes of the (unpacked) file taken */
    sx_str first; /* in xml.c: the bytes that told the format */

    /* Between workers: all under `lock`. `turn` is the block whose batches may be handed over when
     * they are to come in order. The failure kept is the earliest block's. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t next_block, turn;
    bool failed;
    uint64_t failed_block;
    sx_error failure;
    osm_report report;
} osm_run;

/* A batch that grows. Parts of an object lie one behind the other and behind those of the object
 * before, so that pointers are set only when the vectors do not move any more. */
typedef struct osm_builder {
    osm_run *run;
    uint32_t worker;
    uint64_t block;
    bool my_turn; /* no need to look again */
    osm_object *objects;
    osm_tag *tags;
    int64_t *refs;
    osm_member *members;
    size_t count, cap, tag_count, tag_cap, ref_count, ref_cap, member_count, member_cap;
    size_t tags_from, refs_from, members_from; /* of the object that is being built */
    osm_object now;                            /* that object */
    bool leave_out;                            /* it */
    int64_t *ids;                              /* of places: OSM_BATCH_PLACES each */
    int32_t *lon_e7, *lat_e7;
    uint32_t *versions;
    size_t place_count;
    sx_arena texts; /* repaired ones (XML: all); until the batch is handed over */
    osm_report report;
} osm_builder;

sx_status osm_builder_init(osm_builder *b, osm_run *run, uint32_t worker, sx_error *err);
void osm_builder_done(osm_builder *b);

/* Whether nodes without tags come as objects, too. */
static inline bool osm_all_nodes(const osm_run *run)
{
    return run->options->nodes == OSM_NODES_ALL || run->header.is_change || run->header.history;
}

/* Starts an object of the kind. */
void osm_builder_start(osm_builder *b, osm_kind kind, int64_t id);

/* What is wrong with the object being built. */
void osm_builder_flaw(osm_builder *b, osm_flaw flaw, const char *what);

/* Adds parts. Texts must be valid and live until the batch is handed over. False: no memory. */
bool osm_builder_tag(osm_builder *b, sx_str key, sx_str value);
bool osm_builder_ref(osm_builder *b, int64_t ref);
bool osm_builder_member(osm_builder *b, osm_kind kind, int64_t ref, sx_str role);

/* Sets the object's date, in ms since 1970. */
void osm_builder_date(osm_builder *b, int64_t ms);

/* Ends the object: checks, counts, keeps it or leaves it out. For nodes lon_e7 and lat_e7 are set. Errors: those of the callback. */
sx_status osm_builder_end(osm_builder *b, sx_error *err);

/* Takes a node's place: in range, or OSM_GONE. */
static inline bool osm_builder_place(osm_builder *b, int64_t id, int32_t lon_e7, int32_t lat_e7,
                                     uint32_t version)
{
    size_t i = b->place_count++;
    b->ids[i] = id;
    b->lon_e7[i] = lon_e7;
    b->lat_e7[i] = lat_e7;
    b->versions[i] = version;
    return b->place_count == OSM_BATCH_PLACES;
}

/* Hands over what there is. */
sx_status osm_builder_flush(osm_builder *b, sx_error *err);

/* Hands over the places alone, while an object is being built. */
sx_status osm_builder_flush_places(osm_builder *b, sx_error *err);

/* `in` itself if it is UTF-8, else a repaired copy in b->texts; flaws are counted. data NULL: no
 * memory. */
sx_str osm_builder_text(osm_builder *b, sx_str in);

/* Reads exactly `len` bytes of the file, unpacked; *got is less at its end. */
sx_status osm_run_take(osm_run *run, void *out, size_t len, size_t *got, sx_error *err);

/* Tells the progress. Under the lock, if there are workers. */
sx_status osm_run_progress(osm_run *run, sx_error *err);

static inline bool osm_in_world(int64_t lon_e7, int64_t lat_e7)
{
    return lon_e7 >= -OSM_LON_E7_MAX && lon_e7 <= OSM_LON_E7_MAX && lat_e7 >= -OSM_LAT_E7_MAX &&
           lat_e7 <= OSM_LAT_E7_MAX;
}

/* pbf.c: all of a PBF. */
sx_status osm_read_pbf(osm_run *run, sx_error *err);

/* xml.c: all of an .osm or .osc. */
sx_status osm_read_xml(osm_run *run, sx_error *err);

/* ---- pbf_block.c ---- */

typedef struct osm_string {
    sx_str text;
    bool checked;
} osm_string;

typedef struct osm_block {
    osm_string *strings;
    size_t string_count, string_cap;
    int64_t granularity, lat_offset, lon_offset, date_granularity;
    const char *what; /* of an error in it */
} osm_block;

/* Decodes an unpacked OSMData block into `b`, handing over batches; the last one too. */
sx_status osm_block_read(osm_block *block, osm_builder *b, sx_str bytes, sx_error *err);

#endif
