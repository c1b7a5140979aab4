/* The local clients: who has sent a datagram lately, and what is kept for each.
 *
 * A hash table by address, and a list by the time last seen. The hash is seeded, so that nobody
 * can choose addresses that collide. Times are microseconds of the caller's clock. */
#ifndef OTOROSHICTL_TUNNEL_CLIENT_TABLE_H
#define OTOROSHICTL_TUNNEL_CLIENT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otoroshictl/codec/address.h"
#include "otoroshictl/codec/frame.h"
#include "otoroshictl/tunnel/lane.h"
#include "otoroshictl/tunnel/pairing.h"

/* Above this many the client unseen for longest is forgotten to make room. */
enum { CLIENTS_MAX = 65536 };

struct client {
    struct address address;
    struct frame_prefix prefix;
    struct lane lane;           /* of no use where all clients share one */
    struct pairing_share share; /* its part of its WebSocket's unanswered datagrams */
    int64_t last_seen_us;
    uint32_t queued; /* datagrams in the send queue, whatever the lane; while there are any it is
                      * not forgotten */
    uint32_t hash;
    struct client *next_in_bucket;
    struct client *older;
    struct client *newer;
};

struct client_table;

/* NULL when out of memory. `seed` makes the hash unpredictable. */
struct client_table *client_table_new(int64_t timeout_us, uint64_t seed);
void client_table_free(struct client_table *table);

/* The client of this address, made where it is new, marked as seen now. NULL when out of memory.
 * The pointer is valid until client_table_remove(). */
struct client *client_table_touch(struct client_table *table, const struct address *address,
                                  int64_t now_us);

/* The client of this address if it was seen within the timeout, else NULL. */
struct client *client_table_find(struct client_table *table, const struct address *address,
                                 int64_t now_us);

/* Was it seen within the timeout? */
bool client_table_knows(const struct client_table *table, const struct client *client,
                        int64_t now_us);

/* The client to forget next: unseen for the timeout, or the table is above CLIENTS_MAX. NULL if
 * there is none. A client with queued datagrams is passed over (its time starts anew). */
struct client *client_table_expired(struct client_table *table, int64_t now_us);
void client_table_remove(struct client_table *table, struct client *client);

/* When client_table_expired() will next have one; INT64_MAX where the table is empty. */
int64_t client_table_next_expiry(const struct client_table *table);
size_t client_table_count(const struct client_table *table);

#endif
