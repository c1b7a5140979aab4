#include "slot.h"

enum { REMEMBERED = 64 };

void slot_start(struct slot *slot, int64_t now_ns)
{
    slot->answered = slot->answered << 1 | (slot->waiting ? 0 : 1);
    slot->attempt++;
    slot->waiting = true;
    slot->sent_ns = now_ns;
}

enum slot_answer slot_answered(struct slot *slot, uint32_t attempt)
{
    const uint32_t age = slot->attempt - attempt;

    if (age == 0) {
        const bool first = slot->waiting;
        slot->waiting = false;
        return first ? SLOT_RIGHT : SLOT_DUPLICATE;
    }
    if (age > REMEMBERED)
        return SLOT_LATE;
    const uint64_t bit = UINT64_C(1) << (age - 1);
    const bool again = (slot->answered & bit) != 0;
    slot->answered |= bit;
    return again ? SLOT_DUPLICATE : SLOT_LATE;
}

bool slot_overdue(const struct slot *slot, int64_t now_ns, int64_t patience_ns)
{
    return slot->waiting && now_ns - slot->sent_ns >= patience_ns;
}
