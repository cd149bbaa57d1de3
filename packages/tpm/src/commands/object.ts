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

/** Makes a primary key of a hierarchy: the same template gives the same key. */
export const CreatePrimary = command('CreatePrimary', 0x131, {
  handles: { primaryHandle: 'user' },
  parameters: creation,
  responseHandle: 'objectHandle',
  response: { ...created, name },
});
/** Makes an object under a parent, and gives it back encrypted to that parent. */
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
/** Loads an object under its parent. */
export const Load = command('Load', 0x157, {
  handles: { parentHandle: 'user' },
  parameters: { inPrivate: privateArea, inPublic: publicArea },
  responseHandle: 'objectHandle',
  response: { name },
});
/** Loads a public key, or a key pair that is not protected by this TPM. */
export const LoadExternal = command('LoadExternal', 0x167, {
  parameters: {
    inPrivate: sizedOrEmpty('sensitive area', tpmtSensitive),
    inPublic: publicArea,
    hierarchy: u32,
  },
  responseHandle: 'objectHandle',
  response: { name },
});
/** The public area, name and qualified name of a loaded or persistent object. */
export const ReadPublic = command('ReadPublic', 0x173, {
  handles: { objectHandle: 'none' },
  response: { outPublic: publicArea, name, qualifiedName: name },
});
/** The data in a sealed object. */
export const Unseal = command('Unseal', 0x15e, {
  handles: { itemHandle: 'user' },
  response: { outData: sensitiveData },
});
/** Gives an object another authorization: the private part that comes back holds it, the loaded one does not. */
export const ObjectChangeAuth = command('ObjectChangeAuth', 0x150, {
  handles: { objectHandle: 'admin', parentHandle: 'none' },
  parameters: { newAuth: digest },
  response: { outPrivate: privateArea },
});
