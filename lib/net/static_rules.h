/* static_rules.h - what a request's conditions, range and accepted codings mean for a
 * representation: rules of RFC 9110 without files or sockets, so that tests reach all of them. */
#ifndef SEXTANT_NET_STATIC_RULES_H
#define SEXTANT_NET_STATIC_RULES_H

#include <sextant/http.h>

/* One representation that could be sent. */
typedef struct static_content {
    sx_str etag;        /* strong, in quotes */
    int64_t modified_s; /* Unix seconds; 0: unknown */
    uint64_t bytes;
    sx_str type;
    sx_str coding; /* "gzip", "br"; empty: identity */
    bool varies;   /* other codings exist: Vary is due */
    sx_str cache_control;
} static_content;

/* What to answer. */
typedef struct static_plan {
    int status;     /* 200, 206, 304, 412, 416 */
    uint64_t first; /* of the bytes to send */
    uint64_t count;
} static_plan;

/* RFC 9110, section 13.2.2 (the order of conditions) and 14.2. */
static_plan static_plan_of(const sx_request *r, const static_content *content);

/* Sets the reply's fields for a plan. */
void static_reply_fields(sx_request *r, const static_content *content, const static_plan *plan);

/* An HTTP date in any of its three forms (RFC 9110, section 5.6.7); -1 if it is none. And back, in
 * the preferred form. */
int64_t static_date_parse(sx_str text);
sx_str static_date_format(int64_t unix_s, char out[32]);

/* GET or HEAD; else answers 405 and returns false. */
bool static_method_ok(sx_request *r);

#endif
