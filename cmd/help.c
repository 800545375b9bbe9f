/* help.c - the help pages and the manual page, from COMMANDS. */
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"

enum { PAGE_COLUMNS = 80, INDENT = 4 };

/* Prints `text` filled to the page's width, each line after `indent` spaces. */
static void print_filled(const char *text, int indent)
{
    int column = 0;
    for (const char *word = text; *word;) {
        int len = (int)strcspn(word, " ");
        if (column == 0 || column + 1 + len > PAGE_COLUMNS) {
            printf("%s%*s", column ? "\n" : "", indent, "");
            column = indent;
        } else {
            putchar(' ');
            column++;
        }
        printf("%.*s", len, word);
        column += len;
        word += len;
        word += strspn(word, " ");
    }
    putchar('\n');
}

static void print_flag(const cmd_flag *f)
{
    printf("  ");
    if (f->letter)
        printf("-%c, ", f->letter);
    printf("--%s", f->name);
    if (f->kind != CMD_SWITCH)
        printf("=%s", f->value);
    putchar('\n');
    print_filled(f->help, 8);
    if (f->fallback)
        printf("%*sdefault: %s\n", 8, "", f->fallback);
}

static void print_command(const cmd_command *c)
{
    printf("sextant %s: %s\n\nUsage: sextant %s", c->name, c->summary, c->name);
    if (c->flags[0].name || c->print_flags)
        printf(" [OPTION...]");
    printf("%s%s\n", c->operands[0] ? " " : "", c->operands);
    if (c->details) {
        putchar('\n');
        print_filled(c->details, 0);
    }
    if (c->flags[0].name)
        puts("\nOptions:");
    for (const cmd_flag *f = c->flags; f->name; f++)
        print_flag(f);
    if (c->service_flags) {
        puts(
            "\nSettings, each as --key=value, in the file named by --config, or as an environment\n"
            "variable (GEOCODE_ and the key in capitals, dots as underscores); [default]:");
        cmd_print_settings(CMD_SETTINGS_HELP);
    }
    if (c->print_flags) {
        puts("\nOptions, with one dash or two, as --name=VALUE or --name VALUE:");
        c->print_flags();
    }
    if (c->example)
        printf("\nExample:\n  %s\n", c->example);
}

static void print_all(void)
{
    puts("sextant runs services well and sees everything they do.\n\n"
         "Usage: sextant COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:");
    for (const cmd_command *c = COMMANDS; c->name; c++)
        printf("  %-16s  %s\n", c->name, c->summary);
    puts("\n'sextant help COMMAND' explains one, 'sextant help settings' lists every setting.\n"
         "Start with 'sextant up'.");
}

int cmd_help_group(const char *group)
{
    int found = 0;
    for (const cmd_command *c = COMMANDS; c->name; c++) {
        sx_str first, second;
        if (!sx_str_cut(sx_str_z(c->name), ' ', &first, &second) ||
            !sx_str_eq(first, sx_str_z(group)))
            continue;
        if (found++ == 0)
            printf("Commands of 'sextant %s':\n", group);
        printf("  %-16s  %s\n", c->name, c->summary);
    }
    return found;
}

int cmd_help(const cmd_args *args)
{
    if (args->rest_count == 0) {
        print_all();
        return 0;
    }
    if (args->rest_count == 1 && sx_str_eq(sx_str_z(args->rest[0]), SX_STR("settings"))) {
        cmd_print_settings(CMD_SETTINGS_MARKDOWN);
        return 0;
    }
    /* cmd_find() counts from argv[0]. */
    char *argv[3] = {(char[]){""}, args->rest[0], args->rest_count > 1 ? args->rest[1] : NULL};
    int words;
    const cmd_command *c = cmd_find(args->rest_count + 1, argv, &words);
    if (c) {
        print_command(c);
        return 0;
    }
    if (args->rest_count == 1 && cmd_help_group(args->rest[0]))
        return 0;
    char typed[64];
    snprintf(typed, sizeof(typed), "%s%s%s", args->rest[0], args->rest_count > 1 ? " " : "",
             args->rest_count > 1 ? args->rest[1] : "");
    const char *near = cmd_nearest(typed);
    fprintf(stderr, "sextant: no command '%s'%s%s%s\n", typed,
            near ? "; did you mean '" : "; 'sextant help' lists them", near ? near : "",
            near ? "'?" : "");
    return 2;
}

/* roff takes a leading dot or quote for a request, and a bare hyphen for a typographic one. */
static void print_roff(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (*at == '-')
            fputs("\\-", stdout);
        else if (*at == '\\')
            fputs("\\e", stdout);
        else
            putchar(*at);
    }
}

static void man_command(const cmd_command *c)
{
    fputs(".SS sextant ", stdout);
    print_roff(c->name);
    printf("%s%s\n", c->flags[0].name ? " [OPTION...] " : " ", c->operands);
    print_roff(c->details ? c->details : c->summary);
    putchar('\n');
    for (const cmd_flag *f = c->flags; f->name; f++) {
        fputs(".TP\n", stdout);
        if (f->letter)
            printf("\\fB\\-%c\\fR, ", f->letter);
        fputs("\\fB\\-\\-", stdout);
        print_roff(f->name);
        printf("\\fR%s%s\n", f->kind != CMD_SWITCH ? "=" : "",
               f->kind != CMD_SWITCH ? f->value : "");
        print_roff(f->help);
        if (f->fallback) {
            fputs(" (default: ", stdout);
            print_roff(f->fallback);
            putchar(')');
        }
        putchar('\n');
    }
    if (c->example) {
        fputs(".PP\nExample:\n.RS\n.nf\n", stdout);
        print_roff(c->example);
        puts("\n.fi\n.RE");
    }
}

int cmd_man(const cmd_args *args)
{
    (void)args;
    printf(".TH SEXTANT 1 \"\" \"sextant %s\" \"User Commands\"\n"
           ".SH NAME\nsextant \\- runs services well and sees everything they do\n"
           ".SH SYNOPSIS\n.B sextant\nCOMMAND [OPTION...] [ARGUMENT...]\n"
           ".SH COMMANDS\n",
           SX_VERSION);
    for (const cmd_command *c = COMMANDS; c->name; c++)
        man_command(c);
    puts(
        ".SH EXIT STATUS\n0 on success, 1 when the command failed (one line on standard error says "
        "why and what to do), 2 when the command line was wrong.\n"
        ".SH SIGNALS\nServers drain and stop on SIGTERM and SIGINT, reopen their logs on SIGUSR1 and "
        "read their configuration again on SIGHUP.");
    return 0;
}
