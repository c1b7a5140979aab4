/* However the bytes of a server arrive, the events are those of the whole. The first four bytes of
 * an input choose the limit and the cuts, the rest is what the server sends. */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "otoroshictl/codec/ws_frame.h"

enum { CHOICE_BYTES = 4 };

/* A fingerprint of all events so far (as FNV-1a, but for numbers too). */
static uint64_t mix(uint64_t hash, uint64_t number)
{
    return (hash ^ number) * UINT64_C(0x100000001B3);
}

static uint64_t mix_event(uint64_t hash, const struct ws_event *event)
{
    hash = mix(hash, event->kind);
    hash = mix(hash, event->opcode);
    hash = mix(hash, event->status);
    hash = mix(hash, event->size);
    for (size_t i = 0; i < event->size; i++)
        hash = mix(hash, event->data[i]);
    return hash;
}

struct run {
    struct ws_parser *parser;
    size_t limit;
    uint64_t events;
    bool final;
    size_t need;
};

static void check_more(struct run *run, size_t used, size_t left, const struct ws_event *event)
{
    CHECK(event->need > left);
    CHECK(event->need <= WS_HEADER_MAX_BYTES + run->limit + WS_CONTROL_MAX_BYTES);
    /* Who brings what was asked for gets on. */
    CHECK(used > 0 || left < run->need || event->need > run->need);
    run->need = event->need;
}

static void check_event(struct run *run, const struct ws_event *event)
{
    CHECK(event->kind != WS_EVENT_MESSAGE || event->size <= run->limit);
    CHECK(event->kind != WS_EVENT_BREACH || event->why != NULL);
    run->final = event->kind == WS_EVENT_BREACH || event->kind == WS_EVENT_CLOSE;
    run->events = mix_event(run->events, event);
    run->need = 0;
}

/* Offers the unread bytes in a heap block of their size until more are needed; returns how many
 * were used up. */
static size_t offer(struct run *run, const uint8_t *unread, size_t size)
{
    uint8_t *const block = malloc(size + 1);
    CHECK(block != NULL);
    uint8_t *const exact = block + 1;
    memcpy(exact, unread, size);
    struct ws_event event;
    size_t used = 0;
    do {
        const size_t step = ws_parser_next(run->parser, exact + used, size - used, &event);
        CHECK(step <= size - used);
        used += step;
        if (event.kind == WS_EVENT_MORE)
            check_more(run, step, size - used, &event);
        else
            check_event(run, &event);
    } while (event.kind != WS_EVENT_MORE && !run->final);
    free(block);
    return used;
}

static size_t next_chunk(uint32_t *random, const struct run *run, size_t unread)
{
    *random = *random * 1664525 + 1013904223;
    const uint32_t bits = *random >> 16;
    if (bits % 4 == 0 && run->need > unread)
        return run->need - unread;
    return bits % 4 == 1 ? 1 : bits / 4 % 64 + 1;
}

/* The events' fingerprint with the bytes cut as `random` says, 0 for not at all. */
static uint64_t parse(const uint8_t *data, size_t size, size_t limit, uint32_t random)
{
    struct run run = {.parser = ws_parser_new(limit), .limit = limit};
    CHECK(run.parser != NULL);
    size_t start = 0;
    size_t end = 0;
    while (end < size && !run.final) {
        const size_t chunk = random == 0 ? size : next_chunk(&random, &run, end - start);
        end += chunk < size - end ? chunk : size - end;
        start += offer(&run, data + start, end - start);
    }
    ws_parser_free(run.parser);
    return run.events;
}

static void check_mask(const uint8_t *data, size_t size)
{
    uint8_t *const copy = malloc(size + 1);
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    ws_mask(copy, size, data);
    for (size_t i = 0; i < size; i++)
        CHECK(copy[i] == (data[i] ^ data[i % 4]));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_BYTES)
        return 0;
    const size_t limit = (size_t)data[0] * 16;
    const uint32_t random = (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3] | 1;
    const uint8_t *const stream = data + CHOICE_BYTES;
    const size_t stream_size = size - CHOICE_BYTES;
    CHECK(parse(stream, stream_size, limit, 0) == parse(stream, stream_size, limit, random));
    check_mask(data, size);
    return 0;
}
