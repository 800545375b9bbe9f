/* completion.c - completion scripts for shells, from COMMANDS. */
#include <stdio.h>

#include "cmd/command.h"

/* Splits a row's name: true if it has two words. */
static bool two_words(const cmd_command *c, sx_str *first, sx_str *second)
{
    return sx_str_cut(sx_str_z(c->name), ' ', first, second);
}

/* The first words of all commands, each once: rows of a group stand together. */
static void print_first_words(void)
{
    sx_str before = {0};
    for (const cmd_command *c = COMMANDS; c->name; c++) {
        sx_str first, second;
        two_words(c, &first, &second);
        if (!sx_str_eq(first, before))
            printf(" %.*s", SX_ARG(first));
        before = first;
    }
}

/* What may stand after a command: its flags, and operands that are known words ("bash|zsh|fish",
 * "[COMMAND]"). Where there is neither, the shell completes file names. */
static void print_words(const cmd_command *c)
{
    for (const cmd_flag *f = c->flags; f->name; f++)
        printf(" --%s%s", f->name, f->kind != CMD_SWITCH ? "=" : "");
    sx_str operands = sx_str_z(c->operands), word;
    if (sx_str_eq(operands, SX_STR("[COMMAND]")))
        print_first_words();
    if (sx_str_find_byte(operands, '|') == operands.len)
        return;
    while (operands.len) {
        sx_str_cut(operands, '|', &word, &operands);
        printf(" %.*s", SX_ARG(word));
    }
}

/* The second words of the group that begins at `c`. */
static void print_group(const cmd_command *c)
{
    sx_str group, first, second;
    two_words(c, &group, &second);
    printf("    \"2 %.*s \"*) words='", SX_ARG(group));
    for (; c->name && two_words(c, &first, &second) && sx_str_eq(first, group); c++)
        printf(" %.*s", SX_ARG(second));
    puts("' ;;");
}

static void complete_bash(void)
{
    puts("# bash completion for sextant\n_sextant() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} words=''\n"
         "    case \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in");
    sx_str before = {0};
    for (const cmd_command *c = COMMANDS; c->name; c++) {
        sx_str first, second;
        bool two = two_words(c, &first, &second);
        if (two && !sx_str_eq(first, before))
            print_group(c);
        before = first;
        printf("    %s\" %s\"*) words='", two ? "[3-9]*" : "[2-9]*", c->name);
        print_words(c);
        puts("' ;;");
    }
    fputs("    \"1 \"*) words='", stdout);
    print_first_words();
    puts("' ;;\n    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "    [[ ${#COMPREPLY[@]} -eq 0 && $COMP_CWORD -gt 1 ]] && "
         "COMPREPLY=($(compgen -f -- \"${cur#*=}\"))\n"
         "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n}\n"
         "complete -o filenames -F _sextant sextant");
}

static void complete_zsh(void)
{
    puts("#compdef sextant\n# zsh reads the bash completion.\nautoload -U +X bashcompinit && "
         "bashcompinit");
    complete_bash();
}

static void fish_row(const cmd_command *c)
{
    sx_str first, second;
    if (two_words(c, &first, &second))
        printf("complete -c sextant -n '__fish_seen_subcommand_from %.*s' -a '%.*s' -d '%s'\n",
               SX_ARG(first), SX_ARG(second), c->summary);
    else
        printf("complete -c sextant -n __fish_use_subcommand -a '%s' -d '%s'\n", c->name,
               c->summary);
    sx_str own = second.len ? second : first;
    for (const cmd_flag *f = c->flags; f->name; f++)
        printf("complete -c sextant -n '__fish_seen_subcommand_from %.*s' -l %s%s -d '%s'\n",
               SX_ARG(own), f->name, f->kind != CMD_SWITCH ? " -r" : "", f->help);
}

static void complete_fish(void)
{
    puts("# fish completion for sextant");
    for (const cmd_command *c = COMMANDS; c->name; c++)
        fish_row(c);
    puts("complete -c sextant -n __fish_use_subcommand -a geocode -d 'address search'");
}

int cmd_completion(const cmd_args *args)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } SHELLS[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
    for (size_t i = 0; i < SX_COUNT_OF(SHELLS); i++) {
        if (sx_str_eq(sx_str_z(SHELLS[i].shell), sx_str_z(args->rest[0]))) {
            SHELLS[i].print();
            return 0;
        }
    }
    fprintf(stderr, "sextant: no completion for shell '%s'; there is bash, zsh and fish\n",
            args->rest[0]);
    return 2;
}
