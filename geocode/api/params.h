/* params.h - the query string of Addok's endpoints, read as Addok reads it.
 *
 * The rules are those that Addok 1.3 shows over HTTP (it is served by Falcon): the last of repeated
 * parameters counts, but filters gather all of them; numbers are taken as Python takes them; broken
 * percent escapes stay as they are and broken UTF-8 becomes U+FFFD. Nothing here knows the index. */
#ifndef SEXTANT_GEOCODE_API_PARAMS_H
#define SEXTANT_GEOCODE_API_PARAMS_H

#include <sextant/arena.h>
#include <sextant/error.h>

#include "geocode/text/form.h"

enum { GEO_FILTERS_MAX = 8, GEO_FILTER_VALUES_MAX = 64 };

/* Why a request is refused: Falcon's error document. An empty description is left out of it. */
typedef struct geo_refusal {
    int status;
    sx_str title, description;
} geo_refusal;

typedef struct geo_param_filter {
    bool given;
    size_t count;
    sx_str values[GEO_FILTER_VALUES_MAX]; /* decoded, split at blanks, in the order given */
} geo_param_filter;

/* A parameter beyond Addok's that makes searches better: `better` for all of it, and one for each part,
 * which overrides it (better=1&interpolate=0). */
typedef struct geo_better_param {
    const char *name;
    uint32_t parts;  /* of geo_better: what it turns on or off */
    uint32_t second; /* besides, at 2; 0: it is a yes or no */
} geo_better_param;

enum { GEO_BETTER_PARAMS = 8 };
extern const geo_better_param GEO_BETTER_PARAM[GEO_BETTER_PARAMS];

/* Reads the value of parameter `p` into *better. False if it is none that the parameter has. */
bool geo_better_read(const geo_better_param *p, sx_str value, uint32_t *better);

/* What its value must be, as a sentence. Static. */
const char *geo_better_expected(const geo_better_param *p);

typedef struct geo_params {
    sx_str q; /* decoded */
    bool has_q;
    int64_t limit;     /* 0 if not given */
    bool autocomplete; /* true if not given */
    bool has_lat, has_lon;
    double lat, lon;
    uint32_t better; /* geo_better */
    bool explain;
    geo_param_filter filters[GEO_FILTERS_MAX]; /* by place in the names given */
} geo_params;

typedef struct geo_params_rules {
    const char *const *filters; /* names of the filters, NULL after the last */
    int64_t limit_most;         /* above it, and below 0, the limit is refused; 0: any is taken */
    bool point_required;        /* as /reverse/ */
} geo_params_rules;

/* Reads `query` (after the '?', still encoded). Decoded text lives in `arena`.
 * Returns SX_OK; SX_EINVAL with *refusal filled; SX_ENOMEM. */
sx_status geo_params_read(sx_arena *arena, sx_str query, const geo_params_rules *rules,
                          geo_params *out, geo_refusal *refusal);

#endif
