/* exposition_negotiate.c - which format and escaping an Accept header asks for.
 *
 * Each member names one encoding that we have, or none; the one with the greatest weight wins, of
 * equal ones the first. Sources: RFC 9110, section 12.5.1; Prometheus, "Scrape protocol content
 * negotiation". */
#include <sextant/metrics.h>

#include "codec/qvalue.h"

/* A header longer than this is read so far: Prometheus's own has about 300 bytes. */
enum { ACCEPT_BYTES_MAX = 8192 };

typedef struct parameters {
    sx_str version, escaping, proto, encoding;
} parameters;

static sx_str without_quotes(sx_str value)
{
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        return sx_str_of(value.data + 1, value.len - 2);
    return value;
}

static parameters read_parameters(sx_str text)
{
    parameters p = {0};
    sx_str one, name, value;
    while (text.len > 0) {
        sx_str_cut(text, ';', &one, &text);
        if (!sx_str_cut(one, '=', &name, &value))
            continue;
        name = sx_str_trim(name);
        value = without_quotes(sx_str_trim(value));
        if (sx_str_ieq(name, SX_STR("version")))
            p.version = value;
        else if (sx_str_ieq(name, SX_STR("escaping")))
            p.escaping = value;
        else if (sx_str_ieq(name, SX_STR("proto")))
            p.proto = value;
        else if (sx_str_ieq(name, SX_STR("encoding")))
            p.encoding = value;
    }
    return p;
}

/* What can be asked for. An empty parameter here need not be named there. */
static const struct {
    sx_str type, version;
    sx_metrics_format format;
} OFFERS[] = {
    {SX_STR_INIT("text/plain"), SX_STR_INIT("0.0.4"), SX_METRICS_TEXT_004},
    {SX_STR_INIT("text/plain"), SX_STR_INIT(""), SX_METRICS_TEXT_004},
    {SX_STR_INIT("text/plain"), SX_STR_INIT("1.0.0"), SX_METRICS_TEXT_100},
    {SX_STR_INIT("application/openmetrics-text"), SX_STR_INIT("1.0.0"), SX_METRICS_OPENMETRICS},
    {SX_STR_INIT("application/openmetrics-text"), SX_STR_INIT(""), SX_METRICS_OPENMETRICS},
    {SX_STR_INIT("application/vnd.google.protobuf"), SX_STR_INIT(""), SX_METRICS_PROTOBUF},
    {SX_STR_INIT("text/*"), SX_STR_INIT(""), SX_METRICS_TEXT_004},
    {SX_STR_INIT("*/*"), SX_STR_INIT(""), SX_METRICS_TEXT_004},
};

static bool find_offer(sx_str type, const parameters *p, sx_metrics_format *out)
{
    for (size_t i = 0; i < SX_COUNT_OF(OFFERS); i++) {
        if (!sx_str_ieq(type, OFFERS[i].type) || !sx_str_eq(p->version, OFFERS[i].version))
            continue;
        *out = OFFERS[i].format;
        return *out != SX_METRICS_PROTOBUF ||
               (sx_str_eq(p->proto, SX_STR("io.prometheus.client.MetricFamily")) &&
                sx_str_eq(p->encoding, SX_STR("delimited")));
    }
    return false;
}

static sx_metrics_escaping find_escaping(sx_str name)
{
    static const sx_str NAMES[SX_METRICS_ESCAPINGS] = {
        [SX_METRICS_UNDERSCORES] = SX_STR_INIT("underscores"),
        [SX_METRICS_ALLOW_UTF8] = SX_STR_INIT("allow-utf-8"),
        [SX_METRICS_DOTS] = SX_STR_INIT("dots"),
        [SX_METRICS_VALUES] = SX_STR_INIT("values"),
    };
    for (size_t i = 0; i < SX_METRICS_ESCAPINGS; i++)
        if (sx_str_ieq(name, NAMES[i]))
            return (sx_metrics_escaping)i;
    return SX_METRICS_UNDERSCORES;
}

sx_metrics_encoding sx_metrics_negotiate(sx_str accept)
{
    sx_metrics_encoding best = {SX_METRICS_TEXT_004, SX_METRICS_UNDERSCORES};
    int best_weight = 0;
    accept = sx_str_first(accept, ACCEPT_BYTES_MAX);
    while (accept.len > 0) {
        sx_str member, type, rest;
        sx_metrics_format format;
        sx_str_cut(accept, ',', &member, &accept);
        sx_str_cut(member, ';', &type, &rest);
        parameters p = read_parameters(rest);
        int weight = sx_qvalue_of(rest);
        if (weight <= best_weight || !find_offer(sx_str_trim(type), &p, &format))
            continue;
        best = (sx_metrics_encoding){format, find_escaping(p.escaping)};
        best_weight = weight;
    }
    return best;
}

#define TYPES_OF(type, none)                                                                       \
    {                                                                                              \
        [SX_METRICS_UNDERSCORES] = SX_STR_INIT(type none),                                         \
        [SX_METRICS_ALLOW_UTF8] = SX_STR_INIT(type "; escaping=allow-utf-8"),                      \
        [SX_METRICS_DOTS] = SX_STR_INIT(type "; escaping=dots"),                                   \
        [SX_METRICS_VALUES] = SX_STR_INIT(type "; escaping=values"),                               \
    }

sx_str sx_metrics_content_type(sx_metrics_encoding encoding)
{
    /* The oldest format knows no escapings, and its readers need not be told of the usual one. */
    static const sx_str TYPES[SX_METRICS_FORMATS][SX_METRICS_ESCAPINGS] = {
        [SX_METRICS_TEXT_004] = TYPES_OF("text/plain; version=0.0.4; charset=utf-8", ""),
        [SX_METRICS_TEXT_100] =
            TYPES_OF("text/plain; version=1.0.0; charset=utf-8", "; escaping=underscores"),
        [SX_METRICS_OPENMETRICS] = TYPES_OF(
            "application/openmetrics-text; version=1.0.0; charset=utf-8", "; escaping=underscores"),
        [SX_METRICS_PROTOBUF] =
            TYPES_OF("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                     "encoding=delimited",
                     "; escaping=underscores"),
    };
    sx_assert((unsigned)encoding.format < SX_METRICS_FORMATS);
    sx_assert((unsigned)encoding.escaping < SX_METRICS_ESCAPINGS);
    return TYPES[encoding.format][encoding.escaping];
}
