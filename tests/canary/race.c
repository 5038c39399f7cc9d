/* SPDX-License-Identifier: MIT */
/* race.c - must be reported by ThreadSanitizer, or nobody's race is. */
#include <pthread.h>

static long counter;

static void *count(void *arg)
{
    for (int i = 0; i < 100 * 1000; i++)
        counter++;
    return arg;
}

int main(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, count, NULL) != 0)
        return 0;
    count(NULL);
    (void)pthread_join(other, NULL);
    return counter < 0;
}
