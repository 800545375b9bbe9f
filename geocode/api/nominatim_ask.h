/* nominatim_ask.h - what Nominatim's handlers share: nominatim.c and nominatim_search.c. */
#ifndef SEXTANT_GEOCODE_API_NOMINATIM_ASK_H
#define SEXTANT_GEOCODE_API_NOMINATIM_ASK_H

#include <sextant/json.h>
#include <sextant/number.h>

#include "geocode/api/ask.h"
#include "geocode/api/spans.h"
#include "geocode/nominatim/params.h"
#include "geocode/nominatim/xml.h"
#include "geocode/text/form.h"

typedef struct nom_asking nom_asking;

/* One request; in its arena. */
typedef struct nom_task {
    geo_ask ask;
    nom_request query;
    sx_str languages;
    nom_refusal refusal; /* its form is that of later errors, and of the answer */
    sx_str base;         /* of search: "http://host/nominatim" */
    /* Appends the answer to a->s->body and tells how many places it has. */
    sx_status (*answer)(const nom_asking *a, uint32_t *results, sx_error *err);
    union { /* by endpoint */
        nom_reverse_params reverse;
        nom_lookup_params lookup;
        nom_details_params details;
        nom_search_params search;
    };
} nom_task;

/* What an answer is made with; on the stack of who computes it. */
struct nom_asking {
    const nom_task *task;
    geo_scratch *s;
    const nom_locale *locale;
    geo_spans *spans;
    int64_t now_ms;
};

static inline const nom_task *nom_task_of(const geo_ask *ask)
{
    return (const nom_task *)(const void *)ask;
}

static inline const nom_index *nom_asking_index(const nom_asking *a)
{
    return &a->task->ask.on->nominatim;
}

/* Reads the query; NULL if the request has been answered: another method, or no memory. */
nom_task *nom_task_begin(sx_request *r, geo_endpoint endpoint, geo_scratch **s);

/* Sends an error in its form. */
void nom_task_refuse(const nom_refusal *refusal, sx_request *r, geo_scratch *s);

/* Answers from the cache, or by t->answer. */
void nom_task_answer(nom_task *t, sx_request *r, geo_scratch *s);

/* How answers are printed, and printing them. */
nom_print nom_print_of(const nom_asking *a, const nom_output *output);
sx_status nom_asking_print(const nom_asking *a, const nom_answer *const *answers, uint32_t count,
                           const nom_print *print, sx_error *err);

#endif
