/* config.h - a program's settings, each one row of a table.
 *
 * The row says everything: its key in the YAML file, its kind, where its value goes, the default, the
 * bounds, one sentence of help. The file's reader, the environment, the flags, --help, the page of
 * docs and the dump of what is in force are all made from the rows:
 *
 *     typedef struct shop { uint32_t wait_ms_max; sx_str database; } shop;
 *     #define AT(field) SX_AT(shop, field)
 *     static const sx_key KEYS[] = {
 *         {"shop.wait_ms_max", SX_MS, AT(wait_ms_max), 5000, 100, 60000, "longest wait for stock"},
 *         {"shop.database", SX_TEXT, AT(database), .help = "where orders go", .flags = SX_KEY_SECRET},
 *     };
 *
 *     shop.yml       shop: {wait_ms_max: 2s}        (or `shop.wait_ms_max: 2s`)
 *     environment    SHOP_SHOP_WAIT_MS_MAX=2s       (the program's name first)
 *     flag           --shop.wait_ms_max=2s
 *
 * A flag beats the environment, that beats the file, that beats the default. In the file ${NAME} is
 * the environment's NAME ("$$" is a dollar sign); an unset one is an error. All that is wrong is
 * reported at once, with file, line and column and the nearest key that exists. */
#ifndef SEXTANT_CONFIG_H
#define SEXTANT_CONFIG_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/yaml.h>

SX_BEGIN_DECLS

typedef enum sx_key_kind {
    SX_BOOL,    /* bool: true, false, yes, no, on, off */
    SX_INT,     /* integer of 4 or 8 bytes */
    SX_BYTES,   /* the same: 1048576, 64KiB, 10MB, 1GiB */
    SX_MS,      /* the same, in milliseconds: 1500, 500ms, 30s, 5m, 1h30m, 7d */
    SX_TEXT,    /* sx_str */
    SX_CHOICE,  /* int: the index among `choices` */
    SX_ADDRESS, /* sx_str: host:port, [::1]:port, :port (all addresses), unix:/path; empty is off */
    SX_TEXTS,   /* sx_texts: a YAML list; elsewhere separated by commas */
    SX_KEY_KINDS
} sx_key_kind;

typedef struct sx_texts {
    const sx_str *items;
    size_t count;
} sx_texts;

typedef enum sx_key_flags {
    SX_KEY_SECRET = 1, /* shown as "<redacted>" wherever it is shown */
    SX_KEY_RESTART = 2 /* a reload names it and leaves it: it needs a restart */
} sx_key_flags;

/* A field's place and size, the third and fourth member of a row. */
#define SX_AT(type, field) offsetof(type, field), sizeof(((type *)0)->field)

typedef struct sx_key {
    const char *key; /* parts of [a-z0-9_] with dots between */
    sx_key_kind kind;
    size_t offset, size;
    int64_t usual, least, most; /* of numbers; most 0: any. SX_BOOL, SX_CHOICE: usual alone */
    const char *help;           /* one clause, no full stop */
    const char *text;           /* default of SX_TEXT, SX_ADDRESS and SX_TEXTS; NULL: empty */
    const char *const *choices; /* of SX_CHOICE, NULL at the end */
    unsigned flags;             /* of sx_key_flags */
} sx_key;

/* Rows and the structure that they fill. */
typedef struct sx_key_set {
    const sx_key *keys;
    size_t count;
    void *into;
} sx_key_set;

typedef struct sx_config_options {
    const char *program;    /* name: its capitals begin the environment's names ('-' is '_') */
    const sx_key_set *sets; /* no key twice */
    size_t set_count;
    /* Keys of the file that the program reads itself, by sx_config_tree(): at the top, or with dots
     * inside a group that has other keys. */
    const sx_str *trees;
    size_t tree_count;
    const char *file; /* path; NULL: what --config.file or NAME_CONFIG_FILE says, or none */
    sx_str text;      /* instead of a file, with `file` as its name, if data is not NULL */
    const char *const *environment; /* as environ; NULL: empty */
    const char *const *flags;       /* argv + 1: `--key=value`, `--key value`, `--key` for a bool */
    size_t flag_count;
} sx_config_options;

typedef struct sx_config sx_config;

/* Fills every structure of options->sets: defaults, file, environment, flags. What it points to, also
 * the texts in the structures, lives until sx_config_free(). Rows and options->trees must outlive it.
 *   problems   gets one line for each thing that is wrong
 *   errors     SX_EINVAL if a flag is wrong, SX_EFORMAT if the file or the environment is, and then
 *              *out is NULL and the structures hold whatever was right; SX_ENOMEM */
sx_status sx_config_load(const sx_config_options *options, sx_config **out, sx_buf *problems);

/* Frees it and all that its structures point to. NULL is allowed. */
void sx_config_free(sx_config *c);

/* The path of the file that was read; NULL if none was. */
const char *sx_config_file(const sx_config *c);

/* The part of the file under one of options->trees; NULL if the file has none. ${NAME} in it is not
 * expanded; sx_config_expand() does it for a scalar that the program reads. */
const sx_yaml_node *sx_config_tree(const sx_config *c, sx_str key);

/* `text` with ${NAME} replaced from `environment`, in the arena. Errors: SX_EFORMAT (unset, or "${"
 * without its end), SX_ENOMEM. */
sx_status sx_config_expand(sx_arena *arena, sx_str text, const char *const *environment,
                           sx_str *out, sx_error *err);

/* Compares two loads of the same rows after a reload: calls `fn` for every key whose value differs. */
void sx_config_changes(const sx_config *before, const sx_config *after,
                       void (*fn)(void *ctx, const sx_key *key), void *ctx);

/* What is in force, as JSON: {"http.idle_ms_max":{"value":"75s","source":"default"},…}; sources are
 * default, file, environment, flag. */
void sx_config_dump(const sx_config *c, sx_buf *out);

/* The rows as the flags' part of --help, and as a Markdown table for docs/config.md. */
void sx_config_help(const sx_key_set *sets, size_t set_count, sx_buf *out);
void sx_config_docs(const char *program, const sx_key_set *sets, size_t set_count, sx_buf *out);

SX_END_DECLS

#endif
