/* health.c - named checks, asked or told; see health.h.
 *
 *     sx_health ── list of checks, under `lock`
 *                    └── what was last known of one, under its own lock
 *
 * `lock` is held while checks are asked, so that one that was removed is not being asked any more when
 * sx_health_remove() returns. A report takes its check's lock alone: a client that tells how a call
 * went never waits for another check. Nothing here is on a request's path. */
#include <sextant/health.h>

#include <pthread.h>
#include <stdio.h>

#include <sextant/list.h>
#include <sextant/mem.h>

struct sx_health {
    pthread_mutex_t lock; /* of the list; taken before any check's own */
    sx_list checks;       /* in the order they were added */
    const sx_clock *clock;
};

struct sx_health_check {
    sx_list link;
    sx_health *health;
    sx_health_check_options options; /* its name is `name` */

    pthread_mutex_t lock; /* of all below */
    bool known;           /* asked or told at least once */
    bool well;
    char message[sizeof(((sx_health_info *)0)->message)];
    int64_t latency_ns, checked_wall_ms, checked_mono_ms;
    uint64_t failures_in_row;
    char name[];
};

/* ---- what is known of one ---- */

/* Copies what fits, cut between characters. */
static void copy_message(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(to, from, len);
    to[len] = '\0';
}

void sx_health_report(sx_health_check *check, sx_status status, const sx_error *err,
                      int64_t latency_ns)
{
    if (!check)
        return;
    const sx_clock *clock = check->health->clock;
    const char *why = err && err->message[0] ? err->message : sx_status_name(status);
    pthread_mutex_lock(&check->lock);
    check->known = true;
    check->well = status == SX_OK;
    check->latency_ns = latency_ns;
    check->checked_wall_ms = sx_clock_ms(clock);
    check->checked_mono_ms = sx_clock_mono_ms(clock);
    check->failures_in_row = check->well ? 0 : check->failures_in_row + 1;
    copy_message(check->message, sizeof(check->message), check->well ? "" : why);
    pthread_mutex_unlock(&check->lock);
}

/* Whether nothing was heard of it for too long. Its lock is held. */
static bool is_stale(const sx_health_check *check, int64_t now_ms)
{
    const sx_health_check_options *o = &check->options;
    return !o->ask && o->stale_ms && check->known &&
           now_ms - check->checked_mono_ms > (int64_t)o->stale_ms;
}

static void read_check(sx_health_check *check, sx_health_info *out)
{
    int64_t now_ms = sx_clock_mono_ms(check->health->clock);
    *out = (sx_health_info){.name = check->name, .informative = check->options.informative};
    pthread_mutex_lock(&check->lock);
    out->well = check->known && check->well;
    out->latency_ns = check->latency_ns;
    out->checked_wall_ms = check->checked_wall_ms;
    out->failures_in_row = check->failures_in_row;
    memcpy(out->message, check->message, sizeof(out->message));
    if (!check->known) {
        copy_message(out->message, sizeof(out->message), "not checked yet");
    } else if (is_stale(check, now_ms)) {
        if (out->well) /* else what it said last says more */
            snprintf(out->message, sizeof(out->message),
                     "nothing was heard of it for %lld ms; %u are allowed",
                     (long long)(now_ms - check->checked_mono_ms), check->options.stale_ms);
        out->well = false;
    }
    pthread_mutex_unlock(&check->lock);
}

static void ask(sx_health_check *check)
{
    const sx_clock *clock = check->health->clock;
    sx_error err = {0};
    int64_t from_ns = sx_clock_mono_ns(clock);
    sx_status status = check->options.ask(check->options.ctx, &err);
    sx_health_report(check, status, &err, sx_clock_mono_ns(clock) - from_ns);
}

bool sx_health_each(sx_health *h, void (*fn)(void *ctx, const sx_health_info *info), void *ctx)
{
    bool all_well = true;
    sx_list *link;
    pthread_mutex_lock(&h->lock);
    SX_LIST_EACH(link, &h->checks)
    {
        sx_health_check *check = SX_CONTAINER_OF(link, sx_health_check, link);
        sx_health_info info;
        if (check->options.ask)
            ask(check);
        read_check(check, &info);
        all_well &= info.well || info.informative;
        if (fn)
            fn(ctx, &info);
    }
    pthread_mutex_unlock(&h->lock);
    return all_well;
}

/* ---- metrics: what was last known; a scrape asks nobody ---- */

static void collect(sx_health *h, sx_collect *into, bool latency)
{
    sx_list *link;
    pthread_mutex_lock(&h->lock);
    SX_LIST_EACH(link, &h->checks)
    {
        sx_health_info info;
        read_check(SX_CONTAINER_OF(link, sx_health_check, link), &info);
        sx_str name = sx_str_z(info.name);
        if (!latency)
            sx_collect_value(into, &name, 1, info.well ? 1 : 0);
        else if (info.latency_ns >= 0)
            sx_collect_value(into, &name, 1, (double)info.latency_ns * 1e-9);
    }
    pthread_mutex_unlock(&h->lock);
}

static void collect_up(sx_collect *into, void *ctx)
{
    collect((sx_health *)ctx, into, false);
}

static void collect_latency(sx_collect *into, void *ctx)
{
    collect((sx_health *)ctx, into, true);
}

static sx_status add_metrics(sx_health *h, sx_metrics *metrics, sx_error *err)
{
    static const char *const LABELS[] = {"check"};
    sx_metric *metric;
    sx_metric_options up = {.kind = SX_METRIC_GAUGE,
                            .name = "health_check_up",
                            .help = "Whether a check of health was well when last heard of.",
                            .labels = LABELS,
                            .label_count = 1,
                            .collect = collect_up,
                            .collect_ctx = h};
    sx_metric_options latency = up;
    latency.name = "health_check_latency_seconds";
    latency.help = "How long the last check took to answer.";
    latency.collect = collect_latency;
    sx_status status = sx_metric_new(metrics, &up, &metric, err);
    return status ? status : sx_metric_new(metrics, &latency, &metric, err);
}

/* ---- life ---- */

sx_status sx_health_new(const sx_health_options *options, sx_health **out, sx_error *err)
{
    sx_health *h = (sx_health *)sx_calloc(1, sizeof(*h));
    if (!h)
        return sx_fail_memory(err, "the health checks");
    h->clock = options && options->clock ? options->clock : sx_clock_system();
    sx_list_init(&h->checks);
    pthread_mutex_init(&h->lock, NULL); /* of the default kind: cannot fail on Linux */
    sx_status status = options && options->metrics ? add_metrics(h, options->metrics, err) : SX_OK;
    if (status) {
        sx_health_free(h);
        return status;
    }
    *out = h;
    return SX_OK;
}

static void free_check(sx_health_check *check)
{
    pthread_mutex_destroy(&check->lock);
    sx_free(check);
}

void sx_health_free(sx_health *h)
{
    if (!h)
        return;
    sx_list *link;
    while ((link = sx_list_pop_front(&h->checks)))
        free_check(SX_CONTAINER_OF(link, sx_health_check, link));
    pthread_mutex_destroy(&h->lock);
    sx_free(h);
}

static bool is_taken(const sx_health *h, const char *name)
{
    const sx_list *link;
    SX_LIST_EACH(link, &h->checks)
    {
        if (strcmp(SX_CONTAINER_OF(link, const sx_health_check, link)->name, name) == 0)
            return true;
    }
    return false;
}

/* Adds "-2", "-3" … until nobody has the name. There is room for it behind the name. */
static void make_unique(const sx_health *h, sx_health_check *check, size_t len, size_t room)
{
    for (unsigned i = 2; is_taken(h, check->name); i++)
        snprintf(check->name + len, room - len, "-%u", i);
}

sx_status sx_health_add(sx_health *h, const sx_health_check_options *options, sx_health_check **out,
                        sx_error *err)
{
    enum { SUFFIX_BYTES = 16 };
    size_t len = strlen(options->name), room = len + SUFFIX_BYTES;
    sx_health_check *check = (sx_health_check *)sx_calloc(1, sizeof(*check) + room);
    if (!check)
        return sx_fail_memory(err, "a health check");
    memcpy(check->name, options->name, len);
    check->health = h;
    check->options = *options;
    check->options.name = check->name;
    check->latency_ns = -1;
    pthread_mutex_init(&check->lock, NULL);
    pthread_mutex_lock(&h->lock);
    make_unique(h, check, len, room);
    sx_list_push_back(&h->checks, &check->link);
    pthread_mutex_unlock(&h->lock);
    if (out)
        *out = check;
    return SX_OK;
}

void sx_health_remove(sx_health_check *check)
{
    if (!check)
        return;
    sx_health *h = check->health;
    pthread_mutex_lock(&h->lock);
    sx_list_remove(&check->link);
    pthread_mutex_unlock(&h->lock);
    free_check(check);
}
