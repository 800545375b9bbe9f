/* redis_info.h - Redis's INFO as metrics. Internal to the room. */
#ifndef OBSERVE_COLLECT_REDIS_INFO_H
#define OBSERVE_COLLECT_REDIS_INFO_H

#include "observe/collect/collect_internal.h"

/* The value of a field; empty if there is none. */
sx_str redis_info_get(sx_str info, const char *wanted);

/* Puts all that `info` (the text of INFO ALL, any bytes) says; `databases` are told even when empty. */
void redis_info_put(collector *c, sx_str info, uint32_t databases);

#endif
