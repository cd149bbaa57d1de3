import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { NV_ATTRIBUTE, openDeviceChannel, openUnixChannel, TEMPLATES, Tpm } from '@nemea/tpm';
import { parseAttest, parsePublicArea, parseSignature, toSpki } from '@nemea/tpm/structures';

const socket = process.argv[2];
const open = () => (socket === undefined ? openDeviceChannel('/dev/tpmrm0') : openUnixChannel(socket));
await using tpm = await Tpm.open(open);

// A quote: what the PCRs hold, for whoever chose the nonce.
await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
const nonce = randomBytes(32);
const { attest, signature } = await tpm.quote(ak, { pcrs: [0, 7], qualifyingData: nonce });
const quote = parseAttest(attest);
const signed = parseSignature(signature);
const spki = Buffer.from(toSpki(parsePublicArea(ak.publicArea)));
const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
const isSigned =
  signed.scheme === 'ecdsa' && verify('sha256', attest, { key, dsaEncoding: 'ieee-p1363' }, signed.rs);
console.log(quote.type, isSigned, nonce.equals(quote.extraData));

// A secret that this TPM gives back as long as PCR 7 (Secure Boot) holds what it holds now.
const sealed = await tpm.seal(Buffer.from('a secret'), { pcrs: [7] });
console.log(Buffer.from(await tpm.unseal(sealed)).toString());

// A counter that nobody can set back.
const index = 0x01500010;
const attributes = NV_ATTRIBUTE.counter | NV_ATTRIBUTE.ownerRead | NV_ATTRIBUTE.ownerWrite;
await tpm.nvDefine({ index, dataSize: 8, attributes });
const before = await tpm.nvIncrement(index);
console.log((await tpm.nvIncrement(index)) - before);
await tpm.nvUndefine(index);
