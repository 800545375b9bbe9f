/* regex_plan.c - recognising simple patterns, and matching them.
 *
 * The reader is a small grammar that gives up at the first thing it does not know; giving up is
 * always right, since RE2 then does the work. What it accepts must mean exactly what RE2 takes it
 * for: the tests and fuzz_regex hold the two against each other. */
#include "base/regex_plan.h"

typedef struct reader {
    const char *at, *end;
    sx_arena *arena;
    bool no_memory;
} reader;

static bool take(reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_text(reader *r, sx_str text)
{
    if (!sx_str_starts(sx_str_of(r->at, (size_t)(r->end - r->at)), text))
        return false;
    r->at += text.len;
    return true;
}

static sx_regex_dots take_dots(reader *r)
{
    const char *back = r->at;
    sx_regex_dots dots = SX_DOTS_NONE;
    if (take_text(r, SX_STR(".*")))
        dots = SX_DOTS_STAR;
    else if (take_text(r, SX_STR(".+")))
        dots = SX_DOTS_PLUS;
    /* .*? matches the same subjects, but ++, ** and .+* are errors or mean something else. */
    if (dots != SX_DOTS_NONE && r->at < r->end && strchr("*+?{", *r->at)) {
        r->at = back;
        return SX_DOTS_NONE;
    }
    return dots;
}

static bool is_meta(char c)
{
    return c != '\0' && strchr(".^$*+?()[{|\\", c) != NULL;
}

/* Punctuation that RE2 and Go both take literally behind a backslash. */
static bool is_escapable(char c)
{
    return c != '\0' && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~", c) != NULL;
}

/* Reads literal characters, unescaped into the arena, up to the first that is none; a character with
 * a quantifier behind it makes the whole pattern no business of ours, which shows because the
 * quantifier is then what is left. */
static sx_str take_literal(reader *r)
{
    char *out = sx_arena_alloc(r->arena, (size_t)(r->end - r->at) + 1);
    if (!out) {
        r->no_memory = true;
        return sx_str_of(NULL, 0);
    }
    size_t len = 0;
    while (r->at < r->end) {
        if (*r->at == '\\' && r->end - r->at >= 2 && is_escapable(r->at[1]))
            r->at++;
        else if (is_meta(*r->at))
            break;
        out[len++] = *r->at++;
    }
    return sx_str_of(out, len);
}

/* Adds before + middle + after to the plan's literals. */
static bool add_literal(sx_regex_plan *plan, reader *r, size_t *cap, sx_str text)
{
    if (r->no_memory ||
        !sx_arena_grow(r->arena, &plan->literals, cap, plan->count + 1, sizeof(*plan->literals))) {
        r->no_memory = true;
        return false;
    }
    plan->literals[plan->count++] = text;
    return true;
}

static sx_str concatenate(reader *r, sx_str a, sx_str b, sx_str c)
{
    sx_str joined = sx_arena_printf(r->arena, "%.*s%.*s%.*s", SX_ARG(a), SX_ARG(b), SX_ARG(c));
    r->no_memory |= joined.data == NULL;
    return joined;
}

/* Reads literal ('|' literal)*, adding each. */
static void take_alternatives(sx_regex_plan *plan, reader *r, size_t *cap, sx_str first)
{
    if (!add_literal(plan, r, cap, first))
        return;
    while (take(r, '|')) {
        if (!add_literal(plan, r, cap, take_literal(r)))
            return;
    }
}

/* Reads literal? ( '(' alternatives ')' literal? )?, all of it or top-level alternatives. Returns
 * false if the pattern goes on in a way that is not ours. */
static bool take_core(sx_regex_plan *plan, reader *r)
{
    size_t cap = 0;
    sx_str before = take_literal(r);
    if (!take(r, '(')) {
        bool may_branch = !plan->begins && plan->lead == SX_DOTS_NONE;
        if (may_branch)
            take_alternatives(plan, r, &cap, before);
        else
            add_literal(plan, r, &cap, before);
        /* a|b.* and a|b$ bind the tail to b alone. */
        return plan->count < 2 || r->at == r->end;
    }
    if (r->at < r->end && *r->at == '?' && !take_text(r, SX_STR("?:")))
        return false;
    take_alternatives(plan, r, &cap, take_literal(r));
    if (!take(r, ')') || r->no_memory)
        return false;
    sx_str after = take_literal(r);
    for (size_t i = 0; i < plan->count && (before.len || after.len) && !r->no_memory; i++)
        plan->literals[i] = concatenate(r, before, plan->literals[i], after);
    return true;
}

static bool make_set(sx_regex_plan *plan, sx_arena *arena)
{
    for (size_t i = 0; i < plan->count; i++) {
        size_t len = plan->literals[i].len;
        plan->lengths |= (uint64_t)1 << (len < 63 ? len : 63);
    }
    plan->has_set = plan->count > SX_REGEX_LOOP_MAX;
    if (!plan->has_set)
        return true;
    sx_map_init(&plan->set, arena);
    if (!sx_map_reserve(&plan->set, plan->count))
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        if (!sx_map_put(&plan->set, plan->literals[i], NULL))
            return false;
    }
    return true;
}

bool sx_regex_plan_make(sx_regex_plan *plan, sx_str pattern, bool dots_are_all, sx_arena *arena)
{
    *plan = (sx_regex_plan){0};
    if (pattern.len == 0)
        pattern = SX_STR("");
    if (sx_str_eq(pattern, SX_STR("(.*)")) || sx_str_eq(pattern, SX_STR("(.+)")))
        pattern = sx_str_of(pattern.data + 1, 2); /* relabelling's default */
    reader r = {.at = pattern.data, .end = pattern.data + pattern.len, .arena = arena};
    if (memchr(r.at, '\0', pattern.len)) /* "%.*s" and strchr above would stop at it */
        return true;
    plan->begins = take(&r, '^');
    plan->lead = take_dots(&r);
    bool ours = take_core(plan, &r);
    if (ours && (plan->count > 1 || (plan->count == 1 && plan->literals[0].len)))
        plan->trail = take_dots(&r);
    plan->ends = ours && take(&r, '$');
    if (r.no_memory)
        return false;
    bool has_dots = plan->lead != SX_DOTS_NONE || plan->trail != SX_DOTS_NONE;
    plan->is_fast = ours && r.at == r.end && (dots_are_all || !has_dots) &&
                    !(has_dots && plan->count > SX_REGEX_LOOP_MAX);
    return !plan->is_fast || make_set(plan, arena);
}

/* One literal between what `lead` and `trail` let stand before and after it. A + wants a character,
 * so at least a byte; more of a longer character lie there anyway, as literals begin and end at
 * characters. */
static bool fits(sx_str subject, sx_str literal, sx_regex_dots lead, sx_regex_dots trail)
{
    if (lead == SX_DOTS_NONE && trail == SX_DOTS_NONE)
        return sx_str_eq(subject, literal);
    size_t before = lead == SX_DOTS_PLUS, after = trail == SX_DOTS_PLUS;
    if (subject.len < before + after + literal.len)
        return false;
    if (lead == SX_DOTS_NONE)
        return sx_str_starts(subject, literal);
    if (trail == SX_DOTS_NONE)
        return sx_str_ends(subject, literal);
    sx_str inside =
        sx_str_of(subject.data ? subject.data + before : "", subject.len - before - after);
    return literal.len == 0 || sx_str_find(inside, literal) < inside.len;
}

static bool any_fits(const sx_regex_plan *plan, sx_str subject, sx_regex_dots lead,
                     sx_regex_dots trail)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (fits(subject, plan->literals[i], lead, trail))
            return true;
    }
    return false;
}

bool sx_regex_plan_match(const sx_regex_plan *plan, sx_str subject)
{
    if (plan->lead != SX_DOTS_NONE || plan->trail != SX_DOTS_NONE)
        return any_fits(plan, subject, plan->lead, plan->trail);
    if (!(plan->lengths >> (subject.len < 63 ? subject.len : 63) & 1))
        return false;
    if (plan->has_set)
        return sx_map_find(&plan->set, subject) != NULL;
    return any_fits(plan, subject, SX_DOTS_NONE, SX_DOTS_NONE);
}

/* Without ^ anything may stand before, as if .* did; .+ stays. */
static sx_regex_dots loosened(sx_regex_dots dots, bool anchored)
{
    return anchored || dots == SX_DOTS_PLUS ? dots : SX_DOTS_STAR;
}

bool sx_regex_plan_search(const sx_regex_plan *plan, sx_str subject)
{
    sx_regex_dots lead = loosened(plan->lead, plan->begins);
    sx_regex_dots trail = loosened(plan->trail, plan->ends);
    if (lead == SX_DOTS_NONE && trail == SX_DOTS_NONE)
        return sx_regex_plan_match(plan, subject);
    return any_fits(plan, subject, lead, trail);
}
