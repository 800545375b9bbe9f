/* sampling.h - the listener that tells Jaeger's clients how to sample: HTTP as the agent had it (5778)
 * and gRPC, on one address; the collector's gRPC port answers the same method. */
#ifndef OBSERVE_API_SAMPLING_H
#define OBSERVE_API_SAMPLING_H

#include "observe/api/api.h"
#include "observe/collector/sampling.h"
#include "observe/rpc/rpc.h"

enum { SAMPLING_ROUTES = 5 };

/* Lives as long as the service. */
typedef struct sampling_listener {
    observe_api *api;
    sx_route routes[SAMPLING_ROUTES];
    rpc_server rpc;
} sampling_listener;

/* Names the listener of --jaeger.sampling to the service, in its setup; api->sampling is set. Nothing
 * with an empty address. */
sx_status sampling_listener_init(sampling_listener *l, observe_api *a, sx_str address,
                                 sx_error *err);

/* jaeger.api_v2.SamplingManager/GetSamplingStrategy, for whichever server has an observe_api. */
sx_grpc_status api_sampling_rpc(rpc_call *c, observe_api *a, sx_error *err);

#endif
