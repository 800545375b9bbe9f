/* csv_job.c - the conveyor: sample, plan, then blocks of rows through a crew and out in order. */
#include "geocode/api/csv_job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "geocode/api/csv_sniff.h"

enum {
    ROW_BYTES_DEFAULT = 1 << 20,
    TEXT_HIGH = 256 << 10, /* text not yet in rows; above it the feeder waits */
    BLOCK_TEXT = 32 << 10, /* a block of rows is full then, or with GEO_CSV_ROWS */
    BLOCKS_MOST = 32,
    QUEUE_MAX = 1 << 16,
    NICE = 5, /* searches of people are served first */
};

/* ---- the crew ---- */

struct geo_csv_crew {
    sx_pool *pool;
    unsigned threads;
    pthread_mutex_t lock; /* guards the idle workers */
    geo_csv_worker *idle[256];
    size_t idle_count;
};

sx_status geo_csv_crew_new(unsigned threads, geo_csv_crew **out, sx_error *err)
{
    geo_csv_crew *crew = sx_calloc(1, sizeof(*crew));
    if (!crew)
        return sx_fail_memory(err, "the threads of CSV batches");
    crew->threads = threads ? threads : sx_cores();
    pthread_mutex_init(&crew->lock, NULL);
    sx_status status = sx_pool_new(
        &(sx_pool_options){.name = "csv", .threads = crew->threads, .queue_max = QUEUE_MAX},
        &crew->pool, err);
    if (status != SX_OK) {
        geo_csv_crew_free(crew);
        return status;
    }
    *out = crew;
    return SX_OK;
}

void geo_csv_crew_stop(geo_csv_crew *crew)
{
    sx_pool_free(crew->pool);
    crew->pool = NULL;
}

void geo_csv_crew_free(geo_csv_crew *crew)
{
    if (!crew)
        return;
    geo_csv_crew_stop(crew);
    for (size_t i = 0; i < crew->idle_count; i++)
        geo_csv_worker_free(crew->idle[i]);
    pthread_mutex_destroy(&crew->lock);
    sx_free(crew);
}

sx_status geo_csv_crew_run(geo_csv_crew *crew, sx_loop *loop, sx_pool_fn *work, sx_loop_fn *done,
                           void *arg, sx_error *err)
{
    if (!crew->pool) /* the service is ending */
        return sx_fail(err, SX_REFUSED, "the threads of CSV batches have ended");
    return sx_pool_submit(crew->pool, loop, work, done, arg, err);
}

static geo_csv_worker *take_worker(geo_csv_crew *crew, sx_error *err)
{
    geo_csv_worker *w = NULL;
    pthread_mutex_lock(&crew->lock);
    if (crew->idle_count)
        w = crew->idle[--crew->idle_count];
    pthread_mutex_unlock(&crew->lock);
    return w ? w : geo_csv_worker_new(err);
}

static void give_worker(geo_csv_crew *crew, geo_csv_worker *w)
{
    pthread_mutex_lock(&crew->lock);
    if (crew->idle_count < SX_COUNT_OF(crew->idle)) {
        crew->idle[crew->idle_count++] = w;
        w = NULL;
    }
    pthread_mutex_unlock(&crew->lock);
    geo_csv_worker_free(w);
}

/* Each thread of the crew steps back once; the system may refuse, which only costs latency. */
static void step_back(void)
{
    static _Thread_local bool done;
    if (!done)
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    done = true;
}

/* ---- a job ---- */

typedef enum block_state { BLOCK_FREE, BLOCK_READING, BLOCK_WORKING, BLOCK_DONE } block_state;

/* The loop's, but while BLOCK_WORKING, when a thread of the crew has it. */
typedef struct block {
    geo_csv_job *job;
    block_state state;
    geo_csv_rows rows;
    size_t answered;
    sx_buf utf8, out;
    sx_status status;
    sx_error err;
} block;

typedef enum job_state {
    JOB_SAMPLING, /* gathering the beginning */
    JOB_SNIFFING, /* a thread guesses the dialect */
    JOB_HEADER,   /* reading the first row */
    JOB_RUNNING,
    JOB_ENDED,
    JOB_STATES
} job_state;

static const bool MAY_BECOME[JOB_STATES][JOB_STATES] = {
    [JOB_SAMPLING] = {[JOB_SNIFFING] = true, [JOB_HEADER] = true, [JOB_ENDED] = true},
    [JOB_SNIFFING] = {[JOB_HEADER] = true, [JOB_ENDED] = true},
    [JOB_HEADER] = {[JOB_RUNNING] = true, [JOB_ENDED] = true},
    [JOB_RUNNING] = {[JOB_ENDED] = true},
};

struct geo_csv_job {
    geo_csv_job_options with;
    job_state state;
    geo_csv_charset charset;
    geo_csv_decoder decoder;
    sx_buf text; /* decoded; from text_at on not yet in rows */
    size_t text_at;
    bool finished;       /* the file has ended */
    bool decoded_all;    /* and what its last bytes left over is decoded */
    bool read_all;       /* and all its rows are in blocks */
    bool held, starving; /* output is held; the feeder waits for room */
    bool pumping;
    unsigned depth;                   /* calls of ours under way: the job outlives them */
    _Atomic bool committed, canceled; /* read by the crew */
    geo_csv_dialect dialect;
    sx_status sniffed;
    geo_csv_reader reader;
    geo_csv_rows header;
    sx_arena arena; /* the plan's */
    geo_csv_plan plan;
    sx_buf first; /* the answer's header */
    block *blocks;
    size_t block_count;
    uint64_t next_in, next_out; /* blocks: the one being read, the next to go out */
    size_t working;             /* pieces of work that the crew has */
    uint64_t rows;
    uint64_t cut, first_cut; /* rows longer than the limit that were answered all the same */
};

static void become(geo_csv_job *job, job_state next)
{
    sx_assert(MAY_BECOME[job->state][next]);
    job->state = next;
}

static void pump(geo_csv_job *job);

sx_status geo_csv_job_new(const geo_csv_job_options *options, geo_csv_job **out, sx_error *err)
{
    sx_str name = options->options->encoding;
    geo_csv_job *job = sx_calloc(1, sizeof(*job));
    if (!job)
        return sx_fail_memory(err, "a CSV batch");
    job->with = *options;
    sx_arena_init(&job->arena, 0, 0);
    if (!geo_csv_charset_find(name.data ? name : SX_STR("utf-8-sig"), &job->charset)) {
        sx_free(job);
        return sx_fail(err, SX_EINVAL, "unknown encoding: %.*s", SX_ARG(name));
    }
    job->decoder.charset = job->charset;
    job->block_count = 2 * options->crew->threads + 1;
    if (job->block_count > BLOCKS_MOST)
        job->block_count = BLOCKS_MOST;
    job->blocks = sx_calloc(job->block_count, sizeof(*job->blocks));
    if (!job->blocks) {
        sx_free(job);
        return sx_fail_memory(err, "a CSV batch");
    }
    for (size_t i = 0; i < job->block_count; i++)
        job->blocks[i].job = job;
    *out = job;
    return SX_OK;
}

/* The job's memory goes when neither its owner nor the crew has it. */
static void destroy(geo_csv_job *job)
{
    void (*gone)(void *) = job->with.events->gone;
    void *ctx = job->with.ctx;
    for (size_t i = 0; i < job->block_count; i++) {
        geo_csv_rows_done(&job->blocks[i].rows);
        sx_buf_done(&job->blocks[i].utf8);
        sx_buf_done(&job->blocks[i].out);
    }
    sx_free(job->blocks);
    geo_csv_rows_done(&job->header);
    sx_buf_done(&job->text);
    sx_buf_done(&job->first);
    sx_arena_done(&job->arena);
    sx_free(job);
    if (gone)
        gone(ctx);
}

/* The end of each call that may run events, in which the owner may have let go of the job. */
static void leave(geo_csv_job *job)
{
    if (--job->depth == 0 && atomic_load(&job->canceled) && !job->working)
        destroy(job);
}

void geo_csv_job_free(geo_csv_job *job)
{
    if (!job)
        return;
    atomic_store(&job->canceled, true);
    if (job->state != JOB_ENDED)
        become(job, JOB_ENDED);
    job->depth++;
    leave(job);
}

static void end(geo_csv_job *job, sx_status why, sx_str words)
{
    if (job->state == JOB_ENDED)
        return;
    become(job, JOB_ENDED);
    job->with.events->ended(job->with.ctx, why, words);
}

static void fail(geo_csv_job *job, sx_status why, const sx_error *err)
{
    end(job, why, sx_str_z(err->message));
}

/* ---- the beginning: dialect and plan ---- */

/* One character given by name of a parameter, or nothing. */
static bool read_char(sx_str text, geo_csv_char *out)
{
    uint32_t code;
    size_t len = sx_utf8_decode(text, &code);
    if (len != text.len || code == '\r' || code == '\n')
        return false;
    memcpy(out->bytes, text.data, len);
    out->len = (uint8_t)len;
    return true;
}

static void sniff(void *arg)
{
    geo_csv_job *job = arg;
    step_back();
    job->sniffed = geo_csv_dialect_of(sx_utf8_first(sx_buf_view(&job->text), GEO_CSV_SAMPLE_BYTES),
                                      &job->dialect);
}

static void begin_rows(geo_csv_job *job)
{
    const geo_csv_options *o = job->with.options;
    sx_error err;
    if (o->quote.len && !read_char(o->quote, &job->dialect.quote)) {
        sx_fail(&err, SX_EINVAL,
                "The \"quote\" parameter is invalid. It is one character, not %zu "
                "bytes such as '%.*s'.",
                o->quote.len, SX_ARG(o->quote));
        fail(job, SX_EINVAL, &err);
        return;
    }
    geo_csv_reader_init(&job->reader, &job->dialect,
                        o->row_bytes_max ? o->row_bytes_max : ROW_BYTES_DEFAULT);
    become(job, JOB_HEADER);
}

static void sniffed(sx_loop *loop, void *arg)
{
    geo_csv_job *job = arg;
    (void)loop;
    job->depth++;
    job->working--;
    if (job->state == JOB_SNIFFING) {
        sx_error err;
        if (job->sniffed == SX_OK) {
            begin_rows(job);
        } else {
            sx_fail_memory(&err, "the dialect of a CSV file");
            fail(job, SX_ENOMEM, &err);
        }
    }
    pump(job);
    leave(job);
}

/* The text has begun or is whole: with a delimiter given nothing is guessed. */
static void begin(geo_csv_job *job)
{
    const geo_csv_options *o = job->with.options;
    sx_error err;
    if (job->text.len == 0) {
        end(job, SX_END, SX_STR("Empty file"));
        return;
    }
    if (o->delimiter.len) {
        job->dialect = GEO_CSV_EXCEL;
        if (read_char(o->delimiter, &job->dialect.delimiter)) {
            begin_rows(job);
            return;
        }
        sx_fail(&err, SX_EINVAL,
                "The \"delimiter\" parameter is invalid. It is one character, not "
                "%zu bytes such as '%.*s'.",
                o->delimiter.len, SX_ARG(o->delimiter));
        fail(job, SX_EINVAL, &err);
        return;
    }
    sx_status status = geo_csv_crew_run(job->with.crew, job->with.loop, sniff, sniffed, job, &err);
    if (status != SX_OK) {
        fail(job, status, &err);
        return;
    }
    job->working++;
    become(job, JOB_SNIFFING);
}

static sx_str unread(const geo_csv_job *job)
{
    return sx_str_from(sx_buf_view(&job->text), job->text_at);
}

static void row_too_long(geo_csv_job *job, const geo_csv_row *row)
{
    sx_error err;
    sx_fail(&err, SX_ELIMIT, "Row too long, limit is %zu bytes (row number %llu)",
            job->reader.row_bytes_max, (unsigned long long)row->number);
    fail(job, SX_ELIMIT, &err);
}

/* The marks and the header's row, in the wanted charset. */
static void send_first(geo_csv_job *job)
{
    const geo_csv_options *o = job->with.options;
    sx_buf out;
    sx_buf_init(&out, 0);
    sx_buf_str(&out, geo_csv_mark(&job->charset));
    bool may_mark = !o->encoding.data || sx_str_eq(o->encoding, SX_STR("utf-8")) ||
                    sx_str_eq(o->encoding, SX_STR("utf-8-sig"));
    if (o->with_bom && may_mark)
        sx_buf_str(&out, SX_STR("\xef\xbb\xbf"));
    geo_csv_encode(&job->charset, sx_buf_view(&job->first), &out);
    if (out.failed) {
        sx_error err;
        sx_fail_memory(&err, "the header of a CSV file");
        fail(job, SX_ENOMEM, &err);
    } else {
        job->with.events->output(job->with.ctx, sx_buf_view(&out));
    }
    sx_buf_done(&out);
}

/* Reads the header once it is whole. */
static void read_header(geo_csv_job *job)
{
    sx_error err;
    sx_status status = SX_OK;
    /* By characters, so that nothing behind the header is read with it. */
    while (status == SX_OK && job->text_at < job->text.len && job->header.count == 0) {
        uint32_t code;
        size_t len = sx_utf8_decode(unread(job), &code);
        sx_str one = sx_str_first(unread(job), len);
        status = geo_csv_read(&job->reader, &one, SIZE_MAX, &job->header);
        job->text_at += len;
    }
    if (status == SX_OK && job->header.count == 0 && job->decoded_all)
        status = geo_csv_read_end(&job->reader, &job->header);
    if (status == SX_OK && job->header.count == 0) {
        if (!job->decoded_all)
            return;
        end(job, SX_END, SX_STR("Empty file")); /* nothing but carriage returns */
        return;
    }
    if (status == SX_OK && job->header.rows[0].is_cut) {
        row_too_long(job, &job->header.rows[0]);
        return;
    }
    if (status == SX_OK)
        status = geo_csv_plan_make(&job->arena, job->with.options, &job->dialect, &job->charset,
                                   &job->header, &job->plan, &job->first, &err);
    else
        sx_fail_memory(&err, "the header of a CSV file");
    if (status != SX_OK) {
        end(job, status, job->plan.refusal.data ? job->plan.refusal : sx_str_z(err.message));
        return;
    }
    become(job, JOB_RUNNING);
    send_first(job);
}

/* ---- the rows ---- */

/* By a thread of the crew. */
static void answer_block(void *arg)
{
    block *b = arg;
    geo_csv_job *job = b->job;
    step_back();
    geo_csv_worker *w = take_worker(job->with.crew, &b->err);
    b->status = w ? SX_OK : SX_ENOMEM;
    b->answered = 0;
    if (w)
        w->keep_going = job->with.options->keep_going || atomic_load(&job->committed);
    for (size_t i = 0; i < b->rows.count && b->status == SX_OK; i++) {
        if (atomic_load_explicit(&job->canceled, memory_order_relaxed))
            break;
        b->status = geo_csv_answer(&job->plan, job->with.index, w, &b->rows, &b->rows.rows[i],
                                   &b->utf8, &b->err);
        b->answered += b->status == SX_OK;
    }
    if (w)
        give_worker(job->with.crew, w);
    if (job->charset.form != GEO_CSV_UTF8)
        geo_csv_encode(&job->charset, sx_buf_view(&b->utf8), &b->out);
    if (b->status == SX_OK && (b->utf8.failed || b->out.failed))
        b->status = sx_fail_memory(&b->err, "answered rows");
}

static void block_answered(sx_loop *loop, void *arg)
{
    block *b = arg;
    geo_csv_job *job = b->job;
    (void)loop;
    job->depth++;
    b->state = BLOCK_DONE;
    job->working--;
    pump(job);
    leave(job);
}

static void clear_block(block *b)
{
    geo_csv_rows_clear(&b->rows);
    sx_buf_clear(&b->utf8);
    sx_buf_clear(&b->out);
    b->status = SX_OK;
    b->state = BLOCK_FREE;
}

static void drop_read_text(geo_csv_job *job)
{
    sx_buf_consume(&job->text, job->text_at);
    job->text_at = 0;
}

/* Fills the block at next_in from the text. True if it is ready to be answered. */
static bool fill_block(geo_csv_job *job, block *b)
{
    sx_str text = unread(job);
    sx_status status = geo_csv_read(&job->reader, &text, BLOCK_TEXT, &b->rows);
    job->text_at = job->text.len - text.len;
    bool dry = text.len == 0;
    if (status == SX_OK && dry && job->decoded_all)
        status = geo_csv_read_end(&job->reader, &b->rows);
    if (status != SX_OK) {
        sx_error err;
        sx_fail_memory(&err, "rows of a CSV file");
        fail(job, SX_ENOMEM, &err);
        return false;
    }
    bool may_refuse = !job->with.options->keep_going && !atomic_load(&job->committed);
    for (size_t i = 0; i < b->rows.count; i++) {
        if (!b->rows.rows[i].is_cut)
            continue;
        if (may_refuse) {
            row_too_long(job, &b->rows.rows[i]);
            return false;
        }
        if (job->cut++ == 0)
            job->first_cut = b->rows.rows[i].number;
    }
    if (dry && job->decoded_all)
        job->read_all = true;
    /* Half a row stays in the block that it began in, which then waits for more text. */
    return b->rows.count > 0 && (!dry || geo_csv_between_rows(&job->reader));
}

static bool answer(geo_csv_job *job, block *b)
{
    sx_error err;
    sx_status status =
        geo_csv_crew_run(job->with.crew, job->with.loop, answer_block, block_answered, b, &err);
    if (status != SX_OK) {
        fail(job, status, &err);
        return false;
    }
    b->state = BLOCK_WORKING;
    job->working++;
    return true;
}

/* Hands out blocks while there are free ones and text for them. */
static void hand_out(geo_csv_job *job)
{
    while (job->state == JOB_RUNNING && !job->read_all) {
        block *b = &job->blocks[job->next_in % job->block_count];
        if (b->state > BLOCK_READING || (job->text_at == job->text.len && !job->decoded_all))
            return;
        b->state = BLOCK_READING;
        if (!fill_block(job, b))
            continue;
        if (!answer(job, b))
            return;
        job->next_in++;
    }
}

/* Gives out what is done, in order. */
static void give_out(geo_csv_job *job)
{
    while (job->state == JOB_RUNNING && !job->held && job->next_out < job->next_in) {
        block *b = &job->blocks[job->next_out % job->block_count];
        if (b->state != BLOCK_DONE)
            return;
        if (b->status == SX_ELIMIT && atomic_load(&job->committed)) {
            /* It was answered before the answer was on its way: now no row is refused. */
            sx_buf_clear(&b->utf8);
            sx_buf_clear(&b->out);
            (void)answer(job, b);
            return;
        }
        if (b->status != SX_OK) {
            sx_error err = b->err;
            fail(job, b->status, &err);
            return;
        }
        job->next_out++;
        job->rows += b->answered;
        const sx_buf *out = job->charset.form == GEO_CSV_UTF8 ? &b->utf8 : &b->out;
        job->with.events->output(job->with.ctx, sx_buf_view(out));
        clear_block(b);
    }
    if (job->state == JOB_RUNNING && !job->held && job->read_all && job->next_out == job->next_in)
        end(job, SX_OK, SX_STR(""));
}

/* What the end of the file leaves to decode. Not while a thread reads the text. */
static void decode_end(geo_csv_job *job)
{
    sx_error err;
    if (!job->finished || job->decoded_all || job->state == JOB_SNIFFING || job->state == JOB_ENDED)
        return;
    job->decoded_all = true;
    job->decoder.lenient = atomic_load(&job->committed);
    if (geo_csv_decode(&job->decoder, sx_str_of("", 0), GEO_CSV_LAST, &job->text, &err) != SX_OK)
        fail(job, SX_EFORMAT, &err);
}

static bool is_full(const geo_csv_job *job)
{
    switch (job->state) {
    case JOB_SAMPLING:
        return job->text.len >= GEO_CSV_SAMPLE_BYTES;
    case JOB_SNIFFING:
        return true;
    case JOB_ENDED:
        return false;
    default:
        return unread(job).len >= TEXT_HIGH;
    }
}

/* With a delimiter given nothing is guessed from the beginning. */
static bool needs_no_sample(const geo_csv_job *job)
{
    return job->with.options->delimiter.len && job->text.len;
}

/* Moves everything on as far as it goes. An event that calls us again only adds to what this does. */
static void pump(geo_csv_job *job)
{
    bool again = !job->pumping;
    while (again) {
        job->pumping = true;
        decode_end(job);
        if (job->state == JOB_SAMPLING &&
            (job->decoded_all || is_full(job) || needs_no_sample(job)))
            begin(job);
        if (job->state == JOB_HEADER)
            read_header(job);
        hand_out(job);
        give_out(job);
        hand_out(job);
        if (job->state == JOB_RUNNING && job->text_at >= TEXT_HIGH / 2)
            drop_read_text(job);
        again = job->starving && !is_full(job) && job->state != JOB_ENDED;
        if (again) {
            job->starving = false;
            job->with.events->room(job->with.ctx);
        }
        job->pumping = false;
    }
}

sx_status geo_csv_job_feed(geo_csv_job *job, sx_str bytes)
{
    sx_error err;
    if (job->state == JOB_ENDED)
        return SX_OK;
    sx_assert(job->state != JOB_SNIFFING && !job->finished);
    job->depth++;
    job->decoder.lenient = atomic_load(&job->committed);
    if (geo_csv_decode(&job->decoder, bytes, GEO_CSV_PIECE, &job->text, &err) != SX_OK) {
        fail(job, SX_EFORMAT, &err);
    } else if (job->text.failed) {
        sx_fail_memory(&err, "the text of a CSV file");
        fail(job, SX_ENOMEM, &err);
    }
    pump(job);
    bool full = is_full(job);
    job->starving = full;
    leave(job);
    return full ? SX_AGAIN : SX_OK;
}

void geo_csv_job_finish(geo_csv_job *job)
{
    job->depth++;
    job->finished = true;
    pump(job);
    leave(job);
}

void geo_csv_job_hold(geo_csv_job *job)
{
    job->held = true;
}

void geo_csv_job_go_on(geo_csv_job *job)
{
    job->depth++;
    job->held = false;
    pump(job);
    leave(job);
}

void geo_csv_job_commit(geo_csv_job *job)
{
    atomic_store(&job->committed, true);
}

uint64_t geo_csv_job_rows(const geo_csv_job *job)
{
    return job->rows;
}

geo_csv_flaws geo_csv_job_flaws(const geo_csv_job *job)
{
    return (geo_csv_flaws){job->cut, job->first_cut, job->reader.is_quote_open};
}
