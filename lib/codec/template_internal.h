/* template_internal.h - the tree of a template, and what its parser, executor and functions share. */
#ifndef SEXTANT_CODEC_TEMPLATE_INTERNAL_H
#define SEXTANT_CODEC_TEMPLATE_INTERNAL_H

#include "codec/template.h"

enum {
    TEMPLATE_TEXT_MAX = 1 << 20,
    TEMPLATE_OUTPUT_MAX = 16 << 20,
    TEMPLATE_DEPTH_MAX = 200,
    TEMPLATE_STEPS_MAX = 1000000,
    TEMPLATE_VARS_MAX = 1000, /* alive at once */
    TEMPLATE_ARGS_MAX = 64,   /* of one call */
};

typedef enum tnode_kind {
    /* what stands between texts */
    TNODE_TEXT,
    TNODE_ACTION,
    TNODE_IF,
    TNODE_RANGE,
    TNODE_WITH,
    TNODE_TEMPLATE,
    TNODE_BREAK,
    TNODE_CONTINUE,
    /* operands */
    TNODE_DOT,
    TNODE_NIL,
    TNODE_BOOL,
    TNODE_INT,
    TNODE_FLOAT,
    TNODE_STRING,
    TNODE_FIELD,    /* .A.B of the dot */
    TNODE_VARIABLE, /* $x.A.B */
    TNODE_FUNCTION, /* a name */
    TNODE_PIPE,     /* in parentheses, or an action's own */
    TNODE_CHAIN,    /* (pipe).A.B, or "text".A */
} tnode_kind;

typedef struct tnode tnode;

/* Nodes in a row. */
typedef struct tlist {
    tnode *first, *last;
} tlist;

/* One command of a pipeline: an operand, or a function, field or variable with arguments. */
typedef struct tcommand {
    struct tcommand *next;
    tnode **args;
    size_t count;
    sx_str source;
} tcommand;

typedef struct tpipe {
    sx_str vars[2]; /* declared or assigned: "$i" */
    int var_count;
    bool assign; /* = in place of := */
    tcommand *commands;
} tpipe;

struct tnode {
    tnode_kind kind;
    tnode *next;    /* in its tlist */
    sx_str source;  /* its text in the template, as messages show it */
    const char *at; /* the place that messages name: of a chain, its second part */
    union {
        sx_str text; /* TEXT; STRING without quotes; VARIABLE's, FUNCTION's and TEMPLATE's name */
        bool boolean;
        int64_t integer;
        double number;
    };
    const sx_str *fields; /* FIELD, VARIABLE, CHAIN */
    size_t field_count;
    tnode *operand; /* CHAIN */
    tpipe *pipe;    /* ACTION, IF, RANGE, WITH, PIPE; TEMPLATE: may be NULL */
    tlist body, otherwise;
};

/* A definition. Later ones of the same name win. */
typedef struct tdef {
    struct tdef *next;
    sx_str name;
    sx_str parse_name; /* of the text it stands in: messages begin with it */
    sx_str text;       /* all of that text */
    tlist body;
} tdef;

struct sx_template {
    sx_arena arena;
    sx_template_options options;
    sx_str name; /* of the text it was made with */
    tdef *defs;  /* in the order of definition */
    size_t def_count;
};

/* "name:12" or "name:12:5": where `at` (a place in `text`) is. */
unsigned template_line(sx_str text, const char *at);
unsigned template_column(sx_str text, const char *at);

/* template_parse.c: parses `text` (in the arena) and adds its definitions. */
sx_status template_parse(sx_template *t, sx_str name, sx_str text, sx_error *err);
tdef *template_find(const sx_template *t, sx_str name);

/* A function by its name: the caller's, then the predefined; NULL. `and` and `or` are in the table,
 * too, but the executor evaluates their arguments itself. */
const sx_tfunc *template_function(const sx_template *t, sx_str name);

/* template_funcs.c */
extern const sx_tfunc TEMPLATE_BUILTINS[];
extern const size_t TEMPLATE_BUILTIN_COUNT;
bool template_truth(const sx_tvalue *v);

/* template_format.c: %v into `out`. */
void template_print(const sx_tvalue *v, sx_buf *out);
/* As Go's Sprint: a space between operands that are both no strings. */
void template_sprint(const sx_tvalue *args, size_t count, sx_buf *out);
/* Go's name of the value's type, for messages: "int", "string", "map[string]string". */
const char *template_type(const sx_tvalue *v);

#endif
