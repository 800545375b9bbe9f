/* kit_opentelemetry_cpp.cc - opentelemetry-cpp's spans and propagation, as kit_ours.c measures ours. Built by
 * bench_kit.py against an installed SDK (see there), as Debian has none.
 *
 * A span ends in the SDK's batch processor; the exporter encodes each batch as OTLP bytes, as the SDK's
 * own exporters do, and keeps nothing. */
#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/exporters/otlp/otlp_recordable.h>
#include <opentelemetry/exporters/otlp/otlp_recordable_utils.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <opentelemetry/sdk/trace/batch_span_processor.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <string>

namespace nostd = opentelemetry::nostd;
namespace sdk = opentelemetry::sdk::trace;
namespace otlp = opentelemetry::exporter::otlp;
namespace proto = opentelemetry::proto::collector::trace::v1;

namespace {

uint64_t exported_bytes;

class EncodingExporter : public sdk::SpanExporter {
  public:
    std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override
    {
        return std::unique_ptr<sdk::Recordable>(new otlp::OtlpRecordable);
    }

    opentelemetry::sdk::common::ExportResult Export(
        const nostd::span<std::unique_ptr<sdk::Recordable>> &spans) noexcept override
    {
        proto::ExportTraceServiceRequest request;
        otlp::OtlpRecordableUtils::PopulateRequest(spans, &request);
        exported_bytes += request.SerializeAsString().size();
        return opentelemetry::sdk::common::ExportResult::kSuccess;
    }

    bool ForceFlush(std::chrono::microseconds) noexcept override
    {
        return true;
    }
    bool Shutdown(std::chrono::microseconds) noexcept override
    {
        return true;
    }
};

class Carrier : public opentelemetry::context::propagation::TextMapCarrier {
  public:
    nostd::string_view Get(nostd::string_view key) const noexcept override
    {
        auto found = fields.find(std::string(key));
        return found == fields.end() ? nostd::string_view() : nostd::string_view(found->second);
    }
    void Set(nostd::string_view key, nostd::string_view value) noexcept override
    {
        fields[std::string(key)] = std::string(value);
    }
    std::map<std::string, std::string> fields;
};

/* CPU time of the process: see bench_kit.py. */
double now_ns()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

template <class Work> void measure(const char *name, uint64_t n, Work work)
{
    double best = 1e300;
    for (int round = 0; round < 5; round++) {
        double start = now_ns();
        work(n);
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    std::printf("%s opentelemetry-cpp %.2f\n", name, best / static_cast<double>(n));
}

std::unique_ptr<sdk::TracerProvider> make_provider(std::unique_ptr<sdk::Sampler> sampler)
{
    sdk::BatchSpanProcessorOptions options;
    options.max_queue_size = 1 << 16; /* nothing may be dropped between two flushes */
    std::unique_ptr<sdk::SpanProcessor> processor(new sdk::BatchSpanProcessor(
        std::unique_ptr<sdk::SpanExporter>(new EncodingExporter), options));
    return std::unique_ptr<sdk::TracerProvider>(new sdk::TracerProvider(
        std::move(processor), opentelemetry::sdk::resource::Resource::Create({}),
        std::move(sampler)));
}

void propagate(opentelemetry::trace::Tracer &tracer, uint64_t n)
{
    opentelemetry::trace::propagation::HttpTraceContext w3c;
    Carrier in, out;
    in.fields["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    in.fields["tracestate"] = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
    for (uint64_t i = 0; i < n; i++) {
        opentelemetry::context::Context none;
        auto parent = w3c.Extract(in, none);
        opentelemetry::trace::StartSpanOptions options;
        options.parent = parent;
        auto span = tracer.StartSpan("call", options);
        auto mine = opentelemetry::trace::SetSpan(parent, span);
        w3c.Inject(out, mine);
        span->End();
    }
}

void export_spans(sdk::TracerProvider &provider, opentelemetry::trace::Tracer &tracer, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        opentelemetry::trace::StartSpanOptions options;
        options.kind = opentelemetry::trace::SpanKind::kServer;
        auto span = tracer.StartSpan("GET /orders/:id", options);
        span->SetAttribute("http.request.method", "GET");
        span->SetAttribute("http.route", "/orders/:id");
        span->SetAttribute("http.response.status_code", 200);
        span->End();
        if (i % 32768 == 32767)
            provider.ForceFlush();
    }
    provider.ForceFlush();
}

} // namespace

int main()
{
    auto none = make_provider(std::unique_ptr<sdk::Sampler>(new sdk::AlwaysOffSampler));
    auto all = make_provider(std::unique_ptr<sdk::Sampler>(new sdk::AlwaysOnSampler));
    auto quiet = none->GetTracer("kit"), loud = all->GetTracer("kit");
    measure("request_id_and_trace_context", 200000, [&](uint64_t n) { propagate(*quiet, n); });
    measure("span_to_exported_bytes", 98304, [&](uint64_t n) { export_spans(*all, *loud, n); });
    return exported_bytes == 0;
}
