import { fromUtf8 } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bench, openBench, resultText, runOnce } from './testing.ts';

// Every run below also asserts, in `runOnce`, that the machine is afterwards exactly as it was before.
let bench: Bench;
beforeAll(async () => {
  bench = await openBench('test-escape');
});
afterAll(() => bench.sandbox.close());

/** A program that tries each expression and returns `name: errno name` or `name: done`, one a line. */
function attempts(tries: Record<string, string>, prelude = ''): string {
  const lines = Object.entries(tries).map(
    ([name, body]) => `attempt(${JSON.stringify(name)}, lambda: ${body})`,
  );
  return `
import ctypes, errno, os, socket, subprocess, sys
${prelude}
told = []
def attempt(name, body):
    try:
        body()
        told.append(name + ": done")
    except OSError as error:
        told.append(name + ": " + errno.errorcode.get(error.errno, str(error.errno)))
def main(inputs):
    ${lines.join('\n    ')}
    return "\\n".join(told).encode()
`;
}

async function tell(code: string): Promise<Record<string, string>> {
  const text = await resultText(bench, { code });
  return Object.fromEntries(text.split('\n').map((line) => line.split(': ') as [string, string]));
}

const REFUSED = /^(EPERM|EACCES|ENOSYS|EROFS|ENOENT|EAFNOSUPPORT|EINVAL|ENODEV)$/;

describe('a program that looks for a network', () => {
  test('has no network of any kind', async () => {
    const families = {
      AF_INET: 2,
      AF_INET6: 10,
      AF_NETLINK: 16,
      AF_PACKET: 17,
      AF_ALG: 38,
      AF_VSOCK: 40,
      AF_XDP: 44,
    };
    const tries: Record<string, string> = {
      tcp: 'socket.create_connection(("192.0.2.1", 80), 1)',
      loopback: 'socket.create_connection(("127.0.0.1", 80), 1)',
      udp: 'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))',
      raw: 'socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)',
    };
    for (const [name, family] of Object.entries(families)) {
      for (const type of [1, 2, 3]) tries[`${name} ${type}`] = `socket.socket(${family}, ${type})`;
    }
    const told = await tell(attempts(tries));
    expect(Object.keys(told)).toHaveLength(25);
    expect(new Set(Object.values(told))).toEqual(new Set(['ENOSYS']));
  });

  test('sees an empty network namespace', async () => {
    const code = 'def main(inputs):\n  return open("/proc/net/dev", "rb").read()\n';
    const devices = (await resultText(bench, { code })).trim().split('\n').slice(2);
    expect(devices).toHaveLength(1);
    expect(devices[0]).toMatch(/^\s*lo:/);
  });
});

describe('a program that wants out', () => {
  test('cannot write anywhere but to its scratch space and output', async () => {
    const paths = [
      '/x',
      '/usr/x',
      '/in/x',
      '/in/code.py',
      '/in/input-0',
      '/proc/sys/kernel/core_pattern',
      '/proc/1/exe',
    ];
    paths.push(
      '/proc/self/exe',
      '/proc/sysrq-trigger',
      '/proc/self/oom_score_adj-x',
      '/dev/x',
      '/proc/1/mem-x',
    );
    const told = await tell(
      attempts(Object.fromEntries(paths.map((path) => [path, `open(${JSON.stringify(path)}, "wb")`]))),
    );
    for (const path of paths) expect(told[path], path).toMatch(REFUSED);
  });

  test('cannot read the kernel, the host or devices', async () => {
    const paths = [
      '/proc/kcore',
      '/dev/kmsg',
      '/dev/mem',
      '/dev/vda',
      '/dev/loop0',
      '/sys/kernel',
      '/etc/shadow',
      '/proc/kallsyms-x',
    ];
    const told = await tell(
      attempts(
        Object.fromEntries(paths.map((path) => [path, `open(${JSON.stringify(path)}, "rb").read(16)`])),
      ),
    );
    for (const path of paths) expect(told[path], path).toMatch(REFUSED);
  });

  test('has no capability, no new privileges, a filter, and an id nobody else has', async () => {
    const status = await resultText(bench, {
      code: 'def main(inputs):\n  return open("/proc/self/status", "rb").read()\n',
    });
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(status).toMatch(new RegExp(`${set}:\t0+\n`));
    expect(status).toMatch(/NoNewPrivs:\t1\n/);
    expect(status).toMatch(/Seccomp:\t2\n/);
    expect(status).toMatch(/Uid:\t1000\t1000\t1000\t1000\n/);
  });

  test('finds no way to other identities, mounts, namespaces or processes', async () => {
    const told = await tell(
      attempts(
        {
          setuid: 'os.setuid(0)',
          setgroups: 'os.setgroups([0])',
          chroot: 'os.chroot("/tmp")',
          mknod: 'os.mknod("/tmp/node", 0o20666, os.makedev(1, 3))',
          fifo: 'os.mkfifo("/out/fifo")',
          nice: 'os.setpriority(os.PRIO_PROCESS, 0, -5)',
          rlimit: 'resource.setrlimit(resource.RLIMIT_CORE, (0, 0))',
          memfd: 'os.memfd_create("x")',
          sethostname: 'socket.sethostname("x")',
          execScratch: 'subprocess.run(["/job/copy"])',
          clockSet: 'time.clock_settime(time.CLOCK_REALTIME, 0)',
        },
        'import resource, shutil, time\nshutil.copy("/usr/bin/python3.11", "/job/copy"); os.chmod("/job/copy", 0o755)',
      ),
    );
    for (const [name, answer] of Object.entries(told)) expect(answer, name).toMatch(REFUSED);
  });

  test('gets ENOSYS for every dangerous system call, tried by number', async () => {
    const numbers = Object.fromEntries(
      [...DANGEROUS.matchAll(/(\w+) (\d+)/g)].map(([, name, number]) => [name, Number(number)]),
    );
    const names = Object.keys(numbers);
    expect(names.length).toBeGreaterThan(85);
    expect(process.arch, 'the numbers below are those of x86-64').toBe('x64');
    const code = `
import ctypes, json
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(arg) for arg in args])
    return ctypes.get_errno() if result == -1 else 0
def main(inputs):
    told = {name: call(number, 0, 0, 0, 0, 0, 0) for name, number in json.loads(inputs[0]).items()}
    for bit in (17, 25, 26, 27, 28, 29, 30):
        told[f"clone CLONE_NEW bit {bit}"] = call(56, (1 << bit) | 17, 0, 0, 0, 0)
    told["ioctl TIOCSTI"] = call(16, 0, 0x5412, 0)
    told["ioctl with high bits"] = call(16, 0, 0x100005401, 0)
    told["socketpair AF_UNIX"] = call(53, 1, 1, 0, 0)
    return json.dumps(told).encode()
`;
    const inputs = [fromUtf8(JSON.stringify(numbers))];
    const told = JSON.parse(await resultText(bench, { code, inputs })) as Record<string, number>;
    const ENOSYS = 38;
    for (const name of [...names, 'ioctl TIOCSTI', 'ioctl with high bits'])
      expect(told[name], name).toBe(ENOSYS);
    for (const bit of [17, 25, 26, 27, 28, 29, 30]) expect(told[`clone CLONE_NEW bit ${bit}`]).toBe(ENOSYS);
    expect(told['socketpair AF_UNIX'], 'is allowed, and fails by its null pointer').toBe(14);
  });

  test('is killed when it calls the kernel as a 32-bit program', async () => {
    // mov eax, 20 (getpid); int 0x80; ret
    const code = `
import ctypes, mmap
def main(inputs):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000cd80c3"))
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    return b"alive"
`;
    expect(await runOnce(bench, { code })).toMatchObject({ outcome: 'failed', code: 'EXIT_NONZERO' });
  });

  test('leaves no daemon behind', async () => {
    const code = `
import os, signal, time
def main(inputs):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
            open("/job/ready", "w").close()
            while True: time.sleep(1)
        os._exit(0)
    while not os.path.exists("/job/ready"): time.sleep(0.01)
    return b"now"
`;
    expect(await resultText(bench, { code })).toBe('now');
  });
});

/** Name and number on x86-64. */
const DANGEROUS = `
  shmget 29 shmat 30 socket 41 ptrace 101 setuid 105 setgid 106 setreuid 113 setgroups 116
  setresuid 117 setfsuid 122 uselib 134 personality 135 sysfs 139 vhangup 153 modify_ldt 154
  pivot_root 155 adjtimex 159 setrlimit 160 chroot 161 acct 163 settimeofday 164 mount 165 umount2 166
  swapon 167 swapoff 168 reboot 169 sethostname 170 setdomainname 171 iopl 172 ioperm 173
  init_module 175 delete_module 176 quotactl 179 setxattr 188 io_setup 206 lookup_dcookie 212
  timer_create 222 clock_settime 227 mbind 237 set_mempolicy 238 mq_open 240 kexec_load 246
  add_key 248 request_key 249 keyctl 250 ioprio_set 251 inotify_init 253 migrate_pages 256 mknodat 259
  unshare 272 splice 275 tee 276 vmsplice 278 move_pages 279 perf_event_open 298 fanotify_init 300
  fanotify_mark 301 name_to_handle_at 303 open_by_handle_at 304 clock_adjtime 305 setns 308
  process_vm_readv 310 process_vm_writev 311 kcmp 312 finit_module 313 sched_setattr 314 seccomp 317
  memfd_create 319 kexec_file_load 320 bpf 321 execveat 322 userfaultfd 323 copy_file_range 326
  pidfd_send_signal 424 io_uring_setup 425 io_uring_enter 426 io_uring_register 427 open_tree 428
  move_mount 429 fsopen 430 fsconfig 431 fsmount 432 fspick 433 pidfd_open 434 clone3 435
  pidfd_getfd 438 process_madvise 440 mount_setattr 442 quotactl_fd 443 landlock_create_ruleset 444
  memfd_secret 447 process_mrelease 448 cachestat 451 map_shadow_stack 453
`;
