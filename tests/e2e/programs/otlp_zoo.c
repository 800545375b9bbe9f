/* otlp_zoo.c - one of everything that is exported, for receivers to decode: spans with every type of
 * attribute, events, links and outcomes, log records, metrics. All settings come from OTEL_*.
 *
 *     otlp_zoo             the zoo, then ends
 *     otlp_zoo many N      N plain spans from two threads, then ends
 *
 * At the end it prints what became of the records, one line a signal: "spans exported=3 dropped=0
 * rejected=0 failures=0 whole=1". */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/telemetry.h>

enum { FLUSH_MS = 4000, THREADS = 2 };

static const sx_span_context REMOTE = {
    .trace_id = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e,
                 0x47, 0x36},
    .span_id = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
    .flags = SX_TRACE_SAMPLED,
    .remote = true,
    .tracestate = SX_STR_INIT("vendor=opaque"),
};

static void child(sx_tracer *tracer, const sx_span *parent)
{
    const sx_field attributes[] = {sx_field_z("db.system.name", "postgresql")};
    const sx_field why[] = {sx_field_z("why", "cause")};
    const sx_span_link links[] = {{.context = REMOTE, .attributes = why, .attribute_count = 1}};
    sx_span span;
    sx_span_start(&span, tracer,
                  &(sx_span_options){.name = SX_STR("SELECT zoo"),
                                     .kind = SX_SPAN_CLIENT,
                                     .parent = &parent->context,
                                     .attributes = attributes,
                                     .attribute_count = 1,
                                     .links = links,
                                     .link_count = 1});
    sx_span_error(&span, SX_STR("timeout"), SX_STR("the database did not answer"));
    sx_span_end(&span);
}

static void spans(sx_tracer *tracer, sx_logger *logger)
{
    sx_span span;
    sx_span_start(
        &span, tracer,
        &(sx_span_options){.name = SX_STR("GET /zoo"), .kind = SX_SPAN_SERVER, .parent = &REMOTE});
    SX_SPAN_SET(&span, sx_field_str("text", SX_STR("größe \xff end")), sx_field_i64("signed", -42),
                sx_field_u64("unsigned", 7), sx_field_double("double", 2.5),
                sx_field_bool("yes", true), sx_field_z("empty", ""), sx_field_i64("big", INT64_MAX),
                sx_field_json("list", SX_STR("[1,\"two\",3.5,false,null]")),
                sx_field_json("tree", SX_STR("{\"a\":{\"b\":[true]}}")));
    const sx_field at[] = {sx_field_i64("attempt", 2)};
    sx_span_event(&span, SX_STR("cache miss"), at, 1);
    char trace[33], id[17];
    sx_trace_id_hex(&span.context, trace);
    sx_span_id_hex(&span.context, id);
    sx_log_context context = {.trace_id = sx_str_z(trace), .span_id = sx_str_z(id)};
    SX_LOG_WARN(logger, &context, "a record of the zoo", sx_field_i64("count", 3),
                sx_field_z("animal", "okapi"), sx_field_bool("fed", false));
    child(tracer, &span);
    sx_span_outcome_set(&span, SX_SPAN_OK, SX_STR(""));
    sx_span_end(&span);
}

static void metrics(sx_metrics *m)
{
    static const char *const LABELS[] = {"animal"};
    const sx_metric_options options[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "zoo_visits_total",
         .help = "Visits.",
         .labels = LABELS,
         .label_count = 1},
        {.kind = SX_METRIC_GAUGE, .name = "zoo_animals", .help = "Animals."},
        {.kind = SX_METRIC_HISTOGRAM,
         .name = "zoo_stay_seconds",
         .help = "Stays.",
         .unit = "seconds"},
        {.kind = SX_METRIC_HISTOGRAM, .name = "zoo_weight", .help = "Weights.", .native = true},
    };
    sx_metric *made[SX_COUNT_OF(options)];
    for (size_t i = 0; i < SX_COUNT_OF(options); i++)
        if (sx_metric_new(m, &options[i], &made[i], NULL) != SX_OK)
            return;
    sx_str okapi = SX_STR("okapi");
    sx_counter_add(sx_metric_counter(made[0], &okapi, 1), 5);
    sx_gauge_set(sx_metric_gauge(made[1], NULL, 0), 12.5);
    for (int i = 1; i <= 4; i++) {
        sx_histogram_observe(sx_metric_histogram(made[2], NULL, 0), 0.1 * i);
        sx_histogram_observe(sx_metric_histogram(made[3], NULL, 0), 10.0 * i);
    }
}

typedef struct crowd {
    sx_tracer *tracer;
    long spans;
} crowd;

static void *make_many(void *arg)
{
    const crowd *c = arg;
    sx_telemetry_thread_join();
    for (long i = 0; i < c->spans; i++) {
        sx_span span;
        sx_span_start(&span, c->tracer, &(sx_span_options){.name = SX_STR("one of many")});
        SX_SPAN_SET(&span, sx_field_i64("number", i));
        sx_span_end(&span);
    }
    sx_telemetry_thread_leave();
    return NULL;
}

static void many(sx_tracer *tracer, long count)
{
    crowd c = {tracer, count / THREADS};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, make_many, &c) != 0)
            exit(1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void report(const sx_otlp *otlp, bool whole)
{
    static const char *const NAMES[] = {"spans", "logs", "metrics"};
    for (int i = 0; otlp && i < SX_OTLP_SIGNALS; i++) {
        sx_otlp_counts c = sx_otlp_counts_of(otlp, (sx_otlp_signal)i);
        printf("%s taken=%llu exported=%llu dropped=%llu rejected=%llu failures=%llu whole=%d\n",
               NAMES[i], (unsigned long long)c.taken, (unsigned long long)c.exported,
               (unsigned long long)c.dropped, (unsigned long long)c.rejected,
               (unsigned long long)c.failures, whole);
    }
    if (!otlp)
        printf("nothing is exported\n");
}

int main(int argc, char **argv)
{
    sx_telemetry *t;
    sx_error err = {0};
    sx_telemetry_options options = {
        .service = "otlp-zoo", .version = "1.2.3", .deployment = "test"};
    if (sx_telemetry_new(&options, &t, &err) != SX_OK) {
        fprintf(stderr, "otlp_zoo: %s\n", err.message);
        return 1;
    }
    uint64_t number = 0;
    if (argc > 2 && sx_str_to_u64(sx_str_z(argv[2]), &number)) {
        many(sx_telemetry_tracer(t), (long)number);
    } else {
        spans(sx_telemetry_tracer(t), sx_log_logger(sx_telemetry_log(t), "zoo"));
        metrics(sx_telemetry_metrics(t));
    }
    sx_otlp *otlp = sx_telemetry_otlp(t);
    bool whole = otlp && sx_otlp_flush(otlp, FLUSH_MS);
    report(otlp, whole);
    sx_telemetry_free(t, 0);
    return 0;
}
