/* bench_osm.c - speed of reading OpenStreetMap data, and what node places take.
 *
 *     bench_osm read FILE [ROUNDS]       elements a second and core, all kinds, places packed
 *     bench_osm locations NODES          memory and look-ups of so many synthetic nodes
 *     bench_osm dataset FILE...          time and bytes of the merged set
 *     bench_osm write OUT FILE...        time to write the merged set as a PBF
 *     bench_osm synth NODES OUT          a synthetic extract: nodes, a way for ten of them
 *
 * Prints `name value unit` lines. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <sextant/clock.h>
#include <sextant/compress.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "geocode/osm/dataset.h"
#include "geocode/osm/locations.h"

typedef struct counts {
    _Atomic uint64_t objects, places, tags, refs, members;
} counts;

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double wall_seconds(void)
{
    return (double)sx_clock_mono_ns(sx_clock_system()) / 1e9;
}

static int fail(const sx_error *err)
{
    (void)fprintf(stderr, "bench_osm: %s\n", err->message);
    return 1;
}

static sx_status count_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    counts *c = ctx;
    uint64_t tags = 0, refs = 0, members = 0;
    (void)err;
    for (size_t i = 0; i < batch->count; i++) {
        tags += batch->objects[i].tag_count;
        refs += batch->objects[i].ref_count;
        members += batch->objects[i].member_count;
    }
    atomic_fetch_add(&c->objects, batch->count);
    atomic_fetch_add(&c->places, batch->places.count);
    atomic_fetch_add(&c->tags, tags);
    atomic_fetch_add(&c->refs, refs);
    atomic_fetch_add(&c->members, members);
    return SX_OK;
}

static int bench_read(int argc, char **argv)
{
    sx_error err = {0};
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
    osm_report report = {0};
    counts c = {0};
    double cpu = cpu_seconds(), wall = wall_seconds();
    for (uint64_t i = 0; i < rounds; i++) {
        osm_read_options options = {.path = argv[0],
                                    .batch = count_batch,
                                    .ctx = &c,
                                    .nodes = OSM_NODES_TAGGED,
                                    .places = true,
                                    .report = &report};
        if (osm_read(&options, &err) != SX_OK)
            return fail(&err);
    }
    cpu = cpu_seconds() - cpu;
    wall = wall_seconds() - wall;
    uint64_t all = 0;
    for (int i = 0; i < OSM_KINDS; i++) {
        all += report.objects[i];
        printf("%ss %" PRIu64 " count\n", osm_kind_name((osm_kind)i), report.objects[i] / rounds);
    }
    printf("tags %" PRIu64 " count\nrefs %" PRIu64 " count\nmembers %" PRIu64 " count\n",
           c.tags / rounds, c.refs / (uint64_t)rounds, c.members / (uint64_t)rounds);
    printf("elements_per_core_second %.0f 1/s\n", (double)all / cpu);
    printf("elements_per_second %.0f 1/s\n", (double)all / wall);
    for (int i = 0; i < OSM_FLAWS; i++)
        if (report.flaws[i])
            printf("# %" PRIu64 " %s; first: %s\n", report.flaws[i], osm_flaw_words((osm_flaw)i),
                   report.examples[i]);
    return 0;
}

/* ---- Data set ---- */

static void print_memory(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("memory_peak %ld MB\n", usage.ru_maxrss / 1024);
}

static int bench_dataset(const char *out, int count, char **paths)
{
    sx_error err = {0};
    osm_dataset *d;
    const osm_dataset_options options = {.folder = "/var/tmp", .for_writing = out != NULL};
    double cpu = cpu_seconds(), wall = wall_seconds();
    if (osm_dataset_open(&options, (const char *const *)paths, (size_t)count, &d, &err) != SX_OK)
        return fail(&err);
    uint64_t all = osm_dataset_node_count(d);
    printf("nodes %" PRIu64 " count\n", all);
    for (int i = 0; i < OSM_KINDS; i++)
        printf("%s%ss %zu count\n", i ? "" : "tagged_", osm_kind_name((osm_kind)i),
               osm_dataset_count(d, (osm_kind)i));
    all += osm_dataset_count(d, OSM_WAY) + osm_dataset_count(d, OSM_RELATION);
    cpu = cpu_seconds() - cpu;
    printf("open %.3f s\nopen_cpu %.3f s\nbytes %" PRIu64 " B\n", wall_seconds() - wall, cpu,
           osm_dataset_bytes(d));
    printf("elements_per_core_second %.0f 1/s\n", (double)all / cpu);
    if (out) {
        wall = wall_seconds();
        if (osm_dataset_write_pbf(d, &(osm_write_options){.path = out}, &err) != SX_OK)
            return fail(&err);
        printf("write %.3f s\n", wall_seconds() - wall);
    }
    osm_dataset_close(d);
    print_memory();
    return 0;
}

/* ---- Synthetic nodes: as a survey leaves them, in streets ---- */

typedef struct walk {
    uint64_t seed;
    int64_t id;
    int32_t lon, lat;
} walk;

static uint64_t chance(walk *w)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w->seed >> 33;
}

static void step(walk *w)
{
    w->id += chance(w) % 20 == 0 ? 2 + (int64_t)(chance(w) % 30) : 1;
    if (chance(w) % 50 == 0) { /* another street, some 10 km around */
        w->lon = 95000000 + (int32_t)(chance(w) % 2000000);
        w->lat = 471000000 + (int32_t)(chance(w) % 2000000);
    }
    w->lon += (int32_t)(chance(w) % 6000) - 3000;
    w->lat += (int32_t)(chance(w) % 4000) - 2000;
}

enum { BLOCK_NODES = 8000, LOOKUPS = 2000000, WAY_NODES = 10 };

static int bench_locations(uint64_t count)
{
    static int64_t ids[BLOCK_NODES];
    static int32_t lons[BLOCK_NODES], lats[BLOCK_NODES];
    sx_error err = {0};
    osm_locations *l = osm_locations_new(&(osm_locations_options){.threads = 1}, &err);
    if (!l)
        return fail(&err);
    walk w = {.seed = 7, .id = 1};
    double wall = wall_seconds();
    for (uint64_t block = 0; block * BLOCK_NODES < count; block++) {
        for (size_t i = 0; i < BLOCK_NODES; i++) {
            step(&w);
            ids[i] = w.id;
            lons[i] = w.lon;
            lats[i] = w.lat;
        }
        const osm_places places = {ids, lons, lats, NULL, BLOCK_NODES};
        if (osm_locations_add(l, 0, block, &places, &err) != SX_OK)
            return fail(&err);
    }
    printf("fill %.0f nodes/s\n", (double)count / (wall_seconds() - wall));
    if (osm_locations_freeze(l, NULL, &err) != SX_OK)
        return fail(&err);
    printf("bytes_per_node %.2f B\n",
           (double)osm_locations_bytes(l) / (double)osm_locations_count(l));
    double cpu = cpu_seconds();
    uint64_t found = 0;
    for (int i = 0; i < LOOKUPS; i++) {
        int32_t lon, lat;
        found += osm_locations_find(l, (int64_t)(chance(&w) * 31 % (uint64_t)w.id), &lon, &lat);
    }
    printf("find_at_random %.0f ns\nfound %.2f share\n", (cpu_seconds() - cpu) * 1e9 / LOOKUPS,
           (double)found / LOOKUPS);
    osm_locations_free(l);
    print_memory();
    return 0;
}

static void put_blob(FILE *out, const char *type, sx_str plain)
{
    sx_buf blob, packed, head;
    sx_buf_init(&blob, 0);
    sx_buf_init(&packed, 0);
    sx_buf_init(&head, 0);
    if (sx_compress(SX_CODEC_ZLIB, plain, 0, &packed, NULL) != SX_OK)
        exit(1);
    sx_pb_put_u64(&blob, 2, plain.len);
    sx_pb_put_str(&blob, 3, sx_buf_view(&packed));
    sx_pb_put_str(&head, 1, sx_str_z(type));
    sx_pb_put_u64(&head, 3, blob.len);
    const unsigned char length[4] = {0, 0, (unsigned char)(head.len >> 8), (unsigned char)head.len};
    if (fwrite(length, 4, 1, out) + fwrite(head.data, head.len, 1, out) +
            fwrite(blob.data, blob.len, 1, out) !=
        3)
        exit(1);
    sx_buf_done(&blob);
    sx_buf_done(&packed);
    sx_buf_done(&head);
}

static void put_lists(sx_buf *group, uint32_t field, sx_buf *lists, const uint32_t *fields,
                      size_t n)
{
    size_t mark = sx_pb_begin(group, field);
    for (size_t i = 0; i < n; i++) {
        sx_pb_put_str(group, fields[i], sx_buf_view(&lists[i]));
        sx_buf_clear(&lists[i]);
    }
    sx_pb_end(group, mark);
}

static void put_block(FILE *out, sx_buf *group)
{
    sx_buf block;
    sx_buf_init(&block, 0);
    size_t mark = sx_pb_begin(&block, 1);
    sx_pb_put_str(&block, 1, SX_STR(""));
    sx_pb_put_str(&block, 1, SX_STR("highway"));
    sx_pb_put_str(&block, 1, SX_STR("residential"));
    sx_pb_end(&block, mark);
    sx_pb_put_str(&block, 2, sx_buf_view(group));
    put_blob(out, "OSMData", sx_buf_view(&block));
    sx_buf_done(&block);
    sx_buf_clear(group);
}

static void synth_nodes(FILE *out, uint64_t count)
{
    static const uint32_t FIELDS[] = {1, 8, 9};
    walk w = {.seed = 7, .id = 1}, before = {0};
    sx_buf group, lists[3];
    sx_buf_init(&group, 0);
    for (int i = 0; i < 3; i++)
        sx_buf_init(&lists[i], 0);
    for (uint64_t i = 1; i <= count; i++) {
        step(&w);
        sx_pb_add_varint(&lists[0], sx_pb_zigzag_of(w.id - before.id));
        sx_pb_add_varint(&lists[1], sx_pb_zigzag_of(w.lat - before.lat));
        sx_pb_add_varint(&lists[2], sx_pb_zigzag_of(w.lon - before.lon));
        before = w;
        if (i % BLOCK_NODES == 0 || i == count) {
            put_lists(&group, 2, lists, FIELDS, 3);
            put_block(out, &group);
            before = (walk){0};
        }
    }
    sx_buf_done(&group);
    for (int i = 0; i < 3; i++)
        sx_buf_done(&lists[i]);
}

static void synth_ways(FILE *out, uint64_t count)
{
    walk w = {.seed = 7, .id = 1};
    sx_buf group;
    sx_buf_init(&group, 0);
    for (uint64_t i = 1; i <= count; i++) {
        int64_t before = 0;
        size_t way = sx_pb_begin(&group, 3);
        sx_pb_put_u64(&group, 1, i);
        sx_pb_put_str(&group, 2, SX_STR("\1"));
        sx_pb_put_str(&group, 3, SX_STR("\2"));
        size_t refs = sx_pb_begin(&group, 8);
        for (int k = 0; k < WAY_NODES; k++) {
            step(&w);
            sx_pb_add_varint(&group, sx_pb_zigzag_of(w.id - before));
            before = w.id;
        }
        sx_pb_end(&group, refs);
        sx_pb_end(&group, way);
        if (i % BLOCK_NODES == 0 || i == count)
            put_block(out, &group);
    }
    sx_buf_done(&group);
}

static int synth(uint64_t count, const char *path)
{
    FILE *out = fopen(path, "wb");
    sx_buf header;
    if (!out) {
        perror(path);
        return 1;
    }
    sx_buf_init(&header, 0);
    sx_pb_put_str(&header, 4, SX_STR("OsmSchema-V0.6"));
    sx_pb_put_str(&header, 4, SX_STR("DenseNodes"));
    sx_pb_put_str(&header, 5, SX_STR("Sort.Type_then_ID"));
    put_blob(out, "OSMHeader", sx_buf_view(&header));
    sx_buf_done(&header);
    synth_nodes(out, count);
    synth_ways(out, count / WAY_NODES);
    return fclose(out) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "read") == 0)
        return bench_read(argc - 2, argv + 2);
    if (strcmp(what, "dataset") == 0)
        return bench_dataset(NULL, argc - 2, argv + 2);
    if (strcmp(what, "write") == 0 && argc > 3)
        return bench_dataset(argv[2], argc - 3, argv + 3);
    if (strcmp(what, "locations") == 0)
        return bench_locations(strtoull(argv[2], NULL, 10));
    if (strcmp(what, "synth") == 0 && argc > 3)
        return synth(strtoull(argv[2], NULL, 10), argv[3]);
    (void)fprintf(stderr, "usage: bench_osm read|dataset|write|locations|synth ...\n");
    return 2;
}
