/* visit.c - the visitor (visit.h): steps of a visit, one after the other on the first loop's timer.
 *
 * A visit is a span; each question is a call of the kit's HTTP client within it, so that the geocoder's
 * spans hang below. A question that has no answer yet holds up the next: a slow geocoder is asked less,
 * as by people. */
#include "geocode/visit/visit.h"

#include <stdio.h>
#include <string.h>

#include <sextant/client_http.h>
#include <sextant/url.h>

#include "geocode/visit/places.h"

typedef struct settings {
    sx_str geocoder; /* "http://HOST:PORT" */
    uint32_t every_ms, step_ms;
} settings;

#define AT(field) SX_AT(settings, field)
static const sx_key KEYS[] = {
    {"visit.geocoder", SX_TEXT, AT(geocoder), .text = "http://127.0.0.1:7878",
     .help = "address of the geocoder that is visited", .flags = SX_KEY_RESTART},
    {"visit.every_ms", SX_MS, AT(every_ms), 5000, 10, 86400000, "time from a visit to the next"},
    {"visit.step_ms", SX_MS, AT(step_ms), 150, 1, 60000,
     "time from an answer to the next question of a visit"},
};

enum { FILE_EVERY = 12, FILE_ROWS = 240, URL_BYTES = 1024 };

typedef struct visitor {
    settings config;
    sx_service *service;
    sx_loop *loop;
    sx_http_client *http;
    sx_timer timer;
    sx_logger *log;
    sx_counter *visits;
    sx_call *call;      /* the question under way; NULL: none */
    size_t count, step; /* visits begun; of the present one */
    sx_span span;
    bool visiting;
} visitor;

/* ---- what is asked ---- */

/* The first `letters` of a text in UTF-8. */
static sx_str typed(sx_str text, size_t letters)
{
    size_t at = 0;
    while (at < text.len && letters) {
        at++;
        while (at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80)
            at++;
        letters--;
    }
    return sx_str_first(text, at);
}

/* A question: its path, with what is behind it of the place; letters 0: all of the address. */
static const struct {
    const char *path;
    size_t letters;
    bool by_point, maps_only;
} STEPS[] = {
    {"/search/?autocomplete=1&limit=5&q=", 4, false, false},
    {"/search/?autocomplete=1&limit=5&q=", 7, false, false},
    {"/search/?autocomplete=1&limit=5&q=", 11, false, false},
    {"/search/?q=", 0, false, false},
    {"/reverse/?", 0, true, false},
    {"/photon/api?limit=5&q=", 6, false, true},
    {"/photon/reverse?", 0, true, true},
    {"/nominatim/search?format=jsonv2&addressdetails=1&q=", 0, false, true},
    {"/nominatim/reverse?format=jsonv2&", 0, true, true},
};

static sx_str url_of(const visitor *v, char out[URL_BYTES])
{
    const geo_visit_place *place = &GEO_VISIT_PLACES[v->count % GEO_VISIT_PLACES_COUNT];
    sx_buf url;
    sx_buf_init(&url, URL_BYTES - 1);
    sx_buf_printf(&url, "%.*s%s", SX_ARG(v->config.geocoder), STEPS[v->step].path);
    if (STEPS[v->step].by_point) {
        sx_buf_printf(&url, "lat=%s&lon=%s", place->lat, place->lon);
    } else {
        sx_str text = sx_str_z(place->text);
        sx_url_encode(STEPS[v->step].letters ? typed(text, STEPS[v->step].letters) : text, &url);
    }
    sx_str view = sx_buf_view(&url);
    memcpy(out, view.data, view.len);
    view = sx_str_of(out, url.failed ? 0 : view.len);
    sx_buf_done(&url);
    return view;
}

#define BOUNDARY "sextant-visitor"

static void put_file(sx_buf *out)
{
    sx_buf_str(out,
               SX_STR("--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"data\"; "
                      "filename=\"addresses.csv\"\r\nContent-Type: text/csv\r\n\r\naddress\n"));
    for (size_t i = 0; i < FILE_ROWS; i++)
        sx_buf_printf(out, "\"%s\"\n", GEO_VISIT_PLACES[i % GEO_VISIT_PLACES_COUNT].text);
    sx_buf_str(out, SX_STR("\r\n--" BOUNDARY "\r\nContent-Disposition: form-data; "
                           "name=\"columns\"\r\n\r\naddress\r\n--" BOUNDARY "--\r\n"));
}

/* ---- how ---- */

static void wait_for(visitor *v, uint32_t ms)
{
    sx_timer_start(sx_loop_timers(v->loop), &v->timer, ms);
}

static void end_visit(visitor *v)
{
    sx_span_end(&v->span);
    sx_counter_add(v->visits, 1);
    v->visiting = false;
    v->count++;
    wait_for(v, v->config.every_ms);
}

static bool is_over(const visitor *v)
{
    bool with_file = v->count % FILE_EVERY == 1;
    return v->step >= SX_COUNT_OF(STEPS) + (with_file ? 1 : 0);
}

static void next_step(visitor *v)
{
    const geo_visit_place *place = &GEO_VISIT_PLACES[v->count % GEO_VISIT_PLACES_COUNT];
    do
        v->step++;
    while (v->step < SX_COUNT_OF(STEPS) && STEPS[v->step].maps_only && !place->on_map);
    if (is_over(v))
        end_visit(v);
    else
        wait_for(v, v->config.step_ms);
}

/* Who gets no answer goes away, and comes again. */
static void give_up(visitor *v, const sx_error *err)
{
    SX_LOG_WARN(v->log, NULL, "no answer", sx_field_str("error", sx_str_z(err->message)));
    sx_span_error(&v->span, SX_STR("no_answer"), sx_str_z(err->message));
    end_visit(v);
}

static void on_done(sx_call *call, void *ctx, sx_status status, const sx_error *err,
                    const sx_header *trailers, size_t trailer_count)
{
    visitor *v = ctx;
    (void)call, (void)trailers, (void)trailer_count;
    v->call = NULL;
    if (status == SX_ECANCELED)
        return; /* the end */
    if (status != SX_OK)
        give_up(v, err);
    else
        next_step(v);
}

static void on_body(sx_call *call, void *ctx, sx_str piece)
{
    (void)call, (void)ctx, (void)piece;
}

static sx_status ask(visitor *v, sx_error *err)
{
    static const sx_call_events EVENTS = {.body = on_body, .done = on_done};
    static const sx_header FORM = {SX_STR_INIT("content-type"),
                                   SX_STR_INIT("multipart/form-data; boundary=" BOUNDARY)};
    char url[URL_BYTES];
    sx_call_request request = {0};
    sx_buf file;
    sx_buf_init(&file, 0);
    if (v->step < SX_COUNT_OF(STEPS)) {
        request.url = url_of(v, url);
    } else {
        int len = snprintf(url, sizeof url, "%.*s/search/csv/", SX_ARG(v->config.geocoder));
        put_file(&file);
        request = (sx_call_request){.method = SX_STR("POST"),
                                    .url = sx_str_of(url, (size_t)len),
                                    .headers = &FORM,
                                    .header_count = 1,
                                    .body = sx_buf_view(&file)};
    }
    sx_context here = {.span = v->span.context};
    const sx_context *outer = sx_context_enter(&here);
    sx_status status = sx_buf_status(&file, "a file of addresses", err);
    if (status == SX_OK)
        status = sx_http_call(v->http, &request, &EVENTS, v, &v->call, err);
    sx_context_leave(outer);
    sx_buf_done(&file);
    return status;
}

static void on_timer(sx_timer *timer, void *arg)
{
    visitor *v = arg;
    sx_error err = {0};
    (void)timer;
    if (sx_service_is_draining(v->service)) {
        if (v->visiting)
            sx_span_end(&v->span);
        v->visiting = false;
        return;
    }
    if (!v->visiting) {
        sx_span_start(&v->span, sx_service_kit(v->service)->tracer,
                      &(sx_span_options){.name = SX_STR("visit")});
        v->visiting = true;
        v->step = 0;
    }
    if (ask(v, &err) != SX_OK)
        give_up(v, &err);
}

/* ---- the service ---- */

static sx_status setup(sx_service *s, void *ctx, sx_error *err)
{
    visitor *v = ctx;
    sx_metric *visits;
    v->service = s;
    v->log = sx_log_logger(sx_service_log(s), "visit");
    sx_status status = sx_metric_new(sx_service_metrics(s),
                                     &(sx_metric_options){.kind = SX_METRIC_COUNTER,
                                                          .name = "visits_total",
                                                          .help = "Visits that have ended."},
                                     &visits, err);
    if (status == SX_OK)
        v->visits = sx_metric_counter(visits, NULL, 0);
    return status;
}

static sx_status loop_setup(sx_service *s, sx_loop *loop, void *ctx, void **loop_ctx, sx_error *err)
{
    visitor *v = ctx;
    (void)loop_ctx;
    if (sx_loop_index(loop) != 0)
        return SX_OK;
    v->loop = loop;
    v->timer = (sx_timer){.fn = on_timer, .arg = v};
    sx_status status = sx_kit_http_client_new(
        loop, sx_service_kit(s), &(sx_kit_http_options){.client.name = "geocoder"}, &v->http, err);
    if (status == SX_OK)
        wait_for(v, v->config.step_ms);
    return status;
}

static void loop_teardown(sx_service *s, sx_loop *loop, void *ctx, void *loop_ctx)
{
    visitor *v = ctx;
    (void)s, (void)loop_ctx;
    if (sx_loop_index(loop) != 0)
        return;
    sx_timer_stop(sx_loop_timers(loop), &v->timer);
    sx_http_client_free(v->http);
    if (v->visiting)
        sx_span_end(&v->span);
    v->visiting = false;
}

static sx_service_def definition(visitor *v)
{
    static const sx_service_default DEFAULTS[] = {{"loops", NULL, 1}};
    return (sx_service_def){.name = "visitor",
                            .summary = "asks a geocoder as people do",
                            .listen = "127.0.0.1:0",
                            .keys = KEYS,
                            .key_count = SX_COUNT_OF(KEYS),
                            .config = &v->config,
                            .config_bytes = sizeof v->config,
                            .ctx = v,
                            .setup = setup,
                            .loop_setup = loop_setup,
                            .loop_teardown = loop_teardown,
                            .defaults = DEFAULTS,
                            .default_count = SX_COUNT_OF(DEFAULTS)};
}

sx_status geo_visit(const geo_visit_options *options, sx_buf *problems, sx_error *err)
{
    visitor v = {.count = 0};
    sx_service_def def = definition(&v);
    def.version = options->version;
    sx_service *s;
    sx_status status = sx_service_new(&def,
                                      &(sx_service_options){.flags = options->flags,
                                                            .flag_count = options->flag_count,
                                                            .environment = options->environment},
                                      &s, problems, err);
    if (status != SX_OK)
        return status;
    status = sx_service_run(s, err);
    sx_service_free(s);
    return status;
}

void geo_visit_help(sx_buf *out)
{
    visitor v = {.count = 0};
    sx_service_def def = definition(&v);
    sx_service_help(&def, out);
}
