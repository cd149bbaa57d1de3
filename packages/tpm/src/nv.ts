import { ByteWriter, concatBytes } from '@nemea/core';
import { HANDLE } from './command.ts';
import type { TpmIo } from './executor.ts';
import { readFirstSized } from './object.ts';
import { invalid, parseWhole, readSized } from './structures/buffer.ts';

const NV_BYTES_MAX = 16_384;
// Every TPM reads at least this much at once (TCG PC Client profile, TPM_PT_NV_BUFFER_MAX).
const PIECE_BYTES = 512;
const NAME_BYTES_MAX = 66;
const ATTRIBUTE_AUTH_READ = 0x40000;

/** The contents of an NV index, by its own empty password where it allows that, else by the owner's. */
export async function nvRead(io: TpmIo, index: number): Promise<Uint8Array> {
  const { dataBytes, attributes } = await nvReadPublic(io, index);
  const authority = attributes & ATTRIBUTE_AUTH_READ ? index : HANDLE.owner;
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < dataBytes; offset += PIECE_BYTES) {
    const pieceBytes = Math.min(PIECE_BYTES, dataBytes - offset);
    const { parameters } = await io.send({
      name: 'nvRead',
      handles: [authority, index],
      authorizations: ['password'],
      parameters: new ByteWriter().u16(pieceBytes).u16(offset).toBytes(),
    });
    const piece = parseWhole('nv contents', parameters, (reader) =>
      readSized(reader, 'nv contents', PIECE_BYTES),
    );
    if (piece.length !== pieceBytes)
      throw invalid(`nv contents: got ${piece.length} bytes, want ${pieceBytes}`);
    pieces.push(piece);
  }
  return concatBytes(...pieces);
}

async function nvReadPublic(io: TpmIo, index: number): Promise<{ dataBytes: number; attributes: number }> {
  const { parameters } = await io.send({ name: 'nvReadPublic', handles: [index] });
  // TPMS_NV_PUBLIC (TPM 2.0 Part 2, 13.5).
  return parseWhole('nv public area', readFirstSized(parameters, 'nv public area'), (reader) => {
    reader.u32();
    reader.u16();
    const attributes = reader.u32();
    readSized(reader, 'nv policy', NAME_BYTES_MAX);
    const dataBytes = reader.u16();
    if (dataBytes > NV_BYTES_MAX)
      throw invalid(`nv contents: got ${dataBytes} bytes, want at most ${NV_BYTES_MAX}`);
    return { dataBytes, attributes };
  });
}
