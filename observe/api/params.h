/* params.h - what a request asks: its parameters, read as Prometheus reads them, refused in its words.
 *
 * A form has the pairs of a posted body (application/x-www-form-urlencoded) before those of the
 * address, so that the first of a name is the one that counts, as Go's FormValue has it. All of it
 * lives in the call's arena. Source: Prometheus, web/api/v1 and docs/querying/api.md. */
#ifndef OBSERVE_API_PARAMS_H
#define OBSERVE_API_PARAMS_H

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/http.h>

#include "observe/promql/parse.h"

enum { API_PARAMS_MAX = 10000 };

typedef struct api_param {
    sx_str name, value;
    bool in_address; /* else in the body */
} api_param;

typedef struct api_form {
    const api_param *items;
    size_t count;
    sx_str fault; /* of the first broken pair, in Go's words; empty: none */
} api_form;

/* Reads query and body of `r`. Broken pairs are left out and told in `fault`.
 * Errors: SX_ELIMIT (too many), SX_ENOMEM. */
sx_status api_form_read(const sx_request *r, sx_arena *arena, api_form *out, sx_error *err);

/* The first value of a name; empty if there is none. */
sx_str api_form_get(const api_form *f, const char *name);
/* The same of the address alone. */
sx_str api_form_address(const api_form *f, const char *name);
/* All values of a name, in the arena. */
sx_status api_form_all(const api_form *f, const char *name, sx_arena *arena, sx_str **out,
                       size_t *count, sx_error *err);

/* A moment to the nanosecond, as seconds and the rest. */
typedef struct api_time {
    int64_t s;
    int32_t ns;
} api_time;

/* The bounds that stand for no bound; in milliseconds. */
#define API_TIME_MIN_MS (-9223309901257974LL * 1000)
#define API_TIME_MAX_MS (9223309901257974LL * 1000 + 999)

/* Unix seconds with a fraction, or RFC 3339. SX_EFORMAT: cannot parse "x" to a valid timestamp. */
sx_status api_time_read(sx_str text, api_time *out, sx_error *err);
int64_t api_time_ms(api_time t);
/* a - b in nanoseconds, held at the bounds of int64. */
int64_t api_time_minus(api_time a, api_time b);

/* Parameter `name` as a time in milliseconds, or `fallback` if it is empty. The error begins with
 * "invalid time value for 'name'". */
sx_status api_form_time(const api_form *f, const char *name, int64_t fallback_ms, int64_t *out,
                        sx_error *err);

/* A duration in nanoseconds: float seconds, or 1h30m. */
sx_status api_duration_read(sx_str text, int64_t *ns, sx_error *err);

/* Whole numbers as Go's Atoi: SX_EFORMAT strconv.Atoi: parsing "x": invalid syntax. */
sx_status api_int_read(sx_str text, const char *go_function, int bits, int64_t *out, sx_error *err);

/* The words that Go's ParseBool takes. False: it is none of them. */
bool api_bool_read(sx_str text, bool *out);

/* Parameter limit: 0 is none. */
sx_status api_form_limit(const api_form *f, int64_t *out, sx_error *err);

/* A float as Go's strconv.ParseFloat reads it (decimal). False: it is none. */
bool api_float_read(sx_str text, double *out);

/* The sets of matchers in `match[]`. Each must refuse the empty value somewhere. To be freed. */
typedef struct api_matchers {
    promql_parsed *sets;
    size_t count;
} api_matchers;
sx_status api_matchers_read(const api_form *f, bool empty_allowed, sx_arena *arena,
                            api_matchers *out, sx_error *err);
void api_matchers_done(api_matchers *m);

/* The matchers of set `i`. */
const tsdb_matcher *api_matchers_set(const api_matchers *m, size_t i, size_t *count);

/* A name that was escaped by value (U__a_2e_b is a.b); what is not well formed stays as it is. */
sx_status api_name_unescape(sx_str name, sx_arena *arena, sx_str *out, sx_error *err);

#endif
