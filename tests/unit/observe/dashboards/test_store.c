/* test_store.c - dashboards, folders, stars and annotations in their file. */
#include "tests/unit/base/cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sextant/file.h>
#include <sextant/mem.h>

#include "lib/base/fault.h"
#include "observe/dashboards/store.h"

typedef struct fixture {
    char dir[64], path[96];
    sx_fake_clock clock;
    dash_store *store;
    sx_arena arena;
} fixture;

static void open_store(fixture *f)
{
    sx_error err = {0};
    const dash_limits limits = {
        .bytes_max = 2000, .versions_max = 3, .count_max = 50, .notes_max = 5};
    if (dash_store_open(f->path, &limits, &f->clock.clock, &f->store, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static int open_fixture(void **state)
{
    fixture *f = sx_calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sx_dashboards_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/d.db", f->dir);
    sx_fake_clock_init(&f->clock, 1000000);
    sx_arena_init(&f->arena, 0, 0);
    open_store(f);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    static const char *const ENDS[] = {"", "-wal", "-shm"};
    fixture *f = *state;
    char name[128];
    dash_store_close(f->store);
    for (size_t i = 0; i < SX_COUNT_OF(ENDS); i++) {
        snprintf(name, sizeof name, "%s%s", f->path, ENDS[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(f->dir), 0);
    sx_arena_done(&f->arena);
    sx_free(f);
    return 0;
}

static sx_str text_of(const char *z)
{
    return sx_str_z(z);
}

static dash_fault save_as(fixture *f, const char *json, dash_save save, dash_item *out)
{
    dash_head head;
    sx_error err = {0};
    assert_int_equal(dash_head_read(text_of(json), &f->arena, &head, &err), SX_OK);
    save.head = &head;
    dash_fault fault = dash_put(f->store, &save, &f->arena, out, &err);
    if (fault == DASH_BROKEN)
        fail_msg("%s", err.message);
    return fault;
}

static dash_item save(fixture *f, const char *json)
{
    dash_item item;
    assert_int_equal(save_as(f, json, (dash_save){.overwrite = true}, &item), DASH_FINE);
    return item;
}

static bool is(sx_str view, const char *z)
{
    return sx_str_eq(view, sx_str_z(z));
}

static void test_a_saved_dashboard_is_there_again(void **state)
{
    fixture *f = *state;
    dash_item item, back;
    dash_version version;
    const char *json =
        "{\"title\":\"It's; DROP TABLE item --\",\"uid\":\"a\",\"tags\":[\"t\",\"'\"]}";
    assert_int_equal(
        save_as(f, json, (dash_save){.login = SX_STR("ann"), .message = SX_STR("m")}, &item),
        DASH_FINE);
    assert_int_equal(item.version, 1);
    dash_store_close(f->store);
    open_store(f);
    assert_int_equal(dash_get(f->store, SX_STR("a"), 0, &f->arena, &back, &version, NULL),
                     DASH_FINE);
    assert_true(is(back.title, "It's; DROP TABLE item --") && is(back.created_by, "ann"));
    assert_int_equal(back.tag_count, 2);
    assert_true(is(back.tags[1], "'"));
    assert_true(is(version.json, json) && is(version.message, "m"));
    assert_int_equal(back.created_ms, 1000000);
}

static void test_two_who_save_do_not_overwrite_each_other(void **state)
{
    fixture *f = *state;
    dash_item item;
    dash_save careful = {0};
    save(f, "{\"title\":\"A\",\"uid\":\"a\"}");
    assert_int_equal(save_as(f, "{\"title\":\"A1\",\"uid\":\"a\",\"version\":1}", careful, &item),
                     DASH_FINE);
    assert_int_equal(item.version, 2);
    assert_int_equal(save_as(f, "{\"title\":\"A2\",\"uid\":\"a\",\"version\":1}", careful, &item),
                     DASH_CHANGED);
    assert_int_equal(save_as(f, "{\"title\":\"A1\",\"uid\":\"b\"}", careful, &item),
                     DASH_NAME_EXISTS);
    assert_int_equal(save_as(f, "{\"title\":\"A1\"}", (dash_save){.overwrite = true}, &item),
                     DASH_FINE);
    assert_true(is(item.uid, "a")); /* a script without uids means the one of that title */
    assert_int_equal(item.version, 3);
    assert_int_equal(save_as(f, "{\"title\":\"X\",\"id\":999}", careful, &item), DASH_NOT_FOUND);
}

static void test_what_cannot_be_saved_says_why(void **state)
{
    static const struct {
        const char *json;
        dash_fault fault;
    } ROWS[] = {
        {"{\"uid\":\"a\"}", DASH_TITLE_EMPTY},
        {"{\"title\":\"  \"}", DASH_TITLE_EMPTY},
        {"{\"title\":\"a\",\"uid\":\"a/b\"}", DASH_UID_INVALID},
        {"{\"title\":\"a\",\"uid\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", DASH_UID_LONG},
    };
    fixture *f = *state;
    dash_item item;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++)
        assert_int_equal(save_as(f, ROWS[i].json, (dash_save){0}, &item), ROWS[i].fault);
    assert_int_equal(save_as(f, "{\"title\":\"a\"}", (dash_save){.folder = SX_STR("no")}, &item),
                     DASH_FOLDER_MISSING);
    sx_str large = sx_arena_printf(&f->arena, "{\"title\":\"a\",\"x\":\"%02000d\"}", 0);
    assert_int_equal(save_as(f, large.data, (dash_save){0}, &item), DASH_TOO_LARGE);
    for (int i = 0; i < 50; i++)
        save(f, sx_arena_printf(&f->arena, "{\"title\":\"n%d\"}", i).data);
    assert_int_equal(save_as(f, "{\"title\":\"over\"}", (dash_save){0}, &item), DASH_TOO_MANY);
}

static void test_versions_are_kept_up_to_their_number(void **state)
{
    fixture *f = *state;
    dash_item item;
    dash_version *versions, one;
    size_t count;
    for (int i = 1; i <= 5; i++)
        save(f, sx_arena_printf(&f->arena, "{\"title\":\"v%d\",\"uid\":\"a\"}", i).data);
    assert_int_equal(
        dash_versions(f->store, SX_STR("a"), 0, 100, &f->arena, &item, &versions, &count, NULL),
        DASH_FINE);
    assert_int_equal(count, 3);
    assert_int_equal(versions[0].version, 5);
    assert_int_equal(versions[2].version, 3);
    assert_int_equal(dash_get(f->store, SX_STR("a"), 4, &f->arena, &item, &one, NULL), DASH_FINE);
    assert_true(is(one.json, "{\"title\":\"v4\",\"uid\":\"a\"}"));
    assert_int_equal(dash_get(f->store, SX_STR("a"), 1, &f->arena, &item, &one, NULL),
                     DASH_VERSION_NOT_FOUND);
}

static void test_a_removed_one_takes_its_own_along(void **state)
{
    fixture *f = *state;
    dash_item item;
    dash_version version;
    sx_str *stars;
    size_t count;
    int64_t id;
    dash_note note = {.dashboard = SX_STR("a"), .text = SX_STR("n"), .time_ms = 1, .end_ms = 1};
    save(f, "{\"title\":\"A\",\"uid\":\"a\"}");
    assert_int_equal(dash_star(f->store, SX_STR("ann"), SX_STR("a"), true, NULL), DASH_FINE);
    assert_int_equal(dash_star(f->store, SX_STR("ann"), SX_STR("a"), true, NULL), DASH_FINE);
    assert_int_equal(dash_star(f->store, SX_STR("ann"), SX_STR("no"), true, NULL), DASH_NOT_FOUND);
    assert_int_equal(dash_stars(f->store, SX_STR("ann"), &f->arena, &stars, &count, NULL), SX_OK);
    assert_int_equal(count, 1);
    assert_int_equal(dash_note_add(f->store, &note, &id, NULL), DASH_FINE);
    assert_int_equal(dash_remove(f->store, SX_STR("a"), &f->arena, &item, NULL), DASH_FINE);
    assert_int_equal(dash_get(f->store, SX_STR("a"), 0, &f->arena, &item, &version, NULL),
                     DASH_NOT_FOUND);
    assert_int_equal(dash_note_get(f->store, id, &f->arena, &note, NULL), DASH_NOTE_NOT_FOUND);
    assert_int_equal(dash_stars(f->store, SX_STR("ann"), &f->arena, &stars, &count, NULL), SX_OK);
    assert_int_equal(count, 0);
    assert_int_equal(dash_remove(f->store, SX_STR("a"), &f->arena, &item, NULL), DASH_NOT_FOUND);
}

static dash_fault make_folder(fixture *f, const char *uid, const char *parent, dash_item *out)
{
    dash_folder_save x = {.uid = sx_str_z(uid), .title = sx_str_z(uid), .parent = sx_str_z(parent)};
    return dash_folder_make(f->store, &x, &f->arena, out, NULL);
}

static void test_folders_form_a_tree(void **state)
{
    fixture *f = *state;
    dash_item item;
    assert_int_equal(make_folder(f, "a", "", &item), DASH_FINE);
    assert_int_equal(make_folder(f, "b", "a", &item), DASH_FINE);
    assert_int_equal(make_folder(f, "c", "b", &item), DASH_FINE);
    assert_int_equal(make_folder(f, "d", "c", &item), DASH_FINE);
    assert_int_equal(make_folder(f, "e", "d", &item), DASH_FOLDER_DEEP);
    assert_int_equal(make_folder(f, "a", "", &item), DASH_FOLDER_UID_EXISTS);
    assert_int_equal(make_folder(f, "x", "no", &item), DASH_FOLDER_NOT_FOUND);
    dash_folder_save move = {.uid = SX_STR("a"), .parent = SX_STR("c")};
    assert_int_equal(dash_folder_move(f->store, &move, &f->arena, &item, NULL), DASH_FOLDER_CIRCLE);
    assert_int_equal(make_folder(f, "p", "", &item), DASH_FINE);
    move.parent = SX_STR("p"); /* four would be five */
    assert_int_equal(dash_folder_move(f->store, &move, &f->arena, &item, NULL), DASH_FOLDER_DEEP);
    move.uid = SX_STR("b"); /* three on one are four */
    assert_int_equal(dash_folder_move(f->store, &move, &f->arena, &item, NULL), DASH_FINE);
    move.parent = SX_STR("a");
    assert_int_equal(dash_folder_move(f->store, &move, &f->arena, &item, NULL), DASH_FINE);
    assert_int_equal(dash_folder_remove(f->store, SX_STR("p"), &f->arena, &item, NULL), DASH_FINE);
    dash_folder_save change = {.uid = SX_STR("a"), .title = SX_STR("A"), .version = 7};
    assert_int_equal(dash_folder_change(f->store, &change, &f->arena, &item, NULL),
                     DASH_FOLDER_CHANGED);
    change.version = 1;
    assert_int_equal(dash_folder_change(f->store, &change, &f->arena, &item, NULL), DASH_FINE);
    assert_int_equal(item.version, 2);
    assert_int_equal(
        save_as(f, "{\"title\":\"D\",\"uid\":\"deep\"}", (dash_save){.folder = SX_STR("d")}, &item),
        DASH_FINE);
    assert_int_equal(save_as(f, "{\"title\":\"D\",\"uid\":\"a\"}", (dash_save){0}, &item),
                     DASH_TYPE_MISMATCH);
    assert_int_equal(dash_folder_remove(f->store, SX_STR("a"), &f->arena, &item, NULL), DASH_FINE);
    dash_index *index;
    assert_int_equal(dash_index_get(f->store, &index, NULL), SX_OK);
    assert_int_equal(index->count, 0);
    dash_index_unref(index);
}

static void test_what_is_a_files_stays_as_it_is(void **state)
{
    fixture *f = *state;
    dash_item item;
    dash_save file = {.provider = SX_STR("p"), .file = SX_STR("x.json"), .overwrite = true};
    assert_int_equal(save_as(f, "{\"title\":\"F\",\"uid\":\"f\"}", file, &item), DASH_FINE);
    assert_int_equal(
        save_as(f, "{\"title\":\"G\",\"uid\":\"f\"}", (dash_save){.overwrite = true}, &item),
        DASH_PROVISIONED_SAVE);
    assert_int_equal(dash_remove(f->store, SX_STR("f"), &f->arena, &item, NULL),
                     DASH_PROVISIONED_DELETE);
    file.may_update = true;
    assert_int_equal(save_as(f, "{\"title\":\"F\",\"uid\":\"f\"}", file, &item), DASH_FINE);
    assert_int_equal(
        save_as(f, "{\"title\":\"G\",\"uid\":\"f\"}", (dash_save){.overwrite = true}, &item),
        DASH_FINE);
    assert_true(is(item.provider, "p"));
}

/* What is in memory of all of them is bounded, whatever a dashboard says of itself. */
static void test_a_head_is_small(void **state)
{
    fixture *f = *state;
    const dash_limits limits = {.bytes_max = 1 << 20};
    dash_item item;
    sx_buf text;
    sx_error err = {0};
    dash_store_close(f->store);
    assert_int_equal(dash_store_open(f->path, &limits, &f->clock.clock, &f->store, &err), SX_OK);
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("{\"title\":\"T\",\"uid\":\"t\",\"description\":\"x"));
    for (int i = 0; i < DASH_DESCRIPTION_BYTES_MAX; i++)
        sx_buf_str(&text, SX_STR("\xc3\xa9"));
    sx_buf_str(&text, SX_STR("\"}"));
    sx_buf_byte(&text, '\0');
    item = save(f, text.data);
    assert_int_equal(item.description.len, DASH_DESCRIPTION_BYTES_MAX - 1); /* no half of an é */
    sx_buf_clear(&text);
    sx_buf_str(&text, SX_STR("{\"title\":\"T\",\"uid\":\"t\",\"tags\":[\""));
    for (int i = 0; i <= DASH_TAGS_BYTES_MAX; i++)
        sx_buf_byte(&text, 'x');
    sx_buf_str(&text, SX_STR("\"]}"));
    sx_buf_byte(&text, '\0');
    assert_int_equal(save_as(f, text.data, (dash_save){.overwrite = true}, &item), DASH_TAGS_LARGE);
    sx_buf_done(&text);
}

/* Whoever lists dashboards after each mark of a deployment does not have all heads read again. */
static void test_stars_and_annotations_leave_the_index(void **state)
{
    fixture *f = *state;
    dash_index *before, *after;
    dash_note note = {.dashboard = SX_STR("a"), .text = SX_STR("n"), .time_ms = 1, .end_ms = 1};
    int64_t id;
    save(f, "{\"title\":\"A\",\"uid\":\"a\"}");
    assert_int_equal(dash_index_get(f->store, &before, NULL), SX_OK);
    assert_int_equal(dash_star(f->store, SX_STR("ann"), SX_STR("a"), true, NULL), DASH_FINE);
    assert_int_equal(dash_note_add(f->store, &note, &id, NULL), DASH_FINE);
    assert_int_equal(dash_note_remove(f->store, id, NULL), DASH_FINE);
    assert_int_equal(dash_index_get(f->store, &after, NULL), SX_OK);
    assert_ptr_equal(before, after);
    dash_index_unref(after);
    save(f, "{\"title\":\"B\",\"uid\":\"b\"}");
    assert_int_equal(dash_index_get(f->store, &after, NULL), SX_OK);
    assert_int_equal(before->count + 1, after->count);
    dash_index_unref(after);
    dash_index_unref(before);
}

static void test_annotations_are_found_by_time_and_tag(void **state)
{
    fixture *f = *state;
    static const sx_str AB[] = {SX_STR_INIT("a"), SX_STR_INIT("b")},
                        AC[] = {SX_STR_INIT("a"), SX_STR_INIT("c")};
    int64_t id = 0;
    dash_note *notes;
    size_t count;
    for (int i = 1; i <= 7; i++) {
        dash_note n = {.text = SX_STR("x"),
                       .time_ms = i * 10,
                       .end_ms = i * 10 + 5,
                       .tags = AB,
                       .tag_count = 2};
        assert_int_equal(dash_note_add(f->store, &n, &id, NULL), DASH_FINE);
    }
    dash_note_filter filter = {.limit = 100};
    assert_int_equal(dash_notes(f->store, &filter, &f->arena, &notes, &count, NULL), SX_OK);
    assert_int_equal(count, 5); /* the two oldest went */
    assert_int_equal(notes[0].time_ms, 70);
    filter.from_ms = 45, filter.to_ms = 60;
    assert_int_equal(dash_notes(f->store, &filter, &f->arena, &notes, &count, NULL), SX_OK);
    assert_int_equal(count, 3); /* 40-45 reaches in */
    filter.tags = AC, filter.tag_count = 2;
    assert_int_equal(dash_notes(f->store, &filter, &f->arena, &notes, &count, NULL), SX_OK);
    assert_int_equal(count, 0);
    filter.any_tag = true;
    assert_int_equal(dash_notes(f->store, &filter, &f->arena, &notes, &count, NULL), SX_OK);
    assert_int_equal(count, 3);
    dash_count *tags;
    assert_int_equal(dash_note_tags(f->store, SX_STR("B"), 10, &f->arena, &tags, &count, NULL),
                     SX_OK);
    assert_int_equal(count, 1);
    assert_int_equal(tags[0].count, 5);
    dash_note bad = {.text = SX_STR("x"), .time_ms = 5, .end_ms = 1};
    assert_int_equal(dash_note_add(f->store, &bad, &id, NULL), DASH_NOTE_TIMES);
    bad = (dash_note){.time_ms = 5, .end_ms = 5};
    assert_int_equal(dash_note_add(f->store, &bad, &id, NULL), DASH_NOTE_EMPTY);
    assert_int_equal(dash_note_remove(f->store, 1, NULL), DASH_NOTE_NOT_FOUND);
}

/* A child saves on and on, tells each save by a byte, and is killed: what was told is there, and whole. */
static void test_a_kill_loses_nothing_that_was_told(void **state)
{
    fixture *f = *state;
    int told[2];
    char byte;
    dash_store_close(f->store);
    f->store = NULL;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_store(f);
        for (;;) {
            save(f, "{\"title\":\"K\",\"uid\":\"k\"}");
            if (write(told[1], "x", 1) != 1)
                _exit(1);
        }
    }
    close(told[1]);
    int64_t heard = 0;
    while (heard < 20 && read(told[0], &byte, 1) == 1)
        heard++;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(told[0], &byte, 1) == 1)
        heard++;
    close(told[0]);
    open_store(f);
    dash_item item;
    dash_version version;
    assert_int_equal(dash_get(f->store, SX_STR("k"), 0, &f->arena, &item, &version, NULL),
                     DASH_FINE);
    assert_true(item.version >= heard && item.version <= heard + 1);
    assert_int_equal(version.version, item.version);
    assert_true(is(version.json, "{\"title\":\"K\",\"uid\":\"k\"}"));
}

static sx_status use_store(fixture *f, sx_error *err)
{
    dash_head head;
    dash_item item;
    dash_version version;
    dash_index *index;
    dash_store *store;
    sx_arena arena;
    dash_fault fault = DASH_BROKEN;
    sx_arena_init(&arena, 0, 0);
    sx_status status = dash_store_open(":memory:", NULL, &f->clock.clock, &store, err);
    if (status == SX_OK) {
        status = dash_head_read(SX_STR("{\"title\":\"T\",\"uid\":\"t\",\"tags\":[\"x\"]}"), &arena,
                                &head, err);
        dash_save save = {.head = &head};
        if (status == SX_OK)
            fault = dash_put(store, &save, &arena, &item, err);
        if (fault == DASH_FINE)
            fault = dash_get(store, SX_STR("t"), 0, &arena, &item, &version, err);
        if (status == SX_OK && fault != DASH_FINE)
            status = err->status;
        if (status == SX_OK)
            status = dash_index_get(store, &index, err);
        if (status == SX_OK)
            dash_index_unref(index);
        dash_store_close(store);
    }
    sx_arena_done(&arena);
    return status;
}

static void test_without_memory_it_says_so(void **state)
{
    fixture *f = *state;
    for (int64_t nth = 1;; nth++) {
        sx_error err = {0};
        sx_fault_alloc_set((sx_fault_alloc){.nth = nth});
        sx_status status = use_store(f, &err);
        bool is_last = sx_fault_alloc_calls() < nth;
        assert_int_equal(sx_fault_alloc_held(), 0);
        sx_fault_alloc_set((sx_fault_alloc){0});
        assert_int_equal(status, is_last ? SX_OK : SX_ENOMEM);
        if (is_last)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_saved_dashboard_is_there_again),
        TEST(test_two_who_save_do_not_overwrite_each_other),
        TEST(test_what_cannot_be_saved_says_why),
        TEST(test_versions_are_kept_up_to_their_number),
        TEST(test_a_removed_one_takes_its_own_along),
        TEST(test_folders_form_a_tree),
        TEST(test_what_is_a_files_stays_as_it_is),
        TEST(test_a_head_is_small),
        TEST(test_stars_and_annotations_leave_the_index),
        TEST(test_annotations_are_found_by_time_and_tag),
        TEST(test_a_kill_loses_nothing_that_was_told),
        TEST(test_without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
