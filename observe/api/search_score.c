/* search_score.c - the two measures of a term's likeness to a value. */
#include "observe/api/search_score.h"

#include <string.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "observe/config/relabel.h"

/* Scores that are no whole match stay below 1, however they are rounded. */
#define SUBSEQUENCE_SCALE 0.999

typedef struct characters {
    const uint32_t *at;
    size_t count;
} characters;

/* The first characters of a text; what is no UTF-8 is U+FFFD, a byte each. */
static size_t decode(sx_str text, uint32_t *out)
{
    size_t count = 0;
    while (text.len && count < API_SEARCH_CHARACTERS_MAX) {
        uint32_t code = 0xfffd;
        size_t len = sx_utf8_decode(text, &code);
        out[count++] = len ? code : 0xfffd;
        text = sx_str_from(text, len ? len : 1);
    }
    return count;
}

/* Without memory the value stays as it is; the buffer tells the caller. */
static sx_str fold(sx_buf *out, sx_str text)
{
    sx_buf_clear(out);
    while (text.len) {
        uint32_t code;
        char bytes[4];
        size_t len = sx_utf8_decode(text, &code);
        if (len)
            sx_buf_bytes(out, bytes, sx_utf8_encode(prom_change_case(code, false), bytes));
        else
            sx_buf_byte(out, text.data[0]);
        text = sx_str_from(text, len ? len : 1);
    }
    return sx_buf_view(out);
}

sx_status api_search_init(api_search *s, const api_search_options *options, const sx_str *terms,
                          size_t count, sx_error *err)
{
    *s = (api_search){.options = *options};
    sx_assert(count <= API_SEARCH_TERMS_MAX);
    sx_buf_init(&s->folded, 0);
    s->characters = sx_alloc(API_SEARCH_CHARACTERS_MAX * sizeof *s->characters);
    s->taken = sx_alloc(2 * API_SEARCH_CHARACTERS_MAX * sizeof *s->taken);
    if (!s->characters || !s->taken)
        return sx_fail_memory(err, "a search");
    for (size_t i = 0; i < count; i++) {
        if (terms[i].len == 0)
            continue;
        api_search_term *t = &s->terms[s->term_count];
        sx_str text = options->fold_case ? fold(&s->folded, terms[i]) : terms[i];
        char *copy = sx_alloc(text.len);
        t->characters = sx_alloc(API_SEARCH_CHARACTERS_MAX * sizeof *t->characters);
        t->bytes = sx_str_of(copy, copy ? text.len : 0);
        s->term_count++;
        if (!copy || !t->characters || s->folded.failed)
            return sx_fail_memory(err, "a search");
        memcpy(copy, text.data, text.len);
        t->count = decode(text, t->characters);
    }
    return SX_OK;
}

void api_search_done(api_search *s)
{
    for (size_t i = 0; i < s->term_count; i++) {
        sx_free((char *)s->terms[i].bytes.data);
        sx_free(s->terms[i].characters);
    }
    s->term_count = 0;
    sx_free(s->characters);
    sx_free(s->taken);
    s->characters = NULL;
    s->taken = NULL;
    sx_buf_done(&s->folded);
}

/* --- A part of the value. */

static bool score_part(const api_search_term *t, sx_str value, double *score)
{
    size_t at = sx_str_find(value, t->bytes);
    *score = 1;
    if (at >= value.len)
        return false;
    if (at == 0)
        return true;
    size_t before = sx_utf8_count(sx_str_first(value, at));
    size_t room = sx_utf8_count(value) - sx_utf8_count(t->bytes);
    *score = 1.0 - 0.9 * (double)before / (double)room;
    return true;
}

/* --- A subsequence. */

/* The score of the match that begins at `from`, each character taken as soon as it comes; false: the
 * term does not stand behind there. */
static bool score_from(characters term, characters text, size_t from, double *score)
{
    double one = 1.0 / (double)text.count, sum = 0;
    size_t next = 0, behind = 0; /* of the term; where the last run ended */
    for (size_t i = from; next < term.count;) {
        while (i < text.count && text.at[i] != term.at[next])
            i++;
        if (i == text.count)
            return false;
        size_t begin = i;
        while (i < text.count && next < term.count && text.at[i] == term.at[next]) {
            i++;
            next++;
        }
        if (begin > behind)
            sum -= (double)(begin - behind) * one;
        sum += (double)((i - begin) * (i - begin));
        behind = i;
    }
    if (text.count > behind) /* what is left over counts half */
        sum -= (double)(text.count - behind) * one * 0.5;
    *score = sum;
    return true;
}

static double score_subsequence(characters term, characters text)
{
    double best = -1, score;
    for (size_t i = 0; i + term.count <= text.count; i++) {
        if (text.at[i] != term.at[0])
            continue;
        if (!score_from(term, text, i, &score)) /* nor would it from further on */
            break;
        best = score > best ? score : best;
    }
    return best < 0 ? 0 : best / (double)(term.count * term.count) * SUBSEQUENCE_SCALE;
}

/* --- Jaro and Winkler. */

typedef struct pairing {
    characters shorter, longer;
    bool *of_shorter, *of_longer; /* characters that have a partner */
    size_t count;
} pairing;

static void pair_up(pairing *p)
{
    size_t reach = p->longer.count / 2;
    reach = reach > 1 ? reach - 1 : 0;
    memset(p->of_shorter, 0, p->shorter.count);
    memset(p->of_longer, 0, p->longer.count);
    for (size_t i = 0; i < p->shorter.count; i++) {
        size_t end = i + reach + 1 < p->longer.count ? i + reach + 1 : p->longer.count;
        for (size_t k = i > reach ? i - reach : 0; k < end; k++) {
            if (p->of_longer[k] || p->shorter.at[i] != p->longer.at[k])
                continue;
            p->of_shorter[i] = p->of_longer[k] = true;
            p->count++;
            break;
        }
    }
}

/* Pairs whose order differs in the two texts. */
static size_t count_transposed(const pairing *p)
{
    size_t transposed = 0, k = 0;
    for (size_t i = 0; i < p->shorter.count; i++) {
        if (!p->of_shorter[i])
            continue;
        while (!p->of_longer[k])
            k++;
        transposed += p->shorter.at[i] != p->longer.at[k++];
    }
    return transposed;
}

static double score_likeness(characters a, characters b, bool *taken)
{
    bool swap = a.count > b.count;
    pairing p = {.shorter = swap ? b : a,
                 .longer = swap ? a : b,
                 .of_shorter = taken,
                 .of_longer = taken + API_SEARCH_CHARACTERS_MAX};
    pair_up(&p);
    if (p.count == 0)
        return 0;
    double paired = (double)p.count, transposed = (double)count_transposed(&p);
    double jaro = (paired * (1.0 / (double)p.shorter.count) +
                   paired * (1.0 / (double)p.longer.count) + (paired - transposed * 0.5) / paired) /
                  3.0;
    size_t common = 0;
    while (common < 4 && common < p.shorter.count && p.shorter.at[common] == p.longer.at[common])
        common++;
    return jaro + (double)common * 0.1 * (1.0 - jaro);
}

/* --- Both. */

static bool score_term(api_search *s, const api_search_term *t, sx_str value, double *score)
{
    characters term = {t->characters, t->count}, text = {s->characters, 0};
    if (s->options.jaro_winkler) {
        if (score_part(t, value, score))
            return true;
        *score = 0;
        if (s->options.threshold <= 0 || value.len == 0)
            return false;
        text.count = decode(value, s->characters);
        *score = score_likeness(term, text, s->taken);
        return *score >= s->options.threshold;
    }
    *score = 1;
    if (sx_str_starts(value, t->bytes))
        return true;
    text.count = decode(value, s->characters);
    *score = score_subsequence(term, text);
    return *score > 0 && *score >= s->options.threshold;
}

bool api_search_score(api_search *s, sx_str value, double *score)
{
    bool passes = false;
    *score = 1;
    if (s->term_count == 0)
        return true;
    if (s->options.fold_case)
        value = fold(&s->folded, value);
    *score = 0;
    for (size_t i = 0; i < s->term_count && *score < 1; i++) {
        double one;
        if (!score_term(s, &s->terms[i], value, &one))
            continue;
        passes = true;
        *score = one > *score ? one : *score;
    }
    return passes;
}
