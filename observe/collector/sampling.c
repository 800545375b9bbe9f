/* sampling.c - the provider in force, its file's changes, and answers in their three forms. */
#include "observe/collector/sampling.h"

#include <sys/stat.h>

#include <sextant/file.h>
#include <sextant/json.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/protobuf.h>

#include "observe/collector/sampling_impl.h"
#include "observe/collector/ticker.h"

enum { FILE_BYTES_MAX = 64 << 20, LOOK_MS = 1000 };

/* What tells that a file is another one. */
typedef struct file_mark {
    uint64_t inode, bytes;
    int64_t changed_ns;
} file_mark;

struct sampling {
    sampling_options o;
    char *path;
    adaptive *adaptive;
    ticker *ticker;
    pthread_mutex_t lock;
    sampling_file *file; /* by lock */
    file_mark mark;      /* by lock: of the file that was read, or could not be */
    int64_t looked_ms;
};

static file_mark mark_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (file_mark){0};
    return (file_mark){.inode = st.st_ino,
                       .bytes = (uint64_t)st.st_size,
                       .changed_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
}

static void warn(const sampling *s, const char *what, sx_str why)
{
    if (s->o.log)
        SX_LOG_WARN(sx_log_logger(s->o.log, "sampling"), NULL, what, sx_field_z("file", s->path),
                    sx_field_str("why", why));
}

static sx_status read_file(const sampling *s, sampling_file **out, sx_buf *warnings, sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_status st = sx_file_read(s->path, FILE_BYTES_MAX, &text, err);
    if (st == SX_OK) {
        st = sampling_file_parse(sx_buf_view(&text), s->o.default_probability, out, warnings, err);
        if (st != SX_OK)
            sx_error_prefix(err, st, "%s", s->path);
    }
    sx_buf_done(&text);
    return st;
}

sx_status sampling_check_file(const sampling *s, sx_error *err)
{
    sampling_file *file = NULL;
    sx_status st = s->path ? read_file(s, &file, NULL, err) : SX_OK;
    sampling_file_free(file);
    return st;
}

sx_status sampling_reload(sampling *s, sx_error *err)
{
    sx_buf warnings;
    sampling_file *fresh = NULL;
    if (!s->path)
        return SX_OK;
    sx_buf_init(&warnings, 1 << 16);
    pthread_mutex_lock(&s->lock);
    s->mark = mark_of(s->path); /* before it is read: a change meanwhile is seen the next time */
    sx_status st = read_file(s, &fresh, &warnings, err);
    if (st == SX_OK) {
        sampling_file_free(s->file);
        s->file = fresh;
    }
    pthread_mutex_unlock(&s->lock);
    if (warnings.len)
        warn(s, "strategies are left out", sx_buf_view(&warnings));
    sx_buf_done(&warnings);
    return st;
}

void sampling_tick(sampling *s)
{
    int64_t now_ms = sx_clock_mono_ms(s->o.clock);
    if (s->adaptive)
        adaptive_tick(s->adaptive, now_ms);
    if (!s->path || now_ms - s->looked_ms < LOOK_MS)
        return;
    s->looked_ms = now_ms;
    file_mark now = mark_of(s->path);
    pthread_mutex_lock(&s->lock);
    bool same = now.inode == s->mark.inode && now.bytes == s->mark.bytes &&
                now.changed_ns == s->mark.changed_ns;
    pthread_mutex_unlock(&s->lock);
    sx_error err = {0};
    if (!same && sampling_reload(s, &err) != SX_OK)
        warn(s, "sampling strategies not taken up; the old ones stay", sx_str_z(err.message));
}

static void tick(void *ctx)
{
    sampling_tick(ctx);
}

sx_status sampling_start(sampling *s, sx_error *err)
{
    return ticker_start(tick, s, &s->ticker, err);
}

void sampling_take(sampling *s, const span_batch *b)
{
    if (s->adaptive)
        adaptive_take(s->adaptive, b);
}

static sampling_options with_defaults(const sampling_options *given)
{
    sampling_options o = *given;
    const struct {
        double *value, otherwise;
    } NUMBERS[] = {{&o.default_probability, 0.001}, {&o.target_per_second, 1},
                   {&o.delta_tolerance, 0.3},       {&o.initial_probability, 0.001},
                   {&o.min_probability, 1e-5},      {&o.min_per_second, 1.0 / 60}};
    for (size_t i = 0; i < SX_COUNT_OF(NUMBERS); i++)
        if (*NUMBERS[i].value == 0)
            *NUMBERS[i].value = NUMBERS[i].otherwise;
    o.calculation_buckets = o.calculation_buckets ? o.calculation_buckets : 1;
    o.aggregation_buckets = o.aggregation_buckets ? o.aggregation_buckets : 10;
    o.interval_ms = o.interval_ms ? o.interval_ms : 60000;
    o.delay_ms = o.delay_ms ? o.delay_ms : 120000;
    o.operations_max = o.operations_max ? o.operations_max : 10000;
    o.clock = o.clock ? o.clock : sx_clock_system();
    return o;
}

static char *copy_path(const char *path)
{
    size_t len = sx_str_z(path).len;
    char *own = sx_alloc(len + 1);
    if (own)
        memcpy(own, path, len + 1);
    return own;
}

sx_status sampling_new(const sampling_options *options, sampling **out, sx_error *err)
{
    sampling *s = sx_calloc(1, sizeof(*s));
    sx_status st = SX_OK;
    *out = NULL;
    if (!s)
        return sx_fail_memory(err, "remote sampling");
    s->o = with_defaults(options);
    pthread_mutex_init(&s->lock, NULL);
    if (!options->file) {
        st = adaptive_new(&s->o, &s->adaptive, err);
    } else {
        s->path = copy_path(options->file);
        st = s->path ? sampling_reload(s, err) : sx_fail_memory(err, "remote sampling");
    }
    if (st != SX_OK) {
        sampling_free(s);
        return st;
    }
    *out = s;
    return SX_OK;
}

void sampling_free(sampling *s)
{
    if (!s)
        return;
    ticker_stop(s->ticker);
    adaptive_free(s->adaptive);
    sampling_file_free(s->file);
    pthread_mutex_destroy(&s->lock);
    sx_free(s->path);
    sx_free(s);
}

/* --- Answers. */

static void put_double(sx_buf *out, double v)
{
    char text[SX_DOUBLE_BYTES];
    sx_buf_bytes(out, text, sx_double_format(v, SX_DOUBLE_JS, text));
}

/* As Go's encoder quotes for pages: no <, > and &. */
static void put_text(sx_buf *out, sx_str text)
{
    sx_buf quoted;
    sx_buf_init(&quoted, 0);
    sx_json_quote(&quoted, text, SX_JSON_UTF8);
    for (size_t i = 0; i < quoted.len; i++) {
        char c = quoted.data[i];
        if (c == '<' || c == '>' || c == '&')
            sx_buf_printf(out, "\\u00%02x", (unsigned)c);
        else
            sx_buf_byte(out, c);
    }
    out->failed |= quoted.failed;
    sx_buf_done(&quoted);
}

static void put_rate(sx_buf *out, const char *name, double rate)
{
    sx_buf_printf(out, "\"%s\":{\"samplingRate\":", name);
    put_double(out, rate);
    sx_buf_byte(out, '}');
}

static void put_json(const sampling_strategy *s, bool legacy, sx_buf *out)
{
    sx_buf_str(out, SX_STR("{\"strategyType\":"));
    sx_buf_str(out, legacy        ? (s->limiting ? SX_STR("1") : SX_STR("0"))
                    : s->limiting ? SX_STR("\"RATE_LIMITING\"")
                                  : SX_STR("\"PROBABILISTIC\""));
    if (s->plain && s->limiting) {
        sx_buf_printf(out, ",\"rateLimitingSampling\":{\"maxTracesPerSecond\":%d}", s->per_second);
    } else if (s->plain) {
        sx_buf_byte(out, ',');
        put_rate(out, "probabilisticSampling", s->rate);
    }
    if (s->by_operation) {
        sx_buf_str(out, SX_STR(",\"operationSampling\":{\"defaultSamplingProbability\":"));
        put_double(out, s->default_rate);
        sx_buf_str(out, SX_STR(",\"defaultLowerBoundTracesPerSecond\":"));
        put_double(out, s->lower_bound);
        sx_buf_str(out, SX_STR(",\"perOperationStrategies\":["));
        for (size_t i = 0; i < s->operation_count; i++) {
            sx_buf_str(out, i ? SX_STR(",{\"operation\":") : SX_STR("{\"operation\":"));
            put_text(out, s->operations[i].name);
            sx_buf_byte(out, ',');
            put_rate(out, "probabilisticSampling", s->operations[i].rate);
            sx_buf_byte(out, '}');
        }
        sx_buf_byte(out, ']');
        if (!legacy) /* Thrift has no upper bound where it is 0 */
            sx_buf_str(out, SX_STR(",\"defaultUpperBoundTracesPerSecond\":0"));
        sx_buf_byte(out, '}');
    }
    sx_buf_byte(out, '}');
}

static void put_proto_rate(sx_buf *out, uint32_t field, double rate)
{
    size_t mark = sx_pb_begin(out, field);
    if (rate != 0)
        sx_pb_put_double(out, 1, rate);
    sx_pb_end(out, mark);
}

static void put_proto(const sampling_strategy *s, sx_buf *out)
{
    if (s->limiting)
        sx_pb_put_u64(out, 1, 1);
    if (s->plain && !s->limiting)
        put_proto_rate(out, 2, s->rate);
    if (s->plain && s->limiting) {
        size_t mark = sx_pb_begin(out, 3);
        if (s->per_second)
            sx_pb_put_u64(out, 1, (uint64_t)s->per_second);
        sx_pb_end(out, mark);
    }
    if (!s->by_operation)
        return;
    size_t all = sx_pb_begin(out, 4);
    if (s->default_rate != 0)
        sx_pb_put_double(out, 1, s->default_rate);
    if (s->lower_bound != 0)
        sx_pb_put_double(out, 2, s->lower_bound);
    for (size_t i = 0; i < s->operation_count; i++) {
        size_t one = sx_pb_begin(out, 3);
        sx_pb_put_str(out, 1, s->operations[i].name);
        put_proto_rate(out, 2, s->operations[i].rate);
        sx_pb_end(out, one);
    }
    sx_pb_end(out, all);
}

static void put(const sampling_strategy *s, sampling_form form, sx_buf *out)
{
    if (form == SAMPLING_PROTO)
        put_proto(s, out);
    else
        put_json(s, form == SAMPLING_LEGACY, out);
}

void sampling_answer(sampling *s, sx_str service, sampling_form form, sx_buf *out)
{
    if (s->adaptive) {
        sampling_strategy found;
        sx_arena arena;
        sx_arena_init(&arena, 0, 0);
        if (adaptive_find(s->adaptive, service, &arena, &found))
            put(&found, form, out);
        else
            out->failed = true;
        sx_arena_done(&arena);
        return;
    }
    pthread_mutex_lock(&s->lock); /* the file may be another one in the next moment */
    put(sampling_file_find(s->file, service), form, out);
    pthread_mutex_unlock(&s->lock);
}
