import { describe, expect, test } from 'vitest';
import { allowedSyscalls, seccompProfile } from './seccomp.ts';

describe('the system call filter', () => {
  test('is an allow-list that answers ENOSYS to everything else', () => {
    const profile = seccompProfile('x64');
    expect(profile).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38 });
    expect(profile.architectures).toEqual(['SCMP_ARCH_X86_64']);
    expect(seccompProfile('arm64').architectures).toEqual(['SCMP_ARCH_AARCH64']);
  });

  test('names each call once', () => {
    const names = allowedSyscalls();
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]+$/);
  });

  test('allows these calls only with tested arguments', () => {
    const tested = seccompProfile('x64').syscalls.filter(({ args }) => args !== undefined);
    expect(new Set(tested.flatMap(({ names }) => names))).toEqual(
      new Set(['socket', 'clone', 'prlimit64', 'ioctl']),
    );
    const plain = new Set(allowedSyscalls());
    for (const name of ['socket', 'clone', 'clone3', 'prlimit64', 'ioctl'])
      expect(plain.has(name), name).toBe(false);
  });

  test('does not allow what reaches other namespaces, processes, keys or the kernel', () => {
    const plain = new Set(allowedSyscalls());
    const forbidden =
      'mount umount2 unshare setns pivot_root chroot keyctl add_key request_key ptrace process_vm_readv bpf ' +
      'process_vm_writev name_to_handle_at open_by_handle_at userfaultfd perf_event_open io_uring_setup kcmp mknod ' +
      'mknodat open_tree move_mount fsopen fsmount fsconfig fspick mount_setattr sethostname setdomainname ' +
      'pidfd_getfd pidfd_open personality quotactl swapon swapoff syslog vhangup vmsplice memfd_secret memfd_create ' +
      'execveat reboot modify_ldt fanotify_mark setuid setgid setgroups setrlimit init_module kexec_load socketcall';
    for (const name of forbidden.split(' ')) expect(plain.has(name), name).toBe(false);
  });
});
