const WORDS = 68;

/** SM3 (GB/T 32905-2016, ISO/IEC 10118-3). In software: browsers do not have it, and not every OpenSSL does. */
export function sm3InSoftware(message: Uint8Array): Uint8Array {
  const padded = pad(message);
  const view = new DataView(padded.buffer);
  const state = Uint32Array.of(
    0x7380166f,
    0x4914b2b9,
    0x172442d7,
    0xda8a0600,
    0xa96f30bc,
    0x163138aa,
    0xe38dee4d,
    0xb0fb0e4e,
  );
  const w = new Uint32Array(WORDS);
  for (let offset = 0; offset < padded.length; offset += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(offset + 4 * i);
    for (let i = 16; i < WORDS; i++) {
      w[i] =
        p1(at(w, i - 16) ^ at(w, i - 9) ^ rotl(at(w, i - 3), 15)) ^ rotl(at(w, i - 13), 7) ^ at(w, i - 6);
    }
    compress(state, w);
  }
  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  for (const [i, word] of state.entries()) out.setUint32(4 * i, word);
  return digest;
}

function pad(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  return padded;
}

function compress(state: Uint32Array, w: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as Iterable<number> as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let j = 0; j < 64; j++) {
    const constant = j < 16 ? 0x79cc4519 : 0x7a879d8a;
    const ss1 = rotl((rotl(a, 12) + e + rotl(constant, j % 32)) | 0, 7);
    const ff = j < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
    const gg = j < 16 ? e ^ f ^ g : (e & f) | (~e & g);
    const tt1 = (ff + d + (ss1 ^ rotl(a, 12)) + (at(w, j) ^ at(w, j + 4))) | 0;
    const tt2 = (gg + h + ss1 + at(w, j)) | 0;
    [a, b, c, d] = [tt1, a, rotl(b, 9), c];
    [e, f, g, h] = [p0(tt2), e, rotl(f, 19), g];
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = at(state, i) ^ word;
}

function at(words: Uint32Array, index: number): number {
  return words[index] as number;
}

function rotl(word: number, bits: number): number {
  return bits === 0 ? word : (word << bits) | (word >>> (32 - bits));
}

function p0(word: number): number {
  return word ^ rotl(word, 9) ^ rotl(word, 17);
}

function p1(word: number): number {
  return word ^ rotl(word, 15) ^ rotl(word, 23);
}
