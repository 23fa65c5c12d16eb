const PRINTED_LENGTH = 160;

/**
 * Makes a raw name safe for messages and logs: no control or direction characters, at most 160
 * long.
 */
export function printable(raw: string): string {
  const text = Buffer.from(raw.slice(0, 4 * PRINTED_LENGTH), 'latin1').toString('utf8');
  const escaped = text.replace(
    /[\p{C}\p{Zl}\p{Zp}"\\]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  const cut = [...escaped];
  return cut.length > PRINTED_LENGTH ? `${cut.slice(0, PRINTED_LENGTH).join('')}…` : escaped;
}
