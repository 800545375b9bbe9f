/* args.c - from argv to cmd_args, by the rows of a command. */
#include "cmd/command.h"

#include <stdio.h>

#include <sextant/yaml.h>

enum { COMMANDS_MAX = 64 };

static bool is_word(const char *typed, sx_str word)
{
    return sx_str_eq(sx_str_z(typed), word);
}

const cmd_command *cmd_find(int argc, char **argv, int *words)
{
    for (const cmd_command *c = COMMANDS; argc > 1 && c->name; c++) {
        sx_str first, second;
        bool two = sx_str_cut(sx_str_z(c->name), ' ', &first, &second);
        if (!is_word(argv[1], first) || (two && (argc < 3 || !is_word(argv[2], second))))
            continue;
        *words = two ? 2 : 1;
        return c;
    }
    return NULL;
}

const char *cmd_nearest(const char *typed)
{
    sx_str names[COMMANDS_MAX];
    size_t count = 0;
    for (const cmd_command *c = COMMANDS; c->name; c++) {
        sx_assert(count < COMMANDS_MAX);
        names[count++] = sx_str_z(c->name);
    }
    const sx_str *near = sx_nearest_word(sx_str_z(typed), names, count);
    return near ? near->data : NULL;
}

static int flag_by_name(const cmd_command *command, sx_str name)
{
    for (int i = 0; command->flags[i].name; i++) {
        if (sx_str_eq(name, sx_str_z(command->flags[i].name)))
            return i;
    }
    return -1;
}

static int flag_by_letter(const cmd_command *command, char letter)
{
    for (int i = 0; command->flags[i].name; i++) {
        if (command->flags[i].letter == letter)
            return i;
    }
    return -1;
}

static sx_status unknown_flag(const cmd_command *command, const char *typed, sx_error *err)
{
    return sx_fail(err, SX_EINVAL, "%s has no option %s; 'sextant help %s' lists them",
                   command->name, typed, command->name);
}

/* Takes argv[*at], a flag, and its value if it has one. */
static sx_status read_flag(const cmd_command *command, int argc, char **argv, int *at,
                           cmd_args *out, sx_error *err)
{
    const char *typed = argv[*at];
    sx_str name, value;
    bool glued = false, off = false;
    int i;
    if (typed[1] == '-') {
        glued = sx_str_cut(sx_str_z(typed + 2), '=', &name, &value);
        i = flag_by_name(command, name);
        off = i < 0 && sx_str_starts(name, SX_STR("no-"));
        if (off)
            i = flag_by_name(command, sx_str_from(name, 3));
        if (i < 0 && command->service_flags) { /* the service knows its own, and refuses others */
            out->service[out->service_count++] = argv[*at];
            return SX_OK;
        }
    } else {
        i = flag_by_letter(command, typed[1]);
        glued = typed[2] != '\0';
        value = sx_str_z(typed + 2);
    }
    bool is_switch = i >= 0 && command->flags[i].kind == CMD_SWITCH;
    if (i < 0 || (off && !is_switch))
        return unknown_flag(command, typed, err);
    out->given[i] = true;
    if (is_switch) {
        if (glued)
            return sx_fail(err, SX_EINVAL, "option %s takes no value", typed);
        out->values[i] = off ? NULL : "true";
        return SX_OK;
    }
    if (!glued && *at + 1 >= argc)
        return sx_fail(err, SX_EINVAL, "option %s wants a value: %s %s", typed, typed,
                       command->flags[i].value);
    out->values[i] = glued ? value.data : argv[++*at];
    if (command->flags[i].kind != CMD_EACH)
        return SX_OK;
    if (out->mark_count == CMD_MARKS_MAX)
        return sx_fail(err, SX_ELIMIT, "option %s stands there more than %d times", typed,
                       CMD_MARKS_MAX);
    out->marks[out->mark_count++] = (cmd_mark){i, out->rest_count, out->values[i]};
    return SX_OK;
}

sx_status cmd_parse(const cmd_command *command, int argc, char **argv, cmd_args *out, sx_error *err)
{
    /* Operands are packed to the front of argv and dotted flags behind the reading place's back:
     * neither list can outgrow what was already read. */
    *out = (cmd_args){.command = command, .rest = argv, .service = argv};
    for (int i = 0; command->flags[i].name; i++)
        out->values[i] = command->flags[i].fallback;
    if (command->print_flags) {
        out->rest_count = argc;
        return SX_OK;
    }

    static char *service[64];
    out->service = service;
    bool only_rest = false;
    for (int i = 0; i < argc; i++) {
        if (!only_rest && is_word(argv[i], SX_STR("--"))) {
            only_rest = true;
        } else if (!only_rest && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (out->service_count == (int)SX_COUNT_OF(service))
                return sx_fail(err, SX_EINVAL,
                               "more than %d options; put them into a file and name "
                               "it with --config",
                               (int)SX_COUNT_OF(service));
            sx_status status = read_flag(command, argc, argv, &i, out, err);
            if (status != SX_OK)
                return status;
        } else {
            out->rest[out->rest_count++] = argv[i];
        }
    }
    if (command->rest_max >= 0 && out->rest_count > command->rest_max)
        return sx_fail(
            err, SX_EINVAL,
            "%s does not know what to do with '%s'; options are written --key=value, see "
            "'sextant help %s'",
            command->name, out->rest[command->rest_max], command->name);
    if (out->rest_count < command->rest_min)
        return sx_fail(err, SX_EINVAL, "%s needs %s; 'sextant help %s' explains", command->name,
                       command->operands, command->name);
    return SX_OK;
}

const char *cmd_value(const cmd_args *args, const char *flag)
{
    int i = flag_by_name(args->command, sx_str_z(flag));
    sx_assert(i >= 0);
    return args->values[i];
}

const char *cmd_value_at(const cmd_args *args, const char *flag, int operand)
{
    int i = flag_by_name(args->command, sx_str_z(flag));
    const char *value = NULL;
    sx_assert(i >= 0);
    for (int k = 0; k < args->mark_count; k++) {
        if (args->marks[k].flag == i && args->marks[k].before <= operand)
            value = args->marks[k].value;
    }
    return value;
}

bool cmd_switch(const cmd_args *args, const char *flag)
{
    return cmd_value(args, flag) != NULL;
}

int cmd_failed(const sx_error *err)
{
    fprintf(stderr, "sextant: %s\n", err->message);
    return 1;
}
