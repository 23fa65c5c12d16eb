import { AppError } from '../../errors.js';
import { readKwargs, type Kwargs } from './row-arguments.js';

/**
 * Converts a typed command line to the columns of a row. A leading `python` (or `python3`) is
 * dropped.
 * `--name=value` and `--name value` become options, `--name` alone becomes a switch. All other
 * words become arguments, as do all words after `--`.
 * @throws AppError bad_request naming the part that no row can hold
 */
export function parseCommandLine(text: string): { script: string; args: string; kwargs: string } {
  const words = shellWords(text);
  if (/^python[\d.]*$/.test(words[0] ?? '')) words.shift();
  const [script, ...rest] = words;
  if (script === undefined || script === '')
    throw bad('expected a script and its arguments, such as \'dummy.py 1 --cheese="on,toast"\'');
  if (script.startsWith('-')) throw bad(`expected a script, got the option ${script}`);
  const args: string[] = [];
  const kwargs: Kwargs = {};
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? '';
    if (word === '--') {
      args.push(...rest.slice(i + 1));
      break;
    }
    const [, name, value] = /^--([^=]+)(?:=([^]*))?$/.exec(word) ?? [];
    if (name === undefined) args.push(word);
    else if (value !== undefined) addOption(kwargs, name, value);
    else {
      const next = rest[i + 1];
      const isValue = next !== undefined && (!next.startsWith('-') || /^-[\d.]/.test(next));
      addOption(kwargs, name, isValue ? next : true);
      if (isValue) i++;
    }
  }
  const row = { script, args: pythonJson(args), kwargs: pythonJson(kwargs) };
  readKwargs(row.kwargs);
  return row;
}

/**
 * Splits a text into words as POSIX sh does (2.2 Quoting): both kinds of quotes and backslashes,
 * without expansion.
 * @throws AppError bad_request for an open quote
 */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let open: '"' | "'" | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (open === "'") {
      if (char === "'") open = undefined;
      else word += char;
    } else if (open === '"') {
      const next = text.charAt(i + 1);
      if (char === '"') open = undefined;
      else if (char === '\\' && /["\\$`\n]/.test(next)) {
        word += next === '\n' ? '' : next;
        i++;
      } else word += char;
    } else if (char === '"' || char === "'") {
      open = char;
      word ??= '';
    } else if (/[ \t\n]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '\\' && i + 1 < text.length) {
      const next = text.charAt(++i);
      if (next !== '\n') word = (word ?? '') + next;
    } else word = (word ?? '') + char;
  }
  if (open !== undefined) throw bad(`the quote ${open} is never closed`);
  return word === undefined ? words : [...words, word];
}

function addOption(kwargs: Kwargs, name: string, value: string | true): void {
  // A plain assignment would silently drop `__proto__`.
  const old = Object.hasOwn(kwargs, name) ? kwargs[name] : undefined;
  const all = old === undefined ? value : [...(Array.isArray(old) ? old : [old]), value];
  Object.defineProperty(kwargs, name, { value: all, enumerable: true, configurable: true });
}

/**
 * Writes JSON as Python’s json.dumps does, with a blank after commas and colons, like the rows of
 * the older tool.
 */
function pythonJson(value: string[] | Kwargs): string {
  const one = (item: unknown) =>
    Array.isArray(item) ? pythonJson(item as string[]) : JSON.stringify(item);
  if (Array.isArray(value)) return `[${value.map(one).join(', ')}]`;
  const entries = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${one(v)}`);
  return `{${entries.join(', ')}}`;
}

function bad(message: string): AppError {
  return new AppError('bad_request', message);
}
