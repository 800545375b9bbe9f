/* check_collector.c - the files of others that say how traces are observed: an OpenTelemetry Collector's
 * configuration (--collector-config) and Jaeger's sampling strategies (--jaeger.sampling-file), read by
 * the same code that reads them at the start. */
#include "observe/check/check_internal.h"
#include "observe/collector/sampling.h"
#include "observe/collector/settings.h"

sx_status check_collector(checker *c, sx_str text, sx_error *err)
{
    const collector_settings_options options = {.environment = c->options->environment};
    collector_settings *s = NULL;
    sx_buf problems;
    sx_buf_init(&problems, 0);
    sx_status st = collector_settings_parse(text, sx_str_z(c->path), &options, &s, &problems, err);
    for (uint32_t i = 0; st == SX_OK && i < s->warning_count; i++)
        check_say(c, CHECK_WARNING, "%.*s", SX_ARG(s->warnings[i]));
    if (st == SX_OK)
        check_say(c, CHECK_GOOD,
                  "%s is a valid OpenTelemetry Collector configuration: %u pipelines of traces",
                  c->path, s->pipeline_count);
    else if (st != SX_ENOMEM)
        check_say_faults(c, &problems, err);
    sx_buf_done(&problems);
    collector_settings_unref(s);
    return st == SX_ENOMEM ? st : SX_OK;
}

/* JSON's "line 2, column 5 (byte 9): words" as the other kinds have it: "FILE:2:5: words". */
static void say_json_fault(checker *c, sx_str message)
{
    sx_str line, column, words;
    if (!sx_str_starts(message, SX_STR("line ")) || !sx_str_cut(message, ',', &line, &words) ||
        !sx_str_starts(words, SX_STR(" column ")) ||
        !sx_str_cut(sx_str_from(words, 8), ' ', &column, &words) ||
        !sx_str_cut(words, ' ', &(sx_str){0}, &words) ||
        !sx_str_cut(words, ' ', &(sx_str){0}, &words)) {
        check_say(c, CHECK_FAULT, "%s: %.*s", c->path, SX_ARG(message));
        return;
    }
    check_say(c, CHECK_FAULT, "%s:%.*s:%.*s: %.*s", c->path, SX_ARG(sx_str_from(line, 5)),
              SX_ARG(column), SX_ARG(words));
}

sx_status check_sampling(checker *c, sx_str text, sx_error *err)
{
    sx_buf warnings;
    sx_buf_init(&warnings, 0);
    sx_status st = sampling_check(text, &warnings, err);
    for (sx_str rest = sx_buf_view(&warnings), line; st == SX_OK && rest.len;) {
        sx_str_cut(rest, '\n', &line, &rest);
        check_say(c, CHECK_WARNING, "%s: %.*s", c->path, SX_ARG(line));
    }
    if (st == SX_OK)
        check_say(c, CHECK_GOOD, "%s is a valid file of sampling strategies", c->path);
    else if (st != SX_ENOMEM)
        say_json_fault(c, sx_str_z(err->message));
    sx_buf_done(&warnings);
    return st == SX_ENOMEM ? st : SX_OK;
}
