/* kit_prometheus_cpp.cc - prometheus-cpp's counter and histogram, as kit_ours.c measures ours. */
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <cstdio>
#include <ctime>

namespace {

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
    for (int round = 0; round < 7; round++) {
        double start = now_ns();
        for (uint64_t i = 0; i < n; i++)
            work(i);
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    std::printf("%s prometheus-cpp %.2f\n", name, best / static_cast<double>(n));
}

} // namespace

int main()
{
    prometheus::Registry registry;
    auto &counter =
        prometheus::BuildCounter().Name("requests_total").Register(registry).Add({{"code", "200"}});
    auto &histogram =
        prometheus::BuildHistogram()
            .Name("request_seconds")
            .Register(registry)
            .Add({{"code", "200"}}, prometheus::Histogram::BucketBoundaries{
                                        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
    measure("counter_increment", 5000000, [&](uint64_t) { counter.Increment(); });
    measure("histogram_observe", 2000000,
            [&](uint64_t i) { histogram.Observe(static_cast<double>(i & 1023) * 0.001); });
    return 0;
}
