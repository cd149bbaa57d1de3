import { tpmsAnyCapabilityData } from '../structures/capability-data.ts';
import { u32, yesNo } from '../structures/codec.ts';
import { tpmtPublicParms } from '../structures/public-area.ts';
import { command } from './command.ts';

/** One page of a group of facts about the TPM: `moreData` says that there is another. */
export const GetCapability = command('GetCapability', 0x17a, {
  parameters: { capability: u32, property: u32, propertyCount: u32 },
  response: { moreData: yesNo('moreData'), capabilityData: tpmsAnyCapabilityData },
});
/** Refuses parameters of a key that the TPM cannot make. */
export const TestParms = command('TestParms', 0x18a, { parameters: { parameters: tpmtPublicParms } });
