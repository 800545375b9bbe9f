/* list.h - a doubly linked list whose links live inside the things it lists.
 *
 * Nothing is allocated; a thing with two sx_list fields can be on two lists at once. The list is a
 * ring through a head, so insertion and removal have no special cases. One thread at a time. */
#ifndef SEXTANT_LIST_H
#define SEXTANT_LIST_H

#include <sextant/base.h>

SX_BEGIN_DECLS

/* A head, or a link in a thing. A link that is on no list points at itself after sx_list_init or
 * sx_list_remove. */
typedef struct sx_list {
    struct sx_list *next;
    struct sx_list *prev;
} sx_list;

/* Runs over the links first to last; `it` is an sx_list pointer of the caller's. The body must not
 * remove `it`; with _SAFE it may, `after` (another one) holds the next link meanwhile. */
#define SX_LIST_EACH(it, head) for ((it) = (head)->next; (it) != (head); (it) = (it)->next)
#define SX_LIST_EACH_SAFE(it, after, head)                                                         \
    for ((it) = (head)->next, (after) = (it)->next; (it) != (head);                                \
         (it) = (after), (after) = (it)->next)

/* An empty list, or a link that is on none. */
static inline void sx_list_init(sx_list *l)
{
    l->next = l;
    l->prev = l;
}

/* Whether the list has nothing; of a link: whether it is on no list. */
static inline bool sx_list_empty(const sx_list *l)
{
    return l->next == l;
}

/* Puts `link`, which must be on no list, behind `at`. */
static inline void sx_list_insert_after(sx_list *at, sx_list *link)
{
    link->prev = at;
    link->next = at->next;
    at->next->prev = link;
    at->next = link;
}

/* Puts `link`, which must be on no list, first or last. */
static inline void sx_list_push_front(sx_list *head, sx_list *link)
{
    sx_list_insert_after(head, link);
}

static inline void sx_list_push_back(sx_list *head, sx_list *link)
{
    sx_list_insert_after(head->prev, link);
}

/* Takes `link` off its list; of a link that is on none: does nothing. */
static inline void sx_list_remove(sx_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    sx_list_init(link);
}

/* Takes off and returns the first link, or NULL from an empty list. */
static inline sx_list *sx_list_pop_front(sx_list *head)
{
    sx_list *first = head->next;
    if (first == head)
        return NULL;
    sx_list_remove(first);
    return first;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void sx_list_splice_back(sx_list *to, sx_list *from)
{
    if (sx_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    sx_list_init(from);
}

/* How many links there are, by walking. */
static inline size_t sx_list_count(const sx_list *head)
{
    size_t n = 0;
    for (const sx_list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}

SX_END_DECLS

#endif
