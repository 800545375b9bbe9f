/* pg_lib.c - see pg_lib.h. */
#include "client/pg_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Filled once, by whoever comes first, and never unloaded: read-only from then on. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pg_lib table;
static bool is_loaded;
static char reason[200];

static void load(void)
{
    static const char *const NAMES[] = {
#define X(name) #name,
        PG_FUNCTIONS(X)
#undef X
    };
    void *handle = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(reason, sizeof(reason), "%s", dlerror());
        return;
    }
    for (size_t i = 0; i < SX_COUNT_OF(NAMES); i++) {
        void *found = dlsym(handle, NAMES[i]);
        if (!found) {
            snprintf(reason, sizeof(reason), "it has no %s: it is older than PostgreSQL 9.2's",
                     NAMES[i]);
            return;
        }
        /* POSIX has it that a function's address is held by a void pointer; C alone does not. */
        memcpy((char *)&table + i * sizeof(found), &found, sizeof(found));
    }
    is_loaded = true;
}

const pg_lib *pg_lib_load(sx_error *err)
{
    pthread_once(&once, load);
    if (is_loaded)
        return &table;
    sx_fail(err, SX_EUNSUPPORTED,
            "PostgreSQL's client library cannot be loaded (install libpq5): %s", reason);
    return NULL;
}
