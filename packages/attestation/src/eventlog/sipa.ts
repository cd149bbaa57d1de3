import { LittleEndianReader } from './reader.ts';

/** TCG_PCClientTaggedEvent (TCG PFP 1.06, 10.2.8), or one that Windows nests in it. */
export interface TaggedEvent {
  readonly id: number;
  /** `LoadOptions`, `Initrd`, or the name that Windows gives the id; null when unknown. */
  readonly name: string | null;
  readonly data: Uint8Array;
  readonly children: readonly TaggedEvent[];
}

/** Linux EFI stub and systemd. */
const LINUX: Readonly<Record<number, string>> = {
  2403017452: 'Initrd',
  2403017453: 'LoadOptions',
  326147695: 'DeviceTree',
  4122761258: 'LoaderConf',
  1816590161: 'DeviceTreeAddon',
  1239416335: 'InitrdAddon',
  3670052378: 'UcodeAddon',
  3586882748: 'SmbiosType1',
  3772021704: 'SmbiosType2',
  3233004835: 'SmbiosType11',
};

/** SIPAEVENT_* of the Windows SDK, wbcl.h. */
const SIPA: Readonly<Record<number, string>> = {
  1073807361: 'TrustBoundary',
  1073807362: 'ElamAggregation',
  1073807363: 'LoadedModuleAggregation',
  3221291012: 'TrustPointAggregation',
  1073807365: 'KsrAggregation',
  1073807366: 'KsrSignedMeasurementAggregation',
  131073: 'Information',
  131074: 'BootCounter',
  131075: 'TransferControl',
  131076: 'ApplicationReturn',
  131077: 'BitlockerUnlock',
  131078: 'EventCounter',
  131079: 'CounterId',
  131080: 'MorBitNotCancelable',
  131081: 'ApplicationSvn',
  131082: 'SvnChainStatus',
  131083: 'MorBitApiStatus',
  262145: 'BootDebugging',
  262146: 'BootRevocationList',
  327681: 'OsKernelDebug',
  327682: 'CodeIntegrity',
  327683: 'TestSigning',
  327684: 'DataExecutionPrevention',
  327685: 'SafeMode',
  327686: 'WinPe',
  327687: 'PhysicalAddressExtension',
  327688: 'OsDevice',
  327689: 'SystemRoot',
  327690: 'HypervisorLaunchType',
  327691: 'HypervisorPath',
  327692: 'HypervisorIommuPolicy',
  327693: 'HypervisorDebug',
  327694: 'DriverLoadPolicy',
  327695: 'SiPolicy',
  327696: 'HypervisorMmioNxPolicy',
  327697: 'HypervisorMsrFilterPolicy',
  327698: 'VsmLaunchType',
  327699: 'OsRevocationList',
  327712: 'VsmIdkInfo',
  327713: 'FlightSigning',
  327714: 'PagefileEncryptionEnabled',
  327715: 'VsmIdksInfo',
  327716: 'HibernationDisabled',
  327717: 'DumpsDisabled',
  327718: 'DumpEncryptionEnabled',
  327719: 'DumpEncryptionKeyDigest',
  327720: 'LsaIsoConfig',
  393217: 'NoAuthority',
  393218: 'AuthorityPublicKey',
  458753: 'FilePath',
  458754: 'ImageSize',
  458755: 'HashAlgorithmId',
  458756: 'AuthenticodeHash',
  458757: 'AuthorityIssuer',
  458758: 'AuthoritySerial',
  458759: 'ImageBase',
  458760: 'AuthorityPublisher',
  458761: 'AuthoritySha1Thumbprint',
  458762: 'ImageValidated',
  458763: 'ModuleSvn',
  458764: 'ModulePluton',
  458765: 'ModuleOriginalFilename',
  458766: 'ModuleVersion',
  2148007937: 'Quote',
  2148007938: 'QuoteSignature',
  2148007939: 'AikId',
  2148007940: 'AikPublicDigest',
  589825: 'ElamKeyName',
  589826: 'ElamConfiguration',
  589827: 'ElamPolicy',
  589828: 'ElamMeasured',
  655361: 'VbsVsmRequired',
  655362: 'VbsSecureBootRequired',
  655363: 'VbsIommuRequired',
  655364: 'VbsNxRequired',
  655365: 'VbsMsrFilteringRequired',
  655366: 'VbsMandatoryEnforcement',
  655367: 'VbsHvciPolicy',
  655368: 'VbsMicrosoftBootChainRequired',
  655369: 'VbsDumpUsesAmeroot',
  655370: 'VbsVsmNoSecretsEnforced',
  720897: 'KsrSignature',
  786433: 'DrtmStateAuth',
  786434: 'DrtmSmmLevel',
  786435: 'DrtmAmdSmmHash',
  786436: 'DrtmAmdSmmSignerKey',
};

/** SIPAEVENTTYPE_CONTAINER and the bit that marks an aggregation. */
const CONTAINER = 0x00010000;
const CLASS_MASK = 0x000f0000;
/** Windows nests two levels; more is somebody's joke. */
const DEPTH_MAX = 4;

/** Parses tagged events that fill the bytes. Throws `BodyError`. */
export function parseTaggedEvents(data: Uint8Array, depth = 0): TaggedEvent[] {
  const reader = new LittleEndianReader(data);
  const events: TaggedEvent[] = [];
  while (reader.remaining > 0) {
    const id = reader.u32();
    const content = reader.bytes(reader.u32());
    const isContainer = (id & CLASS_MASK) === CONTAINER && id in SIPA && depth < DEPTH_MAX;
    const children = isContainer ? parseTaggedEvents(content, depth + 1) : [];
    events.push({ id, name: LINUX[id] ?? SIPA[id] ?? null, data: content, children });
  }
  return events;
}
