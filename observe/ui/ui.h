/* ui.h - the browser interface: one page for all its addresses, and the files that it loads.
 *
 * The page finds everything relative to its <base>, which is the path of --web.external-url, so that
 * it works below a prefix and behind a proxy. Files have their content's hash in their names and are
 * kept by browsers for ever; the page itself is asked for again each time, by its ETag. Nothing is
 * loaded from elsewhere, and a content security policy says so. Called by observe/api's routes. */
#ifndef OBSERVE_UI_H
#define OBSERVE_UI_H

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/http.h>
#include <sextant/static.h>

typedef struct ui_site {
    sx_str base; /* "" or "/x": what its addresses begin with */
    char etag[24];
    sx_asset page;
    sx_assets pages; /* of that one */
} ui_site;

/* Makes the page for addresses below the path of `external_url` ("http://host/x"). `out` points into
 * `arena`, which outlives it, and stays where it is. Errors: SX_ENOMEM. */
sx_status ui_init(ui_site *out, sx_str external_url, sx_arena *arena, sx_error *err);

/* Handlers; `ctx` is the ui_site. Of the page, at any of its addresses: */
void ui_page(sx_request *r, void *ctx);

/* Of "/": the page where Accept names text/html, else a redirect to /query, as Prometheus's. */
void ui_root(sx_request *r, void *ctx);

/* Of the files; the route is "…/assets/:name". */
void ui_file(sx_request *r, void *ctx);

/* Where the interface has pages, the peers' own addresses among them. */
extern const char *const UI_PATHS[];
extern const size_t UI_PATHS_COUNT;

#endif
