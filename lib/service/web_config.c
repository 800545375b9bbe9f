/* web_config.c - reads the web configuration file; see web_config.h.
 *
 * Strict as its first reader is: a key that nobody knows, a combination that makes no sense, a hash
 * that can match nothing are refused with their line, because a listener that is less protected than
 * its operator believes is worse than one that does not start. */
#include <sextant/web_config.h>

#include <openssl/sha.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/yaml.h>

#include "service/config_internal.h"

enum { FILE_BYTES_MAX = 1 << 20, RATE_BURST_MAX = 1000000, RATE_DAYS_MAX = 49 };

/* What is being read. */
typedef struct reader {
    sx_web_config *config;
    sx_arena *arena;
    sx_str folder; /* of the file, with its last slash; empty: the working folder */
    sx_error *err;
} reader;

typedef sx_status read_fn(reader *r, const sx_yaml_node *node);

/* A key and who reads its value. */
typedef struct row {
    sx_str key;
    read_fn *read;
} row;

/* Reads a mapping by its rows; a null is an empty one. */
static sx_status read_rows(reader *r, const sx_yaml_node *map, const row *rows, size_t count)
{
    sx_str keys[16];
    if (sx_yaml_is_null(map))
        return SX_OK;
    sx_status status = sx_yaml_expect(map, SX_YAML_MAPPING, r->err);
    sx_assert(count <= SX_COUNT_OF(keys));
    for (size_t i = 0; i < count; i++)
        keys[i] = rows[i].key;
    if (status == SX_OK)
        status = sx_yaml_check_keys(map, keys, count, r->err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        const sx_yaml_node *value = sx_yaml_get(map, rows[i].key);
        if (value && !sx_yaml_is_null(value))
            status = rows[i].read(r, value);
    }
    return status;
}

static sx_status read_text(reader *r, const sx_yaml_node *node, sx_str *out)
{
    sx_str text;
    sx_status status = sx_yaml_str(node, &text, r->err);
    if (status)
        return status;
    if (text.len > 0 && memchr(text.data, 0, text.len))
        return sx_yaml_fail(node, SX_EFORMAT, r->err, "a NUL has no place here");
    *out = sx_arena_copy(r->arena, text);
    return out->data ? SX_OK : sx_fail_memory(r->err, "the web configuration");
}

/* A path, from the folder of the file; NULL for an empty one. */
static sx_status read_path(reader *r, const sx_yaml_node *node, const char **out)
{
    sx_str path;
    sx_status status = read_text(r, node, &path);
    if (status || path.len == 0)
        return status;
    if (path.data[0] != '/' && r->folder.len > 0)
        path = sx_arena_printf(r->arena, "%.*s%.*s", SX_ARG(r->folder), SX_ARG(path));
    *out = path.data;
    return path.data ? SX_OK : sx_fail_memory(r->err, "the web configuration");
}

/* The index of a scalar among `words`; an unknown one is refused with all there are. */
static sx_status read_word(reader *r, const sx_yaml_node *node, const sx_str *words, size_t count,
                           size_t *out)
{
    sx_str text, all = SX_STR("");
    sx_status status = sx_yaml_str(node, &text, r->err);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (sx_str_eq(text, words[i])) {
            *out = i;
            return SX_OK;
        }
        all = sx_arena_printf(r->arena, "%.*s%s%.*s", SX_ARG(all), i ? ", " : "", SX_ARG(words[i]));
    }
    return sx_yaml_fail(node, SX_EINVAL, r->err, "\"%.*s\" is none of %.*s", SX_ARG(text),
                        SX_ARG(all));
}

/* ---- tls_server_config ---- */

static sx_status read_cert_file(reader *r, const sx_yaml_node *node)
{
    return read_path(r, node, &r->config->certificate.chain_file);
}

static sx_status read_key_file(reader *r, const sx_yaml_node *node)
{
    return read_path(r, node, &r->config->certificate.key_file);
}

static sx_status read_client_ca(reader *r, const sx_yaml_node *node)
{
    return read_path(r, node, &r->config->tls_options.client_ca_file);
}

static sx_status read_client_auth(reader *r, const sx_yaml_node *node)
{
    static const sx_str WORDS[] = {SX_STR_INIT("NoClientCert"),
                                   SX_STR_INIT("RequestClientCert"),
                                   SX_STR_INIT("RequireAnyClientCert"),
                                   SX_STR_INIT("RequireClientCert"),
                                   SX_STR_INIT("VerifyClientCertIfGiven"),
                                   SX_STR_INIT("RequireAndVerifyClientCert")};
    static const sx_tls_verify MODES[] = {SX_TLS_VERIFY_NONE,     SX_TLS_VERIFY_ASK,
                                          SX_TLS_VERIFY_ANY,      SX_TLS_VERIFY_ANY,
                                          SX_TLS_VERIFY_OPTIONAL, SX_TLS_VERIFY_REQUIRED};
    size_t at;
    if (node->kind == SX_YAML_SCALAR && node->scalar.len == 0)
        return SX_OK;
    sx_status status = read_word(r, node, WORDS, SX_COUNT_OF(WORDS), &at);
    if (status == SX_OK)
        r->config->tls_options.verify = MODES[at];
    return status;
}

static sx_status read_version(reader *r, const sx_yaml_node *node, sx_tls_version *out)
{
    static const sx_str WORDS[] = {SX_STR_INIT("TLS10"), SX_STR_INIT("TLS11"), SX_STR_INIT("TLS12"),
                                   SX_STR_INIT("TLS13")};
    size_t at;
    sx_status status = read_word(r, node, WORDS, SX_COUNT_OF(WORDS), &at);
    if (status == SX_OK)
        *out = (sx_tls_version)(SX_TLS_1_0 + at);
    return status;
}

static sx_status read_min_version(reader *r, const sx_yaml_node *node)
{
    return read_version(r, node, &r->config->tls_options.version_min);
}

static sx_status read_max_version(reader *r, const sx_yaml_node *node)
{
    return read_version(r, node, &r->config->tls_options.version_max);
}

/* The names of Go's crypto/tls, which are IANA's, and OpenSSL's. Those of TLS 1.3 are always on, as
 * they are in Go. */
typedef struct word_pair {
    sx_str theirs;
    const char *ours;
} word_pair;

#define PAIR(theirs, ours) {SX_STR_INIT(theirs), ours}
static const word_pair CIPHERS[] = {
    PAIR("TLS_AES_128_GCM_SHA256", ""),
    PAIR("TLS_AES_256_GCM_SHA384", ""),
    PAIR("TLS_CHACHA20_POLY1305_SHA256", ""),
    PAIR("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    PAIR("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    PAIR("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    PAIR("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    PAIR("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    PAIR("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    PAIR("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
    PAIR("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
    PAIR("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
    PAIR("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
    PAIR("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
    PAIR("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
    PAIR("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
    PAIR("TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"),
};
static const word_pair CURVES[] = {
    PAIR("X25519", "X25519"),
    PAIR("CurveP256", "P-256"),
    PAIR("CurveP384", "P-384"),
    PAIR("CurveP521", "P-521"),
};
#undef PAIR

/* A list of their words as OpenSSL's text; NULL if nothing is left of it. */
static sx_status read_list(reader *r, const sx_yaml_node *node, const word_pair *known,
                           size_t count, const char **out)
{
    sx_str words[SX_COUNT_OF(CIPHERS)], text = SX_STR("");
    sx_status status = sx_yaml_expect(node, SX_YAML_SEQUENCE, r->err);
    for (size_t i = 0; i < count; i++)
        words[i] = known[i].theirs;
    for (uint32_t i = 0; status == SX_OK && i < node->count; i++) {
        size_t at;
        status = read_word(r, node->items[i], words, count, &at);
        if (status == SX_OK && known[at].ours[0])
            text = sx_arena_printf(r->arena, "%.*s%s%s", SX_ARG(text), text.len ? ":" : "",
                                   known[at].ours);
        if (!text.data)
            return sx_fail_memory(r->err, "the web configuration");
    }
    if (status == SX_OK && text.len > 0)
        *out = text.data;
    return status;
}

static sx_status read_ciphers(reader *r, const sx_yaml_node *node)
{
    return read_list(r, node, CIPHERS, SX_COUNT_OF(CIPHERS), &r->config->tls_options.ciphers);
}

static sx_status read_curves(reader *r, const sx_yaml_node *node)
{
    return read_list(r, node, CURVES, SX_COUNT_OF(CURVES), &r->config->tls_options.groups);
}

static sx_status read_server_order(reader *r, const sx_yaml_node *node)
{
    bool ours;
    sx_status status = sx_yaml_bool(node, &ours, r->err);
    if (status == SX_OK)
        r->config->tls_options.client_order = !ours;
    return status;
}

static sx_status read_sans(reader *r, const sx_yaml_node *node)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_SEQUENCE, r->err);
    if (status)
        return status;
    const char **names = (const char **)sx_arena_calloc(r->arena, node->count + 1, sizeof(char *));
    if (!names)
        return sx_fail_memory(r->err, "the web configuration");
    for (uint32_t i = 0; i < node->count && status == SX_OK; i++) {
        sx_str name;
        status = read_text(r, node->items[i], &name);
        names[i] = name.data;
    }
    r->config->tls_options.client_names = names;
    r->config->tls_options.client_name_count = node->count;
    return status;
}

static sx_status refuse_inline(reader *r, const sx_yaml_node *node)
{
    return sx_yaml_fail(node, SX_EUNSUPPORTED, r->err,
                        "a certificate or key in this file is not supported; put it into a file of "
                        "its own and name that by cert_file, key_file or client_ca_file");
}

static sx_status read_tls(reader *r, const sx_yaml_node *node)
{
    static const row ROWS[] = {
        {SX_STR_INIT("cert_file"), read_cert_file},
        {SX_STR_INIT("key_file"), read_key_file},
        {SX_STR_INIT("client_auth_type"), read_client_auth},
        {SX_STR_INIT("client_ca_file"), read_client_ca},
        {SX_STR_INIT("client_allowed_sans"), read_sans},
        {SX_STR_INIT("min_version"), read_min_version},
        {SX_STR_INIT("max_version"), read_max_version},
        {SX_STR_INIT("cipher_suites"), read_ciphers},
        {SX_STR_INIT("curve_preferences"), read_curves},
        {SX_STR_INIT("prefer_server_cipher_suites"), read_server_order},
        {SX_STR_INIT("cert"), refuse_inline},
        {SX_STR_INIT("key"), refuse_inline},
        {SX_STR_INIT("client_ca"), refuse_inline},
    };
    sx_web_config *c = r->config;
    sx_tls_server_options *o = &c->tls_options;
    sx_status status = read_rows(r, node, ROWS, SX_COUNT_OF(ROWS));
    if (status || sx_yaml_is_null(node) || node->count == 0)
        return status;
    bool checks = o->verify == SX_TLS_VERIFY_OPTIONAL || o->verify == SX_TLS_VERIFY_REQUIRED;
    if (!c->certificate.chain_file || !c->certificate.key_file)
        return sx_yaml_fail(node, SX_EINVAL, r->err, "TLS needs both cert_file and key_file");
    if (o->client_ca_file && o->verify == SX_TLS_VERIFY_NONE)
        return sx_yaml_fail(node, SX_EINVAL, r->err,
                            "client_ca_file means nothing without a client_auth_type");
    if (checks && !o->client_ca_file)
        return sx_yaml_fail(node, SX_EINVAL, r->err,
                            "this client_auth_type needs a client_ca_file to verify with");
    if (o->client_name_count && !checks)
        return sx_yaml_fail(node, SX_EINVAL, r->err,
                            "client_allowed_sans needs a client_auth_type that verifies");
    if (o->version_min && o->version_max && o->version_min > o->version_max)
        return sx_yaml_fail(node, SX_EINVAL, r->err, "min_version is above max_version");
    c->tls = true;
    return SX_OK;
}

/* ---- http_server_config ---- */

static sx_status read_http2(reader *r, const sx_yaml_node *node)
{
    return sx_yaml_bool(node, &r->config->http2, r->err);
}

/* Only these may be set, as in every exporter; some have few values that mean anything. */
static const struct {
    sx_str name;
    const char *values[3];
} HEADERS[] = {
    {SX_STR_INIT("Strict-Transport-Security"), {NULL}},
    {SX_STR_INIT("X-Content-Type-Options"), {"nosniff", NULL}},
    {SX_STR_INIT("X-Frame-Options"), {"deny", "sameorigin", NULL}},
    {SX_STR_INIT("X-XSS-Protection"), {NULL}},
    {SX_STR_INIT("Content-Security-Policy"), {NULL}},
};

static sx_status check_header(reader *r, const sx_yaml_pair *pair, sx_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.data[i] < ' ' || value.data[i] == 0x7f)
            return sx_yaml_fail(pair->value, SX_EINVAL, r->err,
                                "byte %zu cannot be in a header field", i);
    for (size_t i = 0; i < SX_COUNT_OF(HEADERS); i++) {
        if (!sx_str_eq(pair->key->scalar, HEADERS[i].name))
            continue;
        const char *const *allowed = HEADERS[i].values;
        bool found = !allowed[0];
        for (size_t k = 0; allowed[k]; k++)
            found |= sx_str_eq(value, sx_str_z(allowed[k]));
        return found ? SX_OK
                     : sx_yaml_fail(pair->value, SX_EINVAL, r->err, "must be %s%s%s", allowed[0],
                                    allowed[1] ? " or " : "", allowed[1] ? allowed[1] : "");
    }
    return sx_yaml_fail(pair->key, SX_EINVAL, r->err, "header \"%.*s\" cannot be configured here",
                        SX_ARG(pair->key->scalar));
}

static sx_status read_headers(reader *r, const sx_yaml_node *node)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_MAPPING, r->err);
    if (status)
        return status;
    sx_web_header *headers =
        (sx_web_header *)sx_arena_calloc(r->arena, node->count + 1, sizeof(*headers));
    if (!headers)
        return sx_fail_memory(r->err, "the web configuration");
    for (uint32_t i = 0; i < node->count && status == SX_OK; i++) {
        status = read_text(r, node->pairs[i].key, &headers[i].name);
        if (status == SX_OK)
            status = read_text(r, node->pairs[i].value, &headers[i].value);
        if (status == SX_OK)
            status = check_header(r, &node->pairs[i], headers[i].value);
    }
    r->config->headers = headers;
    r->config->header_count = node->count;
    return status;
}

static sx_status read_http(reader *r, const sx_yaml_node *node)
{
    static const row ROWS[] = {{SX_STR_INIT("http2"), read_http2},
                               {SX_STR_INIT("headers"), read_headers}};
    return read_rows(r, node, ROWS, SX_COUNT_OF(ROWS));
}

/* ---- who may ask ---- */

/* $2b$NN$ and 53 characters of bcrypt's alphabet. */
static bool is_bcrypt(sx_str hash)
{
    enum { BCRYPT_BYTES = 60, HEAD_BYTES = 7 };
    if (hash.len != BCRYPT_BYTES || !sx_str_starts(hash, SX_STR("$2")) || hash.data[3] != '$' ||
        !strchr("aby", hash.data[2]) || hash.data[6] != '$')
        return false;
    int cost = (hash.data[4] - '0') * 10 + (hash.data[5] - '0');
    if (cost < 4 || cost > 31)
        return false;
    for (size_t i = HEAD_BYTES; i < hash.len; i++) {
        char c = hash.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '.' && c != '/')
            return false;
    }
    return true;
}

static sx_status read_users(reader *r, const sx_yaml_node *node)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_MAPPING, r->err);
    if (status)
        return status;
    sx_web_user *users = (sx_web_user *)sx_arena_calloc(r->arena, node->count + 1, sizeof(*users));
    if (!users)
        return sx_fail_memory(r->err, "the web configuration");
    for (uint32_t i = 0; i < node->count && status == SX_OK; i++) {
        const sx_yaml_pair *pair = &node->pairs[i];
        status = read_text(r, pair->key, &users[i].name);
        if (status == SX_OK)
            status = read_text(r, pair->value, &users[i].hash);
        if (status == SX_OK && sx_str_find_byte(users[i].name, ':') < users[i].name.len)
            status = sx_yaml_fail(pair->key, SX_EINVAL, r->err,
                                  "a user's name cannot have ':' (RFC 7617)");
        if (status == SX_OK && !is_bcrypt(users[i].hash))
            status = sx_yaml_fail(pair->value, SX_EINVAL, r->err,
                                  "not a bcrypt hash; make one with htpasswd -nBC 10 NAME");
    }
    r->config->users = users;
    r->config->user_count = node->count;
    return status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The token itself, or sha256: and its digest. */
static sx_status read_token(reader *r, const sx_yaml_node *node, sx_web_token *out)
{
    sx_str text;
    sx_status status = sx_yaml_str(node, &text, r->err);
    if (status)
        return status;
    if (!sx_str_starts(text, SX_STR("sha256:"))) {
        if (text.len < 16)
            return sx_yaml_fail(node, SX_EINVAL, r->err,
                                "a token needs at least 16 characters, or it can be guessed");
        SHA256((const unsigned char *)text.data, text.len, out->sha256);
        return SX_OK;
    }
    text = sx_str_from(text, 7);
    bool right = text.len == 2 * sizeof(out->sha256);
    for (size_t i = 0; right && i < sizeof(out->sha256); i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        right = high >= 0 && low >= 0;
        if (right)
            out->sha256[i] = (unsigned char)(high << 4 | low);
    }
    return right ? SX_OK
                 : sx_yaml_fail(node, SX_EINVAL, r->err, "sha256: needs 64 hexadecimal digits");
}

static sx_status read_tokens(reader *r, const sx_yaml_node *node)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_MAPPING, r->err);
    if (status)
        return status;
    sx_web_token *tokens =
        (sx_web_token *)sx_arena_calloc(r->arena, node->count + 1, sizeof(*tokens));
    if (!tokens)
        return sx_fail_memory(r->err, "the web configuration");
    for (uint32_t i = 0; i < node->count && status == SX_OK; i++) {
        status = read_text(r, node->pairs[i].key, &tokens[i].name);
        if (status == SX_OK)
            status = read_token(r, node->pairs[i].value, &tokens[i]);
    }
    r->config->tokens = tokens;
    r->config->token_count = node->count;
    return status;
}

/* ---- how often ---- */

/* Go's durations: a number with a unit, or several of them: 1.5s, 1m30s; 0 alone. */
static bool read_go_duration(sx_str text, int64_t *ns)
{
    static const struct {
        sx_str name;
        double ns;
    } UNITS[] = {{SX_STR_INIT("ns"), 1},    {SX_STR_INIT("us"), 1e3}, {SX_STR_INIT("µs"), 1e3},
                 {SX_STR_INIT("ms"), 1e6},  {SX_STR_INIT("s"), 1e9},  {SX_STR_INIT("m"), 60e9},
                 {SX_STR_INIT("h"), 3600e9}};
    double sum = 0, number;
    *ns = 0;
    if (sx_str_eq(text, SX_STR("0")))
        return true;
    while (text.len) {
        size_t digits = 0, unit = 0;
        while (digits < text.len && strchr("0123456789.", text.data[digits]))
            digits++;
        if (!sx_double_parse(sx_str_first(text, digits), &number))
            return false;
        text = sx_str_from(text, digits);
        size_t len = 0;
        while (len < text.len && !strchr("0123456789.", text.data[len]))
            len++;
        while (unit < SX_COUNT_OF(UNITS) && !sx_str_eq(sx_str_first(text, len), UNITS[unit].name))
            unit++;
        if (unit == SX_COUNT_OF(UNITS))
            return false;
        sum += number * UNITS[unit].ns;
        text = sx_str_from(text, len);
    }
    *ns = (int64_t)sum;
    return sum > 0 && sum <= RATE_DAYS_MAX * 86400e9;
}

static sx_status read_interval(reader *r, const sx_yaml_node *node)
{
    sx_str text;
    sx_status status = sx_yaml_str(node, &text, r->err);
    if (status == SX_OK && !read_go_duration(text, &r->config->rate_interval_ns))
        return sx_yaml_fail(
            node, SX_EINVAL, r->err,
            "interval: write a time as 10ms, 1s or 1m30s, at most %d days; 0: no limit",
            RATE_DAYS_MAX);
    return status;
}

static sx_status read_burst(reader *r, const sx_yaml_node *node)
{
    int64_t burst = 0;
    sx_status status = sx_yaml_i64(node, 0, RATE_BURST_MAX, &burst, r->err);
    r->config->rate_burst = (uint32_t)burst;
    return status;
}

static sx_status read_rate(reader *r, const sx_yaml_node *node)
{
    static const row ROWS[] = {{SX_STR_INIT("interval"), read_interval},
                               {SX_STR_INIT("burst"), read_burst}};
    sx_status status = read_rows(r, node, ROWS, SX_COUNT_OF(ROWS));
    if (status == SX_OK && r->config->rate_interval_ns && r->config->rate_burst == 0)
        return sx_yaml_fail(node, SX_EINVAL, r->err, "burst must be at least 1, or nobody gets in");
    return status;
}

/* ---- all ---- */

static sx_status read_top(reader *r, const sx_yaml_node *node)
{
    static const row ROWS[] = {
        {SX_STR_INIT("tls_server_config"), read_tls},
        {SX_STR_INIT("http_server_config"), read_http},
        {SX_STR_INIT("rate_limit"), read_rate},
        {SX_STR_INIT("basic_auth_users"), read_users},
        {SX_STR_INIT("bearer_tokens"), read_tokens},
    };
    sx_status status = read_rows(r, node, ROWS, SX_COUNT_OF(ROWS));
    sx_web_config *c = r->config;
    c->tls_options.certificates = &c->certificate;
    c->tls_options.certificate_count = c->tls ? 1 : 0;
    c->tls_options.http2 = c->http2;
    return status;
}

sx_status sx_web_config_parse(sx_str text, const char *path, sx_web_config **out, sx_error *err)
{
    sx_web_config *c = (sx_web_config *)sx_calloc(1, sizeof(*c));
    if (!c)
        return sx_fail_memory(err, "the web configuration");
    sx_arena_init(&c->arena, 0, 0);
    c->http2 = true;
    sx_error own = {0}; /* err may be NULL, and messages are put together in steps */
    const char *slash = strrchr(path, '/');
    reader r = {.config = c,
                .arena = &c->arena,
                .folder = sx_str_of(path, slash ? (size_t)(slash - path) + 1 : 0),
                .err = err ? err : &own};
    sx_yaml_file file;
    sx_yaml_options limits = {.nodes_max = 100000, .depth_max = 16};
    sx_status status = sx_yaml_parse(text, sx_str_z(path), &limits, &c->arena, &file, r.err);
    if (status == SX_OK && file.count > 1)
        status =
            sx_yaml_fail(file.documents[1], SX_EFORMAT, r.err, "a second document; one is read");
    if (status == SX_OK && file.count == 1)
        status = read_top(&r, file.documents[0]);
    if (status) {
        sx_web_config_free(c);
        return status;
    }
    *out = c;
    return SX_OK;
}

sx_status sx_web_config_load(const char *path, sx_web_config **out, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, FILE_BYTES_MAX);
    sx_status status = sx_config_check_file(path, "web configuration file", err);
    if (status == SX_OK)
        status = sx_file_read(path, FILE_BYTES_MAX, &text, err);
    if (status == SX_OK)
        status = sx_web_config_parse(sx_buf_view(&text), path, out, err);
    sx_buf_done(&text);
    return status;
}

void sx_web_config_free(sx_web_config *config)
{
    if (!config)
        return;
    sx_arena_done(&config->arena);
    sx_free(config);
}
