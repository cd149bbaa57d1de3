import { type AssuranceLevel, LEVEL } from '../level.ts';

/**
 * Makers of hardware and firmware TPMs, by the identifier in their EK certificates (TCG TPM Vendor ID Registry).
 * Everybody else ranks as development [EK-10].
 */
const HARDWARE_MAKERS: ReadonlyMap<string, string> = new Map([
  ['id:414D4400', 'AMD'],
  ['id:41544D4C', 'Atmel'],
  ['id:42524343', 'Broadcom'],
  ['id:4353434F', 'Cisco'],
  ['id:474F4F47', 'Google'],
  ['id:49465800', 'Infineon'],
  ['id:494E5443', 'Intel'],
  ['id:4E545A00', 'Nationz'],
  ['id:4E544300', 'Nuvoton'],
  ['id:51434F4D', 'Qualcomm'],
  ['id:534D534E', 'Samsung'],
  ['id:53544D20', 'STMicroelectronics'],
]);

/** Who makes software TPMs and TPMs of virtual machines; a host can read the keys of such a TPM. */
const SOFTWARE_MAKERS: ReadonlyMap<string, string> = new Map([
  ['id:00001014', 'IBM (swtpm)'],
  ['id:49424D00', 'IBM'],
  ['id:4D534654', 'Microsoft'],
]);

/** `null` for an identifier that we do not know. */
export function makerName(manufacturer: string): string | null {
  return HARDWARE_MAKERS.get(manufacturer) ?? SOFTWARE_MAKERS.get(manufacturer) ?? null;
}

export function manufacturerLevel(manufacturer: string): AssuranceLevel {
  return HARDWARE_MAKERS.has(manufacturer) ? LEVEL.hardware : LEVEL.development;
}
