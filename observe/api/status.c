/* status.c - below /status/, /version: what the server says of itself. */
#include <stdio.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/api/api.h"

enum { TSDB_LIMIT = 10, TSDB_LIMIT_MAX = 10000, PATH_BYTES = 4096 };

prom_config *observe_api_config(observe_api *a)
{
    pthread_mutex_lock(&a->lock);
    prom_config *config = prom_config_ref(a->config);
    pthread_mutex_unlock(&a->lock);
    return config;
}

void api_status_config(api_call *c)
{
    sx_error err = {0};
    sx_buf text;
    prom_config *config = observe_api_config(c->api);
    sx_buf_init(&text, 0);
    if (prom_config_print(config, &text, &err) == SX_OK) {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":{\"yaml\":"));
        api_json_text(&c->out, sx_buf_view(&text));
        sx_buf_str(&c->out, SX_STR("}}"));
    } else {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    sx_buf_done(&text);
    prom_config_unref(config);
}

void api_status_flags(api_call *c)
{
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":"));
    observe_flags_json(c->api->flags, &c->out);
    sx_buf_byte(&c->out, '}');
}

/* The last lines of our own log, as they were written. */
void api_status_logs(api_call *c)
{
    sx_buf text;
    sx_error err = {0};
    sx_str line, rest;
    const char *between = "";
    sx_buf_init(&text, 0);
    if (sx_log_recent(sx_service_log(c->api->service), &text, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        sx_buf_done(&text);
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"lines\":["));
    for (rest = sx_buf_view(&text); rest.len; between = ",") {
        sx_str_cut(rest, '\n', &line, &rest);
        sx_buf_printf(&c->out, "%s", between);
        api_json_text(&c->out, line);
    }
    sx_buf_str(&c->out, SX_STR("]}}"));
    sx_buf_done(&text);
}

/* The version is Prometheus's whose API this is: Grafana and others decide by it what to ask for. */
static void write_build(const observe_api *a, sx_buf *out)
{
    sx_buf_printf(out,
                  "{\"version\":\"3.14.0\",\"revision\":\"sextant-%s\",\"branch\":\"\","
                  "\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}",
                  a->version);
}

void api_status_build(api_call *c)
{
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":"));
    write_build(c->api, &c->out);
    sx_buf_byte(&c->out, '}');
}

void api_version(api_call *c)
{
    c->content_type = SX_STR("text/plain; charset=utf-8");
    write_build(c->api, &c->out);
    sx_buf_byte(&c->out, '\n');
}

/* "15d", "15d or 10GB". */
static void write_retention(const observe_api *a, sx_buf *out)
{
    char text[64];
    sx_buf words;
    sx_buf_init(&words, 256);
    promql_print_duration(a->flags->retention_ms, text);
    sx_buf_str(&words, sx_str_z(text));
    if (a->flags->retention_bytes)
        sx_buf_printf(&words, " or %llu B", (unsigned long long)a->flags->retention_bytes);
    api_json_text(out, sx_buf_view(&words));
    sx_buf_done(&words);
}

/* Of Go's runtime there is only what has a meaning here: threads for goroutines, cores. */
void api_status_runtime(api_call *c)
{
    observe_api *a = c->api;
    char folder[PATH_BYTES] = "", host[256] = "";
    tsdb_stats stats;
    sx_buf *out = &c->out;
    if (!getcwd(folder, sizeof folder))
        folder[0] = '\0';
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    tsdb_stats_read(a->db, &stats);
    pthread_mutex_lock(&a->lock);
    bool good = a->reload_good;
    int64_t when = a->reload_ms;
    pthread_mutex_unlock(&a->lock);
    api_success(c);
    sx_buf_str(out, SX_STR(",\"data\":{\"startTime\":"));
    api_json_date_ns(out, a->start_ns);
    sx_buf_str(out, SX_STR(",\"CWD\":"));
    api_json_text(out, sx_str_z(folder));
    sx_buf_str(out, SX_STR(",\"hostname\":"));
    api_json_text(out, sx_str_z(host));
    sx_buf_str(out, SX_STR(",\"serverTime\":"));
    api_json_date_ns(out, sx_clock_ns(a->clock));
    sx_buf_printf(out, ",\"reloadConfigSuccess\":%s,\"lastConfigTime\":", good ? "true" : "false");
    api_json_date(out, when / 1000 * 1000);
    sx_buf_printf(out,
                  ",\"corruptionCount\":%llu,\"goroutineCount\":%zu,\"GOMAXPROCS\":%u,"
                  "\"GOMEMLIMIT\":%lld,\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":",
                  (unsigned long long)stats.wal_corruptions, sx_service_loop_count(a->service),
                  sx_cores(), (long long)INT64_MAX);
    write_retention(a, out);
    sx_buf_str(out, SX_STR("}}"));
}

static void write_counts(sx_buf *out, const char *key, const tsdb_count *items, size_t count)
{
    sx_buf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        sx_buf_str(out, i ? SX_STR(",{\"name\":") : SX_STR("{\"name\":"));
        api_json_text(out, items[i].name);
        sx_buf_printf(out, ",\"value\":%llu}", (unsigned long long)items[i].value);
    }
    sx_buf_byte(out, ']');
}

void api_status_tsdb(api_call *c)
{
    sx_error err = {0};
    int64_t limit = TSDB_LIMIT;
    tsdb_cardinality counts;
    tsdb_stats stats;
    sx_str text = api_form_get(&c->form, "limit");
    if (text.len && (api_int_read(text, "Atoi", 64, &limit, &err) != SX_OK || limit < 1)) {
        api_fail(c, API_BAD_DATA, SX_STR("limit must be a positive number"));
        return;
    }
    if (limit > TSDB_LIMIT_MAX) {
        api_fail(c, API_BAD_DATA, SX_STR("limit must not exceed 10000"));
        return;
    }
    if (tsdb_cardinality_read(c->api->db, (size_t)limit, &c->arena, &counts, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    tsdb_stats_read(c->api->db, &stats);
    api_success(c);
    sx_buf_printf(&c->out,
                  ",\"data\":{\"headStats\":{\"numSeries\":%llu,\"numLabelPairs\":%llu,"
                  "\"chunkCount\":%llu,\"minTime\":%lld,\"maxTime\":%lld}",
                  (unsigned long long)stats.series, (unsigned long long)stats.label_pairs,
                  (unsigned long long)stats.chunks, (long long)stats.min_t, (long long)stats.max_t);
    write_counts(&c->out, "seriesCountByMetricName", counts.series_by_metric, counts.counts[0]);
    write_counts(&c->out, "labelValueCountByLabelName", counts.values_by_label, counts.counts[1]);
    write_counts(&c->out, "memoryInBytesByLabelName", counts.bytes_by_label, counts.counts[2]);
    write_counts(&c->out, "seriesCountByLabelValuePair", counts.series_by_pair, counts.counts[3]);
    sx_buf_str(&c->out, SX_STR("}}"));
}

void api_status_blocks(api_call *c)
{
    sx_error err = {0};
    tsdb_block_info *blocks;
    size_t count;
    if (tsdb_blocks(c->api->db, &c->arena, &blocks, &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"blocks\":["));
    for (size_t i = 0; i < count; i++) {
        const tsdb_block_info *b = &blocks[i];
        const struct {
            const char *name;
            uint64_t value;
        } STATS[] = {{"numSamples", b->samples},
                     {"numFloatSamples", b->float_samples},
                     {"numHistogramSamples", b->histogram_samples},
                     {"numSeries", b->series},
                     {"numChunks", b->chunks},
                     {"numTombstones", b->tombstones}};
        bool any = false;
        sx_buf_printf(&c->out, "%s{\"ulid\":\"%s\",\"minTime\":%lld,\"maxTime\":%lld,\"stats\":{",
                      i ? "," : "", b->ulid, (long long)b->min_t, (long long)b->max_t);
        for (size_t k = 0; k < SX_COUNT_OF(STATS); k++) {
            if (!STATS[k].value) /* left out, as in meta.json */
                continue;
            sx_buf_printf(&c->out, "%s\"%s\":%llu", any ? "," : "", STATS[k].name,
                          (unsigned long long)STATS[k].value);
            any = true;
        }
        sx_buf_printf(&c->out, "},\"compaction\":{\"level\":%u", b->level);
        if (b->level <= 1) /* its own source; those of a compacted block stand in its meta.json */
            sx_buf_printf(&c->out, ",\"sources\":[\"%s\"]", b->ulid);
        sx_buf_str(&c->out, SX_STR("},\"version\":1}"));
    }
    sx_buf_str(&c->out, SX_STR("]}}"));
}

void api_status_replay(api_call *c)
{
    uint32_t done = 0, all = 0;
    (void)tsdb_ready(c->api->db, &done, &all);
    api_success(c);
    sx_buf_printf(&c->out, ",\"data\":{\"min\":0,\"max\":%u,\"current\":%u}}", all ? all - 1 : 0,
                  done ? done - 1 : 0);
}

/* ---- running queries (ours) ---- */

void api_status_queries(api_call *c)
{
    sx_error err = {0};
    promql_running *items;
    size_t count;
    if (promql_engine_running(c->api->engine, &c->arena, &items, &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        sx_buf_printf(&c->out, "%s{\"id\":\"%llu\",\"query\":", i ? "," : "",
                      (unsigned long long)items[i].id);
        api_json_text(&c->out, items[i].text);
        sx_buf_str(&c->out, SX_STR(",\"client\":"));
        api_json_text(&c->out, items[i].who);
        sx_buf_str(&c->out, SX_STR(",\"started\":"));
        api_json_date(&c->out, items[i].started_ms);
        sx_buf_printf(&c->out, ",\"samples\":%lld,\"memoryBytes\":%lld}",
                      (long long)items[i].samples, (long long)items[i].memory);
    }
    sx_buf_str(&c->out, SX_STR("]}"));
}

void api_kill_query(api_call *c)
{
    uint64_t id;
    if (!c->api->flags->admin_api)
        api_fail(c, API_UNAVAILABLE, SX_STR("admin APIs disabled"));
    else if (!sx_str_to_u64(sx_request_param(c->r, "id"), &id) ||
             !promql_engine_kill(c->api->engine, id))
        api_fail(c, API_NOT_FOUND, SX_STR("no query of this id runs"));
    else {
        atomic_fetch_add(&c->api->killed, 1);
        api_no_content(c);
    }
}
