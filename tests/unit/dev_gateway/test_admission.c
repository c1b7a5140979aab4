#include "admission.h"
#include "cmocka_all.h"

/* echo -n id:secret | base64, and so on */
#define KEY_GOOD    "Basic aWQ6c2VjcmV0"
#define KEY_UNKNOWN "Basic bm86c2VjcmV0"
#define KEY_WRONG   "Basic aWQ6d3Jvbmc="
#define PATH        "/.well-known/otoroshi/tunnel"

static void sign_in_follows_the_table(void **state)
{
    const struct gateway_config key = {.apikey = "id:secret"};
    const struct gateway_config bearer = {.bearer_token = "t0k"};
    const struct gateway_config session = {.session_token = "s"};
    const struct gateway_config all = {
        .apikey = "id:secret", .bearer_token = "t0k", .session_token = "s"};
    const struct {
        const struct gateway_config *config;
        const char *authorization;
        const char *session_token;
        unsigned status;
    } rows[] = {
        {&key, NULL, NULL, 400},
        {&key, KEY_GOOD, NULL, 101},
        {&key, KEY_UNKNOWN, NULL, 400},
        {&key, KEY_WRONG, NULL, 401},
        {&key, "Basic !", NULL, 400},
        {&key, "Bearer t0k", NULL, 400},
        {&bearer, "Bearer t0k", NULL, 101},
        {&bearer, "bearer t0k", NULL, 101},
        {&bearer, "Bearer t0k2", NULL, 401},
        {&bearer, NULL, NULL, 400},
        {&session, NULL, NULL, 303},
        {&session, NULL, "old", 303},
        {&session, NULL, "s", 101},
        {&all, NULL, "s", 101},
        {&all, KEY_GOOD, NULL, 101},
        {&all, KEY_WRONG, NULL, 401},
        {&all, "Bearer t0k", NULL, 101},
        {&all, NULL, NULL, 303},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct admission_request request = {.path = PATH,
                                                  .transport = "udp",
                                                  .authorization = rows[i].authorization,
                                                  .session_token = rows[i].session_token,
                                                  .names_remote = true,
                                                  .wants_upgrade = true};
        assert_int_equal(admission_decide(rows[i].config, &request).status, rows[i].status);
    }
}

static void what_is_no_tunnel_request_is_refused(void **state)
{
    const struct gateway_config plain = {0};
    const struct gateway_config hosted = {.required_host = "a.example"};
    const struct gateway_config forced = {.forced_status = 503};
    const struct {
        const struct gateway_config *config;
        struct admission_request request;
        unsigned status;
    } rows[] = {
        {&plain, {.path = PATH, .transport = "udp", .names_remote = true}, 400},
        {&plain, {.path = PATH, .transport = "udp", .wants_upgrade = true}, 400},
        {&plain,
         {.path = PATH, .transport = "sctp", .names_remote = true, .wants_upgrade = true},
         400},
        {&plain, {.path = PATH, .names_remote = true, .wants_upgrade = true}, 400},
        {&plain, {.path = "/", .transport = "udp", .wants_upgrade = true}, 404},
        {&hosted, {.path = PATH, .host = "b.example", .wants_upgrade = true}, 404},
        {&hosted, {.path = PATH, .host = "a.example.b", .wants_upgrade = true}, 404},
        {&hosted,
         {.path = PATH,
          .host = "A.example:8080",
          .transport = "tcp",
          .names_remote = true,
          .wants_upgrade = true},
         101},
        {&forced, {.path = PATH, .transport = "udp", .wants_upgrade = true}, 503},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(admission_decide(rows[i].config, &rows[i].request).status, rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sign_in_follows_the_table),
        cmocka_unit_test(what_is_no_tunnel_request_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
