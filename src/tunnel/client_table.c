#include "otoroshictl/tunnel/client_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64 };

struct client_table {
    int64_t timeout_us;
    uint64_t seed;
    size_t count;
    size_t bucket_count; /* a power of two */
    struct client **buckets;
    struct client *oldest; /* by time last seen */
    struct client *newest;
};

struct client_table *client_table_new(int64_t timeout_us, uint64_t seed)
{
    struct client_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->buckets = calloc(BUCKETS_MIN, sizeof(struct client *));
    if (table->buckets == NULL) {
        free(table);
        return NULL;
    }
    table->bucket_count = BUCKETS_MIN;
    table->timeout_us = timeout_us;
    table->seed = seed;
    return table;
}

void client_table_free(struct client_table *table)
{
    if (table == NULL)
        return;
    for (struct client *client = table->oldest; client != NULL;) {
        struct client *newer = client->newer;
        free(client);
        client = newer;
    }
    free(table->buckets);
    free(table);
}

/* A bijection that spreads every input bit over the whole word (the finaliser of SplitMix64). */
static uint64_t mix(uint64_t word)
{
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static uint32_t hash_address(const struct client_table *table, const struct address *address)
{
    uint64_t halves[2];
    memcpy(halves, address->ip, sizeof halves);
    uint64_t hash = mix(table->seed ^ halves[0]);
    hash = mix(hash ^ halves[1]);
    hash = mix(hash ^ ((uint64_t)address->family << 16 | address->port));
    return (uint32_t)hash;
}

static struct client **bucket_of(const struct client_table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

static struct client *lookup(const struct client_table *table, const struct address *address,
                             uint32_t hash)
{
    struct client *client = *bucket_of(table, hash);
    while (client != NULL && !(client->hash == hash && address_equal(&client->address, address)))
        client = client->next_in_bucket;
    return client;
}

/* Moves the clients to another number of buckets. Failing to get memory only costs speed. */
static void resize(struct client_table *table, size_t bucket_count)
{
    struct client **buckets = calloc(bucket_count, sizeof(struct client *));
    if (buckets == NULL)
        return;
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = bucket_count;
    for (struct client *client = table->oldest; client != NULL; client = client->newer) {
        struct client **bucket = bucket_of(table, client->hash);
        client->next_in_bucket = *bucket;
        *bucket = client;
    }
}

static void unlink_age(struct client_table *table, struct client *client)
{
    *(client->older != NULL ? &client->older->newer : &table->oldest) = client->newer;
    *(client->newer != NULL ? &client->newer->older : &table->newest) = client->older;
}

static void append_newest(struct client_table *table, struct client *client)
{
    client->older = table->newest;
    client->newer = NULL;
    *(table->newest != NULL ? &table->newest->newer : &table->oldest) = client;
    table->newest = client;
}

static struct client *add(struct client_table *table, const struct address *address, uint32_t hash)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    if (table->count >= table->bucket_count)
        resize(table, table->bucket_count * 2);
    client->address = *address;
    client->hash = hash;
    client->lane.client = client;
    frame_prefix_init(&client->prefix, address);
    struct client **bucket = bucket_of(table, hash);
    client->next_in_bucket = *bucket;
    *bucket = client;
    append_newest(table, client);
    table->count++;
    return client;
}

static void mark_seen(struct client_table *table, struct client *client, int64_t now_us)
{
    client->last_seen_us = now_us;
    if (client == table->newest)
        return;
    unlink_age(table, client);
    append_newest(table, client);
}

struct client *client_table_touch(struct client_table *table, const struct address *address,
                                  int64_t now_us)
{
    uint32_t hash = hash_address(table, address);
    struct client *client = lookup(table, address, hash);
    if (client == NULL)
        client = add(table, address, hash);
    if (client == NULL)
        return NULL;
    client->address = *address; /* the parts that are not its identity may be new */
    mark_seen(table, client, now_us);
    return client;
}

struct client *client_table_find(struct client_table *table, const struct address *address,
                                 int64_t now_us)
{
    struct client *client = lookup(table, address, hash_address(table, address));
    return client != NULL && client_table_knows(table, client, now_us) ? client : NULL;
}

bool client_table_knows(const struct client_table *table, const struct client *client,
                        int64_t now_us)
{
    return now_us - client->last_seen_us < table->timeout_us;
}

static bool due(const struct client_table *table, const struct client *client, int64_t now_us)
{
    return table->count > CLIENTS_MAX || !client_table_knows(table, client, now_us);
}

struct client *client_table_expired(struct client_table *table, int64_t now_us)
{
    /* Each is passed over at most once a call, so that a table whose clients all have something
     * queued does not keep the caller here. */
    for (size_t left = table->count; left > 0; left--) {
        struct client *client = table->oldest;
        if (!due(table, client, now_us))
            return NULL;
        if (client->queued == 0)
            return client;
        mark_seen(table, client, now_us);
    }
    return NULL;
}

void client_table_remove(struct client_table *table, struct client *client)
{
    struct client **link = bucket_of(table, client->hash);
    while (*link != client)
        link = &(*link)->next_in_bucket;
    *link = client->next_in_bucket;
    unlink_age(table, client);
    free(client);
    table->count--;
    if (table->bucket_count > BUCKETS_MIN && table->count < table->bucket_count / 8)
        resize(table, table->bucket_count / 2);
}

int64_t client_table_next_expiry(const struct client_table *table)
{
    return table->oldest == NULL ? INT64_MAX : table->oldest->last_seen_us + table->timeout_us;
}

size_t client_table_count(const struct client_table *table)
{
    return table->count;
}
