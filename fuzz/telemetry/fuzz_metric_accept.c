/* fuzz_metric_accept.c - any Accept header gets an encoding that its own Content-Type asks for again,
 * and what is named first with the greatest weight is not talked out of by anything behind it. */
#include <sextant/buf.h>
#include <sextant/metrics.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_metrics_encoding got = sx_metrics_negotiate(sx_str_of(data, size));
    sx_metrics_encoding again = sx_metrics_negotiate(sx_metrics_content_type(got));
    sx_assert(again.format == got.format && again.escaping == got.escaping);

    sx_buf first;
    sx_buf_init(&first, 0);
    sx_buf_str(&first, SX_STR("text/plain;version=1.0.0;escaping=values,"));
    sx_buf_bytes(&first, data, size);
    got = sx_metrics_negotiate(sx_buf_view(&first));
    sx_assert(got.format == SX_METRICS_TEXT_100 && got.escaping == SX_METRICS_VALUES);
    sx_buf_done(&first);
    return 0;
}
