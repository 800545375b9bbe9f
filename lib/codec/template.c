/* template.c - a set of templates: made, grown, found, freed. */
#include "codec/template_internal.h"

#include <sextant/mem.h>

unsigned template_line(sx_str text, const char *at)
{
    unsigned line = 1;
    for (const char *p = text.data; p < at; p++)
        line += *p == '\n';
    return line;
}

unsigned template_column(sx_str text, const char *at)
{
    const char *begin = at;
    while (begin > text.data && begin[-1] != '\n')
        begin--;
    return (unsigned)(at - begin);
}

tdef *template_find(const sx_template *t, sx_str name)
{
    for (tdef *d = t->defs; d; d = d->next) {
        if (sx_str_eq(d->name, name))
            return d;
    }
    return NULL;
}

const sx_tfunc *template_function(const sx_template *t, sx_str name)
{
    for (size_t i = 0; i < t->options.func_count; i++) {
        if (sx_str_eq(sx_str_z(t->options.funcs[i].name), name))
            return &t->options.funcs[i];
    }
    for (size_t i = 0; i < TEMPLATE_BUILTIN_COUNT; i++) {
        if (sx_str_eq(sx_str_z(TEMPLATE_BUILTINS[i].name), name))
            return &TEMPLATE_BUILTINS[i];
    }
    return NULL;
}

static void set_defaults(sx_template_options *o)
{
    if (!o->left || !o->left[0])
        o->left = "{{";
    if (!o->right || !o->right[0])
        o->right = "}}";
    if (!o->text_bytes_max)
        o->text_bytes_max = TEMPLATE_TEXT_MAX;
    if (!o->output_bytes_max)
        o->output_bytes_max = TEMPLATE_OUTPUT_MAX;
    if (!o->depth_max)
        o->depth_max = TEMPLATE_DEPTH_MAX;
    if (!o->steps_max)
        o->steps_max = TEMPLATE_STEPS_MAX;
}

sx_status sx_template_add(sx_template *t, sx_str name, sx_str text, sx_error *err)
{
    if (text.len > t->options.text_bytes_max)
        return sx_fail(err, SX_ELIMIT, "template: %.*s: text of more than %zu bytes", SX_ARG(name),
                       t->options.text_bytes_max);
    sx_str own_name = sx_arena_copy(&t->arena, name);
    sx_str own_text = sx_arena_copy(&t->arena, text);
    if (!own_name.data || !own_text.data)
        return sx_fail_memory(err, "a template");
    return template_parse(t, own_name, own_text, err);
}

sx_status sx_template_new(sx_str name, sx_str text, const sx_template_options *options,
                          sx_template **out, sx_error *err)
{
    sx_template *t = sx_calloc(1, sizeof *t);
    if (!t)
        return sx_fail_memory(err, "a template");
    sx_arena_init(&t->arena, 0, 0);
    if (options)
        t->options = *options;
    set_defaults(&t->options);
    t->name = sx_arena_copy(&t->arena, name);
    sx_status st = sx_template_add(t, name, text, err);
    if (st != SX_OK) {
        sx_template_free(t);
        return st;
    }
    *out = t;
    return SX_OK;
}

void sx_template_free(sx_template *t)
{
    if (!t)
        return;
    sx_arena_done(&t->arena);
    sx_free(t);
}

size_t sx_template_count(const sx_template *t)
{
    return t->def_count;
}

sx_str sx_template_name(const sx_template *t, size_t i)
{
    for (tdef *d = t->defs; d; d = d->next) {
        if (i-- == 0)
            return d->name;
    }
    return (sx_str){0};
}
