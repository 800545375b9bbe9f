/* exporter_kafka.c - see exporter_internal.h. */
#include "observe/collector/exporter_internal.h"
static sx_status open_kafka(span_exporter *e, sx_error *err)
{
    return export_bad(e, err, "kafka");
}
const export_driver export_kafka_driver = {.name = "kafka", .open = open_kafka};
