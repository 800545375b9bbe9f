/* test_files.c - dashboards that lie in files: taken up, changed, broken, gone. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "observe/dashboards/files.h"

typedef struct fixture {
    char dir[64];
    sx_fake_clock clock;
    dash_store *store;
    dash_files *files;
    sx_arena arena;
} fixture;

static const char *path_of(fixture *f, const char *name)
{
    return sx_arena_printf(&f->arena, "%s/%s", f->dir, name).data;
}

static void put(fixture *f, const char *name, const char *text)
{
    sx_error err = {0};
    if (sx_file_replace(path_of(f, name), sx_str_z(text), &err) != SX_OK)
        fail_msg("%s", err.message);
}

static void begin(fixture *f, const char *paths, const char *provisioning, const sx_assets *builtin)
{
    sx_error err = {0};
    dash_files_options options = {
        .paths = sx_str_z(paths), .provisioning = sx_str_z(provisioning), .builtin = builtin};
    dash_files_free(f->files);
    assert_int_equal(dash_files_new(f->store, &options, &f->files, &err), SX_OK);
    dash_files_scan(f->files, false);
}

static int open_fixture(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    sx_error err = {0};
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sx_dashboards_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    sx_fake_clock_init(&f->clock, 1000000);
    sx_arena_init(&f->arena, 0, 0);
    assert_int_equal(dash_store_open(":memory:", NULL, &f->clock.clock, &f->store, &err), SX_OK);
    assert_int_equal(mkdir(path_of(f, "d"), 0700), 0);
    assert_int_equal(mkdir(path_of(f, "d/Team"), 0700), 0);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    char command[128];
    dash_files_free(f->files);
    dash_store_close(f->store);
    sx_arena_done(&f->arena);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    sx_free(f);
    return 0;
}

/* The item of that uid now, its texts in the fixture's arena; uid empty: there is none. */
static dash_item item_of(fixture *f, const char *uid)
{
    dash_index *index;
    dash_item out = {0};
    assert_int_equal(dash_index_get(f->store, &index, NULL), SX_OK);
    const dash_item *item = dash_index_find(index, sx_str_z(uid));
    if (item) {
        out = *item;
        out.title = sx_arena_copy(&f->arena, item->title);
        out.folder = sx_arena_copy(&f->arena, item->folder);
        out.uid = sx_arena_copy(&f->arena, item->uid);
    }
    dash_index_unref(index);
    return out;
}

static size_t problems(fixture *f, dash_problem **out)
{
    size_t count;
    assert_int_equal(dash_files_problems(f->files, &f->arena, out, &count, NULL), SX_OK);
    return count;
}

static bool is(sx_str view, const char *z)
{
    return sx_str_eq(view, sx_str_z(z));
}

static void test_files_come_change_and_go(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    put(f, "d/a.json", "{\"title\":\"A\",\"uid\":\"a\"}");
    put(f, "d/Team/b.json", "{\"dashboard\":{\"title\":\"B\",\"uid\":\"b\"}}");
    put(f, "d/Team/c.json", "{\"title\":\"C\"}");
    put(f, "d/readme.txt", "no");
    begin(f, path_of(f, "d"), "", NULL);
    assert_int_equal(problems(f, &told), 0);
    assert_true(is(item_of(f, "a").title, "A"));
    dash_item folder = item_of(f, item_of(f, "b").folder.data);
    assert_true(folder.is_folder && is(folder.title, "Team"));
    dash_files_scan(f->files, true);
    assert_int_equal(item_of(f, "a").version, 1); /* nothing had changed */
    put(f, "d/a.json", "{\"title\":\"A, longer\",\"uid\":\"a\"}");
    dash_files_scan(f->files, false);
    assert_true(is(item_of(f, "a").title, "A, longer"));
    assert_int_equal(item_of(f, "a").version, 2);
    assert_int_equal(rename(path_of(f, "d/a.json"), path_of(f, "d/moved.json")), 0);
    assert_int_equal(unlink(path_of(f, "d/Team/b.json")), 0);
    assert_int_equal(unlink(path_of(f, "d/Team/c.json")), 0);
    dash_files_scan(f->files, false);
    assert_int_equal(problems(f, &told), 0);
    assert_true(item_of(f, "a").uid.len && !item_of(f, "b").uid.len);
    assert_false(item_of(f, folder.uid.data).uid.len); /* empty, and made for them */
}

static void test_a_broken_file_is_told_and_its_dashboard_stays(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    sx_str message;
    put(f, "d/a.json", "{\"title\":\"A\",\"uid\":\"a\"}");
    put(f, "d/new.json", "{\n \"title\" \"x\"}");
    put(f, "d/same.json", "{\"title\":\"S\",\"uid\":\"a\"}");
    put(f, "d/untitled.json", "{\"uid\":\"u\"}");
    begin(f, path_of(f, "d"), "", NULL);
    assert_int_equal(problems(f, &told), 3);
    assert_true(is(told[0].file, "new.json"));
    assert_non_null(strstr(told[0].message.data, "line 2"));
    assert_non_null(strstr(told[1].message.data, "a.json"));
    assert_true(dash_files_problem_of(f->files, SX_STR("new"), &f->arena, &message));
    put(f, "d/a.json", "{\"title\":\"A");
    dash_files_scan(f->files, false);
    assert_true(is(item_of(f, "a").title, "A") || is(item_of(f, "a").title, "S"));
    assert_true(
        dash_files_problem(f->files, told[0].provider, SX_STR("a.json"), &f->arena, &message));
    put(f, "d/a.json", "{\"title\":\"A\",\"uid\":\"a\"}");
    put(f, "d/new.json", "{\"title\":\"N\"}");
    put(f, "d/same.json", "{\"title\":\"S\",\"uid\":\"s\"}");
    put(f, "d/untitled.json", "{\"title\":\"U\"}");
    dash_files_scan(f->files, false);
    dash_files_scan(f->files, true);
    assert_int_equal(problems(f, &told), 0);
    begin(f, path_of(f, "nowhere"), "", NULL);
    assert_int_equal(problems(f, &told), 1);
}

static void test_provisioning_files_name_folders(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    dash_item item;
    put(f, "d/a.json", "{\"title\":\"A\",\"uid\":\"a\"}");
    put(f, "p.yaml",
        "apiVersion: 1\nproviders:\n- name: one\n  folder: Ops\n  folderUid: ops-uid\n"
        "  allowUiUpdates: true\n  disableDeletion: true\n  updateIntervalSeconds: 3\n"
        "  options: {path: d}\n- name: two\n  optionz: {}\n");
    begin(f, "", path_of(f, "p.yaml"), NULL);
    assert_int_equal(problems(f, &told), 1);
    assert_non_null(strstr(told[0].message.data, "did you mean \"options\""));
    item = item_of(f, "a");
    assert_true(item.may_update && is(item.folder, "ops-uid"));
    assert_int_equal(unlink(path_of(f, "d/a.json")), 0);
    dash_files_scan(f->files, false);
    item = item_of(f, "a"); /* disableDeletion: it is a user's from now on */
    assert_true(item.uid.len && !item.provider.len);
    put(f, "d/b.json", "{\"title\":\"B\",\"uid\":\"b\"}");
    dash_files_scan(f->files, false);
    assert_true(item_of(f, "b").uid.len);
    put(f, "p.yaml", "apiVersion: 1\nproviders: []\n");
    dash_files_scan(f->files, false);
    assert_int_equal(problems(f, &told), 0);
    assert_false(item_of(f, "b").uid.len);
}

/* A slip of the pen in the YAML takes nobody's dashboards, and with them their versions and stars. */
static void test_a_broken_provisioning_file_removes_nothing(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    put(f, "d/b.json", "{\"title\":\"B\",\"uid\":\"b\"}");
    put(f, "p.yaml", "providers:\n- name: one\n  options: {path: d}\n");
    begin(f, "", path_of(f, "p.yaml"), NULL);
    assert_true(item_of(f, "b").uid.len);
    put(f, "p.yaml", "providers: {");
    dash_files_scan(f->files, false);
    assert_int_equal(problems(f, &told), 1);
    assert_true(item_of(f, "b").uid.len);
    put(f, "p.yaml", "providers:\n- name: builtin\n  options: {path: d}\n");
    dash_files_scan(f->files, false);
    assert_int_equal(problems(f, &told), 1);
    assert_non_null(strstr(told[0].message.data, "choose another"));
    assert_true(item_of(f, "b").uid.len);
    put(f, "p.yaml", "providers: []\n");
    dash_files_scan(f->files, false);
    assert_int_equal(problems(f, &told), 0);
    assert_false(item_of(f, "b").uid.len);
}

static const char PROVISIONING[] =
    "apiVersion: 1\nproviders:\n- name: one\n  folder: \"Ops\"\n  type: file\n"
    "  options: {path: d, foldersFromFilesStructure: true}\n- {name: two, options: {path: e}}\n";

/* A part of it is fewer providers or told as wrong; neither reads beyond it. */
static void test_a_provisioning_file_cut_at_every_byte_is_read(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    char part[sizeof PROVISIONING];
    for (size_t len = 0; len < sizeof PROVISIONING; len++) {
        memcpy(part, PROVISIONING, len);
        part[len] = '\0';
        put(f, "p.yaml", part);
        if (len == 0)
            begin(f, "", path_of(f, "p.yaml"), NULL);
        dash_files_scan(f->files, true);
        for (size_t i = problems(f, &told); i > 0; i--)
            assert_true(told[i - 1].message.len && told[i - 1].file.len);
    }
}

/* Many files are no more work each than few: looked up by tables, folders asked for once. */
static void test_many_files_are_taken_up(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    dash_index *index;
    enum { MANY = 400 };
    for (int i = 0; i < MANY; i++) {
        sx_str name = sx_arena_printf(&f->arena, "d/%s%d.json", i % 2 ? "Team/" : "", i);
        put(f, name.data, sx_arena_printf(&f->arena, "{\"title\":\"n%d\"}", i).data);
    }
    begin(f, path_of(f, "d"), "", NULL);
    assert_int_equal(problems(f, &told), 0);
    assert_int_equal(dash_index_get(f->store, &index, NULL), SX_OK);
    assert_int_equal(index->count, MANY + 1);
    dash_index_unref(index);
}

static void test_what_is_built_in_is_there(void **state)
{
    fixture *f = *state;
    dash_problem *told;
    begin(f, "", "", &DASH_BUILTIN);
    assert_int_equal(problems(f, &told), 0);
    assert_true(item_of(f, "sextant").uid.len);
    begin(f, "", "", NULL);
    assert_false(item_of(f, "sextant").uid.len);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_come_change_and_go),
        TEST(test_a_broken_file_is_told_and_its_dashboard_stays),
        TEST(test_provisioning_files_name_folders),
        TEST(test_a_broken_provisioning_file_removes_nothing),
        TEST(test_a_provisioning_file_cut_at_every_byte_is_read),
        TEST(test_many_files_are_taken_up),
        TEST(test_what_is_built_in_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
