/* Discovery: groups of JSON and YAML, objects of Kubernetes, when the core tells, faults of memory. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "observe/scrape/discovery_internal.h"
#include "observe/scrape/discovery_kubernetes.h"

static const char GROUPS[] =
    "[{\"targets\": [\"a:1\", \"b\\u003a2\"], \"labels\": {\"x\": \"y\", \"e\": \"\", \"n\": null}},\n"
    " {\"labels\": null, \"targets\": null}, {}]";

typedef sx_status read_fn(sx_arena *arena, sx_str text, sx_str name, sx_str value,
                          discovery_groups *out, sx_error *err);

static sx_status read_groups(read_fn *read, sx_arena *arena, sx_str text, discovery_groups *out,
                             sx_error *err)
{
    sx_arena_init(arena, 0, 0);
    *out = (discovery_groups){.arena = arena};
    return read(arena, text, SX_STR("__meta_url"), SX_STR("u"), out, err);
}

static void assert_label(tsdb_labels l, const char *name, const char *value)
{
    sx_str found = tsdb_labels_get(l, sx_str_z(name));
    assert_int_equal(found.len, strlen(value));
    assert_memory_equal(found.data, value, found.len);
}

static void test_groups_are_read_from_json(void **state)
{
    sx_arena arena;
    discovery_groups g;
    sx_error err;
    (void)state;
    assert_int_equal(read_groups(discovery_read_json, &arena, sx_str_z(GROUPS), &g, &err), SX_OK);
    assert_int_equal(g.count, 3);
    assert_int_equal(g.items[0].target_count, 2);
    assert_true(sx_str_eq(g.items[0].targets[1], SX_STR("b:2")));
    assert_int_equal(g.items[0].labels.count, 2);
    assert_label(g.items[0].labels, "x", "y");
    assert_label(g.items[0].labels, "__meta_url", "u");
    assert_true(sx_str_eq(g.items[2].source, SX_STR("u:2")));
    sx_arena_done(&arena);
}

/* Whatever is cut off, it is refused and nothing leaks. */
static void test_groups_cut_anywhere_are_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len + 1 < sizeof(GROUPS); len++) {
        sx_arena arena;
        discovery_groups g;
        sx_error err;
        char *copy = malloc(len + 1); /* of its own, for the sanitizer */
        memcpy(copy, GROUPS, len);
        if (len < sizeof(GROUPS) - 1)
            assert_int_not_equal(
                read_groups(discovery_read_json, &arena, sx_str_of(copy, len), &g, &err), SX_OK);
        sx_arena_done(&arena);
        free(copy);
    }
}

static void test_groups_that_are_wrong_are_named(void **state)
{
    static const struct {
        read_fn *read;
        const char *text, *words;
    } ROWS[] = {
        {discovery_read_json, "[null]", "nil target group item found"},
        {discovery_read_json, "{}", "line 1, column 1"},
        {discovery_read_json, "[{\"target\": []}]", "json: unknown field \"target\""},
        {discovery_read_json, "[{\"targets\": [1]}]", "line 1, column 15"},
        {discovery_read_json, "[{\"labels\": {\"\": \"x\"}}]", "is not a valid label name"},
        {discovery_read_json, "[{\"labels\": {\"a\": 1}}]", "line 1, column 19"},
        {discovery_read_yaml, "- null", "nil target group item found"},
        {discovery_read_yaml, "a: 1", "u:1:1"},
        {discovery_read_yaml, "- targets: [a]\n  label: {}", "u:2:3"},
        {discovery_read_yaml, "- targets: {a: b}", "u:1:12"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sx_arena arena;
        discovery_groups g;
        sx_error err = {0};
        assert_int_not_equal(read_groups(ROWS[i].read, &arena, sx_str_z(ROWS[i].text), &g, &err),
                             SX_OK);
        if (!strstr(err.message, ROWS[i].words))
            fail_msg("'%s' gave '%s'", ROWS[i].text, err.message);
        sx_arena_done(&arena);
    }
}

static void test_groups_are_read_from_yaml(void **state)
{
    sx_arena arena;
    discovery_groups g;
    sx_error err;
    (void)state;
    sx_str text = SX_STR("- targets: [a:1, 5]\n  labels: {port: 80, yes: no}\n- {}\n");
    assert_int_equal(read_groups(discovery_read_yaml, &arena, text, &g, &err), SX_OK);
    assert_int_equal(g.count, 2);
    assert_true(sx_str_eq(g.items[0].targets[1], SX_STR("5")));
    assert_label(g.items[0].labels, "port", "80");
    sx_arena_done(&arena);
    assert_int_equal(read_groups(discovery_read_yaml, &arena, SX_STR("# nothing\n"), &g, &err),
                     SX_OK);
    assert_int_equal(g.count, 0);
    sx_arena_done(&arena);
}

/* ---- Kubernetes ---- */

static const char POD[] =
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"7\","
    "\"resourceVersion\":\"12\",\"labels\":{\"a\":\"b\\n\"},\"annotations\":null,"
    "\"ownerReferences\":[{\"kind\":\"A\",\"name\":\"a\"},"
    "{\"kind\":\"B\",\"name\":\"b\",\"controller\":true}],\"managedFields\":[{\"x\":[{}]}]},"
    "\"spec\":{\"nodeName\":\"node\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":"
    "[{\"containerPort\":80,\"protocol\":\"TCP\"},{\"name\":\"m\",\"containerPort\":81}]}],"
    "\"initContainers\":[{\"name\":\"init\"}]},\"status\":{\"podIP\":\"10.0.0.1\",\"phase\":"
    "\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}],"
    "\"containerStatuses\":[{\"name\":\"c\",\"containerID\":\"x://1\"}]}}";

static void test_pods_keep_what_labels_are_made_of(void **state)
{
    kube_object *o;
    sx_error err;
    (void)state;
    assert_int_equal(kube_object_read(KUBE_PODS, sx_str_z(POD), &o, &err), SX_OK);
    assert_true(sx_str_eq(o->key, SX_STR("n/p")));
    assert_true(sx_str_eq(o->meta.controller_kind, SX_STR("B")));
    assert_int_equal(o->meta.labels.count, 1);
    assert_true(sx_str_eq(((const tsdb_label *)o->meta.labels.items)->value, SX_STR("b\n")));
    assert_int_equal(o->pod.containers.count, 1);
    const kube_container *c = o->pod.containers.items;
    assert_int_equal(c->ports.count, 2);
    assert_int_equal(((const kube_port *)c->ports.items)[1].number, 81);
    assert_true(sx_str_eq(o->pod.ready, SX_STR("False")));
    assert_true(o->arena.used_bytes <= 2048);
    kube_object_free(o);
}

static void test_objects_cut_anywhere_are_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len + 1 < sizeof(POD); len++) {
        for (int r = 0; r < KUBE_RESOURCES; r++) {
            kube_object *o;
            sx_error err;
            assert_int_not_equal(kube_object_read((kube_resource)r, sx_str_of(POD, len), &o, &err),
                                 SX_OK);
        }
    }
    kube_object *o;
    assert_int_equal(kube_object_read(KUBE_PODS, SX_STR("{}"), &o, NULL), SX_EFORMAT);
    assert_int_equal(kube_object_read(KUBE_PODS, SX_STR("[]"), &o, NULL), SX_EFORMAT);
}

static void test_objects_without_memory(void **state)
{
    (void)state;
    for (int64_t n = 1;; n++) {
        kube_object *o;
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st = kube_object_read(KUBE_PODS, sx_str_z(POD), &o, NULL);
        int64_t calls = sx_fault_alloc_calls();
        if (st == SX_OK)
            kube_object_free(o);
        else
            assert_int_equal(st, SX_ENOMEM);
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (calls < n)
            break;
    }
}

static sx_status count_item(void *ctx, sx_str object, sx_error *err)
{
    (void)object, (void)err;
    ++*(int *)ctx;
    return SX_OK;
}

static void test_pages_and_events(void **state)
{
    sx_arena arena;
    kube_page page;
    kube_event event;
    sx_str message;
    sx_error err;
    int items = 0;
    (void)state;
    sx_arena_init(&arena, 0, 0);
    sx_str text = SX_STR("{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\","
                         "\"continue\":\"c\"},\"items\":[{},{\"a\":[]}]}");
    assert_int_equal(kube_page_read(&arena, text, count_item, &items, &page, &err), SX_OK);
    assert_int_equal(items, 2);
    assert_true(sx_str_eq(page.next, SX_STR("c")));
    assert_int_equal(
        kube_page_read(&arena, SX_STR("{\"metadata\":{}}"), count_item, &items, &page, &err),
        SX_EFORMAT);
    assert_int_equal(
        kube_event_read(&arena, SX_STR("{\"object\":{\"a\":1},\"type\":\"ADDED\"}"), &event, &err),
        SX_OK);
    assert_true(sx_str_eq(event.object, SX_STR("{\"a\":1}")));
    assert_int_equal(kube_event_read(&arena, SX_STR("{\"type\":\"ADDED\"}"), &event, &err),
                     SX_EFORMAT);
    assert_int_equal(
        kube_status_read(&arena, SX_STR("{\"code\":410,\"message\":\"old\"}"), &message), 410);
    assert_true(sx_str_eq(message, SX_STR("old")));
    assert_int_equal(kube_status_read(&arena, SX_STR("<html>"), &message), 0);
    sx_arena_done(&arena);
}

/* ---- the core ---- */

typedef struct fixture {
    sx_fake_clock clock;
    sx_loop *loop;
    int told;
    size_t count;
    char first[64];
    char folder[64];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    sx_fake_clock_init(&f->clock, 1700000000000);
    assert_int_equal(sx_loop_new(&f->clock.clock, 0, &f->loop, NULL), SX_OK);
    snprintf(f->folder, sizeof(f->folder), "/tmp/sx_discovery_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char path[128];
    sx_loop_free(f->loop);
    snprintf(path, sizeof(path), "%s/a.json", f->folder);
    unlink(path);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void on_told(void *ctx, const prom_target_group *groups, size_t count)
{
    fixture *f = ctx;
    f->told++;
    f->count = count;
    f->first[0] = '\0';
    if (count && groups[0].target_count)
        snprintf(f->first, sizeof(f->first), "%.*s", SX_ARG(groups[0].targets[0]));
}

static void write_groups(fixture *f, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/a.json", f->folder);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static void advance(fixture *f, int64_t ms)
{
    sx_fake_clock_advance(&f->clock, ms);
    for (int i = 0; i < 3; i++)
        sx_loop_turn(f->loop);
}

static void test_static_targets_are_told_once(void **state)
{
    fixture *f = *state;
    sx_str targets[] = {SX_STR("a:1")};
    prom_target_group group = {.targets = targets, .target_count = 1};
    prom_discovery what = {.kind = PROM_SD_STATIC, .group = &group};
    prom_discoverer *d;
    assert_int_equal(
        prom_discoverer_new(f->loop, NULL, NULL, &what, SX_STR("j"), on_told, f, &d, NULL), SX_OK);
    assert_int_equal(f->told, 0);
    advance(f, 0);
    advance(f, 100000);
    assert_int_equal(f->told, 1);
    assert_string_equal(f->first, "a:1");
    prom_discoverer_free(d);
}

static void test_changes_are_told_at_most_every_five_seconds(void **state)
{
    fixture *f = *state;
    char pattern[128];
    snprintf(pattern, sizeof(pattern), "%s/*.json", f->folder);
    sx_str files[] = {sx_str_z(pattern)};
    prom_discovery what = {.kind = PROM_SD_FILE, .file = {files, 1, 1000}};
    prom_discoverer *d;
    write_groups(f, "[{\"targets\":[\"a\"]}]");
    assert_int_equal(
        prom_discoverer_new(f->loop, NULL, NULL, &what, SX_STR("j"), on_told, f, &d, NULL), SX_OK);
    advance(f, 0);
    assert_string_equal(f->first, "a");
    write_groups(f, "[{\"targets\":[\"b\"]}]");
    advance(f, 1000); /* read by the clock, told later */
    advance(f, 3999);
    assert_int_equal(f->told, 1);
    advance(f, 1001);
    assert_int_equal(f->told, 2);
    assert_string_equal(f->first, "b");
    advance(f, 60000); /* the same again is not news */
    assert_int_equal(f->told, 2);
    write_groups(f, "[{\"targets\":[");
    advance(f, 1000);
    advance(f, 10000);
    assert_int_equal(f->told, 2);
    assert_true(prom_discoverer_trouble(d).len > 0);
    write_groups(f, "[]");
    advance(f, 1000);
    advance(f, 10000);
    assert_int_equal(f->told, 3);
    assert_int_equal(f->count, 0);
    assert_int_equal(prom_discoverer_trouble(d).len, 0);
    prom_discoverer_free(d);
}

/* Every allocation of a start, a refresh and a telling fails once; the next refresh finds all. */
static void test_memory_may_fail_anywhere(void **state)
{
    fixture *f = *state;
    char pattern[128];
    snprintf(pattern, sizeof(pattern), "%s/*.json", f->folder);
    sx_str files[] = {sx_str_z(pattern)};
    prom_discovery what = {.kind = PROM_SD_FILE, .file = {files, 1, 1000}};
    write_groups(f, "[{\"targets\":[\"a\"],\"labels\":{\"x\":\"y\"}}]");
    for (int64_t n = 1;; n++) {
        prom_discoverer *d;
        f->first[0] = '\0';
        sx_fault_alloc_set((sx_fault_alloc){.nth = n});
        sx_status st =
            prom_discoverer_new(f->loop, NULL, NULL, &what, SX_STR("j"), on_told, f, &d, NULL);
        if (st == SX_OK)
            advance(f, 0);
        int64_t calls = sx_fault_alloc_calls();
        sx_fault_alloc_set((sx_fault_alloc){0});
        if (st == SX_OK) {
            advance(f, 1000);
            advance(f, 10000);
            assert_string_equal(f->first, "a");
            prom_discoverer_free(d);
        } else {
            assert_int_equal(st, SX_ENOMEM);
        }
        if (calls < n)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_are_read_from_json),
        cmocka_unit_test(test_groups_cut_anywhere_are_refused),
        cmocka_unit_test(test_groups_that_are_wrong_are_named),
        cmocka_unit_test(test_groups_are_read_from_yaml),
        cmocka_unit_test(test_pods_keep_what_labels_are_made_of),
        cmocka_unit_test(test_objects_cut_anywhere_are_refused),
        cmocka_unit_test(test_objects_without_memory),
        cmocka_unit_test(test_pages_and_events),
        cmocka_unit_test_setup_teardown(test_static_targets_are_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_are_told_at_most_every_five_seconds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_memory_may_fail_anywhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
