/* pattern.c - see pattern.h.
 *
 * A backtracking matcher: a pattern is walked with a list of what comes behind it. Patterns are our own
 * tables', of at most a few dozen characters, so recursion is bounded by them. */
#include "geocode/words/pattern.h"

/* What comes behind the piece being matched: more of the pattern, then `up`. */
typedef struct rest {
    const char *at;   /* NULL: the end of it all */
    int close;        /* the group that ends here; 0: none */
    const char *from; /* where it began */
    const struct rest *up;
} rest;

typedef struct matcher {
    sx_str text;
    const char *ends;
    bool all;
    int opened;
    sx_str groups[WRD_GROUPS_MAX];
    size_t end;
} matcher;

static bool walk(matcher *m, const char *p, size_t at, const rest *up);

static bool finish(matcher *m, size_t at)
{
    m->end = at;
    if (!m->ends[0])
        return !m->all || at == m->text.len;
    if (at == m->text.len || !strchr(m->ends, m->text.data[at]))
        return false;
    return !m->all || at + 1 == m->text.len;
}

/* The closing bracket of the group or set that begins at `p`. */
static const char *closing(const char *p)
{
    char open = *p, shut = open == '(' ? ')' : ']';
    int depth = 0;
    for (; *p; p++) {
        depth += *p == open;
        depth -= *p == shut;
        if (depth == 0)
            return p;
    }
    return p - 1;
}

static bool in_set(const char *set, const char *end, char c)
{
    for (const char *p = set + 1; p < end; p++) {
        if (p + 2 < end && p[1] == '-') {
            if (c >= p[0] && c <= p[2])
                return true;
            p += 2;
        } else if (*p == c) {
            return true;
        }
    }
    return false;
}

static bool fits(const char *piece, const char *end, char c)
{
    if (*piece == '[')
        return in_set(piece, end, c);
    if (*piece == 'd')
        return c >= '0' && c <= '9';
    if (*piece == 'l')
        return c >= 'A' && c <= 'Z';
    return *piece == c;
}

static bool leave(matcher *m, const rest *up, size_t at)
{
    if (!up)
        return finish(m, at);
    sx_str before = sx_str_of("", 0);
    if (up->close) {
        before = m->groups[up->close];
        m->groups[up->close] = sx_str_of(up->from, (size_t)(m->text.data + at - up->from));
    }
    if (walk(m, up->at, at, up->up))
        return true;
    if (up->close)
        m->groups[up->close] = before;
    return false;
}

/* Each alternative of the group from `p` to `end`, then what is behind it. */
static bool alternatives(matcher *m, const char *p, const char *after, size_t at, const rest *up)
{
    bool named = p[1] != '?';
    rest behind = {.at = after, .up = up, .from = m->text.data + at};
    if (named && m->opened + 1 < WRD_GROUPS_MAX)
        behind.close = ++m->opened;
    int depth = 0;
    bool found = walk(m, p + (named ? 1 : 3), at, &behind);
    for (const char *q = p; !found && *q; q++) {
        depth += *q == '(';
        depth -= *q == ')';
        if (depth == 0)
            break;
        if (depth == 1 && *q == '|')
            found = walk(m, q + 1, at, &behind);
    }
    if (!found && behind.close)
        m->opened--;
    return found;
}

static const char *past_group(const char *p)
{
    for (int depth = 0; *p; p++) {
        if (depth == 0 && *p == ')')
            return p;
        depth += *p == '(';
        depth -= *p == ')';
    }
    return p;
}

static bool walk(matcher *m, const char *p, size_t at, const rest *up)
{
    if (*p == '|') /* an alternative has matched: the others are over */
        p = past_group(p);
    if (*p == '\0' || *p == ')')
        return leave(m, up, at);
    const char *end = *p == '(' || *p == '[' ? closing(p) : p;
    const char *after = end + 1;
    size_t times = 1;
    bool optional = *after == '?';
    if (*after == '{') {
        times = (size_t)(after[1] - '0');
        after += 3;
    } else if (optional) {
        after++;
    }
    bool found;
    if (*p == '(') {
        found = alternatives(m, p, after, at, up);
    } else {
        size_t next = at;
        while (next < at + times && next < m->text.len && fits(p, end, m->text.data[next]))
            next++;
        found = next == at + times && walk(m, after, next, up);
    }
    return found || (optional && walk(m, after, at, up));
}

bool wrd_pattern_match(const char *pattern, sx_str text, const char *ends, bool all, wrd_match *out)
{
    matcher m = {.text = text, .ends = ends, .all = all};
    if (!walk(&m, pattern, 0, NULL))
        return false;
    out->whole = sx_str_first(text, m.end);
    memcpy(out->groups, m.groups, sizeof(out->groups));
    return true;
}

void wrd_pattern_output(const char *output, const wrd_match *m, sx_buf *out)
{
    if (!*output)
        sx_buf_str(out, m->whole);
    for (const char *p = output; *p; p++) {
        if (*p == '\\' && p[1] >= '1' && p[1] < '0' + WRD_GROUPS_MAX)
            sx_buf_str(out, m->groups[*++p - '0']);
        else
            sx_buf_byte(out, *p);
    }
}
