/* What users of QEMU, PRoot, BuildKit and box64 found broken: threads, memory, files, sockets. */
#include <dirent.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static __thread long own_counter;

static void *counts(void *unused) {
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&lock);
    counter++, own_counter++;
    pthread_mutex_unlock(&lock);
    __atomic_fetch_add((long *)unused, 1, __ATOMIC_SEQ_CST);
  }
  return (void *)own_counter;
}

static const char *threads_count(void) {
  enum { THREADS = 16 };
  pthread_t threads[THREADS];
  long atomic = 0;
  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, counts, &atomic)) return "pthread_create failed";
  }
  for (int i = 0; i < THREADS; i++) {
    void *own;
    pthread_join(threads[i], &own);
    if ((long)own != 2000) return text("thread %d counted %ld for itself", i, (long)own);
  }
  return counter == THREADS * 2000 && atomic == counter ? NULL : text("counted %ld and %ld", counter, atomic);
}

static void *busy(void *stop) {
  while (!*(volatile int *)stop) free(malloc(100));
  return NULL;
}

static const char *threads_fork(void) {
  /* fork while other threads allocate and run. */
  volatile int stop = 0;
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, busy, (void *)&stop);
  const char *fault = NULL;
  for (int i = 0; !fault && i < 20; i++) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(17);
    if (waitpid(child, &status, 0) != child || status != 17 << 8) fault = text("fork %d: status %#x", i, status);
  }
  stop = 1;
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  return fault;
}

static int shares_memory(void *flag) {
  *(volatile int *)flag = 1;
  return 5;
}

static const char *clone_shared_memory(void) {
  /* A process that shares memory but is no thread, without CLONE_VFORK. */
  static char stack[1 << 16];
  volatile int flag = 0;
  int status;
  pid_t child = clone(shares_memory, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)&flag);
  if (child < 0) return errno_text("clone");
  waitpid(child, &status, 0);
  return flag == 1 && status == 5 << 8 ? NULL : text("flag %d, status %#x", flag, status);
}

static const char *clone_namespace(void) {
  /* systemd starts its units so; without the right to it the answer is EPERM. */
  pid_t child = (pid_t)syscall(SYS_unshare, CLONE_NEWNS);
  return child < 0 && errno == EPERM ? NULL : text("unshare answers %d, %s", (int)child, strerror(errno));
}

static const char *namespace_exec(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) _exit(errno == ENOSYS ? 90 : 91);
    char *argv[] = {"tool", "status", "4", NULL};
    execv(TOOL, argv);
    _exit(92);
  }
  waitpid(child, &status, 0);
  return status == 4 << 8 ? NULL : text("status %#x", status);
}

static const char *namespace_root(void) {
  /* A root of its own, as a sandbox or a package build makes it, with the program in it. */
  mkdir("root", 0755);
  copy_file(TOOL, "root/tool", 0755);
  int status;
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWUSER) || chroot("root") || chdir("/")) _exit(91);
    char *argv[] = {"tool", "status", "4", NULL};
    execv("/tool", argv);
    _exit(92);
  }
  waitpid(child, &status, 0);
  return status == 4 << 8 ? NULL : text("status %#x", status);
}

static const char *clone3_or_nosys(void) {
  /* The C library falls back to clone only after ENOSYS. */
  long answer = syscall(435, NULL, 0);
  return answer < 0 && (errno == ENOSYS || errno == EINVAL) ? NULL : errno_text("clone3");
}

static const char *process_descriptor(void) {
  pid_t child = fork();
  if (child == 0) pause();
  int file = (int)syscall(434, child, 0);
  if (file < 0) {
    const char *fault = errno_text("pidfd_open");
    kill(child, SIGKILL);
    return fault;
  }
  if (syscall(424, file, SIGKILL, NULL, 0)) return errno_text("pidfd_send_signal");
  struct pollfd end = {file, POLLIN, 0};
  if (poll(&end, 1, 5000) != 1) return "the descriptor does not become readable";
  siginfo_t info = {0};
  if (waitid(P_PIDFD, (id_t)file, &info, WEXITED)) return errno_text("waitid");
  return info.si_status == SIGKILL ? NULL : text("status %d", info.si_status);
}

static const char *memory_reserve(void) {
  /* Go, Java and sanitizers reserve much and use little. */
  size_t size = (size_t)64 << 30;
  char *place = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return errno_text("64 GiB");
  if (mprotect(place + (size >> 1), 1 << 20, PROT_READ | PROT_WRITE)) return errno_text("mprotect");
  place[(size >> 1) + 5] = 1;
  return munmap(place, size) ? errno_text("munmap") : NULL;
}

static const char *memory_hint(void) {
  /* A place that is asked for, as language runtimes do, is used when it is free. */
  char *wanted = (char *)0xc000000000;
  char *place = mmap(wanted, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return errno_text("mmap");
  place[0] = 1;
  return place == wanted ? NULL : text("mapped at %p", (void *)place);
}

static const char *memory_no_replace(void) {
  long page = sysconf(_SC_PAGESIZE);
  char *place = mmap(NULL, (size_t)page * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *again = mmap(place, (size_t)page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  return again == MAP_FAILED && errno == EEXIST ? NULL : text("mapped at %p", (void *)again);
}

static const char *memory_do_not_need(void) {
  size_t size = 1 << 20;
  char *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(place, 7, size);
  if (madvise(place, size, MADV_DONTNEED)) return errno_text("madvise");
  for (size_t i = 0; i < size; i += 4096) {
    if (place[i]) return text("byte %zu is %d", i, place[i]);
  }
  return NULL;
}

static const char *memory_remap(void) {
  size_t size = 1 << 20;
  char *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  place[size - 1] = 9;
  char *moved = mremap(place, size, size * 8, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) return errno_text("mremap");
  moved[size * 8 - 1] = 1;
  return moved[size - 1] == 9 ? NULL : "its content was lost";
}

static const char *memory_protect(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    struct sigaction action = {.sa_handler = crash_to_handler};
    sigaction(SIGSEGV, &action, NULL);
    long page = sysconf(_SC_PAGESIZE);
    char *place = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(place + page, (size_t)page, PROT_READ);
    place[page - 1] = 1;
    place[page] = 1;
    _exit(1);
  }
  waitpid(child, &status, 0);
  return status == 42 << 8 ? NULL : text("status %#x", status);
}

static const char *memory_code(void) {
  /* Code that is written, run and rewritten, as by a JIT. */
#if defined __aarch64__
  static const uint32_t codes[2][2] = {{0x52800020, 0xd65f03c0}, {0x52800040, 0xd65f03c0}};
#elif defined __x86_64__
  static const uint8_t codes[2][8] = {{0xb8, 1, 0, 0, 0, 0xc3}, {0xb8, 2, 0, 0, 0, 0xc3}};
#elif defined __riscv
  static const uint32_t codes[2][2] = {{0x00100513, 0x00008067}, {0x00200513, 0x00008067}};
#elif defined __s390x__
  static const uint8_t codes[2][8] = {{0xa7, 0x29, 0, 1, 0x07, 0xfe}, {0xa7, 0x29, 0, 2, 0x07, 0xfe}};
#elif defined __powerpc64__
  static const uint32_t codes[2][2] = {{0x38600001, 0x4e800020}, {0x38600002, 0x4e800020}};
#endif
  char *place = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return errno_text("mmap");
  for (int round = 0; round < 4; round++) {
    memcpy(place, codes[round & 1], sizeof codes[0]);
    __builtin___clear_cache(place, place + sizeof codes[0]);
    int answer = ((int (*)(void))(void *)place)();
    if (answer != 1 + (round & 1)) return text("round %d answers %d", round, answer);
  }
  return NULL;
}

static const char *memory_shared_file(void) {
  write_file("shared", "0123456789", 0644);
  int file = open("shared", O_RDWR | O_CLOEXEC);
  char *place = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (place == MAP_FAILED) return errno_text("mmap");
  if (fork() == 0) {
    place[3] = 'x';
    _exit(0);
  }
  wait(NULL);
  char bytes[11] = "";
  return pread(file, bytes, 10, 0) == 10 && strcmp(bytes, "012x456789") == 0 ? NULL : text("the file has %s", bytes);
}

static const char *memory_break(void) {
  char *before = sbrk(0);
  if (sbrk(1 << 20) == (void *)-1) return errno_text("sbrk");
  memset(before, 1, 1 << 20);
  return NULL;
}

static const char *floating_point(void) {
  volatile double zero = 0, one = 1, three = 3;
  if (!isnan(zero / zero) || !isinf(one / zero)) return "0/0 or 1/0";
  if (one / three != 0x1.5555555555555p-2) return text("1/3 = %a", one / three);
  volatile long double wide = 1;
  wide /= 3;
  return fabsl(wide * 3 - 1) < 1e-15L ? NULL : "long double";
}

static const char *event_descriptors(void) {
  int events = eventfd(0, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  int queue = epoll_create1(EPOLL_CLOEXEC);
  if (events < 0 || timer < 0 || queue < 0) return errno_text("eventfd, timerfd or epoll");
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC);
  if (signals < 0) return errno_text("signalfd");
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x123456789abcdef0};
  if (epoll_ctl(queue, EPOLL_CTL_ADD, signals, &event)) return errno_text("epoll_ctl");
  raise(SIGUSR1);
  struct epoll_event got = {0};
  if (epoll_wait(queue, &got, 1, 5000) != 1 || got.data.u64 != event.data.u64) return "epoll_wait";
  struct signalfd_siginfo info;
  if (read(signals, &info, sizeof info) != sizeof info || info.ssi_signo != SIGUSR1) return "signalfd";
  struct itimerspec time = {{0, 0}, {0, 1000000}};
  uint64_t times = 0;
  if (timerfd_settime(timer, 0, &time, NULL) || read(timer, &times, 8) != 8 || times < 1) return "timerfd";
  uint64_t value = 3;
  return write(events, &value, 8) == 8 && read(events, &times, 8) == 8 && times == 3 ? NULL : "eventfd";
}

static const char *watches_files(void) {
  int watch = inotify_init1(IN_CLOEXEC);
  if (watch < 0 || inotify_add_watch(watch, ".", IN_CREATE) < 0) return errno_text("inotify");
  write_file("new", "", 0644);
  char bytes[512] __attribute__((aligned(8)));
  if (read(watch, bytes, sizeof bytes) <= 0) return errno_text("read");
  return strcmp(((struct inotify_event *)bytes)->name, "new") == 0 ? NULL : "another name came";
}

static const char *passes_descriptors(void) {
  int ends[2], pipes[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) || pipe2(pipes, O_CLOEXEC)) return errno_text("socketpair");
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
  } control = {0};
  char byte = 'x';
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int))};
  control.header.cmsg_level = SOL_SOCKET, control.header.cmsg_type = SCM_RIGHTS, control.header.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.header), &pipes[1], sizeof(int));
  if (sendmsg(ends[0], &message, 0) != 1) return errno_text("sendmsg");
  memset(&control, 0, sizeof control);
  message.msg_controllen = sizeof control;
  if (recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) != 1) return errno_text("recvmsg");
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int passed = -1;
  if (header) memcpy(&passed, CMSG_DATA(header), sizeof passed);
  char got[4] = "";
  return passed > 0 && write(passed, "abc", 3) == 3 && read(pipes[0], got, 3) == 3 && strcmp(got, "abc") == 0
             ? NULL : text("descriptor %d", passed);
}

static const char *socket_options(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return errno_text("socketpair");
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &size)) return errno_text("SO_PEERCRED");
  if (peer.pid != getpid() || peer.uid != getuid()) return text("peer %d, user %d", (int)peer.pid, (int)peer.uid);
  struct timeval time = {3, 0}, got = {0, 0};
  size = sizeof got;
  if (setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) ||
      getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size) || got.tv_sec != 3)
    return "SO_RCVTIMEO";
  return NULL;
}

static const char *socket_loopback(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof place;
  if (listener < 0 || bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 1) ||
      getsockname(listener, (struct sockaddr *)&place, &size))
    return errno_text("listen");
  return place.sin_port ? NULL : "no port";
}

static const char *system_v(void) {
  int memory = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
  if (memory < 0) return errno_text("shmget");
  char *place = shmat(memory, NULL, 0);
  shmctl(memory, IPC_RMID, NULL);
  if (place == (void *)-1) return errno_text("shmat");
  place[100] = 1;
  int semaphores = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
  if (semaphores < 0) return errno_text("semget");
  struct sembuf up = {0, 2, 0};
  int failed = semop(semaphores, &up, 1) || semctl(semaphores, 0, GETVAL) != 2;
  semctl(semaphores, 0, IPC_RMID);
  return failed ? "semaphores" : shmdt(place) ? errno_text("shmdt") : NULL;
}

static const char *copies_files(void) {
  write_file("from", "0123456789", 0644);
  int from = open("from", O_RDONLY | O_CLOEXEC), to = open("to", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  off_t zero = 0;
  if (sendfile(to, from, &zero, 4) != 4) return errno_text("sendfile");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return errno_text("pipe2");
  loff_t at = 4;
  if (splice(from, &at, ends[1], NULL, 6, 0) != 6 || splice(ends[0], NULL, to, NULL, 6, 0) != 6) return errno_text("splice");
  at = 0;
  loff_t out = 10;
  if (copy_file_range(from, &at, to, &out, 10, 0) != 10) return errno_text("copy_file_range");
  char bytes[32] = "";
  return pread(to, bytes, 31, 0) == 20 && strcmp(bytes, "01234567890123456789") == 0 ? NULL : bytes;
}

static const char *newer_calls(void) {
  struct statx info;
  if (statx(AT_FDCWD, TOOL, 0, STATX_SIZE, &info) || info.stx_size == 0) return errno_text("statx");
  write_file("a", "", 0644);
  write_file("b", "", 0644);
  if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) != -1 || errno != EEXIST) return errno_text("renameat2");
  char bytes[8];
  if (syscall(SYS_getrandom, bytes, sizeof bytes, 0) != 8) return errno_text("getrandom");
  struct { uint64_t flags, mode, resolve; } how = {O_RDONLY, 0, 0};
  int file = (int)syscall(437, AT_FDCWD, "a", &how, sizeof how);
  return file >= 0 || errno == ENOSYS ? NULL : errno_text("openat2");
}

static const char *close_range_call(void) {
  int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (close_range((unsigned)file, (unsigned)file, 0) && errno != ENOSYS) return errno_text("close_range");
  return errno == ENOSYS || fcntl(file, F_GETFD) < 0 ? NULL : "the descriptor is open still";
}

static const char *no_uring(void) {
  char parameters[256] = "";
  long answer = syscall(425, 4, parameters);
  if (answer >= 0) close((int)answer);
  /* Programs fall back on this answer only. */
  return answer >= 0 || errno == ENOSYS || errno == EPERM ? NULL : errno_text("io_uring_setup");
}

static const char *file_locks(void) {
  int file = open("locked", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  struct flock lock_all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(file, F_SETLK, &lock_all)) return errno_text("F_SETLK");
  int status;
  pid_t child = fork();
  if (child == 0) {
    struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file, F_GETLK, &asked)) _exit(1);
    _exit(asked.l_type == F_WRLCK && asked.l_pid == getppid() ? 0 : 2);
  }
  waitpid(child, &status, 0);
  if (status) return text("F_GETLK in a child: status %#x", status);
  struct flock open_lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int other = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  return fcntl(other, 37, &open_lock) ? errno_text("F_OFD_SETLK") : NULL;
}

static const char *reads_folders(void) { return prints(RUN(TOOL, "tool", "readdir", "/suite/folder"), "5 entries, errno 0\n"); }
static const char *reads_folders_third(void) {
  return prints(RUN(THIRD_TOOL, "tool", "readdir", "/suite/folder"), "5 entries, errno 0\n");
}

static const char *own_threads_in_proc(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/task");
  for (struct dirent *entry; folder && (entry = readdir(folder));) count += *entry->d_name != '.';
  return count == 1 ? NULL : text("%d threads", count);
}

static const char *clocks(void) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  pause_ms(20);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  return ms >= 20 && ms < 5000 ? NULL : text("20 ms took %ld ms", ms);
}

static const char *posix_timer(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
  struct itimerspec time = {{0, 0}, {0, 20000000}};
  handle(SIGUSR2, 0);
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &time, NULL)) return errno_text("timer");
  for (int i = 0; i < 200 && !handled; i++) pause_ms(10);
  return handled && seen.si_code == SI_TIMER ? NULL : text("came %d times, code %d", (int)handled, seen.si_code);
}

static const char *membarrier_call(void) {
  /* .NET asks at its start, and gives up after anything but these. */
  long answer = syscall(SYS_membarrier, 0, 0);
  return answer >= 0 || errno == ENOSYS ? NULL : errno_text("membarrier");
}

static const char *restartable_sequences(void) {
  long answer = syscall(SYS_rseq, NULL, 0, 0, 0);
  return answer < 0 && (errno == ENOSYS || errno == EINVAL || errno == EBUSY) ? NULL : errno_text("rseq");
}

static const char *filter_or_error(void) {
  /* What programs ask before they install a seccomp filter. */
  int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
  return mode == 0 || (mode < 0 && errno == EINVAL) ? NULL : text("mode %d", mode);
}

static const char *installs_filter(void) {
  /* An empty program for an EFAULT says that filters are there. */
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int answer = prctl(PR_SET_SECCOMP, 2, NULL, 0, 0);
  return answer < 0 && errno == EFAULT ? NULL : errno_text("PR_SET_SECCOMP");
}

#define SYSTEM_CALLS                                              \
  {"16 threads with a lock, thread-local and atomic data", threads_count}, \
  {"fork beside busy threads", threads_fork},                     \
  {"clone with CLONE_VM alone", clone_shared_memory},             \
  {"clone3 works or says ENOSYS", clone3_or_nosys},               \
  {"unshare of mounts without the right to it", clone_namespace}, \
  {"exec in a new user and mount namespace", namespace_exec},     \
  {"exec below a root of its own", namespace_root},               \
  {"descriptors of processes", process_descriptor},               \
  {"/proc/self/task has the program's threads only", own_threads_in_proc}, \
  {"64 GiB of address space reserved", memory_reserve},           \
  {"memory at a place that is asked for", memory_hint},           \
  {"MAP_FIXED_NOREPLACE", memory_no_replace},                     \
  {"MADV_DONTNEED gives zeros", memory_do_not_need},              \
  {"mremap keeps the content", memory_remap},                     \
  {"mprotect of one page", memory_protect},                       \
  {"code that rewrites itself", memory_code},                     \
  {"shared mapping of a file", memory_shared_file},               \
  {"sbrk", memory_break},                                         \
  {"floating point", floating_point},                             \
  {"eventfd, timerfd, signalfd and epoll", event_descriptors},    \
  {"inotify", watches_files},                                     \
  {"descriptors passed over a socket", passes_descriptors},       \
  {"options of sockets", socket_options},                         \
  {"a socket that listens on loopback", socket_loopback},         \
  {"System V memory and semaphores", system_v},                   \
  {"sendfile, splice and copy_file_range", copies_files},         \
  {"statx, renameat2, getrandom and openat2", newer_calls},       \
  {"close_range", close_range_call},                              \
  {"io_uring works or says ENOSYS", no_uring},                    \
  {"membarrier works or says ENOSYS", membarrier_call},           \
  {"rseq works or says ENOSYS", restartable_sequences},           \
  {"locks of files", file_locks},                                 \
  {"reading a folder", reads_folders},                            \
  {"reading a folder by a program of a third CPU", reads_folders_third}, \
  {"clocks", clocks},                                             \
  {"POSIX timer", posix_timer},                                   \
  {"asking for the seccomp mode", filter_or_error},               \
  {"installing a seccomp filter", installs_filter}
