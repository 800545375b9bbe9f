/* normal.c - the two forms of a text; see words.h.
 *
 * ICU would run a dozen passes over each text. Their sum is, for most scripts, what each letter becomes by
 * itself, which letters.h lists; left to do here is what depends on neighbours: runs of signs and of
 * spaces, the final sigma, "n°", Greek digraphs. Where tables.py found more than that (Chinese, Korean,
 * Japanese, Thai, scripts of India) icu.c runs the one pass in question and the tables do the rest.
 *
 * Called for every query and every name: no allocation beyond the output's. */
#include "geocode/words/icu.h"
#include "geocode/words/letters.h"
#include "geocode/words/words.h"

/* As tables.py numbers them: what a letter is in the normal form, and in ASCII. */
enum { KEEP, DROP, DASH, HYPHEN, SPACE, MARK, SIGMA, DEGREE, HAN, FORM_TEXTS = 16 };
enum { NOTHING, SELF, BLANK, ASK = 0x8000 /* and what it is if ICU gives it back */ };

enum {
    NUMERO = 0x2116,
    ARMENIAN_VO = 0x578,
    ARMENIAN_YIWN = 0x582,
    GREEK_VOWEL = 1,
    GREEK_UPSILON = 2,
    GREEK_GAMMA = 4,
    GREEK_GUTTURAL = 8,
};

size_t wrd_letter(sx_str s, uint32_t *code)
{
    const uint8_t *p = (const uint8_t *)s.data;
    *code = p[0];
    if (sx_likely(p[0] < 0x80))
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    static const uint32_t LEAST[5] = {0, 0, 0x80, 0x800, 0x10000};
    bool good = p[0] >= 0xC2 && p[0] <= 0xF4 && s.len >= len;
    uint32_t value = p[0] & (0x7Fu >> len);
    for (size_t i = 1; good && i < len; i++) {
        good = (p[i] & 0xC0) == 0x80;
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if (!good || value < LEAST[len] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        *code = 0xFFFD;
        return 1;
    }
    *code = value;
    return len;
}

static const uint16_t *row_of(uint32_t code)
{
    static const uint16_t FAR_HAN[2] = {HAN, ASK}, FAR[2] = {DROP, NOTHING};
    if (sx_likely(code <= LETTER_LAST)) {
        uint32_t block = LETTER_BLOCKS[code / LETTER_BLOCK];
        return LETTER_FORMS + 2 * (size_t)LETTER_ROWS[block * LETTER_BLOCK + code % LETTER_BLOCK];
    }
    return code < 0x40000 ? FAR_HAN : FAR;
}

static void put_text(sx_buf *out, uint16_t form)
{
    sx_buf_bytes(out, LETTER_TEXTS + form + 1, LETTER_TEXTS[form]);
}

/* Unicode's "cased" for the scripts that have case, and what a word may hold without being parted. */
static bool is_cased(uint32_t code)
{
    uint16_t form = row_of(code)[0];
    bool script = code < 0x590 || (code >= 0x1E00 && code < 0x2000);
    return form == SIGMA ||
           (script && (form == KEEP || form >= FORM_TEXTS) && !(code >= '0' && code <= '9'));
}

static bool is_ignored(uint32_t code)
{
    return code == '.' || code == ':' || code == '\'' || code == 0x2019 || code == 0xB7 ||
           code == 0xAD || (code >= 0x300 && code < 0x370);
}

static bool ends_word(sx_str rest)
{
    uint32_t code = '.';
    for (size_t i = 0; i < rest.len && is_ignored(code);)
        i += wrd_letter(sx_str_from(rest, i), &code);
    return !is_cased(code);
}

/* What a pass over the letters leaves to do. */
typedef struct leftovers {
    bool spaces; /* there is a space, '-' or ':' */
    bool marks;
    bool han; /* there was a Chinese character */
} leftovers;

/* Every letter's form; runs of signs become one '-'. */
static leftovers put_forms(sx_str in, sx_buf *out)
{
    leftovers left = {0};
    uint32_t code, before = 0;
    bool in_signs = false, cased = false; /* the last letter that counts was cased */
    for (size_t i = 0, len; i < in.len; i += len, before = code) {
        len = wrd_letter(sx_str_from(in, i), &code);
        uint16_t form = row_of(code)[0];
        if (code == 0xFFFD || (code == NUMERO && in_signs) ||
            (form == DEGREE && code == 0xB0 && before != 'n' && before != 'N'))
            form = DASH;
        bool sign = form == DASH;
        if (sign && !in_signs)
            sx_buf_byte(out, '-');
        in_signs = sign;
        left.spaces |= sign | (form == HYPHEN) | (form == SPACE);
        left.marks |= form == MARK;
        left.han |= form == HAN;
        if (form == KEEP || form == HYPHEN || form == MARK || form == HAN)
            sx_buf_bytes(out, in.data + i, len);
        else if (form == SPACE)
            sx_buf_byte(out, ' ');
        else if (form == SIGMA)
            sx_buf_str(out,
                       cased && ends_word(sx_str_from(in, i + len)) ? SX_STR("ς") : SX_STR("σ"));
        else if (form == DEGREE)
            sx_buf_byte(out, 'o');
        else if (form >= FORM_TEXTS)
            put_text(out, form);
        if (!is_ignored(code))
            cased = is_cased(code);
    }
    return left;
}

static bool is_mark(sx_str s, size_t *len)
{
    uint32_t code;
    *len = wrd_letter(s, &code);
    return *len > 1 && row_of(code)[0] == MARK;
}

static bool parts(char c)
{
    return c == '-' || c == ':';
}

/* Spaces take one '-' or ':' on each side along. In a name what is left of those is spaces, too. In
 * place, from `from` on: nothing grows. */
static void put_spaces(sx_buf *out, size_t from, leftovers left, bool name)
{
    char *text = out->data;
    size_t to = from, at = from, end = out->len, len;
    while (at < end) {
        char c = text[at];
        if (left.marks && (uint8_t)c >= 0x80) {
            bool mark = is_mark(sx_str_of(text + at, end - at), &len);
            for (; len > 0; len--, at++)
                if (!mark)
                    text[to++] = text[at];
            continue;
        }
        size_t run = at + parts(c);
        if (run < end && text[run] == ' ') {
            while (run < end && text[run] == ' ')
                run++;
            at = run + (run < end && parts(text[run]));
            text[to++] = ' ';
        } else if (name && parts(c)) {
            while (at < end && (parts(text[at]) || text[at] == ' '))
                at++;
            text[to++] = ' ';
        } else {
            text[to++] = c;
            at++;
        }
    }
    out->len = to;
}

static void put_normal(sx_str in, sx_buf *out, bool name)
{
    size_t from = out->len;
    leftovers left = put_forms(in, out);
    if (sx_unlikely(left.han)) {
        sx_buf hant;
        sx_buf_init(&hant, 0);
        if (wrd_icu(WRD_ICU_HANT, in, &hant) && !hant.failed) {
            out->len = from;
            left = put_forms(sx_buf_view(&hant), out);
        }
        out->failed |= hant.failed;
        sx_buf_done(&hant);
    }
    if ((left.spaces || left.marks) && !out->failed)
        put_spaces(out, from, left, name);
}

void wrd_normal_name(sx_str in, sx_buf *out)
{
    put_normal(in, out, true);
}

void wrd_normal_query(sx_str in, sx_buf *out)
{
    put_normal(in, out, false);
}

/* --- ASCII. */

static uint8_t greek(uint32_t code)
{
    if (code >= 0x370 && code < 0x400)
        return LETTER_GREEK[code - 0x370];
    if (code >= 0x1F00 && code < 0x2000)
        return LETTER_GREEK[code - 0x1F00 + 0x90];
    return 0;
}

static bool is_vowel(uint32_t code)
{
    return code == 'a' || code == 'e' || code == 'i' || code == 'o' || code == 'u';
}

static bool ends_in_u(const sx_buf *out)
{
    return out->len && out->data[out->len - 1] == 'u';
}

/* Digraphs; false: the letter stands for itself. `rest` is what follows. */
static bool put_digraph(uint32_t before, uint32_t code, sx_str rest, sx_buf *out)
{
    uint32_t next = 0;
    if (code == ARMENIAN_VO || code == ARMENIAN_YIWN) {
        if (rest.len)
            (void)wrd_letter(rest, &next);
        if (code == ARMENIAN_VO)
            return next == ARMENIAN_YIWN;
        if (before == ARMENIAN_VO)
            sx_buf_byte(out, 'u');
        return before == ARMENIAN_VO;
    }
    uint8_t role = greek(code);
    if ((role & GREEK_UPSILON) && ((greek(before) & GREEK_VOWEL) || is_vowel(before) ||
                                   ((greek(before) & GREEK_UPSILON) && ends_in_u(out)))) {
        sx_buf_byte(out, 'u');
        return true;
    }
    if ((role & GREEK_GAMMA) && rest.len) {
        (void)wrd_letter(rest, &next);
        if (greek(next) & GREEK_GUTTURAL) {
            sx_buf_byte(out, 'n');
            return true;
        }
    }
    return false;
}

/* What to do with the letters that ICU should be asked about. */
typedef enum asking {
    STOP,     /* give up at the first */
    ASKED,    /* ICU gave it back: it has another form, or none */
    AS_IT_IS, /* ICU is not there */
} asking;

/* Letter by letter. False: stopped. */
static bool put_ascii(sx_str in, sx_buf *out, asking how)
{
    uint32_t code, before = 0;
    for (size_t i = 0, len; i < in.len; i += len, before = code) {
        uint8_t c = (uint8_t)in.data[i];
        if (sx_likely(c < 0x80)) {
            len = 1;
            code = c;
            if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
                sx_buf_byte(out, (char)c);
            else if (row_of(c)[1] == BLANK)
                sx_buf_byte(out, ' ');
            continue;
        }
        len = wrd_letter(sx_str_from(in, i), &code);
        if (code >= 0x370 && code < 0x2000 &&
            put_digraph(before, code, sx_str_from(in, i + len), out))
            continue;
        uint16_t form = row_of(code)[1];
        if (form & ASK) {
            if (how == STOP)
                return false;
            form = how == ASKED ? form & ~ASK : SELF;
        }
        if (form == SELF)
            sx_buf_bytes(out, in.data + i, len);
        else if (form == BLANK)
            sx_buf_byte(out, ' ');
        else if (form >= FORM_TEXTS)
            put_text(out, form);
    }
    return true;
}

void wrd_ascii(sx_str normal, sx_buf *out)
{
    size_t from = out->len;
    if (sx_unlikely(!put_ascii(normal, out, STOP))) {
        sx_buf latin;
        sx_buf_init(&latin, 0);
        bool asked = wrd_icu(WRD_ICU_LATIN, normal, &latin) && !latin.failed;
        out->len = from;
        (void)put_ascii(asked ? sx_buf_view(&latin) : normal, out, asked ? ASKED : AS_IT_IS);
        out->failed |= latin.failed;
        sx_buf_done(&latin);
    }
    if (out->failed)
        return;
    size_t to = from;
    for (size_t at = from; at < out->len; at++)
        if (out->data[at] != ' ' || at == from || out->data[at - 1] != ' ')
            out->data[to++] = out->data[at];
    out->len = to;
}

void wrd_search_form(sx_str name, sx_buf *out)
{
    sx_buf normal;
    sx_buf_init(&normal, 0);
    wrd_normal_name(name, &normal);
    size_t from = out->len;
    wrd_ascii(sx_str_trim(sx_buf_view(&normal)), out);
    out->failed |= normal.failed;
    sx_buf_done(&normal);
    if (out->failed)
        return;
    sx_str text = sx_str_trim(sx_str_of(out->data + from, out->len - from));
    if (text.len)
        memmove(out->data + from, text.data, text.len);
    out->len = from + text.len;
}
