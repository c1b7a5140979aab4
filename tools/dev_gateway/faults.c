#include "faults.h"

#include <string.h>

#include "endpoint.h"

static const char every_prefix[] = "every:";

static bool parse_list(struct fault_schedule *out, char *text)
{
    char *rest = NULL;

    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        if (out->count == FAULT_NUMBERS_MAX)
            return false;
        if (!parse_number(&out->numbers[out->count], word, UINT32_MAX) ||
            out->numbers[out->count] == 0)
            return false;
        out->count++;
    }
    return out->count > 0;
}

bool fault_schedule_parse(struct fault_schedule *out, const char *text)
{
    char copy[1024];

    memset(out, 0, sizeof(*out));
    if (strncmp(text, every_prefix, sizeof(every_prefix) - 1) == 0)
        return parse_number(&out->every, text + sizeof(every_prefix) - 1, UINT32_MAX) &&
               out->every > 0;
    if (strlen(text) >= sizeof(copy))
        return false;
    memcpy(copy, text, strlen(text) + 1);
    return parse_list(out, copy);
}

bool fault_schedule_hits(const struct fault_schedule *schedule, uint64_t number)
{
    if (schedule->every > 0)
        return number % schedule->every == 0;
    for (size_t i = 0; i < schedule->count; i++) {
        if (schedule->numbers[i] == number)
            return true;
    }
    return false;
}

uint64_t fault_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}
