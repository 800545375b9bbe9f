/* template_exec.c - walks a template's tree with data.
 *
 * Values are small and passed by value; what functions make lies in the caller's arena. Messages have
 * Go's form: template: NAME:LINE:COLUMN: executing "NAME" at <TEXT>: what. */
#include <stdarg.h>
#include <stdio.h>

#include "codec/template_internal.h"

typedef struct tvar {
    sx_str name;
    sx_tvalue value;
} tvar;

typedef struct trun {
    const sx_template *t;
    const tdef *def; /* under way */
    void *ctx;
    sx_arena *arena;
    sx_buf *out;
    size_t out_begin;
    tvar *vars;
    int var_base,
        var_count; /* those below `var_base` belong to the templates that called this one */
    uint32_t depth;
    uint64_t steps;
    sx_error *err;
} trun;

/* break and continue travel as statuses that no function of the caller gives. */
enum { JUMP_BREAK = SX_END, JUMP_CONTINUE = SX_AGAIN };

static sx_status eval_pipe(trun *x, const sx_tvalue *dot, const tpipe *pipe, sx_tvalue *out);
static sx_status eval_arg(trun *x, const sx_tvalue *dot, const tnode *n, sx_tvalue *out);
static sx_status run_list(trun *x, const sx_tvalue *dot, const tlist *list);

enum { SHOWN_MAX = 160 }; /* bytes of a node that messages show: an error holds no more */

static size_t shown_len(sx_str text)
{
    return text.len > SHOWN_MAX ? SHOWN_MAX : text.len;
}

/* What a message names: its text, and where it stands. */
typedef struct tplace {
    sx_str text;
    const char *at;
} tplace;

static tplace place_of(const tnode *n)
{
    return (tplace){n->source, n->at};
}

static tplace place_of_command(const tcommand *c)
{
    return (tplace){c->source, c->source.data};
}

static SX_COLD sx_status fail_at(trun *x, tplace place, sx_status status, const char *fmt, ...)
    SX_PRINTF(4, 5);
static SX_COLD sx_status fail_at(trun *x, tplace place, sx_status status, const char *fmt, ...)
{
    char words[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return sx_fail(x->err, status, "template: %.*s:%u:%u: executing \"%.*s\" at <%.*s%s>: %s",
                   SX_ARG(x->def->parse_name), template_line(x->def->text, place.at),
                   template_column(x->def->text, place.at), SX_ARG(x->def->name),
                   SX_ARG(sx_str_first(place.text, shown_len(place.text))),
                   place.text.len > SHOWN_MAX ? "..." : "", words);
}

/* A step of work, so that no template runs for ever. */
static sx_status step(trun *x, tplace place)
{
    if (++x->steps > x->t->options.steps_max)
        return fail_at(x, place, SX_ELIMIT, "more than %llu steps",
                       (unsigned long long)x->t->options.steps_max);
    return SX_OK;
}

/* --- Fields. */

/* The message of a caller's function, in place of a copy of the whole error each call. */
static sx_status call_failed(trun *x, tplace place, sx_str name, sx_status st)
{
    if (st == SX_ENOMEM)
        return st;
    sx_error why = *x->err;
    return fail_at(x, place, st == SX_ENOTFOUND ? SX_EINVAL : st, "error calling %.*s: %s",
                   SX_ARG(name), why.message);
}

static sx_status missing_key(trun *x, tplace place, sx_str name, sx_tvalue *out)
{
    if (x->t->options.missing_key_error)
        return fail_at(x, place, SX_EINVAL, "map has no entry for key \"%.*s\"", SX_ARG(name));
    *out = (sx_tvalue){.kind = x->t->options.missing_key_zero ? SX_TVALUE_STRING : SX_TVALUE_NIL};
    return SX_OK;
}

/* One field, key or method of `from`. */
static sx_status get_field(trun *x, tplace place, const sx_tvalue *from, sx_str name,
                           const sx_tvalue *args, size_t count, sx_tvalue *out)
{
    if (from->kind == SX_TVALUE_NIL)
        return fail_at(x, place, SX_EINVAL, "nil data; no entry for key \"%.*s\"", SX_ARG(name));
    if (from->kind != SX_TVALUE_MAP && from->kind != SX_TVALUE_STRUCT &&
        from->kind != SX_TVALUE_LIST)
        return fail_at(x, place, SX_EINVAL, "can't evaluate field %.*s in type %s", SX_ARG(name),
                       template_type(from));
    sx_status st = SX_ENOTFOUND;
    if (from->ops->call && (count || !from->ops->get)) {
        st = from->ops->call(from->object, name, args, count, x->arena, out, x->err);
        if (st != SX_OK && st != SX_ENOTFOUND)
            return call_failed(x, place, name, st);
    }
    if (st != SX_OK && from->ops->get) {
        st = from->ops->get(from->object, name, x->arena, out, x->err);
        if (st == SX_OK && count)
            return fail_at(x, place, SX_EINVAL,
                           from->kind == SX_TVALUE_MAP
                               ? "%.*s is not a method but has arguments"
                               : "%.*s has arguments but cannot be invoked as function",
                           SX_ARG(name));
        if (st != SX_OK && st != SX_ENOTFOUND)
            return call_failed(x, place, name, st);
    }
    if (st == SX_OK)
        return SX_OK;
    if (from->kind == SX_TVALUE_MAP)
        return missing_key(x, place, name, out);
    return fail_at(x, place, SX_EINVAL, "can't evaluate field %.*s in type %s", SX_ARG(name),
                   template_type(from));
}

/* A chain of fields; arguments go to the last one. */
static sx_status get_fields(trun *x, const tnode *n, sx_tvalue value, const sx_tvalue *args,
                            size_t count, sx_tvalue *out)
{
    for (size_t i = 0; i < n->field_count; i++) {
        bool last = i + 1 == n->field_count;
        sx_tvalue next;
        sx_status st = get_field(x, place_of(n), &value, n->fields[i], last ? args : NULL,
                                 last ? count : 0, &next);
        if (st != SX_OK)
            return st;
        value = next;
    }
    *out = value;
    return SX_OK;
}

/* The newest variable of that name. The parser sees to most; one declared in a branch that was not
 * taken is found out here, as in Go. */
static sx_status find_var(trun *x, tplace place, sx_str name, tvar **out)
{
    for (int i = x->var_count; i-- > x->var_base;) {
        if (sx_str_eq(x->vars[i].name, name)) {
            *out = &x->vars[i];
            return SX_OK;
        }
    }
    return fail_at(x, place, SX_EINVAL, "undefined variable: %.*s", SX_ARG(name));
}

/* --- Functions. */

static sx_status check_count(trun *x, const tcommand *c, sx_str name, const sx_tfunc *f,
                             size_t count)
{
    if ((int)count >= f->args_min && (f->args_max < 0 || (int)count <= f->args_max))
        return SX_OK;
    if (f->args_max < 0)
        return fail_at(x, place_of(c->args[0]), SX_EINVAL,
                       "wrong number of args for %.*s: want at least %d got %zu", SX_ARG(name),
                       f->args_min, count);
    return fail_at(x, place_of(c->args[0]), SX_EINVAL,
                   "wrong number of args for %.*s: want %d got %zu", SX_ARG(name), f->args_max,
                   count);
}

/* and, or: arguments are evaluated only as far as they are needed. */
static sx_status eval_logic(trun *x, const sx_tvalue *dot, const tcommand *c, bool stops_at,
                            const sx_tvalue *final, sx_tvalue *out)
{
    for (size_t i = 1; i < c->count; i++) {
        sx_status st = eval_arg(x, dot, c->args[i], out);
        if (st != SX_OK || template_truth(out) == stops_at)
            return st;
    }
    if (final)
        *out = *final;
    return SX_OK;
}

static sx_status eval_function(trun *x, const sx_tvalue *dot, const tcommand *c,
                               const sx_tvalue *final, sx_tvalue *out)
{
    sx_str name = c->args[0]->text;
    const sx_tfunc *f = template_function(x->t, name);
    size_t count = c->count - 1 + (final != NULL);
    sx_status st = check_count(x, c, name, f, count);
    if (st != SX_OK)
        return st;
    bool is_and = sx_str_eq(name, SX_STR("and"));
    if (is_and || sx_str_eq(name, SX_STR("or")))
        return eval_logic(x, dot, c, !is_and, final, out);

    sx_tvalue args[TEMPLATE_ARGS_MAX + 1];
    for (size_t i = 1; i < c->count; i++) {
        st = eval_arg(x, dot, c->args[i], &args[i - 1]);
        if (st != SX_OK)
            return st;
    }
    if (final)
        args[count - 1] = *final;
    *out = (sx_tvalue){0};
    st = f->call(x->ctx, args, count, x->arena, out, x->err);
    return st == SX_OK ? SX_OK : call_failed(x, place_of_command(c), name, st);
}

/* A field, variable or chain as the first word of a command: perhaps a method with arguments. */
static sx_status eval_called(trun *x, const sx_tvalue *dot, const tcommand *c,
                             const sx_tvalue *final, sx_tvalue *out)
{
    const tnode *n = c->args[0];
    size_t count = c->count - 1 + (final != NULL);
    sx_tvalue args[TEMPLATE_ARGS_MAX + 1], base = *dot;
    sx_status st = SX_OK;
    for (size_t i = 1; i < c->count && st == SX_OK; i++)
        st = eval_arg(x, dot, c->args[i], &args[i - 1]);
    if (final)
        args[count - 1] = *final;
    if (st == SX_OK && n->kind == TNODE_CHAIN)
        st = eval_arg(x, dot, n->operand, &base);
    if (st != SX_OK)
        return st;
    if (n->kind == TNODE_VARIABLE) {
        tvar *var;
        st = find_var(x, place_of(n), n->text, &var);
        if (st != SX_OK)
            return st;
        base = var->value;
    }
    if (n->field_count == 0 && count)
        return fail_at(x, place_of(n), SX_EINVAL, "can't give argument to non-function %.*s",
                       SX_ARG(n->source));
    return get_fields(x, n, base, args, count, out);
}

/* --- Operands, commands, pipelines. */

static sx_status eval_arg(trun *x, const sx_tvalue *dot, const tnode *n, sx_tvalue *out)
{
    tnode *args[] = {(tnode *)(uintptr_t)n}; /* a command of one word changes nothing of it */
    tcommand alone = {.args = args, .count = 1, .source = n->source};
    sx_status st = step(x, place_of(n));
    if (st != SX_OK)
        return st;
    switch (n->kind) {
    case TNODE_DOT:
        *out = *dot;
        return SX_OK;
    case TNODE_NIL:
        *out = (sx_tvalue){.kind = SX_TVALUE_NIL};
        return SX_OK;
    case TNODE_BOOL:
        *out = (sx_tvalue){.kind = SX_TVALUE_BOOL, .boolean = n->boolean};
        return SX_OK;
    case TNODE_INT:
        *out = (sx_tvalue){.kind = SX_TVALUE_INT, .integer = n->integer};
        return SX_OK;
    case TNODE_FLOAT:
        *out = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = n->number};
        return SX_OK;
    case TNODE_STRING:
        *out = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = n->text};
        return SX_OK;
    case TNODE_FUNCTION:
        return eval_function(x, dot, &alone, NULL, out);
    case TNODE_PIPE:
        return eval_pipe(x, dot, n->pipe, out);
    default:
        return eval_called(x, dot, &alone, NULL, out);
    }
}

static sx_status eval_command(trun *x, const sx_tvalue *dot, const tcommand *c,
                              const sx_tvalue *final, sx_tvalue *out)
{
    const tnode *first = c->args[0];
    sx_status st = step(x, place_of_command(c));
    if (st != SX_OK)
        return st;
    switch (first->kind) {
    case TNODE_FUNCTION:
        return eval_function(x, dot, c, final, out);
    case TNODE_FIELD:
    case TNODE_VARIABLE:
    case TNODE_CHAIN:
        return eval_called(x, dot, c, final, out);
    default:
        break;
    }
    if (c->count > 1 || final)
        return fail_at(x, place_of(first), SX_EINVAL, "can't give argument to non-function %.*s",
                       SX_ARG(first->source));
    if (first->kind == TNODE_NIL)
        return fail_at(x, place_of(first), SX_EINVAL, "nil is not a command");
    return eval_arg(x, dot, first, out);
}

static sx_status push_var(trun *x, sx_str name, const sx_tvalue *value)
{
    if (x->var_count == TEMPLATE_VARS_MAX)
        return fail_at(x, (tplace){x->def->text, x->def->text.data}, SX_ELIMIT,
                       "more than %d variables", TEMPLATE_VARS_MAX);
    x->vars[x->var_count++] = (tvar){name, *value};
    return SX_OK;
}

/* Gives the pipeline's variable `i` a value: a new one, or with `=` the one there is. */
static sx_status set_var(trun *x, const tpipe *pipe, int i, const sx_tvalue *value)
{
    tvar *var;
    if (!pipe->assign)
        return push_var(x, pipe->vars[i], value);
    sx_status st = find_var(x, place_of_command(pipe->commands), pipe->vars[i], &var);
    if (st == SX_OK)
        var->value = *value;
    return st;
}

/* The value alone: declarations are the caller's business (range's are set for each item). */
static sx_status eval_commands(trun *x, const sx_tvalue *dot, const tpipe *pipe, sx_tvalue *out)
{
    const sx_tvalue *final = NULL;
    sx_tvalue value = {0};
    if (++x->depth > x->t->options.depth_max)
        return fail_at(x, place_of_command(pipe->commands), SX_ELIMIT,
                       "exceeded maximum template depth (%u)", x->t->options.depth_max);
    for (const tcommand *c = pipe->commands; c; c = c->next) {
        sx_tvalue next;
        sx_status st = eval_command(x, dot, c, final, &next);
        if (st != SX_OK)
            return st;
        value = next;
        final = &value;
    }
    x->depth--;
    *out = value;
    return SX_OK;
}

static sx_status eval_pipe(trun *x, const sx_tvalue *dot, const tpipe *pipe, sx_tvalue *out)
{
    sx_status st = eval_commands(x, dot, pipe, out);
    for (int i = 0; i < pipe->var_count && st == SX_OK; i++)
        st = set_var(x, pipe, i, out);
    return st;
}

/* --- Nodes. */

static sx_status run_action(trun *x, const sx_tvalue *dot, const tnode *n)
{
    sx_tvalue value;
    sx_status st = eval_pipe(x, dot, n->pipe, &value);
    if (st != SX_OK || n->pipe->var_count)
        return st;
    if (value.kind == SX_TVALUE_NIL)
        sx_buf_str(x->out, SX_STR("<no value>"));
    else
        template_print(&value, x->out);
    return SX_OK;
}

static sx_status run_branch(trun *x, const sx_tvalue *dot, const tnode *n)
{
    sx_tvalue value;
    sx_status st = eval_pipe(x, dot, n->pipe, &value);
    if (st != SX_OK)
        return st;
    if (!template_truth(&value))
        return run_list(x, dot, &n->otherwise);
    return run_list(x, n->kind == TNODE_WITH ? &value : dot, &n->body);
}

/* One turn of a range. With `=` the variables are those of around. */
static sx_status run_turn(trun *x, const tnode *n, const sx_tvalue *key, const sx_tvalue *item)
{
    const tpipe *p = n->pipe;
    int vars = x->var_count;
    const sx_tvalue *values[2] = {p->var_count == 2 ? key : item, item};
    sx_status st = step(x, place_of(n));
    for (int i = 0; i < p->var_count && st == SX_OK; i++)
        st = set_var(x, p, i, values[i]);
    if (st == SX_OK)
        st = run_list(x, item, &n->body);
    x->var_count = vars;
    return (int)st == JUMP_CONTINUE ? SX_OK : st;
}

static SX_COLD sx_status fail_range(trun *x, const tnode *n, const sx_tvalue *over)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    template_print(over, &text);
    sx_status st =
        fail_at(x, place_of_command(n->pipe->commands), SX_EINVAL, "range can't iterate over %.*s",
                SX_ARG(sx_str_first(sx_buf_view(&text), 100)));
    sx_buf_done(&text);
    return st;
}

static sx_status run_range(trun *x, const sx_tvalue *dot, const tnode *n)
{
    sx_tvalue over;
    sx_status st = eval_commands(x, dot, n->pipe, &over);
    int64_t count = 0;
    if (st != SX_OK)
        return st;
    bool object = over.kind == SX_TVALUE_LIST || over.kind == SX_TVALUE_MAP;
    if (object)
        count = over.ops->count ? over.ops->count(over.object) : 0;
    else if (over.kind == SX_TVALUE_INT)
        count = over.integer;
    else if (over.kind != SX_TVALUE_NIL)
        return fail_range(x, n, &over);
    if (count <= 0)
        return run_list(x, dot, &n->otherwise);
    for (int64_t i = 0; i < count && st == SX_OK; i++) {
        sx_tvalue key = {.kind = SX_TVALUE_INT, .integer = i}, item = key;
        if (object)
            st = over.ops->at(over.object, i, x->arena, &key, &item, x->err);
        if (st == SX_OK)
            st = run_turn(x, n, &key, &item);
    }
    return (int)st == JUMP_BREAK ? SX_OK : st;
}

static sx_status run_template(trun *x, const sx_tvalue *dot, const tnode *n)
{
    const tdef *d = template_find(x->t, n->text), *caller = x->def;
    sx_tvalue value = {.kind = SX_TVALUE_NIL};
    sx_status st = SX_OK;
    if (!d)
        return fail_at(x, place_of(n), SX_EINVAL, "template \"%.*s\" not defined", SX_ARG(n->text));
    if (n->pipe)
        st = eval_pipe(x, dot, n->pipe, &value);
    if (st != SX_OK)
        return st;
    if (++x->depth > x->t->options.depth_max)
        return fail_at(x, place_of(n), SX_ELIMIT, "exceeded maximum template depth (%u)",
                       x->t->options.depth_max);
    int base = x->var_base, count = x->var_count;
    x->var_base = count; /* the variables of around are not seen */
    x->def = d;
    st = push_var(x, SX_STR("$"), &value);
    if (st == SX_OK)
        st = run_list(x, &value, &d->body);
    x->var_base = base;
    x->var_count = count;
    x->def = caller;
    x->depth--;
    return st;
}

static sx_status run_node(trun *x, const sx_tvalue *dot, const tnode *n)
{
    switch (n->kind) {
    case TNODE_TEXT:
        sx_buf_str(x->out, n->text);
        return SX_OK;
    case TNODE_ACTION:
        return run_action(x, dot, n);
    case TNODE_IF:
    case TNODE_WITH:
        return run_branch(x, dot, n);
    case TNODE_RANGE:
        return run_range(x, dot, n);
    case TNODE_TEMPLATE:
        return run_template(x, dot, n);
    case TNODE_BREAK:
        return (sx_status)JUMP_BREAK;
    case TNODE_CONTINUE:
        return (sx_status)JUMP_CONTINUE;
    default:
        sx_assert(!"an operand stands among the nodes");
        return SX_EINVAL;
    }
}

/* Variables declared inside a list end with it, but for those of an action, which live on to the end
 * of the list they stand in. */
static sx_status run_list(trun *x, const sx_tvalue *dot, const tlist *list)
{
    int vars = x->var_count;
    sx_status st = SX_OK;
    for (const tnode *n = list->first; n && st == SX_OK; n = n->next) {
        int before = x->var_count;
        st = step(x, place_of(n));
        if (st == SX_OK)
            st = run_node(x, dot, n);
        if (n->kind != TNODE_ACTION)
            x->var_count = before;
        if (st == SX_OK && x->out->len - x->out_begin > x->t->options.output_bytes_max)
            st = fail_at(x, place_of(n), SX_ELIMIT, "output of more than %zu bytes",
                         x->t->options.output_bytes_max);
    }
    x->var_count = vars;
    return st;
}

sx_status sx_template_run(const sx_template *t, sx_str name, const sx_tvalue *data, void *ctx,
                          sx_arena *arena, sx_buf *out, sx_error *err)
{
    sx_error own;
    const tdef *d = template_find(t, name.len ? name : t->name);
    sx_tvalue nothing = {.kind = SX_TVALUE_NIL};
    if (!d)
        return sx_fail(err, SX_EINVAL, "template: no template \"%.*s\" is defined", SX_ARG(name));
    trun x = {.t = t,
              .def = d,
              .ctx = ctx,
              .arena = arena,
              .out = out,
              .out_begin = out->len,
              .vars = sx_arena_calloc(arena, TEMPLATE_VARS_MAX, sizeof *x.vars),
              .err = err ? err : &own};
    if (!x.vars)
        return sx_fail_memory(err, "a template's variables");
    if (!data)
        data = &nothing;
    sx_status st = push_var(&x, SX_STR("$"), data);
    if (st == SX_OK)
        st = run_list(&x, data, &d->body);
    return st == SX_OK ? sx_buf_status(out, "a template's output", err) : st;
}
