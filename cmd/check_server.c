/* check_server.c - `sextant check healthy`, `sextant check ready`: is a server there, and does it serve?
 * Words and exit statuses are promtool's. */
#include <stdio.h>

#include "cmd/command.h"
#include "cmd/fetch.h"
#include "cmd/terminal.h"

static int ask(const cmd_args *args, const char *path)
{
    const char *url = cmd_value(args, "url");
    sx_arena arena;
    sx_buf body;
    sx_error err;
    int status = 0;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&body, CMD_ANSWER_BYTES_MAX);
    sx_status st = cmd_fetch(cmd_endpoint(url, path, &arena), (sx_str){0}, &body, &status, &err);
    sx_str words = sx_buf_view(&body);
    words = sx_str_first(words, sx_str_find_byte(words, '\n'));
    if (st == SX_OK && status != 200)
        st = sx_fail(&err, SX_EPROTOCOL, "%s%s answers with status %d: %.*s", url, path, status,
                     SX_ARG(sx_str_first(words, 200)));
    bool colour = terminal_has_colour(fileno(stdout));
    if (st == SX_OK)
        printf("%s  SUCCESS: %s%.*s\n", colour ? "\033[32m" : "", colour ? "\033[0m" : "",
               SX_ARG(words));
    sx_buf_done(&body);
    sx_arena_done(&arena);
    return st == SX_OK ? 0 : cmd_failed(&err);
}

int cmd_check_healthy(const cmd_args *args)
{
    return ask(args, "/-/healthy");
}

int cmd_check_ready(const cmd_args *args)
{
    return ask(args, "/-/ready");
}
