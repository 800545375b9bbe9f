/* template.h - Go's text/template: the language of alert annotations, notifications and link templates.
 *
 * A template is parsed once into a tree and executed with data that the caller describes through small
 * functions, so that nothing is copied into a tree of values first. All of the language is there:
 * pipelines, variables, if/else if/range/else/with/define/template/block/break/continue, comments,
 * trimming ({{- -}}), fields and method-like chains, parentheses, the predefined functions (and or not
 * len index slice print printf println html js urlquery call eq ne lt le gt ge) and the caller's own.
 * Missing map keys print "<no value>" unless options say otherwise. Output, steps, nesting and the text's
 * length have limits. Source: Go, package text/template. */
#ifndef SEXTANT_CODEC_TEMPLATE_H
#define SEXTANT_CODEC_TEMPLATE_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

typedef enum sx_tvalue_kind {
    SX_TVALUE_NIL,
    SX_TVALUE_BOOL,
    SX_TVALUE_INT,
    SX_TVALUE_FLOAT,
    SX_TVALUE_STRING,
    SX_TVALUE_LIST,   /* items by index */
    SX_TVALUE_MAP,    /* items by key, in the order of keys */
    SX_TVALUE_STRUCT, /* fields and methods by name */
    SX_TVALUE_FUNC    /* of the caller's table */
} sx_tvalue_kind;

typedef struct sx_tvalue sx_tvalue;

/* What a list, map or struct of the caller can do. NULL where it cannot. */
typedef struct sx_tobject_ops {
    const char *type; /* for messages: "template.Alert" */
    int64_t (*count)(const void *object);
    /* Item `i` from 0 (of a map in the order of its keys, *key set). */
    sx_status (*at)(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                    sx_tvalue *value, sx_error *err);
    /* Field or method without arguments (struct), or value of a key (map). SX_ENOTFOUND if none. */
    sx_status (*get)(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                     sx_error *err);
    /* Method with arguments. SX_ENOTFOUND if there is none of that name. */
    sx_status (*call)(const void *object, sx_str name, const sx_tvalue *args, size_t count,
                      sx_arena *arena, sx_tvalue *out, sx_error *err);
    /* As Go's %v prints it; NULL: by its items. */
    sx_status (*print)(const void *object, sx_buf *out);
} sx_tobject_ops;

struct sx_tvalue {
    sx_tvalue_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        sx_str string;
        struct {
            const void *object;
            const sx_tobject_ops *ops;
        };
    };
};

/* A function that templates may call. Views in `out` live in `arena` or longer. */
typedef struct sx_tfunc {
    const char *name;
    int args_min, args_max; /* -1: any number */
    sx_status (*call)(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                      sx_tvalue *out, sx_error *err);
} sx_tfunc;

typedef struct sx_template_options { /* 0 takes the default */
    const sx_tfunc *funcs; /* beside the predefined ones; borrowed for the template's life */
    size_t func_count;
    const char *left, *right;                 /* "{{", "}}" */
    bool missing_key_zero, missing_key_error; /* option missingkey */
    size_t text_bytes_max;                    /* 1 MiB */
    size_t output_bytes_max;                  /* 16 MiB */
    uint32_t depth_max;                       /* of nested templates and actions: 200 */
    uint64_t steps_max;                       /* nodes executed: 1,000,000 */
} sx_template_options;

/* A set of named templates that may call each other. */
typedef struct sx_template sx_template;

/* Parses `text` as template `name` of a new set. Errors: SX_EFORMAT in Go's words, "template: NAME:LINE: ..." */
sx_status sx_template_new(sx_str name, sx_str text, const sx_template_options *options,
                          sx_template **out, sx_error *err);
/* Adds another text (its definitions) to the set; later definitions replace earlier ones. */
sx_status sx_template_add(sx_template *t, sx_str name, sx_str text, sx_error *err);
void sx_template_free(sx_template *t);

/* Executes template `name` (empty: that of sx_template_new) with `data`; `ctx` is given to the caller's functions.
 * What was written before an error stays in `out`. Errors: SX_EINVAL in Go's words, "template:
 * NAME:LINE:COL: executing ..."; SX_ELIMIT; SX_ENOMEM. Any thread; the template is not changed. */
sx_status sx_template_run(const sx_template *t, sx_str name, const sx_tvalue *data, void *ctx,
                          sx_arena *arena, sx_buf *out, sx_error *err);

/* Names of the templates that are defined, in the order of definition. */
size_t sx_template_count(const sx_template *t);
sx_str sx_template_name(const sx_template *t, size_t i);

/* A value as Go's fmt prints it with a verb and flags ("%v", "%.2f", "%5d", "%q" ...): what printf in
 * templates does. SX_OK even for a wrong verb: Go prints %!d(string=x). */
void sx_template_printf(sx_str format, const sx_tvalue *args, size_t count, sx_buf *out);

SX_END_DECLS

#endif
