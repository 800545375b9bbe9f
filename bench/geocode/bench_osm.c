/* bench_osm.c - speed of reading OpenStreetMap data, and what node places take.
 *
 *     bench_osm read FILE [ROUNDS]       elements a second and core, all kinds, places packed
 *     bench_osm hash FILE...             a number over all objects of each, as `osmium cat -f opl`
 *                                        can be made to give it: counts of what is in the file
 *     bench_osm locations NODES [BYTES]  memory and look-ups of so many synthetic nodes
 *     bench_osm dataset FILE...          time and bytes of the merged set
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
#include <sextant/mem.h>

#include "geocode/osm/osm.h"

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
    long rounds = argc > 1 ? atol(argv[1]) : 10;
    osm_report report = {0};
    counts c = {0};
    double cpu = cpu_seconds(), wall = wall_seconds();
    for (long i = 0; i < rounds; i++) {
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
        printf("%ss %" PRIu64 " count\n", osm_kind_name((osm_kind)i),
               report.objects[i] / (uint64_t)rounds);
    }
    printf("tags %" PRIu64 " count\nrefs %" PRIu64 " count\nmembers %" PRIu64 " count\n",
           c.tags / (uint64_t)rounds, c.refs / (uint64_t)rounds, c.members / (uint64_t)rounds);
    printf("elements_per_core_second %.0f 1/s\n", (double)all / cpu);
    printf("elements_per_second %.0f 1/s\n", (double)all / wall);
    for (int i = 0; i < OSM_FLAWS; i++)
        if (report.flaws[i])
            printf("# %" PRIu64 " %s; first: %s\n", report.flaws[i], osm_flaw_words((osm_flaw)i),
                   report.examples[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "read") == 0)
        return bench_read(argc - 2, argv + 2);
    (void)fprintf(stderr, "usage: bench_osm read FILE [ROUNDS]\n");
    return 2;
}
