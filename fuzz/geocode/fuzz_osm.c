/* fuzz_osm.c - any bytes as an OSM file: PBF, XML or a change file, as their beginning says.
 *
 * Read whole, on one thread and in order on two: both refuse with the same message, or give the same
 * objects, all within bounds. What is accepted is made a set, written as a PBF, and read back: an
 * equal set. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/utf8.h>

#include "geocode/osm/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small ones, so that they are met. */
static const osm_limits LIMITS = {.strings_max = 2000,
                                  .token_bytes_max = 4096,
                                  .blob_bytes_max = 1 << 20,
                                  .text_bytes_max = 1000,
                                  .tags_max = 20,
                                  .refs_max = 300,
                                  .members_max = 200};

typedef struct seen {
    uint64_t hash, count;
} seen;

static uint64_t hash_object(const osm_object *o)
{
    uint64_t h = sx_hash_u64((uint64_t)o->id, (uint64_t)o->kind);
    sx_assert(o->kind <= OSM_RELATION && o->tag_count <= LIMITS.tags_max &&
              o->ref_count <= LIMITS.refs_max && o->member_count <= LIMITS.members_max);
    sx_assert(o->lon_e7 >= -OSM_LON_E7_MAX && o->lon_e7 <= OSM_LON_E7_MAX);
    sx_assert(o->lat_e7 >= -OSM_LAT_E7_MAX && o->lat_e7 <= OSM_LAT_E7_MAX);
    for (uint32_t i = 0; i < o->tag_count; i++) {
        sx_assert(sx_utf8_valid(o->tags[i].key) && sx_utf8_valid(o->tags[i].value));
        h = sx_hash(o->tags[i].value, sx_hash(o->tags[i].key, h));
    }
    for (uint32_t i = 0; i < o->ref_count; i++)
        h = sx_hash_u64((uint64_t)o->refs[i], h);
    for (uint32_t i = 0; i < o->member_count; i++) {
        sx_assert(o->members[i].kind <= OSM_RELATION && sx_utf8_valid(o->members[i].role));
        h = sx_hash(o->members[i].role, sx_hash_u64((uint64_t)o->members[i].ref, h));
    }
    return h;
}

static sx_status see_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    seen *s = ctx;
    (void)err;
    for (size_t i = 0; i < batch->count; i++)
        s->hash = s->hash * 31 + hash_object(&batch->objects[i]);
    s->count += batch->count;
    return SX_OK;
}

static sx_status see_object(void *ctx, const osm_object *o)
{
    seen *s = ctx;
    s->hash = s->hash * 31 + hash_object(o) + o->version;
    s->count++;
    return SX_OK;
}

static void see_set(osm_dataset *d, seen *s)
{
    *s = (seen){0};
    for (int kind = 0; kind < OSM_KINDS; kind++)
        sx_assert(osm_dataset_each(d, (osm_kind)kind, see_object, s, NULL) == SX_OK);
}

static void write_and_read(const char *path)
{
    char out[64];
    const char *written = out;
    osm_dataset *d, *back;
    sx_error err = {0};
    seen ours, theirs;
    (void)snprintf(out, sizeof(out), "/dev/shm/fuzz-osm-%ld.pbf", (long)getpid());
    const osm_dataset_options options = {.threads = 1, .for_writing = true, .limits = LIMITS};
    sx_assert(osm_dataset_open(&options, &path, 1, &d, &err) == SX_OK);
    sx_assert(osm_dataset_write_pbf(d, &(osm_write_options){.path = out, .threads = 1}, &err) ==
              SX_OK);
    osm_dataset_options again = options;
    again.limits.blob_bytes_max = 0;
    again.limits.strings_max = 0;
    sx_assert(osm_dataset_open(&again, &written, 1, &back, &err) == SX_OK);
    see_set(d, &ours);
    see_set(back, &theirs);
    sx_assert(ours.count == theirs.count && ours.hash == theirs.hash);
    sx_assert(osm_dataset_node_count(d) == osm_dataset_node_count(back));
    sx_assert(osm_dataset_report(back)->flaws[OSM_FLAW_UNSORTED] == 0);
    osm_dataset_close(d);
    osm_dataset_close(back);
    (void)unlink(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[40];
    sx_error errs[2] = {{0}};
    seen sights[2] = {{0}};
    sx_status statuses[2];
    if (file < 0) {
        file = memfd_create("osm", MFD_CLOEXEC);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    sx_assert(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    for (int i = 0; i < 2; i++) {
        const osm_read_options options = {.path = path,
                                          .batch = see_batch,
                                          .ctx = &sights[i],
                                          .threads = i ? 2 : 1,
                                          .ordered = true,
                                          .places = true,
                                          .limits = LIMITS};
        statuses[i] = osm_read(&options, &errs[i]);
    }
    sx_assert(statuses[0] == statuses[1] && strcmp(errs[0].message, errs[1].message) == 0);
    if (statuses[0] != SX_OK) {
        sx_assert(errs[0].message[0]);
        return 0;
    }
    sx_assert(sights[0].hash == sights[1].hash && sights[0].count == sights[1].count);
    write_and_read(path);
    return 0;
}
