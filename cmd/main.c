/* main.c - finds the command in the table, parses its arguments, runs it. */
#include <stdio.h>

#include "cmd/command.h"

/* `sextant --help`, `sextant CMD --help`, `-h` and `--version` are what everybody tries first. */
static bool wants(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc && !sx_str_eq(sx_str_z(argv[i]), SX_STR("--")); i++) {
        if (sx_str_eq(sx_str_z(argv[i]), sx_str_z(flag)))
            return true;
    }
    return false;
}

static int no_such_command(int argc, char **argv)
{
    char typed[64];
    snprintf(typed, sizeof(typed), "%s%s%s", argv[1], argc > 2 && argv[2][0] != '-' ? " " : "",
             argc > 2 && argv[2][0] != '-' ? argv[2] : "");
    const char *near = cmd_nearest(typed);
    near = near ? near : cmd_nearest(argv[1]);
    if (near)
        fprintf(stderr, "sextant: no command '%s'; did you mean 'sextant %s'?\n", typed, near);
    else
        fprintf(stderr, "sextant: no command '%s'; 'sextant help' lists them\n", typed);
    return 2;
}

int main(int argc, char **argv)
{
    int words = 0;
    const cmd_command *command = cmd_find(argc, argv, &words);
    cmd_args args = {.rest = argv + 1, .rest_count = command ? words : 0};
    if (argc < 2) {
        cmd_help(&args);
        return 2;
    }
    if (wants(argc, argv, "--help") || wants(argc, argv, "-h")) {
        if (!command && cmd_help_group(argv[1]))
            return 0;
        return cmd_help(&args);
    }
    if (!command && wants(argc, argv, "--version"))
        return cmd_version(&args);
    if (!command && argc == 2 && cmd_help_group(argv[1]))
        return 2; /* `sextant geocode` lists its commands */
    if (!command)
        return no_such_command(argc, argv);

    sx_error err = {0};
    if (cmd_parse(command, argc - 1 - words, argv + 1 + words, &args, &err) != SX_OK) {
        cmd_failed(&err);
        return 2;
    }
    return command->run(&args);
}
