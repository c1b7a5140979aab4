# The libraries the project stands on, as imported targets. What differs between
# versions of libwebsockets is found by trying it (feature tests), never by its number.
include(CheckCSourceCompiles)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets>=4.1)
add_library(deps::cjson ALIAS PkgConfig::CJSON)
add_library(deps::websockets ALIAS PkgConfig::LWS)

# websockets_must(<variable> <message> <source>): the source has to compile and link.
function(websockets_must variable message source)
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::LWS OpenSSL::SSL OpenSSL::Crypto)
  set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
  set(CMAKE_REQUIRED_FLAGS -Werror=implicit-function-declaration)
  check_c_source_compiles("${source}" ${variable})
  if(NOT ${variable})
    unset(${variable} CACHE) # so that the next run looks again
    message(FATAL_ERROR "libwebsockets ${LWS_VERSION} (${LWS_LIBDIR}) ${message}")
  endif()
endfunction()

# websockets_must_define(<variable> <message> <condition of the preprocessor>)
function(websockets_must_define variable message condition)
  websockets_must(${variable} "${message}"
    "#include <lws_config.h>\n#if !(${condition})\n#error\n#endif\nint main(void) { return 0; }")
endfunction()

websockets_must_define(OTOROSHICTL_LWS_TLS "is built without TLS (LWS_WITH_SSL)"
  "defined(LWS_WITH_TLS)")
websockets_must_define(OTOROSHICTL_LWS_OPENSSL
  "is built with another TLS library than OpenSSL, which this project uses too"
  "!defined(LWS_WITH_MBEDTLS) && !defined(USE_WOLFSSL) && !defined(USE_OLD_CYASSL) && \
   !defined(LWS_WITH_WOLFSSL) && !defined(LWS_WITH_BORINGSSL) && !defined(LWS_WITH_GNUTLS)")
websockets_must_define(OTOROSHICTL_LWS_CLIENT
  "is built without its WebSocket client (LWS_WITH_CLIENT, LWS_ROLE_WS)"
  "defined(LWS_WITH_CLIENT) && defined(LWS_ROLE_WS)")
websockets_must_define(OTOROSHICTL_LWS_RAW_FILE
  "is built without raw file descriptors (LWS_ROLE_RAW_FILE)" "defined(LWS_ROLE_RAW_FILE)")
websockets_must_define(OTOROSHICTL_LWS_IPV6 "is built without IPv6 (LWS_IPV6)"
  "defined(LWS_WITH_IPV6)")
if(OTOROSHICTL_DEV_GATEWAY)
  websockets_must_define(OTOROSHICTL_LWS_SERVER
    "is built without its server, which otoroshi-dev-gateway needs: set OTOROSHICTL_DEV_GATEWAY=OFF"
    "defined(LWS_WITH_SERVER)")
endif()
websockets_must(OTOROSHICTL_LWS_ENTRY_POINTS
  "cannot be linked with, or lacks functions that this project calls; see CMakeError.log"
  "#include <libwebsockets.h>
   static void fired(lws_sorted_usec_list_t *sul) { (void)sul; }
   int main(void)
   {
       lws_sorted_usec_list_t sul = {0};
       lws_adopt_desc_t adopt = {.type = LWS_ADOPT_RAW_FILE_DESC, .opaque = &sul};
       struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
       SSL *ssl = lws_get_ssl(wsi);
       lws_sul_schedule(NULL, 0, &sul, fired, 1);
       lws_sul_cancel(&sul);
       lws_set_opaque_user_data(wsi, lws_get_opaque_user_data(wsi));
       lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
       lws_rx_flow_control(wsi, 0);
       return ssl == NULL && lws_service_adjust_timeout(NULL, 1, 0) + lws_partial_buffered(wsi);
   }")

# libmicrohttpd is loaded by its name (src/net/microhttpd.h), so only its header is used here.
pkg_check_modules(MHD REQUIRED libmicrohttpd>=0.9.71)
find_library(MHD_LIBRARY microhttpd HINTS ${MHD_LIBRARY_DIRS} ${MHD_LIBDIR} REQUIRED)
execute_process(COMMAND "${CMAKE_OBJDUMP}" -p "${MHD_LIBRARY}" OUTPUT_VARIABLE mhd_headers
                COMMAND_ERROR_IS_FATAL ANY)
if(NOT mhd_headers MATCHES "SONAME +([^ \n]+)")
  message(FATAL_ERROR "${MHD_LIBRARY} has no SONAME")
endif()
add_library(deps::microhttpd INTERFACE IMPORTED)
target_include_directories(deps::microhttpd INTERFACE ${MHD_INCLUDE_DIRS})
target_compile_definitions(deps::microhttpd INTERFACE MICROHTTPD_SONAME="${CMAKE_MATCH_1}")
target_link_libraries(deps::microhttpd INTERFACE ${CMAKE_DL_LIBS})
