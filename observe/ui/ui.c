/* ui.c - the browser interface (ui.h). */
#include "observe/ui/ui.h"

#include <stdio.h>
#include <string.h>

#include <sextant/hash.h>
#include <sextant/service.h>

/* Made from web/dist/observe by scripts/embed.py. */
extern const sx_assets UI_FILES;
extern const sx_str UI_FILES_BROTLI[];

const char *const UI_PATHS[] = {
    "/alerts",
    "/rules",
    "/targets",
    "/status",
    "/flags",
    "/config",
    "/tsdb-status",
    "/service-discovery",
    "/alertmanager-discovery",
    "/explore",
    "/dashboards",
    "/d/:uid",
    "/d/:uid/:slug",
    "/traces",
    "/trace/:id",
    "/search",
    "/query",
    "/graph",
    "/login",
    "/account",
    "/admin",
};
const size_t UI_PATHS_COUNT = SX_COUNT_OF(UI_PATHS);

/* "/x" of "http://host/x": what is between the host and the end. */
static sx_str path_of(sx_str url)
{
    static const sx_str MARK = SX_STR_INIT("://");
    size_t at = sx_str_find(url, MARK);
    if (at < url.len)
        url = sx_str_from(url, at + MARK.len);
    while (url.len && url.data[0] != '/')
        url = sx_str_from(url, 1);
    while (url.len && url.data[url.len - 1] == '/')
        url.len--;
    return url;
}

/* The path comes from a flag; it is text within an attribute here. */
static void put_escaped(sx_buf *out, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"' || c == '<' || c == '>' || c == '&' || c == '\'')
            sx_buf_printf(out, "&#%d;", c);
        else
            sx_buf_byte(out, c);
    }
}

static const sx_asset *find_file(sx_str path)
{
    for (size_t i = 0; i < UI_FILES.count; i++)
        if (sx_str_eq(path, sx_str_z(UI_FILES.items[i].path)))
            return &UI_FILES.items[i];
    return NULL;
}

sx_status ui_init(ui_site *out, sx_str external_url, sx_arena *arena, sx_error *err)
{
    static const sx_str PLACE = SX_STR_INIT("<base href=\"/\">");
    const sx_asset *from = find_file(SX_STR("/index.html"));
    sx_assert(from); /* the build put it there */
    sx_str text = sx_str_of(from->bytes, from->len);
    size_t at = sx_str_find(text, PLACE);
    sx_assert(at < text.len);
    *out = (ui_site){.base = path_of(external_url)};
    sx_buf made;
    sx_buf_init(&made, 0);
    sx_buf_str(&made, sx_str_first(text, at));
    sx_buf_str(&made, SX_STR("<base href=\""));
    put_escaped(&made, out->base);
    sx_buf_str(&made, SX_STR("/\">"));
    sx_buf_str(&made, sx_str_from(text, at + PLACE.len));
    sx_str page = {0};
    if (!made.failed)
        page = sx_arena_copy(arena, sx_buf_view(&made));
    sx_buf_done(&made);
    if (!page.data)
        return sx_fail_memory(err, "the interface's page");
    snprintf(out->etag, sizeof out->etag, "\"%016llx\"", (unsigned long long)sx_hash(page, 0));
    out->page = (sx_asset){.path = "/index.html",
                           .type = from->type,
                           .etag = out->etag,
                           .bytes = page.data,
                           .len = page.len};
    out->pages = (sx_assets){&out->page, 1, NULL};
    return SX_OK;
}

static void nothing_here(sx_request *r)
{
    sx_reply(r, 404, SX_STR("text/plain; charset=utf-8"), SX_STR("404 page not found\n"));
}

void ui_page(sx_request *r, void *ctx)
{
    /* Nothing but its own files and its own server; nobody frames it. */
    static const struct {
        sx_str name, value;
    } FIELDS[] = {
        {SX_STR_INIT("Content-Security-Policy"),
         SX_STR_INIT(
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
             "blob:; connect-src 'self'; base-uri 'self'; form-action 'self'; "
             "frame-ancestors 'none'")},
        {SX_STR_INIT("X-Frame-Options"), SX_STR_INIT("DENY")},
        {SX_STR_INIT("Referrer-Policy"), SX_STR_INIT("same-origin")},
        {SX_STR_INIT("Cross-Origin-Opener-Policy"), SX_STR_INIT("same-origin")},
    };
    for (size_t i = 0; i < SX_COUNT_OF(FIELDS); i++)
        (void)sx_reply_header(r, FIELDS[i].name, FIELDS[i].value);
    (void)sx_assets_serve(&((const ui_site *)ctx)->pages, r, SX_STR("/index.html"));
}

void ui_root(sx_request *r, void *ctx)
{
    const ui_site *u = ctx;
    sx_str accept = sx_request_header(r, SX_STR("accept"));
    (void)sx_reply_header(r, SX_STR("Vary"), SX_STR("Accept"));
    if (sx_str_find(accept, SX_STR("text/html")) < accept.len) {
        ui_page(r, ctx);
        return;
    }
    sx_str to = sx_arena_printf(&r->arena, "%.*s/query", SX_ARG(u->base));
    (void)sx_reply_header(r, SX_STR("Location"), to);
    sx_reply(r, 302, SX_STR(""), SX_STR(""));
}

void ui_file(sx_request *r, void *ctx)
{
    static const sx_str SCRIPT = SX_STR_INIT(".js"), STYLE = SX_STR_INIT(".css");
    sx_str name = sx_request_param(r, "name");
    sx_assets files = UI_FILES;
    sx_str path = sx_arena_printf(&r->arena, "/%.*s", SX_ARG(name));
    (void)ctx;
    if (sx_str_ends(name, SCRIPT) || sx_str_ends(name, STYLE)) /* hashes are in their names */
        files.cache_control = "public, max-age=31536000, immutable";
    /* The page itself is not a file: it is made for the prefix. */
    if (!path.data || sx_str_eq(name, SX_STR("index.html")) ||
        !sx_assets_serve_brotli(&files, UI_FILES_BROTLI, r, path))
        nothing_here(r);
}
