/* geocode_batch.c - `sextant geocode batch`: answers the rows of a CSV file on all cores.
 *
 * The same conveyor as /search/csv/ (geocode/api/csv_job.h), on a loop of its own in the main thread:
 * a thread reads the input, the crew answers, the loop writes in order. No row fails the file. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/file.h>
#include <sextant/mem.h>

#include "cmd/command.h"
#include "geocode/api/csv_form.h"
#include "geocode/api/csv_job.h"

enum { READ_BYTES = 256 << 10, BAR_CELLS = 30, DRAW_MS = 100, LIST_MAX = 256 };

typedef struct batch {
    geo_csv_options options;
    sx_arena arena;
    geo_index *index;
    sx_loop *loop;
    geo_csv_crew *crew;
    sx_pool *disk; /* of one thread, which reads */
    geo_csv_job *job;

    /* The reading thread's while it works. */
    sx_reader in;
    char *piece;
    size_t piece_len;
    sx_status read_status;
    sx_error read_err;

    sx_replace file; /* the output, if it has a name */
    bool to_file, draws;
    uint64_t in_bytes, in_total; /* total 0: unknown */
    int64_t began_ms, drawn_ms;
    uint64_t rows;
    geo_csv_flaws flaws;
    bool ended;
    sx_status status;
    sx_error err; /* why it failed */
} batch;

static int64_t now_ms(void)
{
    return sx_clock_mono_ns(sx_clock_system()) / 1000000;
}

/* ---- options ---- */

/* Splits at commas. */
static sx_status read_list(batch *b, const char *text, sx_str *out, size_t *count, sx_error *err)
{
    for (sx_str rest = sx_str_z(text), one; rest.len;) {
        sx_str_cut(rest, ',', &one, &rest);
        if (*count == LIST_MAX)
            return sx_fail(err, SX_EINVAL, "a list of more than %d", LIST_MAX);
        out[*count] = sx_arena_copy(&b->arena, one);
        if (!out[(*count)++].data)
            return sx_fail_memory(err, "the command line");
    }
    return SX_OK;
}

/* --filter postcode=cp,type=kind */
static sx_status read_filters(batch *b, const char *text, sx_error *err)
{
    sx_str list[LIST_MAX];
    size_t count = 0;
    sx_status status = read_list(b, text, list, &count, err);
    const char **keys = sx_arena_calloc(&b->arena, GEO_CSV_FILTERS_MAX, sizeof(*keys));
    sx_str *columns = sx_arena_calloc(&b->arena, GEO_CSV_FILTERS_MAX, sizeof(*columns));
    if (status == SX_OK && (!keys || !columns))
        return sx_fail_memory(err, "the command line");
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        sx_str key, column;
        if (!sx_str_cut(list[i], '=', &key, &column) || !key.len || !column.len)
            return sx_fail(err, SX_EINVAL, "--filter is KEY=COLUMN[,KEY=COLUMN], not '%s'", text);
        if (i == GEO_CSV_FILTERS_MAX)
            return sx_fail(err, SX_EINVAL, "more than %d filters", GEO_CSV_FILTERS_MAX);
        sx_str kept = sx_arena_copy(&b->arena, key); /* with a NUL behind it */
        if (!kept.data)
            return sx_fail_memory(err, "the command line");
        keys[i] = kept.data;
        columns[i] = column;
    }
    b->options.filter_keys = keys;
    b->options.filter_columns = columns;
    b->options.filter_count = count;
    return status;
}

static sx_status read_options(batch *b, const cmd_args *args, sx_error *err)
{
    geo_csv_options *o = &b->options;
    sx_str *columns = sx_arena_calloc(&b->arena, LIST_MAX, sizeof(*columns));
    const char *least = cmd_value(args, "min-score");
    if (!columns)
        return sx_fail_memory(err, "the command line");
    o->kind = cmd_switch(args, "reverse") ? GEO_CSV_REVERSE : GEO_CSV_SEARCH;
    o->columns = columns;
    o->encoding = sx_str_z(cmd_value(args, "encoding"));
    o->delimiter = sx_str_z(cmd_value(args, "delimiter"));
    if (sx_str_eq(o->delimiter, SX_STR("\\t")))
        o->delimiter = SX_STR("\t"); /* shells make a tab hard to type */
    o->quote = sx_str_z(cmd_value(args, "quote"));
    o->lat = sx_str_z(cmd_value(args, "lat"));
    o->lon = sx_str_z(cmd_value(args, "lon"));
    o->keep_going = o->strict = true;
    o->better = cmd_switch(args, "better") ? GEO_BETTER_ALL : 0;
    o->has_min_score = least != NULL;
    if (!o->lat.len != !o->lon.len)
        return sx_fail(err, SX_EINVAL, "--lat and --lon go together: the columns of a point");
    if (o->lat.len && o->kind == GEO_CSV_REVERSE)
        return sx_fail(err, SX_EINVAL,
                       "--reverse takes its point from the columns latitude and longitude (or lat, "
                       "lon); leave out --lat and --lon");
    if (least && (!geo_python_float(sx_str_z(least), &o->min_score) ||
                  !(o->min_score >= 0 && o->min_score <= 1)))
        return sx_fail(err, SX_EINVAL, "--min-score is a number from 0 to 1, not '%s'", least);
    sx_status status = read_list(b, cmd_value(args, "columns"), columns, &o->column_count, err);
    return status == SX_OK ? read_filters(b, cmd_value(args, "filter"), err) : status;
}

/* What the index cannot be asked for is told, with what it can. */
static sx_status check_filters(const batch *b, sx_error *err)
{
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < b->options.filter_count; i++) {
        sx_str wanted = sx_str_z(b->options.filter_keys[i]), key;
        bool found = false;
        for (uint32_t k = 0; !found && (key = geo_index_filter_key(b->index, k)).len; k++) {
            found = sx_str_eq(key, wanted);
            int len = snprintf(names + used, sizeof(names) - used, "%s%.*s", used ? ", " : "",
                               SX_ARG(key));
            used = used + (size_t)len < sizeof(names) ? used + (size_t)len : sizeof(names) - 1;
        }
        if (!found)
            return sx_fail(err, SX_EINVAL, "--filter: the index has no filter '%.*s'; it has %s",
                           SX_ARG(wanted), used ? names : "none");
        used = 0;
    }
    return SX_OK;
}

/* ---- the conveyor ---- */

static void stop(batch *b, sx_status status, sx_str words)
{
    if (b->ended)
        return;
    b->ended = true;
    b->status = status;
    if (status != SX_OK)
        sx_fail(&b->err, status, "%.*s", SX_ARG(words));
    sx_loop_stop(b->loop);
}

static void draw(batch *b)
{
    int64_t now = now_ms();
    if (!b->draws || now - b->drawn_ms < DRAW_MS)
        return;
    b->drawn_ms = now;
    uint64_t rows = geo_csv_job_rows(b->job);
    double rate = now > b->began_ms ? (double)rows * 1000 / (double)(now - b->began_ms) : 0;
    fputs("\r", stderr);
    if (b->in_total) {
        double share = (double)b->in_bytes / (double)b->in_total;
        for (int i = 0; i < BAR_CELLS; i++)
            fputs(i < (int)(share * BAR_CELLS) ? "█" : "░", stderr);
        fprintf(stderr, " %3.0f %% ", share * 100);
    }
    fprintf(stderr, " %llu rows, %.0f rows/s\033[K", (unsigned long long)rows, rate);
    fflush(stderr);
}

static void on_output(void *ctx, sx_str bytes)
{
    batch *b = ctx;
    sx_error err;
    sx_status status = SX_OK;
    if (b->to_file)
        status = sx_writer_bytes(&b->file.writer, bytes.data, bytes.len, &err);
    else if (fwrite(bytes.data, 1, bytes.len, stdout) != bytes.len)
        status = sx_fail_os(&err, errno, "cannot write the output");
    if (status != SX_OK)
        stop(b, status, sx_str_z(err.message));
    draw(b);
}

static void on_ended(void *ctx, sx_status why, sx_str words)
{
    stop(ctx, why, words);
}

/* By the reading thread. */
static void read_piece(void *arg)
{
    batch *b = arg;
    b->read_status = sx_reader_read(&b->in, b->piece, READ_BYTES, &b->piece_len, &b->read_err);
}

static void piece_read(sx_loop *loop, void *arg);

static void read_more(void *ctx)
{
    batch *b = ctx;
    sx_error err;
    if (!b->ended && sx_pool_submit(b->disk, b->loop, read_piece, piece_read, b, &err) != SX_OK)
        stop(b, err.status, sx_str_z(err.message));
}

static void piece_read(sx_loop *loop, void *arg)
{
    batch *b = arg;
    (void)loop;
    if (b->ended)
        return;
    if (b->read_status != SX_OK && b->read_status != SX_END) {
        stop(b, b->read_status, sx_str_z(b->read_err.message));
        return;
    }
    b->in_bytes += b->piece_len;
    if (b->read_status == SX_END)
        geo_csv_job_finish(b->job);
    else if (geo_csv_job_feed(b->job, sx_str_of(b->piece, b->piece_len)) == SX_OK)
        read_more(b);
}

static const geo_csv_events EVENTS = {on_output, read_more, on_ended, NULL};

static sx_status set_up(batch *b, const cmd_args *args, sx_error *err)
{
    const char *output = cmd_value(args, "output");
    uint64_t threads = 0;
    struct stat about;
    if (!sx_str_to_u64(sx_str_z(cmd_value(args, "threads")), &threads) || threads > 256)
        return sx_fail(err, SX_EINVAL, "--threads is 0 to 256, not '%s'",
                       cmd_value(args, "threads"));
    sx_status status = read_options(b, args, err);
    if (status == SX_OK)
        status = geo_index_open(cmd_value(args, "index"), &b->index, err);
    if (status == SX_OK)
        status = check_filters(b, err);
    if (status == SX_OK)
        status = sx_reader_open(&b->in, args->rest[0], err);
    if (status != SX_OK)
        return status;
    if (fstat(b->in.fd, &about) == 0 && S_ISREG(about.st_mode))
        b->in_total = (uint64_t)about.st_size;
    b->to_file = output && !sx_str_eq(sx_str_z(output), SX_STR("-"));
    b->draws = !cmd_switch(args, "quiet") && isatty(STDERR_FILENO);
    b->piece = sx_alloc(READ_BYTES);
    if (!b->piece)
        return sx_fail_memory(err, "the input");
    if (b->to_file)
        status = sx_replace_open(&b->file, output, 0, err);
    if (status == SX_OK)
        status = sx_loop_new(NULL, 0, &b->loop, err);
    if (status == SX_OK)
        status = geo_csv_crew_new((unsigned)threads, &b->crew, err);
    if (status == SX_OK)
        status = sx_pool_new(&(sx_pool_options){.name = "read", .threads = 1}, &b->disk, err);
    if (status == SX_OK)
        status = geo_csv_job_new(&(geo_csv_job_options){.crew = b->crew,
                                                        .loop = b->loop,
                                                        .index = b->index,
                                                        .options = &b->options,
                                                        .events = &EVENTS,
                                                        .ctx = b},
                                 &b->job, err);
    return status;
}

/* What was lost is said and shows in the exit status, even with --quiet; the rest was written. */
static int tell_flaws(const geo_csv_flaws *flaws)
{
    if (flaws->cut)
        fprintf(
            stderr,
            "sextant: %llu rows were too long and are cut, the first is row %llu; is a quotation "
            "mark left open there?\n",
            (unsigned long long)flaws->cut, (unsigned long long)flaws->first_cut);
    if (flaws->is_quote_open)
        fputs("sextant: the file ends inside quotation marks: all after the last opening one is a "
              "single row\n",
              stderr);
    return flaws->cut || flaws->is_quote_open;
}

/* The threads end first, then what they report is taken when the loop is freed. */
static void tear_down(batch *b)
{
    if (b->job) {
        b->rows = geo_csv_job_rows(b->job);
        b->flaws = geo_csv_job_flaws(b->job);
        geo_csv_job_free(b->job);
    }
    if (b->crew)
        geo_csv_crew_stop(b->crew);
    sx_pool_free(b->disk);
    if (b->loop)
        sx_loop_free(b->loop);
    geo_csv_crew_free(b->crew);
    sx_free(b->piece);
    if (b->in.path)
        sx_reader_close(&b->in);
    geo_index_close(b->index);
    sx_arena_done(&b->arena);
}

static sx_status finish_output(batch *b, sx_error *err)
{
    if (b->to_file)
        return sx_replace_commit(&b->file, err);
    return fflush(stdout) == 0 ? SX_OK : sx_fail_os(err, errno, "cannot write the output");
}

int cmd_geocode_batch(const cmd_args *args)
{
    sx_error err = {0};
    if (!cmd_value(args, "index")) {
        fprintf(stderr,
                "sextant: geocode batch needs --index INDEX; 'sextant geocode import' makes "
                "one\n");
        return 2;
    }
    batch *b = sx_calloc(1, sizeof(*b));
    if (!b) {
        sx_fail_memory(&err, "a CSV batch");
        return cmd_failed(&err);
    }
    sx_arena_init(&b->arena, 0, 0);
    b->began_ms = now_ms();
    sx_status status = set_up(b, args, &err);
    bool wrong_line = status == SX_EINVAL;
    if (status == SX_OK) {
        read_more(b);
        sx_loop_run(b->loop);
        status = b->status;
        err = b->err;
        wrong_line = status == SX_EINVAL; /* it names a column that the file does not have */
        if (status == SX_OK)
            status = finish_output(b, &err);
        else
            sx_error_prefix(&err, status, "%s", args->rest[0]);
    }
    bool draws = b->draws;
    double seconds = (double)(now_ms() - b->began_ms) / 1000;
    if (status != SX_OK && b->to_file)
        sx_replace_abandon(&b->file);
    tear_down(b);
    uint64_t rows = b->rows;
    geo_csv_flaws flaws = b->flaws;
    sx_free(b);
    if (draws)
        fputs("\r\033[K", stderr);
    if (status != SX_OK)
        return wrong_line ? (cmd_failed(&err), 2) : cmd_failed(&err);
    if (!cmd_switch(args, "quiet"))
        fprintf(stderr, "answered %llu rows in %.2f s, %.0f rows/s\n", (unsigned long long)rows,
                seconds, seconds > 0 ? (double)rows / seconds : 0);
    return tell_flaws(&flaws);
}
