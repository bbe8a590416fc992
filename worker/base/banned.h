/* banned.h - functions that must not be used; every file is compiled with it.
 *
 * They overflow, keep hidden state, or take the locale's word for a number.  The
 * standard headers come first, so that only our own uses are errors. */
#ifndef MILLRACE_BASE_BANNED_H
#define MILLRACE_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol
#pragma GCC poison atof rand srand localtime ctime asctime gmtime

#endif
