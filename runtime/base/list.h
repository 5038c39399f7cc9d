/* SPDX-License-Identifier: MIT */
/* list.h - an intrusive ring of nodes: queue, stack and set in one.
 *
 * The head is a node too, so no operation has a special case. Not shared: whoever owns the list
 * orders its users. A node that is in no list points at itself or is zeroed.
 *
 *        head <-> first <-> ... <-> last <-> head
 */
#ifndef HK_BASE_LIST_H
#define HK_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hk_node {
    struct hk_node *next;
    struct hk_node *prev;
} hk_node;

static inline void hk_list_init(hk_node *head)
{
    head->next = head->prev = head;
}

/* A zeroed head is an empty list that has not been initialised yet. */
static inline bool hk_list_empty(const hk_node *head)
{
    return head->next == head || head->next == NULL;
}

static inline bool hk_node_linked(const hk_node *node)
{
    return node->next != NULL && node->next != node;
}

static inline void hk_list_insert_before(hk_node *place, hk_node *node)
{
    node->next = place;
    node->prev = place->prev;
    place->prev->next = node;
    place->prev = node;
}

static inline void hk_list_push_back(hk_node *head, hk_node *node)
{
    if (head->next == NULL)
        hk_list_init(head);
    hk_list_insert_before(head, node);
}

static inline void hk_list_push_front(hk_node *head, hk_node *node)
{
    if (head->next == NULL)
        hk_list_init(head);
    hk_list_insert_before(head->next, node);
}

static inline void hk_list_remove(hk_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

static inline hk_node *hk_list_first(hk_node *head)
{
    return hk_list_empty(head) ? NULL : head->next;
}

static inline hk_node *hk_list_pop_front(hk_node *head)
{
    hk_node *node = hk_list_first(head);
    if (node)
        hk_list_remove(node);
    return node;
}

#endif
