/* cmocka.h wants these four before it. */
#ifndef DEV_GATEWAY_CMOCKA_ALL_H
#define DEV_GATEWAY_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
