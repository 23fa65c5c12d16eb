import { isMap, isScalar, isSeq, parseDocument, type Node } from 'yaml';
import { lineAt } from './problem.js';

const token =
  /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end';

/** Finds the position where a text stops being JSON (RFC 8259). */
export function faultIn(text: string): number {
  const open: ('{' | '[')[] = [];
  let expected: Expected | 'end' = 'value';
  token.lastIndex = 0;
  for (;;) {
    const from = token.lastIndex;
    const found = token.exec(text);
    const [, mark, string] = found ?? [];
    const next: Expected | 'end' | undefined =
      found === null ? undefined : after(expected, open, mark, string !== undefined);
    if (next === undefined) return from + (/^[ \t\n\r]*/.exec(text.slice(from))?.[0].length ?? 0);
    expected = next;
  }
}

/** Returns what may follow a token; undefined where the token itself may not stand. */
function after(
  expected: Expected | 'end',
  open: ('{' | '[')[],
  mark: string | undefined,
  isString: boolean,
): Expected | 'end' | undefined {
  const closed = () => {
    open.pop();
    return open.length === 0 ? 'end' : ', or end';
  };
  const inObject = open.at(-1) === '{';
  if (mark === undefined) {
    if (expected === 'key' || expected === 'key or }') return isString ? ':' : undefined;
    if (expected !== 'value' && expected !== 'value or ]') return undefined;
    return open.length === 0 ? 'end' : ', or end';
  }
  if (mark === '{' || mark === '[') {
    if (expected !== 'value' && expected !== 'value or ]') return undefined;
    open.push(mark);
    return mark === '{' ? 'key or }' : 'value or ]';
  }
  if (mark === ':') return expected === ':' ? 'value' : undefined;
  if (mark === ',') return expected === ', or end' ? (inObject ? 'key' : 'value') : undefined;
  if (mark === '}')
    return expected === 'key or }' || (expected === ', or end' && inObject) ? closed() : undefined;
  return expected === 'value or ]' || (expected === ', or end' && !inObject) ? closed() : undefined;
}

/** Returns the line of a field in a JSON text, or of the innermost part of its path that exists. */
export function lineOf(text: string, path: readonly PropertyKey[]): number {
  let node: unknown = parseDocument(text, { uniqueKeys: false, logLevel: 'silent' }).contents;
  let position = (node as Node | null)?.range?.[0] ?? 0;
  for (const part of path) {
    let key: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
      [key, node] = [pair?.key, pair?.value];
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      key = node;
    } else break;
    const found = (key as Node | undefined)?.range?.[0];
    if (found === undefined) break;
    position = found;
  }
  return lineAt(text, position);
}
