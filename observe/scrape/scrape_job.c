/* scrape_job.c - a job's configuration as its pool and targets share it. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/config/config_internal.h"
#include "observe/scrape/scrape_internal.h"

/* --- Fingerprints: the printed configuration, and the secrets that printing hides. */

static void put_secret(sx_buf *out, const prom_secret *s)
{
    const sx_str parts[] = {s->text, s->file, s->ref};
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++) {
        sx_buf_u64(out, parts[i].len);
        sx_buf_byte(out, ':');
        sx_buf_str(out, parts[i]);
    }
}

static void put_strs(sx_buf *out, const sx_str *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        put_secret(out, &(prom_secret){.text = items[i]});
}

static void put_proxy(sx_buf *out, const prom_proxy_config *p)
{
    put_strs(out, &p->url, 1);
    for (uint32_t i = 0; i < p->connect_header_count; i++)
        put_strs(out, &p->connect_headers[i].value, 1);
}

static void put_http_secrets(sx_buf *out, const prom_http_config *h)
{
    put_secret(out, &h->basic_auth.password);
    put_secret(out, &h->authorization.credentials);
    put_secret(out, &h->oauth2.client_secret);
    put_secret(out, &h->oauth2.tls.key);
    put_secret(out, &h->tls.key);
    put_strs(out, &h->oauth2.token_url, 1);
    put_proxy(out, &h->proxy);
    put_proxy(out, &h->oauth2.proxy);
    for (uint32_t i = 0; i < h->header_count; i++)
        put_strs(out, h->headers[i].secrets, h->headers[i].secret_count);
}

void scrape_job_print_source(const prom_discovery *d, sx_buf *out)
{
    config_print_discoveries(d, 1, 0, out);
    if (d->kind == PROM_SD_HTTP) {
        put_strs(out, &d->http.url, 1);
        put_http_secrets(out, &d->http.http);
    } else if (d->kind == PROM_SD_KUBERNETES) {
        put_http_secrets(out, &d->kubernetes.http);
    }
}

/* For the cache what changes when and how the target is asked does not matter. */
static void print_cache_key(const prom_scrape_config *c, sx_buf *out)
{
    prom_scrape_config z = *c;
    z.interval_ms = z.timeout_ms = 1000;
    z.limits.samples = 0;
    z.http = (prom_http_config){.follow_redirects = true, .enable_http2 = true};
    z.discoveries = NULL;
    z.discovery_count = 0;
    config_print_scrapes(&z, 1, 0, out);
}

/* --- */

/* The finest schema whose buckets grow by at least `factor`. */
static int32_t schema_of_factor(double factor)
{
    if (factor <= 1)
        return TSDB_SCHEMA_MAX;
    double schema = floor(-log2(log2(factor)));
    if (schema >= TSDB_SCHEMA_MAX)
        return TSDB_SCHEMA_MAX;
    return schema <= TSDB_SCHEMA_MIN ? TSDB_SCHEMA_MIN : (int32_t)schema;
}

static sx_status open_failure_log(scrape_job *j, sx_error *err)
{
    sx_str path = j->c->failure_log_file;
    char name[4096];
    if (path.len == 0)
        return SX_OK;
    if (path.len >= sizeof name)
        return sx_fail(err, SX_EINVAL, "scrape_failure_log_file: the path is too long");
    memcpy(name, path.data, path.len);
    name[path.len] = 0;
    j->failure_fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    return j->failure_fd >= 0 ? SX_OK : sx_fail_os(err, errno, "scrape_failure_log_file %s", name);
}

sx_status scrape_job_new(prom_config *config, const prom_scrape_config *c, scrape_job **out,
                         sx_error *err)
{
    scrape_job *j = sx_calloc(1, sizeof *j);
    if (!j)
        return sx_fail_memory(err, "a scrape job");
    j->refs = 1;
    j->config = prom_config_ref(config);
    j->c = c;
    j->failure_fd = -1;
    j->schema_max = schema_of_factor(c->limits.native_histogram_min_factor);
    sx_buf_init(&j->fingerprint, 0);
    sx_buf_init(&j->cache_key, 0);
    sx_buf_init(&j->accept, 0);
    config_print_scrapes(c, 1, 0, &j->fingerprint);
    put_http_secrets(&j->fingerprint, &c->http);
    for (uint32_t i = 0; i < c->discovery_count; i++)
        scrape_job_print_source(&c->discoveries[i], &j->fingerprint);
    print_cache_key(c, &j->cache_key);
    sx_status st = sx_buf_status(&j->fingerprint, "a scrape job", err);
    if (st == SX_OK)
        st = sx_buf_status(&j->cache_key, "a scrape job", err);
    if (st == SX_OK)
        st = prom_exposition_accept(c, &j->accept, err);
    if (st == SX_OK)
        st = open_failure_log(j, err);
    if (st != SX_OK) {
        scrape_job_unref(j);
        return st;
    }
    *out = j;
    return SX_OK;
}

scrape_job *scrape_job_ref(scrape_job *j)
{
    atomic_fetch_add_explicit(&j->refs, 1, memory_order_relaxed);
    return j;
}

void scrape_job_unref(scrape_job *j)
{
    if (!j || atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (j->failure_fd >= 0)
        close(j->failure_fd);
    sx_buf_done(&j->fingerprint);
    sx_buf_done(&j->cache_key);
    sx_buf_done(&j->accept);
    prom_config_unref(j->config);
    sx_free(j);
}
