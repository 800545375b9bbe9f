/* telemetry.c - the parts put together for a program: see include/sextant/telemetry.h.
 *
 * The order matters: what a part reports to is made before it and freed after it, so metrics, log,
 * exporter, tracer, and back. The log alone is told of the exporter afterwards, as each of the two
 * reports to the other. */
#include <sextant/telemetry.h>

#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/url.h>

struct sx_telemetry {
    sx_metrics *metrics;
    sx_log *log;
    sx_otlp *otlp;
    sx_tracer *tracer;
    bool own_metrics, own_log;
};

static sx_status add_metrics(sx_telemetry *t, const sx_telemetry_options *o, sx_error *err)
{
    t->metrics = o->metrics;
    if (t->metrics || o->without & SX_TELEMETRY_METRICS)
        return SX_OK;
    sx_status st = sx_metrics_new(&(sx_metrics_options){.clock = o->clock}, &t->metrics, err);
    if (st != SX_OK)
        return st;
    t->own_metrics = true;
    st = sx_metrics_add_process(t->metrics, err);
    if (st == SX_OK)
        st = sx_metrics_add_build_info(t->metrics, sx_str_z(o->service), sx_str_z(o->version), err);
    return st;
}

static sx_status add_log(sx_telemetry *t, const sx_telemetry_options *o, sx_str service,
                         sx_arena *arena, sx_error *err)
{
    sx_log_options options = o->log_options;
    t->log = o->log;
    if (t->log || o->without & SX_TELEMETRY_LOG)
        return SX_OK;
    if (!options.service && service.len > 0) {
        options.service = sx_arena_copy(arena, service).data; /* with a NUL */
        if (!options.service)
            return sx_fail_memory(err, "the service's name");
    }
    if (!options.clock)
        options.clock = o->clock;
    sx_status st = sx_log_new(&options, &t->log, err);
    if (st != SX_OK)
        return st;
    t->own_log = true;
    return t->metrics ? sx_log_metrics(t->log, t->metrics, err) : SX_OK;
}

/* The program's own word on where it runs, below what the environment says. */
static sx_status add_deployment(const sx_telemetry_options *o, sx_arena *arena,
                                sx_otlp_options *options, sx_error *err)
{
    sx_buf text;
    if (!o->deployment)
        return SX_OK;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, options->resource);
    sx_buf_str(&text, options->resource.len ? SX_STR(",deployment.environment.name=")
                                            : SX_STR("deployment.environment.name="));
    sx_url_encode(sx_str_z(o->deployment), &text);
    options->resource = sx_arena_copy(arena, sx_buf_view(&text));
    sx_status st = sx_buf_status(&text, "the deployment's name", err);
    sx_buf_done(&text);
    return st == SX_OK && !options->resource.data ? sx_fail_memory(err, "the deployment's name")
                                                  : st;
}

static bool exports_anything(const sx_otlp_options *o)
{
    for (int i = 0; i < SX_OTLP_SIGNALS; i++)
        if (o->targets[i].endpoint.len > 0)
            return true;
    return false;
}

static sx_status add_otlp(sx_telemetry *t, const sx_telemetry_options *o, sx_otlp_options *options,
                          sx_error *err)
{
    if (o->without & SX_TELEMETRY_OTLP || !exports_anything(options))
        return SX_OK;
    if (!options->metrics)
        options->metrics = t->metrics;
    if (!options->log)
        options->log = t->log;
    if (!options->clock)
        options->clock = o->clock;
    sx_status st = sx_otlp_new(options, &t->otlp, err);
    if (st == SX_OK && t->log)
        sx_log_otlp(t->log, t->otlp);
    return st;
}

static sx_status add_tracer(sx_telemetry *t, const sx_telemetry_options *o,
                            sx_tracer_options *options, sx_error *err)
{
    if (o->without & SX_TELEMETRY_TRACER)
        return SX_OK;
    if (!options->otlp)
        options->otlp = t->otlp;
    if (!options->metrics)
        options->metrics = t->metrics;
    if (!options->clock)
        options->clock = o->clock;
    return sx_tracer_new(options, &t->tracer, err);
}

/* A line of the log for each thing that the environment's readers did not understand. */
static void tell_warnings(sx_log *log, sx_str warnings)
{
    sx_str line;
    while (log && warnings.len > 0) {
        sx_str_cut(warnings, '\n', &line, &warnings);
        sx_field field = sx_field_str("variable", line);
        sx_log_write(sx_log_logger(log, "telemetry"), SX_LEVEL_WARN, NULL,
                     SX_STR("an environment variable cannot be used"), &field, 1);
    }
}

static sx_status add_parts(sx_telemetry *t, const sx_telemetry_options *o, sx_arena *arena,
                           sx_buf *warnings, sx_error *err)
{
    const char *const *environment = o->environment ? o->environment : (const char *const *)environ;
    sx_otlp_options otlp = o->otlp_options;
    sx_tracer_options tracer = o->tracer_options;
    if (otlp.service.len == 0)
        otlp.service = sx_str_z(o->service);
    if (otlp.version.len == 0)
        otlp.version = sx_str_z(o->version);
    sx_status st = sx_otlp_environment(environment, arena, &otlp, warnings, err);
    if (st == SX_OK)
        st = sx_tracer_environment(environment, arena, &tracer, warnings, err);
    if (st == SX_OK)
        st = add_deployment(o, arena, &otlp, err);
    if (st == SX_OK)
        st = add_metrics(t, o, err);
    if (st == SX_OK)
        st = add_log(t, o, otlp.service, arena, err);
    if (st == SX_OK)
        st = add_otlp(t, o, &otlp, err);
    return st == SX_OK ? add_tracer(t, o, &tracer, err) : st;
}

sx_status sx_telemetry_new(const sx_telemetry_options *options, sx_telemetry **out, sx_error *err)
{
    const sx_telemetry_options defaults = {0};
    sx_telemetry *t = (sx_telemetry *)sx_calloc(1, sizeof(*t));
    sx_arena arena;
    sx_buf warnings;
    if (!t)
        return sx_fail_memory(err, "a program's telemetry");
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&warnings, 65536);
    sx_status st = add_parts(t, options ? options : &defaults, &arena, &warnings, err);
    if (st == SX_OK)
        tell_warnings(t->log, sx_buf_view(&warnings));
    sx_buf_done(&warnings);
    sx_arena_done(&arena);
    if (st != SX_OK) {
        sx_telemetry_free(t, 0);
        return st;
    }
    *out = t;
    return SX_OK;
}

sx_metrics *sx_telemetry_metrics(const sx_telemetry *t)
{
    return t->metrics;
}

sx_log *sx_telemetry_log(const sx_telemetry *t)
{
    return t->log;
}

sx_tracer *sx_telemetry_tracer(const sx_telemetry *t)
{
    return t->tracer;
}

sx_otlp *sx_telemetry_otlp(const sx_telemetry *t)
{
    return t->otlp;
}

void sx_telemetry_free(sx_telemetry *t, uint32_t flush_ms)
{
    if (!t)
        return;
    sx_tracer_free(t->tracer);
    if (t->otlp && flush_ms > 0)
        sx_otlp_flush(t->otlp,
                      flush_ms); /* what it says of it is still exported or at least logged */
    if (t->otlp && t->log) {
        sx_log_otlp(t->log, NULL);
        sx_log_flush(t->log, 2000); /* after it the log's own thread knows, too */
    }
    sx_otlp_free(t->otlp, 0);
    if (t->own_log)
        sx_log_free(t->log);
    if (t->own_metrics)
        sx_metrics_free(t->metrics);
    sx_free(t);
}
