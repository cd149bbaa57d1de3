/** For tests: the rules that every adapter of a port keeps, the real one and the simulator's twin alike. */

export { type CapsuleStoreGround, capsuleStoreCompliance } from './capsule-store-compliance.ts';
export { deviceCompliance } from './device-compliance.ts';
export { folderCompliance } from './folder-compliance.ts';
export { type ComplianceCase, journalCompliance } from './journal-compliance.ts';
export { leavingLedgerCompliance } from './leaving-ledger-compliance.ts';
export { ledgerCompliance } from './ledger-compliance.ts';
export type { LedgerGround } from './ledger-story.ts';
export { type OverlayGround, overlayCompliance } from './overlay-compliance.ts';
export { type PublicHostGround, publicHostCompliance } from './public-host-compliance.ts';
export { type SandboxGround, type SandboxProgram, sandboxCompliance } from './sandbox-compliance.ts';
export { taskLedgerCompliance } from './task-ledger-compliance.ts';
