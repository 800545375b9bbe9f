/* dash_files.c - files of dashboards: read anew when asked, and what is wrong with them. */
#include "observe/dashboards/files.h"
#include "observe/api/dash.h"

/* What is wrong with a file is told by /api/v1/status/dashboards and the log: the rest is taken up. */
void dash_http_reload(api_call *c)
{
    dash_files_scan(c->api->dashboard_files, true);
    dash_message(c, 200, SX_STR("Dashboards config reloaded"));
}

void dash_http_problems(api_call *c)
{
    sx_json_writer w;
    dash_problem *items;
    size_t count;
    sx_error err = {0};
    if (dash_files_problems(c->api->dashboard_files, &c->arena, &items, &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    dash_answer(c, &w);
    sx_json_begin_object(&w);
    key_str(&w, "status", SX_STR("success"));
    sx_json_key(&w, SX_STR("data"));
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("problems"));
    sx_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        sx_json_begin_object(&w);
        key_str(&w, "provider", items[i].provider);
        key_str(&w, "file", items[i].file);
        key_str(&w, "message", items[i].message);
        sx_json_end_object(&w);
    }
    sx_json_end_array(&w);
    sx_json_end_object(&w);
    sx_json_end_object(&w);
}
