#include "otoroshictl/ops/status_pages.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "otoroshictl/codec/address.h"

enum {
    STATUS_OK = 200,
    STATUS_NOT_FOUND = 404,
    STATUS_METHOD_NOT_ALLOWED = 405,
    STATUS_MISDIRECTED_REQUEST = 421, /* RFC 9110, section 15.5.20 */
    STATUS_INTERNAL_ERROR = 500,
    STATUS_UNAVAILABLE = 503,
};

#define PLAIN_TEXT "text/plain; charset=utf-8"

typedef void page_function(struct status_answer *answer, const struct status_facts *facts);

struct page {
    const char *path;
    const char *content_type;
    const char *summary;
    page_function *write;
};

/* ---- the pages ------------------------------------------------------------------------------- */

static page_function write_index;

static void write_metrics(struct status_answer *answer, const struct status_facts *facts)
{
    metrics_append_prometheus(&answer->body, &facts->process, &facts->tunnel);
}

static void write_json(struct status_answer *answer, const struct status_facts *facts)
{
    metrics_append_json(&answer->body, &facts->process, &facts->tunnel);
}

/* That the loop runs shows in the answer itself. */
static void write_health(struct status_answer *answer, const struct status_facts *facts)
{
    (void)facts;
    text_append(&answer->body, "ok\n");
}

static void write_readiness(struct status_answer *answer, const struct status_facts *facts)
{
    const struct counters *counters = &facts->tunnel.counters;
    if (counters_open_connections(counters) > 0) {
        text_append(&answer->body, "ready\n");
        return;
    }
    answer->status = STATUS_UNAVAILABLE;
    text_append(&answer->body, "not ready: no WebSocket to Otoroshi (%s) is open; ",
                facts->tunnel.gateway);
    if (counters->connections_connecting > 0)
        text_append(&answer->body, "connecting");
    else
        text_append(&answer->body, "waiting for the next attempt");
    text_append(&answer->body, ", %" PRIu64 " failed so far\n", counters->connects_failed);
}

static const struct page pages[] = {
    {"/", PLAIN_TEXT, "this list", write_index},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "for Prometheus", write_metrics},
    {"/status.json", "application/json", "the same as JSON", write_json},
    {"/healthz", PLAIN_TEXT, "200 while the tool runs", write_health},
    {"/readyz", PLAIN_TEXT, "200 while a WebSocket to Otoroshi is open, else 503", write_readiness},
};

enum { PAGE_COUNT = sizeof(pages) / sizeof(pages[0]) };

static void write_index(struct status_answer *answer, const struct status_facts *facts)
{
    text_append(&answer->body, "otoroshictl %s\n\n", facts->process.version);
    for (size_t i = 0; i < PAGE_COUNT; i++)
        text_append(&answer->body, "%-14s %s\n", pages[i].path, pages[i].summary);
}

/* ---- the Host header ------------------------------------------------------------------------- */

struct host_name {
    const char *name; /* without brackets */
    size_t length;
};

static bool is_port(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

/* HOST[:PORT], RFC 9110, section 7.2. */
static bool split_host(struct host_name *out, const char *header)
{
    const char *end;
    bool brackets = header[0] == '[';
    out->name = header + brackets;
    end = strchr(out->name, brackets ? ']' : ':');
    out->length = end != NULL ? (size_t)(end - out->name) : strlen(out->name);
    if (end == NULL)
        return !brackets;
    end += brackets;
    return end[0] == '\0' || (end[0] == ':' && is_port(end + 1));
}

static bool is_name(const struct host_name *host, const char *name)
{
    return strlen(name) == host->length && strncasecmp(host->name, name, host->length) == 0;
}

/* A browser always sends the header, and HTTP/1.0 may leave it out. */
static bool host_is_ours(const char *header, const char *listen_host)
{
    struct host_name host;
    struct address address;
    if (header == NULL)
        return true;
    if (!split_host(&host, header))
        return false;
    return address_parse(&address, host.name, host.length) || is_name(&host, "localhost") ||
           is_name(&host, listen_host);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void refuse(struct status_answer *answer, unsigned status, const char *why)
{
    answer->status = status;
    answer->content_type = PLAIN_TEXT;
    text_init(&answer->body, answer->body.out, answer->body.size);
    text_append(&answer->body, "%s\n", why);
}

static const struct page *find_page(const char *path)
{
    for (size_t i = 0; i < PAGE_COUNT; i++)
        if (strcmp(pages[i].path, path) == 0)
            return &pages[i];
    return NULL;
}

static bool is_read(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

void status_pages_answer(struct status_answer *answer, const struct status_request *request,
                         const struct status_facts *facts)
{
    const struct page *page = find_page(request->path);
    if (!host_is_ours(request->host, facts->listen_host)) {
        refuse(answer, STATUS_MISDIRECTED_REQUEST,
               "ask by IP address, as localhost, or by the name given to --metrics-listen");
    } else if (page == NULL) {
        refuse(answer, STATUS_NOT_FOUND, "not found; / lists what there is");
    } else if (!is_read(request->method)) {
        refuse(answer, STATUS_METHOD_NOT_ALLOWED, "only GET and HEAD");
    } else {
        answer->status = STATUS_OK;
        answer->content_type = page->content_type;
        page->write(answer, facts);
        if (answer->body.cut)
            refuse(answer, STATUS_INTERNAL_ERROR, "the page is too large");
    }
}
