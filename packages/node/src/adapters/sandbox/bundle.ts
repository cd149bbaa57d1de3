import type { SandboxLimits } from '../../ports/sandbox.ts';
import { seccompProfile } from './seccomp.ts';

const MIB = 1024 * 1024;
const JOB_UID = 1000;
const SCRATCH_BYTES = 64 * MIB;

export const ID_RANGE = 65_536;
export const MEMORY_MIN_BYTES = 32 * MIB;
export const PIDS_MIN = 16;

export interface BundleOptions {
  readonly rootfs: string;
  readonly inDir: string;
  readonly outDir: string;
  readonly entry: string;
  readonly inputCount: number;
  readonly limits: SandboxLimits;
  readonly cgroupPath: string;
  readonly idBase: number;
  /** False where the kernel does not count swap: the memory limit then covers RAM alone. */
  readonly limitSwap: boolean;
}

/** The user id on the host that the program runs under. */
export function jobHostId(idBase: number): number {
  return idBase + JOB_UID;
}

/** The container's whole configuration (OCI runtime specification 1.0.2); every field is ours, none is a default. */
export function bundleConfig(options: BundleOptions): Record<string, unknown> {
  const { limits, idBase } = options;
  const idMapping = [{ containerID: 0, hostID: idBase, size: ID_RANGE }];
  return {
    ociVersion: '1.0.2',
    hostname: 'job',
    root: { path: options.rootfs, readonly: true },
    process: {
      terminal: false,
      user: { uid: JOB_UID, gid: JOB_UID, umask: 0o077 },
      // -s -P: nothing but the standard library is on the path; -S: no site; -B: no byte code files.
      args: [
        '/usr/bin/python3',
        '-s',
        '-P',
        '-S',
        '-B',
        '/usr/local/lib/nemea/run.py',
        options.entry,
        String(options.inputCount),
      ],
      // A fixed hash seed: the same inputs give the same result on every machine.
      env: [
        'PATH=/usr/bin',
        'HOME=/job',
        'TMPDIR=/tmp',
        'LC_ALL=C.UTF-8',
        'PYTHONHASHSEED=0',
        'PYTHONUTF8=1',
      ],
      cwd: '/job',
      noNewPrivileges: true,
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
      rlimits: rlimits(limits),
      oomScoreAdj: 1000,
    },
    mounts: mounts(options),
    linux: {
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'user'].map((type) => ({ type })),
      uidMappings: idMapping,
      gidMappings: idMapping,
      cgroupsPath: options.cgroupPath,
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        memory: {
          limit: limits.memoryBytes,
          // Memory and swap together: equal values mean no swap.
          ...(options.limitSwap ? { swap: limits.memoryBytes } : {}),
        },
        pids: { limit: limits.pids },
        cpu: { quota: 100_000, period: 100_000 },
      },
      seccomp: seccompProfile(),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}

const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
];

function rlimits(limits: SandboxLimits): { type: string; hard: number; soft: number }[] {
  const equal = (type: string, value: number) => ({ type, hard: value, soft: value });
  return [
    // 1, not 0: only 1 also stops a core dump that the host pipes into a program. core(5)
    equal('RLIMIT_CORE', 1),
    equal('RLIMIT_NOFILE', 1024),
    equal('RLIMIT_FSIZE', Math.max(limits.outputBytes, SCRATCH_BYTES)),
    // Ends a busy program even when the node that should kill it at the deadline is gone.
    equal('RLIMIT_CPU', Math.ceil(limits.timeoutMs / 1000) + 5),
  ];
}

/** No /sys, no devpts, no message queues: each left out takes kernel code away from the program. */
function mounts(options: BundleOptions): Record<string, unknown>[] {
  const tmpfs = (destination: string, flags: string[]) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: flags,
  });
  const bind = (destination: string, source: string, flags: string[]) => ({
    destination,
    type: 'bind',
    source,
    options: ['bind', 'nosuid', 'nodev', 'noexec', ...flags],
  });
  const sealed = ['nosuid', 'nodev', 'noexec'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: sealed },
    tmpfs('/dev', ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k', 'nr_inodes=64']),
    tmpfs('/dev/shm', [...sealed, 'mode=1777', `size=${SCRATCH_BYTES}`, 'nr_inodes=1000']),
    tmpfs('/job', [...sealed, 'mode=0777', `size=${SCRATCH_BYTES}`, 'nr_inodes=10000']),
    tmpfs('/tmp', [...sealed, 'mode=1777', `size=${SCRATCH_BYTES}`, 'nr_inodes=1000']),
    bind('/in', options.inDir, ['ro']),
    bind('/out', options.outDir, ['rw']),
  ];
}
