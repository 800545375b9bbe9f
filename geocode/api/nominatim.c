/* nominatim.c - see nominatim.h: reading requests, sending answers and errors; /reverse, /lookup, /details
 * and /status. Search is in nominatim_search.c. */
#include "geocode/api/nominatim.h"

#include <time.h>

#include "geocode/api/nominatim_ask.h"
#include "geocode/api/refusal.h"
#include "geocode/nominatim/details.h"
#include "geocode/nominatim/document.h"
#include "geocode/nominatim/lookup.h"

bool geo_nominatim_is_meant(sx_str query)
{
    bool field = false, text = false;
    sx_str name, value;
    while (sx_query_next(&query, &name, &value)) {
        switch (nom_param_of(name)) {
        case NOM_P_FORMAT:
            return true;
        case NOM_P_AMENITY:
        case NOM_P_STREET:
        case NOM_P_CITY:
        case NOM_P_COUNTY:
        case NOM_P_STATE:
        case NOM_P_COUNTRY:
        case NOM_P_POSTALCODE:
            field = true;
            break;
        case NOM_P_Q:
            text = true;
            break;
        default:
            break;
        }
    }
    return field && !text;
}

/* --- Requests. */

static bool read_query(sx_request *r, nom_request *out)
{
    sx_str rest = r->query, name, value;
    *out = (nom_request){0};
    while (sx_query_next(&rest, &name, &value)) {
        name = geo_decode_lenient(&r->arena, name);
        nom_param p = name.data ? nom_param_of(name) : NOM_PARAMS;
        if (name.data && p == NOM_PARAMS)
            continue; /* unknown ones are ignored */
        value = geo_decode_lenient(&r->arena, value);
        if (!name.data || !value.data)
            return false;
        out->values[p] = value;
    }
    return true;
}

nom_task *nom_task_begin(sx_request *r, geo_endpoint endpoint, geo_scratch **s)
{
    *s = geo_api_scratch(r, endpoint);
    if (geo_api_other_method(r))
        return NULL;
    nom_task *t = sx_arena_alloc(&r->arena, sizeof(*t));
    if (!t || !read_query(r, &t->query)) {
        geo_refuse_status(r, 500);
        return NULL;
    }
    sx_str languages = t->query.values[NOM_P_ACCEPT_LANGUAGE];
    t->languages = languages.len ? languages : sx_request_header(r, SX_STR("accept-language"));
    t->refusal = (nom_refusal){0};
    return t;
}

/* --- Errors. */

static void write_error(const nom_refusal *refusal, sx_buf *out)
{
    sx_str message = sx_str_z(refusal->message);
    if (refusal->form == NOM_ERROR_JSON) {
        sx_json_writer w;
        sx_json_writer_init(&w, out, NULL);
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("error"));
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("code"));
        sx_json_i64(&w, refusal->status);
        sx_json_key(&w, SX_STR("message"));
        sx_json_str(&w, message);
        sx_json_end_object(&w);
        sx_json_end_object(&w);
        (void)sx_json_writer_finish(&w, NULL); /* out->failed tells as much */
    } else if (refusal->form == NOM_ERROR_XML) {
        /* With its blanks, as those expect who compare the whole text. */
        sx_buf_printf(out,
                      "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n"
                      "                   <error>\n"
                      "                     <code>%d</code>\n"
                      "                     <message>",
                      refusal->status);
        nom_xml_text(out, message);
        sx_buf_str(out, SX_STR("</message>\n"
                               "                   </error>\n"
                               "                "));
    } else {
        sx_buf_printf(out, "ERROR %d: %s", refusal->status, refusal->message);
    }
}

static sx_str type_of(nom_error_form form)
{
    return form == NOM_ERROR_XML    ? SX_STR("text/xml; charset=utf-8")
           : form == NOM_ERROR_JSON ? SX_STR("application/json; charset=utf-8")
                                    : SX_STR("text/plain; charset=utf-8");
}

void nom_task_refuse(const nom_refusal *refusal, sx_request *r, geo_scratch *s)
{
    sx_buf_clear(&s->body);
    write_error(refusal, &s->body);
    if (s->body.failed) {
        geo_refuse_status(r, 500);
        return;
    }
    geo_allow_any_origin(r);
    geo_api_count(r, refusal->status);
    sx_reply(r, refusal->status, type_of(refusal->form), sx_buf_view(&s->body));
}

static void refuse_error(const geo_ask *ask, sx_request *r, const sx_error *err)
{
    static const struct {
        sx_status status;
        int code;
    } CODES[] = {{SX_ENOTFOUND, 404}, {SX_EINVAL, 400}, {SX_ELIMIT, 400}};
    nom_refusal refusal = {.form = nom_task_of(ask)->refusal.form};
    (void)nom_refuse(&refusal, 500, "%s", err->message);
    for (size_t i = 0; i < SX_COUNT_OF(CODES); i++) {
        if (err->status == CODES[i].status)
            refusal.status = CODES[i].code;
    }
    nom_task_refuse(&refusal, r, sx_request_loop_context(r));
}

/* --- Answers. */

/* Every parameter that is known, and the languages: whoever adds one adds it to NOM_PARAM_LIST. */
static void make_key(const geo_ask *ask, sx_buf *out)
{
    const nom_task *t = nom_task_of(ask);
    sx_buf_bytes(out, &ask->on->generation, sizeof(ask->on->generation));
    sx_buf_byte(out, (char)ask->endpoint);
    for (nom_param p = 0; p < NOM_PARAMS; p++) {
        sx_str value = p == NOM_P_ACCEPT_LANGUAGE ? t->languages : t->query.values[p];
        uint32_t bytes = (uint32_t)value.len;
        if (!value.data)
            continue;
        sx_buf_byte(out, (char)p);
        sx_buf_bytes(out, &bytes, sizeof(bytes));
        sx_buf_str(out, value);
    }
}

static bool is_called_back(const nom_task *t)
{
    return t->refusal.form == NOM_ERROR_JSON && nom_request_has(&t->query, NOM_P_JSON_CALLBACK);
}

static void send_answer(const geo_ask *ask, sx_request *r, sx_str body, const sx_coded_store *store)
{
    const nom_task *t = nom_task_of(ask);
    geo_allow_any_origin(r);
    geo_api_count(r, 200);
    sx_reply_coded(r, 200,
                   is_called_back(t) ? SX_STR("application/javascript; charset=utf-8")
                                     : type_of(t->refusal.form),
                   body, store);
}

/* Puts the answer into the body: the kind's own, in a call if one is asked for. */
static sx_status compute(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_error *err)
{
    const nom_task *t = nom_task_of(ask);
    sx_str callback = t->query.values[NOM_P_JSON_CALLBACK];
    uint32_t results = 0;
    nom_locale locale;
    geo_spans spans;
    nom_locale_init(&locale, t->languages);
    sx_arena_reset(&s->arena);
    geo_cached_begin(&s->body);
    if (is_called_back(t)) {
        sx_buf_str(&s->body, callback);
        sx_buf_byte(&s->body, '(');
    }
    geo_spans_begin(&spans, r);
    const nom_asking asking = {t, s, &locale, &spans, sx_loop_wall_ns(r->loop) / 1000000};
    sx_status status = t->answer(&asking, &results, err);
    geo_spans_end(&spans);
    if (status != SX_OK)
        return status;
    if (is_called_back(t)) {
        if (!nom_callback_valid(callback))
            return sx_fail(err, SX_EINVAL, "Invalid json_callback value");
        sx_buf_byte(&s->body, ')');
    }
    geo_cached_finish(&s->body, results, 1);
    return sx_buf_status(&s->body, "the answer", err);
}

static const geo_ask_kind KIND = {make_key, compute, send_answer, refuse_error, true};

void nom_task_answer(nom_task *t, sx_request *r, geo_scratch *s)
{
    t->ask = (geo_ask){.kind = &KIND,
                       .bytes = sizeof(*t),
                       .on = s->now,
                       .endpoint = s->endpoint,
                       /* XML tells the time and the address it was asked at */
                       .keep = t->refusal.form != NOM_ERROR_XML};
    geo_ask_answer(&t->ask, r, s);
}

nom_print nom_print_of(const nom_asking *a, const nom_output *output)
{
    return (nom_print){.format = output->format,
                       .address = output->address,
                       .extratags = output->extratags,
                       .names = output->names,
                       .entrances = output->entrances,
                       .polygons = output->polygons,
                       .threshold = output->threshold,
                       .polygon_bytes_max = a->s->api->nominatim.polygon_bytes_max,
                       .now_ms = a->now_ms};
}

sx_status nom_asking_print(const nom_asking *a, const nom_answer *const *answers, uint32_t count,
                           const nom_print *print, sx_error *err)
{
    geo_spans_format(a->spans);
    return nom_print_answers(nom_asking_index(a), answers, count, print, &a->s->arena, &a->s->body,
                             err);
}

/* --- /reverse */

/* What XML repeats. */
static sx_str reverse_query(const nom_asking *a, const nom_reverse_params *p)
{
    char lat[SX_DOUBLE_BYTES], lon[SX_DOUBLE_BYTES];
    size_t lat_bytes = sx_double_format(p->lat, SX_DOUBLE_PYTHON, lat);
    size_t lon_bytes = sx_double_format(p->lon, SX_DOUBLE_PYTHON, lon);
    sx_str zoom = a->task->query.values[NOM_P_ZOOM];
    return sx_arena_printf(&a->s->arena, "lat=%.*s&lon=%.*s&format=xml%s%.*s", (int)lat_bytes, lat,
                           (int)lon_bytes, lon, zoom.len ? "&zoom=" : "", SX_ARG(zoom));
}

static sx_status answer_reverse(const nom_asking *a, uint32_t *results, sx_error *err)
{
    const nom_reverse_params *p = &a->task->reverse;
    const nom_index *ix = nom_asking_index(a);
    nom_hit hit;
    nom_answer answer;
    const nom_answer *answers[] = {&answer};
    bool found = false;
    sx_status status = SX_OK;
    geo_spans_candidates(a->spans);
    if (ix->places && p->on_globe)
        status = nom_reverse_find(ix->places, &p->query, &a->s->arena, &hit, &found, err);
    if (status == SX_OK && p->on_globe && a->task->ask.on->other_sources &&
        (p->query.layers == NOM_LAYERS_ANY || (p->query.layers & NOM_LAYER_ADDRESS)))
        status = nom_documents_reverse(ix->documents, &a->s->results, p->query.at,
                                       p->query.rank_max, &hit, &found, err);
    if (status == SX_OK && found)
        status = nom_answer_of(ix, &hit, a->locale, &a->s->arena, &answer, err);
    if (status != SX_OK)
        return status;
    nom_print print = nom_print_of(a, &p->output);
    print.single = true;
    print.query = SX_STR("");
    if (p->output.format == NOM_FORMAT_XML)
        print.query = reverse_query(a, p);
    *results = found;
    return nom_asking_print(a, answers, found, &print, err);
}

void geo_nominatim_reverse(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_reverse, &s);
    (void)ctx;
    if (!t)
        return;
    t->answer = answer_reverse;
    if (nom_reverse_read(&t->query, &t->reverse, &t->refusal))
        nom_task_answer(t, r, s);
    else
        nom_task_refuse(&t->refusal, r, s);
}

/* --- /lookup */

static sx_status answer_lookup(const nom_asking *a, uint32_t *results, sx_error *err)
{
    const nom_lookup_params *p = &a->task->lookup;
    const nom_index *ix = nom_asking_index(a);
    sx_arena *arena = &a->s->arena;
    nom_answer *all = sx_arena_calloc(arena, p->count + 1, sizeof(*all));
    const nom_answer **answers = sx_arena_calloc(arena, p->count + 1, sizeof(*answers));
    sx_status status = all && answers ? SX_OK : sx_fail_memory(err, "a list of places");
    uint32_t count = 0;
    geo_spans_candidates(a->spans);
    for (uint32_t i = 0; status == SX_OK && i < p->count; i++) {
        nom_hit hit;
        bool found;
        status = nom_lookup(ix, &p->refs[i], arena, &hit, &found, err);
        if (status != SX_OK || !found)
            continue;
        answers[count] = &all[count];
        status = nom_answer_of(ix, &hit, a->locale, arena, &all[count++], err);
    }
    if (status != SX_OK)
        return status;
    const nom_print print = nom_print_of(a, &p->output);
    *results = count;
    return nom_asking_print(a, answers, count, &print, err);
}

void geo_nominatim_lookup(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_lookup, &s);
    (void)ctx;
    if (!t)
        return;
    t->answer = answer_lookup;
    if (nom_lookup_read(&t->query, &s->api->nominatim, &r->arena, &t->lookup, &t->refusal))
        nom_task_answer(t, r, s);
    else
        nom_task_refuse(&t->refusal, r, s);
}

/* --- /details */

static sx_status answer_details(const nom_asking *a, uint32_t *results, sx_error *err)
{
    const nom_details_params *p = &a->task->details;
    const nom_index *ix = nom_asking_index(a);
    nom_hit hit;
    bool found;
    geo_spans_candidates(a->spans);
    sx_status status = nom_lookup(ix, &p->ref, &a->s->arena, &hit, &found, err);
    if (status != SX_OK)
        return status;
    if (!found)
        return sx_fail(err, SX_ENOTFOUND, "No place with that OSM ID found.");
    *results = 1;
    geo_spans_format(a->spans);
    return nom_print_details(ix, a->s->now->words, &hit, p, &a->s->api->nominatim, a->locale,
                             &a->s->arena, &a->s->body, err);
}

void geo_nominatim_details(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_details, &s);
    (void)ctx;
    if (!t)
        return;
    t->answer = answer_details;
    if (nom_details_read(&t->query, &t->details, &t->refusal))
        nom_task_answer(t, r, s);
    else
        nom_task_refuse(&t->refusal, r, s);
}

/* --- /status, /deletable, /polygons: what is sent as it stands. */

static void send_text(const nom_task *t, sx_request *r, geo_scratch *s, sx_str text)
{
    sx_str callback = t->query.values[NOM_P_JSON_CALLBACK];
    nom_refusal refusal = t->refusal;
    if (is_called_back(t) && !nom_callback_valid(callback)) {
        (void)nom_refuse(&refusal, 400, "Invalid json_callback value");
        nom_task_refuse(&refusal, r, s);
        return;
    }
    sx_buf_clear(&s->body);
    if (is_called_back(t))
        sx_buf_printf(&s->body, "%.*s(%.*s)", SX_ARG(callback), SX_ARG(text));
    else
        sx_buf_str(&s->body, text);
    if (s->body.failed)
        geo_refuse_status(r, 500);
    else
        send_answer(&t->ask, r, sx_buf_view(&s->body), NULL);
}

/* "2026-11-21T08:44:38+00:00", or nothing if the data do not say. */
static sx_str data_updated(const nom_index *ix, char *out, size_t cap)
{
    struct tm at;
    int64_t ms = ix->places && ix->places->meta ? ix->places->meta->data_ms : 0;
    time_t seconds = (time_t)(ms / 1000);
    if (ms == 0 || !gmtime_r(&seconds, &at))
        return sx_str_of("", 0);
    return sx_str_of(out, strftime(out, cap, "%Y-%m-%dT%H:%M:%S+00:00", &at));
}

void geo_nominatim_status(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_status, &s);
    bool json;
    (void)ctx;
    if (!t)
        return;
    if (!nom_status_read(&t->query, &json, &t->refusal)) {
        nom_task_refuse(&t->refusal, r, s);
        return;
    }
    if (!json) {
        send_text(t, r, s, SX_STR("OK"));
        return;
    }
    char date[40];
    sx_str updated = data_updated(&s->now->nominatim, date, sizeof(date));
    sx_str text =
        sx_arena_printf(&r->arena,
                        "{\"status\":0,\"message\":\"OK\",%s%.*s%s\"software_version\":\"%s\","
                        "\"database_version\":\"%s\"}",
                        updated.len ? "\"data_updated\":\"" : "", SX_ARG(updated),
                        updated.len ? "\"," : "", s->api->version, s->api->version);
    t->refusal.form = NOM_ERROR_JSON;
    if (text.data)
        send_text(t, r, s, text);
    else
        geo_refuse_status(r, 500);
}

void geo_nominatim_polygons(sx_request *r, void *ctx)
{
    geo_scratch *s;
    nom_task *t = nom_task_begin(r, GEO_ENDPOINT_nominatim_status, &s);
    (void)ctx;
    if (!t)
        return;
    if (nom_polygons_read(&t->query, &t->refusal))
        send_text(t, r, s, SX_STR("[]"));
    else
        nom_task_refuse(&t->refusal, r, s);
}
