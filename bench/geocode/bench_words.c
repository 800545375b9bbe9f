/* bench_words - the forms of a short text, and the words of a street's name. One line a figure. */
#include <stdio.h>

#include <sextant/clock.h>

#include "geocode/words/words.h"

enum { ROUNDS = 200000 };

static void print(const char *name, int64_t ns, int rounds)
{
    printf("%s %.1f ns\n", name, (double)ns / rounds);
}

int main(void)
{
    static const char *const TEXTS[] = {"Städtle 32, 9490 Vaduz", "Calle Mayor 5", "Тверская улица",
                                        "Hauptstrasse"};
    sx_buf normal = {0}, ascii = {0};
    int64_t begin = sx_clock_mono_ns(sx_clock_system());
    for (int i = 0; i < ROUNDS; i++) {
        sx_buf_clear(&normal);
        sx_buf_clear(&ascii);
        wrd_normal_query(sx_str_z(TEXTS[i & 3]), &normal);
        wrd_ascii(sx_buf_view(&normal), &ascii);
    }
    print("words_forms_of_a_short_text", sx_clock_mono_ns(sx_clock_system()) - begin, ROUNDS);
    sx_buf_done(&normal);
    sx_buf_done(&ascii);

    wrd_analyzer *a = wrd_analyzer_new(NULL);
    wrd_words w;
    begin = sx_clock_mono_ns(sx_clock_system());
    for (int i = 0; a && i < ROUNDS / 10; i++) {
        wrd_names_begin(a, SX_STR("li"));
        wrd_names_add(a, SX_STR("name"), SX_STR("Äulestrasse"));
        if (wrd_names_end(a, &w, NULL) != SX_OK)
            return 1;
    }
    print("words_of_a_street", sx_clock_mono_ns(sx_clock_system()) - begin, ROUNDS / 10);
    wrd_analyzer_free(a);
    return 0;
}
