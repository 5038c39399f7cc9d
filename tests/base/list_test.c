/* SPDX-License-Identifier: MIT */
/* list_test.c - the intrusive ring: order, membership, and zeroed heads. */
#include "base/list.h"

#include <criterion/criterion.h>

Test(list, a_zeroed_head_is_an_empty_list)
{
    hk_node head = {0};
    cr_expect(hk_list_empty(&head));
    cr_expect_null(hk_list_first(&head));
    cr_expect_null(hk_list_pop_front(&head));
}

Test(list, pushed_at_the_back_comes_out_in_order)
{
    hk_node head = {0};
    hk_node nodes[5] = {{0}};
    for (int i = 0; i < 5; i++)
        hk_list_push_back(&head, &nodes[i]);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(hk_list_pop_front(&head), &nodes[i]);
    cr_expect(hk_list_empty(&head));
}

Test(list, pushed_at_the_front_comes_out_in_reverse)
{
    hk_node head = {0};
    hk_node nodes[5] = {{0}};
    for (int i = 0; i < 5; i++)
        hk_list_push_front(&head, &nodes[i]);
    for (int i = 4; i >= 0; i--)
        cr_expect_eq(hk_list_pop_front(&head), &nodes[i]);
}

Test(list, removing_from_the_middle_keeps_the_neighbours)
{
    hk_node head = {0};
    hk_node nodes[3] = {{0}};
    for (int i = 0; i < 3; i++)
        hk_list_push_back(&head, &nodes[i]);
    hk_list_remove(&nodes[1]);
    cr_expect_not(hk_node_linked(&nodes[1]));
    cr_expect(hk_node_linked(&nodes[0]));
    cr_expect_eq(hk_list_pop_front(&head), &nodes[0]);
    cr_expect_eq(hk_list_pop_front(&head), &nodes[2]);
    cr_expect_null(hk_list_pop_front(&head));
}

Test(list, a_removed_node_can_join_again)
{
    hk_node head = {0};
    hk_node node = {0};
    for (int i = 0; i < 3; i++) {
        hk_list_push_back(&head, &node);
        cr_expect_eq(hk_list_first(&head), &node);
        hk_list_remove(&node);
        cr_expect(hk_list_empty(&head));
    }
}
