/* files_impl.h - what the parts of files.h share. */
#ifndef OBSERVE_DASHBOARDS_FILES_IMPL_H
#define OBSERVE_DASHBOARDS_FILES_IMPL_H

#include <pthread.h>

#include "observe/dashboards/files.h"

typedef struct dash_provider {
    sx_str name, path, folder, folder_uid; /* in the arena of the list */
    bool structure;                        /* subfolders are folders */
    bool may_update, keep_deleted;
    const sx_assets *assets; /* instead of a path */
    uint64_t seen;           /* what its files looked like at the last scan; 0: never */
    sx_arena told;           /* holds the problems */
    dash_problem *problems;
    size_t problem_count, problem_cap;
} dash_provider;

/* Providers of one generation of the provisioning files. */
typedef struct dash_providers {
    sx_arena arena;
    dash_provider *items;
    size_t count, cap;
} dash_providers;

struct dash_files {
    dash_store *store;
    sx_logger *logger;
    const _Atomic bool *stop;
    sx_arena arena; /* the options' names */
    sx_str paths, provisioning;
    const sx_assets *builtin;
    pthread_mutex_t scan_lock; /* one scan at a time */
    pthread_mutex_t lock;      /* of the problems */
    dash_providers list;       /* by scan_lock; its problems by lock, too */
    uint64_t provisioned;      /* what the provisioning files looked like */
};

/* A file that was found. */
typedef struct dash_found {
    sx_str name; /* below the provider's path, with slashes */
    sx_str path;
    int64_t changed_ns;
    uint64_t bytes, inode;
} dash_found;

typedef struct dash_listing {
    sx_arena *arena;
    dash_found *items;
    size_t count, cap;
} dash_listing;

/* All *.json (by `ends`) below `path`, by name; hidden ones are left out. SX_ELIMIT: too many, too deep. */
sx_status dash_list(sx_str path, const char *const *ends, dash_listing *out, sx_error *err);
/* A number that changes with the listing; never 0. */
uint64_t dash_listing_look(const dash_listing *l);

/* Adds what is wrong with `file` of `p`, and logs it. */
void dash_tell(dash_files *f, dash_provider *p, sx_str file, const char *fmt, ...) SX_PRINTF(4, 5);

/* Forgets what was wrong with the files of `p`. */
void dash_forget(dash_files *f, dash_provider *p);

/* files_sync.c: looks at the files of `p` and takes up what has changed, or with `all` whatever is there. */
void dash_files_sync(dash_files *f, dash_provider *p, bool all);

/* Names of the providers that no YAML file names, and how those of --dashboards.path begin. */
#define DASH_PROVIDER_BUILTIN SX_STR("builtin")
#define DASH_PROVIDER_YAML    SX_STR("provisioning")
#define DASH_PROVIDER_PATH    "path "

/* The next of the list, NULL: no memory. */
dash_provider *dash_provider_add(dash_providers *l);
/* provisioning.c: the providers that the YAML files in `l` name; problems go to the first of `out`. */
void dash_provisioning_read(dash_files *f, const dash_listing *l, dash_providers *out);

#endif
