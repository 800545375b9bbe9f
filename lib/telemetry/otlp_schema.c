/* otlp_schema.c - the fields of OTLP's messages: otlp_json.h says what for.
 *
 * Source: opentelemetry-proto 1.x: common.proto, resource.proto, trace.proto, logs.proto,
 * metrics.proto. Every field is listed but those that are reserved or deprecated. */
#include "telemetry/otlp_json.h"

#define FIELD(json, no, type) {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_##type}
#define FIELDS(json, no, type)                                                                     \
    {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_##type, .repeated = true}
#define MESSAGE(json, no, schema)                                                                  \
    {.name = SX_STR_INIT(json), .number = no, .kind = SX_OTLP_MESSAGE, .message = &(schema)}
#define MESSAGES(json, no, schema)                                                                 \
    {.name = SX_STR_INIT(json),                                                                    \
     .number = no,                                                                                 \
     .kind = SX_OTLP_MESSAGE,                                                                      \
     .repeated = true,                                                                             \
     .message = &(schema)}
#define SCHEMA(variable, title, list)                                                              \
    const sx_otlp_schema variable = {title, list, SX_COUNT_OF(list)}

/* ---- common.proto, resource.proto ---- */

static const sx_otlp_schema any_value; /* contains itself */

static const sx_otlp_field KEY_VALUE[] = {FIELD("key", 1, STRING), MESSAGE("value", 2, any_value)};
SCHEMA(sx_otlp_key_value, "KeyValue", KEY_VALUE);

static const sx_otlp_field ARRAY_VALUE[] = {MESSAGES("values", 1, any_value)};
static SCHEMA(array_value, "ArrayValue", ARRAY_VALUE);

static const sx_otlp_field KEY_VALUE_LIST[] = {MESSAGES("values", 1, sx_otlp_key_value)};
static SCHEMA(key_value_list, "KeyValueList", KEY_VALUE_LIST);

static const sx_otlp_field ANY_VALUE[] = {
    FIELD("stringValue", 1, STRING),       FIELD("boolValue", 2, BOOL),
    FIELD("intValue", 3, INT64),           FIELD("doubleValue", 4, DOUBLE),
    MESSAGE("arrayValue", 5, array_value), MESSAGE("kvlistValue", 6, key_value_list),
    FIELD("bytesValue", 7, BASE64),
};
static SCHEMA(any_value, "AnyValue", ANY_VALUE);

static const sx_otlp_field SCOPE[] = {
    FIELD("name", 1, STRING),
    FIELD("version", 2, STRING),
    MESSAGES("attributes", 3, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 4, UINT32),
};
static SCHEMA(scope, "InstrumentationScope", SCOPE);

static const sx_otlp_field ENTITY_REF[] = {
    FIELD("schemaUrl", 1, STRING),
    FIELD("type", 2, STRING),
    FIELDS("idKeys", 3, STRING),
    FIELDS("descriptionKeys", 4, STRING),
};
static SCHEMA(entity_ref, "EntityRef", ENTITY_REF);

static const sx_otlp_field RESOURCE[] = {
    MESSAGES("attributes", 1, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 2, UINT32),
    MESSAGES("entityRefs", 3, entity_ref),
};
SCHEMA(sx_otlp_resource, "Resource", RESOURCE);

/* ---- trace.proto ---- */

static const sx_otlp_field EVENT[] = {
    FIELD("timeUnixNano", 1, FIXED64),
    FIELD("name", 2, STRING),
    MESSAGES("attributes", 3, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 4, UINT32),
};
static SCHEMA(event, "Event", EVENT);

static const sx_otlp_field LINK[] = {
    FIELD("traceId", 1, HEX),
    FIELD("spanId", 2, HEX),
    FIELD("traceState", 3, STRING),
    MESSAGES("attributes", 4, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 5, UINT32),
    FIELD("flags", 6, FIXED32),
};
static SCHEMA(span_link, "Link", LINK);

static const sx_otlp_field STATUS[] = {FIELD("message", 2, STRING), FIELD("code", 3, UINT32)};
static SCHEMA(status, "Status", STATUS);

static const sx_otlp_field SPAN[] = {
    FIELD("traceId", 1, HEX),
    FIELD("spanId", 2, HEX),
    FIELD("traceState", 3, STRING),
    FIELD("parentSpanId", 4, HEX),
    FIELD("name", 5, STRING),
    FIELD("kind", 6, UINT32),
    FIELD("startTimeUnixNano", 7, FIXED64),
    FIELD("endTimeUnixNano", 8, FIXED64),
    MESSAGES("attributes", 9, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 10, UINT32),
    MESSAGES("events", 11, event),
    FIELD("droppedEventsCount", 12, UINT32),
    MESSAGES("links", 13, span_link),
    FIELD("droppedLinksCount", 14, UINT32),
    MESSAGE("status", 15, status),
    FIELD("flags", 16, FIXED32),
};
SCHEMA(sx_otlp_span, "Span", SPAN);

static const sx_otlp_field SCOPE_SPANS[] = {
    MESSAGE("scope", 1, scope),
    MESSAGES("spans", 2, sx_otlp_span),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(scope_spans, "ScopeSpans", SCOPE_SPANS);

static const sx_otlp_field RESOURCE_SPANS[] = {
    MESSAGE("resource", 1, sx_otlp_resource),
    MESSAGES("scopeSpans", 2, scope_spans),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(resource_spans, "ResourceSpans", RESOURCE_SPANS);

static const sx_otlp_field TRACES_DATA[] = {MESSAGES("resourceSpans", 1, resource_spans)};
SCHEMA(sx_otlp_traces_data, "TracesData", TRACES_DATA);

/* ---- logs.proto ---- */

static const sx_otlp_field LOG_RECORD[] = {
    FIELD("timeUnixNano", 1, FIXED64),
    FIELD("observedTimeUnixNano", 11, FIXED64),
    FIELD("severityNumber", 2, UINT32),
    FIELD("severityText", 3, STRING),
    MESSAGE("body", 5, any_value),
    MESSAGES("attributes", 6, sx_otlp_key_value),
    FIELD("droppedAttributesCount", 7, UINT32),
    FIELD("flags", 8, FIXED32),
    FIELD("traceId", 9, HEX),
    FIELD("spanId", 10, HEX),
    FIELD("eventName", 12, STRING),
};
SCHEMA(sx_otlp_log_record, "LogRecord", LOG_RECORD);

static const sx_otlp_field SCOPE_LOGS[] = {
    MESSAGE("scope", 1, scope),
    MESSAGES("logRecords", 2, sx_otlp_log_record),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(scope_logs, "ScopeLogs", SCOPE_LOGS);

static const sx_otlp_field RESOURCE_LOGS[] = {
    MESSAGE("resource", 1, sx_otlp_resource),
    MESSAGES("scopeLogs", 2, scope_logs),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(resource_logs, "ResourceLogs", RESOURCE_LOGS);

static const sx_otlp_field LOGS_DATA[] = {MESSAGES("resourceLogs", 1, resource_logs)};
SCHEMA(sx_otlp_logs_data, "LogsData", LOGS_DATA);

/* ---- metrics.proto ---- */

static const sx_otlp_field EXEMPLAR[] = {
    MESSAGES("filteredAttributes", 7, sx_otlp_key_value),
    FIELD("timeUnixNano", 2, FIXED64),
    FIELD("asDouble", 3, DOUBLE),
    FIELD("asInt", 6, SFIXED64),
    FIELD("spanId", 4, HEX),
    FIELD("traceId", 5, HEX),
};
static SCHEMA(exemplar, "Exemplar", EXEMPLAR);

static const sx_otlp_field NUMBER_POINT[] = {
    MESSAGES("attributes", 7, sx_otlp_key_value),
    FIELD("startTimeUnixNano", 2, FIXED64),
    FIELD("timeUnixNano", 3, FIXED64),
    FIELD("asDouble", 4, DOUBLE),
    FIELD("asInt", 6, SFIXED64),
    MESSAGES("exemplars", 5, exemplar),
    FIELD("flags", 8, UINT32),
};
static SCHEMA(number_point, "NumberDataPoint", NUMBER_POINT);

static const sx_otlp_field HISTOGRAM_POINT[] = {
    MESSAGES("attributes", 9, sx_otlp_key_value),
    FIELD("startTimeUnixNano", 2, FIXED64),
    FIELD("timeUnixNano", 3, FIXED64),
    FIELD("count", 4, FIXED64),
    FIELD("sum", 5, DOUBLE),
    FIELDS("bucketCounts", 6, FIXED64),
    FIELDS("explicitBounds", 7, DOUBLE),
    MESSAGES("exemplars", 8, exemplar),
    FIELD("flags", 10, UINT32),
    FIELD("min", 11, DOUBLE),
    FIELD("max", 12, DOUBLE),
};
static SCHEMA(histogram_point, "HistogramDataPoint", HISTOGRAM_POINT);

static const sx_otlp_field BUCKETS[] = {
    FIELD("offset", 1, SINT32),
    FIELDS("bucketCounts", 2, UINT64),
};
static SCHEMA(buckets, "Buckets", BUCKETS);

static const sx_otlp_field EXPONENTIAL_POINT[] = {
    MESSAGES("attributes", 1, sx_otlp_key_value),
    FIELD("startTimeUnixNano", 2, FIXED64),
    FIELD("timeUnixNano", 3, FIXED64),
    FIELD("count", 4, FIXED64),
    FIELD("sum", 5, DOUBLE),
    FIELD("scale", 6, SINT32),
    FIELD("zeroCount", 7, FIXED64),
    MESSAGE("positive", 8, buckets),
    MESSAGE("negative", 9, buckets),
    FIELD("flags", 10, UINT32),
    MESSAGES("exemplars", 11, exemplar),
    FIELD("min", 12, DOUBLE),
    FIELD("max", 13, DOUBLE),
    FIELD("zeroThreshold", 14, DOUBLE),
};
static SCHEMA(exponential_point, "ExponentialHistogramDataPoint", EXPONENTIAL_POINT);

static const sx_otlp_field QUANTILE[] = {FIELD("quantile", 1, DOUBLE), FIELD("value", 2, DOUBLE)};
static SCHEMA(quantile, "ValueAtQuantile", QUANTILE);

static const sx_otlp_field SUMMARY_POINT[] = {
    MESSAGES("attributes", 7, sx_otlp_key_value),
    FIELD("startTimeUnixNano", 2, FIXED64),
    FIELD("timeUnixNano", 3, FIXED64),
    FIELD("count", 4, FIXED64),
    FIELD("sum", 5, DOUBLE),
    MESSAGES("quantileValues", 6, quantile),
    FIELD("flags", 8, UINT32),
};
static SCHEMA(summary_point, "SummaryDataPoint", SUMMARY_POINT);

static const sx_otlp_field GAUGE[] = {MESSAGES("dataPoints", 1, number_point)};
static SCHEMA(gauge, "Gauge", GAUGE);

static const sx_otlp_field SUM[] = {
    MESSAGES("dataPoints", 1, number_point),
    FIELD("aggregationTemporality", 2, UINT32),
    FIELD("isMonotonic", 3, BOOL),
};
static SCHEMA(sum, "Sum", SUM);

static const sx_otlp_field HISTOGRAM[] = {
    MESSAGES("dataPoints", 1, histogram_point),
    FIELD("aggregationTemporality", 2, UINT32),
};
static SCHEMA(histogram, "Histogram", HISTOGRAM);

static const sx_otlp_field EXPONENTIAL[] = {
    MESSAGES("dataPoints", 1, exponential_point),
    FIELD("aggregationTemporality", 2, UINT32),
};
static SCHEMA(exponential, "ExponentialHistogram", EXPONENTIAL);

static const sx_otlp_field SUMMARY[] = {MESSAGES("dataPoints", 1, summary_point)};
static SCHEMA(summary, "Summary", SUMMARY);

static const sx_otlp_field METRIC[] = {
    FIELD("name", 1, STRING),
    FIELD("description", 2, STRING),
    FIELD("unit", 3, STRING),
    MESSAGE("gauge", 5, gauge),
    MESSAGE("sum", 7, sum),
    MESSAGE("histogram", 9, histogram),
    MESSAGE("exponentialHistogram", 10, exponential),
    MESSAGE("summary", 11, summary),
    MESSAGES("metadata", 12, sx_otlp_key_value),
};
SCHEMA(sx_otlp_metric, "Metric", METRIC);

static const sx_otlp_field SCOPE_METRICS[] = {
    MESSAGE("scope", 1, scope),
    MESSAGES("metrics", 2, sx_otlp_metric),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(scope_metrics, "ScopeMetrics", SCOPE_METRICS);

static const sx_otlp_field RESOURCE_METRICS[] = {
    MESSAGE("resource", 1, sx_otlp_resource),
    MESSAGES("scopeMetrics", 2, scope_metrics),
    FIELD("schemaUrl", 3, STRING),
};
static SCHEMA(resource_metrics, "ResourceMetrics", RESOURCE_METRICS);

static const sx_otlp_field METRICS_DATA[] = {MESSAGES("resourceMetrics", 1, resource_metrics)};
SCHEMA(sx_otlp_metrics_data, "MetricsData", METRICS_DATA);
