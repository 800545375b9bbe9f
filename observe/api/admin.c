/* admin.c - what changes something: deletion, reload, the end. */
#include <signal.h>
#include <unistd.h>

#include "observe/api/api.h"

void api_delete_series(api_call *c)
{
    sx_error err = {0};
    int64_t start, end;
    api_matchers m;
    if (!c->api->flags->admin_api) {
        api_fail(c, API_UNAVAILABLE, SX_STR("admin APIs disabled"));
        return;
    }
    if (c->form.fault.len) {
        api_fail(
            c, API_BAD_DATA,
            sx_arena_printf(&c->arena, "error parsing form values: %.*s", SX_ARG(c->form.fault)));
        return;
    }
    if (api_form_time(&c->form, "start", API_TIME_MIN_MS, &start, &err) != SX_OK) {
        api_fail_param(c, "start", &err);
        return;
    }
    if (api_form_time(&c->form, "end", API_TIME_MAX_MS, &end, &err) != SX_OK) {
        api_fail_param(c, "end", &err);
        return;
    }
    sx_status status = api_matchers_read(&c->form, true, &c->arena, &m, &err);
    if (status != SX_OK) {
        api_fail_param(c, "match[]", &err);
    } else if (m.count == 0) {
        api_fail(c, API_BAD_DATA, SX_STR("no match[] parameter provided"));
    } else {
        for (size_t i = 0; i < m.count && status == SX_OK; i++) {
            size_t count;
            const tsdb_matcher *matchers = api_matchers_set(&m, i, &count);
            status = tsdb_delete(c->api->db, start, end, matchers, count, &err);
        }
        if (status == SX_OK)
            api_no_content(c);
        else
            api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    api_matchers_done(&m);
}

static bool lifecycle_enabled(api_call *c)
{
    if (c->api->flags->lifecycle)
        return true;
    api_text(c, 403, SX_STR("Lifecycle API is not enabled."));
    return false;
}

void api_reload(api_call *c)
{
    sx_error err = {0};
    if (!lifecycle_enabled(c))
        return;
    c->content_type = SX_STR("text/plain; charset=utf-8");
    if (c->api->reload(c->api->reload_ctx, &err) == SX_OK)
        return;
    api_text(c, 500, SX_STR("failed to reload config: "));
    sx_buf_str(&c->out, sx_str_z(err.message));
    sx_buf_byte(&c->out, '\n');
}

void api_quit(api_call *c)
{
    if (!lifecycle_enabled(c))
        return;
    api_text(c, 200, SX_STR("Requesting termination... Goodbye!"));
    (void)kill(getpid(), SIGTERM); /* drains: this reply, too, is still sent */
}
