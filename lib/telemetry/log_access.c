/* log_access.c - one line for each request, in less than 300 ns.
 *
 * The one record that is written for every request has a formatter of its own: it asks for enough
 * room once, cutting what a client may make long, and then writes without looking back. */
#include "telemetry/log_lane.h"
#include "telemetry/text.h"

/* What comes from outside is cut to this before it is escaped. */
enum { PATH_BYTES_MAX = 2048, AGENT_BYTES_MAX = 512, NAME_BYTES_MAX = 256 };

/* Copies a literal; its length is known when this is compiled. */
#define PUT(at, literal) ((char *)memcpy(at, literal, sizeof(literal) - 1) + sizeof(literal) - 1)

static inline char *put_escaped(char *at, sx_str s, size_t bytes_max)
{
    return sx_log_escape(at, sx_str_first(s, bytes_max));
}

/* Milliseconds with three decimals, without a float. */
static char *put_ms(char *at, int64_t ns)
{
    uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
    at = sx_text_u64(at, us / 1000);
    *at++ = '.';
    return sx_text_padded(at, us % 1000, 3);
}

static char *put_context(char *at, const sx_log_context *c)
{
    if (c->trace_id.len) {
        at = put_escaped(PUT(at, ",\"trace_id\":\""), c->trace_id, NAME_BYTES_MAX);
        *at++ = '"';
    }
    if (c->span_id.len) {
        at = put_escaped(PUT(at, ",\"span_id\":\""), c->span_id, NAME_BYTES_MAX);
        *at++ = '"';
    }
    if (c->request_id.len) {
        at = put_escaped(PUT(at, ",\"request_id\":\""), c->request_id, NAME_BYTES_MAX);
        *at++ = '"';
    }
    return at;
}

static char *put_head(char *at, const sx_log *log, sx_log_lane *lane, const sx_access *a)
{
    int64_t wall_ns = a->wall_ns ? a->wall_ns : sx_clock_ns(log->clock);
    at = sx_log_timestamp(lane, PUT(at, "{\"timestamp\":\""), wall_ns);
    at = PUT(at, "\",\"level\":\"INFO\"");
    if (log->service.len) {
        at = put_escaped(PUT(at, ",\"service\":\""), log->service, NAME_BYTES_MAX);
        *at++ = '"';
    }
    if (log->layer.len) {
        at = put_escaped(PUT(at, ",\"layer\":\""), log->layer, NAME_BYTES_MAX);
        *at++ = '"';
    }
    return put_context(at, &a->context);
}

static char *put_line(char *at, const sx_log *log, sx_log_lane *lane, const sx_access *a)
{
    at = put_head(at, log, lane, a);
    at = put_escaped(PUT(at, ",\"message\":\"request\",\"method\":\""), a->method, NAME_BYTES_MAX);
    at = put_escaped(PUT(at, "\",\"path\":\""), a->path, PATH_BYTES_MAX);
    at = put_escaped(PUT(at, "\",\"route\":\""), a->route, NAME_BYTES_MAX);
    at = sx_text_u64(PUT(at, "\",\"status\":"), a->status > 0 ? (uint64_t)a->status : 0);
    at = put_ms(PUT(at, ",\"duration_ms\":"), a->duration_ns);
    at = sx_text_u64(PUT(at, ",\"bytes_in\":"), a->received_bytes);
    at = sx_text_u64(PUT(at, ",\"bytes_out\":"), a->sent_bytes);
    at = put_escaped(PUT(at, ",\"client\":\""), a->client, NAME_BYTES_MAX);
    *at++ = '"';
    if (a->user_agent.len) {
        at = put_escaped(PUT(at, ",\"user_agent\":\""), a->user_agent, AGENT_BYTES_MAX);
        *at++ = '"';
    }
    if (a->cut_short)
        at = PUT(at, ",\"cut_short\":true");
    return PUT(at, "}\n");
}

static size_t most(sx_str s, size_t bytes_max)
{
    return 6 * (s.len < bytes_max ? s.len : bytes_max) + 8;
}

/* Above what put_line can write: literals and numbers are below 512. */
static size_t bytes_needed(const sx_log *log, const sx_access *a)
{
    const sx_str names[] = {log->service,
                            log->layer,
                            a->context.trace_id,
                            a->context.span_id,
                            a->context.request_id,
                            a->method,
                            a->route,
                            a->client};
    size_t bytes = 512 + most(a->path, PATH_BYTES_MAX) + most(a->user_agent, AGENT_BYTES_MAX);
    for (size_t i = 0; i < SX_COUNT_OF(names); i++)
        bytes += most(names[i], NAME_BYTES_MAX);
    return bytes;
}

enum { FIELDS = 10 };

/* The same as fields: for the console and the exporter. Returns how many. */
static size_t as_fields(const sx_access *a, sx_field fields[FIELDS])
{
    int64_t duration_us = a->duration_ns / 1000;
    size_t count = 0;
    fields[count++] = sx_field_str("method", sx_str_first(a->method, NAME_BYTES_MAX));
    fields[count++] = sx_field_str("path", a->path);
    if (a->route.len)
        fields[count++] = sx_field_str("route", sx_str_first(a->route, NAME_BYTES_MAX));
    fields[count++] = sx_field_i64("status", a->status);
    fields[count++] = sx_field_double("duration_ms", (double)duration_us / 1000);
    if (a->received_bytes)
        fields[count++] = sx_field_u64("bytes_in", a->received_bytes);
    fields[count++] = sx_field_u64("bytes_out", a->sent_bytes);
    fields[count++] = sx_field_str("client", a->client);
    if (a->user_agent.len)
        fields[count++] = sx_field_str("user_agent", sx_str_first(a->user_agent, AGENT_BYTES_MAX));
    if (a->cut_short)
        fields[count++] = sx_field_bool("cut_short", true);
    return count;
}

/* The ways that take a record with fields. */
static SX_COLD void put_record(sx_log *log, const sx_access *a, sx_otlp *otlp)
{
    sx_field fields[FIELDS];
    sx_log_record r = {.log = log,
                       .logger = &log->root,
                       .level = SX_LEVEL_INFO,
                       .wall_ns = a->wall_ns ? a->wall_ns : sx_clock_ns(log->clock),
                       .context = &a->context,
                       .message = SX_STR("request"),
                       .fields = fields,
                       .count = as_fields(a, fields),
                       .trace_flags = a->trace_flags};
    if (log->console)
        sx_log_put(log, &r);
    if (otlp)
        sx_log_export(otlp, &r);
}

void sx_log_access(sx_log *log, const sx_access *access)
{
    sx_otlp *otlp = __atomic_load_n(&log->otlp, __ATOMIC_ACQUIRE);
    otlp = log->otlp_access ? otlp : NULL;
    if (sx_unlikely(log->console || otlp))
        put_record(log, access, otlp);
    if (sx_unlikely(log->console))
        return;
    sx_log_lane *lane = sx_log_lane_enter(log);
    if (!lane) {
        __atomic_fetch_add(&log->lost, 1, __ATOMIC_RELAXED);
        return;
    }
    size_t room;
    char *out = sx_log_lane_room(lane, bytes_needed(log, access), &room);
    if (sx_likely(out != NULL))
        sx_log_lane_commit(lane, SX_LEVEL_INFO, (size_t)(put_line(out, log, lane, access) - out));
    else
        sx_log_lane_drop(lane, SX_LEVEL_INFO);
    bool shared = sx_thread_shard == 0;
    sx_log_lane_leave(log, lane);
    if (shared)
        sx_log_wake(log); /* such a thread has no turns */
}
