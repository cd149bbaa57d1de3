/**
 * The system calls a worker may make: an allow-list, everything else fails with ENOSYS. Left out on purpose, beside
 * all that needs a privilege: new namespaces, mounts, key rings, tracing and reading other processes, kernel rings
 * and probes, System V IPC, message queues, POSIX timers, changes of identity and limits, programs without a file
 * (memfd_create, execveat), and every socket but AF_UNIX (AF_VSOCK would reach past the network namespace).
 */
const ENOSYS = 38;

/** All CLONE_NEW* bits of clone(2): 0x7E020000. */
const CLONE_NAMESPACES = 0x7e020000;
const AF_UNIX = 1;

/** TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what language runtimes ask of any file descriptor. */
const IOCTLS = [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];

const ALLOWED: Readonly<Record<string, string>> = {
  files:
    'access chdir chmod chown close close_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 ' +
    'fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync flock fstat fstatfs fsync ftruncate futimesat ' +
    'getcwd getdents getdents64 lchown link linkat lseek lstat mkdir mkdirat newfstatat open openat openat2 pread64 ' +
    'preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat renameat2 ' +
    'rmdir sendfile stat statfs statx symlink symlinkat truncate umask unlink unlinkat ' +
    'utime utimensat utimes write writev',
  attributes: 'fgetxattr flistxattr getxattr lgetxattr listxattr llistxattr',
  waiting:
    'epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 pipe pipe2 poll ppoll pselect6 select signalfd signalfd4',
  memory:
    'brk madvise membarrier mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall ' +
    'munmap pkey_alloc pkey_free pkey_mprotect',
  processes:
    'arch_prctl capget capset execve exit exit_group fork getpgid getpgrp getpid getppid getpriority ' +
    'getrlimit getrusage getsid gettid kill pause prctl restart_syscall rseq set_robust_list get_robust_list ' +
    'set_tid_address setpgid setpriority setsid tgkill tkill vfork wait4 waitid',
  scheduling:
    'getcpu get_mempolicy sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr ' +
    'sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_yield',
  identity: 'getegid geteuid getgid getgroups getresgid getresuid getuid',
  signals:
    'rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait ' +
    'rt_tgsigqueueinfo sigaltstack',
  time:
    'alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time ' +
    'timerfd_create timerfd_gettime timerfd_settime times',
  locking: 'futex',
  localSockets:
    'accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg ' +
    'sendmsg sendto setsockopt shutdown socketpair',
  system: 'getrandom sysinfo uname',
};

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly { index: number; value: number; valueTwo?: number; op: string }[];
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export function allowedSyscalls(): string[] {
  return Object.values(ALLOWED)
    .flatMap((names) => names.split(' '))
    .sort();
}

/** The profile as written into the container's configuration. One architecture only: 32-bit and x32 calls kill. */
export function seccompProfile(arch: string = process.arch): SeccompProfile {
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: [arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
    syscalls: [
      { names: allowedSyscalls(), action: 'SCMP_ACT_ALLOW' },
      {
        names: ['socket'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: AF_UNIX, op: 'SCMP_CMP_EQ' }],
      },
      {
        names: ['clone'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: CLONE_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
      // Its flags are in memory, out of a filter's sight. ENOSYS, not EPERM: the C library then falls back to clone.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      // Limits may be read, not set: at 0 instead of 1 the core limit would let a crash reach the host's core handler.
      { names: ['prlimit64'], action: 'SCMP_ACT_ALLOW', args: [{ index: 2, value: 0, op: 'SCMP_CMP_EQ' }] },
      ...IOCTLS.map(
        (value): SeccompRule => ({
          names: ['ioctl'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 1, value, op: 'SCMP_CMP_EQ' }],
        }),
      ),
    ],
  };
}
