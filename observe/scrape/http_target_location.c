/* http_target_location.c - where a redirect leads, and whether credentials may go along. */
#include "observe/scrape/http_target_internal.h"

#include <sextant/url.h>

static bool has_scheme(sx_str s, sx_str *rest)
{
    size_t i = 0;
    while (i < s.len && (sx_str_find_byte(SX_STR("+-."), s.data[i]) < 3 ||
                         (s.data[i] >= '0' && s.data[i] <= '9') ||
                         ((s.data[i] | 0x20) >= 'a' && (s.data[i] | 0x20) <= 'z')))
        i++;
    if (i == 0 || i >= s.len || s.data[i] != ':' || (s.data[0] >= '0' && s.data[0] <= '9'))
        return false;
    *rest = sx_str_from(s, i + 1);
    return true;
}

/* Appends `path` (with a '/' at its start) without "." and ".." segments: section 5.2.4. */
static void write_path(sx_buf *out, sx_str path)
{
    size_t start = out->len;
    while (path.len && !out->failed) {
        sx_str segment;
        size_t end = 1 + sx_str_find_byte(sx_str_from(path, 1), '/');
        segment = sx_str_of(path.data + 1, (end < path.len ? end : path.len) - 1);
        bool is_last = end >= path.len;
        path = sx_str_from(path, end);
        bool up = sx_str_eq(segment, SX_STR(".."));
        if (up) {
            while (out->len > start && out->data[out->len - 1] != '/')
                out->len--;
            if (out->len > start)
                out->len--;
        }
        if (up || sx_str_eq(segment, SX_STR("."))) {
            if (is_last)
                sx_buf_byte(out, '/');
            continue;
        }
        sx_buf_byte(out, '/');
        sx_buf_str(out, segment);
    }
}

/* Everything before the path. */
static void write_origin(sx_buf *out, const sx_url *base)
{
    if (base->scheme == SX_URL_UNIX) {
        sx_buf_printf(out, "unix:%.*s:", SX_ARG(base->host));
        return;
    }
    sx_buf_printf(out, "%s://%.*s", base->scheme == SX_URL_HTTPS ? "https" : "http",
                  SX_ARG(base->authority));
}

static void write_relative(sx_buf *out, const sx_url *base, sx_str location)
{
    sx_str path, query;
    bool has_query = sx_str_cut(location, '?', &path, &query);
    write_origin(out, base);
    if (path.len == 0) {
        write_path(out, base->path.len ? base->path : SX_STR("/"));
        if (!has_query && base->query.data) {
            has_query = true;
            query = base->query;
        }
    } else if (path.data[0] == '/') {
        write_path(out, path);
    } else { /* in the place of the last segment */
        sx_buf merged;
        size_t keep = base->path.len;
        while (keep && base->path.data[keep - 1] != '/')
            keep--;
        sx_buf_init(&merged, 0);
        sx_buf_str(&merged, keep ? sx_str_first(base->path, keep) : SX_STR("/"));
        sx_buf_str(&merged, path);
        write_path(out, sx_buf_view(&merged));
        out->failed |= merged.failed;
        sx_buf_done(&merged);
    }
    if (has_query) {
        sx_buf_byte(out, '?');
        sx_buf_str(out, query);
    }
}

sx_status http_location_resolve(sx_str base_text, sx_str location, sx_buf *out, sx_error *err)
{
    sx_url base, result;
    sx_str rest, fragment;
    sx_status st = sx_url_parse(base_text, &base, err);
    if (st != SX_OK)
        return st;
    sx_str_cut(location, '#', &location, &fragment);
    if (has_scheme(location, &rest)) {
        sx_buf_str(out, location);
    } else if (sx_str_starts(location, SX_STR("//"))) {
        sx_buf_str(out, base.scheme == SX_URL_HTTPS ? SX_STR("https:") : SX_STR("http:"));
        sx_buf_str(out, location);
    } else {
        write_relative(out, &base, location);
    }
    st = sx_buf_status(out, "a redirect's location", err);
    if (st == SX_OK)
        st = sx_url_parse(sx_buf_view(out), &result, err);
    if (st == SX_OK && result.scheme == SX_URL_UNIX && base.scheme != SX_URL_UNIX)
        st = sx_fail(err, SX_EFORMAT, "it names a Unix socket");
    if (st == SX_OK)
        return SX_OK;
    sx_error_prefix(err, st, "failed to parse Location header \"%.*s\"",
                    SX_ARG(sx_str_first(location, 100)));
    return st == SX_ENOMEM ? st : SX_EFORMAT;
}

bool http_location_is_same_host(sx_str from, sx_str to)
{
    sx_url a, b;
    if (sx_url_parse(from, &a, NULL) != SX_OK || sx_url_parse(to, &b, NULL) != SX_OK)
        return false;
    if ((a.scheme == SX_URL_UNIX) != (b.scheme == SX_URL_UNIX))
        return false;
    if (a.scheme == SX_URL_UNIX)
        return sx_str_eq(a.host, b.host);
    return sx_str_ieq(a.host, b.host) && !(a.scheme == SX_URL_HTTPS && b.scheme == SX_URL_HTTP);
}
