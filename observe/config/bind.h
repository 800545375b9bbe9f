/* bind.h - YAML mappings into structs, and back, by tables.
 *
 * A table names every key of a mapping with its kind and where its value goes; from it come reading
 * (unknown keys are errors, all faults of a file are gathered), printing with secrets masked, and the
 * list of what is supported. Used for prometheus.yml, rule files, file discovery; the configuration of
 * other peers is to be read the same way. */
#ifndef OBSERVE_CONFIG_BIND_H
#define OBSERVE_CONFIG_BIND_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/yaml.h>

typedef enum bind_kind {
    BIND_STR,         /* sx_str */
    BIND_BOOL,        /* bool */
    BIND_TRI,         /* uint8_t: bind_tri */
    BIND_MS,          /* int64_t milliseconds of "1h30m" */
    BIND_BYTES,       /* uint64_t of "10MB": powers of 1024 */
    BIND_U16,         /* uint16_t */
    BIND_U32,         /* uint32_t */
    BIND_U64,         /* uint64_t */
    BIND_DOUBLE,      /* double */
    BIND_CHOICE,      /* int, one of `choices` */
    BIND_SECRET,      /* prom_secret: its text */
    BIND_SECRET_FILE, /* prom_secret: its file, resolved */
    BIND_SECRET_REF,  /* prom_secret: a name in a secret manager, which is refused */
    BIND_PATH,        /* sx_str, resolved against the file's folder */
    BIND_STRS,        /* const sx_str *, and a uint32_t count */
    BIND_PATHS,
    BIND_MAP,      /* const tsdb_label * in the order of the file, and a count */
    BIND_MULTIMAP, /* of lists: const tsdb_label *, a row each value, and a count */
    BIND_LABELS,   /* tsdb_labels: sorted */
    BIND_STRUCT,   /* a struct of `table` */
    BIND_STRUCTS,  /* const struct *, and a count */
    BIND_INLINE,   /* the keys of `table` stand in this mapping, too */
    BIND_CUSTOM,   /* `read`, `print` */
    BIND_NOTHING,  /* known, checked for its YAML kind, without meaning here */
    BIND_REFUSED,  /* known to the peer, not supported: `note` says what to do */
} bind_kind;

typedef enum bind_tri { BIND_UNSET, BIND_FALSE, BIND_TRUE } bind_tri;

enum {
    BIND_ALWAYS = 1,    /* printed even if empty, zero or false */
    BIND_MASKED = 2,    /* a map or list whose values are secrets */
    BIND_NOT_EMPTY = 4, /* an empty text is a fault */
    BIND_NO_NULLS = 8,  /* a null among the items is a fault: `note` names them */
    BIND_PRESENCE = 16, /* of a struct: the bool at count_at tells that it was there */
};

typedef struct bind bind;
typedef struct bind_table bind_table;
typedef struct bind_field bind_field;

typedef struct bind_choice {
    const char *word; /* NULL after the last */
    int value;
} bind_choice;

struct bind_field {
    const char *key; /* NULL after the last field */
    bind_kind kind;
    unsigned flags;
    size_t at, count_at;
    const bind_table *table;
    const bind_choice *choices;
    sx_status (*read)(bind *b, const sx_yaml_node *value, void *target, const bind_field *f);
    void (*print)(sx_buf *out, int indent, const void *target, const bind_field *f);
    const char *note;
};

struct bind_table {
    const bind_field *fields;
    size_t size; /* of the struct */
    void (*defaults)(void *target);
    /* Once all fields are read; `map` for the place. */
    sx_status (*check)(bind *b, const sx_yaml_node *map, void *target);
    const char *scalar_note; /* what to say if there is no mapping; NULL: "expected a mapping" */
};

struct bind {
    sx_arena *arena;
    sx_str folder;    /* relative paths start here; empty: the working folder */
    sx_buf *problems; /* a line each; may be NULL */
    uint32_t faults;  /* found */
    sx_error first;   /* of them */
    bool expand;      /* ${NAME} in any scalar */
    const char *const *environment;
    bool no_memory;
    /* Told of each BIND_NOTHING that stands in the file; NULL: nobody is. SX_OK or SX_ENOMEM. */
    sx_status (*ignored)(bind *b, const sx_yaml_node *value);
    void *user; /* the caller's */
};

enum { BIND_FAULTS_MAX = 20 };

/* Reads `map` (NULL or a null: the defaults alone) into `target`, which is zeroed first. Faults are
 * noted in `b` and reading goes on; b->faults tells. SX_ENOMEM ends it. */
sx_status bind_read(bind *b, const bind_table *t, const sx_yaml_node *map, void *target);

/* Notes a fault at `node`. Returns SX_EFORMAT, or SX_ELIMIT when there are enough of them. */
sx_status bind_fault(bind *b, const sx_yaml_node *node, const char *fmt, ...) SX_PRINTF(3, 4);

/* One value by its field: for custom readers. */
sx_status bind_read_field(bind *b, const bind_field *f, const sx_yaml_node *value, void *target);

/* A list of mappings into a vector in the arena, appended to what is there. */
sx_status bind_read_structs(bind *b, const bind_table *t, const sx_yaml_node *list,
                            const void **items, uint32_t *count, const char *null_words);

/* The text of a scalar, environment expanded where that is on; in the arena. */
sx_status bind_text(bind *b, const sx_yaml_node *value, sx_str *out);

/* `path` resolved against the folder; in the arena. */
sx_status bind_path(bind *b, sx_str path, sx_str *out);

/* ${NAME} and $NAME replaced (Go's os.Expand); an unset name is empty, or with *unset (then holding
 * the name) told. In the arena. */
sx_status bind_expand(bind *b, sx_str text, sx_str *out, sx_str *unset);

/* Prints a struct's fields as YAML, `indent` spaces in. */
void bind_print(const bind_table *t, const void *target, int indent, sx_buf *out);

/* A scalar as YAML: plain where it can be, else quoted. */
void bind_print_text(sx_str text, sx_buf *out);

/* Sizes: "1KB", "2.5GiB", "0". False if it is none. */
bool bind_bytes(sx_str text, uint64_t *out);
void bind_print_bytes(uint64_t bytes, sx_buf *out);

#endif
