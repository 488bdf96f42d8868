/* Refuses the n-th thing that a program asks of the disk, or kills the program there; put below it by LD_PRELOAD. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int fault_at, fault_error, fault_lasting, fault_half, asked;

void faults_arm(int at, int error, int lasting, int half)
{
    fault_error = error;
    fault_lasting = lasting;
    fault_half = half;
    asked = 0;
    __atomic_store_n(&fault_at, at, __ATOMIC_SEQ_CST);
}

int faults_disarm(void)
{
    __atomic_store_n(&fault_at, 0, __ATOMIC_SEQ_CST);
    return asked;
}

enum { GO_ON, REFUSE, HALF };

/* An error of 0 is a kill. */
static int ask(int can_be_half)
{
    if (!fault_at)
        return GO_ON;
    int number = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
    if (number < fault_at || (number > fault_at && !fault_lasting))
        return GO_ON;
    if (number == fault_at && fault_half && can_be_half)
        return HALF;
    if (!fault_error)
        kill(getpid(), SIGKILL);
    errno = fault_error;
    return REFUSE;
}

static int is_on_disk(int fd)
{
    struct stat status;
    int saved = errno, is = fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    errno = saved;
    return is;
}

#define NEXT(type, name, parameters) \
    static type (*next) parameters; \
    if (!next) next = (type (*) parameters) dlsym(RTLD_NEXT, #name)

#define WRITES(name, parameters, arguments, half_arguments) \
    ssize_t name parameters \
    { \
        NEXT(ssize_t, name, parameters); \
        int verdict = is_on_disk(fd) ? ask(length > 1) : GO_ON; \
        if (verdict == REFUSE) return -1; \
        if (verdict == GO_ON) return next arguments; \
        ssize_t count = next half_arguments; \
        if (!fault_error) kill(getpid(), SIGKILL); \
        return count; \
    }

WRITES(write, (int fd, const void *data, size_t length), (fd, data, length), (fd, data, length / 2))
WRITES(pwrite, (int fd, const void *data, size_t length, off_t start), (fd, data, length, start),
       (fd, data, length / 2, start))
WRITES(pwrite64, (int fd, const void *data, size_t length, off64_t start), (fd, data, length, start),
       (fd, data, length / 2, start))

#define ON_DESCRIPTOR(name, parameters, arguments) \
    int name parameters \
    { \
        NEXT(int, name, parameters); \
        return is_on_disk(fd) && ask(0) == REFUSE ? -1 : next arguments; \
    }

ON_DESCRIPTOR(fsync, (int fd), (fd))
ON_DESCRIPTOR(fdatasync, (int fd), (fd))
ON_DESCRIPTOR(ftruncate, (int fd, off_t length), (fd, length))
ON_DESCRIPTOR(ftruncate64, (int fd, off64_t length), (fd, length))

#define ON_NAME(name, parameters, arguments) \
    int name parameters \
    { \
        NEXT(int, name, parameters); \
        return ask(0) == REFUSE ? -1 : next arguments; \
    }

ON_NAME(rename, (const char *old, const char *new), (old, new))
ON_NAME(unlink, (const char *path), (path))
ON_NAME(mkdir, (const char *path, mode_t mode), (path, mode))

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        NEXT(int, name, (const char *, int, ...)); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        int writes = flags & (O_WRONLY | O_RDWR | O_CREAT) && strncmp(path, "/dev/", 5) != 0; \
        return writes && ask(0) == REFUSE ? -1 : next(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)
