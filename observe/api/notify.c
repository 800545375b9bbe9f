/* notify.c - /notifications, /notifications/live: what somebody who looks at the server is to be told.
 *
 * There are three things to tell, each active or not, with a number that grows with every change. A
 * subscriber stays on its loop and looks four times a second for numbers that it has not seen: what
 * changed twice in between is told once, as it is now. Source: Prometheus, web/api/v1, notifications;
 * HTML, "Server-sent events". */
#include <sextant/mem.h>

#include "observe/api/api.h"

enum {
    LOOK_MS = 250,
    BEAT_LOOKS = 20 /* after as many quiet looks a comment is sent: that finds out who has gone */
};

static const sx_str TEXTS[API_NOTES] = {
    [API_NOTE_STARTING] =
        SX_STR_INIT("Prometheus is starting and replaying the write-ahead log (WAL)."),
    [API_NOTE_RELOAD_FAILED] = SX_STR_INIT("Configuration reload has failed."),
    [API_NOTE_STOPPING] =
        SX_STR_INIT("Prometheus is shutting down and gracefully stopping all operations."),
};

/* What one of them is, at one moment. */
typedef struct note_state {
    api_note note;
    uint64_t seq;
    int64_t date_ns;
    bool active;
} note_state;

void api_note_set(observe_api *a, api_note note, bool active)
{
    pthread_mutex_lock(&a->lock);
    if (active || a->notes[note].active) {
        a->notes[note].seq = ++a->note_seq;
        a->notes[note].active = active;
        if (active)
            a->notes[note].date_ns = sx_clock_ns(a->clock);
    }
    pthread_mutex_unlock(&a->lock);
}

/* Those with a number above `seen`, by number; all of them fit. */
static size_t changed_since(observe_api *a, uint64_t seen, note_state out[API_NOTES])
{
    size_t count = 0;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < API_NOTES; i++) {
        if (a->notes[i].seq <= seen)
            continue;
        size_t at = count++;
        for (; at > 0 && out[at - 1].seq > a->notes[i].seq; at--)
            out[at] = out[at - 1];
        out[at] =
            (note_state){(api_note)i, a->notes[i].seq, a->notes[i].date_ns, a->notes[i].active};
    }
    pthread_mutex_unlock(&a->lock);
    return count;
}

static void write_note(sx_buf *out, const note_state *n)
{
    sx_buf_str(out, SX_STR("{\"text\":"));
    api_json_text(out, TEXTS[n->note]);
    sx_buf_str(out, SX_STR(",\"date\":"));
    api_json_date_ns(out, n->date_ns);
    sx_buf_str(out, n->active ? SX_STR(",\"active\":true}") : SX_STR(",\"active\":false}"));
}

void api_notifications(api_call *c)
{
    note_state notes[API_NOTES];
    size_t count = changed_since(c->api, 0, notes);
    bool any = false;
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (!notes[i].active)
            continue;
        if (any)
            sx_buf_byte(&c->out, ',');
        any = true;
        write_note(&c->out, &notes[i]);
    }
    sx_buf_str(&c->out, SX_STR("]}"));
}

/* ---- subscribers: their loop's thread ---- */

typedef struct subscriber {
    observe_api *api;
    sx_request *r;
    sx_loop *loop;
    sx_timer look;
    uint64_t seen;
    uint32_t quiet; /* looks since something was sent */
    bool slow;      /* it has not taken what was sent: until then nothing more is */
} subscriber;

static void leave(subscriber *s)
{
    sx_timer_stop(sx_loop_timers(s->loop), &s->look);
    atomic_fetch_sub(&s->api->subscribers, 1);
    sx_request_release(s->r);
    sx_free(s);
}

static void on_drained(sx_request *r, void *ctx)
{
    (void)r;
    ((subscriber *)ctx)->slow = false;
}

static void on_aborted(sx_request *r, void *ctx)
{
    (void)r;
    leave(ctx);
}

/* One event for each change that is new. A fault of memory leaves the change for the next look. */
static void tell(subscriber *s)
{
    note_state notes[API_NOTES];
    size_t count = changed_since(s->api, s->seen, notes);
    sx_buf event;
    sx_buf_init(&event, 4096);
    for (size_t i = 0; i < count; i++) {
        /* What ended before it came in is no news to a newcomer. */
        if (s->seen || notes[i].active) {
            sx_buf_str(&event, SX_STR("data: "));
            write_note(&event, &notes[i]);
            sx_buf_str(&event, SX_STR("\n\n"));
            atomic_fetch_add(&s->api->notes_sent, 1);
        }
    }
    s->quiet++;
    if (!event.len && s->quiet >= BEAT_LOOKS)
        sx_buf_str(&event, SX_STR(":\n\n"));
    if (!event.failed) {
        if (count)
            s->seen = notes[count - 1].seq;
        if (event.len) {
            s->quiet = 0;
            s->slow = sx_reply_write(s->r, sx_buf_view(&event)) == SX_AGAIN;
        }
    }
    sx_buf_done(&event);
}

static void on_look(sx_timer *timer, void *arg)
{
    subscriber *s = arg;
    bool ends = sx_service_is_draining(s->api->service);
    if (ends && !s->slow) {
        api_note_set(s->api, API_NOTE_STOPPING, true);
        tell(s);
    } else if (!s->slow) {
        tell(s);
    }
    if (!ends) {
        sx_timer_start(sx_loop_timers(s->loop), timer, LOOK_MS);
        return;
    }
    static const sx_request_events NONE = {0};
    sx_request_events_set(s->r, &NONE, NULL);
    sx_reply_end(s->r);
    leave(s);
}

void api_notifications_live(sx_request *r, void *ctx)
{
    static const sx_request_events EVENTS = {.drained = on_drained, .aborted = on_aborted};
    observe_api *a = ctx;
    subscriber *s = NULL;
    api_add_cors(a, r);
    if (atomic_fetch_add(&a->subscribers, 1) < (uint64_t)a->flags->subscribers_max)
        s = sx_calloc(1, sizeof *s);
    if (!s) { /* as Prometheus: a client shall not come back at once */
        atomic_fetch_sub(&a->subscribers, 1);
        sx_reply(r, 204, SX_STR(""), SX_STR(""));
        return;
    }
    *s = (subscriber){.api = a, .r = r, .loop = r->loop, .look = {.fn = on_look, .arg = s}};
    (void)sx_reply_header(r, SX_STR("Cache-Control"), SX_STR("no-cache"));
    sx_request_hold(r);
    sx_request_events_set(r, &EVENTS, s);
    if (sx_reply_begin(r, 200, SX_STR("text/event-stream"), SX_LENGTH_UNKNOWN) == SX_ECLOSED) {
        leave(s);
        return;
    }
    sx_timer_start(sx_loop_timers(s->loop), &s->look, 0);
}
