/* fake_discovery.h - tells the scrape manager what a test wants to be discovered. */
#ifndef TESTS_OBSERVE_SCRAPE_FAKE_DISCOVERY_H
#define TESTS_OBSERVE_SCRAPE_FAKE_DISCOVERY_H

#include "observe/scrape/discovery.h"

/* Tells the one whose discovery was started last. On the manager's control thread. False: none. */
bool fake_discovery_tell(const prom_target_group *groups, size_t count);

#endif
