/* sender_config.c - whether an entry of remote_write is what it was, so that its queue may go on. */
#include "observe/remote/sender_internal.h"

static bool texts_equal(const sx_str *a, uint32_t n, const sx_str *b, uint32_t m)
{
    for (uint32_t i = 0; n == m && i < n; i++)
        if (!sx_str_eq(a[i], b[i]))
            return false;
    return n == m;
}

static bool pairs_equal(const tsdb_label *a, uint32_t n, const tsdb_label *b, uint32_t m)
{
    for (uint32_t i = 0; n == m && i < n; i++)
        if (!sx_str_eq(a[i].name, b[i].name) || !sx_str_eq(a[i].value, b[i].value))
            return false;
    return n == m;
}

static bool secrets_equal(const prom_secret *a, const prom_secret *b)
{
    return sx_str_eq(a->text, b->text) && sx_str_eq(a->file, b->file) && sx_str_eq(a->ref, b->ref);
}

static bool tls_equal(const prom_tls_config *a, const prom_tls_config *b)
{
    return sx_str_eq(a->ca, b->ca) && sx_str_eq(a->cert, b->cert) &&
           secrets_equal(&a->key, &b->key) && sx_str_eq(a->ca_file, b->ca_file) &&
           sx_str_eq(a->cert_file, b->cert_file) && sx_str_eq(a->server_name, b->server_name) &&
           a->insecure_skip_verify == b->insecure_skip_verify && a->min_version == b->min_version &&
           a->max_version == b->max_version;
}

static bool proxies_equal(const prom_proxy_config *a, const prom_proxy_config *b)
{
    return sx_str_eq(a->url, b->url) && sx_str_eq(a->no_proxy, b->no_proxy) &&
           a->from_environment == b->from_environment &&
           pairs_equal(a->connect_headers, a->connect_header_count, b->connect_headers,
                       b->connect_header_count);
}

static bool oauth_equal(const prom_http_config *a, const prom_http_config *b)
{
    return a->oauth2.set == b->oauth2.set && sx_str_eq(a->oauth2.client_id, b->oauth2.client_id) &&
           secrets_equal(&a->oauth2.client_secret, &b->oauth2.client_secret) &&
           texts_equal(a->oauth2.scopes, a->oauth2.scope_count, b->oauth2.scopes,
                       b->oauth2.scope_count) &&
           sx_str_eq(a->oauth2.token_url, b->oauth2.token_url) &&
           pairs_equal(a->oauth2.endpoint_params, a->oauth2.endpoint_param_count,
                       b->oauth2.endpoint_params, b->oauth2.endpoint_param_count) &&
           tls_equal(&a->oauth2.tls, &b->oauth2.tls) &&
           proxies_equal(&a->oauth2.proxy, &b->oauth2.proxy);
}

static bool headers_equal(const prom_http_config *a, const prom_http_config *b)
{
    for (uint32_t i = 0; a->header_count == b->header_count && i < a->header_count; i++) {
        const prom_http_header *x = &a->headers[i], *y = &b->headers[i];
        if (!sx_str_eq(x->name, y->name) ||
            !texts_equal(x->values, x->value_count, y->values, y->value_count) ||
            !texts_equal(x->secrets, x->secret_count, y->secrets, y->secret_count) ||
            !texts_equal(x->files, x->file_count, y->files, y->file_count))
            return false;
    }
    return a->header_count == b->header_count;
}

static bool http_equal(const prom_http_config *a, const prom_http_config *b)
{
    return a->basic_auth.set == b->basic_auth.set &&
           sx_str_eq(a->basic_auth.username, b->basic_auth.username) &&
           sx_str_eq(a->basic_auth.username_file, b->basic_auth.username_file) &&
           secrets_equal(&a->basic_auth.password, &b->basic_auth.password) &&
           a->authorization.set == b->authorization.set &&
           sx_str_eq(a->authorization.type, b->authorization.type) &&
           secrets_equal(&a->authorization.credentials, &b->authorization.credentials) &&
           oauth_equal(a, b) && a->follow_redirects == b->follow_redirects &&
           a->enable_http2 == b->enable_http2 && tls_equal(&a->tls, &b->tls) &&
           proxies_equal(&a->proxy, &b->proxy) && headers_equal(a, b);
}

static bool rules_equal(const prom_remote_write *a, const prom_remote_write *b)
{
    for (uint32_t i = 0; a->relabel_count == b->relabel_count && i < a->relabel_count; i++) {
        const prom_relabel *x = &a->relabel[i], *y = &b->relabel[i];
        if (x->action != y->action ||
            !texts_equal(x->source, x->source_count, y->source, y->source_count) ||
            !sx_str_eq(x->separator, y->separator) || !sx_str_eq(x->regex_text, y->regex_text) ||
            x->modulus != y->modulus || !sx_str_eq(x->target, y->target) ||
            !sx_str_eq(x->replacement, y->replacement) || x->legacy_names != y->legacy_names)
            return false;
    }
    return a->relabel_count == b->relabel_count;
}

static bool queues_equal(const prom_remote_write *a, const prom_remote_write *b)
{
    return a->queue.capacity == b->queue.capacity && a->queue.max_shards == b->queue.max_shards &&
           a->queue.min_shards == b->queue.min_shards &&
           a->queue.max_samples_per_send == b->queue.max_samples_per_send &&
           a->queue.batch_send_deadline_ms == b->queue.batch_send_deadline_ms &&
           a->queue.min_backoff_ms == b->queue.min_backoff_ms &&
           a->queue.max_backoff_ms == b->queue.max_backoff_ms &&
           a->queue.sample_age_limit_ms == b->queue.sample_age_limit_ms &&
           a->queue.retry_on_429 == b->queue.retry_on_429 && a->metadata.send == b->metadata.send &&
           a->metadata.interval_ms == b->metadata.interval_ms &&
           a->metadata.max_samples_per_send == b->metadata.max_samples_per_send;
}

bool send_entries_equal(const prom_remote_write *a, const prom_remote_write *b)
{
    return sx_str_eq(a->url, b->url) && sx_str_eq(a->name, b->name) && a->v2 == b->v2 &&
           a->timeout_ms == b->timeout_ms &&
           pairs_equal(a->headers, a->header_count, b->headers, b->header_count) &&
           rules_equal(a, b) && a->send_exemplars == b->send_exemplars &&
           a->send_native_histograms == b->send_native_histograms &&
           a->round_robin_dns == b->round_robin_dns && a->log_failed == b->log_failed &&
           queues_equal(a, b) && http_equal(&a->http, &b->http);
}
