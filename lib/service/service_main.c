/* service_main.c - a service as a program: what main() calls. */
#include <stdio.h>

#include "service/service_internal.h"

extern char **environ;

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

static void print_help(const sx_service_def *def)
{
    sx_key rows[SX_SERVICE_KEYS_MOST];
    sx_key_set sets[2];
    sx_buf out;
    sx_assert(SX_SERVICE_KEY_COUNT <= SX_COUNT_OF(rows));
    sx_service_rows(def, rows);
    size_t count = sx_service_sets(def, rows, NULL, NULL, sets);
    sx_buf_init(&out, 0);
    sx_buf_printf(&out, "%s %s%s%s\n\nUsage: %s [--config.file=FILE.yml] [--KEY=VALUE …]\n\n",
                  def->name, def->version ? def->version : "", def->summary ? " - " : "",
                  def->summary ? def->summary : "", def->name);
    sx_buf_str(&out, SX_STR("Settings, by flag, environment or file; [default]:\n"));
    sx_config_help(sets, count, &out);
    sx_buf_str(&out, SX_STR("  --help, --version\n"));
    fwrite(out.data, 1, out.len, stdout);
    sx_buf_done(&out);
}

static int run(int argc, char **argv, const sx_service_def *def, sx_buf *problems)
{
    /* The casts add const at two levels, which C, unlike C++, does not do by itself. */
    sx_service_options options = {.flags = (const char *const *)(argv + 1),
                                  .flag_count = (size_t)argc - 1,
                                  .environment = (const char *const *)environ};
    sx_service *s = NULL;
    sx_error err = {0};
    sx_status status = sx_service_new(def, &options, &s, problems, &err);
    if (status && problems->len > 0) {
        fwrite(problems->data, 1, problems->len, stderr);
        if (status ==
            SX_EINVAL) /* a flag; of a file or a variable the problem itself says what to do */
            fprintf(stderr, "%s: see --help\n", def->name);
        return status == SX_EINVAL ? 2 : 1;
    }
    if (status == SX_OK)
        status = sx_service_run(s, &err);
    sx_service_free(s);
    if (status)
        fprintf(stderr, "%s: %s\n", def->name, err.message);
    return status ? 1 : 0;
}

int sx_service_main(int argc, char **argv, const sx_service_def *def)
{
    if (argc < 1)
        return 2;
    if (!def->name || def->name[0] == '\0') {
        fprintf(stderr, "%s: the service has no name: set sx_service_def.name\n", argv[0]);
        return 1;
    }
    if (has_flag(argc, argv, "--help")) {
        print_help(def);
        return 0;
    }
    if (has_flag(argc, argv, "--version")) {
        printf("%s %s\n", def->name, def->version ? def->version : "unknown");
        return 0;
    }
    sx_buf problems;
    sx_buf_init(&problems, 1 << 20);
    int code = run(argc, argv, def, &problems);
    sx_buf_done(&problems);
    return code;
}
