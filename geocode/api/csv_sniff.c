/* csv_sniff.c - two guesses: from quoted fields, then from how often characters stand in lines. */
#include "geocode/api/csv_sniff.h"

#include <sextant/mem.h>
#include <sextant/utf8.h>

const geo_csv_dialect GEO_CSV_EXCEL = {.delimiter = {{','}, 1}, .quote = {{'"'}, 1}};

/* ---- characters ---- */

/* Ranges beyond ASCII of characters that are no part of words: punctuation, symbols, blanks. The rest
 * counts as letters. */
static bool is_word(uint32_t c)
{
    static const uint32_t NOT[][2] = {
        {0x80, 0xa9},      {0xab, 0xb1},     {0xb4, 0xb4},     {0xb6, 0xb8},     {0xbb, 0xbb},
        {0xbf, 0xbf},      {0xd7, 0xd7},     {0xf7, 0xf7},     {0x2000, 0x206f}, {0x207a, 0x207e},
        {0x20a0, 0x20cf},  {0x2190, 0x245f}, {0x2500, 0x2775}, {0x2794, 0x2bff}, {0x3000, 0x3004},
        {0x3008, 0x3020},  {0xfe10, 0xfe6f}, {0xff01, 0xff0f}, {0xfffc, 0xfffd}, {0x1f000, 0x1f0ff},
        {0x1f300, 0x1faff}};
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    for (size_t i = 0; i < SX_COUNT_OF(NOT); i++) {
        if (c >= NOT[i][0] && c <= NOT[i][1])
            return false;
    }
    return true;
}

/* May stand between fields, next to a quote. */
static bool may_delimit(uint32_t c)
{
    return !is_word(c) && c != '\n' && c != '"' && c != '\'';
}

/* ---- the first guess: quoted fields and what stands beside them ----
 *
 * Four forms are looked for, in this order; the first that occurs at all decides:
 *     BETWEEN  ,"..."  and the same delimiter again      LINE_END  ,"..." at the end of a line
 *     LINE_START  "..." from a line's start, then a delimiter   ALONE  "..." a whole line
 * A blank may follow the delimiter. A quoted part reaches to the nearest quote that fits. */

typedef enum quoted_form { BETWEEN, LINE_START, LINE_END, ALONE, QUOTED_FORMS } quoted_form;

enum { TALLY_MAX = 64, QUOTE_KINDS = 2 };

typedef struct tally {
    uint32_t chars[TALLY_MAX];
    size_t counts[TALLY_MAX];
    size_t count;
} tally;

/* Where the last search for a closing quote ended, so that no byte is walked over twice for the same
 * thing: the nearest place at or after any point between `from` and `at` is `at`. */
typedef struct seeker {
    uint32_t delimiter;
    size_t from, at;
    bool used;
} seeker;

typedef struct quoted_search {
    sx_str text;
    quoted_form form;
    seeker seekers[QUOTE_KINDS][TALLY_MAX];
    tally delimiters;
    size_t quotes[QUOTE_KINDS]; /* ' and " */
    int first_quote;            /* the one met first, which wins a tie */
    size_t spaces, matches;
} quoted_search;

static uint32_t char_at(sx_str text, size_t at, size_t *len)
{
    uint32_t code = 0;
    *len = at < text.len ? sx_utf8_decode(sx_str_from(text, at), &code) : 0;
    return code;
}

static bool is_line_end(sx_str text, size_t at)
{
    return at == text.len || text.data[at] == '\n';
}

/* Whether what follows the quote at `at` closes a field of this form. */
static bool closes(const quoted_search *s, size_t at, uint32_t delimiter)
{
    size_t len;
    uint32_t next = char_at(s->text, at + 1, &len);
    switch (s->form) {
    case BETWEEN:
        return len && next == delimiter;
    case LINE_START:
        return len && may_delimit(next);
    default:
        return is_line_end(s->text, at + 1);
    }
}

static seeker *seeker_for(quoted_search *s, int kind, uint32_t delimiter)
{
    if (s->form != BETWEEN)
        delimiter = 0; /* the others do not look for one of their own */
    for (size_t i = 0; i < TALLY_MAX; i++) {
        seeker *k = &s->seekers[kind][i];
        if (!k->used) {
            *k = (seeker){delimiter, SIZE_MAX, 0, true};
            return k;
        }
        if (k->delimiter == delimiter)
            return k;
    }
    return NULL; /* more kinds than a file has: not looked at */
}

/* The nearest closing quote at or after `from`; text.len if there is none. */
static size_t find_close(quoted_search *s, size_t from, char quote, uint32_t delimiter)
{
    seeker *k = seeker_for(s, quote == '"', delimiter);
    if (!k)
        return s->text.len;
    if (k->from <= from && from <= k->at)
        return k->at;
    size_t at = from;
    for (; at < s->text.len; at++) {
        size_t skip = sx_str_find_byte(sx_str_from(s->text, at), quote);
        at += skip;
        if (at >= s->text.len || closes(s, at, delimiter))
            break;
    }
    k->from = from;
    k->at = at < s->text.len ? at : s->text.len;
    return k->at;
}

static void count_delimiter(tally *t, uint32_t c)
{
    size_t i = 0;
    while (i < t->count && t->chars[i] != c)
        i++;
    if (i == TALLY_MAX)
        return;
    if (i == t->count) {
        t->chars[i] = c;
        t->counts[i] = 0;
        t->count++;
    }
    t->counts[i]++;
}

static void count_match(quoted_search *s, char quote, uint32_t delimiter, bool space)
{
    int kind = quote == '"';
    if (s->matches++ == 0)
        s->first_quote = kind;
    s->quotes[kind]++;
    if (s->form == ALONE)
        return;
    count_delimiter(&s->delimiters, delimiter);
    s->spaces += space;
}

static bool is_quote(sx_str text, size_t at)
{
    return at < text.len && (text.data[at] == '"' || text.data[at] == '\'');
}

/* Tries a field that opens with the quote at `open`. Returns where the match ends; 0 if none. */
static size_t try_quoted(quoted_search *s, size_t open, uint32_t delimiter, bool space)
{
    size_t len, close = find_close(s, open + 1, s->text.data[open], delimiter);
    if (close >= s->text.len)
        return 0;
    size_t end = close + 1;
    if (s->form == BETWEEN || s->form == LINE_START) {
        delimiter = char_at(s->text, end, &len);
        end += len;
    }
    if (s->form == LINE_START) {
        space = end < s->text.len && s->text.data[end] == ' ';
        end += space;
    }
    /* A line end that closes a field is not taken with it: another may begin there. */
    count_match(s, s->text.data[open], delimiter, space);
    return end;
}

/* Tries a match that begins at `at`. Returns where it ends; 0 if there is none. */
static size_t try_at(quoted_search *s, size_t at)
{
    size_t len;
    if (s->form == LINE_START || s->form == ALONE) {
        size_t end = 0;
        if (at == 0 || s->text.data[at - 1] == '\n')
            end = is_quote(s->text, at) ? try_quoted(s, at, 0, false) : 0;
        if (!end && s->text.data[at] == '\n' && is_quote(s->text, at + 1))
            end = try_quoted(s, at + 1, 0, false);
        return end;
    }
    uint32_t c = char_at(s->text, at, &len);
    if (!may_delimit(c))
        return 0;
    size_t next = at + len, end = 0;
    if (next < s->text.len && s->text.data[next] == ' ' && is_quote(s->text, next + 1))
        end = try_quoted(s, next + 1, c, true);
    if (!end && is_quote(s->text, next))
        end = try_quoted(s, next, c, false);
    return end;
}

/* All matches of one form, none overlapping another. */
static void search_quoted(quoted_search *s, sx_str text, quoted_form form)
{
    memset(s, 0, sizeof(*s));
    s->text = text;
    s->form = form;
    for (size_t at = 0; at < text.len;) {
        size_t end = try_at(s, at), len;
        if (!end)
            (void)char_at(text, at, &len);
        at = end ? end : at + (len ? len : 1);
    }
}

static bool guess_by_quotes(sx_str text, geo_csv_guess *out)
{
    quoted_search *s = sx_alloc(sizeof(*s));
    if (!s)
        return false;
    s->matches = 0;
    for (int form = 0; form < QUOTED_FORMS && s->matches == 0; form++)
        search_quoted(s, text, (quoted_form)form);
    if (s->matches) {
        int kind = s->quotes[0] == s->quotes[1] ? s->first_quote : s->quotes[1] > s->quotes[0];
        out->quote = kind ? '"' : '\'';
    }
    size_t best = 0;
    for (size_t i = 1; i < s->delimiters.count; i++)
        best = s->delimiters.counts[i] > s->delimiters.counts[best] ? i : best;
    bool found = s->matches && s->delimiters.count;
    if (found) {
        out->found = true;
        out->delimiter = s->delimiters.chars[best];
        out->skip_space = s->delimiters.counts[best] == s->spaces;
    }
    sx_free(s);
    return found;
}

/* ---- the second guess: what stands equally often in each line ---- */

enum { ASCII_CHARS = 127, LINES_A_ROUND = 10 };

/* How many lines have a character so many times, in the order in which such a line was first met. */
typedef struct frequency {
    uint32_t times, lines;
} frequency;

typedef struct histogram {
    frequency *items;
    size_t count, cap;
} histogram;

typedef struct mode {
    uint32_t times;
    int64_t lines; /* with so many, less those with another number */
    bool exists;
} mode;

static bool count_times(histogram *h, uint32_t times)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->items[i].times == times) {
            h->items[i].lines++;
            return true;
        }
    }
    if (!sx_grow(&h->items, &h->cap, h->count + 1, sizeof(*h->items)))
        return false;
    h->items[h->count++] = (frequency){times, 1};
    return true;
}

static bool count_line(histogram *all, sx_str line)
{
    uint32_t times[256] = {0};
    for (size_t i = 0; i < line.len; i++)
        times[(unsigned char)line.data[i]]++;
    for (size_t c = 0; c < ASCII_CHARS; c++) {
        if (!count_times(&all[c], times[c]))
            return false;
    }
    return true;
}

static mode mode_of(const histogram *h)
{
    size_t best = 0;
    int64_t others = 0;
    if (h->count == 1 && h->items[0].times == 0)
        return (mode){0};
    for (size_t i = 0; i < h->count; i++) {
        if (h->items[i].lines > h->items[best].lines)
            best = i;
        others += h->items[i].lines;
    }
    others -= h->items[best].lines;
    return (mode){h->items[best].times, h->items[best].lines - others, true};
}

/* The candidates that stand in the most lines, from all of them down to nine of ten. */
static size_t find_candidates(const histogram *all, size_t lines, bool candidates[ASCII_CHARS],
                              mode modes[ASCII_CHARS])
{
    size_t count = 0;
    for (size_t c = 0; c < ASCII_CHARS; c++)
        modes[c] = mode_of(&all[c]);
    /* Subtracted step by step, not computed anew: the rounding is part of the rule. */
    for (double share = 1.0; count == 0 && share >= 0.9; share -= 0.01) {
        for (size_t c = 0; c < ASCII_CHARS; c++) {
            candidates[c] = modes[c].exists && modes[c].times > 0 && modes[c].lines > 0 &&
                            (double)modes[c].lines / (double)lines >= share;
            count += candidates[c];
        }
    }
    return count;
}

static char choose(const bool candidates[ASCII_CHARS], const mode modes[ASCII_CHARS])
{
    static const char PREFERRED[] = {',', '\t', ';', ' ', ':'};
    size_t best = ASCII_CHARS;
    for (size_t i = 0; i < sizeof(PREFERRED); i++) {
        if (candidates[(size_t)PREFERRED[i]])
            return PREFERRED[i];
    }
    for (size_t c = 0; c < ASCII_CHARS; c++) { /* the later wins a tie */
        if (candidates[c] &&
            (best == ASCII_CHARS || modes[c].times > modes[best].times ||
             (modes[c].times == modes[best].times && modes[c].lines >= modes[best].lines)))
            best = c;
    }
    return (char)best;
}

/* Every occurrence in the first line has a blank behind it. */
static bool blank_follows(sx_str line, char c)
{
    size_t all = 0, with = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != c)
            continue;
        all++;
        if (i + 1 < line.len && line.data[i + 1] == ' ') {
            with++;
            i += c == ' '; /* pairs do not overlap; `all` counts each */
            all += c == ' ';
        }
    }
    return all == with;
}

static size_t count_lines(sx_str text)
{
    size_t count = 0;
    for (sx_str line; text.len;) {
        sx_str_cut(text, '\n', &line, &text);
        count += line.len > 0;
    }
    return count;
}

static void guess_by_lines(sx_str text, geo_csv_guess *out)
{
    histogram all[ASCII_CHARS] = {0};
    bool candidates[ASCII_CHARS];
    mode modes[ASCII_CHARS];
    sx_str line, first = {"", 0};
    size_t total = count_lines(text), seen = 0, count = 0;
    bool whole = true;
    for (sx_str rest = text; rest.len && count == 0 && whole;) {
        sx_str_cut(rest, '\n', &line, &rest);
        if (!line.len)
            continue;
        if (seen++ == 0)
            first = line;
        whole = count_line(all, line);
        if (whole && (seen % LINES_A_ROUND == 0 || seen == total))
            count = find_candidates(all, seen, candidates, modes);
    }
    if (count && whole) {
        char c = choose(candidates, modes);
        out->found = true;
        out->delimiter = (unsigned char)c;
        out->skip_space = blank_follows(first, c);
    }
    for (size_t c = 0; c < ASCII_CHARS; c++)
        sx_free(all[c].items);
}

void geo_csv_sniff(sx_str text, geo_csv_guess *out)
{
    *out = (geo_csv_guess){.quote = '"'};
    if (!guess_by_quotes(text, out))
        guess_by_lines(text, out);
}

/* ---- what Addok makes of it ---- */

static geo_csv_char to_char(uint32_t code)
{
    geo_csv_char c = {{0}, 0};
    c.len = (uint8_t)sx_utf8_encode(code, c.bytes);
    return c;
}

/* A copy whose line ends are all CR LF: CRs are dropped, then stand before each LF. */
static bool normalise_lines(sx_str in, sx_buf *out)
{
    while (in.len) {
        size_t run = 0;
        while (run < in.len && in.data[run] != '\r' && in.data[run] != '\n')
            run++;
        sx_buf_bytes(out, in.data, run);
        if (run < in.len && in.data[run] == '\n')
            sx_buf_str(out, SX_STR("\r\n"));
        in = sx_str_from(in, run + 1);
    }
    return !out->failed;
}

sx_status geo_csv_dialect_of(sx_str sample, geo_csv_dialect *out)
{
    geo_csv_guess guess;
    sx_buf text;
    sx_buf_init(&text, 0);
    if (!normalise_lines(sample, &text)) {
        sx_buf_done(&text);
        return SX_ENOMEM;
    }
    geo_csv_sniff(sx_buf_view(&text), &guess);
    sx_buf_done(&text);
    *out = GEO_CSV_EXCEL;
    if (!guess.found) { /* Addok then writes as on Unix */
        out->quote_all = out->lf = true;
        return SX_OK;
    }
    if (guess.delimiter == '\r' || (is_word(guess.delimiter) && guess.delimiter != '_')) {
        out->delimiter = to_char(';');
        return SX_OK;
    }
    out->delimiter = to_char(guess.delimiter);
    out->quote = to_char(guess.quote);
    out->skip_space = guess.skip_space;
    return SX_OK;
}
