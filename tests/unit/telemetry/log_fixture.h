/* log_fixture.h - a log on a file of its own in a folder of its own, on a clock that stands still. */
#ifndef SEXTANT_TESTS_LOG_FIXTURE_H
#define SEXTANT_TESTS_LOG_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/buf.h>
#include <sextant/compress.h>
#include <sextant/log.h>

enum { START_S = 1705314600, NAMES = 64, NAME_BYTES = 96 }; /* 2024-01-15T10:30:00Z */

typedef struct fixture {
    sx_log *log;
    char folder[64], path[80];
    sx_fake_clock clock;
    sx_buf text;
    char names[NAMES][NAME_BYTES]; /* of the files in the folder, sorted */
    size_t name_count;
} fixture;

static inline void open_log(fixture *f, sx_log_options o)
{
    sx_error err = {0};
    o.path = f->path;
    o.clock = &f->clock.clock;
    if (sx_log_new(&o, &f->log, &err) != SX_OK)
        fail_msg("%s", err.message);
}

static inline int compare_names(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

static inline void list_files(fixture *f)
{
    DIR *d = opendir(f->folder);
    assert_non_null(d);
    f->name_count = 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && f->name_count < NAMES)
            snprintf(f->names[f->name_count++], NAME_BYTES, "%.90s", e->d_name);
    closedir(d);
    qsort(f->names, f->name_count, NAME_BYTES, compare_names);
}

static inline int setup(void **state)
{
    fixture *f = (fixture *)calloc(1, sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/sx-test-log-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/shop.log", f->folder);
    sx_fake_clock_init(&f->clock, (int64_t)START_S * 1000 + 123);
    sx_buf_init(&f->text, 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture *f = (fixture *)*state;
    char path[256];
    sx_log_free(f->log);
    list_files(f);
    for (size_t i = 0; i < f->name_count; i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, f->names[i]);
        if (unlink(path) != 0)
            rmdir(path);
    }
    rmdir(f->folder);
    sx_buf_done(&f->text);
    free(f);
    return 0;
}

/* Appends what a file of the folder holds, decompressed, to f->text, with a NUL that is not counted. */
static inline void add_contents(fixture *f, const char *name)
{
    char path[256];
    sx_error err = {0};
    sx_str piece;
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    sx_packed_file *file = sx_packed_file_open(path, NULL, &err);
    if (!file)
        fail_msg("%s", err.message);
    while (sx_packed_file_read(file, &piece, &err) == SX_OK)
        sx_buf_str(&f->text, piece);
    sx_packed_file_close(file);
    sx_buf_byte(&f->text, '\0');
    f->text.len--;
}

/* What the log has written to its file. */
static inline const char *written(fixture *f)
{
    assert_true(sx_log_flush(f->log, 5000));
    sx_buf_clear(&f->text);
    add_contents(f, "shop.log");
    return f->text.data;
}

/* How often `what` is in what was read last. */
static inline size_t count_of(const fixture *f, const char *what)
{
    size_t count = 0;
    for (const char *at = f->text.data; at && (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

#endif
