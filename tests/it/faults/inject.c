/* Makes calls of the C library fail that write below a folder: preloaded into the program by the tests of faults.
 *
 *   FAULT_UNDER    the folder
 *   FAULT_BYTES    so many bytes can be written below it; then no call that writes succeeds any more
 *   FAULT_CALL     fsync, close, rename, truncate, create or mkdir: the call of this kind
 *   FAULT_NTH      that fails, counted from 1
 *   FAULT_ERRNO    with which error
 *   FAULT_VANISH   if set, the folder is renamed to FOLDER.gone when FAULT_BYTES are written, and nothing fails by itself
 *   FAULT_COUNTS   file for the numbers of bytes and calls, written at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FSYNC, CLOSE, RENAME, TRUNCATE, CREATE, MKDIR, KINDS };
static const char *const NAMES[KINDS] = {"fsync", "close", "rename", "truncate", "create", "mkdir"};
static atomic_ullong written;
static atomic_ulong calls[KINDS];
static atomic_flag vanished = ATOMIC_FLAG_INIT;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static unsigned long long number(const char *name, unsigned long long other) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : other;
}

static int below(const char *path) {
    const char *folder = getenv("FAULT_UNDER");
    size_t length = folder ? strlen(folder) : 0;
    return length && path && strncmp(path, folder, length) == 0;
}

static int watched(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static void vanish(void) {
    if (atomic_flag_test_and_set(&vanished)) return;
    char gone[PATH_MAX];
    const char *folder = getenv("FAULT_UNDER");
    snprintf(gone, sizeof gone, "%s.gone", folder);
    REAL(rename)(folder, gone);
}

/* How many of the bytes may be written; -1 when none. */
static ssize_t allowed(int fd, size_t length) {
    if (!length || !watched(fd)) return length;
    unsigned long long before = atomic_fetch_add(&written, length), limit = number("FAULT_BYTES", ULLONG_MAX);
    if (before + length <= limit) return length;
    if (getenv("FAULT_VANISH")) {
        vanish();
        return length;
    }
    if (before < limit) return limit - before;
    errno = number("FAULT_ERRNO", ENOSPC);
    return -1;
}

/* Whether this call has to fail. */
static int fails(int kind) {
    unsigned long nth = atomic_fetch_add(&calls[kind], 1) + 1;
    const char *wanted = getenv("FAULT_CALL");
    if (!wanted || strcmp(wanted, NAMES[kind]) != 0 || nth != number("FAULT_NTH", 0)) return 0;
    errno = number("FAULT_ERRNO", EIO);
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    ssize_t some = allowed(fd, length);
    return some < 0 ? -1 : REAL(write)(fd, bytes, some);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    ssize_t some = allowed(fd, length);
    return some < 0 ? -1 : REAL(pwrite)(fd, bytes, some, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    ssize_t some = allowed(fd, length);
    return some < 0 ? -1 : REAL(pwrite64)(fd, bytes, some, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t length = 0;
    for (int k = 0; k < count; k++) length += parts[k].iov_len;
    ssize_t some = allowed(fd, length);
    if (some < 0) return -1;
    if ((size_t)some == length) return REAL(writev)(fd, parts, count);
    for (int k = 0; k < count; k++)
        if (parts[k].iov_len)
            return REAL(write)(fd, parts[k].iov_base, (size_t)some < parts[k].iov_len ? (size_t)some : parts[k].iov_len);
    return 0;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    size_t length = 0;
    for (int k = 0; k < count; k++) length += parts[k].iov_len;
    ssize_t some = allowed(fd, length);
    if (some < 0) return -1;
    if ((size_t)some == length) return REAL(pwritev64)(fd, parts, count, at);
    return REAL(pwrite64)(fd, parts[0].iov_base, (size_t)some < parts[0].iov_len ? (size_t)some : parts[0].iov_len, at);
}
ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t length, unsigned flags) {
    ssize_t some = allowed(to, length);
    return some < 0 ? -1 : REAL(copy_file_range)(from, in, to, out, some, flags);
}
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
    ssize_t some = allowed(fileno(file), size * count);
    if (some < 0 || !size) return 0;
    return REAL(fwrite)(bytes, 1, some, file) / size;
}

int fsync(int fd) { return watched(fd) && fails(FSYNC) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return watched(fd) && fails(FSYNC) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t length) { return watched(fd) && fails(TRUNCATE) ? -1 : REAL(ftruncate)(fd, length); }
int ftruncate64(int fd, off64_t length) { return watched(fd) && fails(TRUNCATE) ? -1 : REAL(ftruncate64)(fd, length); }
int rename(const char *from, const char *to) { return below(from) && fails(RENAME) ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return below(path) && fails(MKDIR) ? -1 : REAL(mkdir)(path, mode); }

/* Closes the file all the same, as the system does. */
int fclose(FILE *file) {
    int failed = watched(fileno(file)) && fails(CLOSE), error = errno;
    int result = REAL(fclose)(file);
    if (!failed) return result;
    errno = error;
    return EOF;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && below(path) && fails(CREATE)) return -1;
    return REAL(open64)(path, flags, mode);
}
FILE *fopen64(const char *path, const char *mode) {
    if (strchr(mode, 'w') && below(path) && fails(CREATE)) return NULL;
    return REAL(fopen64)(path, mode);
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("FAULT_COUNTS");
    FILE *file = path ? REAL(fopen64)(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "bytes %llu\n", (unsigned long long)written);
    for (int k = 0; k < KINDS; k++) fprintf(file, "%s %lu\n", NAMES[k], (unsigned long)calls[k]);
    REAL(fclose)(file);
}
