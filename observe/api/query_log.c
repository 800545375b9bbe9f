/* query_log.c - the configuration's query_log_file: a JSON line for each query, in the fields of
 * Prometheus's. Lines are written whole by one write(2), so that several threads may. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/api/api.h"

struct api_query_log {
    pthread_mutex_t lock; /* fd */
    int fd;               /* -1: none */
};

sx_status api_query_log_new(struct api_query_log **out, sx_error *err)
{
    *out = sx_calloc(1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "the query log");
    pthread_mutex_init(&(*out)->lock, NULL);
    (*out)->fd = -1;
    return SX_OK;
}

void api_query_log_free(struct api_query_log *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    pthread_mutex_destroy(&l->lock);
    sx_free(l);
}

/* *fd is -1 without a path. */
static sx_status open_file(sx_str path, int *fd, sx_error *err)
{
    char name[4096];
    *fd = -1;
    if (path.len >= sizeof name)
        return sx_fail(err, SX_ELIMIT, "query_log_file: a path of %zu bytes is too long", path.len);
    if (!path.len)
        return SX_OK;
    memcpy(name, path.data, path.len);
    name[path.len] = '\0';
    *fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return *fd < 0 ? sx_fail_os(err, errno, "query_log_file '%s'", name) : SX_OK;
}

sx_status api_query_log_check(sx_str path, sx_error *err)
{
    int fd;
    sx_status status = open_file(path, &fd, err);
    if (fd >= 0)
        close(fd);
    return status;
}

sx_status api_query_log_open(struct api_query_log *l, sx_str path, sx_error *err)
{
    int fd;
    sx_status status = open_file(path, &fd, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&l->lock);
    int old = l->fd;
    l->fd = fd;
    pthread_mutex_unlock(&l->lock);
    if (old >= 0)
        close(old);
    return SX_OK;
}

static void write_date(sx_buf *out, int64_t ms)
{
    char text[SX_TIME_RFC3339_BYTES];
    sx_buf_byte(out, '"');
    sx_buf_bytes(out, text, sx_time_rfc3339(ms * 1000000, 3, text));
    sx_buf_byte(out, '"');
}

static void write_line(sx_buf *out, const api_call *c, sx_str path, const promql_request *q,
                       const promql_result *result, const char *failure)
{
    sx_buf_str(out, SX_STR("{\"time\":"));
    api_json_date_ns(out, sx_clock_ns(c->api->clock));
    sx_buf_str(out, SX_STR(",\"level\":\"INFO\",\"msg\":\"promql query logged\",\"params\":{"
                           "\"end\":"));
    write_date(out, q->end_ms);
    sx_buf_str(out, SX_STR(",\"query\":"));
    api_json_text(out, q->text);
    sx_buf_str(out, SX_STR(",\"start\":"));
    write_date(out, q->start_ms);
    sx_buf_printf(out, ",\"step\":%lld}", (long long)(q->step_ms / 1000));
    if (failure) {
        sx_buf_str(out, SX_STR(",\"error\":"));
        api_json_text(out, sx_str_z(failure));
    }
    api_stats_write(&result->stats, false, 0, 0, out);
    sx_buf_str(out, SX_STR(",\"httpRequest\":{\"clientIP\":"));
    api_json_text(out, sx_str_z(c->who));
    sx_buf_str(out, SX_STR(",\"method\":"));
    api_json_text(out, c->r->method_text);
    sx_buf_str(out, SX_STR(",\"path\":"));
    api_json_text(out, path);
    sx_buf_str(out, SX_STR("}}\n"));
}

void api_query_log_write(struct api_query_log *l, const api_call *c, sx_str path,
                         const promql_request *q, const promql_result *result, const char *failure)
{
    pthread_mutex_lock(&l->lock);
    bool open = l->fd >= 0;
    pthread_mutex_unlock(&l->lock);
    if (!open)
        return;
    sx_buf line;
    sx_buf_init(&line, 4 << 20);
    write_line(&line, c, path, q, result, failure);
    pthread_mutex_lock(&l->lock);
    if (l->fd >= 0 && !line.failed && write(l->fd, line.data, line.len) < 0)
        SX_LOG_WARN(sx_service_logger(c->api->service), NULL, "query log not written",
                    sx_field_i64("errno", errno));
    pthread_mutex_unlock(&l->lock);
    sx_buf_done(&line);
}
