#ifndef STDIO_H
#define STDIO_H
#include <stddef.h>
int snprintf(char *to, size_t size, const char *format, ...); /* %s and %d alone */
#endif
