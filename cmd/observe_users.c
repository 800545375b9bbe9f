/* observe_users.c - `sextant observe users`: the local users of sign-in, from the command line.
 *
 * The way to the first admin. Works on the database's file, also while a server uses it, which sees a
 * change within seconds. A password is asked for twice on a terminal, without being shown, and is else
 * the first line of the standard input: never an argument, which everybody on the machine could read. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "cmd/command.h"
#include "observe/auth/config.h"
#include "observe/auth/password.h"
#include "observe/auth/store.h"

enum { LINE_BYTES = AUTH_PASSWORD_MOST + 2 };

/* ---- passwords ---- */

/* One line without its end; false at the end of the input. */
static bool read_line(char line[LINE_BYTES])
{
    if (!fgets(line, LINE_BYTES, stdin))
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool ask(const char *prompt, char line[LINE_BYTES])
{
    struct termios before, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (!terminal)
        return read_line(line);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(stderr, "%s: ", prompt);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    bool read = read_line(line);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return read;
}

static sx_status new_password(char hash[AUTH_PASSWORD_TEXT], sx_error *err)
{
    char first[LINE_BYTES], second[LINE_BYTES];
    sx_status status = SX_OK;
    if (!ask("Password", first))
        return sx_fail(err, SX_EINVAL, "no password on the standard input");
    if (isatty(STDIN_FILENO) && (!ask("The same again", second) || strcmp(first, second) != 0))
        status = sx_fail(err, SX_EINVAL, "the two are not the same; nothing is changed");
    if (status == SX_OK)
        status = auth_password_hash(sx_str_z(first), hash, err);
    explicit_bzero(first, sizeof first);
    explicit_bzero(second, sizeof second);
    return status;
}

/* ---- actions ---- */

typedef struct job {
    const cmd_args *args;
    auth_store *store;
    sx_str login;
    auth_role role; /* AUTH_NONE: not given */
} job;

static sx_status add(const job *j, sx_error *err)
{
    char hash[AUTH_PASSWORD_TEXT];
    const char *name = cmd_value(j->args, "name");
    auth_user user = {.login = j->login,
                      .name = sx_str_z(name ? name : ""),
                      .source = SX_STR("local"),
                      .subject = SX_STR(""),
                      .role = j->role ? j->role : AUTH_VIEWER};
    sx_status status = new_password(hash, err);
    user.password = sx_str_z(hash);
    if (status == SX_OK)
        status = auth_store_user_add(j->store, &user, err);
    if (status == SX_OK)
        printf("%.*s is added as %.*s\n", SX_ARG(user.login), SX_ARG(auth_role_name(user.role)));
    return status;
}

static sx_status list(const job *j, sx_error *err)
{
    auth_user *users;
    size_t count;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status status = auth_store_users(j->store, &arena, &users, &count, err);
    if (status == SX_OK)
        printf("%-24s %-8s %-8s %-4s %s\n", "LOGIN", "ROLE", "SOURCE", "", "NAME");
    for (size_t i = 0; status == SX_OK && i < count; i++)
        printf("%-24.*s %-8.*s %-8.*s %-4s %.*s\n", SX_ARG(users[i].login),
               SX_ARG(auth_role_name(users[i].role)), SX_ARG(users[i].source),
               users[i].disabled ? "off" : "", SX_ARG(users[i].name));
    sx_arena_done(&arena);
    return status;
}

static sx_status remove_one(const job *j, sx_error *err)
{
    sx_status status = auth_store_user_remove(j->store, j->login, err);
    if (status == SX_OK)
        printf("%.*s is removed, with all sessions and tokens\n", SX_ARG(j->login));
    return status;
}

static sx_status set_password(const job *j, sx_error *err)
{
    char hash[AUTH_PASSWORD_TEXT];
    sx_status status = new_password(hash, err);
    auth_user user = {.login = j->login, .password = sx_str_z(hash)};
    if (status == SX_OK)
        status = auth_store_user_set(j->store, &user, AUTH_SET_PASSWORD, SX_STR(""), err);
    if (status == SX_OK)
        printf("%.*s has a new password; open sessions have ended\n", SX_ARG(j->login));
    return status;
}

static sx_status set_role(const job *j, sx_error *err)
{
    auth_user user = {.login = j->login, .role = j->role};
    if (j->role == AUTH_NONE)
        return sx_fail(err, SX_EINVAL, "which role? --role viewer, editor or admin");
    sx_status status = auth_store_user_set(j->store, &user, AUTH_SET_ROLE, SX_STR(""), err);
    if (status == SX_OK)
        printf("%.*s is %.*s now\n", SX_ARG(j->login), SX_ARG(auth_role_name(j->role)));
    return status;
}

static sx_status set_disabled(const job *j, bool disabled, sx_error *err)
{
    auth_user user = {.login = j->login, .disabled = disabled};
    sx_status status = auth_store_user_set(j->store, &user, AUTH_SET_DISABLED, SX_STR(""), err);
    if (status == SX_OK)
        printf("%.*s is switched %s\n", SX_ARG(j->login), disabled ? "off" : "on");
    return status;
}

static sx_status disable(const job *j, sx_error *err)
{
    return set_disabled(j, true, err);
}

static sx_status enable(const job *j, sx_error *err)
{
    return set_disabled(j, false, err);
}

static const struct action {
    const char *name;
    bool login;
    sx_status (*run)(const job *j, sx_error *err);
} ACTIONS[] = {
    {"add", true, add},       {"list", false, list},          {"remove", true, remove_one},
    {"role", true, set_role}, {"passwd", true, set_password}, {"disable", true, disable},
    {"enable", true, enable},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < SX_COUNT_OF(ACTIONS); i++)
        if (strcmp(name, ACTIONS[i].name) == 0)
            return &ACTIONS[i];
    return NULL;
}

/* Where the users are: as the server finds them. */
static sx_status find_database(const cmd_args *args, char out[4096], sx_error *err)
{
    const char *config = cmd_value(args, "auth.config"), *path = cmd_value(args, "database");
    const char *storage = cmd_value(args, "storage.tsdb.path");
    auth_config *c = NULL;
    int len;
    if (config && !path) {
        sx_status status = auth_config_load(sx_str_z(config), &c, NULL, err);
        if (status != SX_OK)
            return status;
        if (c->users.database.len)
            path = c->users.database.data;
    }
    len = path ? snprintf(out, 4096, "%s", path)
               : snprintf(out, 4096, "%s/sextant/users.db", storage);
    auth_config_free(c);
    return len > 0 && len < 4096 ? SX_OK : sx_fail(err, SX_ELIMIT, "the path is too long");
}

static sx_status read_job(const cmd_args *args, const struct action *action, job *j,
                          char login[AUTH_LOGIN_MAX], sx_error *err)
{
    const char *role = cmd_value(args, "role");
    *j = (job){.args = args};
    if (action->login != (args->rest_count == 2))
        return sx_fail(err, SX_EINVAL, "users %s %s", action->name,
                       action->login ? "wants one login" : "takes nothing more");
    if (action->login && !auth_login_clean(sx_str_z(args->rest[1]), login, &j->login))
        return sx_fail(err, SX_EINVAL,
                       "'%s' is no login: 1 to %d bytes, no spaces, no colon, no quotes",
                       args->rest[1], AUTH_LOGIN_MAX);
    if (role && !auth_role_parse(sx_str_z(role), &j->role))
        return sx_fail(err, SX_EINVAL, "--role: viewer, editor or admin");
    return SX_OK;
}

int cmd_observe_users(const cmd_args *args)
{
    char path[4096], login[AUTH_LOGIN_MAX];
    job j;
    sx_error err = {0};
    const struct action *action = find_action(args->rest[0]);
    sx_status status = action ? read_job(args, action, &j, login, &err)
                              : sx_fail(&err, SX_EINVAL,
                                        "there is no 'users %s'; write add, list, passwd, role, "
                                        "disable, enable or remove",
                                        args->rest[0]);
    if (status != SX_OK) {
        cmd_failed(&err);
        return 2;
    }
    status = find_database(args, path, &err);
    const auth_store_options options = {.path = path, .aside = true};
    if (status == SX_OK)
        status = auth_store_open(&options, &j.store, &err);
    if (status == SX_OK) {
        status = action->run(&j, &err);
        auth_store_close(j.store);
    }
    if (status == SX_OK)
        return 0;
    cmd_failed(&err);
    return 1;
}
