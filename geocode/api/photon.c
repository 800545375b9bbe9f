/* photon.c - see photon.h. */
#include "geocode/api/photon.h"

#include "geocode/api/ask.h"
#include "geocode/api/refusal.h"
#include "geocode/api/spans.h"
#include "geocode/photon/photon.h"

/* One request, with its parameters read. */
typedef struct task {
    geo_ask ask;
    sx_str languages; /* as the query or the header names them; empty: the local ones */
    photon_query query;
} task;

static const task *task_of(const geo_ask *ask)
{
    return (const task *)(const void *)ask;
}

bool geo_photon_is_meant(sx_str query)
{
    static const sx_str ADDOKS[] = {SX_STR_INIT("lat"), SX_STR_INIT("lon"), SX_STR_INIT("limit")};
    sx_str name, value;
    while (sx_query_next(&query, &name, &value)) {
        bool shared = false;
        for (size_t i = 0; i < SX_COUNT_OF(ADDOKS); i++)
            shared = shared || sx_str_eq(name, ADDOKS[i]);
        if (!shared && photon_knows(PHOTON_REVERSE, name))
            return true;
    }
    return false;
}

/* --- Refusals. */

static void refuse(sx_request *r, int status, sx_str message)
{
    sx_buf body;
    sx_buf_init(&body, 0);
    photon_write_refusal(message, &body);
    geo_allow_any_origin(r);
    geo_api_count(r, status);
    sx_reply(r, status, SX_STR("application/json; charset=utf-8"), sx_buf_view(&body));
    sx_buf_done(&body);
}

static void refuse_error(const geo_ask *ask, sx_request *r, const sx_error *err)
{
    (void)ask;
    refuse(r, err->status == SX_ELIMIT ? 400 : 500, sx_str_z(err->message));
}

/* --- Answers. */

/* The query as it was sent tells all, but for the languages of the header. */
static void make_key(const geo_ask *ask, sx_buf *out)
{
    const task *t = task_of(ask);
    uint32_t bytes = (uint32_t)t->languages.len;
    sx_buf_bytes(out, &ask->on->generation, sizeof(ask->on->generation));
    sx_buf_byte(out, (char)ask->endpoint);
    sx_buf_byte(out, (char)t->query.endpoint);
    sx_buf_bytes(out, &bytes, sizeof(bytes));
    sx_buf_str(out, t->languages);
    sx_buf_str(out, t->query.sent);
}

static sx_status compute(const geo_ask *ask, sx_request *r, geo_scratch *s, sx_error *err)
{
    const task *t = task_of(ask);
    nom_locale locale;
    nom_hits hits;
    geo_spans spans;
    nom_locale_init(&locale, t->languages);
    sx_arena_reset(&s->arena);
    geo_spans_begin(&spans, r);
    geo_spans_candidates(&spans);
    const photon_asked asked = {.index = &ask->on->nominatim,
                                .words = ask->on->words,
                                .searcher = s->nominatim,
                                .addresses = ask->on->other_sources ? s->searcher : NULL,
                                .results = &s->results,
                                .query = &t->query,
                                .locale = &locale,
                                .arena = &s->arena};
    sx_status status = photon_find(&asked, &hits, err);
    if (status == SX_OK) {
        geo_spans_format(&spans);
        geo_cached_begin(&s->body);
        status = photon_write(&asked, &hits, &s->body, err);
        geo_cached_finish(&s->body, hits.count, 1);
    }
    geo_spans_end(&spans);
    return status;
}

static void send_answer(const geo_ask *ask, sx_request *r, sx_str body, const sx_coded_store *store)
{
    (void)ask;
    geo_api_send(r, body, store);
}

static const geo_ask_kind KIND = {make_key, compute, send_answer, refuse_error, true};

static void answer(sx_request *r, photon_endpoint endpoint, geo_endpoint counted)
{
    geo_scratch *s = geo_api_scratch(r, counted);
    sx_str message;
    task t;
    if (geo_api_other_method(r))
        return;
    sx_status status = photon_params_read(&r->arena, r->query, endpoint, &t.query, &message);
    if (status != SX_OK) {
        refuse(r, status == SX_EINVAL ? 400 : 500, message);
        return;
    }
    t.languages = t.query.language;
    if (t.languages.len == 0)
        t.languages = sx_request_header(r, SX_STR("accept-language"));
    else if (sx_str_eq(t.languages, SX_STR("default")))
        t.languages = SX_STR("");
    t.ask = (geo_ask){
        .kind = &KIND, .bytes = sizeof(t), .on = s->now, .endpoint = counted, .keep = true};
    geo_ask_answer(&t.ask, r, s);
}

void geo_photon_api(sx_request *r, void *ctx)
{
    (void)ctx;
    answer(r, PHOTON_API, GEO_ENDPOINT_photon_api);
}

void geo_photon_structured(sx_request *r, void *ctx)
{
    (void)ctx;
    answer(r, PHOTON_STRUCTURED, GEO_ENDPOINT_photon_api);
}

void geo_photon_reverse(sx_request *r, void *ctx)
{
    (void)ctx;
    answer(r, PHOTON_REVERSE, GEO_ENDPOINT_photon_reverse);
}

void geo_photon_status(sx_request *r, void *ctx)
{
    (void)ctx;
    geo_scratch *s = geo_api_scratch(r, GEO_ENDPOINT_photon_status);
    if (geo_api_other_method(r))
        return;
    const plc_index *places = s->now->nominatim.places;
    photon_write_status(places && places->meta ? places->meta->data_ms : 0,
                        sx_str_z(s->api->version), &s->body);
    geo_api_send_body(r, s);
}
