/* What a disk has at a loss of power: loaded into a process by LD_PRELOAD.

   At each fsync of a file below $POWER_ROOT its content is copied to $POWER_KEPT/<inode>, at each
   fsync of a folder its names are written to $POWER_KEPT/names-<inode>: that much is on the disk.
   The process ends at its $POWER_STEP-th call that changes a file there, before doing it. What
   stands in $POWER_ROOT then may or may not be on the disk; tests/soak/power.py makes the images. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int inside;

static int ours(int fd) {
  char link[64], path[PATH_MAX];
  const char *root = getenv("POWER_ROOT");
  if (!root || inside) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, root, strlen(root)) == 0;
}

static long steps;

static void step(void) {
  const char *last = getenv("POWER_STEP");
  ++steps;
  if (last && steps == atol(last)) _exit(137);
}

/* How many there were in all, for whoever wants to choose one of them. */
__attribute__((destructor)) static void told(void) {
  char to[PATH_MAX];
  const char *kept = getenv("POWER_KEPT");
  if (!kept || !steps) return;
  inside = 1;
  snprintf(to, sizeof to, "%s/steps", kept);
  FILE *out = fopen(to, "w");
  if (out) {
    fprintf(out, "%ld", steps);
    fclose(out);
  }
}

static void keep(int fd) {
  char from[64], to[PATH_MAX], half[PATH_MAX + 8], part[65536];
  struct stat about;
  const char *kept = getenv("POWER_KEPT");
  inside = 1;
  if (kept && fstat(fd, &about) == 0) {
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (S_ISDIR(about.st_mode)) {
      snprintf(to, sizeof to, "%s/names-%lu", kept, (unsigned long)about.st_ino);
      snprintf(half, sizeof half, "%s.half", to);
      FILE *out = fopen(half, "w");
      DIR *folder = opendir(from);
      struct dirent *entry;
      while (out && folder && (entry = readdir(folder)))
        if (entry->d_type == DT_REG) fprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
      if (folder) closedir(folder);
      if (out) fclose(out);
    } else {
      snprintf(to, sizeof to, "%s/%lu", kept, (unsigned long)about.st_ino);
      snprintf(half, sizeof half, "%s.half", to);
      int in = open(from, O_RDONLY), out = open(half, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ssize_t length;
      while (in >= 0 && out >= 0 && (length = read(in, part, sizeof part)) > 0)
        if (write(out, part, length) != length) abort();
      if (in >= 0) close(in);
      if (out >= 0) close(out);
    }
    rename(half, to);
  }
  inside = 0;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

int fsync(int fd) {
  REAL(fsync);
  if (!ours(fd)) return real(fd);
  step();
  int result = real(fd);
  keep(fd);
  return result;
}

int fdatasync(int fd) {
  REAL(fdatasync);
  if (!ours(fd)) return real(fd);
  step();
  int result = real(fd);
  keep(fd);
  return result;
}

ssize_t write(int fd, const void *data, size_t length) {
  REAL(write);
  if (ours(fd)) step();
  return real(fd, data, length);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
  REAL(pwrite64);
  if (ours(fd)) step();
  return real(fd, data, length, at);
}

int ftruncate64(int fd, off64_t length) {
  REAL(ftruncate64);
  if (ours(fd)) step();
  return real(fd, length);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  const char *root = getenv("POWER_ROOT");
  if (!inside && root && strncmp(to, root, strlen(root)) == 0) step();
  return real(from, to);
}

int unlink(const char *path) {
  REAL(unlink);
  const char *root = getenv("POWER_ROOT");
  if (root && strncmp(path, root, strlen(root)) == 0) step();
  return real(path);
}
