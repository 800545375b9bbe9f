/* collect.c - the pages of the built-in collectors: scrape targets of their own in this server. */
#include "observe/api/api.h"
#include "observe/collect/collect.h"

void api_collect_host(api_call *c)
{
    sx_error ignored; /* a failure sticks to the buffer, which the call looks at */
    c->content_type = SX_STR("text/plain; version=0.0.4; charset=utf-8");
    (void)collect_host(NULL, &c->out, &ignored);
}
