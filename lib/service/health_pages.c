/* health_pages.c - /health/live, /health/ready and /health/detailed.
 *
 * live says that the process answers, and nothing else: who restarts services by it must not restart
 * them because a database is away. ready is 503 while a check is unwell or the service drains.
 * detailed is for people and dashboards: each check with its latency, memory, disk, how long requests
 * took in the last minutes. */
#include <stdio.h>
#include <sys/statvfs.h>

#include <sextant/file.h>

#include "codec/json_member.h"
#include "service/service_internal.h"

static const sx_str JSON_TYPE = SX_STR_INIT("application/json");

void sx_answer_live(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply_static(r, 200, JSON_TYPE, SX_STR("{\"status\":\"alive\"}"));
}

/* ---- ready ---- */

/* "name":"ok", or "name":"why not". */
static void write_check(void *ctx, const sx_health_info *info)
{
    sx_json_writer *w = (sx_json_writer *)ctx;
    if (!info->informative)
        key_str(w, info->name, info->well ? SX_STR("ok") : sx_str_z(info->message));
}

static bool is_draining(const sx_service *s)
{
    return __atomic_load_n(&s->draining, __ATOMIC_ACQUIRE) != 0;
}

void sx_answer_ready(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    sx_buf checks;
    sx_json_writer w;
    sx_buf_init(&checks, 0);
    sx_json_writer_init(&w, &checks, NULL);
    sx_json_begin_object(&w);
    bool ready = !is_draining(s);
    if (!ready)
        key_str(&w, "shutdown", SX_STR("the service is stopping"));
    ready &= sx_health_each(s->health, write_check, &w);
    sx_json_end_object(&w);
    sx_buf *text = sx_loop_text(r);
    sx_buf_printf(text, "{\"status\":\"%s\",\"checks\":", ready ? "ready" : "not_ready");
    sx_status written = sx_json_writer_finish(&w, NULL);
    sx_buf_str(text, sx_buf_view(&checks));
    sx_buf_byte(text, '}');
    sx_buf_done(&checks);
    if (written || text->failed)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply(r, ready ? 200 : 503, JSON_TYPE, sx_buf_view(text));
}

/* ---- detailed ---- */

static void detail_check(void *ctx, const sx_health_info *info)
{
    sx_json_writer *w = (sx_json_writer *)ctx;
    char when[SX_TIME_RFC3339_BYTES];
    sx_json_key(w, sx_str_z(info->name));
    sx_json_begin_object(w);
    key_str(w, "status", info->well ? SX_STR("ok") : SX_STR("failed"));
    if (!info->well) {
        key_str(w, "message", sx_str_z(info->message));
        key_u64(w, "failures_in_row", info->failures_in_row);
    }
    if (info->informative) {
        sx_json_key(w, SX_STR("informative"));
        sx_json_bool(w, true);
    }
    if (info->latency_ns >= 0)
        key_ms(w, "latency_ms", info->latency_ns);
    if (info->checked_wall_ms) {
        size_t len = sx_time_rfc3339(info->checked_wall_ms * 1000000, 3, when);
        key_str(w, "checked_at", sx_str_of(when, len));
    }
    sx_json_end_object(w);
}

/* `key` of a file such as /proc/meminfo, in bytes; -1 if it is not there. */
static int64_t read_kib(const char *path, sx_str key)
{
    enum { PROC_BYTES_MAX = 65536 };
    sx_buf text;
    int64_t found = -1;
    sx_buf_init(&text, PROC_BYTES_MAX);
    if (sx_file_read(path, PROC_BYTES_MAX, &text, NULL) == SX_OK) {
        sx_str rest = sx_buf_view(&text), line, name, value;
        while (found < 0 && rest.len > 0) {
            uint64_t number;
            sx_str_cut(rest, '\n', &line, &rest);
            if (!sx_str_cut(line, ':', &name, &value) || !sx_str_eq(name, key))
                continue;
            sx_str_cut(sx_str_trim_all(value), ' ', &value, &line);
            if (sx_str_to_u64(value, &number) && number < INT64_MAX / 1024)
                found = (int64_t)number * 1024;
        }
    }
    sx_buf_done(&text);
    return found;
}

static void detail_memory(sx_json_writer *w)
{
    static const struct {
        const char *path, *name;
        sx_str key;
    } READINGS[] = {
        {"/proc/self/status", "resident_bytes", SX_STR_INIT("VmRSS")},
        {"/proc/self/status", "virtual_bytes", SX_STR_INIT("VmSize")},
        {"/proc/meminfo", "machine_total_bytes", SX_STR_INIT("MemTotal")},
        {"/proc/meminfo", "machine_available_bytes", SX_STR_INIT("MemAvailable")},
    };
    sx_json_key(w, SX_STR("memory"));
    sx_json_begin_object(w);
    for (size_t i = 0; i < SX_COUNT_OF(READINGS); i++) {
        int64_t bytes = read_kib(READINGS[i].path, READINGS[i].key);
        if (bytes >= 0)
            key_u64(w, READINGS[i].name, (uint64_t)bytes);
    }
    sx_json_end_object(w);
}

/* The file system of the working folder: where a relative data directory or log is. */
static void detail_disk(sx_json_writer *w)
{
    struct statvfs disk;
    if (statvfs(".", &disk) || disk.f_blocks == 0)
        return;
    sx_json_key(w, SX_STR("disk"));
    sx_json_begin_object(w);
    key_u64(w, "total_bytes", (uint64_t)disk.f_blocks * disk.f_frsize);
    key_u64(w, "free_bytes", (uint64_t)disk.f_bavail * disk.f_frsize);
    /* As df counts: what only root may use is neither used nor to be had. */
    double used = (double)(disk.f_blocks - disk.f_bfree), all = used + (double)disk.f_bavail;
    key_double(w, "used_ratio", all > 0 ? used / all : 1);
    sx_json_end_object(w);
}

static void detail_times(sx_json_writer *w, const sx_service *s, const sx_loop *loop)
{
    sx_latency_sum sum = {0};
    for (size_t i = 0; i < s->loop_count; i++)
        sx_latency_gather(&s->loops[i].latency, sx_loop_now_ms(loop), &sum);
    sx_json_key(w, SX_STR("response_time"));
    sx_json_begin_object(w);
    key_u64(w, "window_seconds", 2 * SX_LATENCY_WINDOW_MS / 1000);
    key_u64(w, "count", sum.count);
    if (sum.count > 0) {
        key_ms(w, "mean_ms", (int64_t)(sum.sum_ns / sum.count));
        key_ms(w, "p50_ms", sx_latency_quantile(&sum, 0.5));
        key_ms(w, "p99_ms", sx_latency_quantile(&sum, 0.99));
    }
    sx_json_end_object(w);
}

/* Checks go into a text of their own first: whether all are well comes before them. */
void sx_answer_detailed(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_service *s = sx_request_service(r);
    char when[SX_TIME_RFC3339_BYTES];
    sx_buf checks;
    sx_json_writer w;
    sx_buf_init(&checks, 0);
    sx_json_writer_init(&w, &checks, NULL);
    sx_json_begin_object(&w);
    bool well = sx_health_each(s->health, detail_check, &w) && !is_draining(s);
    sx_json_end_object(&w);
    sx_status written = sx_json_writer_finish(&w, NULL);
    sx_buf *text = sx_loop_text(r);
    sx_json_writer_init(&w, text, NULL);
    sx_json_begin_object(&w);
    key_str(&w, "status",
            well             ? SX_STR("healthy")
            : is_draining(s) ? SX_STR("stopping")
                             : SX_STR("unhealthy"));
    key_str(&w, "service", sx_str_z(s->def->name));
    key_str(&w, "version", s->def->version ? sx_str_z(s->def->version) : SX_STR("unknown"));
    key_str(&w, "timestamp", sx_str_of(when, sx_time_rfc3339(sx_clock_ns(s->clock), 3, when)));
    key_seconds(&w, "uptime_seconds", sx_clock_mono_ms(s->clock) - s->start_mono_ms);
    sx_json_key(&w, SX_STR("checks"));
    sx_json_raw_value(&w, sx_buf_view(&checks));
    detail_memory(&w);
    detail_disk(&w);
    detail_times(&w, s, r->loop);
    sx_json_end_object(&w);
    sx_buf_done(&checks);
    if (written)
        sx_reply_error(r, 503, NULL);
    else
        sx_reply_json(r, well ? 200 : 503, &w, text);
}
