/* page.c - "/": the search page for browsers, Addok's 404 for everybody else. */
#include "geocode/api/page.h"

#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"

/* A browser names text/html; "any type", which API clients send, does not count. */
static bool is_browser(const sx_request *r)
{
    sx_str accept = sx_request_header(r, SX_STR("accept"));
    return sx_str_find(accept, SX_STR("text/html")) < accept.len;
}

void geo_api_page(sx_request *r, void *ctx)
{
    (void)ctx;
    (void)geo_api_scratch(r, GEO_ENDPOINT_page);
    if ((r->method != SX_GET && r->method != SX_HEAD) || !is_browser(r)) {
        geo_refuse_status(r, 404);
        return;
    }
    /* Nothing but the page's own script and style runs, and nobody frames it. */
    sx_reply_header(r, SX_STR("Content-Security-Policy"),
                    SX_STR("default-src 'none'; script-src 'unsafe-inline'; style-src "
                           "'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; "
                           "form-action 'self'; frame-ancestors 'none'"));
    sx_reply_header(r, SX_STR("X-Content-Type-Options"), SX_STR("nosniff"));
    sx_reply_header(r, SX_STR("Referrer-Policy"), SX_STR("no-referrer"));
    sx_reply_header(r, SX_STR("Vary"), SX_STR("Accept"));
    sx_request_hold(r); /* whether it is 200 or 304 is known afterwards */
    if (sx_assets_serve_brotli(&GEO_PAGES, GEO_PAGES_BROTLI, r, SX_STR("/")))
        geo_api_count(r, r->status);
    else
        geo_refuse_status(r, 404);
    sx_request_release(r);
}
