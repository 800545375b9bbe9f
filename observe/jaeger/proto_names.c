/* proto_names.c - services, operations and calls between services, under the names that Jaeger shows
 * where clients left them out. */
#include "observe/jaeger/proto.h"

static bool seen(void *ctx, const tr_hit *hit)
{
    (void)hit;
    *(bool *)ctx = true;
    return false;
}

/* Puts a name in its place among sorted ones. */
static sx_status add_name(sx_arena *arena, sx_str name, tr_names *names, sx_error *err)
{
    size_t at = 0;
    sx_str *items = sx_arena_calloc(arena, names->count + 1, sizeof(*items));
    if (!items)
        return sx_fail_memory(err, "services");
    while (at < names->count && sx_str_cmp(names->items[at], name) < 0)
        at++;
    if (at)
        memcpy(items, names->items, at * sizeof(*items));
    items[at] = name;
    if (at < names->count)
        memcpy(items + at + 1, names->items + at, (names->count - at) * sizeof(*items));
    names->items = items;
    names->count++;
    return SX_OK;
}

sx_status jaeger_services(tr_store *store, const tr_limits *limits, sx_arena *arena, tr_names *out,
                          sx_error *err)
{
    const jaeger_search nameless = {.service = JAEGER_NO_SERVICE, .max_ns = UINT64_MAX, .limit = 1};
    bool found = false, partial;
    sx_status status = tr_store_services(store, 0, 0, arena, out, err);
    if (status == SX_OK)
        status = jaeger_find_ids(store, &nameless, limits, seen, &found, NULL, &partial, err);
    for (size_t i = 0; status == SX_OK && i < out->count; i++)
        found &= !sx_str_eq(out->items[i], JAEGER_NO_SERVICE);
    return status == SX_OK && found ? add_name(arena, JAEGER_NO_SERVICE, out, err) : status;
}

sx_status jaeger_operations(tr_store *store, sx_str service, sx_str kind_name, sx_arena *arena,
                            tr_operation **out, size_t *count, sx_error *err)
{
    int kind = kind_name.len ? jaeger_kind(kind_name) : -1;
    *out = NULL;
    *count = 0;
    if (service.len == 0 || (kind_name.len && kind < 0))
        return SX_OK;
    if (sx_str_eq(service, JAEGER_NO_SERVICE) || sx_str_eq(service, JAEGER_EMPTY_SERVICE))
        service = sx_str_of("", 0); /* no data at all would be every service */
    sx_status status = tr_store_operations(store, service, kind, 0, 0, arena, out, count, err);
    for (size_t i = 0; status == SX_OK && i < *count; i++)
        if ((*out)[i].name.len == 0)
            (*out)[i].name = JAEGER_EMPTY_OPERATION;
    return status;
}

sx_status jaeger_dependencies(tr_store *store, uint64_t min_ns, uint64_t max_ns,
                              const tr_limits *limits, sx_arena *arena, tr_edge **out,
                              size_t *count, sx_error *err)
{
    sx_status status = tr_store_edges(store, min_ns, max_ns, limits, arena, out, count, err);
    for (size_t i = 0; status == SX_OK && i < *count; i++) {
        if ((*out)[i].parent.len == 0)
            (*out)[i].parent = JAEGER_NO_SERVICE;
        if ((*out)[i].child.len == 0)
            (*out)[i].child = JAEGER_NO_SERVICE;
    }
    return status;
}
