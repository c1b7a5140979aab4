# The libraries the project stands on, as imported targets. What differs between
# versions of libwebsockets is found by trying it (feature tests), never by its number.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets)
add_library(deps::cjson ALIAS PkgConfig::CJSON)
add_library(deps::websockets ALIAS PkgConfig::LWS)
