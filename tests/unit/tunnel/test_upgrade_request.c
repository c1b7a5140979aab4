#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otoroshictl/tunnel/upgrade_request.h"

static char host_text[] = "a:8080";
static char client_id[] = "id";
static char client_secret[] = "secret";
static char bearer_token[] = "bearer";
static char session_token[] = "session";
static char remote_host[] = "dns.internal";

static const struct gateway_host host = {.text = host_text, .port = 8080};

/* Has every credential, of which the access type chooses. */
static struct upgrade_request request_of(enum access_type access_type)
{
    const struct tunnel_config config = {.access_type = access_type,
                                         .apikey_client_id = client_id,
                                         .apikey_client_secret = client_secret,
                                         .bearer_token = bearer_token,
                                         .session_token = session_token,
                                         .remote_host = remote_host,
                                         .remote_port = 53};
    struct upgrade_request request;

    upgrade_request_from_config(&request, &config, &host, "udp");
    return request;
}

static void access_type_chooses_the_credential(void **state)
{
    static const struct {
        enum access_type access_type;
        enum upgrade_credential credential;
        const char *first;
        const char *second;
    } rows[] = {{ACCESS_APIKEY, UPGRADE_BASIC, client_id, client_secret},
                {ACCESS_BEARER, UPGRADE_BEARER, bearer_token, NULL},
                {ACCESS_SESSION, UPGRADE_SESSION, session_token, NULL},
                {ACCESS_PUBLIC, UPGRADE_PUBLIC, NULL, NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct upgrade_request request = request_of(rows[i].access_type);

        assert_int_equal(request.credential, rows[i].credential);
        assert_ptr_equal(request.first, rows[i].first);
        assert_ptr_equal(request.second, rows[i].second);
    }
}

static void host_remote_and_transport_are_handed_on(void **state)
{
    const struct upgrade_request request = request_of(ACCESS_PUBLIC);

    (void)state;
    assert_string_equal(request.transport, "udp");
    assert_ptr_equal(request.host_header, host_text);
    assert_ptr_equal(request.remote_host, remote_host);
    assert_int_equal(request.remote_port, 53);
    assert_int_equal(request.header_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_type_chooses_the_credential),
        cmocka_unit_test(host_remote_and_transport_are_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
