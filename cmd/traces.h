/* traces.h - what the commands of `sextant traces` share. */
#ifndef SEXTANT_CMD_TRACES_H
#define SEXTANT_CMD_TRACES_H

#include <sextant/file.h>

#include "cmd/command.h"
#include "observe/traces/store.h"

enum { TRACES_PATH_BYTES = 4096 };

/* A trace store that no server uses, found in a data directory (or named itself). */
typedef struct traces_folder {
    char path[TRACES_PATH_BYTES];
    sx_file_lock lock;
} traces_folder;

/* Finds the store that `dir` holds. SX_ENOTFOUND: there is none. */
sx_status traces_folder_find(traces_folder *f, const char *dir, sx_error *err);

/* The same, and keeps servers out until traces_folder_close; where the folder cannot be written to
 * nobody can serve it either. Errors: SX_EEXIST: a server uses it. */
sx_status traces_folder_open(traces_folder *f, const char *dir, sx_error *err);
void traces_folder_close(traces_folder *f);

/* Puts each span of a file of OTLP (JSON, a line a request or one alone, or protobuf), Jaeger's JSON
 * or Zipkin's JSON into batches, which `take` gets; NULL at the end, until
 * when what they point to is there. Compressed files are told by their content.
 * Errors name file and line. */
typedef sx_status traces_take(void *ctx, span_batch *b, sx_error *err);
sx_status traces_read_file(const char *path, traces_take *take, void *ctx, sx_error *err);

#endif
