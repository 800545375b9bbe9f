/* query_match.c - how well what was written fits what a token stands for.
 *
 * The two texts are laid out as Python's difflib does: the longest common piece first (the earliest of
 * equal ones), then the same left and right of it. What is left over costs: a difference in the middle
 * by its length, one at an end a little. */
#include "geocode/nominatim/query.h"

#include <stdlib.h>

#include "geocode/words/words.h"

enum { LETTERS_MAX = 256 };

typedef struct texts {
    uint32_t a[LETTERS_MAX], b[LETTERS_MAX];
    unsigned a_len, b_len;
    unsigned distance;
} texts;

static unsigned letters_of(sx_str s, uint32_t out[LETTERS_MAX])
{
    unsigned count = 0;
    for (size_t i = 0; i < s.len && count < LETTERS_MAX; count++)
        i += wrd_letter(sx_str_from(s, i), &out[count]);
    return count;
}

/* A stretch of each that has nothing in common. */
static void differ(texts *t, unsigned a_from, unsigned a_to, unsigned b_from, unsigned b_to)
{
    unsigned a = a_to - a_from, b = b_to - b_from;
    if (a == 0 && b == 0)
        return;
    if (a && b)
        t->distance += a > b ? a : b;
    else if (a_from == 0 || a_to == t->a_len)
        t->distance += 1;
    else
        t->distance += a + b;
}

static void compare(texts *t, unsigned a_from, unsigned a_to, unsigned b_from, unsigned b_to)
{
    unsigned best_a = a_from, best_b = b_from, best = 0;
    unsigned before[LETTERS_MAX + 1], now[LETTERS_MAX + 1]; /* lengths of pieces that end at b */
    if (a_from < a_to && b_from < b_to) {
        memset(before + b_from, 0, (b_to - b_from + 1) * sizeof(before[0]));
        now[b_from] = 0;
        for (unsigned i = a_from; i < a_to; i++) {
            for (unsigned k = b_from; k < b_to; k++) {
                unsigned run = t->a[i] == t->b[k] ? before[k] + 1 : 0;
                now[k + 1] = run;
                if (run > best) {
                    best = run;
                    best_a = i + 1 - run;
                    best_b = k + 1 - run;
                }
            }
            memcpy(before + b_from, now + b_from, (b_to - b_from + 1) * sizeof(before[0]));
        }
    }
    if (best == 0) {
        differ(t, a_from, a_to, b_from, b_to);
        return;
    }
    compare(t, a_from, best_a, b_from, best_b);
    compare(t, best_a + best, a_to, best_b + best, b_to);
}

double nom_match_penalty(sx_str lookup, sx_str asked)
{
    if (lookup.len == 0 || sx_str_eq(lookup, asked))
        return 0;
    texts t = {.distance = 0};
    t.a_len = letters_of(lookup, t.a);
    t.b_len = letters_of(asked, t.b);
    compare(&t, 0, t.a_len, 0, t.b_len);
    return (double)t.distance / t.a_len;
}
