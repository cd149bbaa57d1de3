import { CodedError } from '@nemea/core';
import { openDeviceChannel, openTcpChannel, openUnixChannel, Tpm, type TpmOpenOptions } from '@nemea/tpm';

export class TpmAddressError extends CodedError<'TPM_ADDRESS_INVALID'> {}

const PORT_MAX = 65_535;

/** Opens the TPM at `unix:PATH`, `tcp:HOST:PORT` or `device:PATH`. Throws `TPM_ADDRESS_INVALID`, or what the channel throws. */
export function openTpmAt(address: string, options: TpmOpenOptions = {}): Promise<Tpm> {
  const [kind, ...rest] = address.split(':');
  const where = rest.join(':');
  const tcp = /^(.+):(\d{1,5})$/.exec(where);
  if (kind === 'unix' && where !== '') return Tpm.open(() => openUnixChannel(where), options);
  const [, host = '', port = '0'] = tcp ?? [];
  if (kind === 'tcp' && Number(port) > 0 && Number(port) <= PORT_MAX) {
    return Tpm.open(() => openTcpChannel({ host, port: Number(port) }), options);
  }
  // The kernel's resource manager frees what an earlier program left; what others use must stay.
  if (kind === 'device' && where !== '') {
    return Tpm.open(() => openDeviceChannel(where), { ...options, flushLeftovers: false });
  }
  throw new TpmAddressError(
    'TPM_ADDRESS_INVALID',
    `TPM: got ${address}, want unix:PATH, tcp:HOST:PORT or device:PATH`,
  );
}
