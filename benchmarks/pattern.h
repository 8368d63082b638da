/*
 * The bytes of a stream without end, which tell their place: what is lost, doubled or out of its
 * order in between is noticed.  The period is prime, so that no size of buffer hides it.
 */
#include <stdint.h>
#include <string.h>

enum { PERIOD = 1000003, PIECE = 256 << 10 };

static char pattern[PERIOD + PIECE]; /* a piece can begin at any place of the period */

static void makePattern(void)
{
    for (uint32_t i = 0; i < PERIOD; i++)
        pattern[i] = (char)(i * 2654435761u >> 24 ^ i >> 3);
    memcpy(pattern + PERIOD, pattern, PIECE);
}
