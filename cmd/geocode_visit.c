/* geocode_visit.c - `sextant geocode visit`: hands the command line to the visitor's service. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/geocode.h"
#include "geocode/visit/visit.h"

int cmd_geocode_visit(const cmd_args *args)
{
    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    geo_visit_options options = {.version = SX_VERSION,
                                 .flags = (const char *const *)args->rest,
                                 .flag_count = (size_t)args->rest_count,
                                 .environment = (const char *const *)environ};
    sx_status status = geo_visit(&options, &problems, &err);
    if (problems.len)
        fwrite(problems.data, 1, problems.len, stderr);
    sx_buf_done(&problems);
    if (status == SX_OK)
        return 0;
    if (err.message[0])
        cmd_failed(&err);
    return status == SX_EINVAL ? 2 : 1;
}

void cmd_geocode_visit_flags(void)
{
    sx_buf text;
    sx_buf_init(&text, 1 << 20);
    geo_visit_help(&text);
    fwrite(text.data, 1, text.len, stdout);
    sx_buf_done(&text);
}
