/* refusal.c - error documents in JSON and XML. */
#include "geocode/api/refusal.h"

#include <stdio.h>

#include <sextant/json.h>

#include "geocode/api/scratch.h"
#include "net/accept.h"

const sx_json_style GEO_JSON_STYLE = {SX_JSON_PYTHON_SPACING, SX_JSON_ASCII, SX_DOUBLE_PYTHON,
                                      SX_JSON_NONFINITE_NULL};

static void write_json(sx_buf *out, const geo_refusal *refusal)
{
    sx_json_writer w;
    sx_json_writer_init(&w, out, &GEO_JSON_STYLE);
    sx_json_begin_object(&w);
    sx_json_key(&w, SX_STR("title"));
    sx_json_str(&w, refusal->title);
    if (refusal->description.len) {
        sx_json_key(&w, SX_STR("description"));
        sx_json_str(&w, refusal->description);
    }
    sx_json_end_object(&w);
}

static void xml_text(sx_buf *out, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            sx_buf_str(out, SX_STR("&amp;"));
            break;
        case '<':
            sx_buf_str(out, SX_STR("&lt;"));
            break;
        case '>':
            sx_buf_str(out, SX_STR("&gt;"));
            break;
        default:
            sx_buf_byte(out, text.data[i]);
        }
    }
}

static void write_xml(sx_buf *out, const geo_refusal *refusal)
{
    sx_buf_str(out, SX_STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?><error><title>"));
    xml_text(out, refusal->title);
    sx_buf_str(out, SX_STR("</title>"));
    if (refusal->description.len) {
        sx_buf_str(out, SX_STR("<description>"));
        xml_text(out, refusal->description);
        sx_buf_str(out, SX_STR("</description>"));
    }
    sx_buf_str(out, SX_STR("</error>"));
}

static void write_nothing(sx_buf *out, const geo_refusal *refusal)
{
    (void)out;
    (void)refusal;
}

/* In the order of preference when a client takes several equally. */
static const struct {
    sx_str type;
    void (*write)(sx_buf *out, const geo_refusal *refusal);
} FORMS[] = {
    {SX_STR_INIT("application/json"), write_json},
    {SX_STR_INIT("application/xml"), write_xml},
    {SX_STR_INIT("text/xml"), write_xml},
    {SX_STR_INIT("application/json"), write_nothing}, /* who takes none of these */
};

static size_t choose_form(sx_str accept)
{
    size_t chosen = SX_COUNT_OF(FORMS) - 1;
    int best = 0;
    for (size_t i = 0; i + 1 < SX_COUNT_OF(FORMS); i++) {
        int quality = sx_accept_quality(accept, FORMS[i].type);
        if (quality > best) {
            best = quality;
            chosen = i;
        }
    }
    return chosen;
}

void geo_allow_any_origin(sx_request *r)
{
    sx_reply_header(r, SX_STR("Access-Control-Allow-Origin"), SX_STR("*"));
    sx_reply_header(r, SX_STR("Access-Control-Allow-Headers"), SX_STR("X-Requested-With"));
}

void geo_refuse(sx_request *r, const geo_refusal *refusal)
{
    size_t form = choose_form(sx_request_header(r, SX_STR("accept")));
    sx_buf body;
    sx_buf_init(&body, 0);
    FORMS[form].write(&body, refusal);
    geo_allow_any_origin(r);
    sx_reply_header(r, SX_STR("Vary"), SX_STR("Accept"));
    geo_api_count(r, refusal->status);
    sx_reply(r, refusal->status, FORMS[form].type, sx_buf_view(&body));
    sx_buf_done(&body);
}

void geo_refuse_status(sx_request *r, int status)
{
    char title[64];
    int len = snprintf(title, sizeof(title), "%d %s", status, sx_http_reason(status));
    geo_refusal refusal = {status, sx_str_of(title, (size_t)len), {0}};
    geo_refuse(r, &refusal);
}

void geo_refuse_method(sx_request *r, sx_str allow)
{
    sx_reply_header(r, SX_STR("Allow"), allow);
    geo_refuse_status(r, 405);
}
