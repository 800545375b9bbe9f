/* request.c - see request.h. */
#include "geocode/nominatim/request.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sextant/utf8.h>

#include "geocode/text/form.h"

static const sx_str NAMES[NOM_PARAMS] = {
#define X(id, name) SX_STR_INIT(name),
    NOM_PARAM_LIST(X)
#undef X
};

sx_str nom_param_name(nom_param p)
{
    return NAMES[p];
}

nom_param nom_param_of(sx_str name)
{
    for (nom_param p = 0; p < NOM_PARAMS; p++) {
        if (sx_str_eq(name, NAMES[p]))
            return p;
    }
    return NOM_PARAMS;
}

bool nom_refuse(nom_refusal *r, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(r->message, sizeof(r->message), fmt, args);
    va_end(args);
    r->status = status;
    r->message[sx_utf8_valid_len(sx_str_z(r->message))] = '\0'; /* what was cut in two goes whole */
    return false;
}

bool nom_request_bool(const nom_request *q, nom_param p, bool otherwise)
{
    return nom_request_has(q, p) ? !sx_str_eq(q->values[p], SX_STR("0")) : otherwise;
}

static bool is_missing(nom_param p, nom_refusal *r)
{
    return nom_refuse(r, 400, "Parameter '%s' missing.", NAMES[p].data);
}

static bool is_no_number(nom_param p, nom_refusal *r)
{
    return nom_refuse(r, 400, "Parameter '%s' must be a number.", NAMES[p].data);
}

bool nom_request_int(const nom_request *q, nom_param p, const int64_t *otherwise, int64_t *out,
                     nom_refusal *r)
{
    if (nom_request_has(q, p))
        return geo_python_int(q->values[p], out) || is_no_number(p, r);
    if (!otherwise)
        return is_missing(p, r);
    *out = *otherwise;
    return true;
}

bool nom_request_float(const nom_request *q, nom_param p, const double *otherwise, double *out,
                       nom_refusal *r)
{
    double value;
    if (!nom_request_has(q, p)) {
        if (!otherwise)
            return is_missing(p, r);
        *out = *otherwise;
        return true;
    }
    if (!geo_python_float(q->values[p], &value) || !isfinite(value))
        return is_no_number(p, r);
    *out = value;
    return true;
}
