/* v3_params.h - the parameters of /api/v3 as a search. Internal to observe/jaeger. */
#ifndef OBSERVE_JAEGER_V3_PARAMS_H
#define OBSERVE_JAEGER_V3_PARAMS_H

#include "observe/jaeger/proto.h"
#include "observe/jaeger/v3.h"

/* A parameter under its name or the older one; *name is the one it was found by. */
sx_str jaeger_v3_param(const jaeger_v3 *q, const char *canonical, const char *older,
                       const char **name);

/* A time under two names; *out is not set if it is not there. SX_EINVAL names the parameter. */
sx_status jaeger_v3_time(const jaeger_v3 *q, const char *canonical, const char *older,
                         jaeger_moment *out, sx_error *err);
sx_status jaeger_v3_bool(const jaeger_v3 *q, const char *canonical, const char *older, bool *out,
                         sx_error *err);

/* The parameters query.*: out->filter is the message, in the arena. */
sx_status jaeger_v3_question(jaeger_v3 *q, jaeger_question *out, sx_error *err);

#endif
