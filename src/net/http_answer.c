#include "http_answer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t parse_date(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return end != NULL && *end == '\0' ? (int64_t)timegm(&parts) : 0;
}

int64_t http_retry_after(const char *text, int64_t now_s)
{
    enum { DIGITS_MAX = 9, US_PER_S = 1000000 };
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= DIGITS_MAX && text[digits] == '\0')
        return strtoll(text, NULL, 10) * US_PER_S;
    int64_t date_s = parse_date(text);
    return date_s > now_s ? (date_s - now_s) * US_PER_S : 0;
}

void http_answer_read(struct http_answer *answer, struct lws *wsi)
{
    char retry_after[64];
    *answer = (struct http_answer){0};
    unsigned status = lws_http_client_http_response(wsi);
    answer->status = status <= 999 ? (uint16_t)status : 0;
    if (answer->status == 0)
        return;
    if (lws_hdr_copy(wsi, answer->location, sizeof answer->location, WSI_TOKEN_HTTP_LOCATION) <= 0)
        answer->location[0] = '\0';
    answer->location[strcspn(answer->location, "?#")] = '\0'; /* may repeat the session token */
    if (answer->status != 429 && answer->status != 503)
        return;
    if (lws_hdr_copy(wsi, retry_after, sizeof retry_after, WSI_TOKEN_HTTP_RETRY_AFTER) > 0)
        answer->retry_after_us = http_retry_after(retry_after, (int64_t)time(NULL));
}
