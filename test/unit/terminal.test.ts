import { afterEach, expect, jest, test } from '@jest/globals';
import { note, plain, say, TerminalLog, visible } from '../../src/cli/terminal.js';

const { isTTY } = process.stdout;
afterEach(() => {
  jest.restoreAllMocks();
  process.stdout.isTTY = isTTY;
  process.stderr.isTTY = isTTY;
});

/** What a terminal gets of a log that arrives in those pieces. */
function shown(...pieces: (string | number[])[]): string {
  const log = new TerminalLog();
  return pieces.map((piece) => log.write(Buffer.from(piece as string))).join('') + log.end();
}

test('colours of a log reach the terminal, and end with the log', () => {
  expect(shown('a \x1b[1;31mred\x1b[0m word\n')).toBe('a \x1b[1;31mred\x1b[0m word\n\x1b[0m');
  expect(shown('a \x1b[38:2:', '1:2:3mhue')).toBe('a \x1b[38:2:1:2:3mhue\x1b[0m');
  expect(shown('plain\n')).toBe('plain\n');
});

test.each([
  ['a title', '\x1b]0;owned\x07', '^[]0;owned^G'],
  ['a cleared screen', '\x1b[2J\x1b[H', '^[[2J^[[H'],
  ['a question to the terminal', '\x1b[6n', '^[[6n'],
  ['the clipboard', '\x1b]52;c;cm0gLXJm\x1b\\', '^[]52;c;cm0gLXJm^[\\'],
  ['colours with a command among them', '\x1b[31;\x1b[2Jm', '^[[31;^[[2Jm'],
  ['a control sequence in one character', '\u009b2J', '\\u009b2J'],
  ['text that is shown in another order', 'a\u202eb', 'a\\u202eb'],
  ['a backspace, a bell and a delete', '\b\x07\x7f', '^H^G^?'],
  ['a lone escape at the end', 'end\x1b', 'end^['],
  ['a tab, and lines that end in two characters', 'a\tb\r\nc\n', 'a\tb\nc\n'],
  ['a progress bar', '10%\r20%\r\r30%\n', '10%\n20%\n30%\n'],
])('%s is shown, not obeyed', (_what, text, expected) => {
  expect(shown(text)).toBe(expected);
  // However the log is cut into pieces.
  expect(shown(...[...Buffer.from(text)].map((byte) => [byte]))).toBe(expected);
});

test('bytes that are no text are shown as such', () => {
  expect(shown([0x61, 0x9b, 0x32, 0x4a])).toBe('a\ufffd2J');
});

test('lines that commands print control no terminal, and are unchanged in a pipe', () => {
  const written: string[] = [];
  for (const stream of [process.stdout, process.stderr])
    jest.spyOn(stream, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
  process.stdout.isTTY = process.stderr.isTTY = true;
  say(JSON.stringify({ name: 'a\u009b2J' }));
  note('no \x1b[31mjob');
  process.stdout.isTTY = process.stderr.isTTY = false;
  say('a\u009b2J');
  expect(written).toEqual(['{"name":"a\\u009b2J"}\n', 'no ^[[31mjob\n', 'a\u009b2J\n']);
  expect(visible('two\nlines')).toBe('two\nlines');
  expect(plain(' \x1b[31mred\u202e ')).toBe('[31mred');
});
