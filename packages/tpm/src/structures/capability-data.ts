import { type Codec, list, orUnknown, rest, struct, u16, u32, union, type ValueOf } from './codec.ts';
import { type PcrSelect, tpmlPcrSelection, tpmsPcrSelect } from './pcr-selection.ts';
import { tpmtHaOrNull } from './signature.ts';

// What fits into MAX_CAP_BUFFER, 1024 bytes, of the smallest item, two bytes.
const ITEMS_MAX = 512;

const u32List = list('capability', u32, ITEMS_MAX);

const tpmsTaggedPcrSelect: Codec<PcrSelect & { readonly property: number }> = {
  read: (reader) => ({ property: reader.u32(), ...tpmsPcrSelect.read(reader) }),
  write(writer, { property, ...select }) {
    u32.write(writer, property);
    tpmsPcrSelect.write(writer, select);
  },
};

/** TPMS_CAPABILITY_DATA (TPM 2.0 Part 2, 10.10.1): one variant for each TPM_CAP. */
export const tpmsCapabilityData = union(
  'capability',
  'capability',
  {
    algorithms: [
      0x0,
      /** `attributes` is TPMA_ALGORITHM. */
      { items: list('algorithms', struct({ algorithm: u16, attributes: u32 }), ITEMS_MAX) },
    ],
    handles: [0x1, { items: u32List }],
    /** TPMA_CC: attributes above, the command's index in the lower 16 bits. */
    commands: [0x2, { items: u32List }],
    ppCommands: [0x3, { items: u32List }],
    auditCommands: [0x4, { items: u32List }],
    pcrs: [0x5, { items: tpmlPcrSelection }],
    properties: [0x6, { items: list('properties', struct({ property: u32, value: u32 }), ITEMS_MAX) }],
    pcrProperties: [0x7, { items: list('pcr properties', tpmsTaggedPcrSelect, ITEMS_MAX) }],
    curves: [0x8, { items: list('curves', u16, ITEMS_MAX) }],
    authPolicies: [
      0x9,
      { items: list('policies', struct({ handle: u32, policy: tpmtHaOrNull }), ITEMS_MAX) },
    ],
    act: [0xa, { items: list('act', struct({ handle: u32, timeoutS: u32, attributes: u32 }), ITEMS_MAX) }],
  },
  u32,
);
/** TPMS_CAPABILITY_DATA of a group that this package knows. */
export type CapabilityData = ValueOf<typeof tpmsCapabilityData>;

/** TPMS_CAPABILITY_DATA of any TPM_CAP, the vendor's own (0x100) and those of newer TPMs too. */
export const tpmsAnyCapabilityData = orUnknown('capability', 'capability', tpmsCapabilityData, {
  group: u32,
  data: rest,
});
/** The same of any group: an unknown one has its bytes. */
export type AnyCapabilityData = ValueOf<typeof tpmsAnyCapabilityData>;

/** The groups of facts that a TPM tells of itself. */
export type CapabilityGroup = CapabilityData['capability'];
/** One fact of a group. */
export type CapabilityItem<G extends CapabilityGroup> = Extract<
  CapabilityData,
  { capability: G }
>['items'][number];

/** TPM_CAP values. */
export const CAPABILITY: Readonly<Record<CapabilityGroup, number>> = {
  algorithms: 0x0,
  handles: 0x1,
  commands: 0x2,
  ppCommands: 0x3,
  auditCommands: 0x4,
  pcrs: 0x5,
  properties: 0x6,
  pcrProperties: 0x7,
  curves: 0x8,
  authPolicies: 0x9,
  act: 0xa,
};

/** TPM_PT values (TPM 2.0 Part 2, 6.13). */
export const PROPERTY = {
  familyIndicator: 0x100,
  level: 0x101,
  revision: 0x102,
  dayOfYear: 0x103,
  year: 0x104,
  manufacturer: 0x105,
  vendorString1: 0x106,
  vendorString2: 0x107,
  vendorString3: 0x108,
  vendorString4: 0x109,
  vendorTpmType: 0x10a,
  firmwareVersion1: 0x10b,
  firmwareVersion2: 0x10c,
  inputBuffer: 0x10d,
  hrTransientMin: 0x10e,
  hrPersistentMin: 0x10f,
  hrLoadedMin: 0x110,
  activeSessionsMax: 0x111,
  pcrCount: 0x112,
  pcrSelectMin: 0x113,
  contextGapMax: 0x114,
  nvCountersMax: 0x116,
  nvIndexMax: 0x117,
  memory: 0x118,
  clockUpdate: 0x119,
  contextHash: 0x11a,
  contextSym: 0x11b,
  contextSymSize: 0x11c,
  orderlyCount: 0x11d,
  maxCommandSize: 0x11e,
  maxResponseSize: 0x11f,
  maxDigest: 0x120,
  maxObjectContext: 0x121,
  maxSessionContext: 0x122,
  splitMax: 0x128,
  totalCommands: 0x129,
  libraryCommands: 0x12a,
  vendorCommands: 0x12b,
  nvBufferMax: 0x12c,
  modes: 0x12d,
  maxCapBuffer: 0x12e,
  firmwareSvn: 0x12f,
  firmwareMaxSvn: 0x130,
  permanent: 0x200,
  startupClear: 0x201,
  hrNvIndex: 0x202,
  hrLoaded: 0x203,
  hrLoadedAvail: 0x204,
  hrActive: 0x205,
  hrActiveAvail: 0x206,
  hrTransientAvail: 0x207,
  hrPersistent: 0x208,
  hrPersistentAvail: 0x209,
  nvCounters: 0x20a,
  nvCountersAvail: 0x20b,
  algorithmSet: 0x20c,
  loadedCurves: 0x20d,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
  nvWriteRecovery: 0x212,
  auditCounter0: 0x213,
  auditCounter1: 0x214,
} as const;
