/* collect.c - the pages of the built-in collectors: scrape targets of their own in this server.
 *
 * They run on a pool of their own, so that databases that hang hold up no query; a page takes no longer
 * than the flag says, nor than the scraper that asks for it waits. */
#include "observe/api/api.h"
#include "observe/collect/collect.h"

enum { SCRAPE_MARGIN_MS = 250 }; /* for what lies between us and the scraper */

static const sx_str TEXT_004 = SX_STR_INIT("text/plain; version=0.0.4; charset=utf-8");

/* What the scraper says it waits, less a margin; 0: it does not say. */
static int64_t patience(const api_call *c)
{
    double seconds;
    sx_str text = sx_request_header(c->r, SX_STR("x-prometheus-scrape-timeout-seconds"));
    if (!api_float_read(text, &seconds) || !(seconds > 0 && seconds < 86400))
        return 0;
    int64_t ms = (int64_t)(seconds * 1000);
    return ms > 2 * SCRAPE_MARGIN_MS ? ms - SCRAPE_MARGIN_MS : ms / 2;
}

void api_collect_host(api_call *c)
{
    sx_error ignored; /* a failure sticks to the buffer, which the call looks at */
    c->content_type = TEXT_004;
    (void)collect_host(NULL, &c->out, &ignored);
}

static void answer(api_call *c, sx_status status, const sx_error *err)
{
    c->content_type = TEXT_004;
    if (status == SX_ENOTFOUND)
        api_text(c, 400, sx_arena_printf(&c->arena, "%s\n", err->message));
    else if (status != SX_OK)
        api_text(c, 500, sx_arena_printf(&c->arena, "%s\n", err->message));
}

void api_collect_process(api_call *c)
{
    sx_error err = {0};
    answer(c, collect_process(c->api->collectors, &c->out, &err), &err);
}

void api_collect_redis(api_call *c)
{
    sx_error err = {0};
    sx_str target = api_form_address(&c->form, "target");
    answer(c, collect_redis(c->api->collectors, target, patience(c), &c->out, &err), &err);
}

void api_collect_postgres(api_call *c)
{
    sx_error err = {0};
    sx_str target = api_form_address(&c->form, "target");
    answer(c, collect_postgres(c->api->collectors, target, patience(c), &c->out, &err), &err);
}
