/* policy.h - what the settings say about replies: CORS, security headers, compression.
 *
 * Compiled once from the settings into texts that are ready to be sent; a reload compiles another one
 * and publishes its pointer, and a request keeps to the one it began with. */
#ifndef SEXTANT_SERVICE_POLICY_H
#define SEXTANT_SERVICE_POLICY_H

#include <sextant/compress.h>
#include <sextant/config.h>
#include <sextant/http.h>
#include <sextant/loop.h>

typedef struct sx_policy_settings {
    bool compress;
    uint32_t compress_bytes_min;
    int gzip_level, zstd_level, brotli_level;
    bool security_headers;
    sx_str frame_options, referrer_policy, content_security_policy;
    uint32_t hsts_ms;
    sx_texts cors_origins, cors_methods, cors_headers, cors_expose;
    bool cors_credentials;
    uint32_t cors_max_age_ms;
} sx_policy_settings;

/* A field that is added unless the handler has one of that name. */
typedef struct sx_policy_field {
    sx_str name, value;
    bool tls_only;
} sx_policy_field;

enum { SX_POLICY_FIELDS_MAX = 16 };

typedef struct sx_policy {
    sx_policy_settings set; /* its texts are those of the configuration it was made from */
    sx_arena arena;
    sx_policy_field fields[SX_POLICY_FIELDS_MAX];
    size_t field_count;
    sx_str block[2]; /* the same as they are sent: without and with TLS */
    bool any_origin;
    sx_str methods, headers, expose, max_age; /* as sent */
} sx_policy;

/* Fields of a web configuration file (http_server_config.headers) come before those of the settings.
 * Errors: SX_EINVAL (a name or value that is no field, an origin that is none), SX_ENOMEM. */
sx_status sx_policy_init(sx_policy *p, const sx_policy_settings *set, const sx_policy_field *extra,
                         size_t extra_count, sx_error *err);
void sx_policy_done(sx_policy *p);

/* Adds what CORS wants on a reply to a request with an Origin. Returns true if `r` was a preflight, and
 * has been answered. Source: WHATWG Fetch, "CORS protocol". */
struct sx_seen_headers;
bool sx_policy_cross_origin(const sx_policy *p, sx_request *r, const struct sx_seen_headers *seen);

/* Whether the policy names that origin. */
bool sx_policy_origin_allowed(const sx_policy *p, sx_str origin);

/* ---- replies ---- */

/* One loop's idle encoders, so that the usual reply makes none. */
enum { SX_ENCODERS_KEPT = 8 };
typedef struct sx_encoder_pool {
    struct {
        sx_encoder *idle[SX_ENCODERS_KEPT];
        int levels[SX_ENCODERS_KEPT];
        size_t count;
    } of[SX_CODECS];
    sx_buf text; /* what the last one wrote */
} sx_encoder_pool;

void sx_encoder_pool_init(sx_encoder_pool *pool);
void sx_encoder_pool_done(sx_encoder_pool *pool);

/* Whether a content type is worth compressing: text, JSON, XML, scripts, fonts that are not packed. */
bool sx_type_compresses(sx_str content_type);

/* For sx_http_server_options: adds the policy's fields and compresses. */
extern const sx_reply_coder SX_REPLY_CODER;

#endif
