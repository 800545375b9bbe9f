// Shop PROTOCOL ENDPOINT - one trace by OpenTelemetry's Java SDK: grpc, http or zipkin. Prints its id.

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Scope;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.exporter.zipkin.ZipkinSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.concurrent.TimeUnit;

public class Shop {
    static SpanExporter exporter(String protocol, String endpoint) {
        switch (protocol) {
            case "grpc":
                return OtlpGrpcSpanExporter.builder().setEndpoint(endpoint).setCompression("gzip").build();
            case "http":
                return OtlpHttpSpanExporter.builder().setEndpoint(endpoint + "/v1/traces")
                    .setCompression("gzip").build();
            default:
                return ZipkinSpanExporter.builder().setEndpoint(endpoint + "/api/v2/spans").build();
        }
    }

    public static void main(String[] args) {
        Resource about = Resource.create(Attributes.of(
            AttributeKey.stringKey("service.name"), "java-shop"));
        SdkTracerProvider provider = SdkTracerProvider.builder().setResource(about)
            .addSpanProcessor(BatchSpanProcessor.builder(exporter(args[0], args[1])).build()).build();
        Tracer tracer = provider.tracerBuilder("own").setInstrumentationVersion("1.0").build();
        Span root = tracer.spanBuilder("buy").setSpanKind(SpanKind.SERVER).startSpan();
        root.setAttribute("truth", true).setAttribute("real", 2.5).setAttribute("n", 7L);
        root.setAttribute(AttributeKey.stringArrayKey("list"), java.util.List.of("a", "b"));
        try (Scope scope = root.makeCurrent()) {
            Span child = tracer.spanBuilder("bake").setSpanKind(SpanKind.CLIENT).startSpan();
            child.addEvent("asked", Attributes.of(AttributeKey.longKey("n"), 3L));
            child.recordException(new IllegalStateException("cold"));
            child.setStatus(StatusCode.ERROR, "very cold");
            child.end();
        }
        root.end();
        provider.shutdown().join(20, TimeUnit.SECONDS);
        System.out.println("{\"trace\":\"" + root.getSpanContext().getTraceId() + "\"}");
        System.exit(0);
    }
}
