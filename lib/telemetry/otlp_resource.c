/* otlp_resource.c - who is exporting: the attributes that go with everything.
 *
 * What OTEL_RESOURCE_ATTRIBUTES says beats what is found out here, but for the service's name, which
 * options.service settles, and the SDK's own. Source: OpenTelemetry specification, "Resource SDK";
 * semantic conventions for resources. */
#include <errno.h>
#include <unistd.h>

#include <sextant/arena.h>
#include <sextant/protobuf.h>
#include <sextant/utf8.h>

#include "telemetry/otlp_internal.h"

#ifndef SX_VERSION
#define SX_VERSION "0.1.0"
#endif

enum { ATTRIBUTES_MAX = 128, OWN_MAX = 16 };

typedef struct attribute {
    sx_str key, value;
    bool is_number;
    uint64_t number;
} attribute;

typedef struct attributes {
    sx_arena arena;
    attribute list[ATTRIBUTES_MAX + OWN_MAX];
    size_t count;
} attributes;

/* Sets one; the first to come wins. */
static void set(attributes *a, const char *key, sx_str value)
{
    sx_str name = sx_str_z(key);
    for (size_t i = 0; i < a->count; i++)
        if (sx_str_eq(a->list[i].key, name))
            return;
    if (value.len > 0)
        a->list[a->count++] = (attribute){.key = name, .value = value};
}

static sx_status set_given(attributes *a, sx_str text, sx_error *err)
{
    sx_str key, value;
    sx_status st;
    while ((st = sx_otlp_pairs_next(&a->arena, &text, &key, &value, err)) == SX_OK) {
        if (a->count >= ATTRIBUTES_MAX)
            return sx_fail(err, SX_EINVAL, "the resource has more than %d attributes",
                           ATTRIBUTES_MAX - OWN_MAX);
        if (!sx_utf8_valid(key) || !sx_utf8_valid(value))
            return sx_fail(err, SX_EINVAL, "the resource's attributes are not UTF-8");
        set(a, key.data, value); /* the arena ends each with a NUL */
    }
    if (st == SX_END)
        return SX_OK;
    return sx_error_prefix(err, st, "the resource's attributes");
}

static void put(const attributes *a, sx_buf *out)
{
    for (size_t i = 0; i < a->count; i++) {
        const attribute *one = &a->list[i];
        size_t key_value = sx_pb_begin(out, 1);
        sx_pb_put_str(out, 1, one->key);
        size_t any = sx_pb_begin(out, 2);
        if (one->is_number)
            sx_pb_put_u64(out, 3, one->number);
        else
            sx_pb_put_str(out, 1, one->value);
        sx_pb_end(out, any);
        sx_pb_end(out, key_value);
    }
}

sx_status sx_otlp_resource_write(const sx_otlp_options *options, sx_buf *out, sx_error *err)
{
    attributes a = {.count = 0};
    char host[256] = "", instance[SX_UUID_BYTES];
    sx_uuid_source uuids;
    sx_arena_init(&a.arena, 0, 1 << 20);
    set(&a, "telemetry.sdk.name", SX_STR("sextant"));
    set(&a, "telemetry.sdk.language", SX_STR("c"));
    set(&a, "telemetry.sdk.version", SX_STR(SX_VERSION));
    set(&a, "service.name", options->service);
    set(&a, "service.version", options->version);
    sx_status st = set_given(&a, options->resource, err);
    sx_str unknown = sx_arena_printf(&a.arena, "unknown_service:%s", program_invocation_short_name);
    set(&a, "service.name", unknown.data ? unknown : SX_STR("unknown_service"));
    sx_uuid_source_init(&uuids, sx_clock_system());
    sx_uuid7(&uuids, instance);
    set(&a, "service.instance.id", sx_str_z(instance));
    if (gethostname(host, sizeof(host) - 1) == 0)
        set(&a, "host.name", sx_str_z(host));
    set(&a, "os.type", SX_STR("linux"));
    size_t before = a.count;
    set(&a, "process.pid", SX_STR("-"));
    if (a.count > before) {
        a.list[before].is_number = true;
        a.list[before].number = (uint64_t)getpid();
    }
    put(&a, out);
    sx_arena_done(&a.arena);
    return st == SX_OK ? sx_buf_status(out, "the OTLP resource", err) : st;
}

void sx_otlp_scope_write(sx_buf *out)
{
    sx_pb_put_str(out, 1, SX_STR("sextant"));
    sx_pb_put_str(out, 2, SX_STR(SX_VERSION));
}
