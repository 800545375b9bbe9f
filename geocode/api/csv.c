/* csv.c - an upload from its head to its answer.
 *
 *     RECEIVING  form parts; the file goes into the spool (with `stream`: into the job)
 *     ANSWERING  the form is whole: spool -> job -> answer, as fast as the client takes it
 *     CLOSING    answered, refused, or the client has gone; the crew may still have something
 *
 * An upload is let go when the request, the job and the spool have each said that they are done with
 * it. Until the answer has begun it can still be refused with a status; so that small files get the
 * length of their answer and Addok's errors, it begins with the first HELD_BYTES or at the end. */
#include "geocode/api/csv.h"

#include <sextant/mem.h>
#include <sextant/service.h>

#include "geocode/api/csv_form.h"
#include "geocode/api/csv_spool.h"
#include "geocode/api/refusal.h"
#include "geocode/api/scratch.h"

enum { HELD_BYTES = 1 << 20, WORDS_MAX = 200, NAME_BYTES_MAX = 1024 };

struct geo_csv {
    const geo_csv_settings *settings;
    geo_csv_crew *crew;
};

sx_status geo_csv_new(const geo_csv_settings *settings, geo_csv **out, sx_error *err)
{
    geo_csv *csv = sx_calloc(1, sizeof(*csv));
    if (!csv)
        return sx_fail_memory(err, "CSV batches");
    csv->settings = settings;
    sx_status status = geo_csv_crew_new(settings->threads, &csv->crew, err);
    if (status != SX_OK) {
        sx_free(csv);
        return status;
    }
    *out = csv;
    return SX_OK;
}

void geo_csv_stop(geo_csv *csv)
{
    if (csv)
        geo_csv_crew_stop(csv->crew);
}

void geo_csv_free(geo_csv *csv)
{
    if (!csv)
        return;
    geo_csv_crew_free(csv->crew);
    sx_free(csv);
}

/* ---- an upload ---- */

typedef enum upload_state { RECEIVING, ANSWERING, CLOSING, UPLOAD_STATES } upload_state;

static const bool MAY_BECOME[UPLOAD_STATES][UPLOAD_STATES] = {
    [RECEIVING] = {[ANSWERING] = true, [CLOSING] = true},
    [ANSWERING] = {[CLOSING] = true},
};

/* Which part of the form is being read. */
typedef enum upload_part { PART_OTHER, PART_FIELD, PART_FILE } upload_part;

typedef struct upload {
    upload_state state;
    sx_request *r; /* NULL once it is answered or gone */
    geo_endpoint endpoint;
    const geo_csv *csv;
    geo_snapshot *on; /* held */
    sx_loop *loop;
    unsigned holders; /* of request, job, spool */
    bool streams;     /* rows are answered while the file comes */
    bool file_seen, has_multipart;
    bool paused;       /* the request's body */
    bool body_is_read; /* its last piece has come */
    bool begun;        /* the answer is on its way */
    sx_multipart multipart;
    upload_part part;
    sx_buf field; /* the value of the field being read */
    sx_str field_name;
    sx_arena arena;
    geo_csv_form form;
    sx_str filename;
    uint64_t body_bytes;                    /* received: of all, and of the file */
    uint64_t file_bytes, line_bytes, lines; /* line_bytes: since the last line feed */
    geo_csv_options options;
    geo_csv_spool spool;
    geo_csv_job *job;
    sx_buf held; /* the answer's beginning */
    sx_buf late; /* streaming: what a piece of the body still had when the job was full */
    bool job_is_full, file_ended;
} upload;

static void become(upload *u, upload_state next)
{
    sx_assert(MAY_BECOME[u->state][next]);
    u->state = next;
}

static void let_go(upload *u)
{
    if (--u->holders > 0)
        return;
    if (u->has_multipart)
        sx_multipart_done(&u->multipart);
    sx_buf_done(&u->field);
    sx_buf_done(&u->held);
    sx_buf_done(&u->late);
    sx_arena_done(&u->arena);
    geo_snapshot_unref(u->on);
    sx_free(u);
}

static void part_gone(void *ctx)
{
    let_go(ctx);
}

/* The end for everything but what is still at work. `u` may be gone afterwards. */
static void close_upload(upload *u)
{
    if (u->state == CLOSING)
        return;
    become(u, CLOSING);
    u->r = NULL;
    u->holders++;
    geo_csv_job_free(u->job);
    geo_csv_spool_close(&u->spool);
    let_go(u);
    let_go(u); /* the request's */
}

/* ---- answers ---- */

/* Takes the request from the upload, which closes, and makes its scratch tell the right endpoint. */
static sx_request *take_request(upload *u)
{
    sx_request *r = u->r;
    (void)geo_api_scratch(r, u->endpoint);
    sx_request_events_set(r, NULL, NULL);
    return r;
}

static void refuse(upload *u, int status, sx_str title, sx_str description)
{
    if (!u->r)
        return;
    sx_request *r = take_request(u);
    if (u->begun) {
        sx_reply_abort(r); /* the client is to notice that it is not whole */
    } else {
        geo_refusal refusal = {status, title, description};
        geo_refuse(r, &refusal);
    }
    close_upload(u);
}

static void refuse_500(upload *u)
{
    refuse(u, 500, SX_STR("500 Internal Server Error"), sx_str_of(NULL, 0));
}

static sx_str encoding_of(const upload *u)
{
    return u->options.encoding.data ? u->options.encoding : SX_STR("utf-8-sig");
}

static void refuse_encoding(upload *u, sx_str words)
{
    sx_str title = sx_arena_printf(&u->arena, "Unable to decode with encoding \"%.*s\"",
                                   SX_ARG(encoding_of(u)));
    sx_str kept = sx_arena_copy(&u->arena, words);
    if (title.data && kept.data)
        refuse(u, 400, title, kept);
    else
        refuse_500(u);
}

/* Why a job was given up, in Addok's form. */
static void refuse_job(upload *u, sx_status why, sx_str words)
{
    sx_str kept = sx_arena_copy(&u->arena, words);
    switch (kept.data ? why : SX_ENOMEM) {
    case SX_EFORMAT:
        refuse_encoding(u, kept);
        break;
    case SX_EINVAL:
        if (sx_str_starts(kept, SX_STR("The \"")))
            refuse(u, 400, SX_STR("Invalid parameter"), kept);
        else
            refuse(u, 400, kept, sx_str_of(NULL, 0));
        break;
    case SX_END:
        refuse(u, 400, kept, sx_str_of(NULL, 0));
        break;
    case SX_ELIMIT:
        refuse(u, 413, kept, sx_str_of(NULL, 0));
        break;
    case SX_REFUSED:
        refuse(u, 503, SX_STR("503 Service Unavailable"), kept);
        break;
    default:
        refuse_500(u);
    }
}

/* "dir/x.csv" gives "dir/x.geocoded.csv", as Addok does; ".csv" has no ending to lose. What would
 * break the header field is left out. */
static void add_disposition(upload *u)
{
    sx_str name = u->filename;
    size_t dot = name.len, slash = name.len;
    while (dot > 0 && name.data[dot - 1] != '.')
        dot--;
    while (slash > 0 && name.data[slash - 1] != '/')
        slash--;
    bool only_dots = true;
    for (size_t i = slash; i + 1 < dot; i++)
        only_dots = only_dots && name.data[i] == '.';
    if (dot > 0 && dot > slash && !only_dots)
        name = sx_str_first(name, dot - 1);
    char clean[NAME_BYTES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < name.len && len < sizeof(clean); i++) {
        if ((unsigned char)name.data[i] >= 0x20 && name.data[i] != 0x7f && name.data[i] != '"')
            clean[len++] = name.data[i];
    }
    sx_str field =
        sx_arena_printf(&u->arena, "attachment; filename=\"%.*s.geocoded.csv\"", (int)len, clean);
    if (field.data)
        (void)sx_reply_header(u->r, SX_STR("Content-Disposition"), field);
}

static sx_str answer_head(upload *u)
{
    geo_allow_any_origin(u->r);
    add_disposition(u);
    (void)geo_api_scratch(u->r, u->endpoint);
    geo_api_count(u->r, 200);
    sx_str type = sx_arena_printf(&u->arena, "text/csv; charset=%.*s", SX_ARG(encoding_of(u)));
    return type.data ? type : SX_STR("text/csv");
}

/* From here on the answer is on its way: no row fails the file any more. */
static void begin_answer(upload *u)
{
    u->begun = true;
    geo_csv_job_commit(u->job);
    sx_status status = sx_reply_begin(u->r, 200, answer_head(u), SX_LENGTH_UNKNOWN);
    if (status == SX_OK)
        status = sx_reply_write(u->r, sx_buf_view(&u->held));
    sx_buf_done(&u->held);
    if (status == SX_AGAIN)
        geo_csv_job_hold(u->job);
}

static void on_output(void *ctx, sx_str bytes)
{
    upload *u = ctx;
    if (!u->r)
        return;
    if (u->begun) {
        if (sx_reply_write(u->r, bytes) == SX_AGAIN)
            geo_csv_job_hold(u->job);
        return; /* of a client that has gone `aborted` tells */
    }
    sx_buf_str(&u->held, bytes);
    if (u->held.failed)
        refuse_500(u);
    else if (u->held.len > HELD_BYTES || u->streams)
        begin_answer(u);
}

static void on_ended(void *ctx, sx_status why, sx_str words)
{
    upload *u = ctx;
    if (!u->r)
        return;
    if (why != SX_OK) {
        refuse_job(u, why, words);
        return;
    }
    sx_str type = u->begun ? sx_str_of(NULL, 0) : answer_head(u);
    sx_request *r = u->r;
    sx_request_events_set(r, NULL, NULL);
    if (u->begun)
        sx_reply_end(r);
    else
        sx_reply(r, 200, type, sx_buf_view(&u->held));
    close_upload(u);
}

/* ---- the file on its way ---- */

static void resume_body(upload *u)
{
    if (u->paused && u->r) {
        u->paused = false;
        sx_request_resume(u->r);
    }
}

static void pause_body(upload *u)
{
    if (!u->paused && !u->body_is_read && u->r) {
        u->paused = true;
        sx_request_pause(u->r);
    }
}

/* Streaming: gives the job what it had no room for, then lets the body come again. */
static void feed_late(upload *u)
{
    u->job_is_full = u->late.len && geo_csv_job_feed(u->job, sx_buf_view(&u->late)) == SX_AGAIN;
    sx_buf_clear(&u->late);
    if (u->job_is_full || !u->r)
        return;
    if (u->file_ended)
        geo_csv_job_finish(u->job);
    else
        resume_body(u);
}

/* The job has room: for the next piece of the spool, or of the body. */
static void on_room(void *ctx)
{
    upload *u = ctx;
    if (u->streams)
        feed_late(u);
    else if (u->state == ANSWERING)
        geo_csv_spool_next(&u->spool);
}

static void on_spool_room(void *ctx)
{
    resume_body(ctx);
}

static void on_spool_piece(void *ctx, sx_str piece, sx_status status)
{
    upload *u = ctx;
    if (u->state != ANSWERING)
        return;
    u->holders++; /* an event may close it */
    if (status == SX_END)
        geo_csv_job_finish(u->job);
    else if (geo_csv_job_feed(u->job, piece) == SX_OK && u->state == ANSWERING)
        geo_csv_spool_next(&u->spool);
    let_go(u);
}

static void on_spool_failed(void *ctx, const sx_error *err)
{
    upload *u = ctx;
    sx_str words = sx_arena_copy(&u->arena, sx_str_z(err->message));
    refuse(u, 503, SX_STR("503 Service Unavailable"), words);
}

static const geo_csv_spool_events SPOOL_EVENTS = {on_spool_room, on_spool_piece, on_spool_failed,
                                                  part_gone};
static const geo_csv_events JOB_EVENTS = {on_output, on_room, on_ended, part_gone};

/* Reads the parameters and makes the job. False if the upload was refused. */
static bool start_job(upload *u)
{
    geo_refusal refusal;
    sx_error err;
    sx_status status = geo_csv_form_query(&u->form, &u->arena, u->r->query);
    if (status == SX_OK)
        status = geo_csv_form_read(&u->form, &u->arena, u->on->filters, &u->options, &refusal);
    if (status == SX_EINVAL) {
        refuse(u, refusal.status, refusal.title, refusal.description);
        return false;
    }
    if (status == SX_ELIMIT) {
        refuse(u, 400, SX_STR("Too many parameters"), sx_str_of(NULL, 0));
        return false;
    }
    u->options.kind = u->endpoint == GEO_ENDPOINT_search_csv ? GEO_CSV_SEARCH : GEO_CSV_REVERSE;
    u->options.row_bytes_max = u->csv->settings->row_bytes_max;
    geo_csv_job_options with = {.crew = u->csv->crew,
                                .loop = u->loop,
                                .index = u->on->index,
                                .options = &u->options,
                                .events = &JOB_EVENTS,
                                .ctx = u};
    if (status == SX_OK)
        status = geo_csv_job_new(&with, &u->job, &err);
    if (status == SX_OK) {
        u->holders++;
        return true;
    }
    if (status == SX_EINVAL)
        refuse_encoding(u, sx_str_z(err.message));
    else
        refuse_500(u);
    return false;
}

/* The form is whole. */
static void form_ended(upload *u)
{
    if (!u->file_seen) {
        refuse(u, 400, SX_STR("Missing file"), sx_str_of(NULL, 0));
    } else if (u->streams) {
        become(u, ANSWERING);
        u->file_ended = true;
        if (!u->job_is_full)
            geo_csv_job_finish(u->job);
    } else if (start_job(u)) {
        become(u, ANSWERING);
        geo_csv_spool_next(&u->spool);
    }
}

/* ---- the form ---- */

static sx_status part_begins(void *ctx, const sx_multipart_part *part, sx_error *err)
{
    upload *u = ctx;
    bool is_data = sx_str_eq(part->name, SX_STR("data"));
    u->part = PART_OTHER;
    sx_buf_clear(&u->field);
    if (is_data && !u->file_seen) {
        u->part = PART_FILE;
        u->file_seen = true;
        u->filename = sx_arena_copy(&u->arena, sx_str_first(part->filename, NAME_BYTES_MAX));
        if (!u->filename.data)
            return sx_fail_memory(err, "a form");
        u->streams = geo_csv_form_yes(&u->form, SX_STR("stream")) && start_job(u);
    } else if (!is_data && !part->is_file) {
        u->part = PART_FIELD;
        u->field_name = sx_arena_copy(&u->arena, part->name);
        if (!u->field_name.data)
            return sx_fail_memory(err, "a form");
    }
    return SX_OK;
}

/* A line that has no end is noticed while it comes, not when all of it is on the disk; unless no row
 * is to fail the file. */
static bool line_is_too_long(upload *u, sx_str piece)
{
    if (u->begun || geo_csv_form_yes(&u->form, SX_STR("better")))
        return false;
    while (piece.len) {
        size_t end = sx_str_find_byte(piece, '\n');
        u->line_bytes += end;
        if (u->line_bytes > u->csv->settings->row_bytes_max * 2) /* UTF-16 takes twice as much */
            return true;
        if (end < piece.len) {
            u->line_bytes = 0;
            u->lines++;
        }
        piece = sx_str_from(piece, end + 1);
    }
    return false;
}

static void refuse_long_line(upload *u)
{
    sx_str title = sx_arena_printf(
        &u->arena, "Row too long, limit is %llu bytes (line number %llu)",
        (unsigned long long)u->csv->settings->row_bytes_max, (unsigned long long)u->lines + 1);
    refuse(u, 413, title, sx_str_of(NULL, 0));
}

/* Whether the client has sent so little for so long that it only holds on to one of the few places.
 * Rows that are answered while they come may come as slowly as they like. */
static bool is_too_slow(const upload *u)
{
    const geo_csv_settings *set = u->csv->settings;
    int64_t took_ms = (sx_clock_mono_ns(sx_loop_clock(u->loop)) - u->r->start_mono_ns) / 1000000;
    return !u->streams && took_ms > (int64_t)set->slow_ms_max &&
           u->body_bytes < set->bytes_per_second_min * (uint64_t)took_ms / 1000;
}

static void refuse_slowness(upload *u)
{
    sx_str words = sx_arena_printf(
        &u->arena, "Fewer than %llu bytes a second have come (setting csv.bytes_per_second_min)",
        (unsigned long long)u->csv->settings->bytes_per_second_min);
    refuse(u, 408, SX_STR("408 Request Timeout"), words);
}

static void refuse_size(upload *u)
{
    sx_str title = sx_arena_printf(&u->arena,
                                   "File too long, limit is %llu bytes (setting "
                                   "csv.upload_bytes_max)",
                                   (unsigned long long)u->csv->settings->upload_bytes_max);
    refuse(u, 413, title, sx_str_of(NULL, 0));
}

static sx_status file_piece(upload *u, sx_str piece, sx_error *err)
{
    u->file_bytes += piece.len;
    if (u->file_bytes > u->csv->settings->upload_bytes_max) {
        refuse_size(u);
        return SX_OK;
    }
    if (line_is_too_long(u, piece)) {
        refuse_long_line(u);
        return SX_OK;
    }
    sx_status status;
    if (u->streams && u->job_is_full) { /* the body was paused within a piece of it */
        sx_buf_str(&u->late, piece);
        return sx_buf_status(&u->late, "an upload", err);
    }
    if (u->streams)
        status = geo_csv_job_feed(u->job, piece);
    else
        status = geo_csv_spool_add(&u->spool, piece, err);
    u->job_is_full = u->streams && status == SX_AGAIN;
    if (status == SX_AGAIN) {
        pause_body(u);
        status = SX_OK;
    }
    return status;
}

static sx_status part_data(void *ctx, sx_str piece, sx_error *err)
{
    upload *u = ctx;
    if (!u->r)
        return SX_ECANCELED;
    if (u->part == PART_FIELD) {
        sx_buf_str(&u->field, piece);
        return sx_buf_status(&u->field, "a form's field", err);
    }
    return u->part == PART_FILE ? file_piece(u, piece, err) : SX_OK;
}

static sx_status part_ends(void *ctx, sx_error *err)
{
    upload *u = ctx;
    if (!u->r)
        return SX_ECANCELED;
    if (u->part != PART_FIELD)
        return SX_OK;
    if (u->streams)
        return sx_fail(err, SX_ELIMIT, "with stream=1 parameters stand before the file");
    sx_status status = geo_csv_form_add(&u->form, &u->arena, u->field_name, sx_buf_view(&u->field));
    return status == SX_ELIMIT ? sx_fail(err, status, "too many or too long parameters") : status;
}

static const sx_multipart_events FORM_EVENTS = {part_begins, part_data, part_ends};

static void refuse_form(upload *u, const sx_error *err)
{
    switch (err->status) {
    case SX_EFORMAT: /* in Falcon's words, whatever was wrong */
        refuse(u, 400, SX_STR("Malformed multipart/form-data request media"),
               SX_STR("unexpected form structure"));
        break;
    case SX_ELIMIT:
        refuse(u, 400, SX_STR("Malformed multipart/form-data request media"),
               sx_arena_copy(&u->arena, sx_str_z(err->message)));
        break;
    case SX_EIO:
    case SX_EACCESS:
    case SX_REFUSED:
        on_spool_failed(u, err);
        break;
    default:
        refuse_500(u);
    }
}

/* ---- the request ---- */

static void on_body(sx_request *r, void *ctx, sx_str piece, bool last)
{
    upload *u = ctx;
    sx_error err = {0};
    (void)r;
    u->holders++; /* it may be refused while it is read */
    u->body_is_read = last;
    u->body_bytes += piece.len;
    sx_status status = sx_multipart_feed(&u->multipart, piece, &err);
    if (status == SX_OK && last && u->r)
        status = sx_multipart_finish(&u->multipart, &err);
    if (u->r) {
        if (status != SX_OK)
            refuse_form(u, &err);
        else if (last)
            form_ended(u);
        else if (is_too_slow(u))
            refuse_slowness(u);
    }
    let_go(u);
}

static void on_drained(sx_request *r, void *ctx)
{
    upload *u = ctx;
    (void)r;
    u->holders++;
    if (u->job && u->r)
        geo_csv_job_go_on(u->job);
    let_go(u);
}

static void on_aborted(sx_request *r, void *ctx)
{
    (void)r;
    close_upload(ctx);
}

static const sx_request_events REQUEST_EVENTS = {on_body, on_drained, on_aborted};

/* Answers all but POST. */
static bool other_method(sx_request *r)
{
    if (r->method == SX_POST)
        return false;
    if (r->method != SX_OPTIONS) {
        geo_refuse_method(r, SX_STR("POST, OPTIONS"));
        return true;
    }
    geo_allow_any_origin(r);
    sx_reply_header(r, SX_STR("Allow"), SX_STR("POST"));
    geo_api_count(r, 200);
    sx_reply(r, 200, SX_STR("application/json"), SX_STR(""));
    return true;
}

/* What Falcon says to a body that is no form. */
static void refuse_type(sx_request *r, sx_str type, sx_status why)
{
    geo_refusal refusal = {400, SX_STR("Missing file"), {0}};
    sx_str plain = sx_str_trim(sx_str_first(type, sx_str_find_byte(type, ';')));
    if (why == SX_EINVAL) {
        refusal = (geo_refusal){
            400, SX_STR("Invalid header value"),
            sx_arena_printf(&r->arena,
                            "The value provided for the \"Content-Type\" header is invalid. No "
                            "boundary specifier found in '%.*s'",
                            SX_ARG(type))};
    } else if (plain.len && !sx_str_ieq(plain, SX_STR("application/x-www-form-urlencoded")) &&
               !sx_str_ieq(plain, SX_STR("application/json"))) {
        refusal = (geo_refusal){
            415, SX_STR("415 Unsupported Media Type"),
            sx_arena_printf(&r->arena, "%.*s is an unsupported media type.", SX_ARG(plain))};
    }
    geo_refuse(r, &refusal);
}

static void receive(sx_request *r, geo_endpoint endpoint)
{
    geo_scratch *s = geo_api_scratch(r, endpoint);
    sx_error err;
    sx_str boundary;
    if (other_method(r))
        return;
    sx_str type = sx_request_header(r, SX_STR("content-type"));
    sx_status status = sx_multipart_boundary(type, &boundary, &err);
    if (status != SX_OK) {
        refuse_type(r, type, status);
        return;
    }
    upload *u = sx_calloc(1, sizeof(*u));
    if (!u) {
        geo_refuse_status(r, 503);
        return;
    }
    u->r = r;
    u->endpoint = endpoint;
    u->csv = s->api->csv;
    u->on = geo_snapshot_ref(s->now);
    u->loop = r->loop;
    u->holders = 2; /* request and spool */
    sx_arena_init(&u->arena, 0, 4 << 20);
    sx_buf_init(&u->field, GEO_CSV_FIELD_BYTES_MAX);
    geo_csv_spool_init(&u->spool, u->csv->crew, r->loop, u->csv->settings->folder.data,
                       &SPOOL_EVENTS, u);
    status = sx_multipart_init(&u->multipart, boundary, NULL, &FORM_EVENTS, u, &err);
    u->has_multipart = status == SX_OK;
    if (status != SX_OK)
        refuse(u, 400, SX_STR("Invalid header value"), sx_str_z(err.message));
    else if (r->content_bytes > 0 &&
             (uint64_t)r->content_bytes / 2 > u->csv->settings->upload_bytes_max)
        refuse_size(u);
    else if (r->content_bytes == 0)
        refuse(u, 400, SX_STR("Malformed multipart/form-data request media"),
               SX_STR("unexpected form structure"));
    else
        sx_request_events_set(r, &REQUEST_EVENTS, u);
}

void geo_api_search_csv(sx_request *r, void *ctx)
{
    (void)ctx;
    receive(r, GEO_ENDPOINT_search_csv);
}

void geo_api_reverse_csv(sx_request *r, void *ctx)
{
    (void)ctx;
    receive(r, GEO_ENDPOINT_reverse_csv);
}
