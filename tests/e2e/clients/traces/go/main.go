// A Go program of two ends, net/http instrumented by otelhttp: PROTOCOL ENDPOINT [gzip]. Prints the
// trace's id.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	gzip := len(os.Args) > 3
	if os.Args[1] == "grpc" {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(os.Args[2])}
		if gzip {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(os.Args[2] + "/v1/traces")}
	if gzip {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(ctx, options...)
}

func main() {
	ctx := context.Background()
	export, err := exporter(ctx)
	if err != nil {
		panic(err)
	}
	about := resource.NewSchemaless(attribute.String("service.name", "go-shop"),
		attribute.Int64Slice("ports", []int64{1, 2}))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(export), sdk.WithResource(about))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})

	back := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			span := trace.SpanFromContext(r.Context())
			span.AddEvent("asked", trace.WithAttributes(attribute.Int("n", 3)))
			span.RecordError(errors.New("cold"))
			span.SetStatus(codes.Error, "very cold")
		}), "bake"))
	tracer := otel.Tracer("own", trace.WithInstrumentationVersion("1.0"))
	ctx, root := tracer.Start(ctx, "buy", trace.WithAttributes(
		attribute.Bool("truth", true), attribute.Float64("real", 2.5),
		attribute.StringSlice("list", []string{"a", "b"})))
	client := http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	request, _ := http.NewRequestWithContext(ctx, "GET", back.URL+"/bake", nil)
	answer, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	answer.Body.Close()
	root.End()
	back.Close()
	if err := provider.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	fmt.Printf("{\"trace\":\"%s\"}\n", root.SpanContext().TraceID())
}
