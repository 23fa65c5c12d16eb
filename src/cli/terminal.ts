import { StringDecoder } from 'node:string_decoder';

/** Removes characters that could control the terminal from foreign text. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]+/gu, ' ').trim();
}

/** Lays out rows under a heading, in columns two spaces apart; the last one may have any width. */
export function table(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(plain));
  const widths = (clean[0] ?? []).map((_, i) =>
    Math.max(...clean.map((row) => (row[i] ?? '').length)),
  );
  return clean
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * Control characters but line feed and tab, and characters that reorder text (Unicode's UAX 9): a
 * terminal would obey them.
 */
const controls = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Shows the characters that could control the terminal, such as `^[` for Escape. */
export function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(controls, (character) => {
    const code = character.codePointAt(0) ?? 0;
    // Caret notation (ASCII): Escape, 27, is ^[; Delete, 127, is ^?.
    if (code < 0x80) return `^${String.fromCodePoint(code ^ 0x40)}`;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Prints a line. On a terminal, nothing in it can control that terminal. */
export function say(text: string): void {
  print(process.stdout, text);
}

/** Prints a line on stderr that is not part of the command's result. */
export function note(text: string): void {
  print(process.stderr, text);
}

function print(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${stream.isTTY ? visible(text) : text}\n`);
}

/** Escape sequences that choose colours (ECMA-48, 8.3.117: SGR). */
const colour = /(\x1b\[[0-9;:]{0,64}m)/;
/** The start of such a sequence, or of a line end, whose rest is still to come. */
const unfinished = /(\x1b(\[[0-9;:]{0,64})?|\r+)$/;
const reset = '\x1b[0m';

/** Makes a log safe for a terminal, piece by piece: colours stay, all other controls are shown. */
export class TerminalLog {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #isColoured = false;

  /** Returns what the terminal gets of the log's next bytes. */
  write(bytes: Buffer): string {
    const text = this.#rest + this.#decoder.write(bytes);
    this.#rest = unfinished.exec(text)?.[0] ?? '';
    return this.#convert(text.slice(0, text.length - this.#rest.length));
  }

  /** Returns the end of the text, and leaves the terminal in its own colours. */
  end(): string {
    const last = this.#convert(this.#rest + this.#decoder.end());
    this.#rest = '';
    return last + (this.#isColoured ? reset : '');
  }

  #convert(text: string): string {
    return text
      .split(colour)
      .map((part, i) => {
        // The odd parts are the sequences.
        if (i % 2 === 0) return visible(oneLineEach(part));
        this.#isColoured = true;
        return part;
      })
      .join('');
  }
}

/** Puts each state of a progress bar, which returns to the line's start, on a line of its own. */
function oneLineEach(text: string): string {
  return text.replaceAll(/\r+\n?/g, '\n');
}
