/* fuzz_discovery.c - any text as target groups or as a Kubernetes object: what is accepted becomes
 * groups whose labels are sorted, unique and not empty; reading twice gives the same; a refusal has
 * words. The first byte chooses what the rest is. */
#include <stdlib.h>

#include "observe/scrape/discovery_kubernetes.h"

static void check_groups(const discovery_groups *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const prom_target_group *group = &g->items[i];
        sx_assert(group->source.data != NULL);
        for (uint32_t k = 0; k < group->labels.count; k++) {
            const tsdb_label *l = &group->labels.items[k];
            sx_assert(l->value.len > 0 && l->name.len > 0);
            sx_assert(k == 0 || sx_str_cmp(l[-1].name, l->name) < 0);
        }
        for (uint32_t k = 0; k < group->target_count; k++)
            sx_assert(group->targets[k].data != NULL || group->targets[k].len == 0);
    }
}

static void read_groups(bool is_json, sx_str text)
{
    sx_arena arena;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 64 << 20);
    discovery_groups g = {.arena = &arena};
    sx_status st = (is_json ? discovery_read_json : discovery_read_yaml)(
        &arena, text, SX_STR("__meta_filepath"), SX_STR("f"), &g, &err);
    sx_assert(st == SX_OK || err.message[0]);
    if (st == SX_OK)
        check_groups(&g);
    sx_arena_done(&arena);
}

static void put(kube_watch *w, kube_object *o)
{
    sx_map_entry *e = sx_map_put(&w->objects, o->key, NULL);
    sx_assert(e != NULL);
    e->ptr = o;
    w->is_synced = true;
}

/* The object as the only one of its kind, seen by every role that shows its kind. */
static void build(kube_resource resource, sx_str text)
{
    kube_object *o, *again;
    sx_error err = {0};
    if (kube_object_read(resource, text, &o, &err) != SX_OK) {
        sx_assert(err.message[0]);
        return;
    }
    sx_assert(kube_object_read(resource, text, &again, &err) == SX_OK);
    sx_assert(sx_str_eq(o->key, again->key));
    if (resource == KUBE_NAMESPACES) {
        kube_object_free(o);
        kube_object_free(again);
        return;
    }
    kube_scope scope = {
        .primary.resource = resource, .services.is_synced = true, .pods.is_synced = true};
    kube_state state = {.scopes = &scope, .scope_count = 1, .has_backing = true};
    sx_map_init(&scope.primary.objects, NULL);
    sx_map_init(&scope.services.objects, NULL);
    sx_map_init(&scope.pods.objects, NULL);
    sx_map_init(&state.nodes.objects, NULL);
    put(&scope.primary, o);
    put(resource == KUBE_SERVICES ? &scope.services : &scope.pods, again);
    /* An object of another kind in their place would be read as what it is not. */
    if (resource != KUBE_SERVICES && resource != KUBE_PODS)
        sx_map_clear(&scope.pods.objects);
    if (resource == KUBE_NODES) {
        state.attach_node = state.nodes.is_synced = true;
        put(&state.nodes, again);
    }
    sx_arena arena;
    sx_arena_init(&arena, 0, 256 << 20);
    discovery_groups g = {.arena = &arena};
    kube_build(&state, &g);
    if (!g.failed)
        check_groups(&g);
    sx_arena_done(&arena);
    sx_map_done(&scope.primary.objects);
    sx_map_done(&scope.services.objects);
    sx_map_done(&scope.pods.objects);
    sx_map_done(&state.nodes.objects);
    kube_object_free(o);
    kube_object_free(again);
}

static sx_status skip_item(void *ctx, sx_str object, sx_error *err)
{
    (void)ctx, (void)err;
    sx_assert(object.len > 0);
    return SX_OK;
}

static void read_rest(int which, sx_str text)
{
    sx_arena arena;
    sx_error err = {0};
    kube_page page;
    kube_event event;
    sx_str message;
    sx_arena_init(&arena, 0, 64 << 20);
    if (which == 0 && kube_page_read(&arena, text, skip_item, NULL, &page, &err) == SX_OK)
        sx_assert(page.version.len > 0);
    if (which == 1 && kube_event_read(&arena, text, &event, &err) == SX_OK)
        sx_assert(event.type.len > 0 && event.object.len > 0);
    if (which == 2)
        kube_status_read(&arena, text, &message);
    if (which == 3)
        kube_version_read(&arena, text);
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sx_str text = sx_str_of(data + 1, size - 1);
    int which = (data[0] - 'a') & 15;
    if (which < 2)
        read_groups(which == 0, text);
    else if (which < 2 + KUBE_RESOURCES)
        build((kube_resource)(which - 2), text);
    else
        read_rest(which - 2 - KUBE_RESOURCES, text);
    return 0;
}
