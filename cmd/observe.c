/* observe.c - `sextant observe`: hands the command line to the observatory's server. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/command.h"
#include "observe/server.h"

int cmd_observe(const cmd_args *args)
{
    static observe_flags flags; /* lives until the process ends: the server's threads look at it */
    sx_error err = {0};
    if (observe_flags_parse(args->rest_count, args->rest, &flags, &err) != SX_OK) {
        cmd_failed(&err);
        observe_flags_done(&flags);
        return 2;
    }
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    observe_options options = {
        .flags = &flags, .version = SX_VERSION, .environment = (const char *const *)environ};
    sx_status status = observe_serve(&options, &problems, &err);
    if (problems.len)
        fwrite(problems.data, 1, problems.len, stderr);
    sx_str told = sx_buf_view(&problems); /* often the error is the first of them */
    if (status != SX_OK &&
        (!told.len || (err.message[0] && sx_str_find(told, sx_str_z(err.message)) == told.len)))
        cmd_failed(&err);
    sx_buf_done(&problems);
    observe_flags_done(&flags);
    if (status == SX_OK)
        return 0;
    /* As Prometheus: 2 for a configuration that cannot be loaded. */
    return status == SX_EINVAL || status == SX_EFORMAT || status == SX_ENOTFOUND ? 2 : 1;
}

void cmd_observe_flags(void)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    observe_flags_help(&text);
    sx_buf_str(&text,
               SX_STR("\nSettings of the service, each as --key=value, or as an environment\n"
                      "variable (OBSERVE_ and the key in capitals); [default]:\n"));
    observe_settings_help(&text);
    fwrite(text.data, 1, text.len, stdout);
    sx_buf_done(&text);
}
