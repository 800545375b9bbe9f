/* admin.c - what changes something: deletion, snapshots, reload, the end. */
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

static bool admin_enabled(api_call *c)
{
    if (c->api->flags->admin_api)
        return true;
    api_fail(c, API_UNAVAILABLE, SX_STR("admin APIs disabled"));
    return false;
}

void api_clean_tombstones(api_call *c)
{
    sx_error err = {0};
    if (!admin_enabled(c))
        return;
    if (tsdb_clean_tombstones(c->api->db, &err) == SX_OK)
        api_no_content(c);
    else
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
}

void api_snapshot(api_call *c)
{
    sx_error err = {0};
    bool skip_head = false;
    sx_buf name, quoted;
    sx_str text = api_form_get(&c->form, "skip_head");
    if (!admin_enabled(c))
        return;
    if (text.len && !api_bool_read(text, &skip_head)) {
        sx_buf_init(&quoted, 4096);
        tsdb_quote(text, &quoted);
        sx_fail(&err, SX_EINVAL,
                "unable to parse boolean: strconv.ParseBool: parsing %.*s: invalid syntax",
                SX_ARG(sx_buf_view(&quoted)));
        sx_buf_done(&quoted);
        api_fail_param(c, "skip_head", &err);
        return;
    }
    sx_buf_init(&name, 4096);
    if (tsdb_snapshot(c->api->db, skip_head, &name, &err) == SX_OK) {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":{\"name\":"));
        api_json_text(&c->out, sx_buf_view(&name));
        sx_buf_str(&c->out, SX_STR("}}"));
    } else {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    sx_buf_done(&name);
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
