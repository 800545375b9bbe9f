/* command.h - the command line as data.
 *
 * Every subcommand is one row of COMMANDS (commands.c) with its flags. The parser, `sextant help`,
 * the man page and the shell completions are all made from these rows, so they cannot disagree.
 * A row's function gets its parsed arguments and returns the process's exit status:
 * 0 done, 1 it failed (one line on stderr says why and what to do), 2 the command line was wrong. */
#ifndef SEXTANT_CMD_COMMAND_H
#define SEXTANT_CMD_COMMAND_H

#include <sextant/error.h>
#include <sextant/str.h>

enum { CMD_FLAGS_MAX = 32, CMD_MARKS_MAX = 64 };

typedef enum cmd_flag_kind {
    CMD_TEXT,   /* --flag VALUE or --flag=VALUE */
    CMD_SWITCH, /* --flag alone; --no-flag turns it off */
    CMD_EACH,   /* as CMD_TEXT, but for the operands behind it, until the next: cmd_value_at() */
} cmd_flag_kind;

typedef struct cmd_flag {
    const char *name; /* without dashes, "index" */
    char letter;      /* short form, 'o' for -o; 0: none */
    cmd_flag_kind kind;
    const char *value;    /* what help calls the value, "FILE"; completion knows FILE and DIR */
    const char *fallback; /* the value when absent, shown by help; NULL: none */
    const char *help;
} cmd_flag;

struct cmd_command;

/* A CMD_EACH flag where it stood. */
typedef struct cmd_mark {
    int flag;          /* its place in the row */
    int before;        /* the operand that it stood in front of, from 0 */
    const char *value; /* of the flag */
} cmd_mark;

/* A parsed command line. All views and pointers live as long as argv. */
typedef struct cmd_args {
    const struct cmd_command *command;
    const char
        *values[CMD_FLAGS_MAX]; /* by the flag's place in the row; NULL: absent, no fallback */
    bool given[CMD_FLAGS_MAX];  /* it stood on the command line */
    char **rest;                /* what is no flag, and after "--"; argv's own memory */
    int rest_count;
    char **service; /* --key=value that the row does not have: for the service's own table */
    int service_count;
    cmd_mark marks[CMD_MARKS_MAX];
    int mark_count;
} cmd_args;

typedef int cmd_run(const cmd_args *args);

typedef struct cmd_command {
    const char *name;       /* "geocode import" */
    const char *operands;   /* "FILE..."; "" for none */
    int rest_min, rest_max; /* operands; -1: any number */
    const char *summary;    /* one line, no full stop */
    const char *details;    /* paragraphs for help and the man page; NULL: none */
    const char *example;
    const cmd_flag *flags; /* ends with a row whose name is NULL */
    bool service_flags;    /* takes the flags of a service too */
    cmd_run *run;
    /* Not NULL: the command has a table of its own, gets its arguments as they were typed (in `rest`),
     * and prints its flags by this. */
    void (*print_flags)(void);
} cmd_command;

/* All rows, in the order of the help page; ends with a row whose name is NULL. */
extern const cmd_command COMMANDS[];

/* The command that argv[1], or argv[1] and argv[2], name. *words: how many they were. NULL: none. */
const cmd_command *cmd_find(int argc, char **argv, int *words);

/* Reads the arguments after the command's name. Errors: SX_EINVAL, with what to type instead. */
sx_status cmd_parse(const cmd_command *command, int argc, char **argv, cmd_args *out,
                    sx_error *err);

/* The value of a flag of this command by name; NULL if absent without a fallback. */
const char *cmd_value(const cmd_args *args, const char *flag);
/* The value of a CMD_EACH flag that holds for the operand with this index; NULL if none does. */
const char *cmd_value_at(const cmd_args *args, const char *flag, int operand);
bool cmd_switch(const cmd_args *args, const char *flag);

/* The nearest command name to what was typed, for "did you mean"; NULL if none is near. */
const char *cmd_nearest(const char *typed);

/* "sextant: MESSAGE" to stderr; returns 1 (failed) or 2 (SX_EINVAL from the command line). */
int cmd_failed(const sx_error *err);

/* Prints the settings of commands with service_flags: for --help, or as docs/config.md. */
typedef enum cmd_settings_form { CMD_SETTINGS_HELP, CMD_SETTINGS_MARKDOWN } cmd_settings_form;
void cmd_print_settings(cmd_settings_form form);

/* Lists the commands of a group, "geocode", on stdout. Returns how many there are. */
int cmd_help_group(const char *group);

cmd_run cmd_help, cmd_version, cmd_man, cmd_completion;
cmd_run cmd_geocode_batch, cmd_geocode_update;
cmd_run cmd_geocode_import, cmd_geocode_serve, cmd_geocode_bench, cmd_geocode_verify;
cmd_run cmd_geocode_visit;
cmd_run cmd_up;
cmd_run cmd_check, cmd_check_config, cmd_check_rules, cmd_check_web_config, cmd_check_metrics;
cmd_run cmd_check_service_discovery, cmd_check_healthy, cmd_check_ready;
cmd_run cmd_query, cmd_query_series, cmd_query_labels, cmd_query_label_values;
cmd_run cmd_query_exemplars, cmd_query_analyze;
cmd_run cmd_test_rules;
cmd_run cmd_traces_export, cmd_traces_import, cmd_traces_verify, cmd_traces_stats;
cmd_run cmd_tsdb_list, cmd_tsdb_dump, cmd_tsdb_export, cmd_tsdb_verify, cmd_tsdb_snapshot,
    cmd_tsdb_delete, cmd_tsdb_backfill, cmd_tsdb_analyze;

enum { CMD_DURATION_BYTES = 64 };

/* Milliseconds as Go prints a duration, and promtool with it: 2h0m0s, 1.5s, 20ms. tsdb_analyze.c. */
void cmd_go_duration(int64_t ms, char out[CMD_DURATION_BYTES]);

/* Bits of promql/parse.h for names with commas between, as --enable-feature has them; warns of others
 * as promtool does. */
unsigned cmd_promql_features(const char *typed);
cmd_run cmd_observe, cmd_observe_users;
/* The flags of `sextant observe`, and the kit's settings that it takes beside them. */
void cmd_observe_flags(void);
void cmd_geocode_visit_flags(void);

#endif
