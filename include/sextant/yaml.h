/* yaml.h - YAML files as trees whose every node knows its line and column.
 *
 * libyaml reads the text; the tree lives in the caller's arena, texts copied, so that a configuration
 * is freed at once. Values stay text: what "5m" or "on" means is the reader's business, and whether it
 * was quoted is kept. Errors read `prometheus.yml:12:3: key "scrape_interval": ...`.
 *
 * Aliases share the node they name, so the tree is really a graph without circles; a node that appears
 * in several places has the line of its anchor. How large the file would be with every alias written
 * out is bounded. Merge keys (`<<: *base`) are resolved: the mapping's own keys win, then earlier merged
 * mappings. A key twice in one mapping is an error that names both lines. */
#ifndef SEXTANT_YAML_H
#define SEXTANT_YAML_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

typedef enum sx_yaml_kind { SX_YAML_SCALAR, SX_YAML_SEQUENCE, SX_YAML_MAPPING } sx_yaml_kind;

/* How a scalar was written. */
typedef enum sx_yaml_style {
    SX_YAML_PLAIN,
    SX_YAML_SINGLE_QUOTED,
    SX_YAML_DOUBLE_QUOTED,
    SX_YAML_LITERAL, /* | */
    SX_YAML_FOLDED   /* > */
} sx_yaml_style;

typedef struct sx_yaml_node sx_yaml_node;
typedef struct sx_yaml_file sx_yaml_file;

typedef struct sx_yaml_pair {
    sx_yaml_node *key; /* a scalar */
    sx_yaml_node *value;
} sx_yaml_pair;

struct sx_yaml_node {
    sx_yaml_kind kind;
    sx_yaml_style style;   /* of a scalar */
    uint32_t line, column; /* where it begins, from 1; columns count characters */
    uint32_t count;        /* items of a sequence, pairs of a mapping */
    uint32_t weight;       /* nodes in it and below it, aliases written out */
    sx_str tag;            /* as written and resolved ("tag:yaml.org,2002:str", "!x"); else empty */
    union {
        sx_str scalar;        /* NUL after it, not counted */
        sx_yaml_node **items; /* sequence */
        sx_yaml_pair *pairs;  /* mapping: its own in the order of the file, then merged ones */
    };
    const uint32_t *sorted;     /* pairs by key, for sx_yaml_get; NULL in a small mapping */
    const sx_yaml_node *parent; /* NULL at the top; of an aliased node: where its anchor is */
    const sx_yaml_file *file;
};

struct sx_yaml_file {
    sx_str name; /* for messages */
    sx_yaml_node **documents;
    size_t count;
};

typedef struct sx_yaml_options {
    size_t bytes_max;     /* of the text; 0: 16 MiB */
    uint32_t nodes_max;   /* aliases written out; 0: 1,000,000 */
    uint32_t depth_max;   /* of sequences and mappings in each other; 0: 100 */
    uint32_t anchors_max; /* of a document; 0: 10,000 */
} sx_yaml_options;

/* Parses every document of `text`.
 *   name     of the file, for messages; copied
 *   options  may be NULL
 *   arena    what *file points at lives there
 *   file     filled on SX_OK. An empty text has no document; a document without content is a null
 * Errors: SX_EFORMAT, SX_ELIMIT, SX_ENOMEM (also when the arena's limit is reached). All begin with
 * "name:line:column: ". Source: YAML 1.1 as libyaml reads it, and its merge type (yaml.org/type/merge). */
sx_status sx_yaml_parse(sx_str text, sx_str name, const sx_yaml_options *options, sx_arena *arena,
                        sx_yaml_file *file, sx_error *err);

/* The value of `key` in a mapping; NULL if there is none or `map` is NULL or no mapping. */
sx_yaml_node *sx_yaml_get(const sx_yaml_node *map, sx_str key);

/* ---- What a scalar means ---- */

/* The types of the YAML 1.2 core schema (section 10.3.2). */
typedef enum sx_yaml_type {
    SX_YAML_TYPE_NONE,
    SX_YAML_TYPE_NULL,  /* "", ~, null, Null, NULL */
    SX_YAML_TYPE_BOOL,  /* true, True, TRUE, false, False, FALSE */
    SX_YAML_TYPE_INT,   /* [-+]?[0-9]+, 0o17, 0x1F */
    SX_YAML_TYPE_FLOAT, /* 1.5, .5, 1e3, .inf, .nan */
    SX_YAML_TYPE_STRING
} sx_yaml_type;

/* What a plain scalar's text makes it; any other scalar is a string, unless its tag says what it is.
 * SX_YAML_TYPE_NONE for sequences and mappings, and for NULL. */
sx_yaml_type sx_yaml_type_of(const sx_yaml_node *node);

/* NULL, or a null of the core schema: what Go's decoders leave unset. */
bool sx_yaml_is_null(const sx_yaml_node *node);

/* Reads a bool: the core schema's, and YAML 1.1's yes, no, on, off (also Yes, YES ...), but not y and n:
 * so Go's yaml.v2 and yaml.v3 decode into a field of type bool. Quoted text is no bool. */
sx_status sx_yaml_bool(const sx_yaml_node *node, bool *out, sx_error *err);

/* Reads a scalar as text, however it is written; *out lives in the arena. A null gives the empty text. */
sx_status sx_yaml_str(const sx_yaml_node *node, sx_str *out, sx_error *err);

/* Reads an integer from `least` to `most`: decimal, 0x, 0o, 0b, a sign, and "_" between digits. */
sx_status sx_yaml_i64(const sx_yaml_node *node, int64_t least, int64_t most, int64_t *out,
                      sx_error *err);

/* SX_OK if `node` is of `kind`; else SX_EFORMAT with its place, e.g. "expected a list". */
sx_status sx_yaml_expect(const sx_yaml_node *node, sx_yaml_kind kind, sx_error *err);

/* ---- Messages ---- */

/* Fails with "name:line:column: key "a.b[2].c": " before the formatted text; without the key part for
 * a top node. `node` says where, and names the key it is the value of, or is. */
sx_status sx_yaml_fail(const sx_yaml_node *node, sx_status status, sx_error *err, const char *fmt,
                       ...) SX_PRINTF(4, 5) SX_COLD;

/* The same before the message that `err` has: for the faults of readers that know no place. */
sx_status sx_yaml_error_prefix(const sx_yaml_node *node, sx_status otherwise,
                               sx_error *err) SX_COLD;

/* Appends the place of `node` in its document: scrape_configs[0].job_name; nothing for the top. */
void sx_yaml_path(const sx_yaml_node *node, sx_buf *out);

/* The next key of `map` at or after pair *at that is none of known[0..count); *at is then the pair after
 * it. Returns NULL when there is no other. For readers that report all unknown keys, or warn. */
const sx_yaml_node *sx_yaml_unknown_key(const sx_yaml_node *map, const sx_str *known, size_t count,
                                        size_t *at);

/* SX_OK if every key of `map` is among known[0..count); else SX_EFORMAT for the first that is not, with
 * the nearest known one: `f.yml:3:1: unknown key "scrap_interval"; did you mean "scrape_interval"?` */
sx_status sx_yaml_check_keys(const sx_yaml_node *map, const sx_str *known, size_t count,
                             sx_error *err);

/* The one of known[0..count) that `word` is most likely a slip of: the least edit distance (insert,
 * delete, replace, swap neighbours; case counts for nothing), at most a third of the letters. NULL if
 * none is near. */
const sx_str *sx_nearest_word(sx_str word, const sx_str *known, size_t count);

SX_END_DECLS

#endif
