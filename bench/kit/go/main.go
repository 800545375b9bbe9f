// Command kit measures what Go services use where a C service uses libsextant, one line a figure:
// name, library, nanoseconds. Run by bench_kit.py beside our own figures.
//
// Time is CPU time of the process, so that what a library leaves to a goroutine or to the collector of
// garbage is counted too. The least of several rounds counts.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sony/gobreaker"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
)

const rounds = 5

func cpuTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// measure prints the least time of one call, over rounds of about 0.1 s.
func measure(name, library string, work func(n int)) {
	n := 1000
	for {
		start := cpuTime()
		work(n)
		if took := cpuTime() - start; took > 100*time.Millisecond || n > 1<<28 {
			break
		}
		n *= 2
	}
	best := time.Duration(1 << 62)
	for range rounds {
		runtime.GC()
		start := cpuTime()
		work(n)
		best = min(best, cpuTime()-start)
	}
	fmt.Printf("%s %s %.2f\n", name, library, float64(best.Nanoseconds())/float64(n))
}

// ---- metrics ----

func metrics(ctx context.Context) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"code"})
	counter := vec.WithLabelValues("200")
	measure("counter_increment", "client_golang", func(n int) {
		for range n {
			counter.Inc()
		}
	})
	hist := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "seconds", Buckets: prometheus.DefBuckets}, []string{"code"})
	observer := hist.WithLabelValues("200")
	measure("histogram_observe", "client_golang", func(n int) {
		for i := range n {
			observer.Observe(float64(i&1023) * 0.001)
		}
	})
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("kit")
	sum, err := meter.Int64Counter("requests")
	must(err)
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("code", "200")))
	measure("counter_increment", "otel-go", func(n int) {
		for range n {
			sum.Add(ctx, 1, set)
		}
	})
	seconds, err := meter.Float64Histogram("seconds")
	must(err)
	measure("histogram_observe", "otel-go", func(n int) {
		for i := range n {
			seconds.Record(ctx, float64(i&1023)*0.001, set)
		}
	})
}

// ---- traces ----

// discard is an OTLP client that encodes what it is given and sends nothing.
type discard struct{ bytes int }

func (*discard) Start(context.Context) error { return nil }
func (*discard) Stop(context.Context) error  { return nil }
func (d *discard) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	encoded, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: spans})
	d.bytes += len(encoded)
	return err
}

func tracerProvider(ctx context.Context, sampler sdktrace.Sampler) (*sdktrace.TracerProvider, *discard) {
	d := &discard{}
	exporter, err := otlptrace.New(ctx, d)
	must(err)
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithBatcher(exporter, sdktrace.WithBlocking())), d
}

func traces(ctx context.Context) {
	// What a request costs that is passed on: its context read, its id made, a span of its own that is
	// not sampled, the fields of the call that it makes.
	none, _ := tracerProvider(ctx, sdktrace.NeverSample())
	tracer := none.Tracer("kit")
	in := http.Header{
		"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"},
		"Tracestate":  {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
	}
	out := http.Header{}
	w3c := propagation.TraceContext{}
	measure("request_id_and_trace_context", "otel-go", func(n int) {
		for range n {
			id, _ := uuid.NewV7()
			_ = id.String()
			c := w3c.Extract(ctx, propagation.HeaderCarrier(in))
			c, span := tracer.Start(c, "call")
			w3c.Inject(c, propagation.HeaderCarrier(out))
			span.End()
		}
	})
	all, d := tracerProvider(ctx, sdktrace.AlwaysSample())
	tracer = all.Tracer("kit")
	measure("span_to_exported_bytes", "otel-go", func(n int) {
		for range n {
			_, span := tracer.Start(ctx, "GET /orders/:id", trace.WithSpanKind(trace.SpanKindServer))
			span.SetAttributes(attribute.String("http.request.method", "GET"),
				attribute.String("http.route", "/orders/:id"),
				attribute.Int("http.response.status_code", 200))
			span.End()
		}
		must(all.ForceFlush(ctx))
	})
	if d.bytes == 0 {
		log.Fatal("no span was encoded")
	}
}

// ---- decisions ----

func breaker() {
	b := gobreaker.NewCircuitBreaker(gobreaker.Settings{Name: "redis"})
	ok := func() (interface{}, error) { return nil, nil }
	measure("breaker_decision", "gobreaker", func(n int) {
		for range n {
			_, _ = b.Execute(ok)
		}
	})
}

// limiters is the usual way to limit by key: a limiter each, in a map.
type limiters struct{ byKey sync.Map }

func (l *limiters) allow(key string) bool {
	v, ok := l.byKey.Load(key)
	if !ok {
		v, _ = l.byKey.LoadOrStore(key, rate.NewLimiter(1e9, 1e9))
	}
	return v.(*rate.Limiter).Allow()
}

func limiter() {
	one := rate.NewLimiter(1e9, 1e9)
	measure("limiter_decision", "x/time/rate", func(n int) {
		for range n {
			one.Allow()
		}
	})
	var keys [64]string
	for i := range keys {
		keys[i] = fmt.Sprintf("192.0.2.%d", i)
	}
	var many limiters
	measure("limiter_decision_by_key", "x/time/rate", func(n int) {
		for i := range n {
			many.allow(keys[i&63])
		}
	})
}

// ---- the whole chain ----

// quiet is a ResponseWriter that keeps nothing.
type quiet struct {
	header http.Header
	status int
	bytes  int
}

func (q *quiet) Header() http.Header         { return q.header }
func (q *quiet) WriteHeader(status int)      { q.status = status }
func (q *quiet) Write(b []byte) (int, error) { q.bytes += len(b); return len(b), nil }

// chain wraps a handler as ours is: request id, traces at 1 %, metrics, a limit by client, a breaker,
// an access log in JSON.
func chain(ctx context.Context, body http.Handler) http.Handler {
	registry := prometheus.NewRegistry()
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"method", "code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, []string{"method", "code"})
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight"})
	registry.MustRegister(count, seconds, inFlight)
	provider, _ := tracerProvider(ctx, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))
	b := gobreaker.NewCircuitBreaker(gobreaker.Settings{Name: "handler"})
	var limits limiters
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))

	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limits.allow(r.RemoteAddr) {
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		_, _ = b.Execute(func() (interface{}, error) { body.ServeHTTP(w, r); return nil, nil })
	})
	measured := promhttp.InstrumentHandlerInFlight(inFlight,
		promhttp.InstrumentHandlerCounter(count, promhttp.InstrumentHandlerDuration(seconds, guarded)))
	logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id, _ := uuid.NewV7()
		text := id.String()
		w.Header()["X-Request-Id"] = []string{text}
		measured.ServeHTTP(w, r)
		span := trace.SpanContextFromContext(r.Context())
		logger.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("request_id", text),
			slog.String("trace_id", span.TraceID().String()), slog.String("method", r.Method),
			slog.String("path", r.URL.Path), slog.Int("status", 200), slog.String("client", r.RemoteAddr),
			slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000))
	})
	return otelhttp.NewHandler(logged, "hello", otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.TraceContext{}))
}

func wholeChain(ctx context.Context) {
	hello := []byte("hello, world\n")
	handler := chain(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(hello) }))
	request := httptest.NewRequest("GET", "/api/v1/query?query=up", nil)
	request.Header.Set("User-Agent", "bench")
	measure("whole_chain", "otelhttp+promhttp", func(n int) {
		for range n {
			handler.ServeHTTP(&quiet{header: make(http.Header, 4)}, request)
		}
	})
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	ctx := context.Background()
	metrics(ctx)
	traces(ctx)
	breaker()
	limiter()
	wholeChain(ctx)
}
