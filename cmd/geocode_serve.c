/* geocode_serve.c - `sextant geocode serve`: hands the command line to the geocoder's service. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/command.h"
#include "geocode/api/serve.h"

enum { SERVICE_FLAGS_MAX = 80, FLAG_BYTES = 4096 };

int cmd_geocode_serve(const cmd_args *args)
{
    const char *index = cmd_value(args, "index");
    if (!index) {
        fprintf(stderr,
                "sextant: geocode serve needs --index INDEX; 'sextant geocode import' makes "
                "one\n");
        return 2;
    }
    /* --listen and --config are the service's own settings under the names that people type. */
    static char listen[FLAG_BYTES], config[FLAG_BYTES];
    const char *flags[SERVICE_FLAGS_MAX];
    size_t count = 0;
    int len = snprintf(listen, sizeof(listen), "--listen=%s", cmd_value(args, "listen"));
    bool fits = len < FLAG_BYTES;
    flags[count++] = listen;
    if (cmd_value(args, "config")) {
        len = snprintf(config, sizeof(config), "--config.file=%s", cmd_value(args, "config"));
        fits = fits && len < FLAG_BYTES;
        flags[count++] = config;
    }
    if (cmd_switch(args, "no-cache"))
        flags[count++] = "--cache.enabled=false";
    if (!fits) {
        fprintf(stderr, "sextant: --listen and --config take at most %d bytes\n", FLAG_BYTES - 20);
        return 2;
    }
    for (int i = 0; i < args->service_count && count < SERVICE_FLAGS_MAX; i++)
        flags[count++] = args->service[i];

    sx_error err = {0};
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    geo_serve_options options = {.index = index,
                                 .version = SX_VERSION,
                                 .flags = flags,
                                 .flag_count = count,
                                 .environment = (const char *const *)environ};
    sx_status status = geo_serve(&options, &problems, &err);
    if (problems.len)
        fwrite(problems.data, 1, problems.len, stderr);
    sx_buf_done(&problems);
    if (status == SX_OK)
        return 0;
    if (!problems.len || err.message[0])
        cmd_failed(&err);
    return status == SX_EINVAL ? 2 : 1;
}

void cmd_print_settings(cmd_settings_form form)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    if (form == CMD_SETTINGS_HELP)
        geo_serve_help(&text);
    else
        geo_serve_docs(&text);
    fwrite(text.data, 1, text.len, stdout);
    sx_buf_done(&text);
}
