import { bytes, optional, sized, sizedOrEmpty, u32 } from '../structures/codec.ts';
import { tpmsCreationData, tpmtSensitive, tpmtTkCreation } from '../structures/object.ts';
import { tpmlPcrSelection } from '../structures/pcr-selection.ts';
import {
  digest,
  name,
  optionalData,
  privateArea,
  publicArea,
  sensitiveCreate,
  sensitiveData,
} from './buffers.ts';
import { command } from './command.ts';

const creation = {
  inSensitive: sensitiveCreate,
  inPublic: publicArea,
  outsideInfo: optionalData,
  creationPCR: optional(tpmlPcrSelection, []),
};
const created = {
  outPublic: publicArea,
  creationData: sized('creation data', tpmsCreationData),
  creationHash: digest,
  creationTicket: tpmtTkCreation,
};

export const CreatePrimary = command('CreatePrimary', 0x131, {
  handles: { primaryHandle: 'user' },
  parameters: creation,
  responseHandle: 'objectHandle',
  response: { ...created, name },
});
export const Create = command('Create', 0x153, {
  handles: { parentHandle: 'user' },
  parameters: creation,
  response: { outPrivate: privateArea, ...created },
});
/** `inPublic` is TPM2B_TEMPLATE: the bytes of a TPMT_PUBLIC, or of a derivation template. */
export const CreateLoaded = command('CreateLoaded', 0x191, {
  handles: { parentHandle: 'user' },
  parameters: { inSensitive: sensitiveCreate, inPublic: bytes('template', 2048) },
  responseHandle: 'objectHandle',
  response: { outPrivate: privateArea, outPublic: publicArea, name },
});
export const Load = command('Load', 0x157, {
  handles: { parentHandle: 'user' },
  parameters: { inPrivate: privateArea, inPublic: publicArea },
  responseHandle: 'objectHandle',
  response: { name },
});
export const LoadExternal = command('LoadExternal', 0x167, {
  parameters: {
    inPrivate: sizedOrEmpty('sensitive area', tpmtSensitive),
    inPublic: publicArea,
    hierarchy: u32,
  },
  responseHandle: 'objectHandle',
  response: { name },
});
export const ReadPublic = command('ReadPublic', 0x173, {
  handles: { objectHandle: 'none' },
  response: { outPublic: publicArea, name, qualifiedName: name },
});
export const Unseal = command('Unseal', 0x15e, {
  handles: { itemHandle: 'user' },
  response: { outData: sensitiveData },
});
export const ObjectChangeAuth = command('ObjectChangeAuth', 0x150, {
  handles: { objectHandle: 'admin', parentHandle: 'none' },
  parameters: { newAuth: digest },
  response: { outPrivate: privateArea },
});
