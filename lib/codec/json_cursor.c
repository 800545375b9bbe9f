/* json_cursor.c - the JSON reader's view of its text: the window of marks, and the way from one piece
 * of a text to the next. */
#include "codec/json_cursor.h"

#include "codec/json_scan.h"

static const sx_json_options DEFAULTS = {0};

/* So that no offset comes near JSON_NO_MARK: see json_is_plain(). */
#define TEXT_BYTES_MAX ((size_t)1 << 31)

static void check_size(sx_json *r)
{
    if (sx_unlikely(r->len >= TEXT_BYTES_MAX))
        json_refuse(r, SX_ELIMIT, 0, "the text is larger than 2 GiB; it must be read in pieces");
}

void sx_json_init(sx_json *r, sx_str text, const sx_json_options *options)
{
    const sx_json_options *o = options ? options : &DEFAULTS;
    sx_assert(o->depth_max <= SX_JSON_DEPTH_MOST);
    r->text = text.data ? text.data : ""; /* so that offsets can be added */
    r->len = text.len;
    r->next = 0;
    r->blocks = 0;
    r->state = JSON_VALUE;
    r->after = JSON_AFTER_ALL;
    r->escaped = false;
    r->partial = o->partial;
    r->stop = JSON_STOP_NONE;
    r->depth = 0;
    r->at = 0;
    r->end = 0;
    r->tok_end = 0;
    r->plain_from = 0;
    r->window_at = 0;
    r->scanned = 0;
    r->stop_at = 0;
    r->past = 0;
    r->past_lines = 0;
    r->past_column = 0;
    r->depth_max = o->depth_max ? o->depth_max : SX_JSON_DEPTH_DEFAULT;
    r->string_bytes_max = o->string_bytes_max ? o->string_bytes_max : (size_t)16 << 20;
    if (r->string_bytes_max >= TEXT_BYTES_MAX)
        r->string_bytes_max = TEXT_BYTES_MAX - 1;
    r->arena = o->arena;
    r->space = o->space;
    r->space_left = o->space ? o->space_bytes : 0;
    r->scan = json_scan_best();
    r->carry = (sx_json_carry){0};
    /* The rest of window, kinds and err are written before they are read. */
    r->window.count = 0;
    r->window.escapes = 0;
    check_size(r);
}

/* Takes the scan's complaint: nothing at or after the faulty byte is given out, so that what comes
 * before it is judged first, whatever the width of the scan. A character cut by the end of a
 * partial text is no fault. */
static SX_COLD void stop_at_fault(sx_json *r, size_t from, sx_json_carry carry)
{
    sx_str scanned = sx_str_of(r->text, r->scanned);
    json_fault fault = json_scan_locate(scanned, from, r->scanned, carry);
    r->stop_at = fault.at;
    r->stop = fault.kind == JSON_BAD_UTF8 ? JSON_STOP_UTF8 : JSON_STOP_CONTROL;
    if (r->partial && r->stop == JSON_STOP_UTF8 && r->len - fault.at < 4) {
        /* Could more bytes make it a character? Then the last ones are all continuations, and the
         * scan of the whole piece has found no fault but its end. */
        sx_json_carry end = {0};
        unsigned char pad[64];
        sx_json_window ignored = {.count = 0};
        memset(pad, ' ', sizeof(pad));
        memcpy(pad + 64 - (r->len - fault.at), r->text + fault.at, r->len - fault.at);
        if (r->scan(pad, 0, 1, 0, &ignored, &end) == 0 && json_scan_cut(&end))
            r->stop = JSON_STOP_NONE;
    }
    r->scanned = r->len;
    while (r->window.count > 0 && r->window.marks[r->window.count - 1] >= fault.at)
        r->window.count--;
    if (fault.at < from) {
        r->blocks = 0;
        return;
    }
    uint32_t last = (uint32_t)((fault.at - from) / 64);
    uint64_t before = ((uint64_t)1 << ((fault.at - from) % 64)) - 1;
    r->window.opens[last] &= before;
    r->window.closes[last] &= before;
    r->blocks = last + 1;
}

/* Scans the next window, behind the marks that there are. False if there is no more text. */
static bool scan_window(sx_json *r)
{
    size_t from = r->scanned;
    size_t left = r->len - from;
    if (left == 0)
        return false;
    const unsigned char *at = (const unsigned char *)r->text + from;
    sx_json_carry carry = r->carry;
    uint32_t blocks = SX_JSON_WINDOW_BLOCKS;
    unsigned bad = 0;
    if (left / 64 < blocks)
        blocks = (uint32_t)(left / 64);
    if (blocks > 0)
        bad = r->scan(at, (uint32_t)from, blocks, 0, &r->window, &r->carry);
    if (blocks < SX_JSON_WINDOW_BLOCKS && left % 64 != 0) {
        unsigned char pad[64];
        size_t done = (size_t)blocks * 64;
        memset(pad, ' ', sizeof(pad));
        memcpy(pad, at + done, left - done);
        bad |= r->scan(pad, (uint32_t)(from + done), 1, blocks, &r->window, &r->carry);
        r->scanned = r->len;
        blocks++;
    } else {
        r->scanned = from + (size_t)blocks * 64;
        if (r->scanned == r->len && json_scan_cut(&r->carry))
            bad |= JSON_BAD_UTF8;
    }
    r->window_at = from;
    r->blocks = blocks;
    if (sx_unlikely(bad))
        stop_at_fault(r, from, carry);
    return true;
}

/* What follows from a new window. At the end of the text come the marks that stand for it; nobody
 * takes those, so they need to be put once. */
static void window_is_set(sx_json *r)
{
    sx_json_window *w = &r->window;
    r->plain_from = w->escapes ? SIZE_MAX : r->window_at;
    if (r->scanned < r->len)
        return;
    for (int i = 0; i < SX_JSON_AHEAD; i++)
        w->marks[w->count++] = JSON_NO_MARK;
}

void json_cursor_fill(sx_json *r)
{
    sx_json_window *w = &r->window;
    bool more;
    do {
        uint32_t left = w->count - r->next;
        sx_assert(r->next <= w->count && left < SX_JSON_AHEAD);
        memmove(w->marks, w->marks + r->next, left * sizeof(w->marks[0]));
        r->next = 0;
        w->count = left;
        more = scan_window(r);
    } while (more && w->count < SX_JSON_AHEAD && r->scanned < r->len);
    window_is_set(r);
}

void json_cursor_next_window(sx_json *r)
{
    r->next = 0;
    r->window.count = 0;
    if (!scan_window(r))
        r->blocks = 0;
    window_is_set(r);
}

bool json_has_escapes(const sx_json *r, size_t open, size_t close)
{
    if (open >= r->window_at) {
        size_t first = (open - r->window_at) / 64;
        size_t last = (close - r->window_at) / 64;
        uint64_t blocks = ((uint64_t)2 << last) - ((uint64_t)1 << first);
        if ((r->window.escapes & blocks) == 0)
            return false;
    }
    return memchr(r->text + open, '\\', close - open) != NULL;
}

sx_json_token json_odd_string(sx_json *r, const uint32_t *m)
{
    if (m[1] == JSON_NO_MARK)
        return json_ended(r, m[0], "the closing quote of a string");
    if (m[1] - m[0] - 1 > r->string_bytes_max)
        return json_refuse(r, SX_ELIMIT, m[0], "a string is longer than the limit of %zu bytes",
                           r->string_bytes_max);
    r->escaped = json_has_escapes(r, m[0], m[1]);
    return SX_JSON_STRING;
}

void sx_json_more(sx_json *r, sx_str text, sx_json_piece piece)
{
    sx_assert(r->partial);
    sx_assert(text.len >= r->len - r->end);
    if (r->state == JSON_REFUSED)
        return;
    json_place p = json_place_of(r, r->end);
    r->past = p.byte;
    r->past_lines = p.line;
    r->past_column = p.column;
    r->text = text.data ? text.data : ""; /* so that offsets can be added */
    r->len = text.len;
    r->partial = piece == SX_JSON_PIECE;
    r->stop = JSON_STOP_NONE;
    r->next = 0;
    r->window.count = 0;
    r->blocks = 0;
    r->at = 0;
    r->end = 0;
    r->tok_end = 0;
    r->window_at = 0;
    r->scanned = 0;
    r->carry = (sx_json_carry){0};
    check_size(r);
}

uint64_t sx_json_offset(const sx_json *r)
{
    return r->past + r->at;
}

uint64_t sx_json_end_offset(const sx_json *r)
{
    return r->past + r->end;
}

sx_str sx_json_unread(const sx_json *r)
{
    return sx_str_of(r->text + r->end, r->len - r->end);
}
