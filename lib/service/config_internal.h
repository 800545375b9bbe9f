/* config_internal.h - what a loaded configuration is made of: config.c fills it, config_show.c shows
 * it. */
#ifndef SEXTANT_SERVICE_CONFIG_INTERNAL_H
#define SEXTANT_SERVICE_CONFIG_INTERNAL_H

#include <sextant/config.h>
#include <sextant/map.h>

typedef enum sx_origin {
    SX_FROM_DEFAULT,
    SX_FROM_FILE,
    SX_FROM_ENVIRONMENT,
    SX_FROM_FLAG
} sx_origin;

typedef struct sx_entry {
    const sx_key *key;
    void *into;
    sx_origin origin;
} sx_entry;

struct sx_config {
    sx_arena arena;
    const sx_config_options *o; /* during the load only */
    sx_entry *entries;          /* in the order of the rows */
    size_t count;
    sx_str *names; /* of all keys, for did-you-mean */
    sx_map by_name;
    sx_yaml_file file;
    const char *path;
    const sx_yaml_node *top; /* of the file; NULL without one */
    sx_buf *problems;        /* during the load only */
    size_t problem_count;
    bool file_wrong, flag_wrong, no_memory;
};

/* The environment's name of a key: SHOP_HTTP_IDLE_MS_MAX for program shop, key http.idle_ms_max. */
enum { SX_ENV_NAME_BYTES = 256 };
sx_str sx_env_name(const char *program, const char *key, char out[SX_ENV_NAME_BYTES]);

/* Refuses, with SX_EINVAL, a FIFO as the file of a setting: opening one that nobody writes to waits
 * for ever. The shell's process substitution and the standard input (/dev/fd/N, /proc/self/fd/N,
 * /dev/stdin) are pipes with a writer and allowed. A file that is absent is no error here.
 *   what  for the message: "config file" */
sx_status sx_config_check_file(const char *path, const char *what, sx_error *err);

/* Appends the value of a row in force, as a person would write it; of a secret that is set
 * "<redacted>". */
void sx_config_show(const sx_config *c, const sx_key *key, sx_buf *out);

#endif
