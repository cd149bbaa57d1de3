import { tpmsAnyCapabilityData } from '../structures/capability-data.ts';
import { u32, yesNo } from '../structures/codec.ts';
import { tpmtPublicParms } from '../structures/public-area.ts';
import { command } from './command.ts';

export const GetCapability = command('GetCapability', 0x17a, {
  parameters: { capability: u32, property: u32, propertyCount: u32 },
  response: { moreData: yesNo('moreData'), capabilityData: tpmsAnyCapabilityData },
});
export const TestParms = command('TestParms', 0x18a, { parameters: { parameters: tpmtPublicParms } });
