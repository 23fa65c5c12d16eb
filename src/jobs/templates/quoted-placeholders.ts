import { lineAt } from './problem.js';
import { placeholdersIn } from './placeholders.js';

export interface QuotedPlaceholder {
  name: string;
  line: number;
  inside: 'quotes' | 'a here-document';
}

/** What the scanner is inside: code with the character that ends it, quotes, or `${ }`. */
type Part =
  | { kind: 'code'; end: '' | ')' | '`'; isArithmetic: boolean }
  | { kind: '"' | "'" | "$'" | '${'; isArithmetic?: undefined };

const hereDocument = /<<(-?)[ \t]*(?:\\?([\w.-]+)|'([^'\n]*)'|"([^"\n]*)")/y;

/**
 * Finds the placeholders of a bash script that stand inside quotes or in a here-document. Their
 * values are quoted words already: there, the value's own quotes would become part of the text, and
 * bash would run commands that the value holds. Comments do not count.
 */
export function quotedPlaceholders(script: string): QuotedPlaceholder[] {
  const found: QuotedPlaceholder[] = [];
  const placeholders = new Map(placeholdersIn(script).map((one) => [one.start, one]));
  const parts: Part[] = [{ kind: 'code', end: '', isArithmetic: false }];
  let pending: { end: string; hasTabs: boolean }[] = [];
  const note = (name: string, position: number, inside: QuotedPlaceholder['inside']) =>
    found.push({ name, line: lineAt(script, position), inside });

  for (let i = 0; i < script.length; i++) {
    const part = parts.at(-1) ?? { kind: 'code', end: '', isArithmetic: false };
    const placeholder = placeholders.get(i);
    if (placeholder !== undefined) {
      if (isQuoted(parts)) note(placeholder.name, i, 'quotes');
      i = placeholder.end - 1;
      continue;
    }
    const char = script.charAt(i);
    const two = script.slice(i, i + 2);
    if (part.kind === "'") {
      if (char === "'") parts.pop();
    } else if (char === '\\') i += 1;
    else if (part.kind === "$'") {
      if (char === "'") parts.pop();
    } else if (part.kind === 'code' && char === part.end) parts.pop();
    else if (part.kind === '"' && char === '"') parts.pop();
    else if (part.kind === '${' && char === '}') parts.pop();
    else if (two === '$(') {
      parts.push({ kind: 'code', end: ')', isArithmetic: script.startsWith('((', i + 1) });
      i += 1;
    } else if (two === '${') {
      parts.push({ kind: '${' });
      i += 1;
    } else if (char === '`') parts.push({ kind: 'code', end: '`', isArithmetic: false });
    else if (part.kind === '"') continue;
    else if (char === '"') parts.push({ kind: '"' });
    else if (two === "$'") {
      parts.push({ kind: "$'" });
      i += 1;
    } else if (char === "'") {
      if (part.kind === 'code' || !isQuoted(parts)) parts.push({ kind: "'" });
    } else if (part.kind === '${') continue;
    else if (char === '(')
      parts.push({
        kind: 'code',
        end: ')',
        isArithmetic: two === '((' || part.isArithmetic === true,
      });
    else if (char === '#' && /^$|[\s;&|()]/.test(script.charAt(i - 1))) {
      i = endOfLine(script, i) - 1;
    } else if (two === '<<' && !part.isArithmetic) {
      hereDocument.lastIndex = i;
      const [text = '<<', dash, ...ends] = script.startsWith('<<<', i)
        ? ['<<<']
        : (hereDocument.exec(script) ?? []);
      const end = ends.find((one) => one !== undefined);
      if (end !== undefined) pending.push({ end, hasTabs: dash === '-' });
      i += text.length - 1;
    } else if (char === '\n') {
      for (const { end, hasTabs } of pending) i = skipHereDocument(i, end, hasTabs);
      pending = [];
    }
  }
  return found;

  /** @returns the position of the line end behind the here-document */
  function skipHereDocument(from: number, end: string, hasTabs: boolean): number {
    for (let start = from + 1; start <= script.length;) {
      const stop = endOfLine(script, start);
      const line = script.slice(start, stop);
      if ((hasTabs ? line.replace(/^\t+/, '') : line) === end) return stop;
      for (const { name, start: at } of placeholders.values())
        if (at >= start && at < stop) note(name, at, 'a here-document');
      start = stop + 1;
    }
    return script.length;
  }
}

/** Tells whether the innermost code is interrupted by quotes. */
function isQuoted(parts: readonly Part[]): boolean {
  const code = parts.findLastIndex((part) => part.kind === 'code');
  return parts.slice(code + 1).some((part) => part.kind !== '${');
}

function endOfLine(text: string, from: number): number {
  const at = text.indexOf('\n', from);
  return at === -1 ? text.length : at;
}
