/* tokens.c - see tokens.h. */
#include "geocode/text/tokens.h"

enum { DIGITS_APART = 5 }; /* five digits are a postcode wherever they stand */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

bool geo_number_parse(sx_str folded, geo_number *out)
{
    size_t digits = 0;
    uint32_t number = 0;
    while (digits < folded.len && digits <= GEO_NUMBER_DIGITS_MAX && is_digit(folded.data[digits]))
        number = number * 10 + (uint32_t)(folded.data[digits++] - '0');
    sx_str suffix = sx_str_from(folded, digits);
    if (digits == 0 || digits > GEO_NUMBER_DIGITS_MAX || suffix.len > GEO_NUMBER_SUFFIX_MAX)
        return false;
    if (suffix.len && (!is_letter(suffix.data[0]) || (folded.data[0] == '0' && digits > 1)))
        return false;
    for (size_t i = 1; i < suffix.len; i++) {
        if (!is_digit(suffix.data[i]))
            return false;
    }
    *out = (geo_number){number, suffix};
    return true;
}

/* One written word on its way. The view is good until the next word is read. */
typedef struct piece {
    sx_str text;
    bool first; /* of the text */
} piece;

static bool are_digits(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
    }
    return s.len > 0;
}

/* Where the first five digits in `s` begin; s.len if there are none. */
static size_t find_postcode(sx_str s)
{
    size_t run = 0;
    for (size_t i = 0; i < s.len; i++) {
        run = is_digit(s.data[i]) ? run + 1 : 0;
        if (run == DIGITS_APART)
            return i + 1 - DIGITS_APART;
    }
    return s.len;
}

/* The next written word of *rest, cut off; empty at the end. */
static sx_str next_word(sx_str *rest)
{
    while (rest->len && rest->data[0] == ' ')
        *rest = sx_str_from(*rest, 1);
    sx_str word = sx_str_first(*rest, sx_str_find_byte(*rest, ' '));
    size_t postcode = find_postcode(word);
    if (postcode == 0 && word.len >= DIGITS_APART)
        word = sx_str_first(word, DIGITS_APART);
    else
        word = sx_str_first(word, postcode);
    *rest = sx_str_from(*rest, word.len);
    return word;
}

static bool is_short_number(sx_str word)
{
    return word.len <= GEO_NUMBER_DIGITS_MAX && are_digits(word);
}

/* The letters that `word` adds to a number before it; empty if it is none that could. */
static sx_str suffix_of(const geo_rules *r, sx_str word)
{
    sx_str ordinal = geo_rules_ordinal(r, word);
    if (ordinal.len)
        return ordinal;
    return word.len == 1 && is_letter(word.data[0]) ? word : sx_str_of("", 0);
}

/* The tokens so far, and the rule for the house number: the first number that begins the text or
 * stands before a street word. */
typedef struct cutter {
    const geo_rules *rules;
    geo_token *out;
    size_t count, max;
    uint32_t place;
    bool has_number;
    geo_sounds *sounds; /* NULL: none are kept */
} cutter;

/* As geo_rules_sound(), by what is kept. */
static size_t sound(const cutter *c, char *word, size_t len)
{
    if (!c->sounds || len > GEO_SOUND_BYTES_MAX)
        return geo_rules_sound(c->rules, word, len);
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    uint32_t slot = (hash ^ hash >> 16) % GEO_SOUNDS_KEPT;
    bool kept = c->sounds->rows[slot].rules == c->rules && c->sounds->rows[slot].len == len &&
                memcmp(c->sounds->rows[slot].word, word, len) == 0;
    if (!kept) {
        memcpy(c->sounds->rows[slot].word, word, len);
        c->sounds->rows[slot].len = (uint8_t)len;
        size_t sound_len = geo_rules_sound(c->rules, word, len);
        /* No rule makes a word longer than GEO_TOKEN_BYTES_MAX; one longer than this is not kept. */
        c->sounds->rows[slot].rules = sound_len <= GEO_SOUND_BYTES_MAX ? c->rules : NULL;
        if (!c->sounds->rows[slot].rules)
            return sound_len;
        c->sounds->rows[slot].sound_len = (uint8_t)sound_len;
        memcpy(c->sounds->rows[slot].sound, word, sound_len);
        return sound_len;
    }
    memcpy(word, c->sounds->rows[slot].sound, c->sounds->rows[slot].sound_len);
    return c->sounds->rows[slot].sound_len;
}

/* Appends one spoken word. */
static geo_token *put(cutter *c, sx_str word)
{
    if (c->count == c->max || word.len == 0)
        return NULL;
    geo_token *t = &c->out[c->count];
    size_t len = word.len < sizeof(t->own) ? word.len : sizeof(t->own);
    while (len < word.len && ((unsigned char)word.data[len] & 0xC0) == 0x80)
        len--; /* never half a character */
    memcpy(t->own, word.data, len);
    len = sound(c, t->own, len);
    if (len == 0)
        return NULL;
    t->text = sx_str_of(t->own, len);
    t->place = c->place;
    t->is_number = false;
    t->written = sx_str_of("", 0);
    c->count++;
    return t;
}

/* Whether `word` is a number that may be a house's: at most a letter behind it. */
static bool looks_like_number(sx_str word)
{
    size_t digits = 0;
    while (digits < word.len && is_digit(word.data[digits]))
        digits++;
    return digits > 0 && digits <= GEO_NUMBER_DIGITS_MAX &&
           (digits == word.len || (digits + 1 == word.len && is_letter(word.data[digits])));
}

/* Puts a written word, its abbreviation expanded. */
static void put_written(cutter *c, piece p, sx_str next)
{
    bool house =
        !c->has_number && looks_like_number(p.text) &&
        (p.first || (!geo_rules_rewrites(c->rules) && geo_rules_is_street_word(c->rules, next)));
    sx_str rest = geo_rules_expand(c->rules, p.text), word;
    while (rest.len) {
        (void)sx_str_cut(rest, ' ', &word, &rest);
        geo_token *t = put(c, word);
        if (!t || !house)
            continue;
        /* "dix sept" is one house number: its first word has it as it was written. */
        t->is_number = true;
        if (c->has_number)
            continue;
        c->has_number = true;
        memcpy(t->number, p.text.data, p.text.len);
        t->written = sx_str_of(t->number, p.text.len);
    }
    c->place++;
}

/* "19ter" as one word becomes "19t", in `room`. */
static sx_str fold_ordinal(const geo_rules *r, sx_str word, char room[GEO_NUMBER_DIGITS_MAX + 1])
{
    size_t digits = 0;
    while (digits < word.len && is_digit(word.data[digits]))
        digits++;
    sx_str letter = geo_rules_ordinal(r, sx_str_from(word, digits));
    if (digits == 0 || digits > GEO_NUMBER_DIGITS_MAX || letter.len != 1)
        return word;
    memcpy(room, word.data, digits);
    room[digits] = letter.data[0];
    return sx_str_of(room, digits + 1);
}

/* Two words are read ahead: one that a number may take for its letter, one that must follow it. */
size_t geo_tokens_kept(const geo_rules *r, sx_str folded, geo_token *out, size_t max,
                       geo_sounds *sounds)
{
    cutter c = {.rules = r, .out = out, .max = max, .sounds = sounds};
    char room[GEO_NUMBER_DIGITS_MAX + 1];
    sx_str rest = folded;
    bool rewritten = geo_rules_rewrites(r); /* its number is first, and has its letter */
    piece now = {next_word(&rest), true};
    sx_str next = next_word(&rest), after = next_word(&rest);
    while (now.text.len && c.count < max) {
        if (!rewritten && is_short_number(now.text) && is_short_number(next) && after.len) {
            now =
                (piece){next, false}; /* of numbers in a row, a number before the last word goes */
            next = after;
            after = next_word(&rest);
            continue;
        }
        sx_str suffix =
            !rewritten && is_short_number(now.text) ? suffix_of(r, next) : sx_str_of("", 0);
        if (suffix.len && (after.len == 0 || geo_rules_is_street_word(r, after))) {
            memcpy(room, now.text.data, now.text.len);
            room[now.text.len] = suffix.data[0];
            now.text = sx_str_of(room, now.text.len + 1);
            next = after;
            after = next_word(&rest);
        } else {
            now.text = fold_ordinal(r, now.text, room);
        }
        put_written(&c, now, next);
        now = (piece){next, false};
        next = after;
        after = next_word(&rest);
    }
    return c.count;
}

size_t geo_tokens(const geo_rules *r, sx_str folded, geo_token *out, size_t max)
{
    return geo_tokens_kept(r, folded, out, max, NULL);
}
