/* temp_folder.h - a folder of its own for a test, removed with all that is in it. */
#ifndef SEXTANT_TESTS_TEMP_FOLDER_H
#define SEXTANT_TESTS_TEMP_FOLDER_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct temp_folder {
    char path[64];
} temp_folder;

static inline int temp_folder_make(temp_folder *t)
{
    snprintf(t->path, sizeof(t->path), "/tmp/sextant-test-XXXXXX");
    return mkdtemp(t->path) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

/* Everything under `path` and itself; links are removed, not followed. */
static inline void folder_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "folder/name" in a buffer that the next call but three reuses. */
static inline const char *in_folder(const temp_folder *t, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *out = paths[turn++ % 4];
    snprintf(out, PATH_MAX, "%s/%s", t->path, name);
    return out;
}

#endif
