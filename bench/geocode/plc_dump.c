/* plc_dump.c - makes places of OpenStreetMap files and prints them, one JSON object a line, for
 * scripts/nominatim_places.py to compare with Nominatim's tables.
 *
 *     plc_dump [-q] [-t THREADS] FILE...      -q: only how long it took */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sextant/clock.h>
#include <sextant/json.h>

#include "geocode/places/build.h"

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print_text(const char *key, sx_str text)
{
    printf(",\"%s\":\"", key);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 32)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_tags(const plc_index *ix, uint64_t tags, plc_tag_list list, const char *key)
{
    static const char *const HEAD[] = {",\"k\":", ",\"v\":"};
    (void)HEAD;
    sx_str k, v;
    plc_tags it;
    bool first = true;
    printf(",\"%s\":{\"\":\"\"", key);
    for (plc_tags_begin(ix, tags, list, &it); plc_tags_next(&it, &k, &v); first = false) {
        char name[512];
        (void)snprintf(name, sizeof name, "%.*s", SX_ARG(k));
        print_text(name, v);
    }
    (void)first;
    putchar('}');
}

static void print_ref(const plc_index *ix, const char *key, uint32_t place)
{
    const plc_disk_place *p = plc_place(ix, place);
    if (p)
        printf(",\"%s\":\"%c%lld\"", key, "NWR"[p->osm_kind], (long long)p -> osm_id);
}

static void print_country(uint16_t country)
{
    char code[3];
    plc_country_text(country, code);
    print_text("country", sx_str_z(country ? code : ""));
}

static void print_place(const plc_index *ix, uint32_t at)
{
    const plc_disk_place *p = &ix->places[at];
    printf("{\"n\":%u,\"osm\":\"%c%lld\"", at, "NWR"[p->osm_kind], (long long)p -> osm_id);
    print_text("class", plc_string(ix, p->class_name));
    print_text("type", plc_string(ix, p->type));
    printf(",\"rank_search\":%u,\"rank_address\":%u,\"admin_level\":%u,\"importance\":%.7g",
           p->rank_search, p->rank_address, p->admin_level, (double)p->importance);
    printf(",\"lon\":%d,\"lat\":%d,\"area\":%d", p->lon_e7, p->lat_e7, p->flags & PLC_AREA);
    printf(",\"box\":[%d,%d,%d,%d]", p->lon_min, p->lat_min, p->lon_max, p->lat_max);
    print_country(p->country);
    print_text("postcode", plc_string(ix, p->postcode));
    print_text("housenumber", plc_string(ix, p->housenumber));
    print_ref(ix, "parent", p->parent);
    print_ref(ix, "linked", p->linked);
    print_tags(ix, p->tags, PLC_NAMES, "names");
    print_tags(ix, p->tags, PLC_ADDRESS, "address");
    print_tags(ix, p->tags, PLC_EXTRATAGS, "extratags");
    const plc_disk_line *lines = (const void *)ix->s[PLC_S_ADDRESS_LINES].data;
    printf(",\"lines\":[");
    for (uint32_t i = 0; i < p->line_count; i++) {
        const plc_disk_line *l = &lines[p->lines + i];
        printf("%s{\"d\":%.9g,\"r\":%u,\"is\":%u,\"from\":%u", i ? "," : "", (double)l->distance,
               l->rank_address, l->is_address, l->from_area);
        print_ref(ix, "osm", l->place);
        putchar('}');
    }
    printf("]}\n");
}

static void print_postcodes(const plc_index *ix)
{
    uint32_t count;
    const plc_disk_postcode *rows = plc_postcodes(ix, &count);
    for (uint32_t i = 0; i < count; i++) {
        printf("{\"kind\":\"postcode\",\"lon\":%d,\"lat\":%d,\"rank_search\":%u,"
               "\"box\":[%d,%d,%d,%d]",
               rows[i].lon_e7, rows[i].lat_e7, rows[i].rank_search, rows[i].lon_min,
               rows[i].lat_min, rows[i].lon_max, rows[i].lat_max);
        print_country(rows[i].country);
        print_text("postcode", plc_string(ix, rows[i].postcode));
        print_ref(ix, "parent", rows[i].parent);
        print_ref(ix, "osm", rows[i].place);
        printf("}\n");
    }
}

static void print_others(const plc_index *ix)
{
    const plc_disk_interpolation *rows = (const void *)ix->s[PLC_S_INTERPOLATIONS].data;
    for (uint64_t i = 0; i < ix->s[PLC_S_INTERPOLATIONS].count; i++) {
        printf("{\"kind\":\"interpolation\",\"osm\":\"W%lld\",\"first\":%d,\"last\":%d,\"step\":%d",
               (long long)rows[i].osm_id, rows[i].first, rows[i].last, rows[i].step);
        print_country(rows[i].country);
        print_text("postcode", plc_string(ix, rows[i].postcode));
        print_ref(ix, "parent", rows[i].parent);
        printf("}\n");
    }
    const plc_disk_entrance *e = (const void *)ix->s[PLC_S_ENTRANCES].data;
    for (uint64_t i = 0; i < ix->s[PLC_S_ENTRANCES].count; i++) {
        printf("{\"kind\":\"entrance\",\"osm\":\"N%lld\"", (long long)e[i].osm_id);
        print_text("type", plc_string(ix, e[i].type));
        print_ref(ix, "place", e[i].place);
        printf("}\n");
    }
}

static bool say_step(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    double *last = ctx, now = cpu_seconds();
    (void)done;
    (void)total;
    fprintf(stderr, "%8.3f s, then %s\n", now - *last, step);
    *last = now;
    return true;
}

int main(int argc, char **argv)
{
    sx_error err = {0};
    plc_report report;
    plc_index ix;
    osm_dataset *data = NULL;
    bool quiet = false;
    uint32_t threads = 1;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-q") == 0)
            quiet = true;
        else if (strcmp(argv[at], "-t") == 0 && at + 1 < argc)
            threads = (uint32_t)strtoul(argv[++at], NULL, 10);
    }
    osm_dataset_options data_options = {.threads = threads};
    double start = cpu_seconds(), last;
    if (at == argc || osm_dataset_open(&data_options, (const char *const *)argv + at,
                                       (size_t)(argc - at), &data, &err) != SX_OK) {
        fprintf(stderr, "plc_dump: %s\n", at == argc ? "no file" : err.message);
        return 1;
    }
    double opened = last = cpu_seconds();
    plc_build_options options = {.threads = threads, .progress = say_step, .ctx = &last};
    plc_writer *w = plc_writer_new(NULL, 0, &err);
    plc_report_init(&report);
    bool good = w && plc_build(data, &options, w, &report, &err) == SX_OK &&
                plc_writer_view(w, &ix, &err) == SX_OK;
    double built = cpu_seconds();
    good = good && plc_verify(&ix, &err) == SX_OK;
    if (!good)
        fprintf(stderr, "plc_dump: %s\n", err.message);
    for (uint32_t i = 0; good && !quiet && i < ix.place_count; i++)
        print_place(&ix, i);
    if (good && !quiet) {
        print_postcodes(&ix);
        print_others(&ix);
    }
    for (uint32_t i = 0; i < report.listed; i++)
        fprintf(stderr, "%s %lld%s (%s): %s\n", osm_kind_name(report.broken[i].kind),
                (long long)report.broken[i].id, report.broken[i].repaired ? ", repaired" : "",
                report.broken[i].name, report.broken[i].text);
    fprintf(stderr,
            "read %.3f s, built %.3f s of CPU: %llu places, %llu lines, %llu bytes, %llu broken\n",
            opened - start, built - opened, (unsigned long long)report.places,
            (unsigned long long)report.address_lines, (unsigned long long)(good ? ix.bytes : 0),
            (unsigned long long)report.broken_count);
    plc_report_done(&report);
    plc_writer_free(w);
    osm_dataset_close(data);
    return good ? 0 : 1;
}
