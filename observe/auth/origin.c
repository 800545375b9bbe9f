/* origin.c - whose page asks. See origin.h. */
#include "observe/auth/origin.h"

/* host[:port] of an origin or another address; empty for "null". */
static sx_str host_of(sx_str url)
{
    static const sx_str MARK = SX_STR_INIT("://");
    size_t at = sx_str_find(url, MARK);
    sx_str rest = at < url.len ? sx_str_from(url, at + MARK.len) : SX_STR("");
    return sx_str_first(rest, sx_str_find_byte(rest, '/'));
}

bool origin_is_foreign(const sx_request *r, sx_str external_url, bool *told)
{
    sx_str site = sx_request_header(r, SX_STR("sec-fetch-site"));
    sx_str origin = sx_request_header(r, SX_STR("origin"));
    if (told)
        *told = site.len || origin.len;
    if (site.len)
        return !sx_str_eq(site, SX_STR("same-origin"));
    if (!origin.len)
        return false;
    sx_str host = host_of(origin);
    return !host.len ||
           (!sx_str_ieq(host, r->authority) && !sx_str_ieq(host, host_of(external_url)) &&
            !sx_str_ieq(host, sx_request_header(r, SX_STR("x-forwarded-host"))));
}
