// CRC-32 of ISO-HDLC, that of zlib and PNG, four bytes a step.

const TABLES = Array.from({ length: 4 }, () => new Uint32Array(256));
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  TABLES[0][i] = crc;
}
for (let i = 0; i < 256; i++) {
  for (let t = 1; t < 4; t++) TABLES[t][i] = (TABLES[t - 1][i] >>> 8) ^ TABLES[0][TABLES[t - 1][i] & 0xff];
}

/**
 * @param {Uint8Array} bytes
 * @param {number} [before]  the CRC of what stands in front of them
 * @returns {number} unsigned, 32 bits
 */
export function crc32(bytes, before = 0) {
  const [one, two, three, four] = TABLES;
  let crc = ~before;
  let i = 0;
  for (const whole = bytes.length & ~3; i < whole; i += 4) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc = four[crc & 0xff] ^ three[(crc >>> 8) & 0xff] ^ two[(crc >>> 16) & 0xff] ^ one[crc >>> 24];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ one[(crc ^ bytes[i]) & 0xff];
  return ~crc >>> 0;
}
