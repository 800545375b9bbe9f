/* files.h - dashboards that lie in files: those built into the program, folders of JSON, and what
 * Grafana's provisioning files name.
 *
 * A scan reads what has changed and puts it into the store, where it is as any other dashboard but may
 * not be saved or removed (unless its provider allows it); what is gone from the files is removed there.
 * A broken file is a problem that is told, by the log once and by the API until it is mended; what the
 * store had of it stays. Scans are for threads of a pool; one at a time, others wait. */
#ifndef OBSERVE_DASHBOARDS_FILES_H
#define OBSERVE_DASHBOARDS_FILES_H

#include <sextant/log.h>
#include <sextant/static.h>

#include "observe/dashboards/store.h"

typedef struct dash_files dash_files;

typedef struct dash_files_options {
    sx_str paths;        /* folders, with commas between; subfolders become folders of dashboards */
    sx_str provisioning; /* a YAML file of providers, or a folder of them; "": none */
    const sx_assets *builtin; /* NULL: none */
    sx_logger *logger;        /* NULL: none */
    const _Atomic bool *stop; /* ends a scan between two files; NULL: never */
} dash_files_options;

enum { DASH_FILES_MAX = 20000, DASH_FILES_DEPTH_MAX = 8 };

/* Names are copied. Reads nothing yet. Errors: SX_ENOMEM. */
sx_status dash_files_new(dash_store *store, const dash_files_options *options, dash_files **out,
                         sx_error *err);
void dash_files_free(dash_files *f);

/* Looks at all of it; without `all` files are read only of those folders in which one has another name, size
 * or time than before. */
void dash_files_scan(dash_files *f, bool all);

typedef struct dash_problem {
    sx_str provider, file, message;
} dash_problem;

/* What is wrong now. Any thread. */
sx_status dash_files_problems(dash_files *f, sx_arena *arena, dash_problem **out, size_t *count,
                              sx_error *err);
/* What is wrong with one file, or with a file that is called like `uid`. False: nothing. `f` may be NULL. */
bool dash_files_problem(dash_files *f, sx_str provider, sx_str file, sx_arena *arena,
                        sx_str *message);
bool dash_files_problem_of(dash_files *f, sx_str uid, sx_arena *arena, sx_str *message);

/* The dashboards of the repository's folder dashboards/, by scripts/embed.py. */
extern const sx_assets DASH_BUILTIN;

#endif
