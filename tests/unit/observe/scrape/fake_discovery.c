/* fake_discovery.c - in the place of discovery.c: tests say what a discovery finds. */
#include "tests/unit/observe/scrape/fake_discovery.h"

#include <sextant/mem.h>

struct prom_discoverer {
    prom_discovered *told;
    void *ctx;
};

static prom_discoverer *LATEST; /* tests start one at a time */

sx_status prom_discoverer_new(sx_loop *loop, const sx_kit *kit, prom_config *config,
                              const prom_discovery *what, sx_str job, prom_discovered *told,
                              void *ctx, prom_discoverer **out, sx_error *err)
{
    (void)loop, (void)kit, (void)config, (void)what, (void)job;
    prom_discoverer *d = sx_calloc(1, sizeof *d);
    if (!d)
        return sx_fail_memory(err, "a discoverer");
    *d = (prom_discoverer){told, ctx};
    *out = LATEST = d;
    return SX_OK;
}

void prom_discoverer_free(prom_discoverer *d)
{
    LATEST = LATEST == d ? NULL : LATEST;
    sx_free(d);
}

sx_str prom_discoverer_trouble(const prom_discoverer *d)
{
    (void)d;
    return (sx_str){0};
}

bool fake_discovery_tell(const prom_target_group *groups, size_t count)
{
    if (!LATEST)
        return false;
    LATEST->told(LATEST->ctx, groups, count);
    return true;
}
