/* A disk that fails: in the folder $BAD_DISK, the n-th call of $BAD_CALL fails with errno $BAD_ERRNO, or takes long. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int calls;

static int here(const char *path) {
    const char *folder = getenv("BAD_DISK");
    return folder != NULL && path != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int of(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return here(path);
}

/* 1 where this call is the one that fails, with errno set. */
static int fails(const char *name, int concerned) {
    const char *call = getenv("BAD_CALL"), *at = getenv("BAD_AT"), *number = getenv("BAD_ERRNO");
    if (!concerned || call == NULL || strcmp(call, name) != 0)
        return 0;
    int wanted = atoi(at ? at : "1");
    calls++;
    if (number == NULL) {
        usleep(20000);
        return 0;
    }
    if (wanted > 0 && calls < wanted)
        return 0;
    errno = atoi(number);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & (O_WRONLY | O_RDWR)) && fails("open", here(path)))
        return -1;
    return REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & (O_WRONLY | O_RDWR)) && fails("open", here(path)))
        return -1;
    return REAL(open)(path, flags, mode);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    if (fails("write", of(descriptor)))
        return -1;
    return REAL(write)(descriptor, data, size);
}

int fsync(int descriptor) {
    if (fails("fsync", of(descriptor)))
        return -1;
    return REAL(fsync)(descriptor);
}

int linkat(int from, const char *source, int to, const char *target, int flags) {
    if (fails("link", here(target)))
        return -1;
    return REAL(linkat)(from, source, to, target, flags);
}

int link(const char *source, const char *target) {
    if (fails("link", here(target)))
        return -1;
    return REAL(link)(source, target);
}

int rename(const char *source, const char *target) {
    if (fails("rename", here(target)))
        return -1;
    return REAL(rename)(source, target);
}

int unlink(const char *path) {
    if (fails("unlink", here(path)))
        return -1;
    return REAL(unlink)(path);
}
