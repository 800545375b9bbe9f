/* connector.c - the kinds of connectors there are, a row each. */
#include "observe/collector/connector.h"

const span_connector_kind *const SPAN_CONNECTORS[] = {&SPAN_CONNECTOR_SPANMETRICS,
                                                      &SPAN_CONNECTOR_SERVICEGRAPH, NULL};
